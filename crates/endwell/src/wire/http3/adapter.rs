//! A QUIC connection as h3 sees it: control streams for h3, request streams for us.
//!
//! Reads: streams that the client opens. Gives: to h3 its control streams, of which it reads no frame
//! larger than [`LARGEST_CONTROL`]; to [`super::Session`] each request stream, of which h3 sees the fields.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};

use super::frame::{code, varint};
use super::letters::Letters;

/// The largest frame that h3 reads of a control stream. It keeps each until it is whole; SETTINGS has
/// a dozen integers.
const LARGEST_CONTROL: u64 = 4 * 1024;

/// A request stream that has been opened.
pub(super) struct Opened {
    pub(super) letters: Letters,
    pub(super) send: quinn::SendStream,
    pub(super) recv: quinn::RecvStream,
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
        Poll::Ready(Ok(Control::new(recv, self.quic.clone())))
    }

    fn poll_accept_bidi(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Letters, ConnectionErrorIncoming>> {
        loop {
            let accepted = ready!(self.requests.as_mut().poll(cx));
            self.requests = request(&self.quic);
            let (mut send, mut recv) = accepted.map_err(lost)?;
            if self.closing.load(Ordering::Acquire) {
                // GOAWAY has said that nobody looks at it: it may be sent again.
                let _ = recv.stop(code::REQUEST_REJECTED.into());
                let _ = send.reset(code::REQUEST_REJECTED.into());
                continue;
            }
            let letters = Letters::new(stream_id(send.id()));
            let opened = Opened {
                letters: letters.clone(),
                send,
                recv,
            };
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
    reads: Reads,
}

/// Where in a unidirectional stream the next octet stands.
enum Reads {
    /// In the type of the stream.
    Type([u8; 8], usize),
    /// In the header of a frame.
    Header([u8; 16], usize),
    /// In a frame that has so many octets more.
    Frame(u64),
    /// In a stream that has no frames.
    Other,
}

impl Control {
    fn new(recv: quinn::RecvStream, quic: quinn::Connection) -> Self {
        Self {
            recv,
            quic,
            reads: Reads::Type([0; 8], 0),
        }
    }
}

impl quic::RecvStream for Control {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let read = pin!(self.recv.read_chunk(LARGEST_CONTROL as usize, true));
        Poll::Ready(match ready!(read.poll(cx)) {
            Ok(None) => Ok(None),
            Ok(Some(chunk)) if self.reads.allow(&chunk.bytes) => Ok(Some(chunk.bytes)),
            Ok(Some(_)) => {
                let why = "a control frame is too long";
                self.quic.close(code::EXCESSIVE_LOAD.into(), why.as_bytes());
                Err(StreamErrorIncoming::ConnectionErrorIncoming {
                    connection_error: lost(ConnectionError::LocallyClosed),
                })
            }
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

    fn stop_sending(&mut self, code: u64) {
        if let Ok(code) = VarInt::from_u64(code) {
            let _ = self.recv.stop(code);
        }
    }

    fn recv_id(&self) -> StreamId {
        stream_id(self.recv.id())
    }
}

impl Reads {
    /// Follows the frames in what was read; `false` if one says that it is too long.
    fn allow(&mut self, mut octets: &[u8]) -> bool {
        while let Some((octet, rest)) = octets.split_first() {
            match self {
                Self::Type(header, have) => {
                    header[*have] = *octet;
                    *have += 1;
                    octets = rest;
                    if let Some((kind, _)) = varint(&header[..*have]) {
                        // RFC 9114 section 6.2.1: only a control stream has frames that we read.
                        *self = match kind {
                            0 => Self::Header([0; 16], 0),
                            _ => Self::Other,
                        };
                    }
                }
                Self::Header(header, have) => {
                    header[*have] = *octet;
                    *have += 1;
                    octets = rest;
                    let header = &header[..*have];
                    let length = varint(header).and_then(|(_, at)| varint(&header[at..]));
                    if let Some((length, _)) = length {
                        if length > LARGEST_CONTROL {
                            return false;
                        }
                        *self = Self::Frame(length);
                    }
                }
                Self::Frame(0) => *self = Self::Header([0; 16], 0),
                Self::Frame(left) => {
                    let part = octets.len().min(*left as usize);
                    *left -= part as u64;
                    octets = &octets[part..];
                }
                Self::Other => return true,
            }
        }
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(octets: &[&[u8]]) -> bool {
        let mut reads = Reads::Type([0; 8], 0);
        octets.iter().all(|part| reads.allow(part))
    }

    #[test]
    fn control_frames_have_a_limit_and_other_streams_have_no_frames() {
        let settings: &[u8] = &[0x00, 0x04, 0x02, 0x06, 0x20];
        assert!(allows(&[settings, &[0x07, 0x01, 0x00]]));
        assert!(allows(&[settings, &[0x07], &[0x50], &[0x00]]), "4096");
        assert!(!allows(&[settings, &[0x07, 0x50, 0x01]]), "4097");
        assert!(!allows(&[&[0x40], &[0x00], &[0x21, 0xff], &[0xff; 7]]));
        assert!(allows(&[&[0x02], &[0xff; 64]]), "the encoder's stream");
    }
}
