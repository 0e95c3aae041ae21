//! Which parts have something to do.
//!
//! Reads: wakes, from any thread. Gives: the numbers of the parts that were woken, each once, and
//! one wake of the task that polls the page. So of many parts only those are polled that can go on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use atomic_waker::AtomicWaker;

/// Of one page: who was woken, and who polls it.
#[derive(Debug, Default)]
pub(super) struct Woken {
    parts: Mutex<Vec<usize>>,
    page: AtomicWaker,
}

impl Woken {
    /// Registers the task that polls the page.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.page.register(cx.waker());
    }

    /// Takes those that were woken.
    pub(super) fn take(&self, due: &mut VecDeque<usize>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        due.extend(parts.drain(..));
    }
}

/// The waker of one part.
#[derive(Debug)]
pub(super) struct Bell {
    part: usize,
    rung: AtomicBool,
    woken: Arc<Woken>,
}

impl Bell {
    /// It counts as rung: whoever makes it polls the part at once.
    pub(super) fn new(part: usize, woken: &Arc<Woken>) -> Arc<Self> {
        Arc::new(Self {
            part,
            rung: AtomicBool::new(true),
            woken: Arc::clone(woken),
        })
    }

    /// Before the part is polled: wakes count again from here on.
    pub(super) fn heard(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut parts = self
            .woken
            .parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        parts.push(self.part);
        drop(parts);
        self.woken.page.wake();
    }
}

/// A bell as a waker.
pub(super) fn waker(bell: &Arc<Bell>) -> Waker {
    Waker::from(Arc::clone(bell))
}
