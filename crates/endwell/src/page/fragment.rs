//! Content: chunks and parts, in the order in which they are read; and what a part is to the page.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Severity};

use super::error::PartError;
use crate::body::Head;
use crate::producer::BoxError;

/// Content of a page or of a part: chunks of text, and parts that are still awaited.
///
/// Whatever is `Into<Bytes>` is content already: a `String`, a `&'static str`, what a template engine
/// rendered. A fragment is for content that has parts of its own.
///
/// # Examples
/// ```
/// use endwell::page::{Fragment, part};
/// # async fn stock() -> Result<u32, std::io::Error> { Ok(3) }
/// let row = Fragment::new()
///     .chunk("<li>Bolts, M8 ")
///     .part(part("stock", stock()).then(|left| format!("{left} left")).note())
///     .chunk("</li>");
/// # let _ = row;
/// ```
#[derive(Default)]
#[must_use = "content that is not put anywhere is not seen"]
pub struct Fragment {
    pieces: Pieces,
}

/// Most content is one chunk, which needs no list.
#[derive(Default)]
pub(super) enum Pieces {
    #[default]
    None,
    One(Bytes),
    Many(Vec<Piece>),
}

// Not boxed: a list of pieces is made once and emptied once.
#[allow(clippy::large_enum_variant)]
pub(super) enum Piece {
    Chunk(Bytes),
    Part(Declared),
}

impl Fragment {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds octets as they are: markup, escaped by whoever made it.
    pub fn chunk(mut self, octets: impl Into<Bytes>) -> Self {
        let octets = octets.into();
        self.pieces = match self.pieces {
            _ if octets.is_empty() => self.pieces,
            Pieces::None => Pieces::One(octets),
            Pieces::One(first) => Pieces::Many(vec![Piece::Chunk(first), Piece::Chunk(octets)]),
            Pieces::Many(mut pieces) => {
                pieces.push(Piece::Chunk(octets));
                Pieces::Many(pieces)
            }
        };
        self
    }

    /// Adds other content.
    pub fn content(mut self, content: impl IntoFragment) -> Self {
        match content.into_fragment().pieces {
            Pieces::None => self,
            Pieces::One(octets) => self.chunk(octets),
            Pieces::Many(more) => {
                self.many().extend(more);
                self
            }
        }
    }

    pub(super) fn declared(mut self, part: Declared) -> Self {
        self.many().push(Piece::Part(part));
        self
    }

    fn many(&mut self) -> &mut Vec<Piece> {
        let pieces = match std::mem::take(&mut self.pieces) {
            Pieces::None => Vec::new(),
            Pieces::One(octets) => vec![Piece::Chunk(octets)],
            Pieces::Many(pieces) => pieces,
        };
        self.pieces = Pieces::Many(pieces);
        match &mut self.pieces {
            Pieces::Many(pieces) => pieces,
            Pieces::None | Pieces::One(_) => unreachable!("it was made a list of"),
        }
    }

    pub(super) fn into_pieces(self) -> Pieces {
        self.pieces
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces = match &self.pieces {
            Pieces::None => 0,
            Pieces::One(_) => 1,
            Pieces::Many(pieces) => pieces.len(),
        };
        f.debug_struct("Fragment").field("pieces", &pieces).finish()
    }
}

/// What can be content: a [`Fragment`], or whatever is `Into<Bytes>`.
pub trait IntoFragment {
    /// Makes it content.
    fn into_fragment(self) -> Fragment;
}

impl IntoFragment for Fragment {
    fn into_fragment(self) -> Fragment {
        self
    }
}

impl<O: Into<Bytes>> IntoFragment for O {
    fn into_fragment(self) -> Fragment {
        Fragment::new().chunk(self)
    }
}

/// A part as the page keeps it.
pub(super) struct Declared {
    pub(super) name: Cow<'static, str>,
    pub(super) severity: Severity,
    pub(super) timeout: Option<Duration>,
    pub(super) placeholder: Option<Bytes>,
    pub(super) catch: Option<Catch>,
    /// The head waits for it.
    pub(super) decides: bool,
    pub(super) work: Pin<Box<dyn Run>>,
}

/// What stands where a part failed.
pub(super) type Catch = Box<dyn FnOnce(&PartError) -> Fragment + Send>;

/// What a part decides of the head.
#[derive(Debug, Default)]
pub(super) struct HeadOf {
    pub(super) head: Head,
    pub(super) wrong: Option<Cause>,
    /// The content takes the place of the whole page.
    pub(super) instead: bool,
}

impl HeadOf {
    /// The head of the response: the page's with what was decided, or that of what takes the page's place.
    pub(super) fn over(self, page: Head) -> Head {
        if self.instead {
            return self.head;
        }
        let mut head = page;
        head.take_over(self.head);
        head
    }

    /// Both: where they say different things, what stands later in the page counts.
    pub(super) fn then(mut self, later: Self) -> Self {
        self.head.take_over(later.head);
        self.wrong = self.wrong.or(later.wrong);
        self.instead |= later.instead;
        self
    }
}

/// What the work of a part gives.
pub(super) enum Given {
    /// All of its content; what it decides of the head, if it does.
    All(Fragment, Option<Box<HeadOf>>),
    /// One item more of a repetition.
    Item(String, Fragment),
    /// A repetition is over.
    Over,
}

/// The work of a part as it is polled; not again after it gave anything but an item.
pub(super) trait Run: Send {
    fn poll_run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Given, BoxError>>;

    /// Whether it repeats.
    fn repeats(&self) -> bool {
        false
    }
}
