//! A blocking connection, plain or under TLS, that reports its end without embellishment.
//!
//! Reads: a TCP socket.
//! Gives: octets, then exactly one [`TransportEnd`] (a close_notify may be followed by one of TCP).
//! Never: takes a reset for a FIN, a FIN for a close_notify, or drops octets that came before either.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::pace::Pace;
use super::seen::SeenEnd;

/// Shortest socket timeout: the system call refuses zero.
const TIMEOUT_FLOOR: Duration = Duration::from_millis(1);

/// Octets decrypted at once: the largest TLS record.
const RECORD: usize = 16 * 1024;

/// How reading ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEnd {
    /// TCP FIN; under TLS without a close_notify, unless that was reported before.
    Fin,
    /// A TLS close_notify; reading on tells what TCP does then.
    CloseNotify,
    /// TCP RST.
    Reset,
    /// Our own time was up; reading may go on.
    TimedOut,
    /// A TLS alert or error.
    Tls(String),
    /// Any other error.
    Io(String),
}

impl From<TransportEnd> for SeenEnd {
    fn from(end: TransportEnd) -> Self {
        match end {
            TransportEnd::Fin => Self::Fin,
            TransportEnd::CloseNotify => Self::CloseNotify,
            TransportEnd::Reset => Self::Reset,
            TransportEnd::TimedOut => Self::TimedOut,
            TransportEnd::Tls(why) => Self::Tls(why),
            TransportEnd::Io(why) => Self::Io(why),
        }
    }
}

/// A TLS client configuration that accepts any certificate; cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Makes a configuration that offers these ALPN names (none: no ALPN).
    ///
    /// # Panics
    /// If ring's default protocol versions are refused, which its own list rules out.
    #[must_use]
    pub fn new(alpn: &[&str]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            config: Arc::new(config),
        }
    }

    /// The same for QUIC.
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    fn connect(&self) -> io::Result<ClientConnection> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)
    }
}

/// A connection that is read at a [`Pace`].
#[derive(Debug)]
pub struct Transport {
    socket: TcpStream,
    tls: Option<Tls>,
    pace: Pace,
    scratch: Vec<u8>,
    reads: u64,
    /// The end of TCP, once seen.
    ended: Option<TransportEnd>,
    /// A write met the reset. Linux then clears the error, and reading would look like a FIN.
    reset_met_by_write: bool,
}

#[derive(Debug)]
struct Tls {
    connection: ClientConnection,
    plain: Vec<u8>,
    error: Option<TransportEnd>,
    close_notify: bool,
    close_notify_told: bool,
}

impl Transport {
    /// Connects, with the receive buffer set before, and shakes hands if TLS is asked for.
    ///
    /// # Errors
    /// What connecting or the handshake gives, within the pace's deadline.
    pub fn connect(addr: SocketAddr, tls: Option<&ClientTls>, pace: &Pace) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        if let Some(octets) = pace.receive_buffer {
            socket.set_recv_buffer_size(octets)?;
        }
        socket.connect_timeout(&addr.into(), pace.deadline)?;
        socket.set_tcp_nodelay(true)?;
        let mut socket: TcpStream = socket.into();
        socket.set_read_timeout(Some(pace.deadline.max(TIMEOUT_FLOOR)))?;
        socket.set_write_timeout(Some(pace.deadline.max(TIMEOUT_FLOOR)))?;
        let tls = match tls {
            None => None,
            Some(tls) => {
                let mut connection = tls.connect()?;
                while connection.is_handshaking() {
                    connection.complete_io(&mut socket)?;
                }
                Some(Tls::new(connection))
            }
        };
        Ok(Self {
            socket,
            tls,
            pace: pace.clone(),
            scratch: vec![0; pace.chunk.max(1)],
            reads: 0,
            ended: None,
            reset_met_by_write: false,
        })
    }

    /// Gives the ALPN name that the peer chose.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.connection.alpn_protocol()
    }

    /// Under TLS: tells whether a close_notify was seen so far.
    #[must_use]
    pub fn close_notify(&self) -> Option<bool> {
        self.tls.as_ref().map(|tls| tls.close_notify)
    }

    /// Gives our end of the connection, to find it in the peer's records.
    ///
    /// # Errors
    /// What the system call gives.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Lets the next read be the first one of a response again (`start_late` counts anew).
    pub fn begin(&mut self) {
        self.reads = 0;
    }

    /// Writes all octets.
    ///
    /// # Errors
    /// What the socket gives. Octets that already came can still be read.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let result = match &mut self.tls {
            None => self.socket.write_all(octets),
            Some(tls) => tls.write(octets, &mut self.socket),
        };
        if let Err(error) = &result {
            self.reset_met_by_write |= is_reset(error);
        }
        result
    }

    /// Reads once, at the pace, appending to `into`; waits until `until` at most.
    ///
    /// # Errors
    /// The end, when no octets are left. All but [`TransportEnd::TimedOut`] and
    /// [`TransportEnd::CloseNotify`] are final.
    pub fn read(&mut self, into: &mut Vec<u8>, until: Instant) -> Result<usize, TransportEnd> {
        if self.tls.is_none() {
            let count = self.read_socket(until)?;
            into.extend_from_slice(&self.scratch[..count]);
            return Ok(count);
        }
        loop {
            if let Some(tls) = &mut self.tls
                && let Some(result) = tls.take(into)
            {
                return result;
            }
            let count = self.read_socket(until)?;
            if let Some(tls) = &mut self.tls {
                tls.feed(&self.scratch[..count]);
                // What rustls wants to say (key updates, alerts) is a courtesy: its failure shows when reading.
                if tls
                    .flush(&mut self.socket)
                    .is_err_and(|error| is_reset(&error))
                {
                    self.reset_met_by_write = true;
                }
            }
        }
    }

    /// Leaves politely: close_notify under TLS, then close. With unread octets the kernel makes it a reset.
    pub fn close(mut self) {
        self.notify();
    }

    /// Leaves by a reset (`SO_LINGER` of zero), without close_notify.
    pub fn reset(self) {
        // Without the option the drop is a plain close; nothing better is left to do.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Ends our direction only: close_notify under TLS, then FIN.
    ///
    /// # Errors
    /// What the system call gives.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.notify();
        self.socket.shutdown(Shutdown::Write)
    }

    fn notify(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.connection.send_close_notify();
            // A peer that is gone already needs no farewell.
            let _ = tls.flush(&mut self.socket);
        }
    }

    /// Reads the socket into `scratch`.
    fn read_socket(&mut self, until: Instant) -> Result<usize, TransportEnd> {
        if let Some(end) = &self.ended {
            return Err(end.clone());
        }
        self.dawdle(until);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TransportEnd::TimedOut);
            }
            let end = match self.read_once(left) {
                Ok(0) if self.reset_met_by_write => TransportEnd::Reset,
                Ok(0) => TransportEnd::Fin,
                Ok(count) => return Ok(count),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => continue,
                    _ if is_reset(&error) => TransportEnd::Reset,
                    _ => TransportEnd::Io(error.to_string()),
                },
            };
            self.ended = Some(end.clone());
            return Err(end);
        }
    }

    fn read_once(&mut self, left: Duration) -> io::Result<usize> {
        self.socket
            .set_read_timeout(Some(left.max(TIMEOUT_FLOOR)))?;
        self.socket.read(&mut self.scratch)
    }

    /// Sleeps as the pace asks, not beyond `until`.
    fn dawdle(&mut self, until: Instant) {
        let sleep = match self.reads {
            0 => self.pace.start_late,
            _ => self.pace.pause,
        };
        self.reads += 1;
        let left = until.saturating_duration_since(Instant::now());
        if !sleep.is_zero() {
            thread::sleep(sleep.min(left));
        }
    }
}

impl Tls {
    fn new(connection: ClientConnection) -> Self {
        let mut tls = Self {
            connection,
            plain: Vec::new(),
            error: None,
            close_notify: false,
            close_notify_told: false,
        };
        // Octets may have come with the peer's last handshake record.
        tls.drain();
        tls
    }

    /// Takes what is decrypted, else the end that TLS knows of.
    fn take(&mut self, into: &mut Vec<u8>) -> Option<Result<usize, TransportEnd>> {
        if !self.plain.is_empty() {
            let count = self.plain.len();
            into.append(&mut self.plain);
            return Some(Ok(count));
        }
        if let Some(error) = &self.error {
            return Some(Err(error.clone()));
        }
        if self.close_notify && !self.close_notify_told {
            self.close_notify_told = true;
            return Some(Err(TransportEnd::CloseNotify));
        }
        None
    }

    /// Decrypts octets of the socket. Records before a bad one are kept.
    fn feed(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() && !self.close_notify && self.error.is_none() {
            let outcome = match self.connection.read_tls(&mut octets) {
                Ok(0) => return,
                Ok(_) => self
                    .connection
                    .process_new_packets()
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            self.drain();
            if let Err(why) = outcome {
                self.error = Some(TransportEnd::Tls(why));
            }
        }
    }

    fn drain(&mut self) {
        let mut record = [0; RECORD];
        loop {
            match self.connection.reader().read(&mut record) {
                Ok(0) => {
                    self.close_notify = true;
                    return;
                }
                Ok(count) => self.plain.extend_from_slice(&record[..count]),
                // Nothing more for now; the end of TCP is seen by `read_socket`.
                Err(_) => return,
            }
        }
    }

    fn write(&mut self, mut octets: &[u8], socket: &mut TcpStream) -> io::Result<()> {
        while !octets.is_empty() {
            let count = self.connection.writer().write(octets)?;
            octets = &octets[count..];
            self.flush(socket)?;
        }
        Ok(())
    }

    fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(socket)?;
        }
        Ok(())
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    )
}

/// Accepts every certificate: the lab judges endings, not identities.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn receive_buffer_is_set_and_pauses_are_kept() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut transport = Transport::connect(listener.local_addr()?, None, &Pace::small())?;
        // Linux doubles what was asked for.
        let octets = SockRef::from(&transport.socket).recv_buffer_size()?;
        assert!((4096..=8192).contains(&octets), "{octets}");
        let (mut peer, _) = listener.accept()?;
        peer.write_all(&[b'x'; 3000])?;
        let started = Instant::now();
        let until = started + Duration::from_secs(5);
        let mut into = Vec::new();
        while into.len() < 3000 {
            let read = transport.read(&mut into, until);
            assert!(read.is_ok_and(|count| count <= 1024));
        }
        assert!(started.elapsed() >= 2 * Pace::small().pause);
        Ok(())
    }
}
