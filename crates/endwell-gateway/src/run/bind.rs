//! Listening sockets.
//!
//! Reads: endpoints as they were written, and sockets that were passed. Gives: listeners, or a
//! sentence that says what to write instead.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use endwell::{Listener, TlsSwitch};
use tokio::net::TcpListener;

use super::error::RunError;
use super::passed::Listeners;
use crate::config::{Address, Endpoint, Loaded, Unusable};

/// Listens wherever the settings say, beside the sockets that were passed.
///
/// Passed sockets take the place of the default address, and speak TLS if there is a certificate.
pub(super) async fn all(
    loaded: &Loaded,
    passed: Listeners,
    tls: Option<&TlsSwitch>,
) -> Result<Listeners, RunError> {
    let fault = |unusable| RunError::Unusable(loaded.fault(unusable));
    let settings = &loaded.settings;
    let encrypted = |listener: Listener| match tls {
        Some(switch) => listener.tls_switch(switch),
        None => listener,
    };
    let mut listeners = Listeners {
        serve: passed.serve.into_iter().map(encrypted).collect(),
        admin: passed.admin,
    };
    if let Some(admin) = &settings.operation.admin {
        listeners
            .admin
            .extend(bind(admin, "admin").await.map_err(fault)?);
    }
    if loaded.is_default("listen") && !listeners.serve.is_empty() {
        return Ok(listeners);
    }
    for to in &settings.listening.listen {
        for listener in bind(&to.endpoint, "listen").await.map_err(fault)? {
            listeners.serve.push(match to.tls {
                Some(false) => listener,
                Some(true) | None => encrypted(listener),
            });
        }
    }
    Ok(listeners)
}

/// Listens at an endpoint that the setting `key` has named.
async fn bind(to: &Endpoint, key: &'static str) -> Result<Vec<Listener>, Unusable> {
    let unusable = |why| Unusable::new(key, why);
    match to {
        Endpoint::Tcp(address) => {
            let bound = bind_tcp(address, key).await.map_err(unusable)?;
            Ok(bound.into_iter().map(endwell::listen).collect())
        }
        #[cfg(unix)]
        Endpoint::Unix { path, mode } => match endwell::listen_unix(path, *mode) {
            Ok(listener) => Ok(vec![listener]),
            Err(error) => Err(unusable(cannot_bind_unix(path, key, &error))),
        },
        #[cfg(not(unix))]
        Endpoint::Unix { .. } => Err(unusable("this system has no unix sockets".to_owned())),
    }
}

/// Listens on every address that the host has.
///
/// A name may stand for addresses that the machine has not got (`::1` without IPv6): they are
/// left out as long as another one works.
async fn bind_tcp(to: &Address, key: &str) -> Result<Vec<TcpListener>, String> {
    let (mut bound, mut missing) = (Vec::new(), None);
    for address in resolve(to, key)? {
        match TcpListener::bind(address).await {
            Ok(listener) => bound.push(listener),
            Err(error) if is_missing(&error) => {
                missing.get_or_insert_with(|| cannot_bind(address, key, &error));
            }
            Err(error) => return Err(cannot_bind(address, key, &error)),
        }
    }
    match missing {
        Some(error) if bound.is_empty() => Err(error),
        Some(_) | None => Ok(bound),
    }
}

fn resolve(to: &Address, key: &str) -> Result<Vec<SocketAddr>, String> {
    let (host, port) = (to.host(), to.port());
    let found = (host, port).to_socket_addrs().map_err(|error| {
        format!(
            "{host} has no address ({error}); choose another host with --{key}, such as 127.0.0.1:{port}"
        )
    });
    let mut all: Vec<_> = found?.collect();
    all.sort();
    all.dedup();
    Ok(all)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    )
}

fn cannot_bind(address: SocketAddr, key: &str, error: &io::Error) -> String {
    let (ip, port) = (address.ip(), address.port());
    let other = |port| SocketAddr::new(ip, port);
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is already in use; choose another with --{key} {} (port 0 picks a free one)",
            other(port.checked_add(1).unwrap_or(0))
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {port} needs privileges; choose one from 1024 on, such as --{key} {}",
            other(8080)
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "{ip} is no address of this machine; choose another with --{key}, such as 127.0.0.1:{port}"
        ),
        _ => format!("cannot listen on {address} ({error}); choose another with --{key}"),
    }
}

#[cfg(unix)]
fn cannot_bind_unix(path: &std::path::Path, key: &str, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{path} is taken: a server answers on it, or it is no socket; choose another with --{key} unix:PATH"
        ),
        io::ErrorKind::NotFound => format!("the folder of {path} does not exist; make it first"),
        io::ErrorKind::PermissionDenied => format!(
            "no permission to make {path}; choose a folder that you may write, with --{key} unix:PATH"
        ),
        io::ErrorKind::InvalidInput => format!(
            "{path} is too long for a unix socket (107 octets at most); choose a shorter one with --{key} unix:PATH"
        ),
        _ => format!("cannot listen on {path} ({error}); choose another with --{key} unix:PATH"),
    }
}

/// How a person writes where a listener listens: as a URL, or `unix:PATH`.
pub(super) fn shown(listener: &Listener) -> String {
    #[cfg(unix)]
    if let Some(path) = listener.unix_path() {
        let tls = if listener.is_tls() { " (TLS)" } else { "" };
        return format!("unix:{}{tls}", path.display());
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
    fn errors_say_what_to_do() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let told = |kind| cannot_bind(address, "listen", &io::Error::from(kind));
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
