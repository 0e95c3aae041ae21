//! The lab: peers that misbehave and observers that do not trust.
//!
//! Reads: octets of a real connection.
//! Gives: facts about how a response ended ([`observe::Seen`]).
//! Never: shares wire code with what it judges. No hyper, no h2, no tokio, no http crate:
//! blocking sockets, rustls, and parsers of its own (only HPACK and Huffman's code come from a library, and
//! QUIC below HTTP/3 from quinn-proto: streams and packets, which the server under test has from it, too).

#![forbid(unsafe_code)]

pub mod observe;
