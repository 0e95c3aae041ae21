//! What to do for an ending, per server; [`Override`](crate::Override) changes it per route and request.

use std::time::Duration;

use crate::Severity;

/// What a server does about endings, and how long it waits.
///
/// `half_close`, `stall_deadline` and `linger` are of the connection, and `open_chunk_agents` is of
/// the server: they hold for all responses. Every other member is of one response, and an
/// [`Override`](crate::Override) can change it for a route or a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What a FIN from the client means while a response runs.
    pub half_close: HalfClose,
    /// How bad an error must be for the peer to be told. What is less only the record tells.
    ///
    /// [`Severity::Degrading`] by default: a degraded response is aborted at its end.
    /// [`Severity::Fatal`] lets degraded responses end clean. A failed one is always told, and
    /// what is no worse than a [`Severity::Note`] leaves a response complete.
    pub tell: Severity,
    /// How the peer is told.
    pub signal: Signal,
    /// Whether responses may have trailers. Off, they are reported in the record as dropped.
    pub trailers: bool,
    /// When to ask again, said with a 503 (RFC 9110 section 10.2.3), rounded up to whole seconds.
    /// `None` says nothing.
    pub retry_after: Option<Duration>,
    /// How long to wait between delivery and a reset.
    pub grace: Grace,
    /// A peer that accepts no octet for so long loses its connection.
    pub stall_deadline: Option<Duration>,
    /// A producer that gives nothing for so long has failed. Off by default: many streams are quiet.
    pub idle_deadline: Option<Duration>,
    /// How long the head waits for the first octet, so that an early error is a real 5xx.
    /// `None` waits without limit; zero does not wait.
    pub head_hold: Option<Duration>,
    /// How much of an HTTP/1.0 body of unknown length is held to give it a length.
    pub http10_hold: Hold,
    /// What to do with such a body when nothing can tell its failure.
    pub http10_unprotected: Unprotected,
    /// When a degraded document in a browser ends without a signal.
    pub degraded_documents: DegradedDocuments,
    /// Who gets an open chunk in place of a missing last chunk.
    pub open_chunk: OpenChunk,
    /// User agents that overlook a missing last chunk.
    pub open_chunk_agents: Vec<String>,
    /// How long a connection lingers after its last octet so that no kernel RST destroys it.
    pub linger: Linger,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            half_close: HalfClose::Cancel,
            tell: Severity::Degrading,
            signal: Signal::Abort,
            trailers: true,
            // The least that the field can say, and enough for a burst to pass.
            retry_after: Some(Duration::from_secs(1)),
            grace: Grace::default(),
            // As nginx's send_timeout: long enough for a laptop lid, short enough to free memory.
            stall_deadline: Some(Duration::from_secs(60)),
            idle_deadline: None,
            head_hold: Some(Duration::from_secs(1)),
            http10_hold: Hold::default(),
            http10_unprotected: Unprotected::Hold(1024 * 1024),
            degraded_documents: DegradedDocuments::WhenPrivate,
            open_chunk: OpenChunk::Listed,
            // By report; not verified on an Apple machine.
            open_chunk_agents: vec!["CFNetwork/".to_owned()],
            linger: Linger::default(),
        }
    }
}

impl Policy {
    /// What the request's fields tell about the client that sent it.
    ///
    /// Shapes: each argument is the field's value, if it came.
    pub fn client(
        &self,
        user_agent: Option<&str>,
        accept: Option<&str>,
        sec_fetch_dest: Option<&str>,
        x_varnish: Option<&str>,
    ) -> Client {
        let accepts_html = accept.is_some_and(|accept| accept.contains("text/html"));
        Client {
            browser: sec_fetch_dest.is_some() || accepts_html,
            document: sec_fetch_dest.map_or(accepts_html, |dest| {
                matches!(dest, "document" | "iframe" | "frame")
            }),
            listed: user_agent.is_some_and(|agent| {
                self.open_chunk_agents
                    .iter()
                    .any(|known| agent.contains(known.as_str()))
            }),
            varnish: x_varnish.is_some(),
        }
    }

    /// When to ask again, in whole seconds.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }
}

/// How the peer is told that a response did not end as complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The framing is broken: everybody sees it, and nobody learns why.
    Abort,
    /// The framing is ended and the trailer `Ending` says how, so that the connection lives on and
    /// the reason is told. Only to a client that asked (`Want-Ending: ?1` and `TE: trailers`), and
    /// only where no cache may store the response (`no-store`); everybody else gets an abort.
    Trailer,
}

impl Signal {
    /// Every choice.
    pub const ALL: [Signal; 2] = [Self::Abort, Self::Trailer];
}

/// Who gets an open chunk in place of a missing last chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenChunk {
    /// The user agents of [`Policy::open_chunk_agents`].
    Listed,
    /// Everybody; wget and libwww-perl then take a broken response for whole.
    Always,
    /// Nobody.
    Never,
}

impl OpenChunk {
    /// Whether this client gets one.
    pub fn is_for(self, client: Client) -> bool {
        match self {
            Self::Listed => client.listed,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What is known about the client from its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client {
    /// It looks like a browser: it needs a longer grace.
    pub browser: bool,
    /// It wants to show the response as a page.
    pub document: bool,
    /// It is one of [`Policy::open_chunk_agents`].
    pub listed: bool,
    /// It is Varnish, which marks what it asks for with `X-Varnish`. It takes a chunked response for whole
    /// when it learns of the failure before its own answer began (7.1.1), so it needs time to begin.
    pub varnish: bool,
}

/// What a FIN from the client means while a response runs (RFC 9112 section 9.6 leaves it open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfClose {
    /// The client has left: stop the work. FIN alone cannot be told from a close.
    Cancel,
    /// The client may still read: only a reset stops the work.
    Tolerate,
}

/// The time between "the peer's kernel has it all" and the reset.
///
/// Clients drop what they have buffered when a reset comes with the data: curl 7.88 lost the
/// tail of 40 of 40 downloads without a grace and of none with 2 ms; Chromium needed 50 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// For programs; the round-trip time if that is longer.
    pub default: Duration,
    /// For browsers, and for Varnish.
    pub browser: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            default: Duration::from_millis(25),
            browser: Duration::from_millis(100),
        }
    }
}

impl Grace {
    /// The grace for a client at a round-trip time.
    pub fn of(&self, client: Client, round_trip: Duration) -> Duration {
        let base = if client.browser || client.varnish {
            self.browser.max(self.default)
        } else {
            self.default
        };
        // A round-trip time is the kernel's estimate from the peer's packets: keep it bounded.
        base.max(round_trip.min(Duration::from_secs(1)))
    }
}

/// How much of an HTTP/1.0 body is held back to find its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// At most so many octets of one response.
    pub octets: usize,
    /// At most so many octets of all responses of a server together.
    pub budget: usize,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            octets: 64 * 1024,
            budget: 16 * 1024 * 1024,
        }
    }
}

/// What happens to a close-delimited body behind a listener that is not ours, or on a unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprotected {
    /// Answer 505 instead.
    Refuse,
    /// Hold up to so many octets to give it a length; refuse beyond.
    Hold(usize),
    /// Stream it all the same: a failure will look complete.
    Stream,
}

/// When a degraded document ends clean in a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DegradedDocuments {
    /// Only when no cache may reuse the response: `no-store`, or `private` with `no-cache` or `max-age=0`,
    /// no leave to use it stale, and no field that tells some caches otherwise (`CDN-Cache-Control`).
    WhenPrivate,
    /// Always end clean.
    Always,
    /// Never end clean.
    Never,
}

impl DegradedDocuments {
    /// Every choice.
    pub const ALL: [DegradedDocuments; 3] = [Self::WhenPrivate, Self::Always, Self::Never];
}

/// How long a closing connection reads and discards (RFC 9112 section 9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linger {
    /// Give up after so long without an octet, once the peer has acknowledged everything.
    pub idle: Duration,
    /// Give up so long after that; also how long our last octets and close_notify may take to leave.
    pub total: Duration,
}

impl Default for Linger {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(5),
            total: Duration::from_secs(30),
        }
    }
}

/// Who can put a signal on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signals {
    /// Our listener owns the socket: it can reset it.
    Owned,
    /// A stock listener, or a unix socket, which knows no reset: the framing is all there is.
    FramingOnly,
}
