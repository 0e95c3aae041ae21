//! Octets on their way to the peer: how many the transport took, whether it waits, how much fits.
//!
//! Reads: what the transport reports of its writes and flushes. Gives: ticks and figures to the bodies, and the news that a
//! flush has carried the last octets of a response.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::{Conn, Message, lock};
use crate::wire::room::{self, Room};

/// How octets fare between the bodies and the kernel.
pub(super) struct Flow {
    /// How often everything written had left user space.
    flushes: AtomicU64,
    /// Octets the transport accepted (before TLS).
    written: AtomicU64,
    /// The last thing the transport did was to hand over octets of the peer.
    receiving: AtomicBool,
    /// The last write or flush had to wait for the peer.
    blocked: AtomicBool,
    /// A body waits for room in the kernel before it asks for more.
    crowded: AtomicBool,
    room: Mutex<Room>,
    /// The size of a frame that fits into the room.
    roomy: AtomicUsize,
    flush_awaited: AtomicBool,
    flush_waiters: Mutex<Vec<Waker>>,
    unflushed_any: AtomicBool,
    /// Whole responses whose last octets no flush has carried yet.
    unflushed: Mutex<Vec<Arc<dyn Message>>>,
}

impl Flow {
    /// Nothing was written; a frame best has so many octets.
    pub(super) fn new(frame: usize) -> Self {
        Self {
            flushes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            receiving: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            room: Mutex::default(),
            roomy: AtomicUsize::new(frame),
            flush_awaited: AtomicBool::new(false),
            flush_waiters: Mutex::default(),
            unflushed_any: AtomicBool::new(false),
            unflushed: Mutex::default(),
        }
    }
}

impl Conn {
    /// The transport took octets.
    pub(crate) fn note_written(&self, octets: usize) {
        // Only the transport writes this counter, so no read-modify-write is needed.
        let written = self.flow.written.load(Ordering::Relaxed) + octets as u64;
        self.flow.written.store(written, Ordering::Release);
        self.flow.receiving.store(false, Ordering::Relaxed);
        self.note_unblocked();
    }

    /// As [`Conn::note_written`], where many streams write at once.
    #[cfg(feature = "http3")]
    pub(crate) fn add_written(&self, octets: usize) {
        self.flow.written.fetch_add(octets as u64, Ordering::AcqRel);
    }

    /// A write or flush has come through: of TLS often the flush, which has waited alone.
    fn note_unblocked(&self) {
        if self.flow.blocked.load(Ordering::Relaxed) {
            self.flow.blocked.store(false, Ordering::Relaxed);
            self.note_room();
        }
    }

    /// The transport has read: octets, or nothing yet.
    pub(crate) fn note_read(&self, octets: bool) {
        self.flow.receiving.store(octets, Ordering::Release);
    }

    /// A write or flush has to wait for the peer.
    pub(crate) fn note_blocked(&self) {
        self.flow.receiving.store(false, Ordering::Relaxed);
        if !self.flow.blocked.swap(true, Ordering::AcqRel) {
            lock(&self.flow.room).wait(Instant::now());
        }
    }

    /// The peer took something: it may be given more, or less, at once.
    fn note_room(&self) {
        let size = lock(&self.flow.room).go(Instant::now());
        self.set_room(size);
    }

    fn set_room(&self, size: Option<usize>) {
        if let (Some(size), Some(tcp)) = (size, self.tcp()) {
            self.flow.roomy.store(size, Ordering::Relaxed);
            tcp.limit_unsent(room::unsent(size));
        }
    }

    /// Everything written has left user space.
    pub(crate) fn note_flushed(&self) {
        self.flow.receiving.store(false, Ordering::Relaxed);
        self.note_unblocked();
        let flushes = self.flow.flushes.load(Ordering::Relaxed) + 1;
        self.flow.flushes.store(flushes, Ordering::SeqCst);
        if self.flow.unflushed_any.load(Ordering::Acquire) {
            self.flow.unflushed_any.store(false, Ordering::Release);
            let mut whole = std::mem::take(&mut *lock(&self.flow.unflushed));
            for exchange in whole.drain(..) {
                exchange.delivered();
            }
            // Keeps the room for the next response.
            *lock(&self.flow.unflushed) = whole;
        }
        self.wake_flush_waiters();
    }

    /// Keeps a whole HTTP/1 response until the next flush has carried its last octets.
    pub(crate) fn settle_at_flush(&self, exchange: Arc<dyn Message>) {
        lock(&self.flow.unflushed).push(exchange);
        self.flow.unflushed_any.store(true, Ordering::Release);
    }

    /// Takes the responses whose last octets no flush has carried.
    pub(crate) fn take_unflushed(&self) -> Vec<Arc<dyn Message>> {
        std::mem::take(&mut *lock(&self.flow.unflushed))
    }

    pub(super) fn wake_flush_waiters(&self) {
        if self.flow.flush_awaited.load(Ordering::SeqCst)
            && self.flow.flush_awaited.swap(false, Ordering::SeqCst)
        {
            for waker in std::mem::take(&mut *lock(&self.flow.flush_waiters)) {
                waker.wake();
            }
        }
    }

    /// Wakes the task at the next flush; register first, then look.
    pub(crate) fn await_flush(&self, cx: &Context<'_>) {
        let mut waiters = lock(&self.flow.flush_waiters);
        // Polled again before the flush: one waker of a task is enough.
        if !waiters
            .last()
            .is_some_and(|last| last.will_wake(cx.waker()))
        {
            waiters.push(cx.waker().clone());
        }
        drop(waiters);
        self.flow.flush_awaited.store(true, Ordering::SeqCst);
    }

    pub(crate) fn flushes(&self) -> u64 {
        self.flow.flushes.load(Ordering::SeqCst)
    }

    pub(crate) fn written(&self) -> u64 {
        self.flow.written.load(Ordering::Acquire)
    }

    pub(crate) fn is_receiving(&self) -> bool {
        self.flow.receiving.load(Ordering::Acquire)
    }

    /// Whether the connection waits for its peer to take octets.
    pub(crate) fn is_blocked(&self) -> bool {
        self.flow.blocked.load(Ordering::Acquire) || self.is_crowded()
    }

    /// Whether a body waits for the peer although nothing written does.
    pub(crate) fn is_crowded(&self) -> bool {
        self.flow.crowded.load(Ordering::Acquire)
    }

    /// Waits until the kernel takes a whole frame.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(tcp) = self.tcp() else {
            return Poll::Ready(());
        };
        if tcp.poll_room(cx).is_pending() {
            if !self.flow.crowded.swap(true, Ordering::AcqRel) {
                lock(&self.flow.room).wait(Instant::now());
            }
            return Poll::Pending;
        }
        if self.flow.crowded.load(Ordering::Relaxed) {
            self.flow.crowded.store(false, Ordering::Release);
            self.note_room();
        } else {
            let size = lock(&self.flow.room).flow(self.written(), || tcp.unacknowledged());
            self.set_room(size);
        }
        Poll::Ready(())
    }

    /// Octets that a frame best has.
    pub(crate) fn room(&self) -> usize {
        self.flow.roomy.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use tokio::net::UnixStream;

    use super::*;
    use crate::wire::remote::Remote;
    use crate::wire::socket::SharedTcp;
    use crate::wire::stream::Stream;

    #[tokio::test]
    async fn a_flush_that_comes_through_ends_the_wait() -> std::io::Result<()> {
        let (stream, _peer) = UnixStream::pair()?;
        let tcp = SharedTcp::new(Stream::Unix(stream));
        let conn = Conn::new(tcp, false, Remote::Unix { uid: None });
        conn.note_blocked();
        assert!(conn.is_blocked());
        conn.note_flushed();
        assert!(!conn.is_blocked());
        assert_eq!(
            lock(&conn.flow.room).go(Instant::now()),
            None,
            "it waits on"
        );
        Ok(())
    }
}
