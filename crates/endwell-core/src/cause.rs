//! Who broke a response, how, and whether asking again can help.

use std::borrow::Cow;
use std::fmt;

/// Why a response did not end as complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Who broke it.
    pub party: Party,
    /// What happened, from a closed list.
    pub kind: Kind,
    /// Whether the same request may be sent again.
    pub retry: Retry,
    /// What happened, for a person; never sent to the peer by the wire itself.
    pub message: Cow<'static, str>,
}

impl Cause {
    /// A cause of a kind, with the party and the retry advice that usually go with it.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            party: kind.party(),
            kind,
            retry: kind.retry(),
            message: message.into(),
        }
    }

    /// A failure the producer reported itself.
    pub fn producer(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::ProducerError, message)
    }

    /// The same cause, blamed on another party.
    #[must_use]
    pub fn by(mut self, party: Party) -> Self {
        self.party = party;
        self
    }

    /// The same cause with other advice on retrying.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            return f.write_str(self.kind.as_str());
        }
        write!(f, "{}: {}", self.kind.as_str(), self.message)
    }
}

impl std::error::Error for Cause {}

impl From<&'static str> for Cause {
    fn from(message: &'static str) -> Self {
        Self::producer(message)
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Self {
        Self::producer(message)
    }
}

/// Who ended a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// The code that makes the octets.
    Producer,
    /// A server whose response is passed on.
    Upstream,
    /// A gateway of ours.
    Proxy,
    /// The serving process: shutdown, limits, its own faults.
    Server,
    /// The peer that asked.
    Downstream,
}

impl Party {
    /// The name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Upstream => "upstream",
            Self::Proxy => "proxy",
            Self::Server => "server",
            Self::Downstream => "downstream",
        }
    }
}

/// Whether the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nothing was processed.
    Safe,
    /// Only a request whose method is idempotent (RFC 9110 section 9.2.2).
    IfIdempotent,
    /// It would fail again, or must not run twice.
    Never,
}

impl Retry {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Safe, Self::IfIdempotent, Self::Never];

    /// The name in the field `Ending`: `safe`, `if-idempotent` or `never`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::IfIdempotent => "if-idempotent",
            Self::Never => "never",
        }
    }

    /// The value of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|retry| retry.as_str() == name)
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident, $text:literal, $party:ident, $status:literal;)+) => {
        /// What broke a response: one closed list for records, metrics and `Proxy-Status`.
        ///
        /// Names that RFC 9209 section 2.3 defines are used as they stand there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[doc = $doc])+ $name,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)+];

            /// The name in records and metrics (`error_type`).
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Who is usually to blame.
            pub fn party(self) -> Party {
                match self { $(Self::$name => Party::$party,)+ }
            }

            /// The status to answer with when no head has left yet.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }
        }
    };
}

kinds! {
    /// The producer reported an error.
    ProducerError, "producer_error", Producer, 500;
    /// The producer went away without saying how it ended.
    ProducerDropped, "producer_dropped", Producer, 500;
    /// The handler or the producer panicked.
    ProducerPanicked, "producer_panicked", Producer, 500;
    /// The producer gave nothing for longer than the policy allows.
    ProducerIdle, "producer_idle", Producer, 504;
    /// The source changed while it was being sent.
    SourceChanged, "source_changed", Producer, 500;
    /// The program whose output is sent did not end well.
    CommandFailed, "command_failed", Producer, 500;
    /// The program whose output is sent ran for longer than it may.
    CommandTimeout, "command_timeout", Producer, 504;
    /// A part of a page took longer than it may.
    PartTimeout, "part_timeout", Producer, 504;
    /// More octets were produced than `Content-Length` had promised.
    LengthExceeded, "length_exceeded", Producer, 500;
    /// The producer said complete below the promised length.
    LengthShort, "length_short", Producer, 500;
    /// A gRPC response ended with a non-zero status.
    GrpcStatus, "grpc_status", Producer, 500;
    /// The server stopped before the response had ended.
    ServerShutdown, "server_shutdown", Server, 503;
    /// The server had as many requests under way as it may: this one was not processed.
    Overloaded, "overloaded", Server, 503;
    /// The response could not be framed so that a failure can be told.
    Unprotected, "unprotected", Server, 505;
    /// A fault of the serving process itself.
    InternalError, "proxy_internal_error", Server, 500;
    /// The peer closed, reset or cancelled.
    ClientGone, "client_gone", Downstream, 499;
    /// The peer accepted no octet for longer than the policy allows.
    WriteTimeout, "connection_write_timeout", Downstream, 504;
    /// An upstream ended before its framing was satisfied.
    ResponseIncomplete, "http_response_incomplete", Upstream, 502;
    /// An upstream closed or reset the connection.
    ConnectionTerminated, "connection_terminated", Upstream, 502;
    /// An upstream sent nothing in time.
    ReadTimeout, "connection_read_timeout", Upstream, 504;
    /// An upstream's response took too long.
    ResponseTimeout, "http_response_timeout", Upstream, 504;
    /// An upstream's chunks do not parse.
    TransferCoding, "http_response_transfer_coding", Upstream, 502;
    /// An upstream's content coding does not decode.
    ContentCoding, "http_response_content_coding", Upstream, 502;
    /// An upstream's body is over a limit.
    BodySize, "http_response_body_size", Upstream, 502;
    /// An upstream broke the protocol.
    ProtocolError, "http_protocol_error", Upstream, 502;
    /// An upstream sent a TLS alert.
    TlsAlert, "tls_alert_received", Upstream, 502;
    /// TLS failed.
    TlsError, "tls_protocol_error", Upstream, 502;
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.as_str() == name)
    }

    /// Whether RFC 9209 section 2.3 defines its name.
    pub fn is_proxy_error(self) -> bool {
        match self {
            Self::InternalError
            | Self::WriteTimeout
            | Self::ResponseIncomplete
            | Self::ConnectionTerminated
            | Self::ReadTimeout
            | Self::ResponseTimeout
            | Self::TransferCoding
            | Self::ContentCoding
            | Self::BodySize
            | Self::ProtocolError
            | Self::TlsAlert
            | Self::TlsError => true,
            Self::ProducerError
            | Self::ProducerDropped
            | Self::ProducerPanicked
            | Self::ProducerIdle
            | Self::CommandFailed
            | Self::CommandTimeout
            | Self::PartTimeout
            | Self::SourceChanged
            | Self::LengthExceeded
            | Self::LengthShort
            | Self::GrpcStatus
            | Self::ServerShutdown
            | Self::Overloaded
            | Self::Unprotected
            | Self::ClientGone => false,
        }
    }

    /// The usual advice on retrying.
    pub fn retry(self) -> Retry {
        match self {
            Self::LengthExceeded | Self::LengthShort | Self::Unprotected | Self::GrpcStatus => {
                Retry::Never
            }
            Self::Overloaded => Retry::Safe,
            Self::ProducerError
            | Self::ProducerDropped
            | Self::ProducerPanicked
            | Self::ProducerIdle
            | Self::SourceChanged
            | Self::CommandFailed
            | Self::CommandTimeout
            | Self::PartTimeout
            | Self::ServerShutdown
            | Self::InternalError
            | Self::ClientGone
            | Self::WriteTimeout
            | Self::ResponseIncomplete
            | Self::ConnectionTerminated
            | Self::ReadTimeout
            | Self::ResponseTimeout
            | Self::TransferCoding
            | Self::ContentCoding
            | Self::BodySize
            | Self::ProtocolError
            | Self::TlsAlert
            | Self::TlsError => Retry::IfIdempotent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_names_are_unique() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
