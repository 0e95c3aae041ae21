//! Pages whose parts are awaited, and whose authors say how much each of them matters.
//!
//! A page is read by a person and by machines. When one of its parts fails, the person wants the rest; the
//! machines (caches, crawlers, monitors) must not take it for whole. So the page is finished for the one, and the
//! others are told by its ending:
//!
//! | a part that fails and is | leaves the page | which ends as |
//! |---|---|---|
//! | [`fatal`](Part::fatal) | where it is; the reader is led elsewhere if the page says so | failed |
//! | [`degrading`](Part::degrading) | to its end, with what [`catch`](Part::catch) gives in its place | degraded |
//! | [`note`](Part::note) | to its end, the same | complete, with `Server-Timing` behind it |
//!
//! All of them are in the record (`failed_parts`); the worst decides.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use endwell::page::{Page, part};
//! # async fn product(_: u32) -> Result<String, std::io::Error> { Ok("Bolts".into()) }
//! # async fn reviews(_: u32) -> Result<Vec<String>, std::io::Error> { Ok(vec![]) }
//! async fn show() -> http::Response<endwell::Body> {
//!     Page::new()
//!         .chunk("<!DOCTYPE html><title>Shop</title>")
//!         .part(part("product", product(17)).then(|name| format!("<h1>{name}</h1>")))
//!         .part(
//!             part("reviews", reviews(17))
//!                 .then(|reviews| reviews.concat())
//!                 .timeout(Duration::from_secs(2))
//!                 .placeholder("<p>Reviews are on their way.")
//!                 .degrading()
//!                 .catch(|_| "<p>Reviews cannot be shown now."),
//!         )
//!         .foot("<footer>Bolts and nuts</footer>")
//!         .respond()
//!         .await
//! }
//! ```
//!
//! # Order of the modules
//! What a page is made of (`error`, `fragment`, `decided`, `part`), what runs it (`wake`, `tree`, `clock`, `failures`), what
//! writes it (`out`, `script`, `engine`, `write`), and where it goes (`deliver`).

mod error;

mod fragment;

mod decided;

mod part;

mod wake;

mod tree;

mod clock;

mod failures;

mod out;

mod script;

mod engine;

mod write;

mod deliver;

#[cfg(feature = "listen")]
mod spawn;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Override};
use http::{HeaderName, HeaderValue, StatusCode};

pub use self::decided::Decided;
pub use self::deliver::Written;
use self::engine::Manner;
pub use self::error::PartError;
pub use self::fragment::{Fragment, IntoFragment};
pub use self::part::{Each, ITEMS, Part, Then, TryThen, Work, each, part};
use self::script::may_lead_to;
#[cfg(feature = "listen")]
pub use self::spawn::{Spawned, spawn, spawn_blocking};
use crate::body::Head;
use crate::producer::BoxError;
use crate::tail::Tail;

/// Parts and items of one page that may be unfinished at a time, unless the page says otherwise: far above
/// what a person reads, and some megabytes of memory.
const PARTS: usize = 10_000;

/// A page: chunks and parts in the order in which they are read, and how it is sent.
///
/// All parts run beside each other from when the page is polled first, which is in
/// [`respond`](Page::respond). They run in the body's own task, when the client is ready for more; when it
/// leaves, all of them are dropped at once.
#[must_use = "a page that is not sent is not seen"]
pub struct Page {
    content: Fragment,
    manner: Manner,
    head: Head,
    wrong: Option<Cause>,
    error_page: Option<Bytes>,
    changes: Override,
    tail: Option<Tail>,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            content: Fragment::new(),
            manner: Manner {
                in_order: false,
                nonce: None,
                redirect: None,
                hold: Some(Duration::ZERO),
                parts: PARTS,
                foot: Bytes::new(),
            },
            head: Head::default(),
            wrong: None,
            error_page: None,
            changes: Override::new(),
            tail: None,
        }
    }
}

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds octets as they are: markup, escaped by whoever made it.
    pub fn chunk(self, octets: impl Into<Bytes>) -> Self {
        self.change(|content| content.chunk(octets))
    }

    /// Adds a part.
    pub fn part<W: Work>(self, part: Part<W>) -> Self {
        self.change(|content| content.part(part))
    }

    /// Adds other content, which may have parts.
    pub fn content(self, content: impl IntoFragment) -> Self {
        self.change(|before| before.content(content))
    }

    /// Adds a part for which the head waits, because it decides the status: it gives its content, or a
    /// [`Decided`]. If it is fatal and fails, the response is a 5xx. The other parts run meanwhile.
    pub fn must_before_head<F, D, E>(self, part: Part<F>) -> Self
    where
        F: Future<Output = Result<D, E>> + Send + 'static,
        D: Into<Decided> + 'static,
        E: Into<BoxError> + 'static,
    {
        self.change(|content| content.declared(part.declare_deciding()))
    }

    /// Adds octets at the very end, behind parts that came out of order: `</body></html>`, if you close them.
    pub fn foot(mut self, octets: impl Into<Bytes>) -> Self {
        self.manner.foot = [self.manner.foot, octets.into()].concat().into();
        self
    }

    fn change(mut self, change: impl FnOnce(Fragment) -> Fragment) -> Self {
        self.content = change(self.content);
        self
    }

    /// Whether every part comes in its place: for clients that run no scripts, and for those who keep the page.
    ///
    /// Otherwise a part with a [`placeholder`](Part::placeholder) comes when it is there.
    pub fn in_order(mut self, in_order: bool) -> Self {
        self.manner.in_order = in_order;
        self
    }

    /// The nonce of the page's Content-Security-Policy, for the scripts that move parts to their places. Without
    /// it, a policy that forbids inline scripts leaves the placeholders where they are.
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.manner.nonce = Some(nonce.into());
        self
    }

    /// Leads the reader to another page when this one has failed, by a script and by a refresh, if it ended
    /// between two tags. It is of this site or of HTTP; anything else makes the page fail as a 500.
    pub fn redirect(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        if !may_lead_to(&url) {
            let cause = Cause::producer(format!("page: no reader can be led to {url:?}"));
            self.wrong.get_or_insert(cause);
            return self;
        }
        self.manner.redirect = Some(url);
        self
    }

    /// Lets the head wait until no part under way can be fatal any more, and so long at most; `None` is
    /// without limit. Until then a fatal part makes the response a 5xx. By default nothing waits: the first octets
    /// leave at once.
    pub fn head_hold(mut self, time: Option<Duration>) -> Self {
        self.manner.hold = time;
        self.changes = self.changes.head_hold(time);
        self
    }

    /// What is shown when it fails before its head has left, with a status of 5xx. HTML in UTF-8; a short one
    /// if none is given.
    pub fn error_page(mut self, html: impl Into<Bytes>) -> Self {
        self.error_page = Some(html.into());
        self
    }

    /// How many parts and items may be unfinished at a time; 10 000 by default. One more is a part that has failed.
    pub fn parts(mut self, limit: usize) -> Self {
        self.manner.parts = limit;
        self
    }

    /// What this page does otherwise than the policy.
    pub fn policy(mut self, changes: Override) -> Self {
        self.changes = self.changes.then(changes);
        self
    }

    /// Says in band that it failed or is degraded: see [`Tail::html`].
    pub fn tail(mut self, tail: Tail) -> Self {
        self.tail = Some(tail);
        self
    }

    /// Gives it a status other than 200.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.head.status = status;
        self
    }

    /// Gives it a `Content-Type` other than HTML in UTF-8.
    pub fn content_type<V>(mut self, value: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head.content_type(value);
        self.wrong = self.wrong.or(given.err());
        self
    }

    /// Gives it a field: see [`Body::header`](crate::Body::header).
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head.header(name, value);
        self.wrong = self.wrong.or(given.err());
        self
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("content", &self.content)
            .field("in_order", &self.manner.in_order)
            .finish_non_exhaustive()
    }
}
