//! What one stream of HTTP/2 or HTTP/3 delivered, RFC 9113 sections 5 and 8, RFC 9114 section 4.
//!
//! Reads: decoded frames and times.
//! Gives: a [`Seen`].
//! Never: reads a socket or a clock.

use std::time::Duration;

use super::response::length_of;
use super::seen::{Seen, SeenEnd, SeenFraming, text_of};

/// Most interim responses before one final response.
const INTERIM_LIMIT: usize = 64;

/// Fields that must not cross HTTP/2, RFC 9113 section 8.2.2.
const CONNECTION_FIELDS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A stream's number.
pub type StreamId = u32;

/// A decoded field section, as HPACK gives it.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The same as text, lower-case names.
type TextFields = Vec<(String, String)>;

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) seen: Seen,
    /// Octets the peer may still send; below zero the peer broke flow control.
    pub(super) window: i64,
    /// The message or the observer's interest in it has ended.
    pub(super) ended: bool,
    promised: Option<u64>,
    answers_head: bool,
    body_limit: usize,
}

impl Stream {
    pub(super) fn new(window: u32, answers_head: bool, body_limit: usize) -> Self {
        Self {
            seen: Seen::default(),
            window: i64::from(window),
            ended: false,
            promised: None,
            answers_head,
            body_limit,
        }
    }

    /// Takes a header section: interim, final or trailers.
    pub(super) fn headers(&mut self, fields: Fields, end_stream: bool, at: Duration) {
        if let Err(why) = self.try_headers(fields, end_stream) {
            self.finish(SeenEnd::Malformed(why), at);
        } else if end_stream {
            self.end_stream(at);
        }
    }

    /// Takes a header section of HTTP/3, where the end comes apart from it.
    pub(super) fn headers3(&mut self, fields: Fields) -> Result<(), String> {
        if !self.seen.trailers.is_empty() {
            return Err("a second trailer section".to_owned());
        }
        let trailers = self.seen.status.is_some();
        self.try_headers(fields, trailers)?;
        self.seen.version = Some("3".to_owned());
        Ok(())
    }

    /// The FIN of an HTTP/3 stream.
    pub(super) fn fin(&mut self, at: Duration) {
        if self.seen.status.is_none() {
            self.finish(SeenEnd::Malformed("FIN before a final head".to_owned()), at);
        }
        self.end_stream(at);
    }

    fn try_headers(&mut self, fields: Fields, end_stream: bool) -> Result<(), String> {
        let (status, fields) = split_status(fields)?;
        if self.seen.status.is_some() {
            return match status {
                Some(status) => Err(format!("a second final status {status}")),
                None if !end_stream => Err("trailers without END_STREAM".to_owned()),
                None => {
                    self.seen.trailers = fields;
                    Ok(())
                }
            };
        }
        let status = status.ok_or("no :status")?;
        self.seen.version = Some("2".to_owned());
        if (100..200).contains(&status) {
            self.seen.interim.push(status);
            if end_stream || status == 101 || self.seen.interim.len() > INTERIM_LIMIT {
                return Err(format!(
                    "interim status {status} that ends, upgrades or floods the stream"
                ));
            }
            return Ok(());
        }
        self.seen.status = Some(status);
        self.seen.headers = fields;
        self.seen.framing = Some(SeenFraming::EndStream);
        let lengths = self
            .seen
            .headers
            .iter()
            .filter(|(name, _)| name == "content-length");
        for (_, value) in lengths {
            let length = length_of(value)?;
            if self.promised.is_some_and(|promised| promised != length) {
                return Err("content-length fields that differ".to_owned());
            }
            self.promised = Some(length);
        }
        Ok(())
    }

    /// Takes the octets of a DATA frame.
    pub(super) fn data(&mut self, octets: &[u8], end_stream: bool, at: Duration) {
        if self.seen.status.is_none() {
            self.finish(SeenEnd::Malformed("DATA before HEADERS".to_owned()), at);
            return;
        }
        self.seen.body.extend_from_slice(octets);
        if !octets.is_empty() {
            self.seen.last_data_after = Some(at);
        }
        let length = self.seen.body.len();
        match self.promised {
            _ if length > self.body_limit => {
                let limit = self.body_limit;
                self.finish(SeenEnd::TooLarge(format!("body over {limit} octets")), at);
            }
            _ if self.is_bodyless() && length > 0 => {
                let why = format!("{length} octets of a body that cannot be");
                self.finish(SeenEnd::Malformed(why), at);
            }
            Some(promised) if length as u64 > promised && !self.is_bodyless() => {
                let why = format!("{length} octets, content-length is {promised}");
                self.finish(SeenEnd::Malformed(why), at);
            }
            Some(_) | None if end_stream => self.end_stream(at),
            Some(_) | None => {}
        }
    }

    /// Ends the message, unless it has ended.
    pub(super) fn finish(&mut self, end: SeenEnd, at: Duration) {
        if !self.ended {
            self.seen.end = end;
            self.seen.ended_after = at;
            self.ended = true;
        }
    }

    /// Checks the length at END_STREAM: RFC 9113 section 8.1.1 calls a mismatch malformed.
    fn end_stream(&mut self, at: Duration) {
        let length = self.seen.body.len() as u64;
        let end = match self.promised {
            Some(promised) if promised != length && !self.is_bodyless() => {
                SeenEnd::Malformed(format!("END_STREAM at octet {length} of {promised}"))
            }
            Some(_) | None => SeenEnd::EndStream,
        };
        self.finish(end, at);
    }

    fn is_bodyless(&self) -> bool {
        self.answers_head || matches!(self.seen.status, Some(204 | 304))
    }
}

/// Checks field names, RFC 9113 sections 8.2 and 8.3, and takes `:status` out.
fn split_status(fields: Fields) -> Result<(Option<u16>, TextFields), String> {
    let mut status = None;
    let mut regular = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let (name, value) = (text_of(&name), text_of(&value));
        if name.starts_with(':') {
            if name != ":status" || status.is_some() || !regular.is_empty() {
                return Err(format!("pseudo-field {name} where it must not be"));
            }
            let code = value.parse().ok().filter(|code| (100..=599).contains(code));
            status = Some(code.ok_or_else(|| format!("bad :status {value:?}"))?);
            continue;
        }
        let bad = |octet: u8| {
            octet <= b' ' || octet >= 0x7f || octet == b':' || octet.is_ascii_uppercase()
        };
        if name.is_empty() || name.bytes().any(bad) || CONNECTION_FIELDS.contains(&name.as_str()) {
            return Err(format!("field name {name:?} is not allowed"));
        }
        if value.contains(['\r', '\n', '\0']) {
            return Err(format!("value of {name} is not allowed"));
        }
        regular.push((name, value));
    }
    Ok((status, regular))
}
