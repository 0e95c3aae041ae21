//! One request and its response, until nothing of it is left.
//!
//! Reads: what the layer, the outermost body and every owned chunk report. Gives: one
//! [`Record`](endwell_core::Record), when the last of them lets go. Never: waits, or ends anything itself.

mod chunks;
mod record;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Context;
use std::time::Duration;

use atomic_waker::AtomicWaker;
#[cfg(feature = "http3")]
use endwell_core::Cause;
use endwell_core::{Ending, Framing, Phase, Protocol, SaidBy, Tally, WireEnding};
use http::{Request, Version};

pub(crate) use self::chunks::Chunk;
use self::chunks::Chunks;
use self::record::Facts;
use super::conn::{Conn, Message, Progress};
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

/// The protocol of a message with this version, as records name it.
pub fn protocol(version: Version) -> Protocol {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => Protocol::Http10,
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_3 => Protocol::Http3,
        _ => Protocol::Http11,
    }
}
