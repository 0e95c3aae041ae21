//! The vocabulary of endings, and the table that decides what a peer must see.
//!
//! A streamed HTTP response commits its status line before anyone knows how it will
//! end. This crate makes the end a value: [`Ending`] is what the producer said,
//! [`plan`] decides what must happen on the wire, [`verdict`] is what a receiver may
//! conclude, [`Record`] is what is written down.
//!
//! Reads: values only. Gives: values only. Never: touches a socket, a clock, a task or a log.
//!
//! Modules stand in the order in which the data flows; each uses only those above it.
#![forbid(unsafe_code)]

mod protocol;

mod framing;

mod cause;

mod ending;

mod severity;

mod tally;

mod policy;

mod overrides;

mod plan;

pub mod fields;

mod evidence;

mod verdict;

mod record;

pub use cause::{Cause, Kind, Party, Retry};
pub use ending::{Ending, SaidBy};
pub use evidence::{Confirmation, Evidence, Seen};
pub use framing::Framing;
pub use overrides::Override;
pub use plan::{Asked, Document, Situation, WireEnding, plan, table};
pub use policy::{
    Client, DegradedDocuments, Grace, HalfClose, Hold, Linger, OpenChunk, Policy, Signal, Signals,
    Unprotected,
};
pub use protocol::{Protocol, TrailerRoom};
pub use record::{FailedPart, Phase, Record};
pub use severity::Severity;
pub use tally::Tally;
pub use verdict::{Verdict, verdict};
