//! Text of any kind, the way ClickHouse ends it: a marker that the head has announced.
//!
//! Reads: a tag. Gives: the field that announces it and the octets that end the body. The tag is
//! random, so that no content can forge the marker.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderName;

/// The field that announces the tag. ClickHouse 25.11 and later send it, and its clients look for it.
pub(super) const FIELD: HeaderName = HeaderName::from_static("x-clickhouse-exception-tag");

/// How many characters a tag has: clients of ClickHouse expect 16.
const LENGTH: usize = 16;

/// A random word that the head announces and the marker repeats.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Tag([u8; LENGTH]);

impl Tag {
    /// A tag that who supplies the content cannot guess: 16 letters, 75 bits, out of the keys with which the
    /// standard library keeps hash maps from being attacked.
    pub(super) fn random() -> Self {
        let hash = || u128::from(RandomState::new().hash_one(0_u8));
        let mut random = (hash() << 64) | hash();
        Self([0; LENGTH].map(|_: u8| {
            let letter = b'a' + (random % 26) as u8;
            random /= 26;
            letter
        }))
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters are UTF-8")
    }

    pub(super) fn value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("letters are a field's value")
    }

    /// The marker, the tag, the text, its length with the line break, and both again.
    pub(super) fn write(&self, problem: &str) -> Bytes {
        let tag = self.as_str();
        let length = problem.len() + 1;
        format!("\r\n__exception__\r\n{tag}\r\n{problem}\n{length} {tag}\r\n__exception__\r\n")
            .into()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
