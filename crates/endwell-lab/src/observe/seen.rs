//! What an observer saw of one response: facts, and the RFC's answer to "was it whole?".
//!
//! Reads: nothing; filled in by the observers.
//! Gives: [`Seen`], plain data that other crates turn into evidence.
//! Never: guesses. What was not seen is `None`, `false` or empty.

use std::fmt;
use std::time::Duration;

use endwell_core::{Confirmation, Evidence, Framing, Protocol, Seen as What, Verdict, verdict};

/// Frame texts kept at either end of a long stream: the first and the last ones tell the story.
const FRAMES_KEPT: usize = 2048;

/// Octets kept in [`Seen::raw_tail`]: enough for a last chunk with short trailers.
const TAIL_KEPT: usize = 64;

/// How the message said that its end would be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenFraming {
    /// A `Content-Length` of so many octets (HTTP/1).
    ContentLength(u64),
    /// `Transfer-Encoding: chunked` (HTTP/1.1).
    Chunked,
    /// No length and no chunks: the end of the connection ends the message (HTTP/1).
    CloseDelimited,
    /// The END_STREAM flag (HTTP/2), the FIN of the stream (HTTP/3).
    EndStream,
    /// No body can follow: answer to HEAD, or status 101, 204, 304 (HTTP/1).
    NoBody,
}

impl fmt::Display for SeenFraming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentLength(octets) => write!(f, "content-length {octets}"),
            Self::Chunked => f.write_str("chunked"),
            Self::CloseDelimited => f.write_str("close-delimited"),
            Self::EndStream => f.write_str("end-stream"),
            Self::NoBody => f.write_str("no body"),
        }
    }
}

/// What ended the message, or stopped the observer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SeenEnd {
    /// The last chunk, its trailer section and the final CRLF.
    LastChunk,
    /// The last promised octet; for a message without a body, the end of its head.
    Length,
    /// The END_STREAM flag or the FIN of an HTTP/3 stream, with a body that fits its `content-length` if it had one.
    EndStream,
    /// TCP FIN. Under TLS: FIN without a close_notify before it.
    Fin,
    /// A TLS close_notify (what TCP did then is in [`Seen::after`]).
    CloseNotify,
    /// TCP RST.
    Reset,
    /// RST_STREAM, or RESET_STREAM of HTTP/3, with this code.
    StreamReset(u32),
    /// CONNECTION_CLOSE of the HTTP/3 layer, with this code.
    ConnectionClosed(u64),
    /// GOAWAY that does not cover the stream, or GOAWAY and then the end of the connection.
    GoAway {
        /// The error code.
        code: u32,
        /// The last stream the peer promises to have handled.
        last: u32,
    },
    /// The observer's deadline passed.
    TimedOut,
    /// The octets break the protocol; the text says where.
    Malformed(String),
    /// More octets than the observer keeps; the text says which limit.
    TooLarge(String),
    /// A fatal TLS alert or a TLS error other than a missing close_notify.
    Tls(String),
    /// Any other I/O error, a refused connection among them.
    Io(String),
    /// Not ended while the observer was looking.
    #[default]
    Open,
}

impl fmt::Display for SeenEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastChunk => f.write_str("last chunk"),
            Self::Length => f.write_str("length"),
            Self::EndStream => f.write_str("END_STREAM"),
            Self::Fin => f.write_str("FIN"),
            Self::CloseNotify => f.write_str("close_notify"),
            Self::Reset => f.write_str("RST"),
            Self::StreamReset(code) => write!(f, "RST_STREAM {code}"),
            Self::ConnectionClosed(code) => write!(f, "CONNECTION_CLOSE {code:#x}"),
            Self::GoAway { code, last } => write!(f, "GOAWAY {code} last={last}"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Malformed(why) => write!(f, "malformed: {why}"),
            Self::TooLarge(why) => write!(f, "too large: {why}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Io(why) => write!(f, "I/O: {why}"),
            Self::Open => f.write_str("still open"),
        }
    }
}

/// What was seen of one response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// `1.0`, `1.1`, `2` or `3`, as the response said it.
    pub version: Option<String>,
    /// Status codes of interim responses (1xx but 101), in order.
    pub interim: Vec<u16>,
    /// Status code of the final response.
    pub status: Option<u16>,
    /// Fields of the final head, names in lower case, in order; no pseudo-fields.
    pub headers: Vec<(String, String)>,
    /// How the end would be marked; `None` without a whole head.
    pub framing: Option<SeenFraming>,
    /// The decoded payload: no chunk lines, no frame headers, no padding.
    pub body: Vec<u8>,
    /// Fields of the trailer section, names in lower case.
    pub trailers: Vec<(String, String)>,
    /// Octets of this response after TLS: HTTP/1 all of them, HTTP/2 its frames with their headers.
    pub raw_len: u64,
    /// The last (at most 64) octets as they came, after TLS (HTTP/1 only).
    pub raw_tail: Vec<u8>,
    /// A chunk-size line came, but not all of its octets and the CRLF behind them.
    pub open_chunk: bool,
    /// The last chunk, the trailer section and the final CRLF all came.
    pub last_chunk: bool,
    /// What ended the message.
    pub end: SeenEnd,
    /// What the connection did after the end, if the observer stayed to see it.
    pub after: Option<SeenEnd>,
    /// What still came for this response after its end: frames, or a count of octets.
    pub late: Vec<String>,
    /// Under TLS: was a close_notify seen so far? `None` without TLS.
    pub close_notify: Option<bool>,
    /// HTTP/2, if the observer stayed: was a PING answered after the end?
    pub connection_alive: Option<bool>,
    /// From the request's last octet to the first octet of the response.
    pub first_octet_after: Option<Duration>,
    /// From the request's last octet to the last octets of the body.
    pub last_data_after: Option<Duration>,
    /// From the request's last octet to the end.
    pub ended_after: Duration,
    /// HTTP/2: a text per frame on the stream or the connection, such as `DATA 16384 END_STREAM`,
    /// `RST_STREAM 2`, `GOAWAY 0 last=1`. Of very many, the middle is replaced by `...`.
    pub frames: Vec<String>,
}

impl Seen {
    /// Tells whether a whole message was seen, by RFC 9112 section 8 and RFC 9113 section 8.1.
    ///
    /// A close-delimited message is whole after a FIN, under TLS only after a close_notify. It is
    /// what the protocol says, not proof: whoever breaks such a message with a FIN looks whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Some(framing) = self.framing else {
            return false;
        };
        match framing {
            SeenFraming::ContentLength(promised) => {
                self.end == SeenEnd::Length && self.body.len() as u64 == promised
            }
            SeenFraming::Chunked => self.end == SeenEnd::LastChunk && self.last_chunk,
            SeenFraming::CloseDelimited => match self.close_notify {
                None => self.end == SeenEnd::Fin,
                Some(_) => self.end == SeenEnd::CloseNotify,
            },
            SeenFraming::EndStream => self.end == SeenEnd::EndStream,
            SeenFraming::NoBody => self.end == SeenEnd::Length,
        }
    }

    /// The facts as the vocabulary's [`Evidence`], once a framing was seen.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        let protocol = match self.version.as_deref() {
            Some("1.0") => Protocol::Http10,
            Some("2") => Protocol::Http2,
            Some("3") => Protocol::Http3,
            _ => Protocol::Http11,
        };
        let framing = match self.framing? {
            SeenFraming::ContentLength(_) => Framing::ContentLength,
            SeenFraming::Chunked => Framing::Chunked,
            SeenFraming::CloseDelimited => Framing::CloseDelimited,
            SeenFraming::EndStream => Framing::EndStream,
            SeenFraming::NoBody => Framing::NoBody,
        };
        let seen = match &self.end {
            SeenEnd::LastChunk | SeenEnd::Length | SeenEnd::EndStream => What::EndMark,
            SeenEnd::Fin => What::Fin,
            SeenEnd::CloseNotify => What::CloseNotify,
            SeenEnd::Reset | SeenEnd::ConnectionClosed(_) | SeenEnd::Tls(_) | SeenEnd::Io(_) => {
                What::ConnectionReset
            }
            SeenEnd::StreamReset(code) | SeenEnd::GoAway { code, .. } => {
                What::StreamReset(u64::from(*code))
            }
            SeenEnd::Malformed(_) => What::Malformed,
            SeenEnd::TimedOut => What::TimedOut,
            SeenEnd::TooLarge(_) | SeenEnd::Open => What::Left,
        };
        Some(Evidence {
            protocol,
            framing,
            tls: self.close_notify.is_some(),
            promised: self.header("content-length").and_then(|n| n.parse().ok()),
            received: self.body.len() as u64,
            seen,
            confirmation: Confirmation::NotAsked,
        })
    }

    /// What a receiver may conclude, by the vocabulary's rule.
    ///
    /// It is stricter than [`Seen::is_complete`]: a close-delimited body without TLS is
    /// [`Verdict::Undetermined`], never complete.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.evidence()
            .map_or(Verdict::Incomplete, |evidence| verdict(&evidence))
    }

    /// Gives one line for a table: status, framing, octets, end, and whether it was whole.
    #[must_use]
    pub fn verdict_line(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "---".to_owned(), |code| code.to_string());
        let framing = self
            .framing
            .map_or_else(|| "no head".to_owned(), |framing| framing.to_string());
        let mut line = format!(
            "{status} {framing}, {} octets, {}",
            self.body.len(),
            self.end
        );
        if self.open_chunk {
            line.push_str(" in an open chunk");
        }
        if self.end == SeenEnd::Fin && self.close_notify == Some(false) {
            line.push_str(" without close_notify");
        }
        if let Some(after) = &self.after {
            line.push_str(&format!(", then {after}"));
        }
        if !self.late.is_empty() {
            line.push_str(&format!(", late {}", self.late.join(" + ")));
        }
        line.push_str(if self.is_complete() {
            ": complete"
        } else {
            ": not complete"
        });
        line
    }

    /// Finds the first header field of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Finds the first trailer field of this (lower-case) name.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// Makes the record of a response that never came, for lack of a connection.
    #[must_use]
    pub fn unreached(error: &std::io::Error) -> Self {
        Self {
            end: SeenEnd::Io(error.to_string()),
            ..Self::default()
        }
    }

    /// Notes a frame, keeping the list bounded.
    pub(super) fn note_frame(&mut self, text: String) {
        push_bounded(&mut self.frames, text);
    }

    /// Notes something that came after the end, keeping the list bounded.
    pub(super) fn note_late(&mut self, text: String) {
        push_bounded(&mut self.late, text);
    }

    /// Counts raw octets and keeps the last of them.
    pub(super) fn note_raw(&mut self, octets: &[u8]) {
        self.raw_len += octets.len() as u64;
        self.raw_tail
            .extend_from_slice(&octets[octets.len().saturating_sub(TAIL_KEPT)..]);
        let surplus = self.raw_tail.len().saturating_sub(TAIL_KEPT);
        self.raw_tail.drain(..surplus);
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|(key, _)| key == name)?;
    Some(&field.1)
}

fn push_bounded(list: &mut Vec<String>, text: String) {
    if list.len() == FRAMES_KEPT {
        list.push("...".to_owned());
    } else if list.len() > 2 * FRAMES_KEPT {
        list.remove(FRAMES_KEPT + 1);
    }
    list.push(text);
}

/// Makes text of a field value: UTF-8 if it is, else an octet a character (Latin-1), so that nothing is lost.
pub(super) fn text_of(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.iter().map(|octet| char::from(*octet)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_list_keeps_the_first_and_the_last() {
        let mut list = Vec::new();
        for number in 0..10_000 {
            push_bounded(&mut list, number.to_string());
        }
        assert_eq!(list.len(), 2 * FRAMES_KEPT + 1);
        assert_eq!(list[0], "0");
        assert_eq!(list[FRAMES_KEPT], "...");
        assert_eq!(list[2 * FRAMES_KEPT], "9999");
        assert_eq!(list[FRAMES_KEPT + 1], (10_000 - FRAMES_KEPT).to_string());
    }

    #[test]
    fn raw_tail_keeps_the_last_octets() {
        let mut seen = Seen::default();
        seen.note_raw(&[b'a'; 100]);
        seen.note_raw(b"0\r\n\r\n");
        assert_eq!(seen.raw_len, 105);
        assert_eq!(seen.raw_tail.len(), 64);
        assert!(seen.raw_tail.ends_with(b"a0\r\n\r\n"));
    }
}
