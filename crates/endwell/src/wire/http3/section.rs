//! The lines of a field section (QPACK, RFC 9204 section 4.5), as they were sent.
//!
//! Reads: a HEADERS frame. Gives: name after name, in order, each as often as it came; h3 gives only
//! what is left of them. There is no dynamic table: none is offered, so no line may refer to one.

use std::borrow::Cow;

use super::frame::varint;
use super::huffman;

/// Why a section cannot be read: the connection ends (RFC 9204 section 2.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undecodable(pub(super) &'static str);

/// The lines of a section that have not been read.
#[derive(Debug)]
pub(super) struct Lines<'a>(&'a [u8]);

/// A line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: Name<'a>,
    pub(super) value: Text<'a>,
}

/// The name of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// A name of the static table that is no pseudo-header. Of fields that have rules of their own
    /// (those of connections) none is in it.
    Static,
    Said(Cow<'a, [u8]>),
}

/// A string that may be in Huffman's code.
#[derive(Debug)]
pub(super) enum Text<'a> {
    Plain(&'a [u8]),
    Huffman(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The octets that are meant.
    pub(super) fn octets(self) -> Result<Cow<'a, [u8]>, Undecodable> {
        match self {
            Self::Plain(octets) => Ok(Cow::Borrowed(octets)),
            Self::Huffman(code) => huffman::decode(code)
                .map(Cow::Owned)
                .ok_or(Undecodable("a string that is not in Huffman's code")),
        }
    }
}

impl<'a> Lines<'a> {
    /// The lines of a whole HEADERS frame.
    pub(super) fn of(frame: &'a [u8]) -> Result<Self, Undecodable> {
        let mut section = frame;
        // Its type and its length.
        for _ in 0..2 {
            let (_, len) = varint(section).ok_or(SHORT)?;
            section = &section[len..];
        }
        // Section 4.5.1. The base means nothing without a table.
        let required = integer(&mut section, 8)?;
        integer(&mut section, 7)?;
        match required {
            0 => Ok(Self(section)),
            _ => Err(DYNAMIC),
        }
    }

    fn line(&mut self, first: u8) -> Result<Line<'a>, Undecodable> {
        let octets = &mut self.0;
        match first {
            // Sections 4.5.2, 4.5.4 and 4.5.6, each with the bit for the static table.
            0xc0.. => {
                let (name, value) = entry(integer(octets, 6)?)?;
                let value = Text::Plain(value.as_bytes());
                Ok(Line { name, value })
            }
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = entry(integer(octets, 4)?)?;
                let value = string(octets, 7)?;
                Ok(Line { name, value })
            }
            0x20..=0x3f => {
                let name = Name::Said(string(octets, 3)?.octets()?);
                let value = string(octets, 7)?;
                Ok(Line { name, value })
            }
            _ => Err(DYNAMIC),
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, Undecodable>;

    /// The next line; after an error there is none.
    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line(*self.0.first()?);
        if line.is_err() {
            self.0 = &[];
        }
        Some(line)
    }
}

const SHORT: Undecodable = Undecodable("a field section that stops short");
const DYNAMIC: Undecodable = Undecodable("a field section that needs a dynamic table");

/// An entry of the static table (RFC 9204 appendix A).
fn entry(index: u64) -> Result<(Name<'static>, &'static str), Undecodable> {
    const METHODS: [&str; 7] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];
    let (name, value) = match index {
        0 => (":authority", ""),
        1 => (":path", "/"),
        15..=21 => (":method", METHODS[index as usize - 15]),
        22 => (":scheme", "http"),
        23 => (":scheme", "https"),
        // No request has it, whatever its value.
        24..=28 | 63..=71 => (":status", ""),
        2..=98 => return Ok((Name::Static, "")),
        _ => return Err(Undecodable("no such entry in the static table")),
    };
    Ok((Name::Said(Cow::Borrowed(name.as_bytes())), value))
}

/// An integer whose first octet has so many bits of it (RFC 7541 section 5.1); 62 bits are enough (RFC
/// 9204 section 4.1.1).
fn integer(octets: &mut &[u8], bits: u32) -> Result<u64, Undecodable> {
    let most = (1_u64 << bits) - 1;
    let mut value = u64::from(take(octets)?) & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..=56).step_by(7) {
        let octet = take(octets)?;
        value += u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Undecodable("an integer of too many octets"))
}

/// A string whose length begins in so many bits, below the bit that tells of Huffman's code.
fn string<'a>(octets: &mut &'a [u8], bits: u32) -> Result<Text<'a>, Undecodable> {
    let huffman = octets.first().ok_or(SHORT)? >> bits & 1 == 1;
    let length = usize::try_from(integer(octets, bits)?).map_err(|_| SHORT)?;
    let (string, rest) = octets.split_at_checked(length).ok_or(SHORT)?;
    *octets = rest;
    Ok(match huffman {
        true => Text::Huffman(string),
        false => Text::Plain(string),
    })
}

fn take(octets: &mut &[u8]) -> Result<u8, Undecodable> {
    let (octet, rest) = octets.split_first().ok_or(SHORT)?;
    *octets = rest;
    Ok(*octet)
}
