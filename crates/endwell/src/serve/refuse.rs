//! Refuses HTTP/2 requests that no part of the application has seen.
//!
//! Reads: the response of the outermost middleware. Gives: it, or in its place the error that
//! makes hyper reset the stream before any head: only a server loop can do that.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use tower_service::Service;

use crate::layer::{Answer, Endings, Unprocessed};
use crate::producer::BoxError;
use crate::wire::body::WireBody;
use crate::wire::broken::WireBroken;

/// The outermost middleware as hyper is given it.
#[derive(Debug, Clone)]
pub(super) struct Refusing<S>(pub(super) Endings<S>);

impl<S, B> Service<Request<Incoming>> for Refusing<S>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<WireBody<B>>;
    type Error = WireBroken;
    type Future = Refusal<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireBroken>> {
        self.0
            .poll_ready(cx)
            .map_err(|never: Infallible| match never {})
    }

    fn call(&mut self, request: Request<Incoming>) -> Refusal<B> {
        Refusal(self.0.call(request))
    }
}

/// The future of [`Refusing`].
pub(super) struct Refusal<B>(Answer<B>);

impl<B> Future for Refusal<B> {
    type Output = Result<Response<WireBody<B>>, WireBroken>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut response = match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(response) => response,
            Err(never) => match never {},
        };
        Poll::Ready(match response.extensions_mut().remove::<Unprocessed>() {
            None => Ok(response),
            Some(Unprocessed(wire)) => {
                response.body().reset_by_server();
                Err(WireBroken::new(wire))
            }
        })
    }
}
