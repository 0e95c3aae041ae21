//! The outermost middleware: policy, held head, caught panics, leaving clients, the record.
//!
//! Reads: a request and the application's response. Gives: the same response with a body that
//! carries its ending to the wire, or a 5xx when it failed before the head had to go.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{
    Cause, Document, Ending, Framing, Hold, Kind, Policy, Protocol, SaidBy, Signals, Situation,
    Unprotected,
};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tower_service::Service;

use crate::body::Marker;
use crate::observe::Observer;
use crate::producer::{BoxError, cause_of, panicked};
use crate::wire::body::{First, Parts, WireBody, gone};
use crate::wire::conn::Conn;
use crate::wire::exchange::{Exchange, client_of};

/// What an application's responses have in common.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) policy: Arc<Policy>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Octets of HTTP/1.0 bodies held by all responses together.
    pub(crate) held: Arc<AtomicUsize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Arc::new(Policy::default()),
            observer: None,
            held: Arc::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("observed", &self.observer.is_some())
            .finish_non_exhaustive()
    }
}

/// A [`tower_layer::Layer`] that gives policy, held heads, caught panics and records to any
/// server.
///
/// Without a listener of ours the wire's last step is out of reach: hyper may throw away what
/// it holds when a body breaks (on HTTP/2 also the head), and a close-delimited HTTP/1.0 body
/// cannot tell a failure. Use [`serve`](crate::serve) or [`app`](crate::app) for the lossless abort.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    settings: Settings,
}

impl Layer {
    /// With the default [`Policy`] and no observer.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about endings.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Arc::new(policy);
        self
    }

    /// Who is told of every response.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Endings<S>;

    fn layer(&self, inner: S) -> Endings<S> {
        Endings::new(inner, self.settings.clone(), None)
    }
}

/// The middleware that [`Layer`], [`serve`](crate::serve) and [`app`](crate::app) put outermost.
#[derive(Debug, Clone)]
pub struct Endings<S> {
    inner: S,
    settings: Settings,
    conn: Option<Arc<Conn>>,
}

impl<S> Endings<S> {
    pub(crate) fn new(inner: S, settings: Settings, conn: Option<Arc<Conn>>) -> Self {
        Self {
            inner,
            settings,
            conn,
        }
    }
}

impl<S, R, B> Service<Request<R>> for Endings<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<WireBody<B>>;
    type Error = Infallible;
    type Future = Answer<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A service that cannot become ready fails each request instead: see `call`.
        let _ = std::task::ready!(self.inner.poll_ready(cx));
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Answer<B> {
        let exchange = Exchange::new(&request, self.conn.clone(), self.settings.observer.clone());
        let asked = Asked::of(&request, &self.settings);
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        Answer(Box::pin(async move {
            let answered = match called {
                Ok(answer) => wait_for(answer, &exchange).await,
                Err(panic) => Err((Ending::Failed(panicked(&*panic)), SaidBy::Server)),
            };
            Ok(match answered {
                Ok(response) => asked.respond(response, exchange).await,
                Err((ending, said_by)) => asked.refuse(ending, said_by, exchange),
            })
        }))
    }
}

/// The future of [`Endings`].
pub struct Answer<B>(
    #[allow(clippy::type_complexity)]
    Pin<Box<dyn Future<Output = Result<Response<WireBody<B>>, Infallible>> + Send>>,
);

impl<B> Future for Answer<B> {
    type Output = Result<Response<WireBody<B>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<B> fmt::Debug for Answer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// Waits for the service, unless it panics, the client leaves or the server must stop.
async fn wait_for<F, T, E>(answer: F, exchange: &Arc<Exchange>) -> Result<T, (Ending, SaidBy)>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    let mut answer = pin!(answer);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(error))) => {
                let cause = cause_of(&*error.into());
                Poll::Ready(Err((Ending::Failed(cause), SaidBy::Producer)))
            }
            Ok(Poll::Pending) => poll_interruption(exchange, cx).map(Err),
            Err(panic) => Poll::Ready(Err((Ending::Failed(panicked(&*panic)), SaidBy::Server))),
        }
    })
    .await
}

/// Whether the server or the peer ends the exchange while its head is still out.
fn poll_interruption(exchange: &Arc<Exchange>, cx: &mut Context<'_>) -> Poll<(Ending, SaidBy)> {
    let Some(conn) = &exchange.conn else {
        return Poll::Pending;
    };
    exchange.register(cx);
    if let Some(cause) = conn.killed().or(conn.ordered()) {
        return Poll::Ready((Ending::Failed(cause.clone()), SaidBy::Server));
    }
    if exchange.protocol.is_multiplexed() {
        // hyper sees a reset stream and a lost connection itself.
        return Poll::Pending;
    }
    conn.poll_departure(cx)
        .map(|departure| (gone(exchange, departure), SaidBy::Server))
}

/// What of a request decides about its response.
struct Asked {
    settings: Settings,
    protocol: Protocol,
    method: Method,
    client: endwell_core::Client,
    te_trailers: bool,
    incremental: bool,
}

impl Asked {
    fn of<R>(request: &Request<R>, settings: &Settings) -> Self {
        let headers = request.headers();
        Self {
            settings: settings.clone(),
            protocol: crate::wire::exchange::protocol(request.version()),
            method: request.method().clone(),
            client: client_of(request, &settings.policy),
            te_trailers: lists(headers, &TE, "trailers"),
            incremental: headers
                .get("incremental")
                .is_some_and(|value| value.as_bytes().starts_with(b"?1")),
        }
    }

    /// Makes the response's body carry its ending, once its head may go.
    async fn respond<B>(
        self,
        response: Response<B>,
        exchange: Arc<Exchange>,
    ) -> Response<WireBody<B>>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = response.into_parts();
        exchange.answered(head.status.as_u16());
        let promised = promised(&head.headers).or_else(|| body.size_hint().exact());
        let has_body = has_body(&self.method, head.status);
        let tunnel = head.status == StatusCode::SWITCHING_PROTOCOLS
            || (self.method == Method::CONNECT && head.status.is_success());
        let framing = Framing::of(self.protocol, has_body, promised);
        let said_by = head.extensions.remove::<Marker>();
        let parts = Parts {
            policy: Arc::clone(&self.settings.policy),
            client: self.client,
            situation: self.situation(&head.headers, framing, &exchange),
            said_by: said_by.map_or(SaidBy::Source, |marker| marker.0),
            te_trailers: self.te_trailers,
            promised,
        };
        let mut body = WireBody::new(Some(body), exchange, parts);
        if has_body && !tunnel {
            match self.hold(&mut body, &head.headers, framing).await {
                Ok(()) => {}
                Err((ending, said_by)) => return self.replace(body, ending, said_by),
            }
        }
        if let Some(status) = grpc_failure(&head.headers) {
            let cause = Cause::new(Kind::GrpcStatus, format!("grpc-status {status}"));
            body.exchange().say(Ending::Failed(cause), SaidBy::Source);
        }
        let promised = body.promised();
        if self.method == Method::HEAD
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
            signals: match conn {
                Some(_) => Signals::Owned,
                None => Signals::FramingOnly,
            },
            open_chunk: self.client.open_chunk,
            document: match (self.client.document, is_private(headers)) {
                (false, _) => Document::No,
                (true, true) => Document::Private,
                (true, false) => Document::Shared,
            },
            degraded_documents: self.settings.policy.degraded_documents,
        }
    }

    /// Holds the head until the first octet, the end, the producer's wish or the deadline.
    async fn hold<B>(
        &self,
        body: &mut WireBody<B>,
        headers: &HeaderMap,
        framing: Framing,
    ) -> Result<(), (Ending, SaidBy)>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let owned = body.exchange().conn.is_some();
        let hold = self.how_to_hold(headers, framing, owned, body.promised());
        let mut alarm = None;
        let exchange = Arc::clone(body.exchange());
        let first = poll_fn(|cx| {
            while let Poll::Ready(first) = body.poll_first(hold.octets, cx) {
                if !(hold.to_the_end && matches!(first, First::Go)) || body.held_octets() > 0 {
                    return Poll::Ready(Ok(first));
                }
            }
            if let Poll::Ready(ended) = poll_interruption(&exchange, cx) {
                return Poll::Ready(Err(ended));
            }
            let time = match hold.time {
                Some(Duration::ZERO) => return Poll::Ready(Ok(First::Go)),
                Some(time) => time,
                None => return Poll::Pending,
            };
            let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
            alarm.as_mut().poll(cx).map(|()| Ok(First::Go))
        })
        .await?;
        let server = |kind, message: String| {
            let ending = Ending::Failed(Cause::new(kind, message));
            Err((ending, SaidBy::Server))
        };
        let held = body.held_octets() as u64;
        match first {
            First::Go | First::Whole if hold.to_the_end && held > 0 => server(
                Kind::LengthExceeded,
                "more octets than the 0 promised".to_owned(),
            ),
            First::Whole => match body.promised() {
                Some(promised) if held < promised => server(
                    Kind::LengthShort,
                    format!("the body ended at octet {held} of {promised} promised"),
                ),
                None if framing == Framing::CloseDelimited => {
                    body.promise(held);
                    Ok(())
                }
                Some(_) | None => Ok(()),
            },
            First::Go if hold.or_refuse => server(
                Kind::Unprotected,
                "a failure could not be told over HTTP/1.0 here; ask with HTTP/1.1".to_owned(),
            ),
            First::Go => Ok(()),
            First::Broken(ending, said_by) => Err((ending, said_by)),
        }
    }

    fn how_to_hold(
        &self,
        headers: &HeaderMap,
        framing: Framing,
        owned: bool,
        promised: Option<u64>,
    ) -> HowToHold {
        let policy = &self.settings.policy;
        let time = match self.goes_at_once(headers) {
            true => Some(Duration::ZERO),
            false => policy.head_hold,
        };
        let mut how = HowToHold {
            octets: 1,
            time,
            or_refuse: false,
            to_the_end: promised == Some(0),
            _budget: None,
        };
        if how.to_the_end {
            how.time = None;
        }
        if framing != Framing::CloseDelimited {
            return how;
        }
        if owned {
            how.budget(&self.settings.held, policy.http10_hold);
            return how;
        }
        match policy.http10_unprotected {
            Unprotected::Stream => {}
            Unprotected::Refuse => how.or_refuse = true,
            Unprotected::Hold(octets) => {
                how.or_refuse = true;
                how.time = None;
                how.octets = octets;
            }
        }
        how
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
        body.abandon();
        let exchange = Arc::clone(body.exchange());
        drop(body);
        self.refuse(ending, said_by, exchange)
    }

    /// A 5xx, or nothing at all to a client that has left.
    fn refuse<B>(
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
            te_trailers: false,
            promised: Some(text.len() as u64),
        };
        exchange.answered(code);
        exchange.say(ending, said_by);
        let mut body = WireBody::new(None, exchange, parts);
        if left {
            body.stop();
        } else {
            body.substitute(text);
            body.exchange().head(code, framing, body.promised());
            body.begin(framing);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// How long and for what a head is held.
struct HowToHold {
    /// It may go once so many octets are there.
    octets: usize,
    /// Or after this time; `None` waits without limit.
    time: Option<Duration>,
    /// Unless the body is over by then, it is refused.
    or_refuse: bool,
    /// A promise of nothing is fulfilled by the head itself: only the proven end lets it go.
    to_the_end: bool,
    _budget: Option<Budget>,
}

impl HowToHold {
    /// Holds as many octets as the server has left for that.
    fn budget(&mut self, held: &Arc<AtomicUsize>, hold: Hold) {
        let budget = Budget::take(held, hold);
        if budget.is_some() {
            self.octets = hold.octets;
        }
        self._budget = budget;
    }
}

/// Octets of HTTP/1.0 bodies that all responses together may hold; dropped, it gives them back.
struct Budget {
    held: Arc<AtomicUsize>,
    octets: usize,
}

impl Budget {
    fn take(held: &Arc<AtomicUsize>, hold: Hold) -> Option<Self> {
        let before = held.fetch_add(hold.octets, Ordering::AcqRel);
        let budget = Self {
            held: Arc::clone(held),
            octets: hold.octets,
        };
        (before.saturating_add(hold.octets) <= hold.budget).then_some(budget)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.held.fetch_sub(self.octets, Ordering::AcqRel);
    }
}

/// A problem document (RFC 9457) that tells the status and nothing of the inside.
fn problem(status: StatusCode) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!("{{\"title\":\"{title}\",\"status\":{}}}\n", status.as_u16())
}

fn promised(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The status of a gRPC response that failed without a body.
fn grpc_failure(headers: &HeaderMap) -> Option<String> {
    let status = headers.get("grpc-status")?;
    (status.as_bytes() != b"0").then(|| String::from_utf8_lossy(status.as_bytes()).into_owned())
}

/// Whether a response to this method with this status has a body (RFC 9112 section 6.3).
fn has_body(method: &Method, status: StatusCode) -> bool {
    method != Method::HEAD
        && !status.is_informational()
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
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(member))
}
