//! Observes HTTP/3 responses, with frames of its own.
//!
//! Reads: streams of a QUIC connection, at a [`Pace`].
//! Gives: a [`Seen`] per stream, with a text of every frame on it and on the control stream.
//! Never: forgives. A frame that does not belong where it stands, a FIN inside of a frame (which breaks the
//! whole connection, RFC 9114 section 7.1), a body that does not fit its `content-length`: all
//! [`SeenEnd::Malformed`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quinn_proto::{Dir, VarInt};

use super::frame3::{Frames, header, varint};
pub use super::frame3::{put_frame, put_varint};
use super::pace::Pace;
use super::qpack;
use super::quic::{Part, Quic};
use super::seen::{Seen, SeenEnd};
use super::stream::Stream;
use super::transport::ClientTls;

/// A stream's number.
pub type StreamId = u64;

/// H3_REQUEST_CANCELLED: what a client says that wants no more (RFC 9114 section 4.1.1).
pub const REQUEST_CANCELLED: u64 = 0x10c;
/// H3_NO_ERROR.
pub const NO_ERROR: u64 = 0x100;

/// Largest field section that is read.
const SECTION: u64 = 256 * 1024;

/// Sends one GET on a new connection and reads its response until it or the connection has ended.
///
/// A connection that cannot be made is seen as [`SeenEnd::Io`].
#[must_use]
pub fn observe(addr: SocketAddr, path: &str, headers: &[(&str, &str)], pace: &Pace) -> Seen {
    let run = || -> io::Result<Seen> {
        let mut connection = Connection::connect(addr, pace)?;
        let stream = connection.get(path, headers)?;
        let seen = connection.observe(stream);
        connection.close(NO_ERROR);
        Ok(seen)
    };
    run().unwrap_or_else(|error| Seen::unreached(&error))
}

/// A handshake of which only the first flight was sent; dropped, it goes without a word.
#[derive(Debug)]
pub struct HalfOpen(#[expect(dead_code, reason = "it is kept open")] Quic);

/// Begins a handshake and leaves it there.
///
/// # Errors
/// The operating system gives no socket.
pub fn half_open(addr: SocketAddr) -> io::Result<HalfOpen> {
    Quic::begin(addr, &ClientTls::new(&["h3"]), &Pace::fast()).map(HalfOpen)
}

/// A connection with any number of streams.
pub struct Connection {
    quic: Quic,
    pace: Pace,
    streams: BTreeMap<StreamId, (Instant, Response)>,
    controls: Vec<(quinn_proto::StreamId, Control)>,
    /// A text of every frame on the server's control stream.
    pub control_frames: Vec<String>,
    last_read: Option<Instant>,
}

struct Response {
    id: quinn_proto::StreamId,
    stream: Stream,
    frames: Frames,
    /// FIN or reset was seen: nothing more is read.
    over: bool,
}

#[derive(Default)]
struct Control {
    kind: Option<u64>,
    frames: Frames,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("quic", &self.quic)
            .field("streams", &self.streams.keys())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and writes SETTINGS on a control stream.
    ///
    /// # Errors
    /// No handshake within the pace's deadline.
    pub fn connect(addr: SocketAddr, pace: &Pace) -> io::Result<Self> {
        // Type 0, SETTINGS (4) without a setting: no dynamic table.
        Self::connect_saying(addr, pace, &[0, 4, 0])
    }

    /// Connects and writes these octets on the first unidirectional stream.
    ///
    /// # Errors
    /// As [`Connection::connect`].
    pub fn connect_saying(addr: SocketAddr, pace: &Pace, control: &[u8]) -> io::Result<Self> {
        let mut quic = Quic::connect(addr, &ClientTls::new(&["h3"]), pace)?;
        let id = quic.open(Dir::Uni).ok_or(io::ErrorKind::QuotaExceeded)?;
        quic.write(id, control, Instant::now() + pace.deadline)?;
        Ok(Self {
            quic,
            pace: pace.clone(),
            streams: BTreeMap::new(),
            controls: Vec::new(),
            control_frames: Vec::new(),
            last_read: None,
        })
    }

    /// Sends a GET for authority `localhost`.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> io::Result<StreamId> {
        self.request("GET", path, headers, Some(&[]))
    }

    /// Sends a request; the stream's clocks count from here. Without content its side stays open.
    ///
    /// # Errors
    /// The peer allows no more streams, or takes no octets within the deadline.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        content: Option<&[u8]>,
    ) -> io::Result<StreamId> {
        let pseudo = [
            (":method", method),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", path),
        ];
        let section = qpack::encode(pseudo.into_iter().chain(headers.iter().copied()));
        let mut octets = Vec::new();
        put_frame(&mut octets, 1, &section);
        if let Some(content) = content
            && !content.is_empty()
        {
            put_frame(&mut octets, 0, content);
        }
        let stream = self.open(&octets, method == "HEAD")?;
        if content.is_some() {
            self.finish(stream);
        }
        Ok(stream)
    }

    /// Opens a request stream with these octets on it, which need not be frames.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn open(&mut self, octets: &[u8], answers_head: bool) -> io::Result<StreamId> {
        let until = Instant::now() + self.pace.deadline;
        let id = loop {
            match self.quic.open(Dir::Bi) {
                Some(id) => break id,
                None if self.quic.pump(until) => self.drain(),
                None => return Err(io::Error::other("the server allows no more streams")),
            }
        };
        self.quic.write(id, octets, until)?;
        Ok(self.keep(id, answers_head))
    }

    fn keep(&mut self, id: quinn_proto::StreamId, answers_head: bool) -> StreamId {
        let mut stream = Stream::new(u32::MAX, answers_head, self.pace.body_limit);
        if let Some(end) = self.quic.ended.clone() {
            stream.finish(end, Duration::ZERO);
        }
        let response = Response {
            id,
            stream,
            frames: Frames::default(),
            over: false,
        };
        let number = u64::from(VarInt::from(id));
        self.streams.insert(number, (Instant::now(), response));
        number
    }

    /// Writes further octets on a request stream.
    ///
    /// # Errors
    /// As [`Connection::request`]; the server has asked to stop.
    pub fn write(&mut self, stream: StreamId, octets: &[u8]) -> io::Result<()> {
        let until = Instant::now() + self.pace.deadline;
        self.quic.write(id_of(stream), octets, until)
    }

    /// Writes what the server's windows allow now; gives how many octets that were.
    pub fn write_some(&mut self, stream: StreamId, octets: &[u8]) -> usize {
        self.quic.write_some(id_of(stream), octets)
    }

    /// Opens a request stream if the server allows one more now.
    pub fn try_open(&mut self, octets: &[u8]) -> Option<StreamId> {
        let id = self.quic.open(Dir::Bi)?;
        self.quic.write_some(id, octets);
        Some(self.keep(id, false))
    }

    /// Ends our side of a request stream.
    pub fn finish(&mut self, stream: StreamId) {
        self.quic.finish(id_of(stream));
    }

    /// Writes octets on a new unidirectional stream.
    ///
    /// # Errors
    /// As [`Connection::request`].
    pub fn write_uni(&mut self, octets: &[u8]) -> io::Result<()> {
        let id = self
            .quic
            .open(Dir::Uni)
            .ok_or(io::ErrorKind::QuotaExceeded)?;
        self.quic
            .write(id, octets, Instant::now() + self.pace.deadline)
    }

    /// Gives what was seen of a stream so far, without reading.
    #[must_use]
    pub fn seen(&self, stream: StreamId) -> Option<&Seen> {
        let (_, response) = self.streams.get(&stream)?;
        Some(&response.stream.seen)
    }

    /// Tells how the connection ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<&SeenEnd> {
        self.quic.ended.as_ref()
    }

    /// The code with which the server asked to send no more on a stream, if it has.
    #[must_use]
    pub fn stopped(&self, stream: StreamId) -> Option<u64> {
        let id = id_of(stream);
        let stopped = self.quic.stopped.iter().find(|(it, _)| *it == id);
        stopped.map(|(_, code)| *code)
    }

    /// Reads until `stop` says so, the stream or the connection has ended, or its deadline has passed
    /// ([`SeenEnd::TimedOut`], in this answer only). Reading may go on afterwards.
    pub fn read_until(&mut self, stream: StreamId, mut stop: impl FnMut(&Seen) -> bool) -> Seen {
        if self.last_read.is_none() && !self.pace.start_late.is_zero() {
            // Datagrams wait in the kernel: nothing is acknowledged, what does not fit is lost.
            std::thread::sleep(self.pace.start_late);
        }
        self.last_read = Some(Instant::now());
        loop {
            self.drain();
            let Some((started, response)) = self.streams.get(&stream) else {
                return Seen::unreached(&io::Error::other(format!("no stream {stream}")));
            };
            let (started, until) = (*started, *started + self.pace.deadline);
            let state = &response.stream;
            if state.ended || stop(&state.seen) {
                return state.seen.clone();
            }
            if !self.quic.pump(until) && self.quic.ended.is_none() {
                let mut seen = self.streams[&stream].1.stream.seen.clone();
                (seen.end, seen.ended_after) = (SeenEnd::TimedOut, started.elapsed());
                return seen;
            }
        }
    }

    /// Reads until the stream or the connection has ended, or the deadline has passed; stays
    /// afterwards if the pace says so. The stream is forgotten then.
    pub fn observe(&mut self, stream: StreamId) -> Seen {
        let end = self.read_until(stream, |_| false).end;
        if let Some((started, response)) = self.streams.get_mut(&stream) {
            response.stream.finish(end, started.elapsed());
        }
        if let Some(stay) = self.pace.stay {
            self.pump_for(stay);
        }
        let Some((_, response)) = self.streams.remove(&stream) else {
            return Seen::unreached(&io::Error::other(format!("no stream {stream}")));
        };
        let mut seen = response.stream.seen;
        if self.pace.stay.is_some() {
            seen.connection_alive = Some(self.quic.ended.is_none());
            if self.quic.ended.as_ref() != Some(&seen.end) {
                seen.after = Some(self.quic.ended.clone().unwrap_or_default());
            }
        }
        seen
    }

    /// Reads whatever comes, for this long or until the connection has ended.
    pub fn pump_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while self.quic.pump(until) {
            self.drain();
        }
        self.drain();
    }

    /// Reads whatever comes until `done`; whether it was before the deadline.
    pub fn pump_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = Instant::now() + self.pace.deadline;
        loop {
            self.drain();
            if done(self) {
                return true;
            }
            if !self.quic.pump(until) {
                self.drain();
                return done(self);
            }
        }
    }

    /// Lets datagrams come and be acknowledged, and reads no stream: windows stay closed.
    pub fn pump_unread(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while self.quic.pump(until) {}
    }

    /// STOP_SENDING on a response and a reset of its request: the client wants no more of it. Its end stays
    /// [`SeenEnd::Open`].
    pub fn cancel(&mut self, stream: StreamId) {
        let id = id_of(stream);
        if let Some((started, response)) = self.streams.get_mut(&stream) {
            response.stream.finish(SeenEnd::Open, started.elapsed());
            response.over = true;
        }
        self.quic.stop(id, REQUEST_CANCELLED);
        self.quic.reset(id, REQUEST_CANCELLED);
    }

    /// Resets our side of a request stream alone.
    pub fn reset_request(&mut self, stream: StreamId) {
        self.quic.reset(id_of(stream), REQUEST_CANCELLED);
    }

    /// Gives our end of the connection.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// CONNECTION_CLOSE with this code.
    pub fn close(mut self, code: u64) {
        self.quic.close(code);
    }

    /// Goes without a word: the server hears nothing more.
    pub fn vanish(self) {}

    /// Reads all that has arrived.
    fn drain(&mut self) {
        while let Some(id) = self.quic.accept() {
            self.controls.push((id, Control::default()));
        }
        for (id, control) in &mut self.controls {
            while let Some(part) = self.quic.read(*id, self.pace.chunk) {
                match part {
                    Part::Octets(octets) => control.push(&octets, &mut self.control_frames),
                    Part::Fin | Part::Reset(_) => {
                        self.control_frames.push("CLOSED".to_owned());
                        break;
                    }
                }
            }
        }
        for (started, response) in self.streams.values_mut() {
            while !response.over
                && let Some(part) = self.quic.read(response.id, self.pace.chunk)
            {
                response.take(part, started.elapsed());
                if !self.pace.pause.is_zero() {
                    std::thread::sleep(self.pace.pause);
                }
            }
        }
        if let Some(end) = self.quic.ended.clone() {
            for (started, response) in self.streams.values_mut() {
                response.stream.finish(end.clone(), started.elapsed());
            }
        }
        self.quic.flush();
    }
}

impl Response {
    fn take(&mut self, part: Part, at: Duration) {
        match part {
            Part::Octets(octets) => {
                self.stream.seen.first_octet_after.get_or_insert(at);
                self.stream.seen.raw_len += octets.len() as u64;
                self.frames.held.extend_from_slice(&octets);
                if let Err(why) = self.frames(at) {
                    self.stream.finish(SeenEnd::Malformed(why), at);
                }
            }
            Part::Fin => {
                self.over = true;
                self.stream.seen.note_frame("FIN".to_owned());
                if self.frames.data > 0 || !self.frames.held.is_empty() {
                    let why = "FIN inside of a frame".to_owned();
                    self.stream.finish(SeenEnd::Malformed(why), at);
                }
                self.stream.fin(at);
            }
            Part::Reset(code) => {
                self.over = true;
                self.stream
                    .seen
                    .note_frame(format!("RESET_STREAM {code:#x}"));
                let code = u32::try_from(code).unwrap_or(u32::MAX);
                self.stream.finish(SeenEnd::StreamReset(code), at);
            }
        }
    }

    /// Works off the frames that are whole, and all of DATA that is there.
    fn frames(&mut self, at: Duration) -> Result<(), String> {
        loop {
            if self.frames.data > 0 {
                let part = self.frames.take_data();
                if part.is_empty() {
                    return Ok(());
                }
                self.stream.data(&part, false, at);
                continue;
            }
            let Some((kind, length, at_payload)) = header(&self.frames.held) else {
                return Ok(());
            };
            match kind {
                0 => {
                    self.stream.seen.note_frame(format!("DATA {length}"));
                    if !self.stream.seen.trailers.is_empty() {
                        return Err("DATA after the trailers".to_owned());
                    }
                    self.frames.held.drain(..at_payload);
                    self.frames.data = length;
                    if length == 0 {
                        self.stream.data(&[], false, at);
                    }
                    continue;
                }
                1 if length <= SECTION => {}
                1 => return Err(format!("HEADERS of {length} octets")),
                0x2..=0x9 | 0xd => return Err(format!("frame {kind:#x} on a request stream")),
                // Greased; it has to be passed over (RFC 9114 section 7.2.8).
                _ => {}
            }
            let Some(payload) = self.frames.take_payload(at_payload, length) else {
                return Ok(());
            };
            if kind == 1 {
                self.stream.seen.note_frame(format!("HEADERS {length}"));
                self.stream.headers3(qpack::decode(&payload)?)?;
            } else {
                self.stream
                    .seen
                    .note_frame(format!("UNKNOWN {kind:#x} {length}"));
            }
        }
    }
}

impl Control {
    fn push(&mut self, octets: &[u8], texts: &mut Vec<String>) {
        self.frames.held.extend_from_slice(octets);
        if self.kind.is_none() {
            let Some((kind, len)) = varint(&self.frames.held) else {
                return;
            };
            self.kind = Some(kind);
            self.frames.held.drain(..len);
        }
        if self.kind != Some(0) {
            self.frames.held.clear();
            return;
        }
        while let Some((kind, length, at)) = header(&self.frames.held) {
            let Some(payload) = self.frames.take_payload(at, length) else {
                return;
            };
            texts.push(match kind {
                4 => "SETTINGS".to_owned(),
                7 => match varint(&payload) {
                    Some((id, _)) => format!("GOAWAY {id}"),
                    None => "GOAWAY ?".to_owned(),
                },
                kind => format!("FRAME {kind:#x} {length}"),
            });
        }
    }
}

fn id_of(stream: StreamId) -> quinn_proto::StreamId {
    let id = VarInt::from_u64(stream).unwrap_or(VarInt::MAX);
    quinn_proto::StreamId::from(id)
}
