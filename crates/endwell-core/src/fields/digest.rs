//! Digest fields, RFC 9530: `Repr-Digest`, `Content-Digest`, and the `Want-` of each.
//!
//! Reads: the value of a field, its lines joined by commas. Gives: digests, and which one is
//! wanted most. Never: computes a digest.

use std::fmt;

use sfv::{BareItem, DictSerializer, Dictionary, KeyRef, ListEntry, Parser};

/// The largest preference of a `Want-` field (RFC 9530 section 4).
const MOST_WANTED: i64 = 10;

/// A digest algorithm: the two that RFC 9530 section 5 lists as active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    /// Every algorithm; the one that most tools know first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// The key in a digest field: `sha-256` or `sha-512`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    /// How many octets its digest has.
    pub fn octets(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The algorithm of this key.
    ///
    /// # Examples
    /// ```
    /// use endwell_core::fields::DigestAlgorithm;
    /// assert_eq!(DigestAlgorithm::named("sha-512"), Some(DigestAlgorithm::Sha512));
    /// assert_eq!(DigestAlgorithm::named("md5"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl fmt::Display for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A digest and its algorithm: a member of `Repr-Digest` or `Content-Digest`.
///
/// # Examples
/// ```
/// use endwell_core::fields::{Digest, DigestAlgorithm};
/// let digest = Digest::new(DigestAlgorithm::Sha256, vec![0; 32]).expect("32 octets");
/// let field = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
/// assert_eq!(digest.to_field(), field);
/// assert_eq!(Digest::parse(field.as_bytes()), Some(vec![digest]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    octets: Vec<u8>,
}

impl Digest {
    /// `None` if it has not as many octets as the algorithm gives.
    pub fn new(algorithm: DigestAlgorithm, octets: impl Into<Vec<u8>>) -> Option<Self> {
        let octets = octets.into();
        (octets.len() == algorithm.octets()).then_some(Self { algorithm, octets })
    }

    /// Reads the value of a `Repr-Digest` or `Content-Digest` field.
    ///
    /// Algorithms that are not known here are left out. `None` for what is no dictionary of
    /// octets, or has a digest of the wrong length: nothing of it can be trusted.
    pub fn parse(value: &[u8]) -> Option<Vec<Self>> {
        let members: Dictionary = Parser::new(value).parse().ok()?;
        let mut digests = Vec::new();
        for (name, member) in members {
            let BareItem::ByteSequence(octets) = item(member)? else {
                return None;
            };
            if let Some(algorithm) = DigestAlgorithm::named(name.as_str()) {
                digests.push(Self::new(algorithm, octets)?);
            }
        }
        Some(digests)
    }

    /// The value of a `Repr-Digest` or `Content-Digest` field with this digest alone.
    pub fn to_field(&self) -> String {
        let mut field = DictSerializer::new();
        let name = KeyRef::from_str(self.algorithm.as_str()).expect("its letters are a key's");
        let _ = field.bare_item(name, self.octets.as_slice());
        field.finish().expect("it has a member")
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Its octets: as many as [`DigestAlgorithm::octets`] says.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// As lower-case hexadecimal digits, as `sha256sum` writes it.
    pub fn to_hex(&self) -> String {
        self.octets.iter().map(|o| format!("{o:02x}")).collect()
    }
}

/// What a `Want-Repr-Digest` or `Want-Content-Digest` field asks for.
///
/// # Examples
/// ```
/// use endwell_core::fields::{DigestAlgorithm, WantDigest};
/// let want = WantDigest::parse(b"sha-512=3, sha-256=10, unixsum=0");
/// assert_eq!(want.and_then(|want| want.most()), Some(DigestAlgorithm::Sha256));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantDigest {
    /// From 1, wanted least, to 10.
    wanted: Vec<(DigestAlgorithm, i64)>,
}

impl WantDigest {
    /// Reads the value of the field.
    ///
    /// Algorithms that are not known here are left out. `None` for what is no dictionary of
    /// integers from 0 to 10: such a field is ignored.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let members: Dictionary = Parser::new(value).parse().ok()?;
        let mut wanted = Vec::new();
        for (name, member) in members {
            let BareItem::Integer(preference) = item(member)? else {
                return None;
            };
            let preference = i64::from(preference);
            if !(0..=MOST_WANTED).contains(&preference) {
                return None;
            }
            if let (Some(algorithm), 1..) = (DigestAlgorithm::named(name.as_str()), preference) {
                wanted.push((algorithm, preference));
            }
        }
        Some(Self { wanted })
    }

    /// Wants these, the first most.
    pub fn new(wanted: impl IntoIterator<Item = DigestAlgorithm>) -> Self {
        let falling = (1..=MOST_WANTED).rev().chain(std::iter::repeat(1));
        Self {
            wanted: wanted.into_iter().zip(falling).collect(),
        }
    }

    /// The value of the field; `None` if nothing is wanted.
    pub fn to_field(&self) -> Option<String> {
        let mut field = DictSerializer::new();
        for (algorithm, preference) in &self.wanted {
            let name = KeyRef::from_str(algorithm.as_str()).expect("its letters are a key's");
            let preference = sfv::Integer::try_from(*preference).expect("at most ten");
            let _ = field.bare_item(name, preference);
        }
        field.finish()
    }

    /// The algorithm that is wanted most; of equals the one that stands first.
    pub fn most(&self) -> Option<DigestAlgorithm> {
        let most = self
            .wanted
            .iter()
            .map(|(_, preference)| *preference)
            .max()?;
        let first = self
            .wanted
            .iter()
            .find(|(_, preference)| *preference == most);
        first.map(|(algorithm, _)| *algorithm)
    }
}

fn item(member: ListEntry) -> Option<BareItem> {
    match member {
        ListEntry::Item(item) => Some(item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wanted_most() {
        use DigestAlgorithm::{Sha256, Sha512};
        for (value, expected) in [
            ("sha-256=10", Some(Some(Sha256))),
            ("sha-512=10", Some(Some(Sha512))),
            ("sha-256=1, sha-512=9", Some(Some(Sha512))),
            ("sha-512=5, sha-256=5", Some(Some(Sha512))),
            ("sha-256=3;q=1", Some(Some(Sha256))),
            (" sha-256=1 ", Some(Some(Sha256))),
            ("sha-256=1,sha-256=0", Some(None)),
            ("sha-256=0", Some(None)),
            ("md5=10, unixsum=3", Some(None)),
            ("md5=10, sha-512=1", Some(Some(Sha512))),
            ("", Some(None)),
            ("sha-256", None),
            ("sha-256=11", None),
            ("sha-256=-1", None),
            ("sha-256=1.5", None),
            ("sha-256=(1 2)", None),
            ("sha-256=\"10\"", None),
            ("SHA-256=10", None),
            ("sha-256=10,", None),
            ("sha-256=99999999999999999999", None),
            ("\u{e9}", None),
        ] {
            let want = WantDigest::parse(value.as_bytes());
            assert_eq!(want.map(|want| want.most()), expected, "{value}");
        }
    }

    #[test]
    fn digests_are_read() {
        // The example of RFC 9530 appendix A: sha-256 of {"hello": "world"} and a line feed.
        let field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let digests = Digest::parse(field.as_bytes()).expect("a digest");
        assert_eq!(digests.len(), 1);
        assert_eq!(
            digests[0].to_hex(),
            "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38"
        );
        assert_eq!(digests[0].to_field(), field);
        let unknown = format!("md5=:AA==:, {field}");
        assert_eq!(Digest::parse(unknown.as_bytes()), Some(digests));
        for wrong in [
            "sha-256=:AA==:",
            "sha-256=1",
            "sha-256",
            "sha-256=:?:",
            "md5=1",
        ] {
            assert_eq!(Digest::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_client_wants_is_written() {
        let want = WantDigest::new([DigestAlgorithm::Sha512, DigestAlgorithm::Sha256]);
        assert_eq!(want.to_field().as_deref(), Some("sha-512=10, sha-256=9"));
        assert_eq!(WantDigest::parse(b"sha-512=10, sha-256=9"), Some(want));
        assert_eq!(WantDigest::new([]).to_field(), None);
    }

    proptest! {
        #[test]
        fn every_digest_is_read_as_it_was_written(octets in proptest::collection::vec(any::<u8>(), 64)) {
            for algorithm in DigestAlgorithm::ALL {
                let digest = Digest::new(algorithm, &octets[..algorithm.octets()]).expect("its length");
                prop_assert_eq!(Digest::parse(digest.to_field().as_bytes()), Some(vec![digest]));
            }
        }

        #[test]
        fn no_octets_break_a_parser(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (Digest::parse(&value), WantDigest::parse(&value));
        }
    }
}
