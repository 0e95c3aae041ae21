//! Records of JSON: a line each (NDJSON), or behind a record separator (RFC 7464).
//!
//! Reads: the octets of the stream. Gives: one record more, the reason. Never: lets a record that
//! was cut pass for a whole one.

use bytes::Bytes;

/// Where in lines of JSON the octets stopped.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Whether a line is under way, and what it is worth if it ends here.
    line: Line,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    /// Nothing but white space so far.
    #[default]
    Blank,
    /// An object, array or string: cut, it does not parse, and if it parses it is whole.
    Closed,
    /// A number or a word. `12` may be a cut `1200`.
    Open,
}

impl Lines {
    pub(super) fn watch(&mut self, octets: &[u8]) {
        let line = match octets.iter().rposition(|&octet| octet == b'\n') {
            Some(end) => {
                self.line = Line::Blank;
                &octets[end + 1..]
            }
            None => octets,
        };
        if self.line != Line::Blank {
            return;
        }
        self.line = match line.iter().find(|octet| !b" \t\r".contains(octet)) {
            None => Line::Blank,
            Some(b'{' | b'[' | b'"') => Line::Closed,
            Some(_) => Line::Open,
        };
    }

    /// The reason as a line. A line under way is ended, and made no JSON if it could be taken for some.
    pub(super) fn write(&self, problem: &str) -> Bytes {
        let end = match self.line {
            Line::Blank => "",
            Line::Closed => "\n",
            Line::Open => "!\n",
        };
        format!("{end}{problem}\n").into()
    }
}

/// The reason as a record of a JSON text sequence. The separator tells that what stands before it was
/// cut: a record ends in LF, and a number without one must not be taken (RFC 7464 section 2.4).
pub(super) fn sequence(problem: &str) -> Bytes {
    format!("\u{1e}{problem}\n").into()
}
