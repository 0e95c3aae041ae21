//! Where to listen: a TCP address, or a unix socket.
//!
//! Reads: what stands after `--listen` or `--admin`. Gives: listeners, or a sentence that says
//! what to write instead.

use std::path::PathBuf;
use std::str::FromStr;

use endwell::Listener;

use crate::address::Address;

/// What a unix socket begins with.
const UNIX: &str = "unix:";
/// What stands before the permissions of its file.
const MODE: &str = "?mode=";

/// Where to listen, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A host and a port.
    Tcp(Address),
    /// A unix socket, and the permissions of its file if they are not left to the umask.
    Unix { path: PathBuf, mode: Option<u32> },
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

impl Endpoint {
    /// The host, of a TCP address.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) => Some(address.host()),
            Self::Unix { .. } => None,
        }
    }

    /// Listens there.
    pub(crate) async fn bind(&self) -> anyhow::Result<Vec<Listener>> {
        match self {
            Self::Tcp(address) => {
                let bound = address.bind().await?;
                Ok(bound.into_iter().map(endwell::listen).collect())
            }
            #[cfg(unix)]
            Self::Unix { path, mode } => match endwell::listen_unix(path, *mode) {
                Ok(listener) => Ok(vec![listener]),
                Err(error) => Err(anyhow::Error::msg(cannot_bind(path, &error))),
            },
            #[cfg(not(unix))]
            Self::Unix { .. } => Err(anyhow::anyhow!("this system has no unix sockets")),
        }
    }
}

#[cfg(unix)]
fn cannot_bind(path: &std::path::Path, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let path = path.display();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{path} is taken: a server answers on it, or it is no socket; choose another with --listen unix:PATH"
        ),
        ErrorKind::NotFound => format!("the folder of {path} does not exist; make it first"),
        ErrorKind::PermissionDenied => format!(
            "no permission to make {path}; choose a folder that you may write, with --listen unix:PATH"
        ),
        ErrorKind::InvalidInput => format!(
            "{path} is too long for a unix socket (107 octets at most); choose a shorter one with --listen unix:PATH"
        ),
        _ => format!("cannot listen on {path} ({error}); choose another with --listen unix:PATH"),
    }
}

/// How a person writes where a listener listens: as a URL, or `unix:PATH`.
pub(crate) fn shown(listener: &Listener) -> String {
    #[cfg(unix)]
    if let Some(path) = listener.unix_path() {
        let tls = if listener.is_tls() { " (TLS)" } else { "" };
        return format!("{UNIX}{}{tls}", path.display());
    }
    let scheme = if listener.is_tls() { "https" } else { "http" };
    match listener.local_addr() {
        Ok(address) => format!("{scheme}://{address}"),
        Err(_) => format!("a socket without a name ({scheme})"),
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
}
