//! What a request asks of its response, and the response that carries its ending.
//!
//! Reads: the request's head and the application's response. Gives: the same response with a
//! body for the wire, or another one in its place when it failed before its head had to go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use endwell_core::{
    Cause, Client, Document, Ending, Framing, Kind, Protocol, SaidBy, Signals, Situation,
};
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TE, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body as HttpBody;

use super::hold::HowToHold;
use super::kept;
use super::settings::Settings;
use crate::body::Marker;
use crate::producer::BoxError;
use crate::wire::body::{Parts, WireBody};
use crate::wire::exchange::{Exchange, client_of, protocol};

/// `Incremental` (draft-ietf-httpbis-incremental).
const INCREMENTAL: HeaderName = HeaderName::from_static("incremental");
/// `grpc-status`, of a response that has no body.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What of a request decides about its response.
pub(super) struct Asked {
    settings: Arc<Settings>,
    protocol: Protocol,
    version: Version,
    method: Method,
    client: Client,
    te_trailers: bool,
    incremental: bool,
}

impl Asked {
    pub(super) fn of<R>(request: &Request<R>, settings: &Arc<Settings>) -> Self {
        let headers = request.headers();
        Self {
            settings: Arc::clone(settings),
            protocol: protocol(request.version()),
            version: match request.version() {
                Version::HTTP_2 | Version::HTTP_3 => request.version(),
                // hyper answers an HTTP/1.0 client in its version, and can keep its connection.
                _ => Version::HTTP_11,
            },
            method: request.method().clone(),
            client: client_of(request, &settings.policy),
            te_trailers: lists(headers, &TE, "trailers"),
            incremental: headers
                .get(&INCREMENTAL)
                .is_some_and(|value| value.as_bytes().starts_with(b"?1")),
        }
    }

    /// Makes the response's body carry its ending, once its head may go.
    pub(super) async fn respond<B>(
        self,
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
        let promised = promised(&head.headers).or_else(|| exact_size(&body));
        let has_body = has_body(&self.method, head.status);
        let tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS
            || (self.method == Method::CONNECT && head.status.is_success());
        let framing = Framing::of(self.protocol, has_body, promised);
        let marker = head.extensions.remove::<Marker>();
        let situation = self.situation(&head.headers, framing, &exchange);
        let parts = Parts {
            policy: Arc::clone(&self.settings.policy),
            client: self.client,
            situation,
            said_by: marker.as_ref().map_or(SaidBy::Source, |it| it.said_by),
            producer: marker.and_then(|marker| marker.slot),
            trailers: self.sendable_trailers(&head.headers),
            promised,
        };
        if let (true, Some(conn)) = (tunnel, &exchange.conn) {
            conn.note_tunnel();
        }
        let mut body = WireBody::new(Some(body), exchange, parts);
        if has_body && !tunnel {
            let how = HowToHold::new(
                &self.settings.policy,
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
        let promised = body.promised();
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
            protocol: self.protocol,
            framing,
            tls: conn.is_some_and(|conn| conn.tls),
            signals: conn.map_or(Signals::FramingOnly, |conn| conn.signals),
            open_chunk: self.client.open_chunk,
            document: match (self.client.document, is_private(headers)) {
                (false, _) => Document::No,
                (true, true) => Document::Private,
                (true, false) => Document::Shared,
            },
            degraded_documents: self.settings.policy.degraded_documents,
        }
    }

    /// Responses whose head must not wait.
    fn goes_at_once(&self, headers: &HeaderMap) -> bool {
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        self.incremental
            || kind.starts_with("text/event-stream")
            || kind.starts_with("application/grpc")
    }

    /// The trailer fields that hyper will send on HTTP/1.1: announced, to a client that takes them.
    fn sendable_trailers(&self, headers: &HeaderMap) -> Vec<String> {
        if !self.te_trailers {
            return Vec::new();
        }
        members(headers, &TRAILER)
            .map(str::to_ascii_lowercase)
            .collect()
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
        let code = cause.map_or(500, |cause| cause.kind.status());
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
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let second = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, second);
        }
        response
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
        let parts = Parts {
            policy: Arc::clone(&self.settings.policy),
            client: self.client,
            situation: self.situation(&headers, framing, &exchange),
            said_by,
            producer: None,
            trailers: Vec::new(),
            promised: Some(text.len() as u64),
        };
        exchange.say(ending, said_by);
        let mut body = WireBody::new(None, exchange, parts);
        if left {
            body.stop();
        } else {
            if has_body {
                body.substitute(text);
            }
            body.exchange()
                .head(status.as_u16(), framing, body.promised());
            body.begin(framing);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
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

/// Whether no cache may reuse the response without asking.
fn is_private(headers: &HeaderMap) -> bool {
    let has = |directive| lists(headers, &CACHE_CONTROL, directive);
    has("no-store") || (has("private") && (has("no-cache") || has("max-age=0")))
}

/// Whether a list-valued field has this member.
fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    members(headers, name).any(|value| value.eq_ignore_ascii_case(member))
}

/// The members of a list-valued field.
fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}
