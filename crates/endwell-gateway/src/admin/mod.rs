//! What an operator asks a running server, on a listener of its own.
//!
//! Reads: a request. Gives: whether the server is alive and ready, its metrics, a page. Never:
//! lets anybody change anything.

mod readiness;

mod page;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use endwell::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;

use self::page::page;
pub use self::readiness::Readiness;
use crate::metrics::{Exposition, Metrics};

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The page needs its style and nothing else.
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

/// Answers an operator: a tower service for a listener of its own.
///
/// | path | answer |
/// |---|---|
/// | `/` | a page for people: state, uptime, counts |
/// | `/healthz` | 200: the process answers |
/// | `/readyz` | 200 while the server accepts connections, 503 before and while it drains |
/// | `/metrics` | the [`Metrics`], as the scraper's `Accept` asks ([`Exposition::of`]) |
///
/// It knows nobody: let it listen where only operators reach it.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// use endwell_gateway::{Admin, Metrics, Readiness};
/// let readiness = Readiness::new();
/// let admin = Admin::new(Metrics::new(), readiness.clone());
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
/// readiness.accepting();
/// endwell::serve(endwell::listen(tcp), admin).await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    metrics: Arc<Metrics>,
    readiness: Readiness,
    began: Instant,
}

impl Admin {
    /// Tells these metrics, and readiness as the server says it.
    pub fn new(metrics: Arc<Metrics>, readiness: Readiness) -> Self {
        Self {
            metrics,
            readiness,
            began: Instant::now(),
        }
    }

    fn respond(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
        let known = matches!(path, "/" | "/healthz" | "/readyz" | "/metrics");
        if known && method != Method::GET && method != Method::HEAD {
            let text = "only GET and HEAD\n";
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allow);
            return response;
        }
        match path {
            "/" => {
                let state = self.readiness.as_str();
                let page = page(state, self.began.elapsed(), &self.metrics.totals());
                let mut response = answer(StatusCode::OK, HTML, page);
                let headers = response.headers_mut();
                headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
                response
            }
            "/healthz" => answer(StatusCode::OK, PLAIN, "alive\n"),
            "/readyz" => {
                let status = if self.readiness.is_accepting() {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                answer(status, PLAIN, format!("{}\n", self.readiness.as_str()))
            }
            "/metrics" => {
                let exposition = Exposition::of(headers);
                let text = self.metrics.write(exposition);
                let mut response = answer(StatusCode::OK, exposition.content_type(), text);
                let accept = HeaderValue::from_static("Accept");
                response.headers_mut().insert(VARY, accept);
                response
            }
            _ => {
                let text = "there are /, /healthz, /readyz and /metrics\n";
                answer(StatusCode::NOT_FOUND, PLAIN, text)
            }
        }
    }
}

fn answer(status: StatusCode, media: HeaderValue, text: impl Into<String>) -> Response<Body> {
    let mut response = Body::full(text.into()).into_http();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl<B> Service<Request<B>> for Admin {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    // Not on the pool for blocking work: while a dead disk holds all of that, an operator asks.
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (method, path) = (request.method(), request.uri().path());
        ready(Ok(self.respond(method, path, request.headers())))
    }
}
