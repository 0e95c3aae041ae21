//! The Basic scheme (RFC 7617): user and password in a field.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// Octets of user, colon and password: more than any person or program uses, and little to hash.
const LONGEST: usize = 1024;

/// A user and a password that somebody claims.
pub(super) struct Credentials {
    octets: Vec<u8>,
    colon: usize,
}

impl Credentials {
    /// What the field says, if it says it in the Basic scheme.
    pub(super) fn of(field: &HeaderValue) -> Option<Self> {
        let (scheme, coded) = field.to_str().ok()?.split_once(' ')?;
        // A third more octets than it codes.
        if !scheme.eq_ignore_ascii_case("basic") || coded.len() > LONGEST * 4 / 3 + 4 {
            return None;
        }
        let octets = STANDARD.decode(coded.trim_matches(' ')).ok()?;
        // A user has no colon, a password may.
        let colon = octets.iter().position(|octet| *octet == b':')?;
        if octets.len() > LONGEST || octets.iter().any(u8::is_ascii_control) {
            return None;
        }
        Some(Self { octets, colon })
    }

    pub(super) fn user(&self) -> &[u8] {
        &self.octets[..self.colon]
    }

    pub(super) fn password(&self) -> &[u8] {
        &self.octets[self.colon + 1..]
    }

    /// Both, as one cannot be mistaken for another.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Option<(String, String)> {
        let credentials = Credentials::of(&HeaderValue::from_str(field).unwrap())?;
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        Some((text(credentials.user()), text(credentials.password())))
    }

    fn coded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn the_examples_of_rfc_7617() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(read(aladdin), pair("Aladdin", "open sesame"));
        assert_eq!(read("bAsIc dGVzdDoxMjPCow=="), pair("test", "123£"));
        assert_eq!(read(&coded("a:b:c")), pair("a", "b:c"));
        assert_eq!(read(&coded(":")), pair("", ""));
    }

    #[test]
    fn what_is_not_basic_is_nothing() {
        for field in [
            "",
            "Basic",
            "Basic ",
            "Bearer YTpi",
            "Basic !",
            "Basic YTpi YTpi",
        ] {
            assert_eq!(read(field), None, "{field}");
        }
        assert_eq!(read(&coded("no colon")), None);
        assert_eq!(read(&coded("a:\r\nb")), None);
        assert_eq!(read(&coded(&format!("a:{}", "b".repeat(1_023)))), None);
    }
}
