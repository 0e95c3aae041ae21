//! How a message marks its own end.

use crate::Protocol;

/// What tells a receiver that the body is over (RFC 9112 section 6.3, RFC 9113 section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// The promised number of octets has come.
    ContentLength,
    /// The last chunk and its empty line have come.
    Chunked,
    /// The connection closed. There is no mark for "broken" (RFC 9112 section 8).
    CloseDelimited,
    /// A frame with END_STREAM, or the FIN of a QUIC stream.
    EndStream,
    /// There is no body: HEAD, 1xx, 204, 304.
    NoBody,
}

impl Framing {
    /// Every framing.
    pub const ALL: [Framing; 5] = [
        Self::ContentLength,
        Self::Chunked,
        Self::CloseDelimited,
        Self::EndStream,
        Self::NoBody,
    ];

    /// The framing of a response body.
    ///
    /// # Examples
    /// ```
    /// use endwell_core::{Framing, Protocol};
    /// assert_eq!(Framing::of(Protocol::Http10, true, None), Framing::CloseDelimited);
    /// assert_eq!(Framing::of(Protocol::Http11, true, Some(7)), Framing::ContentLength);
    /// ```
    pub fn of(protocol: Protocol, has_body: bool, promised: Option<u64>) -> Self {
        match (has_body, protocol, promised) {
            (false, _, _) => Self::NoBody,
            (true, Protocol::Http2 | Protocol::Http3, _) => Self::EndStream,
            (true, Protocol::Http10 | Protocol::Http11, Some(_)) => Self::ContentLength,
            (true, Protocol::Http11, None) => Self::Chunked,
            (true, Protocol::Http10, None) => Self::CloseDelimited,
        }
    }

    /// Whether a message of this protocol can have this framing.
    pub fn exists_in(self, protocol: Protocol) -> bool {
        match self {
            Self::NoBody => true,
            Self::EndStream => protocol.is_multiplexed(),
            Self::ContentLength | Self::CloseDelimited => !protocol.is_multiplexed(),
            Self::Chunked => protocol == Protocol::Http11,
        }
    }

    /// The name in records: `content_length`, `chunked`, `close`, `end_stream` or `none`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ContentLength => "content_length",
            Self::Chunked => "chunked",
            Self::CloseDelimited => "close",
            Self::EndStream => "end_stream",
            Self::NoBody => "none",
        }
    }
}
