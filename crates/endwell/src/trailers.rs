//! A trailer section that may be sent.
//!
//! Reads: fields. Gives: those that may stand behind a body. Never: one whose definition does not
//! let it (RFC 9110 section 6.5.1), nor `Ending`, which the wire alone may say.

use std::error::Error as StdError;
use std::fmt;

use endwell_core::fields::{Digest, Metric, may_be_trailer};
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// How a response ended, as its trailer section says it.
pub(crate) const ENDING: HeaderName = HeaderName::from_static("ending");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Fields that may be sent in a trailer section, after a body that is whole.
///
/// # On the wire
/// - HTTP/1.0: never sent.
/// - HTTP/1.1: sent if the client said `TE: trailers`, no length was promised, and the header
///   announced them ([`Body::may_trail`](crate::Body::may_trail), or a `Trailer` field).
/// - HTTP/2: sent.
///
/// What cannot be sent is named in the record: `trailers_dropped`.
///
/// # Examples
/// ```
/// use endwell::Trailers;
/// use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
/// let mut fields = Trailers::new();
/// let rows = HeaderName::from_static("x-rows");
/// assert!(fields.insert(rows, HeaderValue::from_static("800")).is_ok());
/// assert!(fields.insert(RETRY_AFTER, HeaderValue::from_static("1")).is_err());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(HeaderMap);

impl Trailers {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a field, in place of what it was.
    ///
    /// # Errors
    /// The field must not be a trailer.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), NotATrailer> {
        check(&name)?;
        self.0.insert(name, value);
        Ok(())
    }

    /// Adds a line to a field.
    ///
    /// # Errors
    /// The field must not be a trailer.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), NotATrailer> {
        check(&name)?;
        self.0.append(name, value);
        Ok(())
    }

    /// Adds the digest of the whole representation: `Repr-Digest` (RFC 9530 section 3).
    #[must_use]
    pub fn repr_digest(self, digest: &Digest) -> Self {
        self.listed(REPR_DIGEST, &digest.to_field())
    }

    /// Adds the digest of the content of this message: `Content-Digest` (RFC 9530 section 2).
    #[must_use]
    pub fn content_digest(self, digest: &Digest) -> Self {
        self.listed(CONTENT_DIGEST, &digest.to_field())
    }

    /// Adds a metric: `Server-Timing`.
    #[must_use]
    pub fn timing(self, metric: &Metric) -> Self {
        self.listed(SERVER_TIMING, &metric.to_field())
    }

    /// All members of a list in one line: Firefox 153 reads the second line of a trailer too far, and what comes
    /// behind it may be lost in an open quote (seen with `Server-Timing` over HTTP/2).
    fn listed(mut self, name: HeaderName, member: &str) -> Self {
        let line = match self.0.get(&name) {
            Some(before) => [before.as_bytes(), b", ", member.as_bytes()].concat(),
            None => member.as_bytes().to_vec(),
        };
        let line = HeaderValue::from_bytes(&line).expect("printable ASCII behind what was a value");
        match self.0.get_mut(&name) {
            Some(before) => *before = line,
            None => drop(self.0.insert(name, line)),
        }
        self
    }

    /// The fields.
    pub fn fields(&self) -> &HeaderMap {
        &self.0
    }

    pub(crate) fn into_fields(self) -> HeaderMap {
        self.0
    }
}

impl TryFrom<HeaderMap> for Trailers {
    type Error = NotATrailer;

    fn try_from(fields: HeaderMap) -> Result<Self, NotATrailer> {
        fields.keys().try_for_each(check)?;
        Ok(Self(fields))
    }
}

/// A field that must not be a trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotATrailer(HeaderName);

impl NotATrailer {
    /// Its name.
    pub fn name(&self) -> &HeaderName {
        &self.0
    }
}

impl fmt::Display for NotATrailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must not be sent as a trailer", self.0)
    }
}

impl StdError for NotATrailer {}

/// Whether an author may send this field as a trailer.
pub(crate) fn check(name: &HeaderName) -> Result<(), NotATrailer> {
    match may_be_trailer(name.as_str()) && *name != ENDING {
        true => Ok(()),
        false => Err(NotATrailer(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use endwell_core::fields::DigestAlgorithm;

    use super::*;

    #[test]
    fn a_map_with_one_forbidden_field_is_refused_by_its_name() {
        let mut fields = HeaderMap::new();
        fields.insert("x-rows", HeaderValue::from_static("1"));
        assert!(Trailers::try_from(fields.clone()).is_ok());
        for name in ["content-length", "ending"] {
            let mut fields = fields.clone();
            fields.insert(name, HeaderValue::from_static("1"));
            let refused = Trailers::try_from(fields).expect_err("it must not be a trailer");
            assert_eq!(refused.name().as_str(), name);
        }
    }

    #[test]
    fn typed_fields_are_written() {
        let digest = Digest::new(DigestAlgorithm::Sha256, vec![0; 32]).expect("32 octets");
        let metric = Metric::new("db")
            .expect("a token")
            .took(Duration::from_millis(5));
        let fields = Trailers::new()
            .repr_digest(&digest)
            .content_digest(&digest)
            .timing(&metric)
            .timing(&metric);
        let zeros = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
        assert_eq!(fields.fields()["repr-digest"], zeros);
        assert_eq!(fields.fields()["content-digest"], zeros);
        let timing: Vec<_> = fields.fields().get_all("server-timing").iter().collect();
        assert_eq!(timing, ["db;dur=5, db;dur=5"], "both in one line");
    }
}
