//! The transport as the HTTP implementation sees it: it counts, it notices a stalled peer, and
//! its drop closes the connection the right way.
//!
//! hyper writes to it, above TLS. hyper's HTTP/1 and h2 flush it only when their own buffers
//! are empty, so a completed flush means that everything written has left user space.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use endwell_core::{Cause, Kind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::close;
use super::conn::{Close, Conn, Departed, Message};
use super::head::{Heard, Line, answer, ends_head};
use super::pings::{self, Inbound};
use super::transport::Transport;

/// A connection of our listener, as stream for the HTTP implementation.
pub struct WireIo {
    transport: Option<Transport>,
    conn: Arc<Conn>,
    stall: Option<Stall>,
    /// The first line of the head under way, after so many requests; `None` if its beginning was
    /// not seen.
    line: (u64, Option<Line>),
    /// What was read last ended as a head does.
    head_ended: bool,
    /// Where in the peer's frames its octets stand.
    inbound: Inbound,
    /// What is left to write of a PING of ours.
    ping: pings::Rest,
    shut: bool,
}

/// Looks from time to time whether the peer still takes octets.
struct Stall {
    look: Pin<Box<Sleep>>,
    every: Duration,
    /// What the connection had written, and its peer acknowledged, when it last moved.
    moved: (u64, Option<u64>),
    moved_at: Instant,
    streams: Vec<Stream>,
}

/// A stream of HTTP/2 with octets on their way.
struct Stream {
    exchange: std::sync::Weak<dyn Message>,
    left: u64,
    since: Instant,
}

/// A stream that stands still while others move is given so many deadlines.
const PATIENCE: u32 = 4;

impl WireIo {
    pub(crate) fn new(transport: Transport, conn: Arc<Conn>) -> Self {
        Self {
            transport: Some(transport),
            conn,
            stall: None,
            line: (0, Some(Line::default())),
            head_ended: true,
            inbound: Inbound::default(),
            ping: pings::Rest::default(),
            shut: false,
        }
    }

    pub(crate) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    fn transport(&mut self) -> io::Result<Pin<&mut Transport>> {
        let transport = self.transport.as_mut();
        transport
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes what is left of a PING, before anything else goes.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.ping.left() {
            // Not `self.transport()`: the octets are borrowed from `self` too.
            let Some(transport) = self.transport.as_mut() else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match Pin::new(transport).poll_write(cx, left) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(octets)) => {
                    self.conn.note_written(octets);
                    self.ping.wrote(octets);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.conn.note_blocked();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn note<T>(&mut self, result: &Poll<io::Result<T>>, cx: &mut Context<'_>) -> io::Result<()> {
        match result {
            Poll::Ready(Ok(_)) if !self.conn.is_crowded() => {}
            // TLS without close_notify: the peer has closed, if not in order.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.conn.note_read_end();
            }
            Poll::Ready(Err(_)) => self.conn.note_departed(Departed::Rst),
            // A body that waits for room leaves nothing to write: the peer may stall all the same.
            Poll::Ready(Ok(_)) | Poll::Pending => {
                self.conn.register_driver(cx);
                if let Some(cause) = self.conn.killed() {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, cause.clone()));
                }
                self.poll_stall(cx)?;
            }
        }
        Ok(())
    }

    /// Looks at octets of a head, once limits are set.
    ///
    /// Where a head begins among octets of others (pipelined, or behind a body) only hyper knows:
    /// of such a head nothing is said but that it has begun, once more of it comes.
    fn hear(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(limits) = self.conn.limits() else {
            return Ok(());
        };
        if self.conn.is_multiplexed() || self.conn.is_tunnel() {
            return Ok(());
        }
        let head_ended = std::mem::replace(&mut self.head_ended, ends_head(octets));
        if !self.conn.is_idle() {
            return Ok(());
        }
        let requests = self.conn.requests();
        if self.line.0 != requests {
            let begins = head_ended && !self.conn.has_content();
            self.line = (requests, begins.then(Line::default));
        }
        let Some(line) = &mut self.line.1 else {
            self.conn.note_head();
            return Ok(());
        };
        let (status, message) = match line.hear(octets, limits.target, limits.head) {
            Heard::Nothing | Heard::Preface => return Ok(()),
            Heard::Http2 => {
                self.conn.note_multiplexed();
                return Ok(());
            }
            Heard::Head => {
                self.conn.note_head();
                return Ok(());
            }
            Heard::TargetTooLong => ("414 URI Too Long", "the target is too long"),
            Heard::TooLarge => (
                "431 Request Header Fields Too Large",
                "the head is too large",
            ),
        };
        self.conn.close_by(Close::Answer(answer(status)));
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    /// Kills the connection when the peer has taken nothing for the policy's stall deadline.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(deadline) = self.conn.policy().and_then(|policy| policy.stall_deadline) else {
            return Ok(());
        };
        if self.stall.is_none() {
            if self.conn.is_idle() {
                return Ok(());
            }
            self.stall = Some(Stall::new(deadline, &self.conn));
        }
        while let Some(stall) = &mut self.stall {
            if stall.look.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            if stall.is_due(&self.conn, deadline) {
                let message = format!("the client took nothing for {} ms", deadline.as_millis());
                let cause = Cause::new(Kind::WriteTimeout, message);
                self.conn.kill(cause.clone());
                return Err(io::Error::new(io::ErrorKind::TimedOut, cause));
            }
            if self.conn.is_idle() {
                self.stall = None;
            }
        }
        Ok(())
    }
}

impl Stall {
    fn new(deadline: Duration, conn: &Conn) -> Self {
        // Looking four times a deadline finds a stall at most a quarter late.
        let every = (deadline / 4).max(Duration::from_millis(1));
        Self {
            look: Box::pin(tokio::time::sleep(every)),
            every,
            moved: (conn.written(), conn.acked()),
            moved_at: Instant::now(),
            streams: Vec::new(),
        }
    }

    fn is_due(&mut self, conn: &Conn, deadline: Duration) -> bool {
        let now = Instant::now();
        self.look.as_mut().reset(now + self.every);
        // A socket is writable only once a third of its buffer is free: a slow peer takes octets
        // for minutes before that.
        let moved = (conn.written(), conn.acked());
        if moved != self.moved || !(conn.is_blocked() || self.has_waiting(conn)) {
            self.moved = moved;
            self.moved_at = now;
        }
        let connection_still = now - self.moved_at >= deadline;
        self.follow_streams(conn, now);
        let stream_still = self.streams.iter().any(|stream| {
            let still = now - stream.since;
            (connection_still && still >= deadline) || still >= deadline * PATIENCE
        });
        (connection_still && conn.is_blocked()) || stream_still
    }

    fn has_waiting(&self, conn: &Conn) -> bool {
        conn.live()
            .iter()
            .any(|message| message.progress().waiting > 0)
    }

    /// Keeps when each stream with octets on their way last moved.
    fn follow_streams(&mut self, conn: &Conn, now: Instant) {
        let mut streams = Vec::new();
        for exchange in conn.live() {
            let progress = exchange.progress();
            if progress.waiting == 0 {
                continue;
            }
            let weak = Arc::downgrade(&exchange);
            let since = self
                .streams
                .iter()
                .find(|known| known.exchange.ptr_eq(&weak) && known.left == progress.left)
                .map_or(now, |known| known.since);
            streams.push(Stream {
                exchange: weak,
                left: progress.left,
                since,
            });
        }
        self.streams = streams;
    }
}

impl AsyncRead for WireIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let (result, octets) = loop {
            let result = self.transport()?.poll_read(cx, buf);
            let octets = buf.filled().len() - before;
            self.conn.note_read(octets > 0);
            if octets > 0 {
                self.hear(&buf.filled()[before..])?;
                let Self { inbound, conn, .. } = &mut *self;
                inbound.hear(conn.pings(), buf, before);
                if buf.filled().len() == before {
                    // Nothing but an answer to us: to give nothing would be the end.
                    continue;
                }
            }
            break (result, octets);
        };
        if octets == 0 && matches!(result, Poll::Ready(Ok(()))) && buf.remaining() > 0 {
            self.conn.note_read_end();
        }
        self.note(&result, cx)?;
        result
    }
}

impl AsyncWrite for WireIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = match self.poll_ping(cx) {
            Poll::Ready(Ok(())) => self.transport()?.poll_write(cx, buf),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match &result {
            Poll::Ready(Ok(octets)) => self.conn.note_written(*octets),
            Poll::Pending => self.conn.note_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        self.note(&result, cx)?;
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match self.poll_ping(cx) {
            Poll::Ready(Ok(())) => self.transport()?.poll_write_vectored(cx, bufs),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match &result {
            Poll::Ready(Ok(octets)) => self.conn.note_written(*octets),
            Poll::Pending => self.conn.note_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        self.note(&result, cx)?;
        result
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(ping) = self.conn.pings().due() {
            // h2 flushes when its own buffers are empty: no frame is under way.
            self.ping.begin(ping);
        }
        let result = match self.poll_ping(cx) {
            Poll::Ready(Ok(())) => self.transport()?.poll_flush(cx),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        };
        match &result {
            Poll::Ready(Ok(())) => self.conn.note_flushed(),
            Poll::Pending => self.conn.note_blocked(),
            Poll::Ready(Err(_)) => {}
        }
        self.note(&result, cx)?;
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.conn.has_broken_message() || self.conn.is_unproven() {
            // An orderly end here would make a broken body look whole: the drop decides.
            return Poll::Ready(Ok(()));
        }
        self.conn.disarm_reset();
        let result = self.transport()?.poll_shutdown(cx);
        if result.is_ready() {
            self.shut = true;
        }
        self.note(&result, cx)?;
        result
    }
}

impl Drop for WireIo {
    fn drop(&mut self) {
        for exchange in self.conn.take_unflushed() {
            exchange.undelivered();
        }
        self.conn.note_departed(Departed::Dropped);
        if let Some(transport) = self.transport.take() {
            close::close(transport, Arc::clone(&self.conn), self.shut);
        }
    }
}

impl std::fmt::Debug for WireIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireIo")
            .field("conn", &self.conn)
            .finish_non_exhaustive()
    }
}
