//! The outermost body: the one that the HTTP implementation polls.
//!
//! Reads: frames and the ending of the application's body. Gives: the same frames, less the
//! octet that would fulfil a promise before its end is proven; and an error only when
//! everything before it has reached the peer. What the end must look like, [`plan`] decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{
    Asked, Cause, Client, Ending, Framing, Kind, Policy, Protocol, SaidBy, Situation, Tally,
    WireEnding, plan,
};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::broken::WireBroken;
use super::conn::{Conn, Message};
use super::exchange::{Chunk, Exchange};
use super::http1::{self, Flushed};
use super::http2::{Delivery, LARGEST_CHUNK};
use super::intake::{Intake, Next};
use super::room;
use super::socket::Departure;
use super::trailing::{SourceSays, Trailing};
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

/// An ending that the server said, while the application's body puts it in band.
struct LastWord {
    ending: Ending,
    said_by: SaidBy,
    time: Pin<Box<Sleep>>,
}

/// How long a tail has for the last word. Encoders around it answer at once; a body that runs in a task of its
/// own needs a turn of it. What does not poll its inner body any more gets no tail.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A stream that has taken so much reads: on HTTP/3 its frames are large from here on.
const PROVEN: u64 = 1024 * 1024;

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

    /// Lets the held octets of a degraded body go where it may end clean: all of them are known.
    ///
    /// # Errors
    /// The ending, which takes the place of the head.
    pub(crate) fn release(
        &mut self,
        ending: Ending,
        said_by: SaidBy,
    ) -> Result<(), (Ending, SaidBy)> {
        if plan(&ending, &self.situation) != WireEnding::EndMark {
            return Err((ending, said_by));
        }
        if self.situation.framing == Framing::CloseDelimited {
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

    /// Counts octets of the application and decides how many may go before the end is proven.
    fn take(&mut self, octets: Bytes) -> Option<Bytes> {
        if octets.is_empty() {
            return None;
        }
        let proven = self.last_word.is_none() && self.intake.is_over();
        let before = self.tally;
        self.tally.produced += octets.len() as u64;
        let Some(promised) = self.tally.promised else {
            if proven {
                self.complete();
            }
            return Some(octets);
        };
        if self.held.is_some() || self.tally.produced > promised {
            let message = format!("more octets than the {promised} promised");
            let end = match self.keeps_length {
                true => before.unproven(octets.len()),
                false => octets.len().min((promised - before.produced) as usize),
            };
            self.end(
                Ending::Failed(Cause::new(Kind::LengthExceeded, message)),
                SaidBy::Server,
            );
            return Some(octets.slice(..end)).filter(|octets| !octets.is_empty());
        }
        if self.tally.produced < promised {
            return Some(octets);
        }
        if proven {
            self.complete();
            return Some(octets);
        }
        self.held = Some(octets);
        None
    }

    /// The body is whole and has no trailers of its own.
    fn complete(&mut self) {
        self.end(Ending::Complete, self.who_completes());
    }

    /// Who says that the body is whole.
    ///
    /// One that others made of a producer's body may stop before the producer has finished: an
    /// error that they swallow, a part that they take. That end nobody said.
    fn who_completes(&self) -> SaidBy {
        let taken = self.situation.framing != Framing::NoBody
            && matches!(&self.producer, Some(producer) if !producer.slot().is_whole());
        match taken {
            true => SaidBy::Source,
            false => self.intake.said_by(),
        }
    }

    /// The body has ended.
    fn end(&mut self, ending: Ending, said_by: SaidBy) {
        let said = said_by != SaidBy::Source || !ending.is_complete();
        self.conclude(ending, said_by, said, None);
    }

    /// The body has ended: what of the held frame may go, and what comes then.
    ///
    /// Shapes: `said`, whether anybody said it; `fields`, the trailer section of the body.
    fn conclude(&mut self, ending: Ending, said_by: SaidBy, said: bool, fields: Option<HeaderMap>) {
        let ending = self.kept_promise(ending);
        let mut situation = self.situation;
        if !said {
            // A source that stops has said nothing that could be told in its name.
            situation.asked = Asked::No;
        }
        let held = self.held.take();
        let wire = plan(&ending, &situation);
        if matches!(wire, WireEnding::EndMark | WireEnding::Declared) {
            self.rest = held.unwrap_or_default();
            let fields = match (&ending, &self.producer) {
                (Ending::Degraded(_), Some(producer)) => {
                    fields.or_else(|| producer.slot().take_trailers())
                }
                _ => fields,
            };
            self.trail(&ending, wire, fields);
            self.exchange.say_and_plan(ending, said_by, wire);
            self.intake.close();
            if self.situation.framing == Framing::CloseDelimited
                && let Some(conn) = self.conn()
            {
                conn.close_delimited_whole();
            }
            self.step = Step::Over;
            return;
        }
        self.exchange.say_and_plan(ending, said_by, wire);
        self.intake.close();
        if let Some(mut held) = held {
            // The octet that would fulfil the promise.
            held.truncate(held.len() - usize::from(self.keeps_length));
            self.rest = held;
        }
        self.step = Step::Breaking(wire, None);
    }

    /// Ends the body in the middle. A tail below may tell a failure first; nothing else is waited for.
    fn interrupt(&mut self, ending: Ending, said_by: SaidBy) {
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
    fn poll_last_word(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
    fn end_with_last_word(&mut self) {
        if let Some(word) = self.last_word.take() {
            self.end(word.ending, word.said_by);
        }
    }

    /// The ending, or that of a body that is shorter than it promised.
    fn kept_promise(&self, ending: Ending) -> Ending {
        let produced = self.tally.produced;
        match (ending, self.tally.promised) {
            (Ending::Complete | Ending::Degraded(_), Some(promised))
                if produced < promised && self.situation.framing != Framing::NoBody =>
            {
                let message = format!("the body ended at octet {produced} of {promised} promised");
                Ending::Failed(Cause::new(Kind::LengthShort, message))
            }
            (ending, _) => ending,
        }
    }

    /// Makes the trailer section.
    fn trail(&mut self, ending: &Ending, wire: WireEnding, fields: Option<HeaderMap>) {
        // What was produced beyond a promise is not sent.
        let octets = self
            .tally
            .produced
            .min(self.tally.promised.unwrap_or(u64::MAX));
        let declared = (wire == WireEnding::Declared).then_some((ending, octets));
        if fields.is_none() && declared.is_none() {
            return;
        }
        let section = self.trailing.section(fields, declared);
        let sent = section.fields.keys().map(ToString::to_string).collect();
        self.exchange.trailers(sent, section.dropped);
        self.section = Some(Box::new(section.fields)).filter(|fields| !fields.is_empty());
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

    /// Waits until the kernel has room, before more is asked of the application.
    ///
    /// So a peer that does not read costs what the kernel holds, and no frame beyond.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
    fn poll_interruption(&mut self, cx: &mut Context<'_>) -> Poll<(Ending, SaidBy)> {
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
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<(Ending, SaidBy)> {
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

    /// Waits until everything yielded is delivered, then breaks.
    fn poll_break(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireBroken>>> {
        let Step::Breaking(wire, delivery) = &mut self.step else {
            return Poll::Ready(None);
        };
        let wire = *wire;
        let Some(conn) = &self.exchange.conn else {
            if delivery.is_none() {
                // Without a connection of ours: one round, in which hyper flushes HTTP/1.
                *delivery = Some(Delivery::new());
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.exchange.signalled();
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        };
        if wire == WireEnding::Stop || self.situation.untouched {
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        }
        if self.situation.protocol == Protocol::Http3 {
            // What drives the stream knows what has arrived, and waits for it.
            return Poll::Ready(Some(Err(WireBroken::new(wire))));
        }
        if self.situation.protocol.is_multiplexed() {
            if self.exchange.chunks.handed() == 0 {
                // A reset throws an unsent head away: an empty owned chunk tells when it left.
                let empty = Chunk::owned(Bytes::new(), &self.exchange);
                return Poll::Ready(Some(Ok(Frame::data(empty))));
            }
            let delivery = delivery.get_or_insert_with(Delivery::new);
            let delivered =
                ready!(delivery.poll(conn, &self.exchange, &self.policy, self.client, cx));
            if delivered.is_ok() {
                self.exchange.signalled();
            }
        } else if let Some(flushed) = &self.flushed
            && ready!(flushed.poll(conn, cx)).is_ok()
        {
            let round_trip = conn.round_trip();
            let grace = self.policy.grace.of(self.client, round_trip);
            let resets = wire == WireEnding::ResetConnection;
            let told = self.tail.as_ref().is_some_and(|tail| tail.has_told());
            if !resets && (told || self.client.browser || self.client.varnish) {
                // Streams of browsers and of Node drop what is queued in them when an error comes;
                // Chromium 156 lost the last chunk of 6 of 20 pages whose FIN came with it, of none
                // after 25 ms. Other programs lost nothing. Varnish 7.1.1 forgets a failure that it saw
                // before its own answer began.
                let reading = &mut self.reading;
                let reading = reading.get_or_insert_with(|| Box::pin(tokio::time::sleep(grace)));
                ready!(reading.as_mut().poll(cx));
            }
            http1::close(conn, wire, &self.exchange, grace);
        }
        Poll::Ready(Some(Err(WireBroken::new(wire))))
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

impl<B> WireBody<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// The body has ended with a trailer section, which says "complete" by its position unless it
    /// says otherwise.
    fn trailers(&mut self, fields: HeaderMap) {
        let said_by = self.who_completes();
        let (ending, said) = match self.trailing.source_says(&fields, self.tally.produced) {
            SourceSays::Nothing => (Ending::Complete, said_by != SaidBy::Source),
            SourceSays::Complete => (Ending::Complete, true),
            SourceSays::Otherwise(ending) => (ending, true),
            SourceSays::GrpcFailed(cause) => {
                self.exchange.say(Ending::Failed(cause), said_by);
                (Ending::Complete, false)
            }
        };
        self.conclude(ending, said_by, said, Some(fields));
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
