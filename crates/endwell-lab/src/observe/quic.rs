//! A blocking QUIC connection that tells of everything that happens on it, and repairs nothing.
//!
//! Reads: a UDP socket, a datagram at a time. Gives: what arrived, before the next datagram is looked
//! at: so octets that came before a reset are never lost to it. The state machine is quinn-proto's.
//! Never: reads on by itself; while nobody pumps, datagrams wait in the kernel and nothing is acknowledged.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, Dir, Endpoint,
    EndpointConfig, Event, IdleTimeout, ReadError, StreamEvent, StreamId, TransportConfig, VarInt,
    WriteError,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::pace::Pace;
use super::seen::SeenEnd;
use super::transport::ClientTls;

/// Shortest wait: the system call refuses zero.
const WAIT_FLOOR: Duration = Duration::from_millis(1);
/// Longer than any pause of a test: silence must be the server's.
const IDLE: Duration = Duration::from_secs(60);

/// What was read of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Octets(Vec<u8>),
    Fin,
    Reset(u64),
}

/// A QUIC client.
pub(super) struct Quic {
    socket: UdpSocket,
    remote: SocketAddr,
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub(super) connection: Connection,
    datagram: Vec<u8>,
    out: Vec<u8>,
    /// How the connection ended.
    pub(super) ended: Option<SeenEnd>,
    connected: bool,
    /// Streams that the peer asked to send no more on, and why.
    pub(super) stopped: Vec<(StreamId, u64)>,
    /// Datagrams that came.
    pub(super) datagrams: u64,
}

impl fmt::Debug for Quic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quic")
            .field("remote", &self.remote)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Quic {
    /// Connects and shakes hands.
    pub(super) fn connect(addr: SocketAddr, tls: &ClientTls, pace: &Pace) -> io::Result<Self> {
        let mut quic = Self::begin(addr, tls, pace)?;
        let until = Instant::now() + pace.deadline;
        while !quic.connected {
            if let Some(end) = &quic.ended {
                return Err(io::Error::other(end.to_string()));
            }
            if !quic.pump(until) && quic.ended.is_none() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(quic)
    }

    /// Sends the first flight of a handshake, and nothing more.
    pub(super) fn begin(addr: SocketAddr, tls: &ClientTls, pace: &Pace) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if let Some(octets) = pace.receive_buffer {
            socket.set_recv_buffer_size(octets)?;
        }
        socket.connect(&addr.into())?;
        let socket: UdpSocket = socket.into();
        let crypto = QuicClientConfig::try_from(tls.config()).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(transport(pace)));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let (handle, connection) = endpoint
            .connect(Instant::now(), config, addr, "localhost")
            .map_err(io::Error::other)?;
        let mut quic = Self {
            socket,
            remote: addr,
            endpoint,
            handle,
            connection,
            datagram: vec![0; 64 * 1024],
            out: Vec::new(),
            ended: None,
            connected: false,
            stopped: Vec::new(),
            datagrams: 0,
        };
        quic.flush();
        Ok(quic)
    }

    /// Sends what is due, then waits for one datagram or one timer; `false` if neither came until then, or
    /// the connection has ended.
    pub(super) fn pump(&mut self, until: Instant) -> bool {
        self.flush();
        if self.ended.is_some() {
            return false;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        let timer = self.connection.poll_timeout();
        let wait = timer.map_or(until, |timer| timer.min(until));
        let wait = wait.saturating_duration_since(now).max(WAIT_FLOOR);
        let _ = self.socket.set_read_timeout(Some(wait));
        match self.socket.recv(&mut self.datagram) {
            Ok(octets) => self.receive(octets),
            // A port that nobody listens on any more: QUIC takes no notice (RFC 9000 section 14.2.1).
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::thread::sleep(WAIT_FLOOR);
            }
            Err(_) => {}
        }
        let now = Instant::now();
        if timer.is_some_and(|timer| timer <= now) {
            self.connection.handle_timeout(now);
        }
        self.events();
        self.flush();
        true
    }

    fn receive(&mut self, octets: usize) {
        self.datagrams += 1;
        let data = BytesMut::from(&self.datagram[..octets]);
        let mut answer = Vec::new();
        let now = Instant::now();
        match self
            .endpoint
            .handle(now, self.remote, None, None, data, &mut answer)
        {
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.connection.handle_event(event),
            Some(DatagramEvent::Response(transmit)) => {
                let _ = self.socket.send(&answer[..transmit.size]);
            }
            Some(DatagramEvent::NewConnection(_)) | None => {}
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => {
                    self.ended.get_or_insert(end_of(&reason));
                }
                Event::Stream(StreamEvent::Stopped { id, error_code }) => {
                    self.stopped.push((id, error_code.into_inner()));
                    // RFC 9000 section 3.5: whoever is asked to stop resets.
                    let _ = self.connection.send_stream(id).reset(error_code);
                }
                _ => {}
            }
        }
    }

    /// Sends what is due now.
    pub(super) fn flush(&mut self) {
        loop {
            self.out.clear();
            let transmit = self
                .connection
                .poll_transmit(Instant::now(), 1, &mut self.out);
            let Some(transmit) = transmit else { break };
            // What the kernel does not take is lost, as on any path.
            let _ = self.socket.send(&self.out[..transmit.size]);
        }
        self.events();
    }

    pub(super) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        self.connection.streams().open(dir)
    }

    /// Writes octets, pumping while the peer's windows are closed.
    pub(super) fn write(
        &mut self,
        id: StreamId,
        mut octets: &[u8],
        until: Instant,
    ) -> io::Result<()> {
        while !octets.is_empty() {
            match self.connection.send_stream(id).write(octets) {
                Ok(written) => octets = &octets[written..],
                Err(WriteError::Blocked) if self.pump(until) => {}
                Err(WriteError::Blocked) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        self.flush();
        Ok(())
    }

    /// Writes what the windows allow now; gives how many octets that were.
    pub(super) fn write_some(&mut self, id: StreamId, octets: &[u8]) -> usize {
        let written = self.connection.send_stream(id).write(octets).unwrap_or(0);
        self.flush();
        written
    }

    pub(super) fn finish(&mut self, id: StreamId) {
        let _ = self.connection.send_stream(id).finish();
        self.flush();
    }

    pub(super) fn reset(&mut self, id: StreamId, code: u64) {
        let _ = self.connection.send_stream(id).reset(varint(code));
        self.flush();
    }

    /// STOP_SENDING.
    pub(super) fn stop(&mut self, id: StreamId, code: u64) {
        let _ = self.connection.recv_stream(id).stop(varint(code));
        self.flush();
    }

    /// Reads at most so much of what has arrived; `None` if nothing has.
    pub(super) fn read(&mut self, id: StreamId, most: usize) -> Option<Part> {
        let mut stream = self.connection.recv_stream(id);
        let mut chunks = stream.read(true).ok()?;
        let part = match chunks.next(most) {
            Ok(Some(chunk)) => Some(Part::Octets(chunk.bytes.to_vec())),
            Ok(None) => Some(Part::Fin),
            Err(ReadError::Reset(code)) => Some(Part::Reset(code.into_inner())),
            Err(ReadError::Blocked) => None,
        };
        let _ = chunks.finalize();
        part
    }

    /// Streams that the peer has opened.
    pub(super) fn accept(&mut self) -> Option<StreamId> {
        self.connection.streams().accept(Dir::Uni)
    }

    /// CONNECTION_CLOSE with this code.
    pub(super) fn close(&mut self, code: u64) {
        self.connection
            .close(Instant::now(), varint(code), bytes::Bytes::new());
        self.flush();
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

fn transport(pace: &Pace) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(IdleTimeout::try_from(IDLE).ok());
    // The server opens three streams; a client that allows no more would hide a push.
    transport.max_concurrent_uni_streams(8_u32.into());
    transport.max_concurrent_bidi_streams(0_u32.into());
    if let Some(window) = pace.window {
        transport.stream_receive_window(window.into());
    }
    transport
}

fn varint(code: u64) -> VarInt {
    VarInt::from_u64(code).unwrap_or(VarInt::MAX)
}

fn end_of(error: &ConnectionError) -> SeenEnd {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            SeenEnd::ConnectionClosed(close.error_code.into_inner())
        }
        error => SeenEnd::Io(error.to_string()),
    }
}
