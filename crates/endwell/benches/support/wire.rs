//! Clients that cost little: they count octets and know no more of HTTP than that takes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Octets read at once.
const ROOM: usize = 1 << 20;

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

/// HTTP/1.1, keep-alive.
pub struct Http1 {
    socket: TcpStream,
    room: Vec<u8>,
}

impl Http1 {
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            socket: connect(addr)?,
            room: vec![0; ROOM],
        })
    }

    pub fn ask(&mut self, target: &str) -> io::Result<()> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.socket.write_all(request.as_bytes())
    }

    /// Reads one response, gives the octets after its head, and checks that they end in order.
    ///
    /// `octets` is the body's length, in frames of `frame`: with both, the length on the wire is known.
    pub fn read(&mut self, octets: u64, frame: usize) -> io::Result<()> {
        let mut have = 0;
        let head = loop {
            let read = self.socket.read(&mut self.room[have..])?;
            if read == 0 {
                return Err(wrong("the head did not come"));
            }
            have += read;
            let end = self.room[..have]
                .windows(4)
                .position(|at| at == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
        };
        let text = &self.room[..head];
        if !text.starts_with(b"HTTP/1.1 200 ") {
            return Err(wrong(String::from_utf8_lossy(text)));
        }
        let chunked = text.windows(7).any(|at| at == b"chunked");
        let wire = match chunked {
            true => {
                let overhead = format!("{frame:X}\r\n\r\n").len() as u64;
                octets + octets / frame as u64 * overhead + 5
            }
            false => octets,
        };
        let mut tail = [0; 5];
        keep_tail(&mut tail, &self.room[head..have]);
        let mut got = (have - head) as u64;
        while got < wire {
            let read = self.socket.read(&mut self.room)?;
            if read == 0 {
                return Err(wrong(format!("{got} octets of {wire}")));
            }
            keep_tail(&mut tail, &self.room[..read]);
            got += read as u64;
        }
        if got > wire || (chunked && &tail != b"0\r\n\r\n") {
            return Err(wrong(format!(
                "{got} octets of {wire}, at the end {tail:?}"
            )));
        }
        Ok(())
    }
}

fn keep_tail(tail: &mut [u8; 5], octets: &[u8]) {
    match octets.len() {
        0 => {}
        len @ 1..5 => {
            tail.rotate_left(len);
            tail[5 - len..].copy_from_slice(octets);
        }
        len => tail.copy_from_slice(&octets[len - 5..]),
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;

/// HTTP/2 with prior knowledge; its windows are so large that they never open again.
pub struct Http2 {
    socket: TcpStream,
    room: Vec<u8>,
    /// Octets in `room` that are not worked off.
    have: usize,
    /// Octets of a DATA frame that are still to come.
    skip: usize,
    ends_stream: bool,
    out: Vec<u8>,
    next: u32,
    pub octets: u64,
    pub ended: u64,
}

impl Http2 {
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let mut settings = vec![0, 4];
        settings.extend_from_slice(&LARGEST_WINDOW.to_be_bytes());
        frame(&mut out, SETTINGS, 0, 0, &settings);
        let more = LARGEST_WINDOW - 65_535;
        frame(&mut out, WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        Ok(Self {
            socket: connect(addr)?,
            room: vec![0; ROOM],
            have: 0,
            skip: 0,
            ends_stream: false,
            out,
            next: 1,
            octets: 0,
            ended: 0,
        })
    }

    /// Queues a request; [`Http2::read`] sends it.
    pub fn ask(&mut self, target: &str) {
        // Indexed :method GET and :scheme http, literal :path and :authority (RFC 7541 appendix A).
        let mut block = vec![0x82, 0x86];
        for (name, value) in [(0x04, target), (0x01, "localhost")] {
            block.extend_from_slice(&[name, value.len() as u8]);
            block.extend_from_slice(value.as_bytes());
        }
        frame(
            &mut self.out,
            HEADERS,
            END_HEADERS | END_STREAM,
            self.next,
            &block,
        );
        self.next += 2;
    }

    /// Resets the stream that was asked for last, with CANCEL.
    pub fn reset(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        frame(&mut out, RST_STREAM, 0, self.next - 2, &8u32.to_be_bytes());
        self.socket.write_all(&out)
    }

    /// Sends what is queued, reads once and gives how many streams have ended.
    pub fn read(&mut self) -> io::Result<u64> {
        if !self.out.is_empty() {
            self.socket.write_all(&self.out)?;
            self.out.clear();
        }
        let read = self.socket.read(&mut self.room[self.have..])?;
        if read == 0 {
            return Err(wrong("the connection has ended"));
        }
        self.have += read;
        let before = self.ended;
        let used = self.work_off()?;
        self.room.copy_within(used..self.have, 0);
        self.have -= used;
        Ok(self.ended - before)
    }

    fn work_off(&mut self) -> io::Result<usize> {
        let mut at = 0;
        loop {
            if self.skip > 0 {
                let here = self.skip.min(self.have - at);
                at += here;
                self.skip -= here;
                if self.skip > 0 {
                    return Ok(at);
                }
                self.ended += u64::from(self.ends_stream);
            }
            if self.have - at < 9 {
                return Ok(at);
            }
            let head: [u8; 9] = self.room[at..at + 9]
                .try_into()
                .expect("9 octets are there");
            let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, flags) = (head[3], head[4]);
            if matches!(kind, RST_STREAM | GOAWAY) {
                return Err(wrong(format!("frame {kind} with flags {flags}")));
            }
            if kind == SETTINGS && flags & ACK == 0 {
                frame(&mut self.out, SETTINGS, ACK, 0, &[]);
            }
            self.ends_stream = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
            if kind == DATA {
                self.octets += len as u64;
            }
            at += 9;
            self.skip = len;
            if len == 0 {
                self.ended += u64::from(self.ends_stream);
            }
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}
