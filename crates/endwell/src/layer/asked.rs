//! What a request asks of its response, and the response that carries its ending.
//!
//! Reads: the request's head and the application's response. Gives: the same response with a
//! body for the wire, or another one in its place when it failed before its head had to go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use endwell_core::{
    Cause, Client, Document, Ending, Framing, Kind, Override, Policy, Protocol, Retry, SaidBy,
    Signals, Situation, WireEnding, plan,
};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as HttpBody;

use super::caches::may_reuse;
use super::hold::HowToHold;
use super::kept;
use super::settings::Settings;
use super::trailing::{Announcing, Wishes};
use crate::body::Marker;
use crate::producer::BoxError;
use crate::wire::body::{Parts, WireBody};
use crate::wire::exchange::{Exchange, protocol};
use crate::wire::trailing::Trailing;

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
/// `Incremental` (draft-ietf-httpbis-incremental).
const INCREMENTAL: HeaderName = HeaderName::from_static("incremental");
/// `Last-Event-ID` (WHATWG HTML, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// `grpc-status`, of a response that has no body.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What of a request decides about its response.
pub(super) struct Asked {
    settings: Arc<Settings>,
    /// The settings' policy, with what a rule and the route say otherwise.
    policy: Arc<Policy>,
    rule: Option<Override>,
    protocol: Protocol,
    version: Version,
    method: Method,
    client: Client,
    wishes: Wishes,
    incremental: bool,
    /// What an event stream that is resumed goes on from.
    last_event: Option<HeaderValue>,
}

impl Asked {
    pub(super) fn of<R>(request: &Request<R>, settings: &Arc<Settings>) -> Self {
        let headers = request.headers();
        Self {
            settings: Arc::clone(settings),
            policy: Arc::clone(&settings.policy),
            rule: None,
            protocol: protocol(request.version()),
            version: match request.version() {
                Version::HTTP_2 | Version::HTTP_3 => request.version(),
                // hyper answers an HTTP/1.0 client in its version, and can keep its connection.
                _ => Version::HTTP_11,
            },
            method: request.method().clone(),
            client: client_of(headers, &settings.policy),
            wishes: Wishes::of(headers),
            incremental: headers
                .get(&INCREMENTAL)
                .is_some_and(|value| value.as_bytes().starts_with(b"?1")),
            last_event: headers.get(&LAST_EVENT_ID).cloned(),
        }
    }

    /// A rule applies to this request: it has the last word.
    pub(super) fn apply_rule(&mut self, rule: Override) {
        self.rule = Some(rule);
        self.change(Override::new());
    }

    /// What a route says otherwise than the policy.
    fn change(&mut self, route: Override) {
        let change = route.then(self.rule.unwrap_or_default());
        self.policy = Arc::new(change.over(&self.settings.policy));
    }

    /// Makes the response's body carry its ending, once its head may go.
    pub(super) async fn respond<B>(
        mut self,
        response: Response<B>,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = response.into_parts();
        // hyper frames by the response's version: an upstream's HTTP/1.0, passed on, would make
        // a close-delimited body of what is planned as chunked.
        head.version = self.version;
        exchange.answered(head.status.as_u16());
        if let Some(route) = head.extensions.remove::<Override>() {
            self.change(route);
        }
        let promised = promised(&head.headers).or_else(|| exact_size(&body));
        let has_body = has_body(&self.method, head.status);
        let tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS
            || (self.method == Method::CONNECT && head.status.is_success());
        let framing = Framing::of(self.protocol, has_body, promised);
        let marker = head.extensions.remove::<Marker>().unwrap_or_default();
        if let Some(witness) = &marker.witness {
            exchange.tells(witness.clone());
        }
        if let Some(tail) = &marker.tail {
            tail.hold(promised, self.last_event.clone());
        }
        let announced = self.wishes.announce(
            &Announcing {
                protocol: self.protocol,
                browser: self.client.browser,
                policy: &self.policy,
                framing,
                promised: promised.is_some(),
                untouched: tunnel || is_grpc(&head.headers),
                said_by: marker.said_by,
                may_trail: &marker.may_trail,
            },
            &mut head.headers,
        );
        let length = promised.filter(|_| announced.keeps_length);
        let framing = Framing::of(self.protocol, has_body, length);
        let situation = Situation {
            asked: announced.asked,
            ..self.situation(&head.headers, framing, &exchange)
        };
        let parts = Parts {
            producer: marker.witness,
            tail: marker.tail,
            trailing: announced.trailing,
            promised,
            keeps_length: announced.keeps_length,
            ..self.parts(situation, marker.said_by)
        };
        if let (true, Some(conn)) = (tunnel, &exchange.conn) {
            conn.note_tunnel();
        }
        let mut body = WireBody::new(Some(body), exchange, parts);
        if has_body && !tunnel {
            let how = HowToHold::new(
                &self.policy,
                framing,
                promised,
                self.goes_at_once(&head.headers),
                situation.signals == Signals::Owned,
                &self.settings.held,
            );
            if let Err((ending, said_by)) = how.hold(&mut body, framing).await {
                let mut response = self.replace(body, ending, said_by);
                kept::carry(&head.headers, response.headers_mut());
                return response;
            }
        }
        if let Some(status) = grpc_failure(&head.headers) {
            let cause = Cause::new(Kind::GrpcStatus, format!("grpc-status {status}"));
            body.exchange().say(Ending::Failed(cause), SaidBy::Source);
        }
        let promised = body.length();
        if self.method == Method::HEAD
            && status_has_body(head.status)
            && let Some(promised) = promised
        {
            // hyper adds it only for bodies that it sends.
            let length = HeaderValue::from(promised);
            head.headers.entry(CONTENT_LENGTH).or_insert(length);
        }
        let framing = Framing::of(self.protocol, has_body, promised);
        if self.protocol == Protocol::Http10 {
            head.headers.remove(TRANSFER_ENCODING);
        }
        body.exchange()
            .head(head.status.as_u16(), framing, promised);
        body.begin(framing);
        Response::from_parts(head, body)
    }

    fn situation(&self, headers: &HeaderMap, framing: Framing, exchange: &Exchange) -> Situation {
        let conn = exchange.conn.as_ref();
        Situation {
            tls: conn.is_some_and(|conn| conn.tls),
            signals: conn.map_or(Signals::FramingOnly, |conn| conn.signals),
            open_chunk: self.policy.open_chunk.is_for(self.client),
            document: match (self.client.document, !may_reuse(headers)) {
                (false, _) => Document::No,
                (true, true) => Document::Private,
                (true, false) => Document::Shared,
            },
            ..Situation::new(self.protocol, framing).under(&self.policy)
        }
    }

    /// Responses whose head must not wait.
    fn goes_at_once(&self, headers: &HeaderMap) -> bool {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        self.incremental || kind.starts_with("text/event-stream") || is_grpc(headers)
    }

    /// Another response takes the place of one that failed before its head had to go.
    fn replace<B>(
        self,
        mut body: WireBody<B>,
        ending: Ending,
        said_by: SaidBy,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        body.intake().close();
        let exchange = Arc::clone(body.exchange());
        drop(body);
        self.refuse(ending, said_by, exchange)
    }

    /// A 5xx, or nothing at all to a client that has left.
    pub(super) fn refuse<B>(
        self,
        ending: Ending,
        said_by: SaidBy,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let cause = ending.cause();
        let code = match cause {
            // What failed says that it processed nothing: that is no fault but want of service.
            Some(cause) if cause.retry == Retry::Safe => 503,
            Some(cause) => cause.kind.status(),
            None => 500,
        };
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.answer(status, ending, said_by, exchange)
    }

    /// The answer to a request that the application must not see; over HTTP/1 the last response of
    /// its connection, for what follows such a head may be anything.
    pub(super) fn screened<B>(
        self,
        status: StatusCode,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let last = !self.protocol.is_multiplexed();
        let mut response = self.answer(status, Ending::Complete, SaidBy::Server, exchange);
        if last {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    /// Refuses a request that no part of the application has seen, so that it may be sent again
    /// whatever it asks: by a reset that says so where the protocol has one, else by a 503.
    pub(super) fn unprocessed<B>(
        self,
        cause: Cause,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let ending = Ending::Failed(cause.with_retry(Retry::Safe));
        let headers = HeaderMap::new();
        let situation = Situation {
            untouched: true,
            ..self.situation(&headers, Framing::of(self.protocol, true, None), &exchange)
        };
        let wire = plan(&ending, &situation);
        if !matches!(wire, WireEnding::ResetStream(_)) {
            let mut response = self.refuse(ending, SaidBy::Server, exchange);
            response.headers_mut().insert(CONNECTION, CLOSE);
            return response;
        }
        exchange.say_and_plan(ending, SaidBy::Server, wire);
        let parts = self.parts(situation, SaidBy::Server);
        let mut body = WireBody::new(None, exchange, parts);
        body.break_at_once(wire);
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(Unprocessed(wire));
        response
    }

    /// What a body of the server's own is made with.
    fn parts(&self, situation: Situation, said_by: SaidBy) -> Parts {
        Parts {
            policy: Arc::clone(&self.policy),
            client: self.client,
            situation,
            said_by,
            producer: None,
            tail: None,
            trailing: Trailing::Nothing,
            promised: None,
            keeps_length: true,
        }
    }

    /// A status with a short document.
    fn answer<B>(
        self,
        status: StatusCode,
        ending: Ending,
        said_by: SaidBy,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let left = matches!(ending, Ending::Cancelled(_));
        let has_body = has_body(&self.method, status);
        let text = Bytes::from(problem(status));
        let framing = Framing::of(self.protocol, has_body, Some(text.len() as u64));
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let retry = ending.cause().is_none_or(|it| it.retry != Retry::Never);
        if let (true, Some(seconds)) = (
            status == StatusCode::SERVICE_UNAVAILABLE && retry,
            self.policy.retry_after_seconds(),
        ) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let parts = Parts {
            promised: Some(text.len() as u64),
            ..self.parts(self.situation(&headers, framing, &exchange), said_by)
        };
        exchange.say(ending, said_by);
        let mut body = WireBody::new(None, exchange, parts);
        if left {
            body.break_at_once(WireEnding::Stop);
        } else {
            if has_body {
                body.substitute(text);
            }
            body.exchange()
                .head(status.as_u16(), framing, body.length());
            body.begin(framing);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Marks a response in whose place the stream is to be reset like this, before any head.
// Only a server loop of ours reads it.
#[cfg_attr(not(feature = "listen"), allow(dead_code))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unprocessed(pub(crate) WireEnding);

/// What a policy says of the client that sent these fields.
fn client_of(headers: &HeaderMap, policy: &Policy) -> Client {
    let field = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    policy.client(
        field(&USER_AGENT),
        field(&ACCEPT),
        field(&SEC_FETCH_DEST),
        field(&HeaderName::from_static("x-varnish")),
    )
}

/// A problem document (RFC 9457) that tells the status and nothing of the inside.
fn problem(status: StatusCode) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!("{{\"title\":\"{title}\",\"status\":{}}}\n", status.as_u16())
}

/// A body's own word on its length; a panic in it is left to the first poll.
fn exact_size<B: HttpBody>(body: &B) -> Option<u64> {
    catch_unwind(AssertUnwindSafe(|| body.size_hint().exact())).ok()?
}

fn promised(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}

/// The status of a gRPC response that failed without a body.
fn grpc_failure(headers: &HeaderMap) -> Option<String> {
    let status = headers.get(&GRPC_STATUS)?;
    (status.as_bytes() != b"0").then(|| String::from_utf8_lossy(status.as_bytes()).into_owned())
}

/// Whether a response to this method with this status has a body (RFC 9112 section 6.3).
fn has_body(method: &Method, status: StatusCode) -> bool {
    method != Method::HEAD && status_has_body(status)
}

fn status_has_body(status: StatusCode) -> bool {
    !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED
}
