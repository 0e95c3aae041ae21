//! Accepts QUIC connections, for HTTP/3.
//!
//! Reads: a UDP socket. Gives: connections whose client has shown that it has its address, as soon as
//! that matters, and has shaken hands in time. What a connection may hold in memory is decided here.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connecting, Connection, Endpoint, EndpointConfig, IdleTimeout, TransportConfig};
use rustls::ServerConfig;
use rustls::quic::{ServerConnection as QuicServer, Version};
use socket2::SockRef;

use super::TlsSwitch;
use crate::limits::Limits;
use crate::wire::http3::window;

/// How long a handshake may take, as over TCP.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From so many handshakes under way on, a client must show first that it has its address (Retry, RFC 9000
/// section 8.1.2): that costs it a round trip, and a flood from feigned addresses nothing of ours.
const UNPROVEN: usize = 64;
/// So many handshakes at once are enough for both processors of a small machine, at a millisecond each;
/// further ones are dropped, and clients send them again after a second.
const HANDSHAKES: usize = 1024;
/// Clients that wait while all places are taken, as in a backlog; and octets kept of all of them.
const BACKLOG: usize = 1024;
const BACKLOG_OCTETS: u64 = 4 * 1024 * 1024;
/// Octets kept of one: two full packets, what a first flight has.
const FLIGHT_OCTETS: u64 = 4 * 1024;

/// A client of which nothing was heard for so long has gone (RFC 9308 section 3.2 advises 30 s).
const SILENT: Duration = Duration::from_secs(30);
/// How often a client is asked whether it is there: twice before it counts as gone.
const ASK: Duration = Duration::from_secs(12);

/// Octets of a request's content that are received before the application asks for them: 2.5 MiB a second
/// at a round trip of 100 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all requests of a connection together. Heads need it, too, and QUIC has none of their own: eight
/// requests whose content nobody reads leave no room for the heads of others.
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// Request streams of a client at once, whatever is configured: QUIC keeps an entry for each from the first
/// moment of a connection.
const STREAMS: u32 = 16 * 1024;
/// Unidirectional streams of a client at once: HTTP/3 has three, and some clients try what is unknown.
const CONTROL_STREAMS: u32 = 8;
/// What the kernel may keep of datagrams that wait for us; its own default holds 150.
const SOCKET_BUFFER: usize = 2 * 1024 * 1024;

/// Listens on a UDP socket for HTTP/3.
///
/// `tls` is a [`TlsSwitch`], most often that of the TCP listener beside it, or a configuration alone.
/// Its certificates are used; ALPN is set to `h3`, and early data is off, which an attacker could send
/// again. Give the result to [`Serve::quic`](crate::Serve::quic), or to
/// [`serve_quic`](crate::serve_quic) where nothing is served over TCP. Needs a tokio runtime.
///
/// # Errors
/// The operating system refuses the socket, or the configuration has no cipher suite that QUIC knows
/// (`InvalidInput`): its provider must have `TLS13_AES_128_GCM_SHA256` and its versions TLS 1.3.
///
/// # Examples
/// ```no_run
/// # async fn run(tls: std::sync::Arc<rustls::ServerConfig>) -> std::io::Result<()> {
/// let tls = endwell::TlsSwitch::new(tls);
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let udp = std::net::UdpSocket::bind(tcp.local_addr()?)?;
/// let app = axum::Router::new();
/// endwell::serve(endwell::listen(tcp).tls_switch(&tls), app)
///     .quic(endwell::listen_quic(udp, tls)?)
///     .await
/// # }
/// ```
pub fn listen_quic(udp: UdpSocket, tls: impl Into<TlsSwitch>) -> io::Result<QuicListener> {
    let tls = tls.into();
    let current = Current::of(&tls)?;
    let socket = SockRef::from(&udp);
    // A kernel may give less.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    let runtime = Arc::new(quinn::TokioRuntime);
    let server = configured(&current.crypto, &Limits::default());
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(server), udp, runtime)?;
    Ok(QuicListener {
        endpoint,
        tls,
        current,
        configured: None,
        handshakes: Arc::default(),
    })
}

impl From<Arc<ServerConfig>> for TlsSwitch {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

/// Accepts QUIC connections for HTTP/3; made by [`listen_quic`].
pub struct QuicListener {
    endpoint: Endpoint,
    tls: TlsSwitch,
    current: Current,
    /// What new connections get, and the limits it was made of.
    configured: Option<(Arc<Limits>, Arc<quinn::ServerConfig>)>,
    handshakes: Arc<AtomicUsize>,
}

/// The TLS configuration as it is now, in both forms.
struct Current {
    tls: Arc<ServerConfig>,
    crypto: Arc<QuicServerConfig>,
}

impl Current {
    fn of(switch: &TlsSwitch) -> io::Result<Self> {
        let tls = switch.current();
        let mut config = ServerConfig::clone(&tls);
        config.alpn_protocols = vec![b"h3".to_vec()];
        config.max_early_data_size = 0;
        let config = Arc::new(config);
        // quinn looks at the cipher suites here, and at the versions only when a client has come, where it panics.
        QuicServer::new(Arc::clone(&config), Version::V1, Vec::new()).map_err(unfit)?;
        let crypto = QuicServerConfig::try_from(config).map_err(unfit)?;
        Ok(Self {
            tls,
            crypto: Arc::new(crypto),
        })
    }
}

/// QUIC cannot use this TLS configuration.
fn unfit(error: impl fmt::Display) -> io::Error {
    let message = format!("the TLS configuration cannot be used for HTTP/3: {error}");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// What a connection may take of us.
fn configured(crypto: &Arc<QuicServerConfig>, limits: &Limits) -> quinn::ServerConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(limits.http3.streams.min(STREAMS).into())
        .max_concurrent_uni_streams(CONTROL_STREAMS.into())
        .max_idle_timeout(IdleTimeout::try_from(SILENT).ok())
        .keep_alive_interval(Some(ASK))
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(window::FIRST)
        .datagram_receive_buffer_size(None);
    let mut server = quinn::ServerConfig::with_crypto(Arc::clone(crypto) as _);
    server
        .transport_config(Arc::new(transport))
        .max_incoming(BACKLOG)
        .incoming_buffer_size(FLIGHT_OCTETS)
        .incoming_buffer_size_total(BACKLOG_OCTETS);
    server
}

impl QuicListener {
    /// The address it is bound to.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next client that wants a connection; `None` when the socket is lost.
    pub(crate) async fn accept(&mut self) -> Option<Knock> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let under_way = self.handshakes.load(Ordering::Acquire);
            if under_way >= UNPROVEN && !incoming.remote_address_validated() {
                // It comes again at once, and with a proof.
                let _ = incoming.retry();
            } else if under_way >= HANDSHAKES {
                incoming.ignore();
            } else {
                let counted = Handshake::new(&self.handshakes);
                return Some(Knock { incoming, counted });
            }
        }
    }

    /// Shakes hands under the configuration of now.
    pub(crate) fn admit(&mut self, knock: Knock, limits: &Arc<Limits>) -> Option<Greeting> {
        if !Arc::ptr_eq(&self.current.tls, &self.tls.current()) {
            // A configuration that QUIC cannot use changes nothing here.
            self.current = Current::of(&self.tls).unwrap_or(Current {
                tls: self.tls.current(),
                crypto: Arc::clone(&self.current.crypto),
            });
            self.configured = None;
        }
        let config = match &self.configured {
            Some((made_of, config)) if Arc::ptr_eq(made_of, limits) => Arc::clone(config),
            _ => {
                let config = Arc::new(configured(&self.current.crypto, limits));
                self.configured = Some((Arc::clone(limits), Arc::clone(&config)));
                config
            }
        };
        let connecting = knock.incoming.accept_with(config).ok()?;
        Some(Greeting {
            connecting,
            _counted: knock.counted,
        })
    }

    /// What a test closes, as if the socket were lost.
    #[cfg(test)]
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Waits until every connection has been closed, and its client told.
    pub(crate) async fn closed(self) {
        self.endpoint.set_server_config(None);
        self.endpoint.wait_idle().await;
    }
}

impl fmt::Debug for QuicListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicListener")
            .field("local_addr", &self.local_addr().ok())
            .finish_non_exhaustive()
    }
}

/// A client that wants a connection.
pub(crate) struct Knock {
    incoming: quinn::Incoming,
    counted: Handshake,
}

impl Knock {
    pub(crate) fn remote(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Whether it has shown that it has its address.
    pub(crate) fn is_proven(&self) -> bool {
        self.incoming.remote_address_validated()
    }

    /// Asks it to come again with a proof that it has its address (Retry).
    pub(crate) fn prove(self) {
        let _ = self.incoming.retry();
    }

    /// Refuses it: it is told, and holds nothing.
    pub(crate) fn refuse(self) {
        self.incoming.refuse();
    }
}

/// A connection that has shaken hands.
pub(crate) type Connected = Connection;

/// A handshake under way.
pub(crate) struct Greeting {
    connecting: Connecting,
    _counted: Handshake,
}

impl Greeting {
    /// The connection, if its handshake is done in time.
    pub(crate) async fn connected(self) -> Option<Connected> {
        let connected = tokio::time::timeout(HANDSHAKE, self.connecting).await;
        connected.ok()?.ok()
    }
}

/// Counts a handshake while it is under way.
struct Handshake(Arc<AtomicUsize>);

impl Handshake {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
