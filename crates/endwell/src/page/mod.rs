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
//! writes it (`script`, `out`, `engine`, `write`), and where it goes (`Page`).

mod error;

mod fragment;

mod decided;

mod part;

mod wake;

mod tree;

mod clock;

mod failures;

mod script;

mod out;

mod engine;

mod write;

use std::fmt;
use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Ending, Override};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};

pub use self::decided::Decided;
use self::engine::{Engine, Manner, Step};
pub use self::error::PartError;
pub use self::fragment::{Fragment, IntoFragment};
pub use self::part::{Each, ITEMS, Part, Then, TryThen, Work, each, part};
use self::script::may_lead_to;
use crate::body::{Body, Head};
use crate::producer::{Abort, BoxError, Finished, Producer};
use crate::tail::Tail;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

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

    /// Gives it a field: see [`Body::header`].
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        let given = self.head.header(name, value);
        self.wrong = self.wrong.or(given.err());
        self
    }

    /// Starts all parts, waits for those that decide the head, and gives the response.
    ///
    /// # Cancel safety
    /// Dropped, it drops all parts.
    ///
    /// # On the wire
    /// As [`stream`](crate::stream); a page never promises a length.
    pub async fn respond(self) -> Response<Body> {
        let Self {
            content,
            manner,
            mut head,
            mut wrong,
            error_page,
            changes,
            tail,
        } = self;
        let mut engine = Engine::new(content, manner);
        let decided = match wrong {
            None => poll_fn(|cx| engine.poll_head(cx)).await,
            Some(_) => None,
        };
        if let Some(decided) = decided {
            wrong = wrong.or(decided.wrong);
            head.take_over(decided.head);
        }
        head.fields.entry(CONTENT_TYPE).or_insert(HTML);
        let mut body = crate::stream(|producer| write(engine, producer))
            .may_trail([SERVER_TIMING])
            .with_head(head, wrong)
            .error_page(error_page.unwrap_or(Bytes::from_static(ERROR_PAGE)));
        if let Some(tail) = tail {
            body = body.tail(tail);
        }
        let mut response = body.into_http();
        if changes != Override::new() {
            response.extensions_mut().insert(changes);
        }
        response
    }
}

/// What is shown if the author gave nothing else.
const ERROR_PAGE: &[u8] = b"<!DOCTYPE html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>Error</title>\
<h1>This page cannot be shown now</h1><p>Something went wrong on our side.\n";

/// Writes a page into its body.
async fn write(mut engine: Engine, mut producer: Producer) -> Result<Finished, Abort> {
    let mut told = 0;
    loop {
        let step = poll_fn(|cx| {
            let step = engine.poll(cx);
            // At once, so that the record has them also if the client leaves now.
            for part in &engine.failures().told()[told..] {
                producer.part_failed(part.clone());
                told += 1;
            }
            step
        });
        match step.await {
            Step::Octets(octets) => producer.send(octets).await?,
            Step::End => break,
        }
    }
    match engine.failures().ending() {
        Ending::Complete => {}
        Ending::Degraded(cause) => producer.degrade(cause),
        Ending::Failed(cause) | Ending::Cancelled(cause) => return Ok(producer.fail(cause)),
    }
    if let Some(fields) = engine.failures().trailers() {
        producer.trailers(fields);
    }
    Ok(producer.finish())
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("content", &self.content)
            .field("in_order", &self.manner.in_order)
            .finish_non_exhaustive()
    }
}
