//! TLS for a listener: rustls with a configuration of the user's, which may change while it runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;

use super::Listener;

/// The TLS configuration of new connections, to be exchanged while a listener runs.
///
/// Clones share it. Connections under way keep the configuration that they began with.
///
/// # Examples
/// ```no_run
/// # type Config = std::sync::Arc<rustls::ServerConfig>;
/// # async fn run(tcp: tokio::net::TcpListener, app: axum::Router, old: Config, renewed: Config) {
/// let switch = endwell::TlsSwitch::new(old);
/// let listener = endwell::listen(tcp).tls_switch(&switch);
/// tokio::spawn(endwell::serve(listener, app).into_future());
/// switch.set(renewed);
/// # }
/// ```
#[derive(Clone)]
pub struct TlsSwitch(Arc<RwLock<Arc<ServerConfig>>>);

impl TlsSwitch {
    /// Begins with this configuration; what it must hold says [`Listener::tls`].
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// From the next connection on, this configuration.
    ///
    /// A session that was begun under the former one is not resumed: its client shakes hands in
    /// full and so sees the new certificate.
    pub fn set(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// What new connections get now.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for TlsSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSwitch")
    }
}

impl Listener {
    /// Speaks TLS on every connection.
    ///
    /// Set `alpn_protocols` to `h2`, `http/1.1` and `http/1.0` in the configuration (curl offers
    /// the last one alone when asked for HTTP/1.0); the first octets of a connection decide. The
    /// handshake must be done within 10 seconds.
    #[must_use]
    pub fn tls(self, config: Arc<ServerConfig>) -> Self {
        self.tls_switch(&TlsSwitch::new(config))
    }

    /// As [`Listener::tls`], with a configuration that can be exchanged while the listener runs.
    #[must_use]
    pub fn tls_switch(mut self, switch: &TlsSwitch) -> Self {
        self.tls = Some(switch.clone());
        self
    }
}
