//! One request and its response, until nothing of it is left.
//!
//! Reads: what the layer, the outermost body and every owned chunk report. Gives: one
//! [`Record`], when the last of them lets go. Never: waits, or ends anything itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Context;
use std::time::{Duration, Instant, SystemTime};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use endwell_core::{
    Cause, Ending, Framing, Kind, Phase, Protocol, Record, SaidBy, Tally, WireEnding,
};
use http::header::{HOST, HeaderName, REFERER, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri, Version};

use super::conn::{Conn, Message, Progress};
use super::remote::Remote;
use crate::observe::Observer;
use crate::producer::Witness;

/// A request and its response. The last owner's drop writes the record.
pub(crate) struct Exchange {
    pub(crate) conn: Option<Arc<Conn>>,
    key: AtomicUsize,
    pub(crate) protocol: Protocol,
    facts: Facts,
    observer: Option<Arc<dyn Observer>>,
    /// Tells the producer of the response how it ended.
    witness: OnceLock<Witness>,
    state: Mutex<State>,
    waker: AtomicWaker,
    /// It counts among the requests under way.
    admitted: AtomicBool,
    pub(crate) chunks: Chunks,
}

/// What the record says of the request. Kept also if nobody observes: whether the producer of
/// the response will ask for its record is not known before the request is gone.
struct Facts {
    ts: SystemTime,
    started: Instant,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
    trace: Option<HeaderValue>,
}

/// Owned chunks on their way through HTTP/2: how many there are and what became of them.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Chunks given to h2.
    handed: AtomicU64,
    /// Chunks that h2 has let go.
    left: AtomicU64,
    /// Octets of chunks that the transport took.
    consumed: AtomicU64,
    /// Octets of chunks thrown away unsent.
    discarded: AtomicU64,
    /// The body waits until all have been let go.
    awaited: AtomicBool,
    /// The connection's written octets when a chunk was last taken.
    written: AtomicU64,
}

struct State {
    status: u16,
    phase: Phase,
    framing: Framing,
    tally: Tally,
    ending: Option<(Ending, SaidBy)>,
    wire: Option<WireEnding>,
    signalled: bool,
    signal_in: Option<&'static str>,
    head_after: Option<Duration>,
    written_at_head: u64,
    written_at_end: u64,
    trailers: Vec<String>,
    trailers_dropped: Vec<String>,
    /// What became of it over HTTP/3.
    #[cfg(feature = "http3")]
    flown: Option<Flown>,
}

/// What became of a response over HTTP/3, where acknowledgements are known.
#[cfg(feature = "http3")]
#[derive(Debug, Clone)]
pub(crate) struct Flown {
    /// Octets that the transport took.
    pub(crate) sent: u64,
    /// Octets that the peer acknowledged, in whole chunks.
    pub(crate) acked: u64,
    /// Why the peer has not got all of it, and what was seen.
    pub(crate) lost: Option<(Cause, &'static str)>,
}

impl State {
    fn say(&mut self, ending: Ending, said_by: SaidBy) {
        if self.ending.is_none() {
            if ending.is_complete() && self.phase == Phase::Body {
                self.phase = Phase::Last;
            }
            self.ending = Some((ending, said_by));
        }
    }
}

impl Exchange {
    pub(crate) fn new<B>(
        request: &Request<B>,
        conn: Option<Arc<Conn>>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Arc<Self> {
        let exchange = Arc::new(Self {
            conn,
            key: AtomicUsize::new(0),
            protocol: protocol(request.version()),
            facts: Facts::of(request),
            observer,
            witness: OnceLock::new(),
            state: Mutex::new(State {
                status: 0,
                phase: Phase::Request,
                framing: Framing::NoBody,
                tally: Tally::default(),
                ending: None,
                wire: None,
                signalled: false,
                signal_in: None,
                head_after: None,
                written_at_head: 0,
                written_at_end: 0,
                trailers: Vec::new(),
                trailers_dropped: Vec::new(),
                #[cfg(feature = "http3")]
                flown: None,
            }),
            waker: AtomicWaker::new(),
            admitted: AtomicBool::new(false),
            chunks: Chunks::default(),
        });
        if let Some(conn) = &exchange.conn {
            let weak: Weak<Self> = Arc::downgrade(&exchange);
            exchange.key.store(
                conn.enlist(weak, exchange.protocol.is_multiplexed()),
                Ordering::Relaxed,
            );
            exchange.state().written_at_head = conn.written();
        }
        exchange
    }

    /// Whether the application may hear of it: it counts then until nothing is left of it.
    pub(crate) fn admit(&self, conn: &Arc<Conn>) -> bool {
        let admitted = conn.admit();
        self.admitted.store(admitted, Ordering::Relaxed);
        admitted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells this one, too, how it ended.
    pub(crate) fn tells(&self, witness: Witness) {
        let _ = self.witness.set(witness);
    }

    /// Registers the task that drives the service or the body.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// The service has answered and the head is on its way.
    pub(crate) fn head(&self, status: u16, framing: Framing, promised: Option<u64>) {
        let mut state = self.state();
        state.status = status;
        state.framing = framing;
        state.tally.promised = promised;
        if state.ending.is_none() {
            state.phase = Phase::Body;
        }
        state.head_after = Some(self.facts.started.elapsed());
        state.written_at_head = self.conn.as_ref().map_or(0, |conn| conn.written());
    }

    /// The service has answered; its head is being held.
    pub(crate) fn answered(&self, status: u16) {
        let mut state = self.state();
        state.status = status;
        state.phase = Phase::Head;
    }

    /// Says how it ended. The first one said stays.
    pub(crate) fn say(&self, ending: Ending, said_by: SaidBy) {
        self.state().say(ending, said_by);
    }

    /// Says how it ended, and what must happen on the wire for that.
    pub(crate) fn say_and_plan(&self, ending: Ending, said_by: SaidBy, wire: WireEnding) {
        let mut state = self.state();
        state.say(ending, said_by);
        state.wire = Some(wire);
    }

    pub(crate) fn peer_did(&self, signal: &'static str) {
        self.state().signal_in.get_or_insert(signal);
    }

    /// The names of trailer fields that are sent, and of those that cannot be.
    pub(crate) fn trailers(&self, sent: Vec<String>, dropped: Vec<String>) {
        let mut state = self.state();
        if !sent.is_empty() {
            state.phase = Phase::Trailers;
        }
        state.trailers = sent;
        state.trailers_dropped = dropped;
    }

    /// Counts what was produced, and what was given to the transport.
    pub(crate) fn count(&self, produced: u64, sent: u64) {
        let mut state = self.state();
        state.tally.produced = produced;
        state.tally.sent = sent;
        state.written_at_end = self.conn.as_ref().map_or(0, |conn| conn.written());
    }

    /// The client takes no trailers of this size: they stay out. If they would have told the ending, a reset
    /// with this code has to: then `true`.
    #[cfg(feature = "http3")]
    pub(crate) fn trailers_refused(&self, code: u64) -> bool {
        let mut state = self.state();
        let names = std::mem::take(&mut state.trailers);
        state.trailers_dropped.extend(names);
        let whole = matches!(state.ending, Some((Ending::Complete, _)));
        state.wire = Some(match whole {
            true => WireEnding::EndMark,
            false => WireEnding::ResetStream(code),
        });
        !whole
    }

    /// The head of the response could not be sent: an answer without content with this status goes out.
    #[cfg(feature = "http3")]
    pub(crate) fn refused(&self, cause: Cause, status: u16) {
        let mut state = self.state();
        state.status = status;
        state.phase = Phase::Head;
        state.framing = Framing::NoBody;
        state.tally.promised = None;
        state.ending = Some((Ending::Failed(cause), SaidBy::Server));
        state.wire = Some(WireEnding::EndMark);
        state.signalled = true;
    }

    /// The stream of the response is over, on HTTP/3.
    #[cfg(feature = "http3")]
    pub(crate) fn flown(&self, flown: Flown) {
        self.state().flown = Some(flown);
    }

    fn finalise(&self, state: &mut State) -> (Ending, SaidBy) {
        let said = state.ending.take();
        #[allow(unused_mut)]
        let mut lost = None;
        if self.protocol == Protocol::Http2 && self.conn.is_some() {
            state.tally.sent = state.tally.produced.min(self.chunks.sent_at_most(self));
        }
        if !matches!(said, Some((Ending::Complete, _))) {
            state.tally.acked = self.acked(state.tally.sent);
        }
        #[allow(unused_mut)]
        let mut undelivered = self.chunks.discarded.load(Ordering::Acquire) > 0;
        #[cfg(feature = "http3")]
        if let Some(flown) = state.flown.take() {
            state.tally.sent = flown.sent;
            state.tally.acked = Some(flown.acked);
            state.signalled &= flown.lost.is_none();
            undelivered = flown.lost.is_some();
            lost = flown.lost;
        }
        let gone = || lost.or_else(|| self.conn.as_ref().map(|conn| conn.why_gone()));
        match said {
            Some((Ending::Complete, _)) if undelivered => {
                let (cause, signal) = gone().unwrap_or_else(left);
                state.signal_in.get_or_insert(signal);
                state.signalled = false;
                (ended_by(cause), SaidBy::Server)
            }
            Some((ending, said_by)) => {
                if !state.signalled
                    && !ending.is_complete()
                    && let Some((_, signal)) = gone()
                {
                    state.signal_in.get_or_insert(signal);
                }
                (ending, said_by)
            }
            None => {
                let (cause, signal) = gone().unwrap_or_else(left);
                state.signal_in.get_or_insert(signal);
                (ended_by(cause), SaidBy::Server)
            }
        }
    }

    /// What the peer's kernel acknowledged, where the connection carried nothing after it.
    fn acked(&self, sent: u64) -> Option<u64> {
        let conn = self.conn.as_ref()?;
        // Of a unix socket the kernel counts memory, not octets.
        let unix = matches!(conn.remote, Remote::Unix { .. });
        if self.protocol.is_multiplexed() || conn.tls || unix {
            return None;
        }
        Some(sent.saturating_sub(conn.unacknowledged_at_close()?))
    }

    /// Whether the peer let it not come to its end. A stop of the server is none of its doing.
    fn is_cancelled(&self, state: &State) -> bool {
        #[cfg(feature = "http3")]
        if let Some((cause, _)) = state.flown.as_ref().and_then(|flown| flown.lost.as_ref()) {
            return matches!(cause.kind, Kind::ClientGone | Kind::WriteTimeout);
        }
        matches!(state.ending, None | Some((Ending::Cancelled(_), _)))
            || self.chunks.discarded.load(Ordering::Acquire) > 0
    }

    fn record(&self, state: &mut State) -> Record {
        let facts = &self.facts;
        let (ending, said_by) = self.finalise(state);
        let untouched = self
            .conn
            .as_ref()
            .is_some_and(|conn| conn.written() == state.written_at_head);
        let no_head = state.phase <= Phase::Head || (untouched && !state.signalled);
        let status = match &ending {
            Ending::Cancelled(_) if no_head => 499,
            // Killed before anything was answered: what would have been.
            ending if state.status == 0 => ending.cause().map_or(500, |cause| cause.kind.status()),
            _ => state.status,
        };
        let wire = state.wire.filter(|_| state.signalled);
        let tls = self.conn.as_ref().is_some_and(|conn| conn.tls);
        Record {
            ts: facts.ts,
            remote: self
                .conn
                .as_ref()
                .map_or_else(|| "-".to_owned(), |conn| conn.remote.to_string()),
            method: facts.method.to_string(),
            target: facts.target(),
            host: text(facts.host.as_ref()).or_else(|| facts.uri.host().map(str::to_owned)),
            protocol: self.protocol,
            status,
            ending,
            said_by,
            phase: state.phase,
            signal_in: state.signal_in.filter(|signal| *signal != "none"),
            signal_out: wire.unwrap_or(WireEnding::Stop).signal(state.framing, tls),
            framing: state.framing,
            tally: state.tally,
            trailers_sent: std::mem::take(&mut state.trailers),
            trailers_dropped: std::mem::take(&mut state.trailers_dropped),
            failed_parts: self
                .witness
                .get()
                .map_or_else(Vec::new, Witness::failed_parts),
            duration: facts.started.elapsed(),
            ttfb: state.head_after,
            request_id: text(facts.request_id.as_ref()),
            trace_id: text(facts.trace.as_ref())
                .and_then(|trace| trace.split('-').nth(1).map(str::to_owned)),
            user_agent: text(facts.user_agent.as_ref()),
            referer: text(facts.referer.as_ref()),
        }
    }
}

impl Message for Exchange {
    fn wake(&self) {
        self.waker.wake();
    }

    fn delivered(&self) {
        let mut state = self.state();
        state.tally.sent = state.tally.produced;
        state.signalled = true;
    }

    fn undelivered(&self) {
        let written = self.conn.as_ref().map_or(0, |conn| conn.written());
        let mut state = self.state();
        let since = written.saturating_sub(state.written_at_end);
        state.tally.sent = state.tally.produced.min(state.tally.sent + since);
        if matches!(state.ending, Some((Ending::Complete, _))) {
            state.ending = None;
        }
    }

    fn signalled(&self) {
        self.state().signalled = true;
    }

    fn progress(&self) -> Progress {
        let left = self.chunks.left();
        Progress {
            waiting: self.chunks.handed().saturating_sub(left),
            left,
        }
    }
}

/// How a response ends that this kept from its peer.
fn ended_by(cause: Cause) -> Ending {
    match cause.kind {
        Kind::ClientGone => Ending::Cancelled(cause),
        _ => Ending::Failed(cause),
    }
}

/// Without a connection of ours a dropped body means that the server loop let go.
fn left() -> (Cause, &'static str) {
    let message = "the body was dropped before its end";
    (Cause::new(Kind::ClientGone, message), "close")
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(conn) = &self.conn {
            conn.note_request_over(self.is_cancelled(&self.state()));
        }
        let witness = self.witness.get().filter(|witness| witness.is_asked());
        if self.observer.is_some() || witness.is_some() {
            let record = self.record(&mut self.state());
            let told = witness.map(|witness| (witness, Box::new(record.clone())));
            if let Some(observer) = &self.observer {
                // This may run while a panic unwinds: a second one would end the process.
                let _ = catch_unwind(AssertUnwindSafe(|| observer.ended(record)));
            }
            if let Some((witness, record)) = told {
                witness.tell(Some(record));
            }
        }
        if let Some(conn) = &self.conn {
            if *self.admitted.get_mut() {
                conn.dismiss();
            }
            conn.discharge(self.key.load(Ordering::Relaxed));
        }
    }
}

impl Facts {
    fn of<B>(request: &Request<B>) -> Self {
        let header = |name: &HeaderName| request.headers().get(name).cloned();
        Self {
            ts: SystemTime::now(),
            started: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: header(&HOST),
            user_agent: header(&USER_AGENT),
            referer: header(&REFERER),
            request_id: header(&X_REQUEST_ID),
            trace: header(&TRACEPARENT),
        }
    }

    /// The target as it came: HTTP/2 requests carry scheme and authority apart.
    fn target(&self) -> String {
        match self.uri.path_and_query() {
            Some(path) => path.to_string(),
            None => self.uri.to_string(),
        }
    }
}

fn text(value: Option<&HeaderValue>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The protocol of a message with this version, as records name it.
pub fn protocol(version: Version) -> Protocol {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => Protocol::Http10,
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_3 => Protocol::Http3,
        _ => Protocol::Http11,
    }
}

impl Chunks {
    /// From now on each chunk that is let go wakes the body.
    pub(crate) fn awaited(&self) {
        self.awaited.store(true, Ordering::SeqCst);
    }

    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }

    pub(crate) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Acquire)
    }

    pub(crate) fn discarded(&self) -> u64 {
        self.discarded.load(Ordering::Acquire)
    }

    /// An upper bound of the octets the transport took: the chunk under way may be in it in part.
    fn sent_at_most(&self, exchange: &Exchange) -> u64 {
        let since = exchange
            .conn
            .as_ref()
            .map_or(0, |conn| conn.written())
            .saturating_sub(self.written.load(Ordering::Acquire));
        self.consumed() + since.min(self.discarded())
    }
}

/// A chunk in the hands of the HTTP/2 implementation. Its drop tells that the chunk was taken.
pub(crate) struct Chunk {
    octets: Bytes,
    exchange: Arc<Exchange>,
    /// What the connection had written when this was handed over.
    written: u64,
}

/// h2 copies small slices into its buffer of 16 KiB, and lets go of them before they are written.
const COPIED: u64 = 17 * 1024;

impl Chunk {
    pub(crate) fn owned(octets: Bytes, exchange: &Arc<Exchange>) -> Bytes {
        exchange.chunks.handed.fetch_add(1, Ordering::AcqRel);
        Bytes::from_owner(Self {
            octets,
            exchange: Arc::clone(exchange),
            written: exchange.conn.as_ref().map_or(0, |conn| conn.written()),
        })
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let chunks = &self.exchange.chunks;
        let octets = self.octets.len() as u64;
        let conn = self.exchange.conn.as_ref();
        // h2 lets go of a chunk it has written in the connection's own task, after a write. It
        // throws the chunks of a reset stream away while it handles what it has just read, and
        // hyper drops a chunk that still waits for window in the stream's task. One that was
        // reset while a frame of it was being written has left in part.
        let thrown_away = conn.is_some_and(|conn| {
            conn.is_receiving()
                || conn.read_end()
                || conn.is_over()
                || !conn.is_driven_here()
                || conn.written() - self.written + COPIED < octets
        });
        if thrown_away {
            chunks.discarded.fetch_add(octets, Ordering::AcqRel);
        } else {
            if let Some(conn) = conn {
                chunks.written.store(conn.written(), Ordering::Release);
            }
            chunks.consumed.fetch_add(octets, Ordering::AcqRel);
        }
        chunks.left.fetch_add(1, Ordering::SeqCst);
        if chunks.awaited.load(Ordering::SeqCst) {
            self.exchange.wake();
        }
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
