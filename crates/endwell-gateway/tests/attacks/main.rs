//! What the server answers to who means it harm: input by input, octet by octet.
//!
//! Each table holds what is sent and what must come back. Nothing of the library's wire code
//! judges here: the octets are read as they come. The same attacks in numbers, with the
//! server's memory and the latency of its other clients, are in the command's `heavy` test.
#![cfg(unix)]
#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod attacked;
mod frames;
mod http1;
mod http2;
mod slow;
mod targets;
