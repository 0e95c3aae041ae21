//! What may end a body while it waits: the server, the peer, a deadline.
//!
//! Reads: orders and departures from the connection. Gives: the ending, which a tail below may tell first. Never: asks
//! more of the application while the kernel has no room.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Ending, Kind, Protocol, SaidBy};
use http_body::Body as HttpBody;
use tokio::time::Sleep;

use super::WireBody;
use crate::producer::BoxError;
use crate::wire::exchange::Exchange;
use crate::wire::http2::LARGEST_CHUNK;
use crate::wire::room;
use crate::wire::socket::Departure;

/// An ending that the server said, while the application's body puts it in band.
pub(super) struct LastWord {
    ending: Ending,
    said_by: SaidBy,
    time: Pin<Box<Sleep>>,
}

/// How long a tail has for the last word. Encoders around it answer at once; a body that runs in a task of its
/// own needs a turn of it. What does not poll its inner body any more gets no tail.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A stream that has taken so much reads: on HTTP/3 its frames are large from here on.
const PROVEN: u64 = 1024 * 1024;

impl<B> WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Waits until the kernel has room, before more is asked of the application.
    ///
    /// So a peer that does not read costs what the kernel holds, and no frame beyond.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(conn) = &self.exchange.conn else {
            return Poll::Ready(());
        };
        if self.tally.sent - self.asked_room < room::LEAST as u64 {
            return Poll::Ready(());
        }
        // HTTP/2 has a window for each stream, and hyper asks for frames only when it is open.
        if let Some(flushed) = &self.flushed
            && !self.situation.protocol.is_multiplexed()
        {
            // The kernel is asked about what it has, not about what hyper still holds.
            let room = conn.room() as u64;
            if flushed.waiting(conn, self.tally.sent) >= room {
                conn.await_flush(cx);
                if flushed.waiting(conn, self.tally.sent) >= room {
                    return Poll::Pending;
                }
            }
            ready!(conn.poll_room(cx));
        }
        self.asked_room = self.tally.sent;
        if let Some(producer) = &self.producer {
            let largest = match self.situation.protocol {
                // One frame waits in the stream and one is made, beside what the client's window holds.
                Protocol::Http3 if self.tally.sent < PROVEN => LARGEST_CHUNK / 2,
                protocol if protocol.is_multiplexed() => LARGEST_CHUNK,
                _ => room::LARGEST_FRAME,
            };
            producer.slot().advise(conn.room().min(largest));
        }
        Poll::Ready(())
    }

    /// Whether the server or the peer ends the body while it waits.
    pub(super) fn poll_interruption(&mut self, cx: &mut Context<'_>) -> Poll<(Ending, SaidBy)> {
        self.exchange.register(cx);
        if let Some(conn) = self.conn() {
            if let Some(cause) = conn.killed().or(conn.ordered()) {
                return Poll::Ready((Ending::Failed(cause.clone()), SaidBy::Server));
            }
            if !self.situation.protocol.is_multiplexed()
                && let Poll::Ready(departure) = conn.poll_departure(cx)
            {
                return Poll::Ready((gone(&self.exchange, departure), SaidBy::Server));
            }
        }
        Poll::Pending
    }

    /// Whether the producer has been silent for too long.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<(Ending, SaidBy)> {
        let Some(deadline) = self.policy.idle_deadline else {
            return Poll::Pending;
        };
        let idle = self
            .idle
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
        ready!(idle.as_mut().poll(cx));
        let message = format!("the producer gave nothing for {} ms", deadline.as_millis());
        Poll::Ready((
            Ending::Failed(Cause::new(Kind::ProducerIdle, message)),
            SaidBy::Server,
        ))
    }

    /// Ends the body in the middle. A tail below may tell a failure first; nothing else is waited for.
    pub(super) fn interrupt(&mut self, ending: Ending, said_by: SaidBy) {
        let killed = self.conn().is_some_and(|conn| conn.killed().is_some());
        match &self.tail {
            Some(tail) if matches!(ending, Ending::Failed(_)) && !killed => {
                self.exchange.say(ending.clone(), said_by);
                tail.order(ending.clone());
                self.last_word = Some(Box::new(LastWord {
                    ending,
                    said_by,
                    time: Box::pin(tokio::time::sleep(LAST_WORD)),
                }));
            }
            _ => self.end(ending, said_by),
        }
    }

    /// The time for the last word is over, or the connection is.
    pub(super) fn poll_last_word(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.exchange.register(cx);
        let over = self.conn().is_some_and(|conn| {
            conn.killed().is_some()
                || (!self.situation.protocol.is_multiplexed() && conn.poll_departure(cx).is_ready())
        });
        match &mut self.last_word {
            Some(word) if !over => word.time.as_mut().poll(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Ends as the tail below was asked to tell.
    pub(super) fn end_with_last_word(&mut self) {
        if let Some(word) = self.last_word.take() {
            self.end(word.ending, word.said_by);
        }
    }
}

/// What the record says of a peer that left.
pub(crate) fn gone(exchange: &Exchange, departure: Departure) -> Ending {
    let (signal, message) = match departure {
        Departure::Fin => ("fin", "the client closed the connection"),
        Departure::Rst => ("rst", "the client reset the connection"),
    };
    exchange.peer_did(signal);
    Ending::Cancelled(Cause::new(Kind::ClientGone, message))
}
