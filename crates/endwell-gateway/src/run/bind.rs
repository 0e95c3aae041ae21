//! Listening sockets.
//!
//! Reads: an address as it was written. Gives: sockets, or a sentence that says what to write
//! instead.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use tokio::net::TcpListener;

use crate::config::{Address, Unusable};

/// Listens on every address that the host has.
///
/// A name may stand for addresses that the machine has not got (`::1` without IPv6): they are
/// left out as long as another one works.
pub(super) async fn bind(to: &Address) -> Result<Vec<TcpListener>, Unusable> {
    let (mut bound, mut missing) = (Vec::new(), None);
    for address in resolve(to)? {
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

fn resolve(to: &Address) -> Result<Vec<SocketAddr>, Unusable> {
    let (host, port) = (to.host(), to.port());
    let found = (host, port).to_socket_addrs().map_err(|error| {
        unusable(format!(
            "{host} has no address ({error}); choose another host with --listen, such as 127.0.0.1:{port}"
        ))
    });
    let mut all: Vec<_> = found?.collect();
    all.sort();
    all.dedup();
    Ok(all)
}

fn unusable(why: String) -> Unusable {
    Unusable::new("listen", why)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

fn cannot_bind(address: SocketAddr, error: &io::Error) -> Unusable {
    let (ip, port) = (address.ip(), address.port());
    let other = |port| SocketAddr::new(ip, port);
    unusable(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is already in use; choose another with --listen {} (port 0 picks a free one)",
            other(port.checked_add(1).unwrap_or(0))
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {port} needs privileges; choose one from 1024 on, such as --listen {}",
            other(8080)
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{ip} is no address of this machine; choose another with --listen, such as 127.0.0.1:{port}"
        ),
        _ => format!("cannot listen on {address} ({error}); choose another with --listen"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let told = |kind| cannot_bind(address, &io::Error::from(kind)).why;
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
