//! A QUIC connection as h3 sees it: control streams for h3, request streams for us.
//!
//! Reads: streams that the client opens. Gives: to h3 what [`Reads`] leaves of control streams; to
//! [`super::Session`] each request stream, of which h3 sees the fields.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};

use super::control::{LARGEST_CONTROL, Reads, Violation};
use super::frame::code;
use super::letters::Letters;

/// A request stream that has been opened.
///
/// Dropped before its request is read it is rejected, and may be sent again: quinn would end our half in order.
pub(super) struct Opened {
    pub(super) letters: Letters,
    halves: Option<(quinn::SendStream, quinn::RecvStream)>,
}

impl Opened {
    pub(super) fn new(send: quinn::SendStream, recv: quinn::RecvStream) -> Self {
        Self {
            letters: Letters::new(stream_id(send.id())),
            halves: Some((send, recv)),
        }
    }

    /// Both halves, for who serves it.
    pub(super) fn take(&mut self) -> Option<(quinn::SendStream, quinn::RecvStream)> {
        self.halves.take()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some((mut send, mut recv)) = self.halves.take() {
            // Without effect where the connection is over.
            let _ = recv.stop(code::REQUEST_REJECTED.into());
            let _ = send.reset(code::REQUEST_REJECTED.into());
        }
    }
}

/// Where the request stream is put that h3 is told of.
pub(super) type Slot = Arc<Mutex<Option<Opened>>>;

/// Waits for something of the connection. It is kept until it has come: quinn forgets who waits when the
/// future of an accept or an open is dropped.
type Waiting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>> + Send>>;

/// The connection.
pub(super) struct Quic {
    quic: quinn::Connection,
    requests: Waiting<(quinn::SendStream, quinn::RecvStream)>,
    controls: Waiting<quinn::RecvStream>,
    opening: Opener,
    slot: Slot,
    /// No request is taken any more.
    closing: Arc<AtomicBool>,
    /// How many request streams the client has opened.
    opened: Arc<AtomicU64>,
}

impl Quic {
    pub(super) fn new(quic: quinn::Connection, slot: Slot, closing: Arc<AtomicBool>) -> Self {
        Self {
            requests: request(&quic),
            controls: control(&quic),
            opening: Opener::new(quic.clone()),
            quic,
            slot,
            closing,
            opened: Arc::default(),
        }
    }
}

fn request(quic: &quinn::Connection) -> Waiting<(quinn::SendStream, quinn::RecvStream)> {
    let quic = quic.clone();
    Box::pin(async move { quic.accept_bi().await })
}

fn control(quic: &quinn::Connection) -> Waiting<quinn::RecvStream> {
    let quic = quic.clone();
    Box::pin(async move { quic.accept_uni().await })
}

impl quic::Connection<Bytes> for Quic {
    type RecvStream = Control;
    type OpenStreams = Opener;

    fn poll_accept_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Control, ConnectionErrorIncoming>> {
        let accepted = ready!(self.controls.as_mut().poll(cx));
        self.controls = control(&self.quic);
        let recv = accepted.map_err(lost)?;
        let requests = Arc::clone(&self.opened);
        Poll::Ready(Ok(Control::new(recv, self.quic.clone(), requests)))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Letters, ConnectionErrorIncoming>> {
        loop {
            let accepted = ready!(self.requests.as_mut().poll(cx));
            self.requests = request(&self.quic);
            let (send, recv) = accepted.map_err(lost)?;
            let opened = Opened::new(send, recv);
            self.opened.fetch_add(1, Ordering::Relaxed);
            if self.closing.load(Ordering::Acquire) {
                // GOAWAY has said that nobody looks at it.
                continue;
            }
            let letters = opened.letters.clone();
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
            return Poll::Ready(Ok(letters));
        }
    }

    fn opener(&self) -> Opener {
        Opener::new(self.quic.clone())
    }
}

impl quic::OpenStreams<Bytes> for Quic {
    type BidiStream = Letters;
    type SendStream = Sent;

    fn poll_open_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Letters, StreamErrorIncoming>> {
        self.opening.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sent, StreamErrorIncoming>> {
        self.opening.poll_open_send(cx)
    }

    fn close(&mut self, code: h3::error::Code, reason: &[u8]) {
        self.opening.close(code, reason);
    }
}

/// Opens streams of ours.
pub(super) struct Opener {
    quic: quinn::Connection,
    opening: Option<Waiting<quinn::SendStream>>,
}

impl Opener {
    fn new(quic: quinn::Connection) -> Self {
        Self {
            quic,
            opening: None,
        }
    }
}

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = Letters;
    type SendStream = Sent;

    fn poll_open_bidi(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<Letters, StreamErrorIncoming>> {
        // RFC 9114 section 6.1: a server opens none.
        let error = "a server opens no request streams".to_owned();
        Poll::Ready(Err(StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: ConnectionErrorIncoming::InternalError(error),
        }))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sent, StreamErrorIncoming>> {
        let opening = self.opening.get_or_insert_with(|| {
            let quic = self.quic.clone();
            Box::pin(async move { quic.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        let send = opened.map_err(|error| StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: lost(error),
        })?;
        Poll::Ready(Ok(Sent {
            send,
            waiting: VecDeque::new(),
        }))
    }

    fn close(&mut self, code: h3::error::Code, reason: &[u8]) {
        let code = VarInt::from_u64(code.value()).unwrap_or(code::INTERNAL_ERROR.into());
        self.quic.close(code, reason);
    }
}

/// A control stream of ours.
pub(super) struct Sent {
    send: quinn::SendStream,
    waiting: VecDeque<Bytes>,
}

impl quic::SendStream<Bytes> for Sent {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        while let Some(front) = self.waiting.front_mut() {
            let written = Pin::new(&mut self.send).poll_write(cx, front);
            let written = ready!(written).map_err(|error| match error {
                WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated {
                    error_code: code.into_inner(),
                },
                WriteError::ConnectionLost(error) => StreamErrorIncoming::ConnectionErrorIncoming {
                    connection_error: lost(error),
                },
                error => StreamErrorIncoming::Unknown(Box::new(error)),
            })?;
            front.advance(written);
            if front.is_empty() {
                self.waiting.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let mut data = data.into();
        self.waiting.push_back(data.copy_to_bytes(data.remaining()));
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        let _ = self.send.finish();
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self, code: u64) {
        if let Ok(code) = VarInt::from_u64(code) {
            let _ = self.send.reset(code);
        }
    }

    fn send_id(&self) -> StreamId {
        stream_id(self.send.id())
    }
}

/// A unidirectional stream of the client, whose frames have a limit.
pub(super) struct Control {
    recv: quinn::RecvStream,
    quic: quinn::Connection,
    /// Octets that were read and not looked at.
    unread: Bytes,
    reads: Reads,
    requests: Arc<AtomicU64>,
}

impl Control {
    fn new(recv: quinn::RecvStream, quic: quinn::Connection, requests: Arc<AtomicU64>) -> Self {
        Self {
            recv,
            quic,
            unread: Bytes::new(),
            reads: Reads::new(),
            requests,
        }
    }

    /// Ends the connection.
    fn violate(&self, violation: &Violation) -> StreamErrorIncoming {
        let Violation(code, why) = *violation;
        self.quic.close(code.into(), why.as_bytes());
        StreamErrorIncoming::ConnectionErrorIncoming {
            connection_error: lost(ConnectionError::LocallyClosed),
        }
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let read = pin!(self.recv.read_chunk(LARGEST_CONTROL, true));
        Poll::Ready(match ready!(read.poll(cx)) {
            Ok(chunk) => Ok(chunk.map(|chunk| chunk.bytes)),
            Err(ReadError::Reset(code)) => Err(StreamErrorIncoming::StreamTerminated {
                error_code: code.into_inner(),
            }),
            Err(ReadError::ConnectionLost(error)) => {
                Err(StreamErrorIncoming::ConnectionErrorIncoming {
                    connection_error: lost(error),
                })
            }
            Err(error) => Err(StreamErrorIncoming::Unknown(Box::new(error))),
        })
    }
}

impl quic::RecvStream for Control {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        if self.unread.is_empty() {
            match ready!(self.poll_read(cx))? {
                Some(octets) => self.unread = octets,
                None if self.reads.is_between() => return Poll::Ready(Ok(None)),
                None => {
                    let why = "the stream ended inside of a frame";
                    let error = self.violate(&Violation(code::FRAME_ERROR, why));
                    return Poll::Ready(Err(error));
                }
            }
        }
        let requests = self.requests.load(Ordering::Relaxed);
        match self.reads.read(&mut self.unread, requests) {
            Ok(Some(piece)) => Poll::Ready(Ok(Some(piece))),
            Ok(None) => {
                // A client that sends on and on is not the only one who has a turn.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(violation) => Poll::Ready(Err(self.violate(&violation))),
        }
    }

    fn stop_sending(&mut self, code: u64) {
        if let Ok(code) = VarInt::from_u64(code) {
            let _ = self.recv.stop(code);
        }
    }

    fn recv_id(&self) -> StreamId {
        stream_id(self.recv.id())
    }
}

fn stream_id(id: quinn::StreamId) -> StreamId {
    StreamId::try_from(VarInt::from(id).into_inner()).expect("both allow 62 bits")
}

fn lost(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        ConnectionError::ApplicationClosed(close) => ConnectionErrorIncoming::ApplicationClose {
            error_code: close.error_code.into_inner(),
        },
        error => ConnectionErrorIncoming::Undefined(Arc::new(error)),
    }
}
