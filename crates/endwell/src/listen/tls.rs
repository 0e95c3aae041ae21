//! TLS for a listener: rustls with a configuration of the user's.

use std::sync::Arc;

use rustls::ServerConfig;

use super::Listener;

/// The configuration of new connections.
pub(super) struct Config(Arc<ServerConfig>);

impl Config {
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

impl Listener {
    /// Speaks TLS on every connection.
    ///
    /// Set `alpn_protocols` to `h2`, `http/1.1` and `http/1.0` in the configuration (curl offers
    /// the last one alone when asked for HTTP/1.0); the first octets of a connection decide. The
    /// handshake must be done within 10 seconds.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(Config(config));
        self
    }
}
