//! What of a stream is on its way: handed to QUIC and not acknowledged yet.
//!
//! quinn keeps each chunk that it was given until the peer has acknowledged all of it, because it may
//! have to send it again. So a chunk whose owner we are tells by its drop that it has arrived: unless
//! the stream was given up, when everything is thrown away. Who gives a stream up says so first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context;

use atomic_waker::AtomicWaker;
use bytes::Bytes;

use super::window::Window;

/// Counts the chunks of one stream.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Counts the octets of the whole connection.
    window: Arc<Window>,
    /// Chunks that are not acknowledged.
    chunks: AtomicU64,
    /// Octets of content that were acknowledged, in whole chunks.
    acked: AtomicU64,
    /// The stream was given up: what is let go from now on was thrown away.
    given_up: AtomicBool,
    /// Somebody waits for acknowledgements.
    awaited: AtomicBool,
    waker: AtomicWaker,
}

impl Flight {
    pub(super) fn new(window: Arc<Window>) -> Arc<Self> {
        Arc::new(Self {
            window,
            ..Self::default()
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.chunks.load(Ordering::SeqCst) == 0
    }

    /// Chunks that are under way.
    pub(super) fn chunks(&self) -> u64 {
        self.chunks.load(Ordering::SeqCst)
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked.load(Ordering::Acquire)
    }

    /// From now on nothing that is let go has arrived. To be called before the stream is reset.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// Wakes the task at each acknowledgement; register first, then look.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
        self.awaited.store(true, Ordering::SeqCst);
    }

    /// A chunk that counts until it is acknowledged; `content` of its octets are the body's.
    pub(super) fn chunk(self: &Arc<Self>, octets: Bytes, content: usize) -> Bytes {
        self.chunks.fetch_add(1, Ordering::SeqCst);
        Bytes::from_owner(Chunk {
            octets,
            content: content as u64,
            flight: Arc::clone(self),
        })
    }
}

struct Chunk {
    octets: Bytes,
    content: u64,
    flight: Arc<Flight>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

/// Runs inside of quinn, with its lock held: so it counts and wakes, and nothing else.
impl Drop for Chunk {
    fn drop(&mut self) {
        let flight = &self.flight;
        if !flight.given_up.load(Ordering::SeqCst) {
            flight.acked.fetch_add(self.content, Ordering::AcqRel);
        }
        flight.window.let_go(self.octets.len());
        flight.chunks.fetch_sub(1, Ordering::SeqCst);
        if flight.awaited.load(Ordering::SeqCst) {
            flight.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_acknowledged_when_its_last_part_is_let_go() {
        let flight = Arc::new(Flight::default());
        let mut chunk = flight.chunk(Bytes::from_static(b"0123456789"), 7);
        flight.window.took(10);
        let first = chunk.split_to(4);
        drop(first);
        assert_eq!((flight.chunks(), flight.acked()), (1, 0));
        drop(chunk);
        assert_eq!((flight.chunks(), flight.acked()), (0, 7));
    }

    #[test]
    fn what_is_let_go_after_giving_up_has_not_arrived() {
        let flight = Arc::new(Flight::default());
        let chunk = flight.chunk(Bytes::from_static(b"0123"), 4);
        flight.window.took(4);
        flight.give_up();
        drop(chunk);
        assert_eq!((flight.chunks(), flight.acked()), (0, 0));
    }
}
