//! Observes HTTP/1.0 and HTTP/1.1 responses.
//!
//! Reads: a [`Transport`], at a [`Pace`].
//! Gives: a [`Seen`] per response; a [`Session`] for keep-alive and for leaving in every way.
//! Never: sends anything by itself.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::response::Response;
use super::seen::{Seen, SeenEnd};
use super::transport::{ClientTls, Transport, TransportEnd};

/// The octets of a request.
///
/// # Examples
/// ```
/// use endwell_lab::observe::http1::Request;
/// let request = Request::get11("/a").with("TE", "trailers");
/// assert_eq!(request.text, b"GET /a HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\n\r\n");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is written, head and body.
    pub text: Vec<u8>,
}

impl Request {
    /// Makes an HTTP/1.0 GET.
    #[must_use]
    pub fn get10(path: &str) -> Self {
        Self::raw(format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    /// Makes an HTTP/1.1 GET for host `localhost`.
    #[must_use]
    pub fn get11(path: &str) -> Self {
        Self::raw(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Makes an HTTP/1.1 HEAD for host `localhost`.
    #[must_use]
    pub fn head11(path: &str) -> Self {
        Self::raw(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// Takes the octets as they are.
    #[must_use]
    pub fn raw(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into() }
    }

    /// Adds a field at the end of the head; only for a request without a body.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if self.text.ends_with(b"\r\n\r\n") {
            self.text.truncate(self.text.len() - 2);
        }
        let line = format!("{name}: {value}\r\n\r\n");
        self.text.extend_from_slice(line.as_bytes());
        self
    }

    fn is_head(&self) -> bool {
        self.text.starts_with(b"HEAD ")
    }
}

/// Sends one request on a new connection and reads its response until it or the connection has ended.
///
/// A connection that cannot be made is seen as [`SeenEnd::Io`].
#[must_use]
pub fn observe(addr: SocketAddr, tls: Option<&ClientTls>, request: &Request, pace: &Pace) -> Seen {
    let mut session = match Session::connect(addr, tls, pace) {
        Ok(session) => session,
        Err(error) => return Seen::unreached(&error),
    };
    let mut seen = session.exchange(request);
    session.count_late(&mut seen);
    session.close();
    seen
}

/// A connection for several requests, and for leaving it in every way.
#[derive(Debug)]
pub struct Session {
    transport: Transport,
    pace: Pace,
    /// Octets read beyond the last response.
    pending: Vec<u8>,
    response: Option<Response>,
    answers_head: bool,
    sent_at: Instant,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// As [`Transport::connect`].
    pub fn connect(addr: SocketAddr, tls: Option<&ClientTls>, pace: &Pace) -> io::Result<Self> {
        Ok(Self {
            transport: Transport::connect(addr, tls, pace)?,
            pace: pace.clone(),
            pending: Vec::new(),
            response: None,
            answers_head: false,
            sent_at: Instant::now(),
        })
    }

    /// Sends a request; clocks count from here.
    ///
    /// # Errors
    /// As [`Transport::write`]; the response may be there nevertheless.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.answers_head = request.is_head();
        let result = self.transport.write(&request.text);
        self.sent_at = Instant::now();
        self.transport.begin();
        result
    }

    /// Writes octets as they are, outside of any request.
    ///
    /// # Errors
    /// As [`Transport::write`].
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.transport.write(octets)
    }

    /// Reads a response until it or the connection has ended; stays afterwards if the pace says so.
    pub fn read(&mut self) -> Seen {
        let mut seen = self.read_until(|_| false);
        self.response = None;
        if let Some(stay) = self.pace.stay {
            self.stay(&mut seen, stay);
        }
        seen
    }

    /// Reads until `stop` says so, or as [`Session::read`]; reading may go on afterwards.
    ///
    /// A response that goes on has the end [`SeenEnd::Open`]. The next call takes up the same response,
    /// unless it had ended.
    pub fn read_until(&mut self, mut stop: impl FnMut(&Seen) -> bool) -> Seen {
        let fresh = || Response::new(self.answers_head, self.pace.body_limit);
        let mut response = self.response.take().unwrap_or_else(fresh);
        let until = self.sent_at + self.pace.deadline;
        let mut octets = std::mem::take(&mut self.pending);
        loop {
            let used = response.push(&octets, self.sent_at.elapsed());
            octets.drain(..used);
            if response.is_ended() || stop(response.seen()) {
                break;
            }
            if let Err(end) = self.transport.read(&mut octets, until) {
                response.finish(end.into(), self.sent_at.elapsed());
                break;
            }
        }
        self.pending = octets;
        let ended = response.is_ended();
        let mut seen = response.seen().clone();
        seen.close_notify = self.transport.close_notify();
        if !ended {
            seen.ended_after = self.sent_at.elapsed();
            self.response = Some(response);
        }
        seen
    }

    /// Sends a request and reads its response.
    ///
    /// A write that fails does not end the observation: the response may have come before.
    pub fn exchange(&mut self, request: &Request) -> Seen {
        // The reason of a failed write shows when reading: a reset, a FIN or the deadline.
        let _ = self.send(request);
        self.read()
    }

    /// Watches the connection this long: gives how it ended, or [`SeenEnd::Open`].
    ///
    /// Octets that come are kept for the next response.
    pub fn watch(&mut self, how_long: Duration) -> SeenEnd {
        let until = Instant::now() + how_long;
        while self.pending.len() <= self.pace.body_limit {
            match self.transport.read(&mut self.pending, until) {
                Ok(_) => {}
                Err(TransportEnd::TimedOut) => return SeenEnd::Open,
                Err(end) => return end.into(),
            }
        }
        SeenEnd::TooLarge(format!("over {} octets", self.pace.body_limit))
    }

    /// Gives our end of the connection.
    ///
    /// # Errors
    /// As [`Transport::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }

    /// Leaves politely: close_notify under TLS, then close. Merely dropping the session leaves out the close_notify.
    pub fn close(self) {
        self.transport.close();
    }

    /// Leaves by a TCP reset.
    pub fn reset(self) {
        self.transport.reset();
    }

    /// Ends our direction only: close_notify under TLS, then FIN.
    ///
    /// # Errors
    /// As [`Transport::half_close`].
    pub fn half_close(&mut self) -> io::Result<()> {
        self.transport.half_close()
    }

    /// Notes what the connection does after the end, unless its end ended the message.
    fn stay(&mut self, seen: &mut Seen, stay: Duration) {
        let over = match &seen.end {
            SeenEnd::LastChunk | SeenEnd::Length | SeenEnd::CloseNotify | SeenEnd::Malformed(_) => {
                false
            }
            SeenEnd::EndStream
            | SeenEnd::Fin
            | SeenEnd::Reset
            | SeenEnd::StreamReset(_)
            | SeenEnd::ConnectionClosed(_)
            | SeenEnd::GoAway { .. }
            | SeenEnd::TimedOut
            | SeenEnd::TooLarge(_)
            | SeenEnd::Tls(_)
            | SeenEnd::Io(_)
            | SeenEnd::Open => true,
        };
        if !over {
            seen.after = Some(self.watch(stay));
            seen.close_notify = self.transport.close_notify();
        }
    }

    fn count_late(&mut self, seen: &mut Seen) {
        if !self.pending.is_empty() {
            seen.note_late(format!("{} octets", self.pending.len()));
        }
    }
}
