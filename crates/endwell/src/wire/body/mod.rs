//! The outermost body: the one that the HTTP implementation polls.
//!
//! Reads: frames and the ending of the application's body. Gives: the same frames, less the
//! octet that would fulfil a promise before its end is proven; and an error only when
//! everything before it has reached the peer. What the end must look like, [`plan`] decides.
//!
//! Here: frame after frame. `interrupting` has what may end a body while it waits, `concluding` how it comes to its end,
//! `breaking` how it breaks.

mod breaking;
mod concluding;
mod interrupting;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
#[cfg(feature = "http3")]
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{
    Asked, Client, Ending, Framing, Policy, Protocol, SaidBy, Situation, Tally, WireEnding, plan,
};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use self::interrupting::LastWord;
pub(crate) use self::interrupting::gone;
use super::broken::WireBroken;
use super::conn::{Conn, Message};
use super::exchange::{Chunk, Exchange};
use super::http1::Flushed;
use super::http2::{Delivery, LARGEST_CHUNK};
use super::intake::{Intake, Next};
use super::trailing::Trailing;
use crate::producer::{BoxError, Witness};
use crate::tail::Link;

/// The body of a response on its way to the wire. Made by [`serve`](crate::serve),
/// [`app`](crate::app) and [`Layer`](crate::Layer).
pub struct WireBody<B> {
    intake: Intake<B>,
    exchange: Arc<Exchange>,
    policy: Arc<Policy>,
    client: Client,
    pub(crate) situation: Situation,
    trailing: Trailing,
    /// The trailer section, once all octets are handed over.
    section: Option<Box<HeaderMap>>,
    /// Octets of a frame too large for one chunk.
    rest: Bytes,
    /// The frame that would fulfil the promise, until the end is known.
    held: Option<Bytes>,
    tally: Tally,
    /// The promised length is sent.
    keeps_length: bool,
    flushed: Option<Flushed>,
    /// Octets sent when the connection was last asked for room.
    asked_room: u64,
    producer: Option<Witness>,
    idle: Option<Pin<Box<Sleep>>>,
    /// Where a tail below is told what it must know.
    tail: Option<Arc<Link>>,
    /// The ending that the tail below was asked to tell, and how long it has for that.
    last_word: Option<Box<LastWord>>,
    /// The time that the peer has to read a tail before HTTP/1 breaks.
    reading: Option<Pin<Box<Sleep>>>,
    step: Step,
}

enum Step {
    Streaming,
    /// Everything produced is to be delivered, then the body breaks.
    Breaking(WireEnding, Option<Delivery>),
    /// The body is over: nothing more comes.
    Over,
}

/// What the layer knows of a response when its body is made.
pub(crate) struct Parts {
    pub(crate) policy: Arc<Policy>,
    pub(crate) client: Client,
    pub(crate) situation: Situation,
    pub(crate) said_by: SaidBy,
    /// Who is told how large frames best are.
    pub(crate) producer: Option<Witness>,
    /// A tail below, if there is one.
    pub(crate) tail: Option<Arc<Link>>,
    pub(crate) trailing: Trailing,
    pub(crate) promised: Option<u64>,
    /// The promised length is sent; else it is only checked.
    pub(crate) keeps_length: bool,
}

impl<B> WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(inner: Option<B>, exchange: Arc<Exchange>, parts: Parts) -> Self {
        Self {
            intake: Intake::new(inner, parts.said_by),
            exchange,
            policy: parts.policy,
            client: parts.client,
            situation: parts.situation,
            trailing: parts.trailing,
            section: None,
            rest: Bytes::new(),
            held: None,
            tally: Tally {
                promised: parts.promised,
                ..Tally::default()
            },
            keeps_length: parts.keeps_length,
            flushed: None,
            asked_room: 0,
            producer: parts.producer,
            idle: None,
            tail: parts.tail,
            last_word: None,
            reading: None,
            step: Step::Streaming,
        }
    }

    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(crate) fn promised(&self) -> Option<u64> {
        self.tally.promised
    }

    /// The length that is sent.
    pub(crate) fn length(&self) -> Option<u64> {
        self.tally.promised.filter(|_| self.keeps_length)
    }

    /// Promises the length that became known while the head was held.
    pub(crate) fn promise(&mut self, octets: u64) {
        self.tally.promised = Some(octets);
    }

    /// Lets the held octets of a degraded body go, all of which are known: where it ends clean, or where the end of the
    /// connection `can_tell` what it is.
    ///
    /// # Errors
    /// The ending, which takes the place of the head.
    pub(crate) fn release(
        &mut self,
        ending: Ending,
        said_by: SaidBy,
        can_tell: bool,
    ) -> Result<(), (Ending, SaidBy)> {
        let clean = plan(&ending, &self.situation) == WireEnding::EndMark;
        let told = can_tell && matches!(ending, Ending::Degraded(_));
        if !clean && !told {
            return Err((ending, said_by));
        }
        if clean && self.situation.framing == Framing::CloseDelimited {
            self.promise(self.intake.held() as u64);
        }
        self.intake.put_back(ending, said_by);
        Ok(())
    }

    /// Sends these octets in place of the application's body.
    pub(crate) fn substitute(&mut self, octets: Bytes) {
        self.intake.substitute(octets);
    }

    /// Sends nothing: the peer has left, or its request is refused unprocessed.
    pub(crate) fn break_at_once(&mut self, wire: WireEnding) {
        self.intake.close();
        self.step = Step::Breaking(wire, None);
    }

    /// The head is about to go: from here on the body is what hyper polls.
    pub(crate) fn begin(&mut self, framing: Framing) {
        self.situation.framing = framing;
        self.flushed = self.conn().map(|conn| Flushed::now(conn));
        if let (Some(conn), Some(producer)) = (self.conn(), &self.producer) {
            producer.slot().advise(conn.room());
        }
        if let Some(tail) = &self.tail {
            tail.let_go();
        }
        if self.situation.framing == Framing::CloseDelimited
            && let Some(conn) = self.conn()
        {
            conn.begin_close_delimited();
        }
        let fulfilled = framing == Framing::ContentLength && self.tally.promised == Some(0);
        if self.is_end_stream() || fulfilled {
            // hyper never polls the body of a HEAD, 204 or 304, nor one that is empty.
            self.complete();
        }
    }

    fn conn(&self) -> Option<&Arc<Conn>> {
        self.exchange.conn.as_ref()
    }

    /// The application's body, while the head is held.
    pub(crate) fn intake(&mut self) -> &mut Intake<B> {
        &mut self.intake
    }

    /// Hands octets to the HTTP implementation.
    fn hand_over(&mut self, mut octets: Bytes) -> Frame<Bytes> {
        if self.situation.protocol == Protocol::Http2 {
            if octets.len() > LARGEST_CHUNK {
                self.rest = octets.split_off(LARGEST_CHUNK);
            }
            if self.conn().is_some() {
                octets = Chunk::owned(octets, &self.exchange);
            }
        } else if let (Some(flushed), Some(conn)) = (&mut self.flushed, &self.exchange.conn) {
            flushed.at_yield(conn, self.tally.sent);
        }
        self.tally.sent += octets.len() as u64;
        Frame::data(octets)
    }
}

impl<B> HttpBody for WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = WireBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireBroken>>> {
        let this = self.get_mut();
        loop {
            if !this.rest.is_empty() {
                let octets = std::mem::take(&mut this.rest);
                return Poll::Ready(Some(Ok(this.hand_over(octets))));
            }
            if let Some(fields) = this.section.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(*fields))));
            }
            match this.step {
                Step::Streaming => {}
                Step::Breaking(..) => return this.poll_break(cx),
                Step::Over => return Poll::Ready(None),
            }
            if this.last_word.is_none() {
                if let Some(cause) = this.conn().and_then(|conn| conn.ordered()).cloned() {
                    this.interrupt(Ending::Failed(cause), SaidBy::Server);
                    continue;
                }
                if this.poll_room(cx).is_pending() {
                    let (ending, said_by) = ready!(this.poll_interruption(cx));
                    this.interrupt(ending, said_by);
                    continue;
                }
            } else if this.poll_last_word(cx).is_ready() {
                this.end_with_last_word();
                continue;
            }
            match this.intake.poll_next(cx) {
                Poll::Ready(Next::Octets(octets)) => {
                    this.idle = None;
                    if let Some(octets) = this.take(octets) {
                        return Poll::Ready(Some(Ok(this.hand_over(octets))));
                    }
                }
                Poll::Ready(Next::Complete | Next::Trailers(_) | Next::Broken(_))
                    if this.last_word.is_some() =>
                {
                    this.end_with_last_word();
                }
                Poll::Ready(Next::Trailers(fields)) => this.trailers(*fields),
                Poll::Ready(Next::Complete) => this.complete(),
                Poll::Ready(Next::Broken(broken)) => this.end(broken.0, broken.1),
                Poll::Pending if this.last_word.is_some() => return Poll::Pending,
                Poll::Pending => {
                    let interrupted = match this.poll_interruption(cx) {
                        Poll::Pending => this.poll_idle(cx),
                        interrupted => interrupted,
                    };
                    let (ending, said_by) = ready!(interrupted);
                    this.interrupt(ending, said_by);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let waits = !self.rest.is_empty() || self.section.is_some();
        if waits || self.intake.held() > 0 || self.held.is_some() {
            return false;
        }
        match self.step {
            Step::Over => true,
            Step::Breaking(..) => false,
            Step::Streaming => {
                let empty = self.intake.is_over() && self.tally.promised.unwrap_or(0) == 0;
                self.situation.framing == Framing::NoBody
                    || (empty && self.situation.asked == Asked::No)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.length() {
            Some(promised) => SizeHint::with_exact(promised.saturating_sub(self.tally.sent)),
            None => SizeHint::new(),
        }
    }
}

impl<B> WireBody<B> {
    /// How long the client may read what has arrived before it is told of the failure.
    #[cfg(feature = "http3")]
    pub(crate) fn grace(&self, round_trip: Duration) -> Duration {
        self.policy.grace.of(self.client, round_trip)
    }

    /// The server loop resets the stream in place of this body.
    #[cfg(feature = "listen")]
    pub(crate) fn reset_by_server(&self) {
        self.exchange.signalled();
    }

    /// Counts what was sent and leaves the record to whoever lets go last.
    fn account(&mut self) {
        let over = matches!(self.step, Step::Over);
        let Some(conn) = &self.exchange.conn else {
            self.exchange.count(self.tally.produced, self.tally.sent);
            if over {
                self.exchange.signalled();
            }
            return;
        };
        let sent = match (&self.flushed, self.situation.protocol.is_multiplexed()) {
            (Some(flushed), false) => flushed.sent(conn, self.tally.sent),
            _ => self.tally.sent,
        };
        self.exchange.count(self.tally.produced, sent);
        if !over {
            return;
        }
        if self.situation.protocol == Protocol::Http3 {
            // Signalled is what drives the stream to tell.
        } else if self.situation.protocol.is_multiplexed() {
            self.exchange.signalled();
        } else if conn.departed().is_some() {
            self.exchange.undelivered();
        } else {
            let exchange: Arc<Exchange> = Arc::clone(&self.exchange);
            conn.settle_at_flush(exchange);
        }
    }
}

impl<B> Drop for WireBody<B> {
    fn drop(&mut self) {
        self.account();
    }
}

impl<B> fmt::Debug for WireBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireBody")
            .field("situation", &self.situation)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}
