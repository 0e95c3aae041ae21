//! A producer for code that blocks: `std::io::Write`.
//!
//! Reads: octets from a thread that may wait. Gives: frames of the size that the connection
//! advises. Never: says complete because it, or a writer around it, was dropped or flushed.

use std::future::Future;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use crate::trailers::Trailers;
use bytes::{Bytes, BytesMut};
use endwell_core::Cause;

use super::{Cancellation, ClientGone, Ended, Finished, Producer};

/// Writes a response body from a thread that may block, and must say how it ended.
///
/// It is an [`io::Write`] for `csv`, `serde_json`, Arrow and other writers, made by
/// [`endwell::writer`](crate::writer) or [`Producer::into_writer`]. What is written is gathered to
/// frames of [`Producer::frame_size`]; [`flush`](Write::flush) hands over what there is.
///
/// Only [`finish`](Writer::finish) ends the response as complete. Neither `flush` nor the drop
/// of a writer around it does: a dropped `Writer` hands over what it has gathered and has failed,
/// as a dropped [`Producer`] has. So end the writer around it first, take it back
/// (`into_inner`, `finish`), then finish it.
///
/// A writer that makes an end mark of its own when it is dropped (the trailer of
/// `flate2::write::GzEncoder`, say) still fails here, but those who look at its octets alone
/// may find them whole. While a panic unwinds this writer takes nothing more, so that no such mark
/// follows one; after `?` it cannot know. Prefer encoders that end only when told.
///
/// # Errors
/// Once nobody reads the response any more every call gives [`io::ErrorKind::BrokenPipe`] with
/// [`ClientGone`] inside, also one that is waiting.
///
/// # Panics
/// A call that must wait panics in an asynchronous task, as `blocking_send` of tokio's channels
/// does: it would block the thread that reads the body, on a current-thread runtime for ever.
/// Use `tokio::task::spawn_blocking` or a thread of your own.
///
/// # Examples
/// ```
/// use std::io::Write;
/// let body = endwell::writer(|mut out| {
///     for row in 0..1000 {
///         writeln!(out, "{row},{}", row * row)?;
///     }
///     Ok(out.finish())
/// });
/// # let _ = body.content_type("text/csv; charset=utf-8");
/// ```
#[derive(Debug)]
pub struct Writer {
    producer: Producer,
    gathered: BytesMut,
    /// Octets that the frame under way will have.
    size: usize,
}

impl Writer {
    /// Says that all was written: complete, or degraded after [`degrade`](Writer::degrade).
    ///
    /// It hands over what is left and does not wait.
    pub fn finish(mut self) -> Finished {
        let last = self.gathered.split().freeze();
        self.producer.finish_after(last)
    }

    /// Says that what should have followed never will, after what was written so far.
    pub fn fail(mut self, cause: impl Into<Cause>) -> Finished {
        let last = self.gathered.split().freeze();
        let ending = endwell_core::Ending::Failed(cause.into());
        self.producer.say(last, ending)
    }

    /// Lets the head go out before the first octet.
    ///
    /// # Errors
    /// See [`Writer`].
    pub fn commit(&mut self) -> io::Result<()> {
        self.flush()?;
        self.producer.blocking_send(Bytes::new()).map_err(broken)
    }

    /// Says that something in the body is wrong although it will be finished.
    ///
    /// The first cause stays.
    pub fn degrade(&mut self, cause: impl Into<Cause>) {
        self.producer.degrade(cause);
    }

    /// Adds trailer fields, sent after a complete end where protocol and client allow.
    pub fn trailers(&mut self, fields: Trailers) {
        self.producer.trailers(fields);
    }

    /// Tells whether anybody still reads the body: for a computation between two writes.
    pub fn cancellation(&self) -> Cancellation {
        self.producer.cancellation()
    }

    /// Waits for the record of this response: see [`Producer::ended`].
    pub fn ended(&self) -> Ended {
        self.producer.ended()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let frame = self.gathered.split().freeze();
        self.producer.blocking_send(frame).map_err(broken)
    }
}

impl Write for Writer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.producer.slot.is_abandoned() {
            return Err(broken(ClientGone));
        }
        if std::thread::panicking() {
            let message = "nothing more is written while a panic unwinds";
            return Err(io::Error::other(message));
        }
        if self.gathered.is_empty() {
            self.size = self.producer.frame_size().max(1);
            self.gathered.reserve(self.size);
        }
        let taken = octets.len().min(self.size - self.gathered.len());
        self.gathered.extend_from_slice(&octets[..taken]);
        if self.gathered.len() == self.size {
            self.hand_over()?;
        }
        Ok(taken)
    }

    /// Hands over what was gathered; waits while there is no room for it.
    fn flush(&mut self) -> io::Result<()> {
        if self.producer.slot.is_abandoned() {
            return Err(broken(ClientGone));
        }
        if self.gathered.is_empty() || std::thread::panicking() {
            return Ok(());
        }
        self.hand_over()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let last = self.gathered.split().freeze();
        self.producer.leave(last);
    }
}

impl Producer {
    /// Makes it a writer for code that blocks.
    pub fn into_writer(self) -> Writer {
        Writer {
            producer: self,
            gathered: BytesMut::new(),
            size: 0,
        }
    }

    /// Hands over octets from a thread that may block; waits while there is no room for them.
    ///
    /// # Errors
    /// [`ClientGone`] when nobody reads the body any more, also while it waits.
    ///
    /// # Panics
    /// In an asynchronous task, if it must wait: see [`Writer`].
    pub fn blocking_send(&mut self, octets: impl Into<Bytes>) -> Result<(), ClientGone> {
        let mut octets = Some(octets.into());
        if let Poll::Ready(put) = self.slot.try_put(&mut octets) {
            return put;
        }
        must_be_allowed_to_block();
        let waker = Waker::from(Arc::new(Parked(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut sending = pin!(std::future::poll_fn(|cx| self
            .slot
            .poll_put(&mut octets, cx)));
        loop {
            match sending.as_mut().poll(&mut cx) {
                Poll::Ready(put) => return put,
                Poll::Pending => std::thread::park(),
            }
        }
    }
}

/// Panics where blocking would stop the thread that must read the body.
fn must_be_allowed_to_block() {
    // tokio says it through its own blocking calls alone; this one has nothing to wait for.
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    drop(sender);
    let _ = receiver.blocking_recv();
}

/// A thread that waits for room.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn broken(gone: ClientGone) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, gone)
}
