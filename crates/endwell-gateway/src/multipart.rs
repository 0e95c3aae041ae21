//! Several ranges as one body: `multipart/byteranges`, RFC 9110 section 14.6.
//!
//! Reads: parts that do not touch. Gives: what stands between them, and how long all of it is.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use bytes::Bytes;
use http::HeaderValue;

/// Parts of something, and what stands between them.
#[derive(Debug)]
pub(crate) struct Multipart {
    parts: Vec<Range<u64>>,
    /// The size of the whole.
    octets: u64,
    media_type: HeaderValue,
    boundary: String,
}

impl Multipart {
    pub(crate) fn new(parts: Vec<Range<u64>>, octets: u64, media_type: HeaderValue) -> Self {
        Self {
            parts,
            octets,
            media_type,
            boundary: boundary(),
        }
    }

    /// The value of `Content-Type`.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// The octets of the body, heads of its parts included.
    pub(crate) fn length(&self) -> u64 {
        let parts = self.parts.iter().enumerate();
        let parts =
            parts.map(|(at, part)| self.head(at, part).len() as u64 + part.end - part.start);
        parts.sum::<u64>() + self.tail().len() as u64
    }

    /// The parts, in the order in which they are sent.
    pub(crate) fn parts(&self) -> &[Range<u64>] {
        &self.parts
    }

    /// What stands before a part, which is the one at this place.
    pub(crate) fn head(&self, at: usize, part: &Range<u64>) -> Bytes {
        let lines_before = if at == 0 { "" } else { "\r\n" };
        let mut head = format!("{lines_before}--{}\r\nContent-Type: ", self.boundary).into_bytes();
        head.extend_from_slice(self.media_type.as_bytes());
        let (first, last) = (part.start, part.end - 1);
        let range = format!(
            "\r\nContent-Range: bytes {first}-{last}/{}\r\n\r\n",
            self.octets
        );
        head.extend_from_slice(range.as_bytes());
        head.into()
    }

    /// What stands behind the last part.
    pub(crate) fn tail(&self) -> Bytes {
        format!("\r\n--{}--\r\n", self.boundary).into()
    }
}

/// 128 bits that nobody who wrote the file could know: the keys of a [`RandomState`] come from
/// the operating system, and its hash does not tell them.
fn boundary() -> String {
    let random = RandomState::new();
    format!(
        "{:016x}{:016x}",
        random.hash_one(0_u8),
        random.hash_one(1_u8)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_as_the_rfc_shows() {
        let text = HeaderValue::from_static("text/plain");
        let mut parts = Multipart::new(vec![0..5, 90..100], 100, text);
        parts.boundary = "B".to_owned();
        assert_eq!(parts.content_type(), "multipart/byteranges; boundary=B");
        assert_eq!(
            parts.head(0, &(0..5)),
            "--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/100\r\n\r\n"
        );
        assert_eq!(
            parts.head(1, &(90..100)),
            "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 90-99/100\r\n\r\n"
        );
        assert_eq!(parts.tail(), "\r\n--B--\r\n");
        assert_eq!(parts.length(), 63 + 5 + 67 + 10 + 9);
    }

    #[test]
    fn no_two_boundaries_are_alike() {
        let (one, other) = (boundary(), boundary());
        assert!(one != other && one.len() == 32);
    }
}
