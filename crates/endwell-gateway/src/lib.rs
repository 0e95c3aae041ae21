//! What `endwell serve` serves: sources that open to octets or a cause.
//!
//! [`Files`] is a tower service over a folder, for [`endwell::serve()`]. A file that shrinks or is
//! rewritten while it is sent never looks whole; how that is found out, and what cannot be
//! found out, stands in [`source::file`].
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! let tcp = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! let files = endwell_gateway::Files::new("public")?;
//! endwell::serve(endwell::listen(tcp), files).await
//! # }
//! ```
//!
//! Modules stand in the order in which the data flows; each uses only those above it.
#![forbid(unsafe_code)]

mod target;

mod media;

mod validators;

pub mod source;

mod conditions;

mod accept;

mod range;

mod multipart;

mod query;

mod disposition;

mod reply;

mod answer;

mod route;

mod guard;

mod listing;

mod archive;

mod files;

mod metrics;

mod admin;

#[cfg(feature = "run")]
mod limited;

#[cfg(feature = "run")]
pub mod config;

#[cfg(feature = "run")]
pub mod run;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

pub use admin::{Admin, Readiness};
pub use archive::{ArchiveOnError, Archives};
pub use files::Files;
pub use guard::{BadNetwork, BadUser, Guard, Guarded, Networks, Users};
pub use metrics::{Exposition, Metrics, Total};
pub use route::Routes;
pub use source::file::Growing;
pub use validators::Validators;
