//! Decides what the peer must see when a response stops.
//!
//! Reads: an [`Ending`] and the [`Situation`] of the message: protocol, framing, TLS, client, policy.
//! Gives: a [`WireEnding`], which the wire carries out.
//! Never: touches a socket, a clock or a task.

use crate::{
    Cause, DegradedDocuments, Ending, Framing, Policy, Protocol, Retry, Severity, Signal, Signals,
};

/// HTTP/2 `INTERNAL_ERROR` (RFC 9113 section 7): 12 of 14 clients notice it; `CANCEL` is a clean end to Node.
const INTERNAL_ERROR: u64 = 0x2;
/// HTTP/3 `H3_REQUEST_CANCELLED`: the code RFC 9114 section 4.1.1 asks of a server that gives up part-way.
const H3_REQUEST_CANCELLED: u64 = 0x10c;
/// HTTP/2 `REFUSED_STREAM`: nothing was processed, so any request may be sent again (RFC 9113 section 8.7).
const REFUSED_STREAM: u64 = 0x7;
/// The same in HTTP/3, `H3_REQUEST_REJECTED` (RFC 9114 section 4.1.1).
const H3_REQUEST_REJECTED: u64 = 0x10b;

/// All that decides how an ending is put on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Situation {
    /// The version of HTTP.
    pub protocol: Protocol,
    /// How the message marks its end.
    pub framing: Framing,
    /// Whether TLS lies below.
    pub tls: bool,
    /// Who can put a signal on the wire.
    pub signals: Signals,
    /// Whether the client overlooks a missing last chunk.
    pub open_chunk: bool,
    /// Whether a browser shows it as a page, and whether a cache may reuse it.
    pub document: Document,
    /// Whether a trailer can tell the ending to a client that asked for it.
    pub asked: Asked,
    /// Whether no part of the application has seen the request.
    pub untouched: bool,
    /// The policy for degraded documents.
    pub degraded_documents: DegradedDocuments,
    /// The policy on how bad an error must be for the peer to be told.
    pub tell: Severity,
    /// The policy on how it is told.
    pub signal: Signal,
}

impl Situation {
    /// A response of this protocol and framing to an ordinary client of our own listener.
    pub fn new(protocol: Protocol, framing: Framing) -> Self {
        Self {
            protocol,
            framing,
            tls: false,
            signals: Signals::Owned,
            open_chunk: false,
            document: Document::No,
            asked: Asked::No,
            untouched: false,
            degraded_documents: DegradedDocuments::WhenPrivate,
            tell: Severity::Degrading,
            signal: Signal::Abort,
        }
    }

    /// The same under this policy.
    #[must_use]
    pub fn under(mut self, policy: &Policy) -> Self {
        self.degraded_documents = policy.degraded_documents;
        self.tell = policy.tell;
        self.signal = policy.signal;
        self
    }

    /// A chunked HTTP/1.1 response.
    pub fn http11_chunked() -> Self {
        Self::new(Protocol::Http11, Framing::Chunked)
    }
}

/// Whether a browser shows the response as a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Document {
    /// No browser, or not as a page.
    No,
    /// As a page that no cache may reuse.
    Private,
    /// As a page that a cache may reuse.
    Shared,
}

impl Document {
    /// Every case.
    pub const ALL: [Document; 3] = [Self::No, Self::Private, Self::Shared];
}

/// Whether a trailer can tell the ending to a client that asked: `Want-Ending: ?1` and `TE: trailers`.
///
/// It can where the message has room for trailers and promised no length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Nobody asked, or no trailer can tell.
    No,
    /// It asked, and a cache may store the response: a cache does not read the trailer.
    Storable,
    /// It asked, and no cache may store the response.
    Unstorable,
}

impl Asked {
    /// Every case.
    pub const ALL: [Asked; 3] = [Self::No, Self::Storable, Self::Unstorable];
}

/// What must happen on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireEnding {
    /// The mark of a whole message: last chunk, exact octets, END_STREAM, FIN (over TLS after close_notify).
    EndMark,
    /// The same mark after a trailer section in which `Ending` says how the response ended.
    Declared,
    /// Whole chunks, then the connection closes without a last chunk.
    MissingLastChunk,
    /// As that, with a chunk-size line whose octets never come.
    OpenChunk,
    /// Fewer octets than promised, then the connection closes.
    ShortBody,
    /// The stream is reset with this code; the connection lives on.
    ResetStream(u64),
    /// The connection is reset, and over TLS no close_notify is sent.
    ResetConnection,
    /// Nothing on this wire can tell it: close-delimited behind a listener that is not ours.
    Silence,
    /// Nothing more is sent: the peer has left.
    Stop,
}

impl WireEnding {
    /// What the record calls it (`signal_out`).
    pub fn signal(self, framing: Framing, tls: bool) -> String {
        match self {
            Self::EndMark | Self::Declared => match framing {
                Framing::ContentLength => "exact_length".into(),
                Framing::Chunked => "last_chunk".into(),
                Framing::CloseDelimited if tls => "close_notify".into(),
                Framing::CloseDelimited => "fin".into(),
                Framing::EndStream => "end_stream".into(),
                Framing::NoBody => "no_body".into(),
            },
            Self::MissingLastChunk => "missing_last_chunk".into(),
            Self::OpenChunk => "open_chunk".into(),
            Self::ShortBody => "short_body".into(),
            Self::ResetStream(code) => format!("reset_stream:0x{code:x}"),
            Self::ResetConnection => "reset_connection".into(),
            Self::Silence | Self::Stop => "none".into(),
        }
    }

    /// Whether the connection must end with the message.
    pub fn closes_connection(self) -> bool {
        match self {
            Self::EndMark | Self::Declared | Self::ResetStream(_) => false,
            Self::MissingLastChunk
            | Self::OpenChunk
            | Self::ShortBody
            | Self::ResetConnection
            | Self::Silence
            | Self::Stop => true,
        }
    }
}

/// Plans the wire ending that a peer cannot take for something else.
///
/// A close-delimited message has no mark for "broken", so [`Ending::Failed`] resets the
/// connection: a plain close would read as complete (RFC 9112 section 8).
///
/// # On the wire
/// The defaults, printed from this very function by [`table`]:
///
#[doc = include_str!("plan_table.md")]
///
/// # Examples
/// ```
/// # use endwell_core::{plan, Ending, Situation, WireEnding};
/// let chunked = Situation::http11_chunked();
/// assert_eq!(plan(&Ending::failed("disk"), &chunked), WireEnding::MissingLastChunk);
/// ```
pub fn plan(ending: &Ending, situation: &Situation) -> WireEnding {
    match ending {
        Ending::Complete if has_trailer(situation) => WireEnding::Declared,
        Ending::Complete => WireEnding::EndMark,
        Ending::Cancelled(_) => WireEnding::Stop,
        Ending::Failed(cause) if is_refused(cause, situation) => refused(situation),
        Ending::Degraded(_) | Ending::Failed(_) if is_declared(situation) => WireEnding::Declared,
        Ending::Degraded(_) if ends_clean(situation) => WireEnding::EndMark,
        Ending::Degraded(_) | Ending::Failed(_) => broken(situation),
    }
}

/// Whether a trailer section tells the ending.
fn has_trailer(situation: &Situation) -> bool {
    match situation.framing {
        Framing::Chunked | Framing::EndStream => situation.asked != Asked::No,
        Framing::ContentLength | Framing::CloseDelimited | Framing::NoBody => false,
    }
}

/// Whether a trailer may stand in for the abort: the client reads it, and no cache keeps what it
/// says is broken.
fn is_declared(situation: &Situation) -> bool {
    has_trailer(situation)
        && situation.asked == Asked::Unstorable
        && situation.signal == Signal::Trailer
}

/// Whether the request may be called unprocessed. What the application saw never may (RFC 9113
/// section 8.7), whatever it says of it.
fn is_refused(cause: &Cause, situation: &Situation) -> bool {
    cause.retry == Retry::Safe && situation.untouched && situation.protocol.is_multiplexed()
}

fn refused(situation: &Situation) -> WireEnding {
    WireEnding::ResetStream(match situation.protocol {
        Protocol::Http3 => H3_REQUEST_REJECTED,
        Protocol::Http10 | Protocol::Http11 | Protocol::Http2 => REFUSED_STREAM,
    })
}

/// A browser never runs the deferred scripts of an aborted page, so a degraded page may end
/// clean where nobody but its reader can be misled; any degraded response, where the policy says
/// that peers are told only of worse.
fn ends_clean(situation: &Situation) -> bool {
    if Severity::Degrading < situation.tell {
        return true;
    }
    match (situation.degraded_documents, situation.document) {
        (_, Document::No) | (DegradedDocuments::Never, _) => false,
        (DegradedDocuments::Always, Document::Private | Document::Shared) => true,
        (DegradedDocuments::WhenPrivate, Document::Private) => true,
        (DegradedDocuments::WhenPrivate, Document::Shared) => false,
    }
}

fn broken(situation: &Situation) -> WireEnding {
    match situation.framing {
        Framing::NoBody => WireEnding::EndMark,
        Framing::ContentLength => WireEnding::ShortBody,
        Framing::Chunked if situation.open_chunk && situation.signals == Signals::Owned => {
            WireEnding::OpenChunk
        }
        Framing::Chunked => WireEnding::MissingLastChunk,
        Framing::CloseDelimited => match situation.signals {
            Signals::Owned => WireEnding::ResetConnection,
            Signals::FramingOnly => WireEnding::Silence,
        },
        Framing::EndStream => WireEnding::ResetStream(match situation.protocol {
            Protocol::Http3 => H3_REQUEST_CANCELLED,
            Protocol::Http10 | Protocol::Http11 | Protocol::Http2 => INTERNAL_ERROR,
        }),
    }
}

/// The table of [`plan`]'s defaults, in Markdown.
///
/// The documentation of [`plan`] and the README show this text; a test compares them.
pub fn table() -> String {
    let columns = [
        ("HTTP/1.1 chunked", Protocol::Http11, Framing::Chunked),
        (
            "HTTP/1 Content-Length",
            Protocol::Http11,
            Framing::ContentLength,
        ),
        (
            "HTTP/1.0 close-delimited",
            Protocol::Http10,
            Framing::CloseDelimited,
        ),
        ("HTTP/2", Protocol::Http2, Framing::EndStream),
        ("HTTP/3", Protocol::Http3, Framing::EndStream),
    ];
    let rows = [
        Ending::Complete,
        Ending::failed(""),
        Ending::degraded(""),
        Ending::Cancelled("".into()),
    ];
    let mut text = String::from("| ending |");
    for (title, _, _) in columns {
        text += &format!(" {title} |");
    }
    text += "\n|---|---|---|---|---|---|\n";
    for ending in rows {
        text += &format!("| {} |", ending.as_str());
        for (_, protocol, framing) in columns {
            let wire = plan(&ending, &Situation::new(protocol, framing));
            text += &format!(" {} |", in_words(wire, protocol, framing));
        }
        text.push('\n');
    }
    text
}

fn in_words(wire: WireEnding, protocol: Protocol, framing: Framing) -> String {
    match wire {
        WireEnding::EndMark => match framing {
            Framing::ContentLength => "the exact octets".into(),
            Framing::Chunked => "last chunk".into(),
            Framing::CloseDelimited => "FIN, over TLS after close_notify".into(),
            Framing::EndStream if protocol == Protocol::Http3 => "FIN of the stream".into(),
            Framing::EndStream => "END_STREAM".into(),
            Framing::NoBody => "nothing".into(),
        },
        WireEnding::Declared => "the trailer `Ending`, then the end mark".into(),
        WireEnding::MissingLastChunk => "every octet, **no last chunk**, FIN".into(),
        WireEnding::OpenChunk => "every octet, **an open chunk**, FIN".into(),
        WireEnding::ShortBody => "every octet but the last promised one, FIN".into(),
        WireEnding::ResetStream(code) => {
            let frame = match protocol {
                Protocol::Http3 => "RESET_STREAM",
                Protocol::Http10 | Protocol::Http11 | Protocol::Http2 => "RST_STREAM",
            };
            format!("every octet, then **{frame}({code:#x})**")
        }
        WireEnding::ResetConnection => {
            "every octet, then **TCP RST**, over TLS no close_notify".into()
        }
        WireEnding::Silence => "cannot be told".into(),
        WireEnding::Stop => "stop and release".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;

    fn endings() -> [Ending; 6] {
        let cause = Cause::producer("test");
        let safe = cause.clone().with_retry(Retry::Safe);
        [
            Ending::Complete,
            Ending::Degraded(cause.clone()),
            Ending::Degraded(safe.clone()),
            Ending::Failed(cause.clone()),
            Ending::Failed(safe),
            Ending::Cancelled(cause),
        ]
    }

    /// Every situation that can exist.
    fn situations() -> Vec<Situation> {
        let mut all = Vec::new();
        for protocol in Protocol::ALL {
            for framing in Framing::ALL.into_iter().filter(|f| f.exists_in(protocol)) {
                for bits in 0..16 {
                    for document in Document::ALL {
                        for degraded_documents in DegradedDocuments::ALL {
                            let situation = Situation {
                                tls: bits & 1 != 0,
                                signals: match bits & 2 != 0 {
                                    true => Signals::Owned,
                                    false => Signals::FramingOnly,
                                },
                                open_chunk: bits & 4 != 0,
                                untouched: bits & 8 != 0,
                                document,
                                degraded_documents,
                                ..Situation::new(protocol, framing)
                            };
                            all.extend(told(situation));
                        }
                    }
                }
            }
        }
        all
    }

    /// A situation with every way in which a peer may be told.
    fn told(situation: Situation) -> impl Iterator<Item = Situation> {
        Asked::ALL.into_iter().flat_map(move |asked| {
            Severity::ALL.into_iter().flat_map(move |tell| {
                Signal::ALL.into_iter().map(move |signal| Situation {
                    asked,
                    tell,
                    signal,
                    ..situation
                })
            })
        })
    }

    /// The expected value of every point, written as rules that do not call `plan`.
    fn expected(ending: &Ending, s: &Situation) -> &'static str {
        let room = matches!(
            (s.protocol, s.framing),
            (Protocol::Http11, Framing::Chunked)
                | (Protocol::Http2 | Protocol::Http3, Framing::EndStream)
        );
        let degraded = match ending {
            Ending::Cancelled(_) => return "Stop",
            Ending::Complete if s.asked != Asked::No && room => return "Declared",
            Ending::Complete => return "EndMark",
            Ending::Degraded(_) => true,
            Ending::Failed(cause) => {
                match (s.untouched && cause.retry == Retry::Safe, s.protocol) {
                    (true, Protocol::Http2) => return "ResetStream(7)",
                    (true, Protocol::Http3) => return "ResetStream(267)",
                    (true, Protocol::Http10 | Protocol::Http11) | (false, _) => false,
                }
            }
        };
        if room && s.asked == Asked::Unstorable && s.signal == Signal::Trailer {
            return "Declared";
        }
        let clean = match s.degraded_documents {
            DegradedDocuments::Always => s.document != Document::No,
            DegradedDocuments::WhenPrivate => s.document == Document::Private,
            DegradedDocuments::Never => false,
        };
        if s.framing == Framing::NoBody || degraded && (clean || s.tell == Severity::Fatal) {
            return "EndMark";
        }
        match (s.protocol, s.framing) {
            (Protocol::Http2, _) => "ResetStream(2)",
            (Protocol::Http3, _) => "ResetStream(268)",
            (_, Framing::ContentLength) => "ShortBody",
            (_, Framing::CloseDelimited) if s.signals == Signals::Owned => "ResetConnection",
            (_, Framing::CloseDelimited) => "Silence",
            _ if s.open_chunk && s.signals == Signals::Owned => "OpenChunk",
            _ => "MissingLastChunk",
        }
    }

    #[test]
    fn every_point_of_the_domain_is_as_expected() {
        let situations = situations();
        // 3 + 4 + 2 + 2 pairs of protocol and framing, 4 bits, 3 kinds of document, 3 policies for
        // them, 3 answers to the client's question, 3 severities, 2 signals.
        assert_eq!(situations.len(), 11 * 16 * 3 * 3 * 3 * 3 * 2);
        for situation in &situations {
            for ending in endings() {
                let wire = plan(&ending, situation);
                assert_eq!(
                    format!("{wire:?}"),
                    expected(&ending, situation),
                    "{ending:?} in {situation:?}"
                );
            }
        }
    }

    #[test]
    fn no_failure_with_a_body_ever_gets_an_end_mark_that_does_not_declare_it() {
        for situation in situations() {
            for ending in endings() {
                if situation.framing == Framing::NoBody || !matches!(ending, Ending::Failed(_)) {
                    continue;
                }
                let wire = plan(&ending, &situation);
                assert_ne!(wire, WireEnding::EndMark, "{situation:?}");
                let only_to_who_asked =
                    situation.asked == Asked::Unstorable && situation.signal == Signal::Trailer;
                assert!(wire != WireEnding::Declared || only_to_who_asked);
            }
        }
    }

    #[test]
    fn what_the_application_saw_is_never_called_unprocessed() {
        for situation in situations().into_iter().filter(|s| !s.untouched) {
            for ending in endings() {
                let wire = plan(&ending, &situation);
                assert!(!matches!(wire, WireEnding::ResetStream(0x7 | 0x10b)));
            }
        }
    }

    #[test]
    fn documentation_shows_this_table() {
        assert_eq!(include_str!("plan_table.md"), table());
    }
}
