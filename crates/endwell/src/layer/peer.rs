//! Who sent a request, for the application.

use std::net::SocketAddr;

use crate::wire::conn::Conn;
use crate::wire::remote::Remote;

/// Who is at the other end of a request's connection.
///
/// On a listener of ours it stands in every request's extensions. It is what the kernel says:
/// behind a proxy it is the proxy's address.
///
/// # Examples
/// ```
/// # fn answer(request: http::Request<()>) {
/// let peer = request.extensions().get::<endwell::Peer>();
/// let address = peer.and_then(|peer| peer.addr());
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    remote: Remote,
    tls: bool,
}

impl Peer {
    /// A peer, for tests of services.
    pub fn new(remote: Remote, tls: bool) -> Self {
        Self { remote, tls }
    }

    /// Who it is: an address, or a user of this machine.
    pub fn remote(&self) -> Remote {
        self.remote
    }

    /// Its address, where the connection has one: a unix socket has none.
    pub fn addr(&self) -> Option<SocketAddr> {
        match self.remote {
            Remote::Tcp(addr) | Remote::Quic(addr) => Some(addr),
            Remote::Unix { .. } => None,
        }
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(super) fn of(conn: &Conn) -> Self {
        Self::new(conn.remote, conn.tls)
    }
}
