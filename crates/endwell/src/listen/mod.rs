//! Accepts connections whose endings can be told.
//!
//! Reads: a listening socket. Gives: [`WireIo`]s, each with the state that its bodies share.

mod accept;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
pub use self::tls::TlsSwitch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::conn::Conn;
use crate::wire::io::WireIo;
use crate::wire::room;
use crate::wire::socket::SharedTcp;
use crate::wire::transport::Transport;

/// How long a TLS handshake may take.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection is silent before the kernel asks whether its peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long to wait after an error of `accept` that is not the connection's own (EMFILE).
const PAUSE: Duration = Duration::from_millis(100);

/// A listener of ours over a TCP listener, for [`serve`](crate::serve) or `axum::serve`.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let app = axum::Router::new();
/// axum::serve(endwell::listen(tcp), endwell::app(app)).await
/// # }
/// ```
pub fn listen(tcp: TcpListener) -> Listener {
    Listener {
        tcp,
        #[cfg(feature = "tls")]
        tls: None,
    }
}

/// Accepts connections whose endings can be told.
pub struct Listener {
    tcp: TcpListener,
    #[cfg(feature = "tls")]
    tls: Option<TlsSwitch>,
}

impl Listener {
    /// The address it is bound to.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Whether its connections speak TLS.
    pub fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }

    /// The next connection. An error of one connection is not an error of the listener.
    ///
    /// # Cancel safety
    /// A dropped call loses no connection.
    pub async fn accept(&mut self) -> (WireIo, SocketAddr) {
        loop {
            match self.tcp.accept().await {
                Ok((tcp, remote)) => return (self.carry(tcp, remote), remote),
                Err(error) if accept::is_of_one_connection(&error) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn carry(&self, tcp: TcpStream, remote: SocketAddr) -> WireIo {
        // A head and its body are written apart: Nagle would hold the second for 40 ms.
        let _ = tcp.set_nodelay(true);
        // A client that has vanished while idle holds no connection for ever.
        let alive = TcpKeepalive::new().with_time(KEEPALIVE);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&alive);
        let tcp = SharedTcp::new(tcp);
        tcp.limit_unsent(room::unsent(room::LEAST));
        let conn = Conn::new(tcp.clone(), self.is_tls(), remote);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return WireIo::new(Transport::tls(tcp, tls.current(), HANDSHAKE), conn);
        }
        WireIo::new(Transport::Plain(tcp), Arc::clone(&conn))
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("tcp", &self.tcp)
            .field("tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for Listener {
    type Io = WireIo;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (WireIo, SocketAddr) {
        Listener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Listener::local_addr(self)
    }
}
