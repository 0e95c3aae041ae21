//! Where to listen: a TCP address, or a unix socket.
//!
//! Reads: what stands after `--listen` or `--admin`. Gives: an endpoint, or a sentence that says
//! what to write instead.

use std::path::PathBuf;
use std::str::FromStr;

use super::address::Address;

/// What a unix socket begins with.
const UNIX: &str = "unix:";
/// What stands before the permissions of its file.
const MODE: &str = "?mode=";

/// Where to listen, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A host and a port.
    Tcp(Address),
    /// A unix socket.
    Unix {
        /// Its file; a relative path begins where the server is started.
        path: PathBuf,
        /// The permissions of the file (`0o660`), if they are not left to the umask.
        mode: Option<u32>,
    },
}

/// Where to listen, and what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Whether connections speak TLS; `None` if they do when there is a certificate.
    pub tls: Option<bool>,
    /// Where.
    pub endpoint: Endpoint,
}

impl Endpoint {
    /// The host, of a TCP address.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) => Some(address.host()),
            Self::Unix { .. } => None,
        }
    }
}

impl Listen {
    /// Whether it has a port and may speak TLS there, so that HTTP/3 may stand beside it.
    pub fn may_be_https(&self) -> bool {
        self.tls != Some(false) && matches!(self.endpoint, Endpoint::Tcp(_))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix(UNIX) else {
            return text.parse().map(Self::Tcp);
        };
        let (path, mode) = match rest.rsplit_once(MODE) {
            Some((path, digits)) => (path, Some(mode(digits)?)),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err("write for example unix:/run/endwell/http.sock".to_owned());
        }
        Ok(Self::Unix {
            path: path.into(),
            mode,
        })
    }
}

fn mode(digits: &str) -> Result<u32, String> {
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode <= 0o777 && digits.len() <= 4 && !digits.starts_with('+') => Ok(mode),
        Ok(_) | Err(_) => {
            Err("write the permissions as chmod takes them, such as ?mode=660".to_owned())
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (Some(true), rest),
            (None, Some(rest)) => (Some(false), rest),
            (None, None) => (None, text),
        };
        let endpoint = rest.parse()?;
        Ok(Self { tls, endpoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read() {
        let unix = |path: &str, mode| {
            let path = path.into();
            Ok(Endpoint::Unix { path, mode })
        };
        for (text, expected) in [
            ("unix:/run/e.sock", unix("/run/e.sock", None)),
            ("unix:e.sock?mode=660", unix("e.sock", Some(0o660))),
            ("unix:e?mode=1?mode=0600", unix("e?mode=1", Some(0o600))),
            ("unix:what?", unix("what?", None)),
            ("[::1]:80", "[::1]:80".parse().map(Endpoint::Tcp)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for (text, hint) in [
            ("unix:", "unix:/run"),
            ("unix:?mode=660", "unix:/run"),
            ("unix:e?mode=", "mode=660"),
            ("unix:e?mode=rw", "mode=660"),
            ("unix:e?mode=999", "mode=660"),
            ("unix:e?mode=1777", "mode=660"),
            ("unix:e?mode=+66", "mode=660"),
            ("/run/e.sock", "no port"),
        ] {
            let told = text.parse::<Endpoint>().expect_err(text);
            assert!(told.contains(hint), "{text}: {told}");
        }
    }

    #[test]
    fn https_has_a_port_and_is_not_plain() {
        for (text, may) in [
            ("[::1]:443", true),
            ("https://[::1]:443", true),
            ("http://[::1]:80", false),
            ("unix:e.sock", false),
            ("https://unix:e.sock", false),
        ] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.may_be_https(), may, "{text}");
        }
    }

    #[test]
    fn a_scheme_may_stand_before_an_endpoint() {
        for (text, tls, rest) in [
            ("[::1]:80", None, "[::1]:80"),
            ("http://localhost:80", Some(false), "localhost:80"),
            ("https://localhost:443", Some(true), "localhost:443"),
            (
                "http://unix:e.sock?mode=600",
                Some(false),
                "unix:e.sock?mode=600",
            ),
        ] {
            let endpoint = rest.parse().expect(rest);
            assert_eq!(text.parse(), Ok(Listen { tls, endpoint }), "{text}");
        }
        for (text, hint) in [
            ("https://", "no port"),
            ("https://localhost:443/", "from 0 to 65535"),
            ("http://https://localhost:443", "write for example"),
            ("ftp://localhost:21", "write for example"),
        ] {
            let told = text.parse::<Listen>().expect_err(text);
            assert!(told.contains(hint), "{text}: {told}");
        }
    }
}
