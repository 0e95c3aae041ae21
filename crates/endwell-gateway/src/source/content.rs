//! What a source is: something that can be opened, described, and then sent.
//!
//! Two steps, because a HEAD request and a conditional one want the description alone, and a range
//! can be cut only by who knows the length: [`Source::open`] makes no octet, [`Content::begin`] does.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use endwell::{Body, Cause};
use http::{HeaderMap, HeaderValue};

use crate::validators::Validators;

/// Something that can be opened again and again: a file, a program's output, a query's rows.
///
/// Nothing of a request reaches it: a source is chosen by its path, and knows by itself what it is.
///
/// # Cancel safety
/// What is dropped stops: [`Opening`], [`Content`], [`Beginning`] and the body each stop their work
/// and let go of what they hold, also if they were never polled.
///
/// # Examples
/// Rows that somebody counts, and that are cut off in the middle.
/// ```
/// use endwell::Cause;
/// use endwell_gateway::source::{About, Beginning, Content, Length, Opening, Source};
/// use http::HeaderValue;
///
/// #[derive(Debug)]
/// struct Rows;
///
/// impl Source for Rows {
///     fn open(&self) -> Opening<'_> {
///         let csv = HeaderValue::from_static("text/csv; charset=utf-8");
///         let content = OpenRows(About::new(csv, Length::Unknown));
///         Box::pin(async { Ok(Box::new(content) as _) })
///     }
/// }
///
/// struct OpenRows(About);
///
/// impl Content for OpenRows {
///     fn about(&self) -> &About {
///         &self.0
///     }
///
///     fn begin(self: Box<Self>, _: Option<std::ops::Range<u64>>) -> Beginning {
///         let body = endwell::stream(|mut producer| async move {
///             producer.send("id,name\n1,Ann\n").await?;
///             // Every octet above arrives; then the peer is told that this was not all.
///             Ok(producer.fail(Cause::producer("the database has gone away")))
///         });
///         Box::pin(async { Ok(body) })
///     }
/// }
/// ```
pub trait Source: fmt::Debug + Send + Sync {
    /// Finds out what there is to send, without making an octet of it.
    ///
    /// # Errors
    /// Why there is nothing, which becomes a 4xx or 5xx.
    fn open(&self) -> Opening<'_>;
}

/// The future of [`Source::open`].
pub type Opening<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Content>, Refusal>> + Send + 'a>>;

/// What was opened: described, and not begun.
pub trait Content: Send {
    /// What there is to send.
    fn about(&self) -> &About;

    /// Makes the octets: all of them, or those of a range, which is asked for only of
    /// [`Length::Ranges`], is not empty and lies within it.
    ///
    /// A body of a promised length promises it itself ([`Body::promise`]). What fails before its
    /// first octet becomes a 5xx, whether here or in the body; what fails later is told by the wire.
    ///
    /// # Errors
    /// Why there is nothing to send after all.
    fn begin(self: Box<Self>, part: Option<Range<u64>>) -> Beginning;
}

/// The future of [`Content::begin`].
pub type Beginning = Pin<Box<dyn Future<Output = Result<Body, Refusal>> + Send>>;

/// What a source tells of its content: the head of the response.
#[derive(Debug, Clone)]
pub struct About {
    /// `Content-Type`.
    pub media_type: HeaderValue,
    /// How long it is, and whether it can be cut.
    pub length: Length,
    /// What tells this version from another; without it no request is conditional.
    pub version: Option<Validators>,
    /// Further fields, such as `Cache-Control` or `Content-Disposition`.
    pub fields: HeaderMap,
}

impl About {
    /// Without validators and further fields.
    pub fn new(media_type: HeaderValue, length: Length) -> Self {
        Self {
            media_type,
            length,
            version: None,
            fields: HeaderMap::new(),
        }
    }
}

/// How many octets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// It is not known before the end: no length is promised.
    Unknown,
    /// So many, promised; they come from the first to the last only.
    Promised(u64),
    /// So many, promised; any range of them can be had, and is the same octets each time for as
    /// long as the validators stay the same.
    Ranges(u64),
}

impl Length {
    /// The promised length, in octets.
    pub fn promised(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Promised(octets) | Self::Ranges(octets) => Some(octets),
        }
    }
}

/// Why there is nothing to send.
///
/// # On the wire
/// 404, 403, 503 with `Retry-After`, or the status of the cause's kind
/// ([`Kind::status`](endwell::Kind::status)).
#[derive(Debug, Clone)]
pub enum Refusal {
    /// There is no such thing.
    NotFound,
    /// It may not be had.
    Forbidden,
    /// It cannot be had now; ask again after this time.
    Busy(Duration),
    /// It failed. The cause is for the record only.
    Failed(Cause),
}

impl From<Cause> for Refusal {
    fn from(cause: Cause) -> Self {
        Self::Failed(cause)
    }
}
