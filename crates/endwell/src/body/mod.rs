//! A response body with an ending.
//!
//! Reads: a producer's slot, or a foreign stream, reader or body. Gives: an
//! [`http_body::Body`] of `Bytes` that ends with `None` only for a complete ending, and with a
//! [`Broken`] that carries the [`Ending`] otherwise.

mod broken;

mod head;

mod promise;

mod closure;

mod reader;

mod stream;
mod tailed;

#[cfg(feature = "listen")]
mod writer;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use endwell_core::{Cause, Ending, Kind, SaidBy};
use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

pub use self::broken::Broken;
pub(crate) use self::broken::ending_of;
use self::closure::{Work, poll_closure};
pub(crate) use self::head::Head;
use self::promise::Promise;
pub use self::tailed::with_tail;
#[cfg(feature = "listen")]
pub use self::writer::writer;
use crate::producer::{Abort, BoxError, Finished, Producer, Room, Witness, panicked};
use crate::tail::{Link, Tailing};
use crate::trailers::check;

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
    let (handle, witness) = Producer::new(Room::One);
    Body::of_closure(witness, Box::pin(producer(handle)))
}

/// A body and the producer that fills it from another task.
///
/// Dropping the producer ends the response as failed, also when its task was aborted, timed out or
/// panicked. There is room for up to 32 frames while they hold less than 64 KiB, or
/// [`Producer::frame_size`] if that is more, so a client that does not read costs little.
///
/// A producer cannot be cloned: with several senders the last one to go away would have to say the
/// ending, and could not know what became of the others. Let the tasks send to the
/// one that holds it, and let it see that each of them returned well.
///
/// # Examples
/// One task writes:
/// ```
/// # async fn run() {
/// let (mut producer, body) = endwell::channel();
/// tokio::spawn(async move {
///     for row in 0..1000 {
///         // The client has left: nothing more to do.
///         let Ok(()) = producer.send(format!("{row}\n")).await else { return };
///     }
///     let _finished = producer.finish();
/// });
/// # drop(body);
/// # }
/// ```
/// Several tasks write, and the body is complete only if all of them did their part:
/// ```
/// # async fn rows_of(part: u32) -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
/// use tokio::{sync::mpsc, task::JoinSet};
/// let body = endwell::stream(|mut producer| async move {
///     let (rows, mut all) = mpsc::channel::<String>(16);
///     let mut parts = JoinSet::new();
///     for part in 0..4 {
///         let rows = rows.clone();
///         parts.spawn(async move {
///             for row in rows_of(part).await? {
///                 let _ = rows.send(row).await;
///             }
///             Ok::<(), std::io::Error>(())
///         });
///     }
///     drop(rows);
///     while let Some(row) = all.recv().await {
///         producer.send(row).await?;
///     }
///     // That nothing more comes is no proof: each task says how it ended.
///     while let Some(part) = parts.join_next().await {
///         part??;
///     }
///     Ok(producer.finish())
/// });
/// ```
pub fn channel() -> (Producer, Body) {
    let (producer, witness) = Producer::new(Room::Several);
    (
        producer,
        Body::new(Source::Channel { witness }, SaidBy::Producer),
    )
}

/// A response body whose end is said, never implied.
///
/// With a producer behind it ([`stream`], [`channel`]) only an explicit call ends it as complete.
/// A foreign stream, reader or body that stops is taken as complete (`said_by = source`).
pub struct Body {
    source: Source,
    said_by: SaidBy,
    promise: Promise,
    /// Status and fields, if any were given.
    head: Option<Box<Head>>,
    may_trail: Vec<HeaderName>,
    /// What takes its place when it fails before its head has left.
    error_page: Option<Bytes>,
    /// The error, and how many rounds it still waits.
    breaking: Option<(Broken, u8)>,
    ended: bool,
    tail: Option<Box<Tailing>>,
}

enum Source {
    Closure {
        witness: Witness,
        work: Option<Work>,
    },
    Channel {
        witness: Witness,
    },
    Foreign(Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>),
    Full(Option<Bytes>),
}

impl Body {
    fn new(source: Source, said_by: SaidBy) -> Self {
        Self {
            source,
            said_by,
            promise: Promise::default(),
            head: None,
            may_trail: Vec::new(),
            error_page: None,
            breaking: None,
            ended: false,
            tail: None,
        }
    }

    fn of_closure(witness: Witness, work: Work) -> Self {
        let work = Some(work);
        Self::new(Source::Closure { witness, work }, SaidBy::Producer)
    }

    /// A body that is already whole.
    pub fn full(octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        let mut body = Self::new(Source::Full(None), SaidBy::Producer);
        body.promise = Promise::of(Some(octets.len() as u64));
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
    ///
    /// A body of this crate stays what it is. One that others wrapped keeps its ending,
    /// degraded too, if they pass its error on; its end was then not said but taken.
    pub fn from_body<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        let ours = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>();
        if let Some(ours) = ours.and_then(Option::take) {
            return ours;
        }
        let body = body.expect("it is taken only if it is ours");
        Self::foreign(Box::pin(stream::MapError::new(body)))
    }

    fn foreign(body: Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>) -> Self {
        let promised = body.size_hint().exact();
        let mut this = Self::new(Source::Foreign(body), SaidBy::Source);
        this.promise = Promise::of(promised);
        this
    }

    /// Promises a length in octets: it becomes `Content-Length`.
    ///
    /// The last octet then waits until the ending is known; a body that ends shorter or
    /// longer has failed.
    #[must_use]
    pub fn promise(mut self, octets: u64) -> Self {
        self.promise = Promise::of(Some(octets));
        self.ended &= octets == 0;
        self
    }

    /// Gives the response a status other than 200.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.head().status = status;
        self
    }

    /// Gives the response a `Content-Type`, in place of one that it has.
    ///
    /// A value that no field may have fails the response as a whole: see [`header`](Body::header).
    ///
    /// # Examples
    /// ```
    /// let body = endwell::Body::full("a,b\n1,2\n").content_type("text/csv; charset=utf-8");
    /// let response = body.into_http();
    /// assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    /// ```
    #[must_use]
    pub fn content_type<V>(mut self, value: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head().content_type(value);
        self.unless_wrong(given)
    }

    /// Gives the response a field, beside those of the same name.
    ///
    /// A name or value that no field may have (a line break in a file name, say) neither
    /// panics nor vanishes: the response becomes a 500 that has failed before its first octet, and its
    /// record names the field.
    ///
    /// # Examples
    /// ```
    /// use http::header::CONTENT_DISPOSITION;
    /// let body = endwell::Body::full("a,b\n").header(CONTENT_DISPOSITION, "attachment");
    /// assert_eq!(body.into_http().headers()["content-disposition"], "attachment");
    ///
    /// let body = endwell::Body::full("a,b\n").header("x-name", "two\nlines");
    /// assert_eq!(body.into_http().status(), 500);
    /// ```
    #[must_use]
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head().header(name, value);
        self.unless_wrong(given)
    }

    /// Gives the response this head, or makes it fail.
    pub(crate) fn with_head(mut self, head: Head, wrong: Option<Cause>) -> Self {
        self.head = Some(Box::new(head));
        self.unless_wrong(wrong.map_or(Ok(()), Err))
    }

    /// Gives what is shown, as HTML, if it fails before its head has left.
    pub(crate) fn error_page(mut self, html: Bytes) -> Self {
        self.error_page = Some(html);
        self
    }

    fn head(&mut self) -> &mut Head {
        self.head.get_or_insert_default()
    }

    /// Goes on as it is, or as the failure that the cause names.
    fn unless_wrong(mut self, given: Result<(), Cause>) -> Self {
        if let (Err(cause), None) = (given, &self.breaking) {
            self.let_go();
            self.source = Source::Full(None);
            self.said_by = SaidBy::Producer;
            self.promise = Promise::default();
            self.ended = false;
            self.breaking = Some((Broken(Ending::Failed(cause)), 0));
        }
        self
    }

    /// Announces trailer fields that may follow: they are put into the `Trailer` field where the
    /// client can be sent them. Those that must not be trailers are left out.
    ///
    /// # Examples
    /// ```
    /// use http::header::HeaderName;
    /// let body = endwell::stream(|mut producer| async move {
    ///     producer.send("a,b\n").await?;
    ///     let mut fields = endwell::Trailers::new();
    ///     fields.insert(HeaderName::from_static("x-rows"), 1.into())?;
    ///     producer.trailers(fields);
    ///     Ok(producer.finish())
    /// })
    /// .may_trail([HeaderName::from_static("x-rows")]);
    /// ```
    #[must_use]
    pub fn may_trail(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = names.into_iter().filter(|name| check(name).is_ok());
        self.may_trail.extend(names);
        self
    }

    /// Who says the ending of this body.
    pub fn said_by(&self) -> SaidBy {
        self.said_by
    }

    /// Makes a response with the status and fields that were given, which remembers who says its ending.
    ///
    /// With feature `axum` a handler returns the body itself: it is an `IntoResponse`.
    pub fn into_http(mut self) -> Response<Self> {
        let marker = self.marker();
        let failed = self.breaking.is_some();
        let head = self.head.take();
        let field = self.tail.as_mut().and_then(|tail| tail.announce());
        let mut response = Response::new(self);
        if let Some(head) = head {
            *response.status_mut() = head.status;
            *response.headers_mut() = head.fields;
        }
        if failed {
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response.headers_mut().clear();
        }
        response.headers_mut().extend(field);
        response.extensions_mut().insert(marker);
        response
    }

    /// What the layer is to know of this body.
    fn marker(&self) -> Marker {
        Marker {
            said_by: self.said_by,
            witness: self.witness().cloned(),
            tail: self.tail.as_ref().map(|tail| Arc::clone(tail.link())),
            may_trail: self.may_trail.clone(),
            error_page: self.error_page.clone(),
        }
    }

    /// Who may tell the producer, if there is one, how the response ended.
    fn witness(&self) -> Option<&Witness> {
        match &self.source {
            Source::Closure { witness, .. } | Source::Channel { witness } => Some(witness),
            Source::Foreign(_) | Source::Full(_) => None,
        }
    }

    /// The producer's next call learns that nobody reads any more.
    fn let_go(&self) {
        if let Some(witness) = self.witness() {
            witness.slot().abandon();
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

    /// What the source has, or the end that it says.
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let slot = match &mut self.source {
            Source::Closure { witness, work } => {
                match ready!(poll_closure(witness.slot(), work, cx)) {
                    Some(octets) => return Poll::Ready(Some(Ok(Frame::data(octets)))),
                    None => witness.slot(),
                }
            }
            Source::Channel { witness } => match ready!(witness.slot().poll_take(false, cx)) {
                Some(octets) => return Poll::Ready(Some(Ok(Frame::data(octets)))),
                None => witness.slot(),
            },
            Source::Foreign(body) => {
                // Caught here and not only outermost, so that an encoder outside hands over what it has.
                let polled = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_frame(cx)));
                let ending = match polled {
                    Ok(Poll::Pending) => return Poll::Pending,
                    // Trailers end the body: as complete if it has given what it promised.
                    Ok(Poll::Ready(Some(Ok(frame))))
                        if !frame.is_trailers() || self.promise.is_kept() =>
                    {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    Ok(Poll::Ready(Some(Ok(_)))) => Ending::Complete,
                    Ok(Poll::Ready(Some(Err(error)))) => ending_of(&*error),
                    Ok(Poll::Ready(None)) => Ending::Complete,
                    Err(panic) => Ending::Failed(panicked(&*panic)),
                };
                return self.end(ending, None, cx);
            }
            Source::Full(octets) => match octets.take() {
                Some(octets) => {
                    self.ended = self.promise.octets == Some(octets.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(octets))));
                }
                None => return self.end(Ending::Complete, None, cx),
            },
        };
        match slot.take_said() {
            Some((ending, trailers)) => self.end(ending, trailers, cx),
            None => {
                let message = "the closure returned before its producer said how it ended";
                let cause = Cause::new(Kind::ProducerDropped, message);
                self.end(Ending::Failed(cause), None, cx)
            }
        }
    }

    fn end(
        &mut self,
        ending: Ending,
        trailers: Option<HeaderMap>,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.promise.judge(ending) {
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
    /// Leads to the producer: it is told how large its frames best are, and how it all ended.
    pub(crate) witness: Option<Witness>,
    /// Where the layer tells a tail what it must know.
    pub(crate) tail: Option<Arc<Link>>,
    /// Trailer fields that may follow.
    pub(crate) may_trail: Vec<HeaderName>,
    /// What takes its place when it fails before its head has left: HTML in UTF-8.
    pub(crate) error_page: Option<Bytes>,
}

impl Default for Marker {
    /// Of a foreign body.
    fn default() -> Self {
        Self {
            said_by: SaidBy::Source,
            witness: None,
            tail: None,
            may_trail: Vec::new(),
            error_page: None,
        }
    }
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
        if this.promise.is_exceeded() {
            return this.end(Ending::Complete, None, cx);
        }
        let polled = this.poll_source(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.promise.give(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Foreign(body) => {
                let over = self.promise.is_kept() && body.is_end_stream();
                self.breaking.is_none() && (self.ended || over)
            }
            Source::Closure { .. } | Source::Channel { .. } | Source::Full(_) => self.ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.promise.hint()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("said_by", &self.said_by)
            .field("promised", &self.promise.octets)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Body {
    fn into_response(self) -> axum::response::Response {
        self.into_http().map(axum::body::Body::new)
    }
}
