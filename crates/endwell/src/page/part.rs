//! A part: work that is awaited, and what its failure means for the page.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::Severity;
use futures_core::Stream;
use pin_project_lite::pin_project;

use super::decided::Decided;
use super::error::PartError;
use super::fragment::{Catch, Declared, Fragment, Given, IntoFragment, Run};
use crate::producer::BoxError;

/// Declares a part of a page: a name for it, and work that gives its content.
///
/// The work gives a `Result`. What is in its `Ok` is content ([`IntoFragment`]), or becomes content by
/// [`then`](Part::then). The name is what records and `Server-Timing` call it.
///
/// # Examples
/// ```
/// use endwell::page::{Page, part};
/// # async fn price(_: u32) -> Result<u32, std::io::Error> { Ok(3) }
/// # async fn reviews(_: u32) -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
/// let page = Page::new()
///     .chunk("<!DOCTYPE html><title>Bolts</title><p>")
///     .part(part("price", price(17)).then(|cents| format!("{cents} cents")))
///     .part(
///         part("reviews", reviews(17))
///             .then(|reviews| reviews.concat())
///             .degrading()
///             .catch(|_error| "<p>Reviews cannot be shown now."),
///     );
/// # let _ = page;
/// ```
pub fn part<F, C, E>(name: impl Into<Cow<'static, str>>, work: F) -> Part<F>
where
    F: Future<Output = Result<C, E>> + Send + 'static,
    E: Into<BoxError>,
{
    Part::new(name.into(), work)
}

/// Declares a part that repeats: one piece of content for each item of a stream, in its order.
///
/// `render` gives for each item its key, by which records name what fails in it (`reviews[17]`), and its
/// content, which may have parts of its own. The end of the stream is taken as complete; its first error ends it
/// and is the part's, after the items that came before. The stream is asked for more while no more
/// than [`ITEMS`] of its items are unfinished.
///
/// # Examples
/// ```
/// use endwell::page::{Page, each};
/// # let rows = futures_util::stream::iter([Ok::<_, std::io::Error>((1, "M8")), Ok((2, "M10"))]);
/// let page = Page::new()
///     .chunk("<ul>")
///     .part(each("bolts", rows, |(id, name)| (id, format!("<li>{name}"))).degrading())
///     .chunk("</ul>");
/// # let _ = page;
/// ```
pub fn each<S, R, T, E, K, C>(
    name: impl Into<Cow<'static, str>>,
    items: S,
    render: R,
) -> Part<Each<S, R>>
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    R: FnMut(T) -> (K, C) + Send + 'static,
    E: Into<BoxError>,
    K: Display,
    C: IntoFragment,
{
    Part::new(name.into(), Each { items, render })
}

/// Items of one repetition that may be unfinished at a time: enough to overlap what they wait for, and few
/// enough that a long stream behind a slow part costs no more than they do.
pub const ITEMS: usize = 64;

/// A part of a page, made by [`part`] or [`each`].
///
/// | said of it | by | if it is not said |
/// |---|---|---|
/// | how bad its failure is | [`fatal`](Part::fatal), [`degrading`](Part::degrading), [`note`](Part::note) | fatal |
/// | what stands there if it fails | [`catch`](Part::catch) | nothing |
/// | how long it may take | [`timeout`](Part::timeout) | for ever |
/// | what stands there until it comes | [`placeholder`](Part::placeholder) | it comes in its place, and what follows waits |
///
/// It has failed if its work gives an error, panics, or takes too long.
#[must_use = "a part that is put into no page does nothing"]
pub struct Part<W> {
    name: Cow<'static, str>,
    work: W,
    severity: Severity,
    timeout: Option<Duration>,
    placeholder: Option<Bytes>,
    catch: Option<Catch>,
}

impl<W> Part<W> {
    fn new(name: Cow<'static, str>, work: W) -> Self {
        Self {
            name,
            work,
            severity: Severity::Fatal,
            timeout: None,
            placeholder: None,
            catch: None,
        }
    }

    /// Says how bad its failure is.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Its failure ends the page as failed. So it is for a part of which nothing is said.
    pub fn fatal(self) -> Self {
        self.severity(Severity::Fatal)
    }

    /// Its failure leaves the page to be finished, and ends it as degraded.
    pub fn degrading(self) -> Self {
        self.severity(Severity::Degrading)
    }

    /// Its failure is noted in the record and in `Server-Timing`; the page is complete.
    pub fn note(self) -> Self {
        self.severity(Severity::Note)
    }

    /// Gives what stands in its place if it fails.
    ///
    /// A fatal part's is the last that is written. A panic in it counts too: there stands nothing then, and
    /// the failure is no less than degrading.
    pub fn catch<C: IntoFragment>(
        mut self,
        fallback: impl FnOnce(&PartError) -> C + Send + 'static,
    ) -> Self {
        self.catch = Some(Box::new(|error| fallback(error).into_fragment()));
        self
    }

    /// Lets it fail if it takes longer. The time starts when the part first runs.
    ///
    /// # Panics
    /// The page panics where it is polled if tokio's timers are not there.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = Some(time);
        self
    }

    /// Lets what follows go ahead of it: this stands in its place until it comes, out of order.
    ///
    /// It is content where elements may stand (not in a `title` or an attribute), and balanced, as must
    /// be what comes for it. See [`Page::in_order`](super::Page::in_order).
    pub fn placeholder(mut self, octets: impl Into<Bytes>) -> Self {
        self.placeholder = Some(octets.into());
        self
    }

    fn map<V>(self, change: impl FnOnce(W) -> V) -> Part<V> {
        Part {
            name: self.name,
            work: change(self.work),
            severity: self.severity,
            timeout: self.timeout,
            placeholder: self.placeholder,
            catch: self.catch,
        }
    }
}

impl<F> Part<F> {
    /// Makes content of what its work gives. A panic in it is the part's failure.
    pub fn then<T, E, M, C>(self, content: M) -> Part<Then<F, M>>
    where
        F: Future<Output = Result<T, E>>,
        M: FnOnce(T) -> C + Send + 'static,
    {
        self.map(|future| Then {
            future,
            content: Some(content),
        })
    }

    /// The same with a renderer that may fail: a template engine's.
    pub fn try_then<T, E, M, C, R>(self, content: M) -> Part<TryThen<F, M>>
    where
        F: Future<Output = Result<T, E>>,
        M: FnOnce(T) -> Result<C, R> + Send + 'static,
        R: Into<BoxError>,
    {
        self.map(|future| TryThen {
            future,
            content: Some(content),
        })
    }
}

impl<W: Work> Part<W> {
    pub(super) fn declare(self) -> Declared {
        self.declare_as(|work| Box::pin(work))
    }
}

impl<W> Part<W> {
    /// The same for work whose result decides the head.
    pub(super) fn declare_deciding<D, E>(self) -> Declared
    where
        W: Future<Output = Result<D, E>> + Send + 'static,
        D: Into<Decided> + 'static,
        E: Into<BoxError> + 'static,
    {
        let mut declared = self.declare_as(|future| Box::pin(Deciding { future }));
        declared.decides = true;
        declared
    }

    fn declare_as(self, work: impl FnOnce(W) -> Pin<Box<dyn Run>>) -> Declared {
        Declared {
            name: self.name,
            severity: self.severity,
            timeout: self.timeout,
            placeholder: self.placeholder,
            catch: self.catch,
            decides: false,
            work: work(self.work),
        }
    }
}

impl Fragment {
    /// Adds a part: it runs from when the page does, beside all others.
    pub fn part<W: Work>(self, part: Part<W>) -> Self {
        self.declared(part.declare())
    }
}

impl<W> fmt::Debug for Part<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}

/// Work that a part can have: a future of a `Result` of content, or a repetition. Made by [`part`] and
/// [`each`]; nothing else can be one.
#[allow(private_bounds)]
pub trait Work: Run + 'static {}

impl<W: Run + 'static> Work for W {}

impl<F, C, E> Run for F
where
    F: Future<Output = Result<C, E>> + Send,
    C: IntoFragment,
    E: Into<BoxError>,
{
    fn poll_run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Given, BoxError>> {
        let content = ready!(self.poll(cx)).map_err(Into::into)?;
        Poll::Ready(Ok(Given::All(content.into_fragment(), None)))
    }
}

pin_project! {
    /// Work whose result becomes content.
    #[derive(Debug)]
    pub struct Then<F, M> {
        #[pin]
        future: F,
        content: Option<M>,
    }
}

impl<F, M, T, E, C> Future for Then<F, M>
where
    F: Future<Output = Result<T, E>>,
    M: FnOnce(T) -> C,
{
    type Output = Result<C, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let value = ready!(this.future.poll(cx))?;
        let content = this.content.take().expect("not polled again after its end");
        Poll::Ready(Ok(content(value)))
    }
}

pin_project! {
    /// Work whose result becomes content, if that does not fail.
    #[derive(Debug)]
    pub struct TryThen<F, M> {
        #[pin]
        future: F,
        content: Option<M>,
    }
}

impl<F, M, T, E, C, R> Future for TryThen<F, M>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
    M: FnOnce(T) -> Result<C, R>,
    R: Into<BoxError>,
{
    type Output = Result<C, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let value = ready!(this.future.poll(cx)).map_err(Into::into)?;
        let content = this.content.take().expect("not polled again after its end");
        Poll::Ready(content(value).map_err(Into::into))
    }
}

pin_project! {
    /// Work whose result decides the head.
    struct Deciding<F> {
        #[pin]
        future: F,
    }
}

impl<F, D, E> Run for Deciding<F>
where
    F: Future<Output = Result<D, E>> + Send,
    D: Into<Decided>,
    E: Into<BoxError>,
{
    fn poll_run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Given, BoxError>> {
        let decided = ready!(self.project().future.poll(cx)).map_err(Into::into)?;
        let decided: Decided = decided.into();
        Poll::Ready(Ok(Given::All(decided.content, Some(decided.head))))
    }
}

pin_project! {
    /// A repetition over a stream.
    #[derive(Debug)]
    pub struct Each<S, R> {
        #[pin]
        items: S,
        render: R,
    }
}

impl<S, R, T, E, K, C> Run for Each<S, R>
where
    S: Stream<Item = Result<T, E>> + Send,
    R: FnMut(T) -> (K, C) + Send,
    E: Into<BoxError>,
    K: Display,
    C: IntoFragment,
{
    fn poll_run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Given, BoxError>> {
        let this = self.project();
        let Some(item) = ready!(this.items.poll_next(cx)) else {
            return Poll::Ready(Ok(Given::Over));
        };
        let (key, content) = (this.render)(item.map_err(Into::into)?);
        Poll::Ready(Ok(Given::Item(key.to_string(), content.into_fragment())))
    }

    fn repeats(&self) -> bool {
        true
    }
}
