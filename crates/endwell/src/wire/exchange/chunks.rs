//! Owned chunks on their way through HTTP/2: the owner's drop tells that h2 has let go of one.
//!
//! Reads: drops, and what the connection did then. Gives: how many octets were taken, and how many were thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use super::Exchange;
use crate::wire::conn::Message as _;

/// How many chunks there are, and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Chunks given to h2.
    handed: AtomicU64,
    /// Chunks that h2 has let go.
    left: AtomicU64,
    /// Octets of chunks that the transport took.
    consumed: AtomicU64,
    /// Octets of chunks thrown away unsent.
    discarded: AtomicU64,
    /// The body waits until all have been let go.
    awaited: AtomicBool,
    /// The connection's written octets when a chunk was last taken.
    written: AtomicU64,
}

impl Chunks {
    /// From now on each chunk that is let go wakes the body.
    pub(crate) fn awaited(&self) {
        self.awaited.store(true, Ordering::SeqCst);
    }

    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    pub(crate) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Acquire)
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Acquire)
    }

    /// An upper bound of the octets the transport took: the chunk under way may be in it in part.
    pub(super) fn sent_at_most(&self, exchange: &Exchange) -> u64 {
        let since = exchange
            .conn
            .as_ref()
            .map_or(0, |conn| conn.written())
            .saturating_sub(self.written.load(Ordering::Acquire));
        self.consumed() + since.min(self.discarded())
    }
}

/// A chunk in the hands of the HTTP/2 implementation. Its drop tells that the chunk was taken.
pub(crate) struct Chunk {
    octets: Bytes,
    exchange: Arc<Exchange>,
    /// What the connection had written when this was handed over.
    written: u64,
}

/// h2 copies small slices into its buffer of 16 KiB, and lets go of them before they are written.
const COPIED: u64 = 17 * 1024;

impl Chunk {
    pub(crate) fn owned(octets: Bytes, exchange: &Arc<Exchange>) -> Bytes {
        exchange.chunks.handed.fetch_add(1, Ordering::AcqRel);
        Bytes::from_owner(Self {
            octets,
            exchange: Arc::clone(exchange),
            written: exchange.conn.as_ref().map_or(0, |conn| conn.written()),
        })
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let chunks = &self.exchange.chunks;
        let octets = self.octets.len() as u64;
        let conn = self.exchange.conn.as_ref();
        // h2 lets go of a chunk it has written in the connection's own task, after a write. It
        // throws the chunks of a reset stream away while it handles what it has just read, and
        // hyper drops a chunk that still waits for window in the stream's task. One that was
        // reset while a frame of it was being written has left in part.
        let thrown_away = conn.is_some_and(|conn| {
            conn.is_receiving()
                || conn.read_end()
                || conn.is_over()
                || !conn.is_driven_here()
                || conn.written() - self.written + COPIED < octets
        });
        if thrown_away {
            chunks.discarded.fetch_add(octets, Ordering::AcqRel);
        } else {
            if let Some(conn) = conn {
                chunks.written.store(conn.written(), Ordering::Release);
            }
            chunks.consumed.fetch_add(octets, Ordering::AcqRel);
        }
        chunks.left.fetch_add(1, Ordering::SeqCst);
        if chunks.awaited.load(Ordering::SeqCst) {
            self.exchange.wake();
        }
    }
}
