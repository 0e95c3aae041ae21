//! Multipart bodies (RFC 2046 section 5.1): the reason as one part more.
//!
//! Reads: the octets of the body. Gives: a part of `application/problem+json` and the delimiter
//! behind it, only where the body stands between two parts. Never: a delimiter behind a part that may
//! have been cut, which would make it whole; nor the close delimiter.

use std::fmt;

use bytes::Bytes;

/// RFC 2046 section 5.1.1: 1 to 70 characters.
const LONGEST_BOUNDARY: usize = 70;

/// A boundary that RFC 2046 section 5.1.1 does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidBoundary {
    /// How many octets it has.
    pub len: usize,
}

impl fmt::Display for InvalidBoundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a boundary has 1 to {LONGEST_BOUNDARY} characters out of letters, digits, \
             space (not the last) and '()+_,-./:=?; this one of {} octets does not",
            self.len
        )
    }
}

impl std::error::Error for InvalidBoundary {}

/// Where in a multipart body the octets stopped.
#[derive(Debug)]
pub(super) struct Parts {
    /// CRLF, two dashes, the boundary, CRLF: behind it stands a new part.
    delimiter: Vec<u8>,
    /// The last octets, as many as the delimiter has; CRLF before the first.
    end: Vec<u8>,
    /// Nothing was sent yet.
    fresh: bool,
}

impl Parts {
    pub(super) fn new(boundary: &str) -> Result<Self, InvalidBoundary> {
        let allowed =
            |octet: u8| octet.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&octet);
        let fits = (1..=LONGEST_BOUNDARY).contains(&boundary.len());
        if !fits || !boundary.bytes().all(allowed) || boundary.ends_with(' ') {
            return Err(InvalidBoundary {
                len: boundary.len(),
            });
        }
        Ok(Self {
            delimiter: format!("\r\n--{boundary}\r\n").into_bytes(),
            end: b"\r\n".to_vec(),
            fresh: true,
        })
    }

    pub(super) fn watch(&mut self, octets: &[u8]) {
        self.fresh &= octets.is_empty();
        let len = self.delimiter.len();
        if octets.len() >= len {
            self.end.clear();
        }
        self.end
            .extend_from_slice(&octets[octets.len().saturating_sub(len)..]);
        let surplus = self.end.len().saturating_sub(len);
        self.end.drain(..surplus);
    }

    /// The part, or nothing where it would end another one.
    pub(super) fn write(&self, problem: &str) -> Option<Bytes> {
        if !self.fresh && self.end != self.delimiter {
            return None;
        }
        let mut text = Vec::new();
        if self.fresh {
            text.extend_from_slice(&self.delimiter[2..]);
        }
        let part = format!("Content-Type: application/problem+json\r\n\r\n{problem}");
        text.extend_from_slice(part.as_bytes());
        text.extend_from_slice(&self.delimiter);
        Some(text.into())
    }
}
