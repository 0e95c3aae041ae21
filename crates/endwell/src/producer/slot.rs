//! The room between a producer and its body, and what both may know of each other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use endwell_core::{Cause, Ending, FailedPart, Record};
use http::HeaderMap;
use tokio::sync::Notify;

use super::ClientGone;

/// Before a connection has advised anything: small, so that the first octet leaves early.
const FRAME: usize = 8 * 1024;

/// Frames that may wait for the body when their producer runs beside it: a task or thread that
/// makes small ones is then woken once for several of them.
const FRAMES: usize = 32;

/// Octets that may wait then, if the connection does not advise larger frames: a thread that
/// writes frames of 8 KiB is woken once for four of them, and a client that does not read costs
/// no more than that and one frame.
const WAITING: usize = 64 * 1024;

/// Small frames that wait together leave as one of at most so many octets: to copy them costs less
/// than to frame and write each.
const JOINED: usize = 8 * 1024;

/// How many frames may wait for the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// One: the producer is polled by the body itself, and would gain nothing by working ahead.
    One,
    /// [`FRAMES`], while they hold less than [`WAITING`] or one frame that the connection advises.
    Several,
}

/// The room between a producer and its body.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Mutex<State>,
    room: Room,
    /// Octets that the next frame best has.
    advised: AtomicUsize,
    /// Nobody reads the body any more.
    abandoned: AtomicBool,
    /// How many may still tell how the response ended.
    pub(super) witnesses: AtomicUsize,
    /// What they told; `None` if the last one had nothing to tell.
    pub(super) record: OnceLock<Option<Box<Record>>>,
    /// Wakes whoever waits for one of the two.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frame: Option<Bytes>,
    /// Those after it.
    more: VecDeque<Bytes>,
    /// Octets of all of them.
    octets: usize,
    trailers: Option<HeaderMap>,
    degraded: Option<Cause>,
    failed_parts: Vec<FailedPart>,
    said: Option<Ending>,
    body: Option<Waker>,
    producer: Option<Waker>,
}

impl State {
    /// Whether another frame may wait, as far as so many frames and octets leave room.
    fn has_room(&self, room: Room, frames: usize, octets: usize) -> bool {
        let among_several = self.more.len() + 1 < frames && self.octets < octets;
        self.frame.is_none() || (room == Room::Several && among_several)
    }

    fn put(&mut self, frame: Bytes) {
        self.octets += frame.len();
        match self.frame {
            None => self.frame = Some(frame),
            Some(_) => self.more.push_back(frame),
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        let frame = self.frame.take()?;
        self.octets -= frame.len();
        self.frame = self.more.pop_front();
        Some(frame)
    }

    /// Whether the next frame may be joined to so many octets. An empty one stays what it is: a commit.
    fn joins(&self, octets: usize) -> bool {
        let next = self.frame.as_ref().map_or(0, Bytes::len);
        next > 0 && octets > 0 && octets + next <= JOINED
    }

    /// The next frame, with those after it that are small.
    fn take(&mut self) -> Option<Bytes> {
        let first = self.pop()?;
        if !self.joins(first.len()) {
            return Some(first);
        }
        let waiting = first.len() + self.octets;
        let mut joined = BytesMut::with_capacity(waiting.min(JOINED));
        joined.extend_from_slice(&first);
        while self.joins(joined.len())
            && let Some(next) = self.pop()
        {
            joined.extend_from_slice(&next);
        }
        Some(joined.freeze())
    }
}

impl Slot {
    pub(super) fn new(room: Room) -> Self {
        Self {
            state: Mutex::default(),
            room,
            advised: AtomicUsize::new(FRAME),
            abandoned: AtomicBool::new(false),
            witnesses: AtomicUsize::new(0),
            record: OnceLock::new(),
            changed: Notify::new(),
        }
    }

    /// The connection has room for frames of so many octets.
    pub(crate) fn advise(&self, octets: usize) {
        self.advised.store(octets, Ordering::Relaxed);
    }

    /// Octets that the next frame best has.
    pub(super) fn advised(&self) -> usize {
        self.advised.load(Ordering::Relaxed)
    }

    /// Octets that may wait.
    fn waiting(&self) -> usize {
        self.advised().max(WAITING)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody reads the body any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Takes the octets if there is room; `None` in them says that they were taken.
    pub(super) fn poll_put(
        &self,
        octets: &mut Option<Bytes>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ClientGone>> {
        self.put(octets, |state| keep(&mut state.producer, cx))
    }

    /// The same for someone who does not wait.
    pub(super) fn try_put(&self, octets: &mut Option<Bytes>) -> Poll<Result<(), ClientGone>> {
        self.put(octets, |_| {})
    }

    fn put(
        &self,
        octets: &mut Option<Bytes>,
        wait: impl FnOnce(&mut State),
    ) -> Poll<Result<(), ClientGone>> {
        let mut state = self.lock();
        // Looked at under the lock: `abandon` takes it after this was set, and then wakes.
        if self.is_abandoned() {
            return Poll::Ready(Err(ClientGone));
        }
        if !state.has_room(self.room, FRAMES, self.waiting()) {
            wait(&mut state);
            return Poll::Pending;
        }
        if let Some(octets) = octets.take() {
            state.put(octets);
        }
        let body = state.body.take();
        drop(state);
        wake(body);
        Poll::Ready(Ok(()))
    }

    /// Takes the last octets, for which there is always room, and how the body ends after them.
    ///
    /// Without an ending somebody else will say it.
    pub(super) fn say(&self, last: Bytes, ending: Option<Ending>) {
        let mut state = self.lock();
        if state.said.is_none() {
            if !last.is_empty() && !self.is_abandoned() {
                state.put(last);
            }
            state.said = ending;
        }
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
        if let Some(frame) = state.take() {
            // Woken at half, so that it has something to do before it waits again.
            let half = state.has_room(self.room, FRAMES / 2, self.waiting() / 2);
            let producer = state.producer.take_if(|_| half);
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

    /// Keeps trailer fields for a complete end.
    pub(super) fn trailers(&self, fields: HeaderMap) {
        self.lock().trailers = Some(fields);
    }

    /// Keeps the first cause of a degraded end.
    pub(super) fn degrade(&self, cause: Cause) {
        self.lock().degraded.get_or_insert(cause);
    }

    /// Keeps for the record that a part of the page failed.
    pub(super) fn part_failed(&self, part: FailedPart) {
        self.lock().failed_parts.push(part);
    }

    /// Takes the parts that failed.
    pub(super) fn take_failed_parts(&self) -> Vec<FailedPart> {
        std::mem::take(&mut self.lock().failed_parts)
    }

    /// How a producer that has produced all ends: complete, or degraded.
    pub(super) fn whole(&self) -> Ending {
        let degraded = self.lock().degraded.take();
        degraded.map_or(Ending::Complete, Ending::Degraded)
    }

    /// Whether the producer has said that the body is complete.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.lock().said, Some(Ending::Complete))
    }

    /// The ending that was said, once. A degraded one leaves the trailer fields to
    /// [`take_trailers`](Slot::take_trailers): a body that ends with an error has none.
    pub(crate) fn take_said(&self) -> Option<(Ending, Option<HeaderMap>)> {
        let mut state = self.lock();
        let ending = state.said.clone()?;
        let trailers = match ending {
            Ending::Degraded(_) => None,
            Ending::Complete | Ending::Failed(_) | Ending::Cancelled(_) => state.trailers.take(),
        };
        Some((ending, trailers))
    }

    /// Trailer fields of a degraded end, for where that ends in order all the same.
    pub(crate) fn take_trailers(&self) -> Option<HeaderMap> {
        self.lock().trailers.take()
    }

    /// Ends as failed whatever was said: a closure that returns an error did not finish.
    pub(crate) fn overrule(&self, cause: Cause) {
        self.lock().said = Some(Ending::Failed(cause));
    }

    /// The body is gone: the producer's next call learns of it.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        let mut state = self.lock();
        let frames = (state.frame.take(), std::mem::take(&mut state.more));
        state.octets = 0;
        let producer = state.producer.take();
        drop(state);
        // Outside the lock: the owner of these octets may be anybody's code.
        drop(frames);
        wake(producer);
        self.changed.notify_waiters();
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
