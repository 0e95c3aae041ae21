//! The outermost middleware: policy, held head, caught panics, leaving clients, the record.
//!
//! Reads: a request and the application's response. Gives: the same response with a body that
//! carries its ending to the wire, or a 5xx when it failed before the head had to go.

mod peer;

mod rules;

mod route;

mod settings;

mod screen;

mod hold;

mod kept;

mod lists;

mod caches;

mod trailing;

mod asked;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use endwell_core::{Cause, Ending, Kind, Policy, SaidBy};
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use self::asked::Asked;
#[cfg(feature = "listen")]
pub(crate) use self::asked::Unprocessed;
use self::hold::poll_interruption;
pub use self::peer::Peer;
pub use self::route::{Route, RouteAnswer, RouteLayer, route};
pub use self::rules::Rule;
pub(crate) use self::settings::Settings;
use crate::observe::Observer;
use crate::producer::{BoxError, cause_of, panicked};
use crate::wire::body::WireBody;
use crate::wire::conn::Conn;
use crate::wire::exchange::Exchange;

/// Makes the middleware for a server that keeps its own listener and loop.
///
/// It gives policy, held heads, caught panics and records; **it gives no lossless abort**, which needs
/// [`serve`](crate::serve), or [`listen`](crate::listen) with [`app`](crate::app). Put it outermost, and not
/// inside those two, which have it already: they would see every ending of it as a plain failure.
///
/// # On the wire
/// - HTTP/1.1: a failure has no last chunk, or a short body; hyper flushes what it has, if nothing outside this layer buffers.
/// - HTTP/1.0, close-delimited: a plain close cannot tell a failure, so the body is held whole up to 1 MiB, and refused
///   with 505 beyond ([`Policy::http10_unprotected`]).
/// - HTTP/2: `RST_STREAM(INTERNAL_ERROR)`, which may overtake octets, and even the head.
/// - A failure before the first octet is a 5xx on each of them.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let app = axum::Router::new().layer(endwell::layer());
/// axum::serve(tcp, app).await
/// # }
/// ```
pub fn layer() -> Layer {
    Layer::default()
}

/// A [`tower_layer::Layer`] that gives policy, held heads, caught panics and records to any
/// server; [`layer`] makes one.
///
/// Without a listener of ours the wire's last step is out of reach: hyper may throw away what
/// it holds when a body breaks (on HTTP/2 also the head), and a close-delimited HTTP/1.0 body
/// cannot tell a failure. Use [`serve`](crate::serve) or [`app`](crate::app) for the lossless abort.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    settings: Settings,
}

impl Layer {
    /// With the default [`Policy`] and no observer, as [`layer`] does.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do about endings.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Arc::new(policy);
        self
    }

    /// Treats some requests otherwise than the policy says; the first rule that applies counts.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.settings.rules.push(rule);
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
        Endings::new(inner, Arc::new(self.settings.clone()), None)
    }
}

/// The middleware that [`Layer`], [`serve`](crate::serve) and [`app`](crate::app) put outermost.
#[derive(Debug, Clone)]
pub struct Endings<S> {
    inner: S,
    settings: Arc<Settings>,
    conn: Option<Arc<Conn>>,
}

impl<S> Endings<S> {
    pub(crate) fn new(inner: S, settings: Arc<Settings>, conn: Option<Arc<Conn>>) -> Self {
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

    fn call(&mut self, mut request: Request<R>) -> Answer<B> {
        let exchange = Exchange::new(&request, self.conn.clone(), self.settings.observer.clone());
        let mut asked = Asked::of(&request, &self.settings);
        if let Some(conn) = &self.conn {
            conn.note_content(screen::has_content(request.headers()));
            if let Some(status) = screen::refusal(&request, conn.limits()) {
                return Answer(Box::pin(
                    async move { Ok(asked.screened(status, exchange)) },
                ));
            }
            request.extensions_mut().insert(Peer::of(conn));
        }
        let (rule, request) = rules::apply(&self.settings.rules, request);
        if let Some(rule) = rule {
            asked.apply_rule(rule);
        }
        if let Some(cause) = self
            .conn
            .as_ref()
            .and_then(|conn| overload(conn, &exchange))
        {
            return Answer(Box::pin(
                async move { Ok(asked.unprocessed(cause, exchange)) },
            ));
        }
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

/// Why the application is not to see a request that is as good as others.
fn overload(conn: &Arc<Conn>, exchange: &Exchange) -> Option<Cause> {
    if let Some(cause) = conn.ordered() {
        return Some(cause.clone());
    }
    let message = "the server has as many requests under way as it may";
    (!exchange.admit(conn)).then(|| Cause::new(Kind::Overloaded, message))
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
