//! The work of a closure, polled inside its body.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use endwell_core::{Cause, Kind};

use crate::producer::{Abort, Finished, Slot, panicked};

pub(super) type Work = Pin<Box<dyn Future<Output = Result<Finished, Abort>> + Send>>;

/// Polls the closure's work until it has a frame (`Some`) or an ending (`None`).
///
/// While the work runs only a failure ends the body: a producer may say that it finished before
/// the closure, which may still fail, has returned.
pub(super) fn poll_closure(
    slot: &Arc<Slot>,
    work: &mut Option<Work>,
    cx: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    if let Poll::Ready(Some(frame)) = slot.poll_take(work.is_some(), cx) {
        return Poll::Ready(Some(frame));
    }
    if let Some(running) = work {
        // Caught here and not only outermost, so that a frame handed over before the panic is kept.
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
        if let Ok(Poll::Ready(_)) | Err(_) = polled {
            *work = None;
        }
        match polled {
            Ok(Poll::Pending) => {}
            Err(panic) => slot.overrule(panicked(&*panic)),
            Ok(Poll::Ready(returned)) => match returned {
                Ok(finished) if finished.is_of(slot) => {}
                Ok(_) => slot.overrule(Cause::new(
                    Kind::ProducerDropped,
                    "the closure returned the end of another response",
                )),
                Err(abort) => slot.overrule(abort.into_cause()),
            },
        }
    }
    let taken = std::task::ready!(slot.poll_take(work.is_some(), cx));
    if taken.is_none() {
        // A failure that was said, or a dropped producer, cannot be taken back by what still runs.
        *work = None;
    }
    Poll::Ready(taken)
}
