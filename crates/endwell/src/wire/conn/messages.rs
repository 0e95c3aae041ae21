//! The requests and responses of a connection: which are under way, how many there were, and whether one more may come.
//!
//! Reads: heads as they begin and end. Gives: the list by which orders reach every response, and counts to the limits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use slab::Slab;
use tokio::sync::Notify;

use super::{Conn, lock};

/// What a connection knows of each request and response on it.
pub(crate) trait Message: Send + Sync {
    /// Something happened that the task driving it should look at.
    fn wake(&self);
    /// A flush carried its last octets.
    fn delivered(&self);
    /// The connection ended before that.
    fn undelivered(&self);
    /// The signal of its ending is on the wire.
    fn signalled(&self);
    /// Its octets on their way through HTTP/2.
    fn progress(&self) -> Progress;
}

/// How far a message's octets have come through HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Chunks that are on their way.
    pub(crate) waiting: u64,
    /// Chunks that have left.
    pub(crate) left: u64,
}

/// What is under way on a connection, and what was.
#[derive(Default)]
pub(super) struct Messages {
    /// A head has begun that is not whole.
    head_begun: AtomicBool,
    /// The request that came last has content, of HTTP/1.
    content: AtomicBool,
    /// Requests that have come.
    requests: AtomicU64,
    /// Requests that the peer cancelled, less those that it let end.
    cancelled: AtomicU64,
    multiplexed: AtomicBool,
    live: Mutex<Slab<Weak<dyn Message>>>,
    /// Told when the last response under way has ended.
    idle: Notify,
}

impl Conn {
    /// A head has begun, of HTTP/1.
    pub(crate) fn note_head(&self) {
        self.messages.head_begun.store(true, Ordering::Relaxed);
    }

    /// The peer speaks HTTP/2.
    pub(crate) fn note_multiplexed(&self) {
        self.messages.multiplexed.store(true, Ordering::Relaxed);
        // The first letters of the preface may have come alone, and looked like a method.
        self.messages.head_begun.store(false, Ordering::Relaxed);
    }

    /// A request has come: whether content follows its head.
    pub(crate) fn note_content(&self, content: bool) {
        self.messages.content.store(content, Ordering::Relaxed);
    }

    /// Whether a head has begun that is not whole.
    pub(crate) fn has_head(&self) -> bool {
        self.messages.head_begun.load(Ordering::Relaxed)
    }

    /// Whether what comes may be content of the request that came last.
    pub(crate) fn has_content(&self) -> bool {
        self.messages.content.load(Ordering::Relaxed)
    }

    /// Whether it carries many messages at once.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.messages.multiplexed.load(Ordering::Relaxed)
    }

    /// A request and its response are under way from here on; gives the key to discharge them by.
    pub(crate) fn enlist(&self, message: Weak<dyn Message>, multiplexed: bool) -> usize {
        self.messages
            .multiplexed
            .store(multiplexed, Ordering::Relaxed);
        self.messages.head_begun.store(false, Ordering::Relaxed);
        self.messages.requests.fetch_add(1, Ordering::Relaxed);
        lock(&self.messages.live).insert(message)
    }

    /// They have ended.
    pub(crate) fn discharge(&self, key: usize) {
        let mut live = lock(&self.messages.live);
        live.try_remove(key);
        if live.is_empty() {
            self.messages.idle.notify_waiters();
        }
    }

    /// Those under way.
    pub(crate) fn live(&self) -> Vec<Arc<dyn Message>> {
        lock(&self.messages.live)
            .iter()
            .filter_map(|(_, exchange)| exchange.upgrade())
            .collect()
    }

    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.messages.live).is_empty()
    }

    /// Tells when the last response under way has ended.
    pub(crate) fn idle(&self) -> &Notify {
        &self.messages.idle
    }

    /// Counts a request of which the application is to hear; `false` if it is one too many.
    pub(crate) fn admit(&self) -> bool {
        let (Some(place), Some(limits)) = (self.place.get(), self.limits()) else {
            return true;
        };
        place.begin_request(lock(&self.messages.live).len(), limits.requests)
    }

    /// Nothing is left of a request that was admitted.
    pub(crate) fn dismiss(&self) {
        if let Some(place) = self.place.get() {
            place.end_request();
        }
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> u64 {
        self.messages.requests.load(Ordering::Relaxed)
    }

    /// A request has ended, cancelled by the peer or not.
    pub(crate) fn note_request_over(&self, cancelled: bool) {
        let count = |score: u64| match cancelled {
            true => score.checked_add(1),
            false => score.checked_sub(1),
        };
        let _ = self
            .messages
            .cancelled
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    /// Requests that the peer cancelled, less those that it let end.
    pub(crate) fn cancelled(&self) -> u64 {
        self.messages.cancelled.load(Ordering::Relaxed)
    }
}
