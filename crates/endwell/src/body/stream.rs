//! Foreign streams and bodies, as bodies whose error is boxed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::producer::BoxError;

pin_project! {
    /// A stream of octets as a body.
    pub(super) struct StreamBody<S> { #[pin] octets: S }
}

impl<S> StreamBody<S> {
    pub(super) fn new(octets: S) -> Self {
        Self { octets }
    }
}

impl<S, O, E> HttpBody for StreamBody<S>
where
    S: Stream<Item = Result<O, E>>,
    O: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let item = ready!(self.project().octets.poll_next(cx));
        Poll::Ready(item.map(|octets| octets.map(|o| Frame::data(o.into())).map_err(Into::into)))
    }
}

pin_project! {
    /// Another body with its error boxed.
    pub(super) struct MapError<B> { #[pin] body: B }
}

impl<B> MapError<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B> HttpBody for MapError<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.project().body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
