//! Listening sockets.
//!
//! Reads: endpoints as they were written, and sockets that were passed. Gives: listeners, or a
//! sentence that says what to write instead.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};

use endwell::{Listener, QuicListener, TlsSwitch};
use tokio::net::TcpListener;

use super::error::RunError;
use super::passed::Listeners;
use super::quic::{self, NoQuic};
use crate::config::{Address, Endpoint, Listen, Loaded, Unusable};

/// How often a TCP port is chosen anew because the UDP port of its number is taken.
const CHOICES: usize = 16;

/// What listens.
pub(super) struct Bound {
    pub(super) serve: Vec<Served>,
    pub(super) admin: Vec<Listener>,
}

/// A listener, with the one for HTTP/3 that belongs to it.
pub(super) struct Served {
    pub(super) listener: Listener,
    pub(super) quic: Option<QuicListener>,
}

/// Listens wherever the settings say, beside the sockets that were passed.
///
/// Passed sockets take the place of the default address, and speak TLS if there is a certificate.
pub(super) async fn all(
    loaded: &Loaded,
    passed: Listeners,
    tls: Option<&TlsSwitch>,
) -> Result<Bound, RunError> {
    let fault = |unusable| RunError::Unusable(loaded.fault(unusable).into());
    let settings = &loaded.settings;
    let named = !loaded.is_default("listen") || passed.serve.is_empty();
    let listen: &[Listen] = match named {
        true => &settings.listening.listen,
        false => &[],
    };
    let https = passed.serve.iter().any(|it| it.local_addr().is_ok())
        || listen.iter().any(Listen::may_be_https);
    if settings.tls.http3 && !https {
        // What was passed counts, so the settings alone cannot tell.
        return Err(RunError::Settings(loaded.fault(no_https()).into()));
    }
    let mut how = How {
        tls,
        http3: settings.tls.http3,
        udp: passed.quic,
        ours: Vec::new(),
    };
    let mut bound = Bound {
        serve: Vec::new(),
        admin: passed.admin,
    };
    for listener in passed.serve {
        let served = how.serve(listener, None).map_err(|no| fault(no_quic(no)))?;
        bound.serve.push(served);
    }
    if let Some(admin) = &settings.operation.admin {
        let listeners = bind(admin, "admin", &how.ours).await.map_err(fault)?;
        how.own(&listeners, "admin");
        bound.admin.extend(listeners);
    }
    for to in listen {
        bound.serve.extend(how.listen(to).await.map_err(fault)?);
    }
    match how.udp.first() {
        None => Ok(bound),
        Some(udp) => Err(RunError::Passed(quic::left_over(udp, how.http3))),
    }
}

/// How listeners are to speak.
struct How<'a> {
    tls: Option<&'a TlsSwitch>,
    http3: bool,
    /// Passed and not yet used.
    udp: Vec<UdpSocket>,
    /// What is listened on already.
    ours: Vec<Ours>,
}

/// An address that this server itself listens on, and the setting that has named it.
struct Ours {
    address: SocketAddr,
    key: &'static str,
}

impl How<'_> {
    /// Listens at one address.
    async fn listen(&mut self, to: &Listen) -> Result<Vec<Served>, Unusable> {
        let any = matches!(&to.endpoint, Endpoint::Tcp(address) if address.port() == 0);
        for _ in 1..if any { CHOICES } else { 1 } {
            match self.try_listen(to).await? {
                Ok(served) => return Ok(self.keep(served)),
                Err(NoQuic::Taken(_)) => {}
                Err(no @ NoQuic::Impossible(_)) => return Err(no_quic(no)),
            }
        }
        let served = self.try_listen(to).await?.map_err(no_quic)?;
        Ok(self.keep(served))
    }

    /// Notes that these are our own.
    fn keep(&mut self, served: Vec<Served>) -> Vec<Served> {
        self.own(served.iter().map(|it| &it.listener), "listen");
        served
    }

    fn own<'l>(&mut self, listeners: impl IntoIterator<Item = &'l Listener>, key: &'static str) {
        let addresses = listeners.into_iter().filter_map(|it| it.local_addr().ok());
        let ours = addresses.map(|address| Ours { address, key });
        self.ours.extend(ours);
    }

    async fn try_listen(&mut self, to: &Listen) -> Result<Result<Vec<Served>, NoQuic>, Unusable> {
        let listeners = bind(&to.endpoint, "listen", &self.ours).await?;
        let served = listeners.into_iter().map(|it| self.serve(it, to.tls));
        Ok(served.collect())
    }

    /// Adds what belongs to a listener; `encrypted` as its address said.
    fn serve(&mut self, listener: Listener, encrypted: Option<bool>) -> Result<Served, NoQuic> {
        let Some(switch) = self.tls.filter(|_| encrypted != Some(false)) else {
            return Ok(Served {
                listener,
                quic: None,
            });
        };
        let listener = listener.tls_switch(switch);
        let quic = match self.http3 {
            true => quic::beside(&listener, &mut self.udp, switch)?,
            false => None,
        };
        Ok(Served { listener, quic })
    }
}

fn no_quic(no: NoQuic) -> Unusable {
    Unusable::new("http3", no.why())
}

/// HTTP/3 that nobody could ever speak is a mistake, not a wish.
fn no_https() -> Unusable {
    Unusable::new(
        "http3",
        "HTTP/3 needs an https listener with a port, and every --listen is http:// or a unix socket; add one such as --listen 0.0.0.0:443, or leave out --http3",
    )
}

/// Listens at an endpoint that the setting `key` has named.
async fn bind(to: &Endpoint, key: &'static str, ours: &[Ours]) -> Result<Vec<Listener>, Unusable> {
    let unusable = |why| Unusable::new(key, why);
    match to {
        Endpoint::Tcp(address) => {
            let bound = bind_tcp(address, key, ours).await.map_err(unusable)?;
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
async fn bind_tcp(to: &Address, key: &str, ours: &[Ours]) -> Result<Vec<TcpListener>, String> {
    let (mut bound, mut missing) = (Vec::new(), None);
    for address in resolve(to, key)? {
        match TcpListener::bind(address).await {
            Ok(listener) => bound.push(listener),
            Err(error) if is_missing(&error) => {
                missing.get_or_insert_with(|| cannot_bind(address, key, &error));
            }
            Err(error) => {
                let holder = ours.iter().find(|ours| ours.overlaps(address));
                return Err(match (error.kind(), holder) {
                    (io::ErrorKind::AddrInUse, Some(ours)) => ours.holds(address, key),
                    _ => cannot_bind(address, key, &error),
                });
            }
        }
    }
    match missing {
        Some(error) if bound.is_empty() => Err(error),
        Some(_) | None => Ok(bound),
    }
}

impl Ours {
    /// Whether it can be why this address is in use: `[::]` stands for IPv4 as well.
    fn overlaps(&self, address: SocketAddr) -> bool {
        let (one, other) = (self.address.ip(), address.ip());
        let covers =
            |one: IpAddr, other: IpAddr| one.is_unspecified() && (one.is_ipv6() || other.is_ipv4());
        self.address.port() == address.port()
            && (one == other || covers(one, other) || covers(other, one))
    }

    /// Says that `address`, which `key` has named, is held by this one.
    fn holds(&self, address: SocketAddr, key: &str) -> String {
        let (held, by) = (self.address, self.key);
        // An operator's address is never what clients need.
        if by != key {
            return format!(
                "{address} is already in use: --{by} {held} of this server holds it; choose another port for one of them"
            );
        }
        if held == address {
            return format!("{address} is named twice; leave out one --{key}");
        }
        let wide = [held, address]
            .into_iter()
            .filter(|it| it.ip().is_unspecified())
            .max_by_key(SocketAddr::is_ipv6)
            .unwrap_or(held);
        format!(
            "{address} is already in use: --{by} {held} of this server holds it; leave out one: --{key} {wide} alone serves both"
        )
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
    fn an_address_that_we_hold_ourselves_is_told() {
        for (held, address, expected) in [
            ("0.0.0.0:1", "[::]:1", Some("--listen [::]:1 alone")),
            ("[::]:1", "0.0.0.0:1", Some("--listen [::]:1 alone")),
            ("[::]:1", "127.0.0.1:1", Some("--listen [::]:1 alone")),
            ("[::1]:1", "[::]:1", Some("--listen [::]:1 alone")),
            ("0.0.0.0:1", "127.0.0.1:1", Some("--listen 0.0.0.0:1 alone")),
            ("127.0.0.1:1", "0.0.0.0:1", Some("--listen 0.0.0.0:1 alone")),
            ("127.0.0.1:1", "127.0.0.1:1", Some("is named twice")),
            ("127.0.0.1:1", "127.0.0.1:2", None),
            ("127.0.0.1:1", "127.0.0.2:1", None),
            ("0.0.0.0:1", "[::1]:1", None),
            ("[::]:1", "[::]:2", None),
        ] {
            let key = "listen";
            let (ours, address) = (held.parse().unwrap(), address.parse().unwrap());
            let ours = Ours { address: ours, key };
            let told = ours.overlaps(address).then(|| ours.holds(address, key));
            match (&told, expected) {
                (Some(told), Some(part)) => assert!(told.contains(part), "{told}"),
                _ => assert_eq!(told.is_some(), expected.is_some(), "{held} {address}"),
            }
        }
    }

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
