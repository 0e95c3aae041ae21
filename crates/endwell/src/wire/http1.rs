//! HTTP/1: when has the socket everything that was yielded?
//!
//! hyper flushes after a body answered `Pending`, in the same task, once its own buffers are
//! empty. So one more completed flush after the last yield means: all of it has left user space.

use std::task::{Context, Poll};
use std::time::Duration;

use endwell_core::WireEnding;

use super::conn::{Close, Conn};
use super::exchange::Exchange;
use std::sync::Arc;

/// Where the flushes of a connection stood when a body last yielded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flushed {
    flushes: u64,
    written: u64,
    /// Octets yielded before that flush: they are all in the kernel.
    octets: u64,
}

impl Flushed {
    pub(crate) fn now(conn: &Conn) -> Self {
        Self {
            flushes: conn.flushes(),
            written: conn.written(),
            octets: 0,
        }
    }

    /// Takes the snapshot that belongs to a yield; `yielded` counts what was yielded before it.
    ///
    /// At the yield and not when the failure becomes known: hyper may poll a body twice in a
    /// round and flush only once.
    pub(crate) fn at_yield(&mut self, conn: &Conn, yielded: u64) {
        let flushes = conn.flushes();
        if flushes != self.flushes {
            self.flushes = flushes;
            self.octets = yielded;
        }
        self.written = conn.written();
    }

    /// Octets of the body that the transport took: exact after a flush, else an upper bound.
    pub(crate) fn sent(&self, conn: &Conn, yielded: u64) -> u64 {
        if conn.flushes() != self.flushes {
            return yielded;
        }
        let since = conn.written().saturating_sub(self.written);
        yielded.min(self.octets.saturating_add(since))
    }

    /// Octets that were yielded and that no flush has carried yet.
    pub(crate) fn waiting(&self, conn: &Conn, yielded: u64) -> u64 {
        if conn.flushes() != self.flushes {
            return 0;
        }
        yielded.saturating_sub(self.octets)
    }

    /// Waits for the flush that carries the last yield.
    pub(crate) fn poll(&self, conn: &Conn, cx: &Context<'_>) -> Poll<Result<(), Gone>> {
        conn.await_flush(cx);
        if conn.flushes() != self.flushes {
            return Poll::Ready(Ok(()));
        }
        if conn.departed().is_some() || conn.killed().is_some() {
            return Poll::Ready(Err(Gone));
        }
        Poll::Pending
    }
}

/// The peer left before everything was delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

/// Tells the transport how to close, now that everything is delivered to it.
pub(crate) fn close(conn: &Conn, wire: WireEnding, exchange: &Arc<Exchange>, grace: Duration) {
    let exchange: Arc<Exchange> = Arc::clone(exchange);
    conn.close_by(match wire {
        WireEnding::MissingLastChunk | WireEnding::ShortBody => Close::Cut(exchange),
        WireEnding::OpenChunk => Close::OpenChunk(exchange),
        WireEnding::ResetConnection => Close::Reset(exchange, grace),
        WireEnding::EndMark
        | WireEnding::Declared
        | WireEnding::ResetStream(_)
        | WireEnding::Silence
        | WireEnding::Stop => Close::InOrder,
    });
}
