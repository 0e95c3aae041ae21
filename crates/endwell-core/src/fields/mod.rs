//! Fields of HTTP messages as typed values.
//!
//! Reads: field values. Gives: what they say, and the values that say it. Never: guesses what a
//! malformed field may have meant.

mod text;

mod trailer;

mod digest;

mod server_timing;

mod proxy_status;

mod ending;

pub use digest::{Digest, DigestAlgorithm, WantDigest};
pub use ending::{Declared, EndingField, EndingMember, wants_ending};
pub use proxy_status::ProxyStatus;
pub use server_timing::Metric;
pub use trailer::may_be_trailer;
