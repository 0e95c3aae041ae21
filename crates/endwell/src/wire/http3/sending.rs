//! Our half of a request stream: what is written of it, what has arrived, how it ends.
//!
//! Reads: octets. Gives: them to QUIC as the windows allow; a FIN where the response is whole, else a
//! reset. quinn ends a stream that is dropped with a FIN, which says "complete": so the drop of this resets
//! every stream that was not finished.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Kind};
use quinn::{ConnectionError, StoppedError, VarInt, WriteError};
use tokio::time::{Instant, Sleep};

use super::flight::Flight;
use super::frame::{LARGEST_DATA, code, data_header, data_header_octets};
use super::window::Window;
use crate::wire::conn::{Conn, Departed};

/// Up to so many octets of content are copied behind the header of their frame: a second owned chunk
/// costs more.
const COPIED: usize = 2 * 1024;

/// A stream on which a response is sent.
pub(super) struct Sending {
    send: quinn::SendStream,
    stopped: Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>,
    conn: Arc<Conn>,
    quic: quinn::Connection,
    window: Arc<Window>,
    pub(super) flight: Arc<Flight>,
    /// Octets to be written, and what they are.
    queue: Vec<Bytes>,
    kinds: Vec<Kinds>,
    /// How many of them are written.
    at: usize,
    /// Octets in the queue.
    queued: usize,
    /// Octets of content that QUIC has taken.
    sent: u64,
    stall: Option<Stall>,
    state: State,
}

/// A queued piece: so many octets, of which the first ones are no content.
#[derive(Debug, Clone, Copy)]
struct Kinds {
    len: usize,
    head: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Finished,
    Reset,
}

/// The stream is over before its end.
#[derive(Debug, Clone)]
pub(super) struct Gone {
    pub(super) cause: Cause,
    /// As records name what was seen.
    pub(super) signal: &'static str,
}

/// Watches that the client makes progress.
struct Stall {
    /// Octets taken and acknowledged, and chunks under way.
    seen: (u64, u64, u64),
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Sending {
    pub(super) fn new(
        send: quinn::SendStream,
        conn: Arc<Conn>,
        quic: quinn::Connection,
        window: Arc<Window>,
    ) -> Self {
        let stopped = Box::pin(send.stopped());
        Self {
            send,
            stopped,
            conn,
            quic,
            flight: Flight::new(Arc::clone(&window)),
            window,
            queue: Vec::new(),
            kinds: Vec::new(),
            at: 0,
            queued: 0,
            sent: 0,
            stall: None,
            state: State::Open,
        }
    }

    /// Queues octets that are no content.
    pub(super) fn push(&mut self, octets: Bytes) {
        let len = octets.len();
        self.put(octets, Kinds { len, head: len });
    }

    /// Queues content, in DATA frames.
    pub(super) fn push_content(&mut self, mut octets: Bytes) {
        while octets.len() > LARGEST_DATA {
            let frame = octets.split_to(LARGEST_DATA);
            self.push_frame(frame);
        }
        if !octets.is_empty() {
            self.push_frame(octets);
        }
    }

    fn push_frame(&mut self, octets: Bytes) {
        let len = octets.len();
        if len > COPIED {
            self.push(data_header(len));
            self.put(octets, Kinds { len, head: 0 });
            return;
        }
        let (header, head) = data_header_octets(len);
        let mut frame = Vec::with_capacity(head + len);
        frame.extend_from_slice(&header[..head]);
        frame.extend_from_slice(&octets);
        let len = frame.len();
        self.put(frame.into(), Kinds { len, head });
    }

    fn put(&mut self, octets: Bytes, kinds: Kinds) {
        self.queued += kinds.len;
        self.queue
            .push(self.flight.chunk(octets, kinds.len - kinds.head));
        self.kinds.push(kinds);
    }

    /// Octets that wait to be written.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Octets of content that QUIC has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Writes what is queued, as far as the windows allow.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while self.at < self.queue.len() {
            let written = {
                let write = pin!(self.send.write_chunks(&mut self.queue[self.at..]));
                write.poll(cx)
            };
            match written {
                Poll::Ready(Ok(written)) => self.note_written(written.bytes),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.lost(error))),
                Poll::Pending if self.window.follow(&self.quic) => {}
                Poll::Pending => {
                    ready!(self.poll_stalled(cx));
                    return Poll::Ready(Err(self.stalled()));
                }
            }
        }
        self.queue.clear();
        self.kinds.clear();
        self.at = 0;
        self.stall = None;
        Poll::Ready(Ok(()))
    }

    fn note_written(&mut self, mut octets: usize) {
        self.queued -= octets;
        self.window.took(octets);
        self.conn.add_written(octets);
        while octets > 0 {
            let kinds = &mut self.kinds[self.at];
            let part = octets.min(kinds.len);
            let head = part.min(kinds.head);
            kinds.head -= head;
            kinds.len -= part;
            self.sent += (part - head) as u64;
            octets -= part;
            if kinds.len == 0 {
                self.at += 1;
            }
        }
    }

    /// The round-trip time.
    pub(super) fn round_trip(&self) -> Duration {
        self.quic.rtt()
    }

    /// Waits until the client has stopped the stream, or its connection is lost.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        if self.state != State::Open {
            return Poll::Pending;
        }
        match ready!(self.stopped.as_mut().poll(cx)) {
            Ok(Some(code)) => Poll::Ready(self.stopped_with(code)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(self.lost(error.into())),
        }
    }

    /// Waits until everything written is acknowledged, with the client's progress in sight.
    pub(super) fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.flight.register(cx);
        if self.flight.is_over() {
            self.stall = None;
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(gone) = self.poll_gone(cx) {
            return Poll::Ready(Err(gone));
        }
        ready!(self.poll_stalled(cx));
        Poll::Ready(Err(self.stalled()))
    }

    /// Ends the stream as whole, and waits until the client has it all.
    ///
    /// A client that closes its connection in order may do so before it has acknowledged what came last
    /// (aioquic 1.7 does): if all of it [can have been on its way](Window::was_in_flight), it counts as
    /// having it, as what a kernel has taken does over TCP.
    pub(super) async fn finish(
        &mut self,
        killed: impl Fn(&mut Context<'_>) -> Option<Gone>,
    ) -> Result<(), Gone> {
        if self.send.finish().is_err() {
            return Err(left("the client stopped the stream", "stop_sending"));
        }
        self.state = State::Finished;
        poll_fn(|cx| {
            if let Some(gone) = killed(cx) {
                return Poll::Ready(Err(gone));
            }
            // Of a finished stream: all of it is acknowledged, the FIN too.
            match self.stopped.as_mut().poll(cx) {
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(Some(code))) => return Poll::Ready(Err(self.stopped_with(code))),
                Poll::Ready(Err(error)) => {
                    let gone = self.lost(error.into());
                    let left = self.conn.departed() == Some(Departed::Left);
                    return Poll::Ready(match left && self.window.was_in_flight(&self.quic) {
                        true => Ok(()),
                        false => Err(gone),
                    });
                }
                Poll::Pending => {}
            }
            self.flight.register(cx);
            ready!(self.poll_stalled(cx));
            Poll::Ready(Err(self.stalled()))
        })
        .await
    }

    /// Resets the stream: what has not arrived by now never does.
    pub(super) fn reset(&mut self, code: u64) {
        self.flight.give_up();
        self.state = State::Reset;
        self.drop_queue();
        let code = VarInt::from_u64(code).unwrap_or(code::INTERNAL_ERROR.into());
        let _ = self.send.reset(code);
    }

    /// Throws away what QUIC has not taken; that counts as taken, for its chunks are let go as if it were.
    fn drop_queue(&mut self) {
        self.window.took(std::mem::take(&mut self.queued));
        self.queue.clear();
        self.kinds.clear();
        self.at = 0;
    }

    /// Waits until the client has made no progress for the policy's time.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline() else {
            return Poll::Pending;
        };
        let seen = (self.sent, self.flight.acked(), self.flight.chunks());
        let now = Instant::now();
        let stall = self.stall.get_or_insert_with(|| Stall {
            seen,
            since: now,
            timer: Box::pin(tokio::time::sleep(deadline)),
        });
        loop {
            ready!(stall.timer.as_mut().poll(cx));
            if seen != stall.seen {
                stall.seen = seen;
                stall.since = now;
            }
            if now.saturating_duration_since(stall.since) >= deadline {
                return Poll::Ready(());
            }
            // Looking four times a deadline finds a stall at most a quarter late.
            stall.timer.as_mut().reset(now + deadline / 4);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        self.conn.policy()?.stall_deadline
    }

    fn stalled(&self) -> Gone {
        Gone {
            cause: Cause::new(
                Kind::WriteTimeout,
                "the client took nothing of the response",
            ),
            signal: "timeout",
        }
    }

    fn stopped_with(&self, code: VarInt) -> Gone {
        let message = format!(
            "the client stopped the stream with {:#x}",
            code.into_inner()
        );
        left(&message, "stop_sending")
    }

    fn lost(&self, error: WriteError) -> Gone {
        match error {
            WriteError::Stopped(code) => self.stopped_with(code),
            WriteError::ConnectionLost(error) => {
                self.window.note_lost();
                note_lost(&self.conn, &error);
                let (cause, signal) = self.conn.why_gone();
                Gone { cause, signal }
            }
            WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                left("the stream is closed", "close")
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        match self.state {
            State::Open => self.reset(code::INTERNAL_ERROR.into()),
            // What is not acknowledged by now is nobody's any more.
            State::Finished | State::Reset => {
                self.flight.give_up();
                self.drop_queue();
            }
        }
    }
}

fn left(message: &str, signal: &'static str) -> Gone {
    Gone {
        cause: Cause::new(Kind::ClientGone, message.to_owned()),
        signal,
    }
}

/// Some clients close with QUIC's code of no error, and not with that of HTTP/3.
fn is_no_error(code: VarInt) -> bool {
    code == VarInt::from_u32(0) || code == VarInt::from_u32(code::NO_ERROR)
}

/// Notes how the connection was lost, for everything on it.
pub(super) fn note_lost(conn: &Conn, error: &ConnectionError) {
    conn.note_departed(match error {
        ConnectionError::TimedOut => Departed::Silent,
        ConnectionError::ApplicationClosed(close) if is_no_error(close.error_code) => {
            Departed::Left
        }
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) => {
            Departed::Closed
        }
        ConnectionError::Reset => Departed::Rst,
        ConnectionError::LocallyClosed
        | ConnectionError::TransportError(_)
        | ConnectionError::VersionMismatch
        | ConnectionError::CidsExhausted => Departed::Dropped,
    });
}

#[cfg(test)]
mod tests {
    use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
    use quinn::{ClientConfig, Connection, Endpoint, ReadToEndError};
    use rustls::RootCertStore;

    use super::*;
    use crate::wire::http3::Session;
    use crate::wire::http3::adapter::Opened;

    type Ends = (Endpoint, [Connection; 2]);

    /// A stream as the server gets it, and the client that reads it. The endpoints live as long as both.
    async fn opened() -> (Opened, quinn::RecvStream, Ends) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        server.alpn_protocols = vec![b"h3".to_vec()];
        let crypto = Arc::new(QuicServerConfig::try_from(server).unwrap());
        let config = quinn::ServerConfig::with_crypto(crypto);
        let listener = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = tokio::spawn(async move { listener.accept().await.unwrap().await.unwrap() });

        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let connecting = client.connect_with(config, addr, "localhost").unwrap();
        let connection = connecting.await.unwrap();
        let (mut asks, recv) = connection.open_bi().await.unwrap();
        asks.write_all(b"?").await.unwrap();
        asks.finish().unwrap();

        let quic = accepted.await.unwrap();
        let (send, asked) = quic.accept_bi().await.unwrap();
        (Opened::new(send, asked), recv, (client, [connection, quic]))
    }

    /// The same, with a response on it.
    async fn stream() -> (Sending, quinn::RecvStream, Ends) {
        let (mut opened, recv, ends) = opened().await;
        let quic = ends.1[1].clone();
        let (send, _) = opened.take().unwrap();
        let sending = Sending::new(send, Session::conn(&quic), quic, Arc::default());
        (sending, recv, ends)
    }

    #[tokio::test]
    async fn a_stream_that_nobody_serves_is_rejected_and_never_ended() {
        let (opened, mut recv, _client) = opened().await;
        drop(opened);
        let read = recv.read_to_end(100).await;
        let reset = quinn::ReadError::Reset(code::REQUEST_REJECTED.into());
        assert!(
            matches!(&read, Err(ReadToEndError::Read(error)) if *error == reset),
            "{read:?}"
        );
    }

    #[tokio::test]
    async fn a_stream_that_is_dropped_is_reset_and_never_ended() {
        let (mut sending, mut recv, _client) = stream().await;
        sending.push_content(Bytes::from_static(b"not all of it"));
        poll_fn(|cx| sending.poll_write(cx)).await.unwrap();
        drop(sending);
        let read = recv.read_to_end(100).await;
        let reset = quinn::ReadError::Reset(code::INTERNAL_ERROR.into());
        assert!(
            matches!(&read, Err(ReadToEndError::Read(error)) if *error == reset),
            "{read:?}"
        );
    }

    #[tokio::test]
    async fn a_finished_stream_is_over_when_its_last_octet_is_acknowledged() {
        let (mut sending, mut recv, _client) = stream().await;
        sending.push_content(Bytes::from(vec![7; LARGEST_DATA + 3]));
        assert_eq!(sending.queued(), LARGEST_DATA + 5 + 3 + 2);
        let write = async {
            poll_fn(|cx| sending.poll_write(cx)).await.unwrap();
            sending.finish(|_| None).await.unwrap();
        };
        let (read, ()) = tokio::join!(recv.read_to_end(1 << 20), write);
        assert_eq!(read.unwrap().len(), LARGEST_DATA + 5 + 3 + 2);
        assert_eq!(sending.sent(), LARGEST_DATA as u64 + 3);
        assert_eq!(sending.flight.acked(), LARGEST_DATA as u64 + 3);
        assert!(sending.flight.is_over());
    }

    #[tokio::test]
    async fn a_client_that_stops_the_stream_is_noticed_and_what_it_left_did_not_arrive() {
        let (mut sending, mut recv, _client) = stream().await;
        sending.push_content(Bytes::from(vec![7; 9 << 20]));
        let gone = async { poll_fn(|cx| sending.poll_write(cx)).await.unwrap_err() };
        let stop = async {
            recv.read_chunk(1000, true).await.unwrap();
            recv.stop(0x10c_u32.into()).unwrap();
        };
        let (gone, ()) = tokio::join!(gone, stop);
        assert_eq!(gone.signal, "stop_sending");
        sending.reset(0x10c);
        assert!(sending.flight.is_over());
        assert!(sending.flight.acked() <= sending.sent() && sending.sent() < 9 << 20);
    }
}
