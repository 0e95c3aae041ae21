//! Accepts connections whose endings can be told.
//!
//! Reads: a listening socket. Gives: [`WireIo`]s, each with the state that its bodies share.

mod accept;

#[cfg(unix)]
mod unix;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "http3")]
pub(crate) mod quic;

#[cfg(feature = "tls")]
pub use self::tls::TlsSwitch;
#[cfg(unix)]
pub use self::unix::listen_unix;

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpStream};

use crate::wire::conn::Conn;
use crate::wire::io::WireIo;
use crate::wire::remote::Remote;
use crate::wire::room;
use crate::wire::socket::SharedTcp;
use crate::wire::stream::Stream;
use crate::wire::transport::Transport;

/// How long a TLS handshake may take.
#[cfg(feature = "tls")]
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection is silent before the kernel asks whether its peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long to wait after an error of `accept` that is not the connection's own (EMFILE).
const PAUSE: Duration = Duration::from_millis(100);

/// A listener of ours over a [`TcpListener`] or a `UnixListener`, for [`serve`](crate::serve) or `axum::serve`.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let app = axum::Router::new();
/// axum::serve(endwell::listen(tcp), endwell::app(app)).await
/// # }
/// ```
pub fn listen(socket: impl Into<Listener>) -> Listener {
    socket.into()
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::over(Socket::Tcp(tcp))
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(unix: UnixListener) -> Self {
        Self::over(Socket::Unix(unix))
    }
}

/// Accepts connections whose endings can be told.
pub struct Listener {
    socket: Socket,
    /// The file of a unix socket that we made.
    #[cfg(unix)]
    file: Option<unix::SocketFile>,
    #[cfg(feature = "tls")]
    tls: Option<TlsSwitch>,
}

/// What connections come from.
#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Socket {
    async fn accept(&self) -> io::Result<(Stream, Remote)> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, remote) = tcp.accept().await?;
                prepare(&stream);
                Ok((Stream::Tcp(stream), Remote::Tcp(remote)))
            }
            #[cfg(unix)]
            Self::Unix(unix) => {
                let (stream, _) = unix.accept().await?;
                let uid = stream.peer_cred().ok().map(|peer| peer.uid());
                Ok((Stream::Unix(stream), Remote::Unix { uid }))
            }
        }
    }
}

fn prepare(tcp: &TcpStream) {
    // A head and its body are written apart: Nagle would hold the second for 40 ms.
    let _ = tcp.set_nodelay(true);
    // A client that has vanished while idle holds no connection for ever.
    let alive = TcpKeepalive::new().with_time(KEEPALIVE);
    let _ = SockRef::from(tcp).set_tcp_keepalive(&alive);
}

impl Listener {
    fn over(socket: Socket) -> Self {
        Self {
            socket,
            #[cfg(unix)]
            file: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The address it is bound to.
    ///
    /// # Errors
    /// The operating system does not tell; it is a unix socket (`Unsupported`, see
    /// [`Listener::unix_path`]).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.local_addr(),
            #[cfg(unix)]
            Socket::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The file that it is bound to, if it is a unix socket with one.
    #[cfg(unix)]
    pub fn unix_path(&self) -> Option<PathBuf> {
        match &self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix(unix) => unix.local_addr().ok()?.as_pathname().map(Into::into),
        }
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
    pub async fn accept(&mut self) -> (WireIo, Remote) {
        loop {
            match self.socket.accept().await {
                Ok((stream, remote)) => return (self.carry(stream, remote), remote),
                Err(error) if accept::is_of_one_connection(&error) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn carry(&self, stream: Stream, remote: Remote) -> WireIo {
        let tcp = SharedTcp::new(stream);
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
            .field("socket", &self.socket)
            .field("tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for Listener {
    type Io = WireIo;
    type Addr = Remote;

    async fn accept(&mut self) -> (WireIo, Remote) {
        Listener::accept(self).await
    }

    fn local_addr(&self) -> io::Result<Remote> {
        match Listener::local_addr(self) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                Ok(Remote::Unix { uid: None })
            }
            addr => addr.map(Remote::Tcp),
        }
    }
}
