//! The handle that writes a body and must say how it ended.
//!
//! Reads: octets from the code that makes them. Gives: a [`Slot`] that a body empties,
//! with an [`Ending`]. Never: says complete because something was dropped.

mod abort;

mod slot;

mod cancellation;

mod ended;

mod writer;

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::trailers::Trailers;
use bytes::Bytes;
use endwell_core::{Cause, Ending, FailedPart, Kind};

pub use self::abort::{Abort, BoxError};
pub(crate) use self::abort::{cause_of, find, panicked};
pub use self::cancellation::Cancellation;
pub use self::ended::Ended;
pub(crate) use self::ended::Witness;
pub(crate) use self::slot::{Room, Slot};
pub use self::writer::Writer;

/// Writes a response body and must say how it ended.
///
/// [`finish`](Producer::finish) and [`fail`](Producer::fail) consume it and give the
/// [`Finished`] that a [`stream`](crate::stream) closure returns. A producer that is dropped
/// has failed: with [`Kind::ProducerPanicked`] if a panic dropped it, else with
/// [`Kind::ProducerDropped`]. A forgotten call, a panic or an aborted task can never look like a
/// whole response.
///
/// There is one producer for a body, because there is one ending. Work of several tasks comes
/// together in the one that holds it: see [`channel`](crate::channel).
///
/// # Cancel safety
/// When the client leaves, the body is dropped and with it the closure's future, at its last
/// `await`. A producer moved to a task of its own gets [`ClientGone`] from its next call; a task
/// that is busy with something else waits for [`cancelled`](Producer::cancelled) beside it.
#[derive(Debug)]
pub struct Producer {
    slot: Arc<Slot>,
    said: bool,
    /// Whoever runs the code that holds it says how it ended if it does not.
    answered_for: bool,
}

impl Producer {
    pub(crate) fn new(room: Room) -> (Self, Witness) {
        let slot = Arc::new(Slot::new(room));
        let witness = Witness::new(Arc::clone(&slot));
        let producer = Self {
            slot,
            said: false,
            answered_for: false,
        };
        (producer, witness)
    }

    /// Leaves the ending of a dropped producer to whoever runs the code that holds it.
    #[cfg(feature = "listen")]
    pub(crate) fn answered_for(mut self) -> Self {
        self.answered_for = true;
        self
    }

    /// Hands over octets; waits while there is no room for them.
    ///
    /// In a [`stream`](crate::stream) closure there is room for one frame, in a
    /// [`channel`](crate::channel) for up to 32 while they hold less than 64 KiB or
    /// [`frame_size`](Producer::frame_size). Small frames that wait together leave as one.
    /// An empty frame is [`commit`](Producer::commit).
    ///
    /// What still waits there when the server itself ends the response, at the deadline of a drain, is
    /// dropped; `octets_produced` of the record counts what was taken out.
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

    /// Hands over octets if there is room for them now.
    ///
    /// # Errors
    /// [`TrySendError`], with the octets in it.
    pub fn try_send(&mut self, octets: impl Into<Bytes>) -> Result<(), TrySendError> {
        let mut octets = Some(octets.into());
        let put = self.slot.try_put(&mut octets);
        let octets = octets.unwrap_or_default();
        match put {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(ClientGone)) => Err(TrySendError::ClientGone(octets)),
            Poll::Pending => Err(TrySendError::Full(octets)),
        }
    }

    /// How many octets the next frame best has: what the connection advises, from
    /// 8 KiB for a peer that has not shown yet that it reads to 256 KiB for one that reads fast.
    ///
    /// A frame of any size is sent; one of this size costs little memory when the peer stalls.
    pub fn frame_size(&self) -> usize {
        self.slot.advised()
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
        self.slot.degrade(cause.into());
    }

    /// Puts a part of the page that failed into the record.
    pub(crate) fn part_failed(&mut self, part: FailedPart) {
        self.slot.part_failed(part);
    }

    /// Adds trailer fields, sent after a complete end where protocol and client allow; what cannot
    /// be sent is named in the record. Announce them with [`Body::may_trail`](crate::Body::may_trail).
    pub fn trailers(&mut self, fields: Trailers) {
        self.slot.trailers(fields.into_fields());
    }

    /// Waits until nobody reads the body any more.
    ///
    /// For a producer in a task of its own that waits for something else. A
    /// [`stream`](crate::stream) closure needs it for nothing: it is dropped then.
    ///
    /// # Cancel safety
    /// It may be dropped and called again.
    pub async fn cancelled(&self) {
        self.cancellation().cancelled().await;
    }

    /// Tells spawned tasks and threads that nobody reads the body any more.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation::new(&self.slot)
    }

    /// Waits for the record of this response: how it ended on the wire, not what the producer said.
    ///
    /// Take it before [`finish`](Producer::finish) or [`fail`](Producer::fail) consumes the
    /// producer, and wait for it elsewhere than in the closure, which is over by then. It gives
    /// `None` when nobody can tell: see [`Ended`].
    ///
    /// # Examples
    /// ```
    /// let body = endwell::stream(|mut producer| async move {
    ///     let ended = producer.ended();
    ///     tokio::spawn(async move {
    ///         if let Some(record) = ended.await {
    ///             println!("{} octets, {}", record.tally.sent, record.ending.as_str());
    ///         }
    ///     });
    ///     producer.send("one row\n").await?;
    ///     Ok(producer.finish())
    /// });
    /// ```
    pub fn ended(&self) -> Ended {
        Ended::new(&self.slot)
    }

    /// Says that all was produced: complete, or degraded after [`degrade`](Producer::degrade).
    pub fn finish(mut self) -> Finished {
        self.finish_after(Bytes::new())
    }

    /// Says that what should have followed never will.
    pub fn fail(mut self, cause: impl Into<Cause>) -> Finished {
        self.say(Bytes::new(), Ending::Failed(cause.into()))
    }

    fn finish_after(&mut self, last: Bytes) -> Finished {
        let ending = self.slot.whole();
        self.say(last, ending)
    }

    fn say(&mut self, last: Bytes, ending: Ending) -> Finished {
        self.said = true;
        self.slot.say(last, Some(ending));
        Finished {
            slot: Arc::clone(&self.slot),
        }
    }

    /// What the drop of a producer that said nothing means.
    fn leave(&mut self, last: Bytes) {
        if std::mem::replace(&mut self.said, true) {
            return;
        }
        let ending = (!self.answered_for).then(|| Ending::Failed(dropped()));
        self.slot.say(last, ending);
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.leave(Bytes::new());
    }
}

/// Why a producer went away.
fn dropped() -> Cause {
    if std::thread::panicking() {
        let message = "a panic dropped the producer";
        return Cause::new(Kind::ProducerPanicked, message);
    }
    let message = "the producer was dropped without saying how it ended";
    Cause::new(Kind::ProducerDropped, message)
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

/// Why [`Producer::try_send`] did not take the octets, with the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrySendError {
    /// There is no room for them now.
    Full(Bytes),
    /// Nobody reads the body any more.
    ClientGone(Bytes),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(octets) => write!(f, "no room for {} octets now", octets.len()),
            Self::ClientGone(_) => ClientGone.fmt(f),
        }
    }
}

impl StdError for TrySendError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::ClientGone(_) => Some(&ClientGone),
        }
    }
}
