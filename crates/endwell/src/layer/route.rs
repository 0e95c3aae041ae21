//! What the responses of one router do otherwise than the policy says.
//!
//! Reads: responses. Gives: them, with an [`Override`] in their extensions, where the outermost
//! middleware finds it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use endwell_core::Override;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

/// Changes the policy for the responses of a router, or of any tower service.
///
/// One response changes it by an [`Override`] in its extensions; that one counts where the two
/// differ. What is added nearer to the handler counts more.
///
/// # Examples
/// ```
/// use axum::{Extension, Router, response::IntoResponse, routing::get};
/// use endwell::{Override, Severity};
///
/// async fn feed() -> impl IntoResponse {
///     (Extension(Override::new().tell(Severity::Degrading)), "one of them is strict")
/// }
///
/// let api: Router = Router::new()
///     .route("/feed", get(feed))
///     .layer(endwell::route(Override::new().tell(Severity::Fatal)));
/// ```
pub fn route(then: Override) -> RouteLayer {
    RouteLayer(then)
}

/// What [`route`] makes: a [`tower_layer::Layer`].
#[derive(Debug, Clone, Copy)]
pub struct RouteLayer(Override);

impl<S> tower_layer::Layer<S> for RouteLayer {
    type Service = Route<S>;

    fn layer(&self, inner: S) -> Route<S> {
        Route {
            inner,
            then: self.0,
        }
    }
}

/// The service around one whose responses are treated otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Route<S> {
    inner: S,
    then: Override,
}

impl<S, R, B> Service<Request<R>> for Route<S>
where
    S: Service<Request<R>, Response = Response<B>>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = RouteAnswer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<R>) -> RouteAnswer<S::Future> {
        RouteAnswer {
            inner: self.inner.call(request),
            then: self.then,
        }
    }
}

pin_project! {
    /// The future of [`Route`].
    #[derive(Debug)]
    pub struct RouteAnswer<F> {
        #[pin]
        inner: F,
        then: Override,
    }
}

impl<F, B, E> Future for RouteAnswer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        if let Ok(response) = &mut answer {
            let extensions = response.extensions_mut();
            let nearer = extensions.get().copied().unwrap_or_default();
            extensions.insert(this.then.then(nearer));
        }
        Poll::Ready(answer)
    }
}
