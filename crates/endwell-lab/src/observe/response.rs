//! Parses one HTTP/1 response strictly and notes every fact about its end.
//!
//! Reads: octets in whatever pieces they come, then how the transport ended.
//! Gives: a [`Seen`].
//! Never: reads a socket or a clock; times are handed in.

use std::time::Duration;

use super::chunked::Chunked;
use super::field::field_of;
use super::seen::{Seen, SeenEnd, SeenFraming};

/// Largest head: far above what servers send, far below what hurts.
const HEAD_LIMIT: usize = 256 * 1024;

/// Most interim responses before one final response.
const INTERIM_LIMIT: usize = 64;

/// A parser for one response.
#[derive(Debug)]
pub(super) struct Response {
    seen: Seen,
    state: State,
    head: Vec<u8>,
    answers_head: bool,
    body_limit: usize,
}

#[derive(Debug)]
enum State {
    Head,
    /// So many octets of the body are missing.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Ended,
}

/// A parsed head.
struct Head {
    minor: u8,
    status: u16,
    headers: Vec<(String, String)>,
}

impl Response {
    /// Starts a response; `answers_head` when the request's method is HEAD.
    pub(super) fn new(answers_head: bool, body_limit: usize) -> Self {
        Self {
            seen: Seen::default(),
            state: State::Head,
            head: Vec::new(),
            answers_head,
            body_limit,
        }
    }

    /// Gives what was seen so far.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Tells whether the message has ended.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes octets that came `at` so long after the request; gives how many belong to this response.
    pub(super) fn push(&mut self, octets: &[u8], at: Duration) -> usize {
        if !octets.is_empty() && self.seen.first_octet_after.is_none() {
            self.seen.first_octet_after = Some(at);
        }
        let mut used = 0;
        while used < octets.len() && !self.is_ended() {
            let had = self.seen.body.len();
            let result = self.step(&octets[used..], at);
            if self.seen.body.len() > had {
                self.seen.last_data_after = Some(at);
            }
            match result {
                Ok(count) => used += count,
                Err(why) => {
                    used = octets.len();
                    self.finish(SeenEnd::Malformed(why), at);
                }
            }
            if self.seen.body.len() > self.body_limit {
                let limit = self.body_limit;
                self.finish(SeenEnd::TooLarge(format!("body over {limit} octets")), at);
            }
        }
        self.seen.note_raw(&octets[..used]);
        used
    }

    /// Ends the message, unless it has ended.
    pub(super) fn finish(&mut self, end: SeenEnd, at: Duration) {
        if let State::Chunked(chunked) = &self.state {
            self.seen.open_chunk = chunked.is_open();
        }
        if !self.is_ended() {
            self.seen.end = end;
            self.seen.ended_after = at;
            self.state = State::Ended;
        }
    }

    fn step(&mut self, octets: &[u8], at: Duration) -> Result<usize, String> {
        match &mut self.state {
            State::Head => self.step_head(octets, at),
            State::Length(missing) => {
                let count = usize::try_from(*missing)
                    .map_or(octets.len(), |missing| missing.min(octets.len()));
                *missing -= count as u64;
                let whole = *missing == 0;
                self.seen.body.extend_from_slice(&octets[..count]);
                if whole {
                    self.finish(SeenEnd::Length, at);
                }
                Ok(count)
            }
            State::Chunked(chunked) => {
                let result = chunked.push(octets, &mut self.seen.body, &mut self.seen.trailers);
                self.seen.open_chunk = chunked.is_open();
                self.seen.last_chunk = chunked.is_done();
                if self.seen.last_chunk {
                    self.finish(SeenEnd::LastChunk, at);
                }
                result
            }
            State::UntilClose => {
                self.seen.body.extend_from_slice(octets);
                Ok(octets.len())
            }
            State::Ended => Ok(0),
        }
    }

    /// Collects the head up to its empty line.
    fn step_head(&mut self, octets: &[u8], at: Duration) -> Result<usize, String> {
        for (index, octet) in octets.iter().enumerate() {
            self.head.push(*octet);
            if self.head.ends_with(b"\r\n\r\n") {
                let head = parse_head(&std::mem::take(&mut self.head))?;
                self.take_head(head, at)?;
                return Ok(index + 1);
            }
            let start = self.head.len().min(5);
            if self.head[..start] != b"HTTP/"[..start] {
                return Err("not an HTTP/1 status line".to_owned());
            }
            if self.head.len() > HEAD_LIMIT {
                return Err(format!("head over {HEAD_LIMIT} octets"));
            }
        }
        Ok(octets.len())
    }

    fn take_head(&mut self, head: Head, at: Duration) -> Result<(), String> {
        self.seen.version = Some(format!("1.{}", head.minor));
        if (100..200).contains(&head.status) && head.status != 101 {
            self.seen.interim.push(head.status);
            if self.seen.interim.len() > INTERIM_LIMIT {
                return Err(format!("over {INTERIM_LIMIT} interim responses"));
            }
            return Ok(());
        }
        self.seen.status = Some(head.status);
        let framing = framing_of(&head, self.answers_head);
        self.seen.headers = head.headers;
        let framing = framing?;
        self.seen.framing = Some(framing);
        match framing {
            SeenFraming::NoBody | SeenFraming::ContentLength(0) => self.finish(SeenEnd::Length, at),
            SeenFraming::ContentLength(promised) => self.state = State::Length(promised),
            SeenFraming::Chunked => self.state = State::Chunked(Chunked::default()),
            SeenFraming::CloseDelimited | SeenFraming::EndStream => self.state = State::UntilClose,
        }
        Ok(())
    }
}

/// Decides the framing, RFC 9112 section 6.3; what only a lenient recipient would repair is an error.
fn framing_of(head: &Head, answers_head: bool) -> Result<SeenFraming, String> {
    let bodyless = answers_head || matches!(head.status, 101 | 204 | 304);
    let values = |name: &str| -> Vec<&str> {
        let fields = head.headers.iter().filter(|(key, _)| key == name);
        fields
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    if !lengths.is_empty() && !codings.is_empty() {
        return Err("both Content-Length and Transfer-Encoding".to_owned());
    }
    if !codings.is_empty() && head.minor == 0 {
        return Err("Transfer-Encoding in an HTTP/1.0 response".to_owned());
    }
    let mut promised = None;
    for length in lengths {
        let length = length_of(length)?;
        if promised.is_some_and(|promised| promised != length) {
            return Err("Content-Length fields that differ".to_owned());
        }
        promised = Some(length);
    }
    if bodyless {
        return Ok(SeenFraming::NoBody);
    }
    match (codings.split_last(), promised) {
        (Some((last, others)), _) => {
            let is_chunked = |coding: &&str| coding.eq_ignore_ascii_case("chunked");
            if others.iter().any(is_chunked) {
                return Err(
                    "chunked is not the last transfer coding, or is applied twice".to_owned(),
                );
            }
            Ok(if is_chunked(last) {
                SeenFraming::Chunked
            } else {
                SeenFraming::CloseDelimited
            })
        }
        (None, Some(length)) => Ok(SeenFraming::ContentLength(length)),
        (None, None) => Ok(SeenFraming::CloseDelimited),
    }
}

/// Reads a `Content-Length`: digits only, within 64 bits.
pub(super) fn length_of(value: &str) -> Result<u64, String> {
    let digits = !value.is_empty() && value.bytes().all(|octet| octet.is_ascii_digit());
    let length = if digits { value.parse().ok() } else { None };
    length.ok_or_else(|| format!("bad Content-Length {value:?}"))
}

/// Parses a head that ends with its empty line.
fn parse_head(octets: &[u8]) -> Result<Head, String> {
    let text = octets.strip_suffix(b"\r\n\r\n").unwrap_or(octets);
    let mut lines = text.split(|octet| *octet == b'\n').peekable();
    let mut head: Option<Head> = None;
    while let Some(line) = lines.next() {
        let line = if lines.peek().is_some() {
            line.strip_suffix(b"\r")
                .ok_or_else(|| "bare LF in the head".to_owned())?
        } else {
            line
        };
        match &mut head {
            None => head = Some(parse_status_line(line)?),
            Some(head) => head.headers.push(field_of(line)?),
        }
    }
    head.ok_or_else(|| "empty head".to_owned())
}

/// Parses `HTTP/1.x SP 3DIGIT [SP reason]`; the blank before an empty reason may be missing.
fn parse_status_line(line: &[u8]) -> Result<Head, String> {
    let bad = || format!("bad status line {:?}", String::from_utf8_lossy(line));
    let rest = line.strip_prefix(b"HTTP/1.").ok_or_else(bad)?;
    let [minor @ b'0'..=b'9', b' ', code @ ..] = rest else {
        return Err(bad());
    };
    let (code, reason) = code.split_at_checked(3).ok_or_else(bad)?;
    let digits = code.iter().all(u8::is_ascii_digit);
    if !digits || !(reason.is_empty() || reason.starts_with(b" ")) || reason.contains(&b'\r') {
        return Err(bad());
    }
    let status = std::str::from_utf8(code)
        .ok()
        .and_then(|code| code.parse().ok());
    match status {
        Some(status @ 100..=599) => Ok(Head {
            minor: minor - b'0',
            status,
            headers: Vec::new(),
        }),
        Some(_) | None => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(octets: &[u8]) -> Seen {
        let mut response = Response::new(false, 1 << 20);
        response.push(octets, Duration::ZERO);
        response.finish(SeenEnd::Fin, Duration::ZERO);
        response.seen().clone()
    }

    #[test]
    fn every_split_of_a_response_gives_the_same() {
        let samples: [&[u8]; 5] = [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.0 200 OK\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
            b"HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\nabc",
        ];
        for sample in samples {
            let whole = parse(sample);
            for at in 0..=sample.len() {
                let mut response = Response::new(false, 1 << 20);
                let mut used = response.push(&sample[..at], Duration::ZERO);
                used += response.push(&sample[used..], Duration::ZERO);
                response.finish(SeenEnd::Fin, Duration::ZERO);
                let mut seen = response.seen().clone();
                if matches!(whole.end, SeenEnd::Malformed(_)) {
                    // Octets behind the bad place are counted as far as they came with it.
                    (seen.raw_len, seen.raw_tail) = (whole.raw_len, whole.raw_tail.clone());
                } else {
                    assert_eq!(used, sample.len());
                }
                assert_eq!(seen, whole, "{at} of {sample:?}");
            }
        }
    }

    #[test]
    fn heads_that_only_a_lenient_recipient_takes_are_malformed() {
        let samples: [&[u8]; 12] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"\x00\x00\x06\x04\x00",
        ];
        for sample in samples {
            let seen = parse(sample);
            assert!(
                matches!(seen.end, SeenEnd::Malformed(_)),
                "{sample:?} {seen:?}"
            );
            assert!(!seen.is_complete());
        }
    }

    #[test]
    fn open_chunk_is_known_while_reading() {
        let mut response = Response::new(false, 1 << 20);
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
        response.push(head, Duration::ZERO);
        assert!(response.seen().open_chunk);
        response.push(b"lo\r\n", Duration::ZERO);
        assert!(!response.seen().open_chunk);
    }

    #[test]
    fn body_over_the_limit_is_too_large() {
        let mut response = Response::new(false, 10);
        response.push(b"HTTP/1.0 200 OK\r\n\r\n0123456789x", Duration::ZERO);
        assert!(matches!(response.seen().end, SeenEnd::TooLarge(_)));
    }
}
