//! Who may ask: addresses and passwords.
//!
//! Reads: a request and the [`Peer`] in its extensions. Gives: the response of the service that
//! it guards, or 403, 401, 503. A [`Guard`] says nothing of what it guards to who may not see it.

mod networks;

mod basic;

mod users;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use endwell::{Body, Peer};
use http::header::{AUTHORIZATION, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_service::Service;

pub use self::networks::{BadNetwork, Networks};
use self::users::Word;
pub use self::users::{BadUser, Users};
use crate::reply;

/// What a client is asked for. The realm names nothing: it is told to everybody.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"endwell\", charset=\"UTF-8\"");

/// Lets a service answer only who may ask.
///
/// Addresses are looked at first, then passwords, both before the service sees the request. Put
/// it around [`Files`](crate::Files) or any other service for
/// [`endwell::serve`](endwell::serve()), which tells the address; on another server, which does
/// not, a guard with networks refuses everybody.
///
/// # On the wire
/// 403 to an address that may not ask. 401 with `WWW-Authenticate: Basic` to a request without a
/// user's password (RFC 7617), 503 with `Retry-After` while too many passwords are being
/// verified. Over plain HTTP everybody on the way can read the password: use TLS.
///
/// # Examples
/// ```
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use endwell_gateway::{Files, Guard, Networks, Users};
/// let mut networks = Networks::default();
/// networks.allow("192.0.2.0/24")?;
/// let mut users = Users::new()?;
/// users.add("ann:$2b$12$WVrUXHnPOnZ1jMXDsN5XQeKt5kLMCU9E0GnFdeHn2bVwyDGlV0Ymi")?;
/// let app = Guard::new(Files::new("public")?).networks(networks).users(users);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Guard<S> {
    inner: S,
    networks: Arc<Networks>,
    users: Option<Arc<Users>>,
}

impl<S> Guard<S> {
    /// Around a service; it lets everybody in until it is told otherwise.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            networks: Arc::default(),
            users: None,
        }
    }

    /// Which addresses may ask.
    #[must_use]
    pub fn networks(mut self, networks: Networks) -> Self {
        self.networks = Arc::new(networks);
        self
    }

    /// Whose password a request needs. No users at all let nobody in.
    #[must_use]
    pub fn users(mut self, users: Users) -> Self {
        self.users = Some(Arc::new(users));
        self
    }

    fn knows_address<R>(&self, request: &Request<R>) -> bool {
        match request.extensions().get::<Peer>() {
            // Who may open a unix socket, its file says.
            Some(peer) => peer
                .addr()
                .is_none_or(|addr| self.networks.contain(addr.ip())),
            None => self.networks.are_open(),
        }
    }
}

impl<S, R> Service<Request<R>> for Guard<S>
where
    S: Service<Request<R>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Guarded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let path = request.uri().path();
        if !self.knows_address(&request) {
            return Guarded::refused(reply::status(StatusCode::FORBIDDEN, path));
        }
        let Some(users) = &self.users else {
            return Guarded(Inner::Asked(Box::pin(self.inner.call(request))));
        };
        let credentials = request.headers().get(AUTHORIZATION);
        let Some(credentials) = credentials.and_then(basic::Credentials::of) else {
            return Guarded::refused(unauthorized(path));
        };
        if users.remember(&credentials) {
            return Guarded(Inner::Asked(Box::pin(self.inner.call(request))));
        }
        let users = Arc::clone(users);
        // The one that is ready is called, and its clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Guarded(Inner::Verifying(Box::pin(async move {
            match users.verify(credentials).await {
                Word::Good => inner.call(request).await,
                Word::Bad => Ok(unauthorized(request.uri().path())),
                Word::Later => Ok(later(request.uri().path())),
            }
        })))
    }
}

/// The future of [`Guard`].
pub struct Guarded<F>(Inner<F>);

enum Inner<F> {
    Refused(Option<Box<Response<Body>>>),
    Asked(Pin<Box<F>>),
    Verifying(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>),
}

impl<F> Guarded<F> {
    fn refused(response: Response<Body>) -> Self {
        Self(Inner::Refused(Some(Box::new(response))))
    }
}

impl<F> Future for Guarded<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Refused(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(*response))),
            Inner::Asked(answer) => answer.as_mut().poll(cx),
            Inner::Verifying(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<F> fmt::Debug for Guarded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}

fn unauthorized(path: &str) -> Response<Body> {
    let mut response = reply::status(StatusCode::UNAUTHORIZED, path);
    let headers = response.headers_mut();
    headers.insert(WWW_AUTHENTICATE, CHALLENGE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn later(path: &str) -> Response<Body> {
    let mut response = reply::status(StatusCode::SERVICE_UNAVAILABLE, path);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
