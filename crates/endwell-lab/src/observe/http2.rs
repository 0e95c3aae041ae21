//! Observes HTTP/2 responses, with frames of its own.
//!
//! Reads: a [`Transport`], at a [`Pace`]; windows are given back as octets are read.
//! Gives: a [`Seen`] per stream, with a text of every frame on it or on the connection.
//! Never: forgives. First frame not SETTINGS, flow control overrun, frames inside a header block,
//! a body that does not fit its `content-length`: all [`SeenEnd::Malformed`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::frame::{ACK, END_HEADERS, END_STREAM, Frame, Kind, MAX_PAYLOAD, PREFACE, encode_field};
use super::inbound::Inbound;
use super::pace::Pace;
use super::seen::{Seen, SeenEnd};
use super::stream::Stream;
use super::transport::{ClientTls, Transport, TransportEnd};

pub use super::stream::StreamId;

/// The protocol's initial window, RFC 9113 section 6.9.2.
const WINDOW: u32 = 65_535;

/// Time for a PING to come back: far above loopback, far below the deadline.
const PING_WAIT: Duration = Duration::from_secs(1);

/// Sends one GET on a new connection and reads its response until it or the connection has ended.
///
/// A connection that cannot be made is seen as [`SeenEnd::Io`].
#[must_use]
pub fn observe(
    addr: SocketAddr,
    tls: Option<&ClientTls>,
    path: &str,
    headers: &[(&str, &str)],
    pace: &Pace,
) -> Seen {
    let run = || -> io::Result<Seen> {
        let mut connection = Connection::connect(addr, tls, pace)?;
        let stream = connection.get(path, headers)?;
        let seen = connection.observe(stream);
        connection.close();
        Ok(seen)
    };
    run().unwrap_or_else(|error| Seen::unreached(&error))
}

/// A connection with any number of streams.
pub struct Connection {
    transport: Transport,
    pace: Pace,
    scheme: &'static str,
    inbound: Inbound,
    pings_sent: u64,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams: Vec<_> = self.inbound.streams.keys().collect();
        f.debug_struct("Connection")
            .field("transport", &self.transport)
            .field("streams", &streams)
            .field("ended", &self.inbound.ended)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and writes preface and SETTINGS; nothing is read yet.
    ///
    /// # Errors
    /// As [`Transport::connect`]; also if TLS did not agree on `h2`.
    pub fn connect(addr: SocketAddr, tls: Option<&ClientTls>, pace: &Pace) -> io::Result<Self> {
        let mut transport = Transport::connect(addr, tls, pace)?;
        if tls.is_some() && transport.alpn() != Some(b"h2") {
            let chosen = transport.alpn().map(String::from_utf8_lossy);
            return Err(io::Error::other(format!("ALPN gave {chosen:?}, not h2")));
        }
        let window = pace.window.unwrap_or(WINDOW).min(0x7fff_ffff);
        // ENABLE_PUSH (2) = 0, INITIAL_WINDOW_SIZE (4).
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&window.to_be_bytes());
        let mut out = PREFACE.to_vec();
        Frame::new(Kind::Settings, 0, 0, &settings).encode(&mut out);
        // The connection's window has no setting: it is raised here and can never be lowered.
        if window > WINDOW {
            Frame::new(Kind::WindowUpdate, 0, 0, &(window - WINDOW).to_be_bytes()).encode(&mut out);
        }
        transport.write(&out)?;
        Ok(Self {
            transport,
            pace: pace.clone(),
            scheme: if tls.is_some() { "https" } else { "http" },
            inbound: Inbound::new(window.max(WINDOW)),
            pings_sent: 0,
        })
    }

    /// Sends a GET for authority `localhost`.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<StreamId> {
        self.request("GET", path, headers)
    }

    /// Sends a request without a body; the stream's clocks count from here.
    ///
    /// # Errors
    /// `InvalidInput` for a head over 16,384 octets. A failed write is no error here: the stream
    /// then shows how the connection ended.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<StreamId> {
        let mut block = Vec::new();
        let pseudo = [
            (":method", method),
            (":scheme", self.scheme),
            (":path", path),
            (":authority", "localhost"),
        ];
        for (name, value) in pseudo.iter().chain(headers) {
            encode_field(&name.to_ascii_lowercase(), value, &mut block);
        }
        if block.len() > MAX_PAYLOAD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "request head over 16384 octets",
            ));
        }
        let id = self.inbound.next;
        self.inbound.next += 2;
        self.send(&Frame::new(
            Kind::Headers,
            END_HEADERS | END_STREAM,
            id,
            &block,
        ));
        self.transport.begin();
        let window = self.pace.window.unwrap_or(WINDOW);
        let mut stream = Stream::new(window, method == "HEAD", self.pace.body_limit);
        if let Some(end) = self.inbound.ended.clone() {
            stream.finish(end, Duration::ZERO);
        }
        self.inbound.streams.insert(id, (Instant::now(), stream));
        Ok(id)
    }

    /// Gives what was seen of a stream so far, without reading.
    #[must_use]
    pub fn seen(&self, stream: StreamId) -> Option<&Seen> {
        self.inbound
            .streams
            .get(&stream)
            .map(|(_, stream)| &stream.seen)
    }

    /// Tells how the connection ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<&SeenEnd> {
        self.inbound.ended.as_ref()
    }

    /// Reads until `stop` says so, the stream or the connection has ended, or its deadline has passed
    /// ([`SeenEnd::TimedOut`], in this answer only). Reading may go on afterwards.
    pub fn read_until(&mut self, stream: StreamId, mut stop: impl FnMut(&Seen) -> bool) -> Seen {
        loop {
            let Some((started, state)) = self.inbound.streams.get(&stream) else {
                return no_such_stream(stream);
            };
            let (started, until) = (*started, *started + self.pace.deadline);
            if state.ended || stop(&state.seen) {
                return self.finished(state.seen.clone());
            }
            if !self.pump(until) && self.inbound.ended.is_none() {
                let (_, state) = &self.inbound.streams[&stream];
                let mut seen = self.finished(state.seen.clone());
                (seen.end, seen.ended_after) = (SeenEnd::TimedOut, started.elapsed());
                return seen;
            }
        }
    }

    /// Reads until the stream or the connection has ended, or the deadline has passed; stays
    /// afterwards if the pace says so. The stream is forgotten then.
    pub fn observe(&mut self, stream: StreamId) -> Seen {
        let end = self.read_until(stream, |_| false).end;
        if let Some((started, state)) = self.inbound.streams.get_mut(&stream) {
            state.finish(end, started.elapsed());
        }
        let alive = self.pace.stay.and_then(|stay| self.stay(stay));
        let Some((_, state)) = self.inbound.streams.remove(&stream) else {
            return no_such_stream(stream);
        };
        let mut seen = self.finished(state.seen);
        seen.connection_alive = alive;
        if self.pace.stay.is_some() && self.inbound.ended.as_ref() != Some(&seen.end) {
            seen.after = Some(self.inbound.ended.clone().unwrap_or_default());
        }
        seen
    }

    /// Resets a stream from our side; its end stays [`SeenEnd::Open`] and `> RST_STREAM code` is noted.
    pub fn cancel(&mut self, stream: StreamId, code: u32) {
        let frame = Frame::new(Kind::RstStream, 0, stream, &code.to_be_bytes());
        if let Some((started, state)) = self.inbound.streams.get_mut(&stream) {
            state.seen.note_frame(format!("> {}", frame.text()));
            state.finish(SeenEnd::Open, started.elapsed());
        }
        self.send(&frame);
    }

    /// Sends a PING and reads until its answer; gives whether it came within a second.
    pub fn ping(&mut self) -> bool {
        let wanted = self.send_ping();
        self.wait_ping(wanted)
    }

    /// From now on the server's PINGs are not answered: it must not know what was read.
    pub fn hold_pings(&mut self) {
        self.inbound.held_pings.get_or_insert_default();
    }

    /// How many PINGs of the server wait for an answer; with none, reads until one does or the pace's deadline has passed.
    pub fn held_pings(&mut self) -> usize {
        let until = Instant::now() + self.pace.deadline;
        let held = |inbound: &Inbound| inbound.held_pings.as_ref().map_or(0, Vec::len);
        while held(&self.inbound) == 0 && self.pump(until) {}
        held(&self.inbound)
    }

    /// Answers the PINGs that were held, and those to come.
    pub fn answer_pings(&mut self) {
        for payload in self.inbound.held_pings.take().unwrap_or_default() {
            self.send(&Frame::new(Kind::Ping, ACK, 0, &payload));
        }
    }

    /// Writes octets as they are: for frames that no helper makes.
    ///
    /// # Errors
    /// As [`Transport::write`].
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.transport.write(octets)
    }

    /// Gives our end of the connection.
    ///
    /// # Errors
    /// As [`Transport::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }

    /// Leaves politely but without GOAWAY: close_notify under TLS, then close.
    pub fn close(self) {
        self.transport.close();
    }

    /// Leaves by a TCP reset.
    pub fn reset(self) {
        self.transport.reset();
    }

    fn finished(&self, mut seen: Seen) -> Seen {
        seen.close_notify = self.transport.close_notify();
        seen
    }

    /// Watches the connection this long, then asks whether it lives; `None` if it had ended before.
    fn stay(&mut self, stay: Duration) -> Option<bool> {
        if self.inbound.ended.is_some() {
            return None;
        }
        let wanted = self.send_ping();
        let until = Instant::now() + stay;
        while self.pump(until) {}
        Some(self.wait_ping(wanted) && self.inbound.ended.is_none())
    }

    fn send_ping(&mut self) -> u64 {
        self.pings_sent += 1;
        let payload = self.pings_sent.to_be_bytes();
        self.send(&Frame::new(Kind::Ping, 0, 0, &payload));
        self.pings_sent
    }

    fn wait_ping(&mut self, wanted: u64) -> bool {
        let until = Instant::now() + PING_WAIT;
        while self.inbound.pings_answered < wanted && self.pump(until) {}
        self.inbound.pings_answered >= wanted
    }

    /// Writes a frame. That it cannot be written shows when reading, after all octets that came.
    fn send(&mut self, frame: &Frame) {
        let mut octets = Vec::new();
        frame.encode(&mut octets);
        let _ = self.transport.write(&octets);
    }

    /// Reads once and works off the frames; `false` if nothing came until then or the connection has ended.
    fn pump(&mut self, until: Instant) -> bool {
        if self.inbound.ended.is_some() {
            return false;
        }
        let mut octets = Vec::new();
        match self.transport.read(&mut octets, until) {
            Ok(_) => {}
            Err(TransportEnd::TimedOut) => return false,
            Err(end) => {
                self.inbound.end(end.into());
                return true;
            }
        }
        let out = self.inbound.push(&octets);
        if !out.is_empty() {
            // As in `send`.
            let _ = self.transport.write(&out);
        }
        true
    }
}

fn no_such_stream(stream: StreamId) -> Seen {
    Seen::unreached(&io::Error::other(format!("no stream {stream}")))
}
