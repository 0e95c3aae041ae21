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
                polled = match tail.last_octets(broken.ending(), self.promise.octets) {
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::Waker;

    use futures_util::{FutureExt, StreamExt};

    use super::*;
    use crate::Producer;

    /// All that a body gives, and how it ended.
    fn drain(mut body: Body) -> (Vec<u8>, Option<Broken>) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        for _ in 0..1000 {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Pending => {}
                Poll::Ready(None) => return (all, None),
                Poll::Ready(Some(Err(broken))) => {
                    let again = Pin::new(&mut body).poll_frame(&mut cx);
                    assert!(matches!(again, Poll::Ready(None)), "an error is the last");
                    return (all, Some(broken));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    all.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
            }
        }
        panic!("the body does not end");
    }

    fn foreign(parts: Vec<io::Result<&'static str>>) -> Body {
        Body::from_stream(futures_util::stream::iter(parts))
    }

    async fn one_row(producer: &mut Producer) -> Result<(), crate::ClientGone> {
        producer.send("1\n").await
    }

    fn bodies() -> Vec<(&'static str, Body)> {
        let failing = || vec![Ok("1\n"), Err(io::Error::other("disk"))];
        let (mut producer, dropped) = crate::channel();
        let sent = one_row(&mut producer).now_or_never();
        assert_eq!(sent, Some(Ok(())));
        drop(producer);
        let panicking = futures_util::stream::iter([0, 1]).map(|at| match at {
            0 => Ok::<_, io::Error>("1\n"),
            _ => panic!("the stream panics"),
        });
        let closure = crate::stream(|mut producer| async move {
            one_row(&mut producer).await?;
            Err("disk".into())
        });
        let degraded = crate::stream(|mut producer| async move {
            one_row(&mut producer).await?;
            producer.degrade("a part");
            Ok(producer.finish())
        });
        let inner = crate::stream(|mut producer| async move {
            one_row(&mut producer).await?;
            producer.degrade("a part");
            Ok(producer.finish())
        });
        vec![
            ("producer_error", closure),
            ("producer_dropped", dropped),
            ("producer_error", foreign(failing())),
            ("producer_panicked", Body::from_stream(panicking)),
            ("producer_error", Body::from_body(foreign(failing()))),
            ("producer_error degraded", degraded),
            ("producer_error degraded", Body::from_body(inner)),
        ]
    }

    #[test]
    fn every_body_ends_with_its_tail_and_then_its_error() {
        for (due, body) in bodies() {
            let (octets, broken) = drain(body.tail(Tail::ndjson()));
            let text = String::from_utf8(octets).expect("text");
            let line = text.strip_prefix("1\n").expect("the row").trim_end();
            let json: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let (error, ending) = due.split_once(' ').unwrap_or((due, "failed"));
            assert_eq!(
                (&json["error"], &json["ending"]),
                (&error.into(), &ending.into())
            );
            let broken = broken.expect("the abort follows the reason");
            assert_eq!(broken.ending().as_str(), ending);
        }
    }

    #[test]
    fn a_complete_body_passes_unchanged() {
        for body in [foreign(vec![Ok("1\n"), Ok("2\n")]), Body::full("1\n2\n")] {
            let (octets, broken) = drain(body.tail(Tail::ndjson()));
            assert_eq!(octets, b"1\n2\n");
            assert!(broken.is_none());
        }
    }

    #[test]
    fn an_error_before_the_first_octet_is_left_to_the_head() {
        let (octets, broken) =
            drain(foreign(vec![Err(io::Error::other("disk"))]).tail(Tail::sse()));
        assert!(octets.is_empty());
        assert!(broken.is_some());
    }

    #[test]
    fn what_the_server_says_is_told_too() {
        let (mut producer, body) = crate::channel();
        let sent = one_row(&mut producer).now_or_never();
        assert_eq!(sent, Some(Ok(())));
        let mut body = body.tail(Tail::ndjson());
        let link = body.marker().tail.expect("a tail has a link");
        let mut cx = Context::from_waker(Waker::noop());
        let row = Pin::new(&mut body).poll_frame(&mut cx);
        assert!(matches!(row, Poll::Ready(Some(Ok(_)))));
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        let cause = endwell_core::Cause::new(endwell_core::Kind::ServerShutdown, "stop");
        link.order(Ending::Failed(cause));
        let (octets, broken) = drain(body);
        let json: serde_json::Value = serde_json::from_slice(&octets).expect("a line of JSON");
        assert_eq!(json["error"], "server_shutdown");
        assert!(broken.is_some());
        drop(producer);
    }
}
