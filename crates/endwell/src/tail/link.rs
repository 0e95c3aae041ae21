//! What the layer knows and a body with a tail must know.
//!
//! Reads: from the layer, that the head is held or has left, the promised length, the client's last
//! event, and an ending that the server says. Gives: all that to the body, however deep it lies.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::Context;

use atomic_waker::AtomicWaker;
use endwell_core::Ending;
use http::HeaderValue;

/// Between the layer and a body with a tail.
#[derive(Debug)]
pub(crate) struct Link {
    head: AtomicU8,
    /// `u64::MAX`: none.
    promised: AtomicU64,
    last_event: OnceLock<HeaderValue>,
    ordered: AtomicBool,
    order: Mutex<Option<Ending>>,
    body: AtomicWaker,
}

/// Nobody tells where the head is.
const UNKNOWN: u8 = 0;
const HELD: u8 = 1;
const LEFT: u8 = 2;

impl Default for Link {
    fn default() -> Self {
        Self {
            head: AtomicU8::new(UNKNOWN),
            promised: AtomicU64::new(u64::MAX),
            last_event: OnceLock::new(),
            ordered: AtomicBool::new(false),
            order: Mutex::new(None),
            body: AtomicWaker::new(),
        }
    }
}

impl Link {
    /// The head is held: until it leaves, a failure is a real 5xx and needs no tail.
    pub(crate) fn hold(&self, promised: Option<u64>, last_event: Option<HeaderValue>) {
        self.promised
            .store(promised.unwrap_or(u64::MAX), Ordering::Release);
        if let Some(last_event) = last_event {
            let _ = self.last_event.set(last_event);
        }
        self.head.store(HELD, Ordering::Release);
    }

    /// The head leaves: from here on only the body can tell.
    pub(crate) fn let_go(&self) {
        self.head.store(LEFT, Ordering::Release);
    }

    /// Asks the body to end so, with its tail.
    pub(crate) fn order(&self, ending: Ending) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.get_or_insert(ending);
        drop(order);
        self.ordered.store(true, Ordering::Release);
        self.body.wake();
    }

    /// Whether the head has left; if nobody tells, it has once the body gave anything.
    pub(super) fn has_left(&self, gave: bool) -> bool {
        match self.head.load(Ordering::Acquire) {
            HELD => false,
            LEFT => true,
            _ => gave,
        }
    }

    pub(super) fn promised(&self) -> Option<u64> {
        let promised = self.promised.load(Ordering::Acquire);
        (promised != u64::MAX).then_some(promised)
    }

    pub(super) fn last_event(&self) -> Option<&[u8]> {
        self.last_event.get().map(HeaderValue::as_bytes)
    }

    /// The ending that the server said meanwhile, once.
    pub(super) fn ordered(&self) -> Option<Ending> {
        if !self.ordered.load(Ordering::Acquire) {
            return None;
        }
        self.order
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Wakes the body's task when the server says an ending.
    pub(super) fn await_order(&self, cx: &Context<'_>) {
        self.body.register(cx.waker());
    }
}
