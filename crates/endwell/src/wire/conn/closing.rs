//! How the socket of a connection will close: in order, cut, with a reset.
//!
//! Reads: what the endings of its messages ask for. Gives: one [`Close`] to the transport. Never: closes in order while a
//! close-delimited body is unproven.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Conn, Message, lock};

/// How the transport must close.
#[derive(Default)]
pub(crate) enum Close {
    /// In order: every message on it was whole, or the peer has left.
    #[default]
    InOrder,
    /// The last message is incomplete by its framing: half-close, drain, close.
    Cut(Arc<dyn Message>),
    /// As that, after a chunk-size line whose octets never come.
    OpenChunk(Arc<dyn Message>),
    /// The last message is close-delimited and failed: acknowledged, this grace, reset.
    Reset(Arc<dyn Message>, Duration),
    /// No message is under way: these octets, then in order.
    Answer(Vec<u8>),
    /// At once, with a reset: a stalled peer, or a server that must stop now.
    Kill,
}

/// What is known of the close to come.
#[derive(Default)]
pub(super) struct Closing {
    pub(super) close: Mutex<Close>,
    /// A close-delimited body is under way that has not proven to be whole.
    unproven: AtomicBool,
    /// A close of the socket resets it.
    armed: AtomicBool,
    /// Octets in the kernel that the peer had not acknowledged when it was closed.
    unacknowledged: Mutex<Option<u64>>,
}

impl Conn {
    /// A close-delimited body begins: from now on a close resets the connection, even that of
    /// the kernel after a kill -9.
    pub(crate) fn begin_close_delimited(&self) {
        if self.tcp().is_some_and(|tcp| tcp.arm_reset().is_ok()) {
            self.closing.unproven.store(true, Ordering::Release);
            self.closing.armed.store(true, Ordering::Release);
        }
    }

    /// The close-delimited body has proven to be whole.
    pub(crate) fn close_delimited_whole(&self) {
        self.closing.unproven.store(false, Ordering::Release);
    }

    /// Whether a plain close would make an unproven body look whole.
    pub(crate) fn is_unproven(&self) -> bool {
        self.closing.unproven.load(Ordering::Acquire)
    }

    /// Whether a close of the socket still resets it.
    pub(crate) fn is_armed(&self) -> bool {
        self.closing.armed.load(Ordering::Acquire)
    }

    /// A close of the socket ends it in order again.
    pub(crate) fn disarm_reset(&self) {
        if self.is_armed() && self.tcp().is_some_and(|tcp| tcp.disarm_reset().is_ok()) {
            self.closing.armed.store(false, Ordering::Release);
        }
    }

    /// The transport shall close like this; a kill stays one.
    pub(crate) fn close_by(&self, close: Close) {
        let mut slot = lock(&self.closing.close);
        if !matches!(*slot, Close::Kill) {
            *slot = close;
        }
    }

    pub(crate) fn take_close(&self) -> Close {
        std::mem::take(&mut *lock(&self.closing.close))
    }

    pub(crate) fn has_broken_message(&self) -> bool {
        !matches!(*lock(&self.closing.close), Close::InOrder)
    }

    /// The connection is being closed, with so many octets on their way.
    pub(crate) fn note_unacknowledged(&self, octets: Option<u64>) {
        *lock(&self.closing.unacknowledged) = octets;
    }

    pub(crate) fn unacknowledged_at_close(&self) -> Option<u64> {
        *lock(&self.closing.unacknowledged)
    }
}
