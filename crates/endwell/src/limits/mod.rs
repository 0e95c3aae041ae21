//! What peers may take of a server, and how many places they hold.
//!
//! Reads: settings; connections as they come and go. Gives: [`Limits`], which the listener's
//! connections keep to, and [`Places`], which counts them. Every number stands with its reason,
//! and `docs/limits.md` tells what a peer sees.

// Without a listener of ours nobody counts.
#![cfg_attr(not(feature = "listen"), allow(dead_code, unused_imports))]

mod places;

use std::time::Duration;

pub(crate) use self::places::{Place, Places};

/// What peers may take of a server; what is beyond is refused, each in its protocol's way.
///
/// How long a peer may take no octet of a response is [`Policy::stall_deadline`](crate::Policy).
///
/// # Examples
/// ```
/// use endwell::Limits;
/// let limits = Limits { per_client: Some(64), ..Limits::default() };
/// assert_eq!(limits.head, 32 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once, those that are being closed included. When so many are open,
    /// the server accepts no more until one has closed: the next ones wait in the kernel's
    /// backlog, which costs them time and us nothing, where a refusal would only bring them
    /// back. Idle connections then make room early ([`Limits::idle`]).
    pub connections: usize,
    /// Connections open at once from one client: an IPv4 address, or an IPv6 network of 64 bits.
    /// One more is reset at once. `None` by default: behind a proxy, and behind the shared
    /// addresses of mobile networks, all clients are one.
    pub per_client: Option<usize>,
    /// Requests under way at once, over all connections; 503 beyond. From half of it on, a
    /// connection with more than eight of them gets 503 for the next: then those who ask for
    /// much leave room for those who ask for little.
    pub requests: usize,
    /// How long a head may take from its first octet, and how long a new connection may be silent.
    /// A late head is answered with 408 (RFC 9110 section 15.5.9), a silent connection is closed.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. HTTP/1 is closed, HTTP/2 gets
    /// GOAWAY. While all places are taken, a sixteenth of it is enough.
    pub idle: Duration,
    /// Octets of a request's head; 431 beyond. Over HTTP/2 each field counts 32 more
    /// (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113 section 6.5.2). Over HTTP/3 1 GiB at most.
    pub head: usize,
    /// Octets of a request's target; 414 beyond.
    pub target: usize,
    /// Octets of a request's content, where its length is announced; 413 beyond. `None` is
    /// without limit: what an application reads is its own affair, and what it does not read
    /// is never waited for.
    pub content: Option<u64>,
    /// Of an HTTP/2 connection.
    pub http2: Http2Limits,
    /// Of an HTTP/3 connection.
    pub http3: Http3Limits,
}

/// What a peer may take of an HTTP/2 connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams at once (SETTINGS_MAX_CONCURRENT_STREAMS); one more is refused with
    /// RST_STREAM(REFUSED_STREAM).
    pub streams: u32,
    /// Streams that the peer reset before they were looked at; one more ends the connection
    /// with GOAWAY(ENHANCE_YOUR_CALM).
    pub pending_resets: usize,
    /// Streams that had to be reset for errors of the peer; one more ends the connection with
    /// GOAWAY(ENHANCE_YOUR_CALM).
    pub error_resets: usize,
    /// Requests that the peer cancelled, beyond as many as it let end. One more ends the
    /// connection: no new streams by GOAWAY, and what is under way may end.
    pub cancelled: u64,
}

/// What a peer may take of an HTTP/3 connection.
///
/// What is not here stands in `docs/http3.md`: the sizes of windows, and the handshakes under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http3Limits {
    /// Streams at once (`initial_max_streams_bidi`, RFC 9000 section 18.2). A peer that opens one more
    /// loses its connection with STREAM_LIMIT_ERROR, so none does by mistake. 16 Ki at most.
    pub streams: u32,
    /// Requests that the peer cancelled, beyond as many as it let end. One more ends the connection:
    /// no new streams by GOAWAY, and what is under way may end.
    pub cancelled: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // With as many requests, a file each, they hold 32 Ki descriptors: half of what systemd
            // gives a service. A server with fewer says so: `Limits::for_descriptors`.
            connections: 16 * 1024,
            per_client: None,
            requests: 16 * 1024,
            // A head is one packet or two: ten seconds allow for two losses on a bad line.
            head_timeout: Duration::from_secs(10),
            // As nginx's keepalive_timeout: longer than a reader looks at a page.
            idle: Duration::from_secs(75),
            // Four times what browsers send with many cookies; as nginx's four buffers of 8 KiB.
            head: 32 * 1024,
            // RFC 9110 section 4.1 asks for 8000 octets at least.
            target: 8 * 1024,
            content: None,
            http2: Http2Limits::default(),
            http3: Http3Limits::default(),
        }
    }
}

impl Default for Http3Limits {
    fn default() -> Self {
        Self {
            // RFC 9114 section 6.1 asks for 100 at least; as over HTTP/2.
            streams: 128,
            cancelled: 256,
        }
    }
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            // RFC 9113 section 6.5.2 asks for 100 at least; a page has no more.
            streams: 128,
            // h2's own; what has not been looked at has cost nothing but memory.
            pending_resets: 20,
            // A peer that makes no errors needs none; h2's own number is 1024.
            error_resets: 128,
            // A reader who scrolls through a page of pictures cancels dozens, not hundreds.
            cancelled: 256,
        }
    }
}

impl Limits {
    /// The default limits for a process that may open so many descriptors.
    ///
    /// Half of them are for connections, half for the files of requests; 64 stay for listeners,
    /// logs and the runtime.
    pub fn for_descriptors(descriptors: u64) -> Self {
        let limits = Self::default();
        let places = descriptors.saturating_sub(64) / 2;
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        Self {
            connections: limits.connections.min(places.max(1)),
            requests: limits.requests.min(places.max(1)),
            ..limits
        }
    }

    /// How long an idle connection may stay.
    pub(crate) fn idle_while(&self, full: bool) -> Duration {
        if full { self.idle / 16 } else { self.idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_by_connections_and_requests() {
        for (descriptors, connections) in [(0, 1), (66, 1), (1024, 480), (1 << 20, 16 * 1024)] {
            let limits = Limits::for_descriptors(descriptors);
            let given = (limits.connections, limits.requests);
            assert_eq!(given, (connections, connections), "{descriptors}");
        }
    }
}
