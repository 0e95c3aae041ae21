//! The HTTP versions whose endings differ.

use std::fmt;

/// The version of HTTP a message travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.0: no chunks; a body of unknown length ends with the connection.
    Http10,
    /// HTTP/1.1: chunks (RFC 9112 section 7.1).
    Http11,
    /// HTTP/2: END_STREAM and RST_STREAM (RFC 9113 section 8.1).
    Http2,
    /// HTTP/3: FIN and RESET_STREAM of a QUIC stream (RFC 9114 section 4.1).
    Http3,
}

impl Protocol {
    /// Every protocol, oldest first.
    pub const ALL: [Protocol; 4] = [Self::Http10, Self::Http11, Self::Http2, Self::Http3];

    /// The version as records and metrics write it: `1.0`, `1.1`, `2` or `3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
            Self::Http3 => "3",
        }
    }

    /// Whether many messages share one connection, so that a broken one leaves the others alive.
    pub fn is_multiplexed(self) -> bool {
        match self {
            Self::Http10 | Self::Http11 => false,
            Self::Http2 | Self::Http3 => true,
        }
    }

    /// Whether a browser takes trailers as what they are.
    ///
    /// Chromium 156 fails a whole HTTP/3 response that ends with trailers: fetches and downloads with
    /// `ERR_CONNECTION_CLOSED`, and a page never fires `load`.
    pub fn trailers_to_browsers(self) -> bool {
        match self {
            Self::Http10 | Self::Http11 | Self::Http2 => true,
            Self::Http3 => false,
        }
    }

    /// Where a response has room for trailer fields, to a client that did or did not say
    /// `TE: trailers` (RFC 9110 section 6.5.1).
    pub fn trailers(self, te_trailers: bool) -> TrailerRoom {
        match self {
            Self::Http11 if te_trailers => TrailerRoom::Chunked,
            Self::Http10 | Self::Http11 => TrailerRoom::Never,
            Self::Http2 | Self::Http3 => TrailerRoom::Always,
        }
    }
}

/// Where a response has room for trailer fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrailerRoom {
    /// Nowhere.
    Never,
    /// After the last chunk, so only without a promised length (RFC 9112 section 7.1.2).
    Chunked,
    /// After every body (RFC 9113 section 8.1).
    Always,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/{}", self.as_str())
    }
}
