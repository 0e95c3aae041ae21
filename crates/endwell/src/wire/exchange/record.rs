//! What the record says of a request and its response.
//!
//! Reads: the state that is left when the last owner lets go. Gives: the ending as it was seen from outside, and the record.

use std::time::{Instant, SystemTime};

use endwell_core::{Cause, Ending, Kind, Phase, Protocol, Record, SaidBy, WireEnding};
use http::header::{HOST, HeaderName, REFERER, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};

use super::{Exchange, State};
use crate::producer::Witness;
use crate::wire::remote::Remote;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What the record says of the request. Kept also if nobody observes: whether the producer of
/// the response will ask for its record is not known before the request is gone.
pub(super) struct Facts {
    ts: SystemTime,
    pub(super) started: Instant,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
    trace: Option<HeaderValue>,
}

impl Facts {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
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

impl Exchange {
    /// How it ended, as seen from outside: what was said counts as far as it was delivered.
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
        let mut undelivered = self.chunks.discarded() > 0;
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
    pub(super) fn is_cancelled(&self, state: &State) -> bool {
        #[cfg(feature = "http3")]
        if let Some((cause, _)) = state.flown.as_ref().and_then(|flown| flown.lost.as_ref()) {
            return matches!(cause.kind, Kind::ClientGone | Kind::WriteTimeout);
        }
        matches!(state.ending, None | Some((Ending::Cancelled(_), _)))
            || self.chunks.discarded() > 0
    }

    pub(super) fn record(&self, state: &mut State) -> Record {
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

fn text(value: Option<&HeaderValue>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
