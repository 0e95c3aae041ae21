//! Addresses to listen on.
//!
//! Reads: what stands after `--listen`. Gives: listening sockets, or a sentence that says what to
//! write instead.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::anyhow;
use tokio::net::TcpListener;

/// A host and a port, as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = SocketAddr::from_str(text) {
            return Ok(Self {
                host: address.ip().to_string(),
                port: address.port(),
            });
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err("it has no port; write for example 127.0.0.1:8080".to_owned());
        };
        if host.contains([':', '[', ']', '/']) {
            return Err(
                "write for example 127.0.0.1:8080, localhost:8080 or [::1]:8080".to_owned(),
            );
        }
        let Ok(port) = port.parse() else {
            return Err("the port must be a number from 0 to 65535".to_owned());
        };
        if host.is_empty() {
            return Err(format!(
                "write 127.0.0.1:{port} for this machine only, or 0.0.0.0:{port} or [::]:{port} for the whole network"
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl Address {
    /// The host: a name or an address.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Listens on every address that the host has.
    ///
    /// A name may stand for addresses that the machine has not got (`::1` without IPv6): they are
    /// left out as long as another one works.
    pub(crate) async fn bind(&self) -> anyhow::Result<Vec<TcpListener>> {
        let (mut bound, mut missing) = (Vec::new(), None);
        for address in self.resolve()? {
            match TcpListener::bind(address).await {
                Ok(listener) => bound.push(listener),
                Err(error) if is_missing(&error) => {
                    missing.get_or_insert_with(|| cannot_bind(address, &error));
                }
                Err(error) => return Err(cannot_bind(address, &error)),
            }
        }
        match missing {
            Some(error) if bound.is_empty() => Err(error),
            Some(_) | None => Ok(bound),
        }
    }

    /// Every address that the host has.
    pub(crate) fn resolve(&self) -> anyhow::Result<Vec<SocketAddr>> {
        let host = &self.host;
        let found = (host.as_str(), self.port).to_socket_addrs();
        let mut all: Vec<_> = found
            .map_err(|error| anyhow!("{host} has no address ({error}); choose another host with --listen, such as 127.0.0.1:{}", self.port))?
            .collect();
        all.sort();
        all.dedup();
        Ok(all)
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let (ip, port) = (address.ip(), address.port());
    let other = |port| SocketAddr::new(ip, port);
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is already in use; choose another with --listen {} (port 0 picks a free one)",
            other(port.checked_add(1).unwrap_or(0))
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "port {port} needs privileges; choose one from 1024 on, such as --listen {}",
            other(8080)
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!(
            "{ip} is no address of this machine; choose another with --listen, such as 127.0.0.1:{port}"
        ),
        _ => anyhow!("cannot listen on {address} ({error}); choose another with --listen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, port) in [
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("[::1]:0", "::1", 0),
            ("localhost:80", "localhost", 80),
        ] {
            let host = host.to_owned();
            assert_eq!(text.parse(), Ok(Address { host, port }), "{text}");
        }
        for (text, hint) in [
            (":8080", "127.0.0.1:8080 for this machine only"),
            ("8080", "no port"),
            ("localhost", "no port"),
            ("::1", "[::1]:8080"),
            ("http://localhost:8080", "localhost:8080"),
            ("localhost:http", "number"),
            ("localhost:65536", "number"),
            ("localhost:", "number"),
        ] {
            let told = text.parse::<Address>().expect_err(text);
            assert!(told.contains(hint), "{text}: {told}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let told = |kind| cannot_bind(address, &io::Error::from(kind)).to_string();
        assert_eq!(
            told(io::ErrorKind::PermissionDenied),
            "port 80 needs privileges; choose one from 1024 on, such as --listen 127.0.0.1:8080"
        );
        assert_eq!(
            told(io::ErrorKind::AddrInUse),
            "127.0.0.1:80 is already in use; choose another with --listen 127.0.0.1:81 (port 0 picks a free one)"
        );
        assert_eq!(
            told(io::ErrorKind::AddrNotAvailable),
            "127.0.0.1 is no address of this machine; choose another with --listen, such as 127.0.0.1:80"
        );
    }
}
