//! The query of a request for a file.
//!
//! Reads: what follows the `?`. Gives: what it asks to do with the file. Never: takes a value of
//! it into a response.

use endwell_core::fields::DigestAlgorithm;

/// What a query asks for. Unknown members, and known ones with another value, ask for nothing:
/// people put versions and hashes there (`app.js?hash=3f2a`) to get around caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Query {
    /// `?download`: a browser saves the file and does not show it.
    pub(crate) download: bool,
    /// `?hash`, `?hash=sha-256`, `?hash=sha-512`: the digest in place of the file.
    pub(crate) hash: Option<DigestAlgorithm>,
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let mut asked = Self::default();
        for member in query.split('&') {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            match (name, value) {
                ("download", "" | "1" | "true") => asked.download = true,
                ("hash", "") => asked.hash = Some(DigestAlgorithm::Sha256),
                ("hash", value) => asked.hash = DigestAlgorithm::named(value).or(asked.hash),
                _ => {}
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        use DigestAlgorithm::{Sha256, Sha512};
        for (query, download, hash) in [
            ("", false, None),
            ("download", true, None),
            ("download=", true, None),
            ("download=1", true, None),
            ("download=evil.exe", false, None),
            ("x&download&y=1", true, None),
            ("downloads", false, None),
            ("hash", false, Some(Sha256)),
            ("hash=", false, Some(Sha256)),
            ("hash=sha-256", false, Some(Sha256)),
            ("hash=sha-512", false, Some(Sha512)),
            ("hash=3f2a", false, None),
            ("hash=md5", false, None),
            ("download&hash", true, Some(Sha256)),
            ("Hash", false, None),
        ] {
            assert_eq!(Query::parse(query), Query { download, hash }, "{query}");
        }
    }
}
