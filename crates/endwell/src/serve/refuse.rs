//! Refuses HTTP/2 and HTTP/3 requests that no part of the application has seen.
//!
//! Reads: the response of the outermost middleware. Gives: it, or in its place the error that
//! makes the server loop reset the stream before any head: only that can do it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::ALT_SVC;
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use crate::layer::{Answer, Endings, Unprocessed};
use crate::producer::BoxError;
use crate::wire::body::WireBody;
use crate::wire::broken::WireBroken;

/// The outermost middleware as the server loop is given it.
#[derive(Debug, Clone)]
pub(super) struct Refusing<S> {
    app: Endings<S>,
    /// What its responses say of another way to the same server.
    alternative: Option<HeaderValue>,
}

impl<S> Refusing<S> {
    pub(super) fn new(app: Endings<S>) -> Self {
        Self {
            app,
            alternative: None,
        }
    }

    /// Tells of another way to the same server (RFC 7838), where the application does not.
    pub(super) fn offering(mut self, alternative: Option<HeaderValue>) -> Self {
        self.alternative = alternative;
        self
    }
}

impl<S, R, B> Service<Request<R>> for Refusing<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<WireBody<B>>;
    type Error = WireBroken;
    type Future = Refusal<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireBroken>> {
        self.app
            .poll_ready(cx)
            .map_err(|never: Infallible| match never {})
    }

    fn call(&mut self, request: Request<R>) -> Refusal<B> {
        Refusal {
            answer: self.app.call(request),
            alternative: self.alternative.clone(),
        }
    }
}

/// The future of [`Refusing`].
pub(super) struct Refusal<B> {
    answer: Answer<B>,
    alternative: Option<HeaderValue>,
}

impl<B> Future for Refusal<B> {
    type Output = Result<Response<WireBody<B>>, WireBroken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match ready!(Pin::new(&mut self.answer).poll(cx)) {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(alternative) = self.alternative.take() {
            let headers = response.headers_mut();
            headers.entry(ALT_SVC).or_insert(alternative);
        }
        Poll::Ready(match response.extensions_mut().remove::<Unprocessed>() {
            None => Ok(response),
            Some(Unprocessed(wire)) => {
                response.body().reset_by_server();
                Err(WireBroken::new(wire))
            }
        })
    }
}
