//! What a client sends on a request stream, frame by frame, with no more in memory than a head may have.
//!
//! Reads: octets of the stream. Gives: whole HEADERS frames, content, the end. h3's own reader keeps
//! every incomplete frame, however long it says it is, and reads on while small frames wait in its
//! buffer; so it is given whole HEADERS frames of bounded size and nothing else.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};

use super::frame::{DATA, HEADERS, LARGEST_HEAD, code, varint};

/// What is set aside for fields of which nothing has come.
const AT_ONCE: usize = 4 * 1024;

/// A part of a request.
#[derive(Debug)]
pub(super) enum Piece {
    /// A HEADERS frame, its own header included.
    Fields(Bytes),
    Data(Bytes),
    End,
}

/// Why a request's stream gives no more.
#[derive(Debug, Clone)]
pub(super) enum Broken {
    /// The client has reset it.
    Reset(u64),
    /// The connection is lost.
    Lost,
    /// The client has broken the protocol: the connection ends with this code.
    Violation(u32, &'static str),
    /// Fields of so many octets, which are too many.
    TooLarge,
}

/// The client's half of a request stream; dropped before its end, it asks the client to stop.
pub(super) struct Inbound {
    recv: quinn::RecvStream,
    quic: quinn::Connection,
    /// Octets that were read and not looked at.
    unread: Bytes,
    state: State,
    /// Octets that a HEADERS frame may have.
    limit: usize,
    /// How many HEADERS frames have come.
    heads: u8,
    /// Why there is no more. It stays: quinn tells of a reset once, and of an end from then on.
    broken: Option<Broken>,
    over: bool,
}

enum State {
    /// A frame's type and length, as far as they have come.
    Header([u8; 16], usize),
    Fields(BytesMut, usize),
    Data(u64),
    /// A frame of a type that nobody knows.
    Skip(u64),
}

const START: State = State::Header([0; 16], 0);

impl Inbound {
    pub(super) fn new(recv: quinn::RecvStream, quic: quinn::Connection, limit: usize) -> Self {
        Self {
            recv,
            quic,
            unread: Bytes::new(),
            state: START,
            limit: limit.min(LARGEST_HEAD),
            heads: 0,
            broken: None,
            over: false,
        }
    }

    /// The next part. After the end it is the end again, and after an error the error.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        let polled = self.poll_frames(cx);
        match &polled {
            Poll::Ready(Ok(Piece::End)) => self.over = true,
            Poll::Ready(Err(broken)) if self.broken.is_none() => self.note(broken.clone()),
            _ => {}
        }
        polled
    }

    fn note(&mut self, broken: Broken) {
        match &broken {
            Broken::Violation(code, why) => {
                self.over = true;
                self.quic.close((*code).into(), why.as_bytes());
            }
            // The response that says so is whole: RFC 9114 section 4.1 has this code for it.
            Broken::TooLarge => self.stop(code::NO_ERROR),
            Broken::Reset(_) | Broken::Lost => self.over = true,
        }
        self.broken = Some(broken);
    }

    /// Whether the client has already ended the stream, here. What has come stays, an error too.
    pub(super) fn is_at_end(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        if !self.unread.is_empty() || !matches!(self.state, State::Header(_, 0)) {
            return false;
        }
        match self.poll_read(&mut nobody) {
            Poll::Ready(Ok(false)) => {
                self.over = true;
                true
            }
            Poll::Ready(Err(broken)) => {
                self.note(broken);
                false
            }
            Poll::Ready(Ok(true)) | Poll::Pending => false,
        }
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        if let Some(broken) = &self.broken {
            return Poll::Ready(Err(broken.clone()));
        }
        if self.over {
            return Poll::Ready(Ok(Piece::End));
        }
        loop {
            if self.unread.is_empty() && !ready!(self.poll_read(cx))? {
                return Poll::Ready(self.end());
            }
            match &mut self.state {
                State::Header(header, have) => {
                    header[*have] = self.unread.get_u8();
                    *have += 1;
                    let header = *header;
                    let have = *have;
                    if let Some(state) = self.frame(&header[..have])? {
                        self.state = state;
                    }
                }
                State::Fields(fields, whole) => {
                    let part = self.unread.len().min(*whole - fields.len());
                    fields.extend_from_slice(&self.unread.split_to(part));
                    if fields.len() == *whole {
                        let fields = std::mem::take(fields).freeze();
                        self.state = START;
                        return Poll::Ready(Ok(Piece::Fields(fields)));
                    }
                }
                State::Data(left) => {
                    let part = take(&mut self.unread, left);
                    if *left == 0 {
                        self.state = START;
                    }
                    return Poll::Ready(Ok(Piece::Data(part)));
                }
                State::Skip(left) => {
                    take(&mut self.unread, left);
                    if *left == 0 {
                        self.state = START;
                    }
                }
            }
        }
    }

    /// What follows the header of a frame; `None` while it is not whole, and after an empty frame.
    fn frame(&mut self, header: &[u8]) -> Result<Option<State>, Broken> {
        let Some((kind, at)) = varint(header) else {
            return Ok(None);
        };
        let Some((length, len)) = varint(&header[at..]) else {
            return Ok(None);
        };
        let unexpected = |why| Err(Broken::Violation(code::FRAME_UNEXPECTED, why));
        match kind {
            DATA if self.heads == 0 => unexpected("DATA before HEADERS"),
            DATA | HEADERS if self.heads > 1 => unexpected("a frame after the trailers"),
            DATA if length == 0 => Ok(Some(START)),
            DATA => Ok(Some(State::Data(length))),
            HEADERS => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > self.limit {
                    return Err(Broken::TooLarge);
                }
                self.heads += 1;
                let whole = at + len + length;
                let mut fields = BytesMut::with_capacity(whole.min(AT_ONCE));
                fields.extend_from_slice(&header[..at + len]);
                Ok(Some(State::Fields(fields, whole)))
            }
            // CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID; and what HTTP/2 had there
            // (RFC 9114 sections 7.2 and 7.2.8).
            0x2..=0x9 | 0xd => unexpected("a frame that belongs on no request stream"),
            _ if length == 0 => Ok(Some(START)),
            _ => Ok(Some(State::Skip(length))),
        }
    }

    /// The stream has ended: whether it may end here.
    fn end(&self) -> Result<Piece, Broken> {
        match &self.state {
            State::Header(_, 0) => Ok(Piece::End),
            // RFC 9114 section 7.1.
            _ => Err(Broken::Violation(
                code::FRAME_ERROR,
                "the stream ended inside of a frame",
            )),
        }
    }

    /// Reads; whether there was anything.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Broken>> {
        let read = pin!(self.recv.read_chunk(usize::MAX, true));
        Poll::Ready(match ready!(read.poll(cx)) {
            Ok(Some(chunk)) => {
                self.unread = chunk.bytes;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(quinn::ReadError::Reset(code)) => Err(Broken::Reset(code.into_inner())),
            Err(_) => Err(Broken::Lost),
        })
    }

    /// The client has broken the protocol: the connection ends with this code.
    pub(super) fn violate(&mut self, code: u32, why: &str) {
        self.over = true;
        self.quic.close(code.into(), why.as_bytes());
    }

    /// Asks the client to send no more.
    pub(super) fn stop(&mut self, code: u32) {
        self.over = true;
        let _ = self.recv.stop(code.into());
    }
}

fn take(unread: &mut Bytes, left: &mut u64) -> Bytes {
    let part = usize::try_from(*left).map_or(unread.len(), |left| left.min(unread.len()));
    *left -= part as u64;
    unread.split_to(part)
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if !self.over {
            // What is not needed is not asked for (RFC 9114 section 4.1).
            self.stop(code::NO_ERROR);
        }
    }
}
