//! A body with a tail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use endwell_core::Ending;
use http::Response;
use http_body::{Body as HttpBody, Frame};

use super::{Body, Broken, Marker, ROUNDS};
use crate::producer::{BoxError, panicked};
use crate::tail::{Tail, Tailing};

impl Body {
    /// Says in band, as its last octets, that this body failed or is degraded, and why.
    ///
    /// [`Tail`] tells when, and what. The octets of the body pass unchanged. Content that is encoded
    /// already (gzip) has no place for a tail: encode outside of it, as `tower_http::compression` does.
    ///
    /// # Examples
    /// ```
    /// # let events = futures_util::stream::iter([Ok::<_, std::io::Error>("data: 1\n\n")]);
    /// let body = endwell::Body::from_stream(events).tail(endwell::Tail::sse());
    /// ```
    #[must_use]
    pub fn tail(mut self, tail: Tail) -> Self {
        self.tail = Some(Box::new(Tailing::new(tail)));
        self
    }

    /// Polls the body as it is without its tail, watches what passes, and puts the tail before the error.
    pub(super) fn poll_tailed(
        &mut self,
        mut tail: Box<Tailing>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if !self.ended
            && self.breaking.is_none()
            && let Some(ending) = tail.ordered(cx)
        {
            self.breaking = Some((Broken(ending), 0));
        }
        // Caught here and not only outermost, so that the tail can tell it.
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *self).poll_frame(cx)));
        let mut polled =
            polled.unwrap_or_else(|panic| self.end(Ending::Failed(panicked(&*panic)), None, cx));
        match polled {
            Poll::Ready(Some(Err(broken))) => {
                polled = match tail.last_octets(broken.ending(), self.promised) {
                    Some(octets) => {
                        self.ended = false;
                        self.breaking = Some((broken, ROUNDS));
                        Poll::Ready(Some(Ok(Frame::data(octets))))
                    }
                    None => Poll::Ready(Some(Err(broken))),
                };
            }
            Poll::Ready(Some(Ok(ref frame))) => {
                if let Some(octets) = frame.data_ref() {
                    tail.watch(octets);
                }
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        self.tail = Some(tail);
        polled
    }
}

/// Gives a response the tail that fits its content type, if there is one; for
/// `axum::middleware::map_response`, or around the response of one handler.
///
/// Routers that want every event stream, NDJSON and HTML page under them to say why it broke add one
/// line; what answers may know nothing of endwell. Routes outside of the layer are not touched.
/// [`Tail::for_fields`] tells which types are known.
///
/// # Examples
/// ```
/// use axum::{Router, middleware::map_response, response::sse::{Event, KeepAlive, Sse}, routing::get};
/// # type Tokens = futures_util::stream::Iter<std::vec::IntoIter<Result<Event, std::io::Error>>>;
/// # fn tokens() -> Tokens { futures_util::stream::iter(vec![]) }
/// let app: Router = Router::new()
///     .route("/", get(|| async { Sse::new(tokens()).keep_alive(KeepAlive::default()) }))
///     .layer(map_response(endwell::with_tail));
/// ```
pub async fn with_tail<B>(response: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = response.into_parts();
    let marker = head.extensions.get::<Marker>().cloned();
    let mut body = Body::from_body(body);
    if marker.as_ref().is_some_and(|marker| marker.tail.is_some()) {
        return Response::from_parts(head, body);
    }
    if let Some(tail) = Tail::for_fields(&head.headers) {
        body = body.tail(tail);
    }
    let own = body.marker();
    let marker = match marker {
        Some(inner) => Marker {
            tail: own.tail,
            ..inner
        },
        None => own,
    };
    head.extensions.insert(marker);
    Response::from_parts(head, body)
}
