//! HTTP responses that end well, or say so.
//!
//! A streamed response commits its `200 OK` before anyone knows how it will end. This crate
//! makes the ending a value: a [`Producer`] says it, the wire tells it so that no peer can
//! mistake it, with every octet produced before the failure delivered first.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use axum::{Router, routing::get};
//!
//! let app = Router::new().route("/", get(|| async {
//!     endwell::stream(|mut producer| async move {
//!         producer.send("one row\n").await?;
//!         Ok(producer.finish())
//!     })
//! }));
//! let tcp = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! endwell::serve(endwell::listen(tcp), app).await
//! # }
//! ```
//!
//! # On the wire
//!
#![doc = include_str!("../../endwell-core/src/plan_table.md")]
//!
//! Modules stand in the order in which the data flows; each uses only those above it.
#![deny(unsafe_code)]

mod observe;

#[cfg(feature = "tracing")]
mod trace;

mod trailers;

mod producer;

mod body;

mod limits;

mod wire;

mod layer;

#[cfg(feature = "listen")]
mod listen;

#[cfg(feature = "listen")]
mod serve;

#[cfg(feature = "axum")]
mod app;

/// The examples of the pages, compiled.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../../../docs/policy.md")]
#[doc = include_str!("../../../docs/fields.md")]
struct Pages;

pub use body::{Body, Broken, channel, stream};
pub use endwell_core as core;
pub use endwell_core::{
    Cause, Ending, Kind, Override, Party, Policy, Record, Retry, SaidBy, Severity, Signal,
};
pub use layer::{Answer, Endings, Layer, Peer, Route, RouteAnswer, RouteLayer, Rule, route};
pub use limits::{Http2Limits, Limits};
pub use observe::{Format, Log, Observer};
pub use producer::{Abort, BoxError, ClientGone, Finished, Producer};
#[cfg(feature = "tracing")]
pub use trace::Events;
pub use trailers::{NotATrailer, Trailers};
pub use wire::body::WireBody;
pub use wire::broken::WireBroken;
pub use wire::exchange::protocol;
pub use wire::remote::Remote;

#[cfg(feature = "axum")]
pub use app::{App, BoxedAnswer, ConnectionApp, app};
#[cfg(feature = "tls")]
pub use listen::TlsSwitch;
#[cfg(all(feature = "listen", unix))]
pub use listen::listen_unix;
#[cfg(feature = "listen")]
pub use listen::{Listener, listen};
#[cfg(feature = "listen")]
pub use serve::{Connections, Controls, Serve, Shutdown, serve};
#[cfg(feature = "listen")]
pub use wire::{close::settled, io::WireIo};
