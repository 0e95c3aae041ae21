//! Why a connection ends: the peer left, the server ordered it.
//!
//! Reads: departures from the transport, orders from the server. Gives: the cause for every response that nobody ended.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use endwell_core::{Cause, Kind};

use super::{Close, Conn};
#[cfg(feature = "http3")]
use crate::wire::remote::Remote;

/// How a connection ended under its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departed {
    /// The peer reset, or a write failed.
    Rst,
    /// The transport was dropped by the server loop.
    Dropped,
    /// The peer closed a QUIC connection, and named an error.
    #[cfg(feature = "http3")]
    Closed,
    /// The peer closed a QUIC connection in order.
    #[cfg(feature = "http3")]
    Left,
    /// Nothing more was heard of it over QUIC.
    #[cfg(feature = "http3")]
    Silent,
}

/// What was seen and ordered of the end.
#[derive(Default)]
pub(super) struct Gone {
    departed: OnceLock<Departed>,
    order: OnceLock<Cause>,
    killed: OnceLock<Cause>,
    /// The server loop has let go of it.
    over: AtomicBool,
}

impl Conn {
    /// The server loop lets go of the connection.
    pub(crate) fn note_over(&self) {
        self.gone.over.store(true, Ordering::Release);
    }

    pub(crate) fn note_departed(&self, how: Departed) {
        let _ = self.gone.departed.set(how);
        self.wake_flush_waiters();
        self.pings.give_up();
    }

    pub(crate) fn departed(&self) -> Option<Departed> {
        self.gone.departed.get().copied()
    }

    /// Whether what is dropped from now on was not sent.
    pub(crate) fn is_over(&self) -> bool {
        self.gone.over.load(Ordering::Acquire)
            || self.departed().is_some()
            || self.killed().is_some()
    }

    /// Every response still under way ends as failed, each in its protocol's way.
    pub(crate) fn order_failure(&self, cause: Cause) {
        let _ = self.gone.order.set(cause);
        for exchange in self.live() {
            exchange.wake();
        }
    }

    pub(crate) fn ordered(&self) -> Option<&Cause> {
        self.gone.order.get()
    }

    /// Ends the connection at once, with a reset.
    pub(crate) fn kill(&self, cause: Cause) {
        let _ = self.gone.killed.set(cause);
        self.close_by(Close::Kill);
        for exchange in self.live() {
            exchange.wake();
        }
        self.driver.wake();
        self.wake_flush_waiters();
        self.pings.give_up();
    }

    pub(crate) fn killed(&self) -> Option<&Cause> {
        self.gone.killed.get()
    }

    /// Why a response that nobody ended has ended with this connection, and what was seen.
    pub(crate) fn why_gone(&self) -> (Cause, &'static str) {
        if let Some(cause) = self.killed() {
            let signal = match cause.kind {
                Kind::WriteTimeout => "timeout",
                _ => "none",
            };
            return (cause.clone(), signal);
        }
        let (message, signal) = match self.departed() {
            Some(Departed::Rst) => ("the client reset the connection", "rst"),
            _ if self.read_end() => ("the client closed the connection", "fin"),
            Some(Departed::Dropped) => ("the client left", "close"),
            #[cfg(feature = "http3")]
            Some(Departed::Closed | Departed::Left) => {
                ("the client closed the connection", "connection_close")
            }
            #[cfg(feature = "http3")]
            Some(Departed::Silent) => ("nothing more was heard of the client", "timeout"),
            #[cfg(feature = "http3")]
            None if matches!(self.remote, Remote::Quic(_)) => {
                ("the client stopped the stream", "stop_sending")
            }
            None if self.is_multiplexed() => ("the client reset the stream", "rst_stream"),
            None => ("the client left", "close"),
        };
        (Cause::new(Kind::ClientGone, message), signal)
    }
}
