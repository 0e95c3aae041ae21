//! The reason in band: what the last octets of a broken body say.
//!
//! Reads: the octets of a body as they pass, and its ending. Gives: for a failed or degraded one, the
//! octets in which its media type says so. Never: ends what was cut so that it looks whole; says
//! anything of a complete body, of one whose head is still held, or to a peer that has left.

mod problem;

mod sse;

mod lines;

mod html;

mod multipart;

mod tagged;

mod link;

use std::fmt;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Ending, Retry};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

pub(crate) use self::html::Page as Markup;
pub(crate) use self::link::Link;
pub use self::multipart::InvalidBoundary;
use self::problem::problem;

/// How a body says, in its own media type, that it broke and why: as its last octets, before the abort.
///
/// The abort tells every peer *that* a response failed; it has no room for a reason. A tail has: an
/// `error` event, a record, a comment. It is for those who can read it, and never stands in for the
/// abort, which follows it.
///
/// What the peer is told is one line of JSON, a problem details object (RFC 9457):
///
/// ```json
/// {"title":"Internal Server Error","status":500,"ending":"failed","error":"producer_error","retry":"if_idempotent"}
/// ```
///
/// `error` is a name of [`Kind`](endwell_core::Kind), `retry` one of [`Retry`]. The cause's message is
/// not told unless [`message`](Tail::message) or [`detail`](Tail::detail) asks for it: it may name files,
/// hosts and queries.
///
/// # On the wire
/// The tail is written after a failed or degraded ending, once the head has left; before that, a
/// failure is a 5xx. It is not written when the peer has left, when nothing more can be written without
/// making something whole that was cut, or when it would not fit below a promised length. On every
/// protocol its octets are delivered like all others before the abort; encoders outside the body
/// (compression) carry it.
///
/// | format | the reason is | where the body was cut in the middle |
/// |---|---|---|
/// | [`sse`](Tail::sse) | an event of type `error`, with `retry` | the cut event becomes the error event; its `id` does not count |
/// | [`ndjson`](Tail::ndjson) | a line | the cut line stays one that does not parse |
/// | [`json_seq`](Tail::json_seq) | a record | the separator tells that the one before was cut |
/// | [`html`](Tail::html) | a comment, and a script if asked for | nothing is written inside a tag, a script or a style |
/// | [`multipart`](Tail::multipart) | a part | nothing is written inside a part |
/// | [`tagged`](Tail::tagged) | text behind a marker that the head announced | the marker ends it |
///
/// A JSON array, CSV, plain text, images and archives have no place for a reason: they stay cut.
///
/// # Examples
/// ```
/// use endwell::Tail;
/// # async fn tokens() -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
/// let body = endwell::stream(|mut producer| async move {
///     for token in tokens().await? {
///         producer.send(format!("data: {token}\n\n")).await?;
///     }
///     Ok(producer.finish())
/// })
/// .tail(Tail::sse());
/// ```
pub struct Tail {
    format: Format,
    tell: Tell,
    reconnect: Option<Duration>,
    script: Option<html::Script>,
}

/// The format, and where in it the octets stopped so far.
#[derive(Debug)]
enum Format {
    Sse(Box<sse::Events>),
    Ndjson(lines::Lines),
    JsonSeq,
    Html(Box<html::Page>),
    Multipart(multipart::Parts),
    Tagged(tagged::Tag),
}

/// What an author makes of a cause.
type Detail = dyn Fn(&Cause) -> Option<String> + Send + Sync;

/// What of a cause is told beside kind and advice.
enum Tell {
    Nothing,
    Message,
    Detail(Box<Detail>),
}

impl Tail {
    fn new(format: Format) -> Self {
        Self {
            format,
            tell: Tell::Nothing,
            reconnect: None,
            script: None,
        }
    }

    /// For `text/event-stream`: an event of type `error` whose data is the problem, with `retry`, and with the
    /// `id` of the last whole event if there was one, also one that the request named in `Last-Event-ID`.
    ///
    /// An event that was cut in the middle cannot be taken back; it becomes this one. Then the data has what
    /// was sent of it, and the problem as its last line. Frames that are whole events avoid that.
    pub fn sse() -> Self {
        Self::new(Format::Sse(Box::default()))
    }

    /// For `application/x-ndjson` and its like: the problem as a line of its own.
    ///
    /// A line that was cut is ended so that it is no JSON.
    pub fn ndjson() -> Self {
        Self::new(Format::Ndjson(lines::Lines::default()))
    }

    /// For `application/json-seq` (RFC 7464): the problem as a record.
    pub fn json_seq() -> Self {
        Self::new(Format::JsonSeq)
    }

    /// For `text/html` in a charset that has ASCII in it, such as UTF-8: the problem as a comment.
    ///
    /// Nothing is written where the page was cut inside a tag, a script, a style or the like. No element
    /// that is open gets closed.
    pub fn html() -> Self {
        Self::new(Format::Html(Box::default()))
    }

    /// For a multipart type: a part of type `application/problem+json`, if the body was cut right behind a
    /// delimiter. A producer that writes the delimiter with the part before it gives its receiver whole
    /// parts and leaves room for this one.
    ///
    /// # Errors
    /// [`InvalidBoundary`] if RFC 2046 section 5.1.1 does not allow it.
    pub fn multipart(boundary: &str) -> Result<Self, InvalidBoundary> {
        multipart::Parts::new(boundary).map(|parts| Self::new(Format::Multipart(parts)))
    }

    /// For text of any kind, as ClickHouse 25.11 does: `__exception__`, a random tag, the problem, its length
    /// and both again. The field `X-ClickHouse-Exception-Tag` announces the tag; a receiver that does not
    /// know it takes all that for content.
    ///
    /// The body must become a response by [`Body::into_http`](crate::Body::into_http) or
    /// `IntoResponse`, which add the field.
    pub fn tagged() -> Self {
        Self::new(Format::Tagged(tagged::Tag::random()))
    }

    /// The tail that fits the fields of a response; none where its media type has no place for a reason, where a
    /// content coding has been applied, or for a part of a representation.
    ///
    /// Known are `text/event-stream`, `application/x-ndjson`, `application/ndjson`, `application/jsonl`,
    /// `application/x-jsonlines`, `application/json-seq` and types that end in `+json-seq`, `text/html` in
    /// UTF-8 or without a charset, and `multipart/mixed`.
    pub fn for_fields(fields: &HeaderMap) -> Option<Self> {
        use http::header::{CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE};
        if fields.contains_key(CONTENT_ENCODING) || fields.contains_key(CONTENT_RANGE) {
            return None;
        }
        Self::for_media_type(fields.get(CONTENT_TYPE)?.to_str().ok()?)
    }

    fn for_media_type(value: &str) -> Option<Self> {
        let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
        let essence = essence.trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/event-stream" => Some(Self::sse()),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Some(Self::ndjson()),
            "text/html" => match parameter(parameters, "charset") {
                Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => None,
                _ => Some(Self::html()),
            },
            "multipart/mixed" => Self::multipart(parameter(parameters, "boundary")?).ok(),
            "application/json-seq" => Some(Self::json_seq()),
            other if other.ends_with("+json-seq") => Some(Self::json_seq()),
            _ => None,
        }
    }

    /// Tells the peer the cause's message too, as `detail`.
    ///
    /// Only where no message can hold what the peer must not know: an error that `?` passed on brings the
    /// text of everything below it.
    #[must_use]
    pub fn message(mut self) -> Self {
        self.tell = Tell::Message;
        self
    }

    /// Tells the peer a text of yours, as `detail`; `None` tells nothing. At most 1024 octets of it are told.
    ///
    /// # Examples
    /// ```
    /// use endwell::{Kind, Tail};
    /// let tail = Tail::ndjson().detail(|cause| match cause.kind {
    ///     Kind::ServerShutdown => Some("ask again: another server will answer".to_owned()),
    ///     _ => None,
    /// });
    /// ```
    #[must_use]
    pub fn detail(
        mut self,
        detail: impl Fn(&Cause) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tell = Tell::Detail(Box::new(detail));
        self
    }

    /// After how long an `EventSource` is to ask again: `retry` of [`sse`](Tail::sse), in whole
    /// milliseconds. Without it 3 s, and an hour for [`Retry::Never`].
    #[must_use]
    pub fn reconnect_after(mut self, pause: Duration) -> Self {
        self.reconnect = Some(pause);
        self
    }

    /// Adds a script to [`html`](Tail::html) that calls `window.onending`, if the page has defined it, with the
    /// problem as its argument.
    ///
    /// `nonce` is the one of the page's `Content-Security-Policy`, if it has one. In a browser the script
    /// runs as soon as it is parsed, before the abort; `defer` scripts and the `load` event may never come.
    #[must_use]
    pub fn script(mut self, nonce: Option<&str>) -> Self {
        self.script = Some(html::Script::new(nonce.map(str::to_owned)));
        self
    }

    /// The field that must stand in the head for the tail to be understood.
    fn field(&self) -> Option<(HeaderName, HeaderValue)> {
        match &self.format {
            Format::Tagged(tag) => Some((tagged::FIELD, tag.value())),
            Format::Sse(_)
            | Format::Ndjson(_)
            | Format::JsonSeq
            | Format::Html(_)
            | Format::Multipart(_) => None,
        }
    }

    fn watch(&mut self, octets: &[u8]) {
        match &mut self.format {
            Format::Sse(events) => events.watch(octets),
            Format::Ndjson(lines) => lines.watch(octets),
            Format::Html(page) => page.watch(octets),
            Format::Multipart(parts) => parts.watch(octets),
            Format::JsonSeq | Format::Tagged(_) => {}
        }
    }

    fn write(&mut self, ending: &Ending, cause: &Cause, link: &Link) -> Option<Bytes> {
        let detail = match &self.tell {
            Tell::Nothing => None,
            Tell::Message => Some(cause.message.clone().into_owned()),
            Tell::Detail(detail) => detail(cause),
        };
        let problem = problem(ending, cause, detail.as_deref());
        match &mut self.format {
            Format::Sse(events) => {
                if let Some(id) = link.last_event() {
                    events.resume(id);
                }
                let never = cause.retry == Retry::Never;
                Some(events.write(&problem, self.reconnect, never))
            }
            Format::Ndjson(lines) => Some(lines.write(&problem)),
            Format::JsonSeq => Some(lines::sequence(&problem)),
            Format::Html(page) => page.write(&problem, self.script.as_ref()),
            Format::Multipart(parts) => parts.write(&problem),
            Format::Tagged(tag) => Some(tag.write(&problem)),
        }
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// A parameter of a media type, without its quotes.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let found = key.trim().eq_ignore_ascii_case(name);
        found.then(|| value.trim().trim_matches('"'))
    })
}

/// A tail on its way: what its body has given, and what the layer knows.
#[derive(Debug)]
pub(crate) struct Tailing {
    /// Until it is written, or its time has passed.
    tail: Option<Tail>,
    link: Arc<Link>,
    given: u64,
    /// The body gave a frame, if only an empty one.
    gave: bool,
    /// The head has what the tail needs there.
    announced: bool,
}

impl Tailing {
    pub(crate) fn new(tail: Tail) -> Self {
        Self {
            tail: Some(tail),
            link: Arc::default(),
            given: 0,
            gave: false,
            announced: false,
        }
    }

    /// What the layer is to hold on to.
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// What must stand in the head, which the caller puts there.
    pub(crate) fn announce(&mut self) -> Option<(HeaderName, HeaderValue)> {
        self.announced = true;
        self.tail.as_ref()?.field()
    }

    /// Octets of the body pass.
    pub(crate) fn watch(&mut self, octets: &[u8]) {
        self.gave = true;
        self.given += octets.len() as u64;
        if let Some(tail) = &mut self.tail {
            tail.watch(octets);
        }
    }

    /// The ending that the server said, once.
    pub(crate) fn ordered(&self, cx: &Context<'_>) -> Option<Ending> {
        self.link.await_order(cx);
        self.link.ordered()
    }

    /// The last octets of a body that ends so; `promise` is its own.
    ///
    /// They must leave room for at least one octet below a promised length: a broken body must not fulfil it.
    pub(crate) fn last_octets(&mut self, ending: &Ending, promise: Option<u64>) -> Option<Bytes> {
        let mut tail = self.tail.take()?;
        let cause = match ending {
            Ending::Failed(cause) | Ending::Degraded(cause) => cause,
            Ending::Complete | Ending::Cancelled(_) => return None,
        };
        let understood = self.announced || tail.field().is_none();
        if !understood || !self.link.has_left(self.gave) {
            return None;
        }
        let octets = tail.write(ending, cause, &self.link)?;
        let end = self.given + octets.len() as u64;
        let fits = |promised: Option<u64>| promised.is_none_or(|promised| end < promised);
        let octets = Some(octets).filter(|_| fits(promise) && fits(self.link.promised()))?;
        self.link.tell();
        Some(octets)
    }
}

#[cfg(test)]
mod tests;
