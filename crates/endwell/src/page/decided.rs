//! What a part that the head waits for makes of the head.

use std::fmt;

use http::header::LOCATION;
use http::{HeaderName, HeaderValue, StatusCode};

use super::fragment::{Fragment, HeadOf, IntoFragment};

/// What a part that the head waits for gives: its content, a status, fields, or another response.
///
/// Content alone is one, too: a `String`, a [`Fragment`]. Of several parts that decide, what stands later in the page
/// counts; one that gives another response in the page's place ([`instead`](Decided::instead)) ends the waiting.
///
/// # Examples
/// ```
/// use endwell::page::{Decided, Page, part};
/// # async fn find(_: u32) -> Result<Option<String>, std::io::Error> { Ok(None) }
/// # async fn handler() -> http::Response<endwell::Body> {
/// let product = async {
///     Ok::<_, std::io::Error>(match find(17).await? {
///         Some(name) => Decided::content(format!("<h1>{name}</h1>")),
///         None => Decided::instead(http::StatusCode::NOT_FOUND, "<h1>No such product</h1>"),
///     })
/// };
/// Page::new().must_before_head(part("product", product)).respond().await
/// # }
/// ```
#[must_use = "a part's future gives it"]
pub struct Decided {
    pub(super) content: Fragment,
    pub(super) head: Box<HeadOf>,
}

impl Decided {
    /// The page as it is, with this content in the part's place.
    pub fn content(content: impl IntoFragment) -> Self {
        Self {
            content: content.into_fragment(),
            head: Box::default(),
        }
    }

    /// This in place of the whole page, with this status. The other parts are dropped, and so are the page's status
    /// and fields: a 404 is not to be kept as long as the page.
    pub fn instead(status: StatusCode, content: impl IntoFragment) -> Self {
        let mut decided = Self::content(content).status(status);
        decided.head.instead = true;
        decided
    }

    /// A redirect in place of the page: 303, See Other.
    pub fn redirect<V>(location: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        Self::instead(StatusCode::SEE_OTHER, "").header(LOCATION, location)
    }

    /// With this status.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.head.head.status = status;
        self
    }

    /// With this field. A name or value that no field may have is a 500, as in
    /// [`Body::header`](crate::Body::header).
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head.head.header(name, value);
        self.head.wrong = self.head.wrong.take().or(given.err());
        self
    }
}

impl<C: IntoFragment> From<C> for Decided {
    fn from(content: C) -> Self {
        Self::content(content)
    }
}

impl fmt::Debug for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided")
            .field("status", &self.head.head.status)
            .field("instead", &self.head.instead)
            .finish_non_exhaustive()
    }
}
