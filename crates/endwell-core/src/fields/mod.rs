//! Fields of HTTP messages as typed values.
//!
//! Reads: field values. Gives: what they say, and the values that say it. Never: guesses what a
//! malformed field may have meant.

mod digest;

pub use digest::{Digest, DigestAlgorithm, WantDigest};
