//! The lab: peers that misbehave and observers that do not trust.
//!
//! Reads: octets of a real connection.
//! Gives: facts about how a response ended ([`observe::Seen`]).
//! Never: shares wire code with what it judges. No hyper, no h2, no tokio, no http crate:
//! blocking sockets, rustls, and parsers of its own (only HPACK comes from a library).

#![forbid(unsafe_code)]

pub mod observe;
