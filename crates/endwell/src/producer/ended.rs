//! The record of a response, for its producer.
//!
//! Reads: what the last [`Witness`] of a response tells. Gives: [`Ended`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use endwell_core::{FailedPart, Record};

use super::slot::Slot;

/// Waits for the record of a response. Made by [`Producer::ended`](super::Producer::ended).
///
/// It gives the [`Record`] that an [`Observer`](crate::Observer) gets, also if there is none,
/// once nothing of the response is left: its last octet was delivered or given up, and a
/// connection that had to be closed for it was.
///
/// It gives `None` when nobody can say how the response ended: it was dropped before
/// a server of ours or a [`Layer`](crate::Layer) had seen it (a time-out or another middleware put
/// its own in place), it was served without one, or its body was made part of another body.
#[must_use = "futures do nothing unless polled"]
pub struct Ended(Pin<Box<dyn Future<Output = Option<Record>> + Send>>);

impl Ended {
    pub(super) fn new(slot: &Arc<Slot>) -> Self {
        let slot = Arc::clone(slot);
        Self(Box::pin(async move {
            loop {
                let changed = slot.changed.notified();
                if let Some(told) = slot.record.get() {
                    return told.as_deref().cloned();
                }
                changed.await;
            }
        }))
    }
}

impl Future for Ended {
    type Output = Option<Record>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ended")
    }
}

/// Somebody who may still tell how the response ended; the last one's drop ends the waiting.
#[derive(Debug)]
pub(crate) struct Witness {
    slot: Arc<Slot>,
}

impl Witness {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        slot.witnesses.fetch_add(1, Ordering::Relaxed);
        Self { slot }
    }

    /// Where the producer's octets are.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// The parts of the page that failed.
    pub(crate) fn failed_parts(&self) -> Vec<FailedPart> {
        self.slot.take_failed_parts()
    }

    /// Whether somebody could still ask: the producer, or what was made of it, is somewhere.
    pub(crate) fn is_asked(&self) -> bool {
        Arc::strong_count(&self.slot) > self.slot.witnesses.load(Ordering::Acquire)
    }

    /// Tells how the response ended. The first word stays.
    pub(crate) fn tell(&self, record: Option<Box<Record>>) {
        let _ = self.slot.record.set(record);
        self.slot.changed.notify_waiters();
    }
}

impl Clone for Witness {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.slot))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let last = self.slot.witnesses.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && Arc::strong_count(&self.slot) > 1 {
            self.tell(None);
        }
    }
}
