//! What a receiver saw of a response. Facts only.

use crate::{Framing, Protocol};

/// What a receiver saw, before any conclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// How the message said it would mark its end.
    pub framing: Framing,
    /// Whether TLS lay below.
    pub tls: bool,
    /// What `Content-Length` promised.
    pub promised: Option<u64>,
    /// How many octets of payload came.
    pub received: u64,
    /// What came last.
    pub seen: Seen,
}

/// What a receiver saw last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// The framing's own mark: last chunk with its empty line, exact octets, END_STREAM.
    EndMark,
    /// The transport closed in order; over TLS without close_notify.
    Fin,
    /// TLS closed with close_notify.
    CloseNotify,
    /// The connection was reset.
    ConnectionReset,
    /// The stream was reset with this code, or a GOAWAY excluded it.
    StreamReset(u64),
    /// What came does not parse.
    Malformed,
    /// Nothing came any more until the receiver's deadline.
    TimedOut,
    /// The receiver itself stopped.
    Left,
}
