//! Who sent a request, for the application.

use std::net::SocketAddr;

use crate::wire::conn::Conn;

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
    addr: Option<SocketAddr>,
    tls: bool,
}

impl Peer {
    /// A peer at an address, for tests of services; `None` where a connection has none.
    pub fn new(addr: Option<SocketAddr>, tls: bool) -> Self {
        Self { addr, tls }
    }

    /// Its address, where the connection has one.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(super) fn of(conn: &Conn) -> Self {
        Self::new(Some(conn.remote), conn.tls)
    }
}
