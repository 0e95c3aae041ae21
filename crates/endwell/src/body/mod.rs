//! A response body with an ending.
//!
//! Reads: a producer's slot, or a foreign stream, reader or body. Gives: an
//! [`http_body::Body`] of `Bytes` that ends with `None` only for a complete ending, and with a
//! [`Broken`] that carries the [`Ending`] otherwise.

mod reader;
mod stream;
mod tailed;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use endwell_core::{Cause, Ending, Kind, SaidBy};
use futures_core::Stream;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::producer::{Abort, BoxError, Finished, Producer, Slot, cause_of, panicked};
use crate::tail::{Link, Tailing};

pub use self::tailed::with_tail;

/// Streams a body from a closure that must say how it ended.
///
/// The closure's future is polled inside the body: it runs when the client is ready for more
/// and stops at its last `await` when the client leaves. `?` on any error aborts the response.
///
/// # On the wire
/// Every octet handed over before the failure arrives first; then
/// [`plan`](endwell_core::plan) decides: no last chunk on HTTP/1.1, a short body under a
/// Content-Length, a reset connection on HTTP/1.0, `RST_STREAM(INTERNAL_ERROR)` on HTTP/2.
///
/// # Examples
/// ```
/// # async fn rows() -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
/// let body = endwell::stream(|mut producer| async move {
///     for row in rows().await? {
///         producer.send(row).await?;
///     }
///     Ok(producer.finish())
/// });
/// ```
pub fn stream<F, Fut>(producer: F) -> Body
where
    F: FnOnce(Producer) -> Fut,
    Fut: Future<Output = Result<Finished, Abort>> + Send + 'static,
{
    let (handle, slot) = Producer::new();
    let work = Box::pin(producer(handle));
    Body::new(
        Source::Closure {
            slot,
            work: Some(work),
        },
        SaidBy::Producer,
    )
}

/// A body and the producer that fills it from another task.
///
/// Dropping the producer ends the response as failed.
pub fn channel() -> (Producer, Body) {
    let (producer, slot) = Producer::new();
    (
        producer,
        Body::new(Source::Channel { slot }, SaidBy::Producer),
    )
}

type Work = Pin<Box<dyn Future<Output = Result<Finished, Abort>> + Send>>;

/// A response body whose end is said, never implied.
///
/// With a producer behind it ([`stream`], [`channel`]) only an explicit call ends it as complete.
/// A foreign stream, reader or body that stops is taken as complete (`said_by = source`).
pub struct Body {
    source: Source,
    said_by: SaidBy,
    promised: Option<u64>,
    /// The error, and how many rounds it still waits.
    breaking: Option<(Broken, u8)>,
    ended: bool,
    tail: Option<Box<Tailing>>,
}

enum Source {
    Closure { slot: Arc<Slot>, work: Option<Work> },
    Channel { slot: Arc<Slot> },
    Foreign(Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>),
    Full(Option<Bytes>),
}

impl Body {
    fn new(source: Source, said_by: SaidBy) -> Self {
        Self {
            source,
            said_by,
            promised: None,
            breaking: None,
            ended: false,
            tail: None,
        }
    }

    /// A body that is already whole.
    pub fn full(octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        let mut body = Self::new(Source::Full(None), SaidBy::Producer);
        body.promised = Some(octets.len() as u64);
        body.ended = octets.is_empty();
        body.source = Source::Full(Some(octets).filter(|octets| !octets.is_empty()));
        body
    }

    /// The octets of a stream; its end is taken as complete, its first error as failed.
    pub fn from_stream<S, O, E>(octets: S) -> Self
    where
        S: Stream<Item = Result<O, E>> + Send + 'static,
        O: Into<Bytes>,
        E: Into<BoxError>,
    {
        Self::foreign(Box::pin(stream::StreamBody::new(octets)))
    }

    /// The octets of a reader; its end of file is taken as complete, its first error as failed.
    ///
    /// Frames start at 32 KiB and grow to 256 KiB.
    pub fn from_reader<R>(reader: R) -> Self
    where
        R: tokio::io::AsyncRead + Send + 'static,
    {
        Self::foreign(Box::pin(reader::ReaderBody::new(reader)))
    }

    /// The frames of another body; its end is taken as complete, its first error as failed.
    pub fn from_body<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::foreign(Box::pin(stream::MapError::new(body)))
    }

    fn foreign(body: Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>) -> Self {
        let promised = body.size_hint().exact();
        let mut this = Self::new(Source::Foreign(body), SaidBy::Source);
        this.promised = promised;
        this
    }

    /// Promises a length in octets: it becomes `Content-Length`.
    ///
    /// The last octet then waits until the ending is known; a body that ends shorter or
    /// longer has failed.
    #[must_use]
    pub fn promise(mut self, octets: u64) -> Self {
        self.promised = Some(octets);
        self
    }

    /// Who says the ending of this body.
    pub fn said_by(&self) -> SaidBy {
        self.said_by
    }

    /// Makes a response that remembers who says its ending.
    pub fn into_http(mut self) -> Response<Self> {
        let marker = self.marker();
        let field = self.tail.as_mut().and_then(|tail| tail.announce());
        let mut response = Response::new(self);
        response.headers_mut().extend(field);
        response.extensions_mut().insert(marker);
        response
    }

    /// What the layer is to know of this body.
    fn marker(&self) -> Marker {
        Marker {
            said_by: self.said_by,
            slot: self.slot().cloned(),
            tail: self.tail.as_ref().map(|tail| Arc::clone(tail.link())),
        }
    }

    /// Where a producer hands over its frames, if one fills this body.
    pub(crate) fn slot(&self) -> Option<&Arc<Slot>> {
        match &self.source {
            Source::Closure { slot, .. } | Source::Channel { slot } => Some(slot),
            Source::Foreign(_) | Source::Full(_) => None,
        }
    }

    fn poll_breaking(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.breaking.take() {
            Some((broken, 0)) => {
                self.ended = true;
                Poll::Ready(Some(Err(broken)))
            }
            Some((broken, rounds)) => {
                self.breaking = Some((broken, rounds - 1));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn end(
        &mut self,
        ending: Ending,
        trailers: Option<HeaderMap>,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match ending {
            Ending::Complete => {
                self.ended = true;
                Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
            }
            ending @ (Ending::Degraded(_) | Ending::Failed(_) | Ending::Cancelled(_)) => {
                self.breaking = Some((Broken(ending), ROUNDS));
                self.poll_breaking(cx)
            }
        }
    }
}

/// How often a body answers `Pending` before its error, so that an encoder outside it hands over
/// what it holds.
///
/// async-compression 0.4.52 takes the first as the wish to flush and needs a second once the
/// flush is done, or the error overtakes the rest of its output; the third is for others.
const ROUNDS: u8 = 3;

/// Travels in a response's extensions from [`Body::into_http`] to the layer.
#[derive(Debug, Clone)]
pub(crate) struct Marker {
    pub(crate) said_by: SaidBy,
    /// Where the producer is told how large its frames best are.
    pub(crate) slot: Option<Arc<Slot>>,
    /// Where the layer tells a tail what it must know.
    pub(crate) tail: Option<Arc<Link>>,
}

/// Polls the closure's work until it has a frame (`Some`) or an ending (`None`).
///
/// While the work runs only a failure ends the body: a producer may say that it finished before
/// the closure, which may still fail, has returned.
fn poll_closure(
    slot: &Arc<Slot>,
    work: &mut Option<Work>,
    cx: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    if let Poll::Ready(Some(frame)) = slot.poll_take(work.is_some(), cx) {
        return Poll::Ready(Some(frame));
    }
    if let Some(running) = work {
        // Caught here and not only outermost, so that a frame handed over before the panic is kept.
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
        if let Ok(Poll::Ready(_)) | Err(_) = polled {
            *work = None;
        }
        match polled {
            Ok(Poll::Pending) => {}
            Err(panic) => slot.overrule(panicked(&*panic)),
            Ok(Poll::Ready(returned)) => match returned {
                Ok(finished) if finished.is_of(slot) => {}
                Ok(_) => slot.overrule(Cause::new(
                    Kind::ProducerDropped,
                    "the closure returned the end of another response",
                )),
                Err(abort) => slot.overrule(abort.into_cause()),
            },
        }
    }
    let taken = std::task::ready!(slot.poll_take(work.is_some(), cx));
    if taken.is_none() {
        // A failure that was said, or a dropped producer, cannot be taken back by what still runs.
        *work = None;
    }
    Poll::Ready(taken)
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if let Some(tail) = this.tail.take() {
            return this.poll_tailed(tail, cx);
        }
        if this.breaking.is_some() {
            return this.poll_breaking(cx);
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let slot = match &mut this.source {
            Source::Closure { slot, work } => match poll_closure(slot, work, cx) {
                Poll::Ready(Some(octets)) => return Poll::Ready(Some(Ok(Frame::data(octets)))),
                Poll::Ready(None) => slot,
                Poll::Pending => return Poll::Pending,
            },
            Source::Channel { slot } => match slot.poll_take(false, cx) {
                Poll::Ready(Some(octets)) => return Poll::Ready(Some(Ok(Frame::data(octets)))),
                Poll::Ready(None) => slot,
                Poll::Pending => return Poll::Pending,
            },
            Source::Foreign(body) => {
                return match std::task::ready!(body.as_mut().poll_frame(cx)) {
                    Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
                    Some(Err(error)) => this.end(ending_of(&*error), None, cx),
                    None => this.end(Ending::Complete, None, cx),
                };
            }
            Source::Full(octets) => {
                this.ended = true;
                return Poll::Ready(octets.take().map(|octets| Ok(Frame::data(octets))));
            }
        };
        match slot.take_said() {
            Some((ending, trailers)) => this.end(ending, trailers, cx),
            None => {
                let message = "the closure returned before its producer said how it ended";
                let cause = Cause::new(Kind::ProducerDropped, message);
                this.end(Ending::Failed(cause), None, cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Foreign(body) => {
                self.breaking.is_none() && (self.ended || body.is_end_stream())
            }
            Source::Closure { .. } | Source::Channel { .. } | Source::Full(_) => self.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.promised
            .map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        match &self.source {
            Source::Closure { slot, .. } | Source::Channel { slot } => slot.abandon(),
            Source::Foreign(_) | Source::Full(_) => {}
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("said_by", &self.said_by)
            .field("promised", &self.promised)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The error that a broken body ends with: it carries the [`Ending`].
#[derive(Debug, Clone)]
pub struct Broken(pub(crate) Ending);

impl Broken {
    /// How the body ended.
    pub fn ending(&self) -> &Ending {
        &self.0
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cause() {
            Some(cause) => write!(f, "response {}: {cause}", self.0.as_str()),
            None => f.write_str("response complete"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause().map(|cause| cause as _)
    }
}

/// The ending inside a foreign body's error, however deep.
pub(crate) fn ending_of(error: &(dyn StdError + 'static)) -> Ending {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(broken) = error.downcast_ref::<Broken>() {
            return broken.0.clone();
        }
        next = error.source();
    }
    Ending::Failed(cause_of(error))
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Body {
    fn into_response(self) -> axum::response::Response {
        self.into_http().map(axum::body::Body::new)
    }
}
