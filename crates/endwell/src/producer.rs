//! The handle that writes a body and must say how it ended.
//!
//! Reads: octets from the code that makes them. Gives: a [`Slot`] that a body empties,
//! with an [`Ending`]. Never: says complete because something was dropped.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use endwell_core::{Cause, Ending, Kind};
use http::HeaderMap;

use crate::trailers::Trailers;

/// Any error, as it comes out of other people's code.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Writes a response body and must say how it ended.
///
/// [`finish`](Producer::finish) and [`fail`](Producer::fail) consume it and give the
/// [`Finished`] that a [`stream`](crate::stream) closure returns. A producer that is dropped
/// has failed with [`Kind::ProducerDropped`]: a forgotten call, a panic or an aborted task can
/// never look like a whole response.
///
/// # Cancel safety
/// When the client leaves, the body is dropped and with it the closure's future, at its last
/// `await`. A producer moved to a task of its own gets [`ClientGone`] from its next call.
#[derive(Debug)]
pub struct Producer {
    slot: Arc<Slot>,
    said: bool,
}

impl Producer {
    pub(crate) fn new() -> (Self, Arc<Slot>) {
        let slot = Arc::new(Slot::default());
        let producer = Self {
            slot: Arc::clone(&slot),
            said: false,
        };
        (producer, slot)
    }

    /// Hands over octets; waits while the frame before has not been taken.
    ///
    /// An empty frame is [`commit`](Producer::commit).
    ///
    /// # Errors
    /// [`ClientGone`] when nobody reads the body any more.
    ///
    /// # Cancel safety
    /// A dropped call either handed over all of `octets` or none.
    pub async fn send(&mut self, octets: impl Into<Bytes>) -> Result<(), ClientGone> {
        let mut octets = Some(octets.into());
        poll_fn(|cx| self.slot.poll_put(&mut octets, cx)).await
    }

    /// How many octets the next frame best has: what the connection advises, from
    /// 8 KiB for a peer that has not shown yet that it reads to 256 KiB for one that reads fast.
    ///
    /// A frame of any size is sent; one of this size costs little memory when the peer stalls.
    pub fn frame_size(&self) -> usize {
        self.slot.advised.load(Ordering::Relaxed)
    }

    /// Lets the head go out before the first octet.
    ///
    /// From here on an error can no longer become a 5xx.
    ///
    /// # Errors
    /// [`ClientGone`] when nobody reads the body any more.
    pub async fn commit(&mut self) -> Result<(), ClientGone> {
        self.send(Bytes::new()).await
    }

    /// Says that something in the body is wrong although it will be finished.
    ///
    /// The first cause stays. [`finish`](Producer::finish) then ends as degraded.
    pub fn degrade(&mut self, cause: impl Into<Cause>) {
        let mut state = self.slot.lock();
        state.degraded.get_or_insert(cause.into());
    }

    /// Adds trailer fields, sent after a complete end where protocol and client allow; what cannot
    /// be sent is named in the record. Announce them with [`Body::may_trail`](crate::Body::may_trail).
    pub fn trailers(&mut self, fields: Trailers) {
        self.slot.lock().trailers = Some(fields.into_fields());
    }

    /// Says that all was produced: complete, or degraded after [`degrade`](Producer::degrade).
    pub fn finish(mut self) -> Finished {
        let degraded = self.slot.lock().degraded.take();
        self.say(degraded.map_or(Ending::Complete, Ending::Degraded))
    }

    /// Says that what should have followed never will.
    pub fn fail(mut self, cause: impl Into<Cause>) -> Finished {
        self.say(Ending::Failed(cause.into()))
    }

    fn say(&mut self, ending: Ending) -> Finished {
        self.said = true;
        self.slot.say(ending);
        Finished {
            slot: Arc::clone(&self.slot),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if !self.said {
            let message = "the producer was dropped without saying how it ended";
            self.slot
                .say(Ending::Failed(Cause::new(Kind::ProducerDropped, message)));
        }
    }
}

/// The proof that a [`Producer`] said how it ended. Nothing else makes one.
#[derive(Debug)]
#[must_use = "return it from the closure: without it the response ends as failed"]
pub struct Finished {
    slot: Arc<Slot>,
}

impl Finished {
    /// Whether it belongs to this body, and not to another one.
    pub(crate) fn is_of(&self, slot: &Arc<Slot>) -> bool {
        Arc::ptr_eq(&self.slot, slot)
    }
}

/// Nobody reads the body any more: the client has left, or the response was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientGone;

impl fmt::Display for ClientGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads the response body any more")
    }
}

impl StdError for ClientGone {}

/// Why a [`stream`](crate::stream) closure gave up; `?` turns any error into one.
///
/// A [`Cause`] inside the error is found again; any other error becomes
/// [`Kind::ProducerError`] with its text as message.
///
/// # Examples
/// ```
/// use endwell::{Abort, Cause, Kind};
/// let abort = Abort::from(Cause::new(Kind::SourceChanged, "the file shrank"));
/// assert_eq!(abort.cause().kind, Kind::SourceChanged);
/// let abort = Abort::from(std::io::Error::other("disk"));
/// assert_eq!(abort.cause().to_string(), "producer_error: disk");
/// ```
#[derive(Debug)]
pub struct Abort(Cause);

impl Abort {
    /// What it will be recorded as.
    pub fn cause(&self) -> &Cause {
        &self.0
    }

    /// The cause, taken out.
    pub fn into_cause(self) -> Cause {
        self.0
    }
}

impl<E: Into<BoxError>> From<E> for Abort {
    fn from(error: E) -> Self {
        Self(cause_of(&*error.into()))
    }
}

/// Finds the cause inside an error, or makes one of its text.
pub(crate) fn cause_of(error: &(dyn StdError + 'static)) -> Cause {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<Cause>() {
            return cause.clone();
        }
        if error.is::<ClientGone>() {
            return Cause::new(Kind::ClientGone, error.to_string());
        }
        next = error.source();
    }
    Cause::producer(in_full(error))
}

/// The cause of a panic, with its message if it had one.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Cause {
    let message = panic
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned());
    Cause::new(Kind::ProducerPanicked, message)
}

/// The error's text with what lies below it.
fn in_full(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(below) = next {
        let more = below.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = below.source();
    }
    text
}

/// Before a connection has advised anything: small, so that the first octet leaves early.
const FRAME: usize = 8 * 1024;

/// One frame of room between a producer and its body.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<State>,
    /// Octets that the next frame best has.
    advised: AtomicUsize,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            advised: AtomicUsize::new(FRAME),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    frame: Option<Bytes>,
    trailers: Option<HeaderMap>,
    degraded: Option<Cause>,
    said: Option<Ending>,
    abandoned: bool,
    body: Option<Waker>,
    producer: Option<Waker>,
}

impl Slot {
    /// The connection has room for frames of so many octets.
    pub(crate) fn advise(&self, octets: usize) {
        self.advised.store(octets, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_put(
        &self,
        octets: &mut Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientGone>> {
        let mut state = self.lock();
        if state.abandoned {
            return Poll::Ready(Err(ClientGone));
        }
        if state.frame.is_some() {
            keep(&mut state.producer, cx);
            return Poll::Pending;
        }
        state.frame = octets.take();
        let body = state.body.take();
        drop(state);
        wake(body);
        Poll::Ready(Ok(()))
    }

    fn say(&self, ending: Ending) {
        let mut state = self.lock();
        state.said.get_or_insert(ending);
        let body = state.body.take();
        drop(state);
        wake(body);
    }

    /// Takes the next frame (`Some`), or tells that an ending counts and no frame is left (`None`).
    ///
    /// While `work` that may still fail runs, only a failure counts. Frame and ending are looked
    /// at under one lock: a producer in another task may hand over its last octets and say its
    /// ending between two looks.
    pub(crate) fn poll_take(&self, work: bool, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(frame) = state.frame.take() {
            let producer = state.producer.take();
            drop(state);
            wake(producer);
            return Poll::Ready(Some(frame));
        }
        let counts = match &state.said {
            Some(Ending::Failed(_)) => true,
            Some(Ending::Complete | Ending::Degraded(_) | Ending::Cancelled(_)) => !work,
            None => false,
        };
        if counts {
            return Poll::Ready(None);
        }
        keep(&mut state.body, cx);
        Poll::Pending
    }

    /// The ending that was said, once.
    pub(crate) fn take_said(&self) -> Option<(Ending, Option<HeaderMap>)> {
        let mut state = self.lock();
        let ending = state.said.clone()?;
        Some((ending, state.trailers.take()))
    }

    /// Ends as failed whatever was said: a closure that returns an error did not finish.
    pub(crate) fn overrule(&self, cause: Cause) {
        self.lock().said = Some(Ending::Failed(cause));
    }

    /// The body is gone: the producer's next call learns of it.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.frame = None;
        let producer = state.producer.take();
        drop(state);
        wake(producer);
    }
}

fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
