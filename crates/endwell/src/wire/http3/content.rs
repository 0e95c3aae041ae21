//! The content of a request that came over HTTP/3.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use h3::server::RequestStream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::frame::code;
use super::inbound::{Broken, Inbound, Piece};
use super::letters::Letters;
use super::malformed::are_malformed_trailers;
use super::section::Undecodable;

/// The content of a request that came over HTTP/3.
///
/// A service that is given to [`Serve::quic`](crate::Serve::quic) takes requests with it; an
/// `axum::Router` and every other service that is generic over the body of its requests does so
/// already. Dropped before its end, it asks the client to send no more of it
/// (`STOP_SENDING(H3_NO_ERROR)`, RFC 9114 section 4.1).
///
/// # Errors
/// [`Http3ContentError`]: the client gave up, or sent another number of octets than its
/// Content-Length said. The end comes only when all that was promised has come.
pub struct Http3Content(Option<Box<Source>>);

struct Source {
    inbound: Inbound,
    letters: Letters,
    fields: RequestStream<Letters, Bytes>,
    /// Octets that Content-Length promises and that have not come.
    left: Option<u64>,
    /// Octets that have come.
    received: u64,
    wanted: Option<Arc<Wanted>>,
}

/// Whether the application asked for content that the client holds back (RFC 9110 section 10.1.1).
#[derive(Debug, Default)]
pub(super) struct Wanted {
    asked: AtomicBool,
    waker: AtomicWaker,
}

impl Wanted {
    fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.asked.load(Ordering::SeqCst)
    }
}

/// Why the content of a request is not whole.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Http3ContentError {
    /// The client reset its side of the stream with this code.
    Reset {
        /// The code (RFC 9114 section 8.1).
        code: u64,
    },
    /// The connection was lost.
    ConnectionLost,
    /// It ended before Content-Length was fulfilled.
    Short {
        /// Octets that came.
        received: u64,
        /// Octets that did not come.
        missing: u64,
    },
    /// More came than Content-Length promised.
    Long {
        /// Octets that were promised.
        promised: u64,
    },
    /// The client broke the protocol.
    Malformed(&'static str),
}

impl fmt::Display for Http3ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset { code } => write!(f, "the client reset its request with {code:#x}"),
            Self::ConnectionLost => f.write_str("the connection was lost"),
            Self::Short { received, missing } => {
                let promised = received + missing;
                write!(f, "the content ended at octet {received} of {promised}")
            }
            Self::Long { promised } => {
                write!(f, "more content came than the {promised} octets promised")
            }
            Self::Malformed(why) => write!(f, "malformed content: {why}"),
        }
    }
}

impl std::error::Error for Http3ContentError {}

impl Http3Content {
    /// No content.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(
        inbound: Inbound,
        letters: Letters,
        fields: RequestStream<Letters, Bytes>,
        promised: Option<u64>,
        wanted: Option<Arc<Wanted>>,
    ) -> Self {
        Self(Some(Box::new(Source {
            inbound,
            letters,
            fields,
            left: promised,
            received: 0,
            wanted,
        })))
    }
}

impl Source {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http3ContentError>>> {
        if let Some(wanted) = self.wanted.take() {
            wanted.ask();
        }
        let piece = ready!(self.inbound.poll_next(cx)).map_err(|broken| match broken {
            Broken::Reset(code) => Http3ContentError::Reset { code },
            Broken::Lost => Http3ContentError::ConnectionLost,
            Broken::Violation(_, why) => Http3ContentError::Malformed(why),
            Broken::TooLarge => Http3ContentError::Malformed("the trailers are too large"),
        })?;
        match piece {
            Piece::Data(octets) => Poll::Ready(Some(self.count(octets).map(Frame::data))),
            Piece::End => Poll::Ready(self.is_whole().err().map(Err)),
            Piece::Fields(frame) => {
                self.is_whole()?;
                self.check(&frame)?;
                self.letters.put(frame);
                self.letters.end();
                let trailers = self.trailers(cx);
                // The end most often comes with them: then nobody has to be asked to stop.
                let _ = self.inbound.poll_next(cx);
                Poll::Ready(trailers.transpose())
            }
        }
    }

    fn count(&mut self, octets: Bytes) -> Result<Bytes, Http3ContentError> {
        let len = octets.len() as u64;
        if let Some(left) = &mut self.left {
            if len > *left {
                let promised = self.received + *left;
                // RFC 9114 section 4.1.2.
                self.inbound.stop(code::MESSAGE_ERROR);
                return Err(Http3ContentError::Long { promised });
            }
            *left -= len;
        }
        self.received += len;
        Ok(octets)
    }

    fn is_whole(&self) -> Result<(), Http3ContentError> {
        match self.left {
            None | Some(0) => Ok(()),
            Some(missing) => Err(Http3ContentError::Short {
                received: self.received,
                missing,
            }),
        }
    }

    /// Whether the application may see these trailers.
    fn check(&mut self, frame: &[u8]) -> Result<(), Http3ContentError> {
        match are_malformed_trailers(frame) {
            Ok(false) => Ok(()),
            Ok(true) => {
                self.inbound.stop(code::MESSAGE_ERROR);
                Err(Http3ContentError::Malformed("the trailers"))
            }
            Err(Undecodable(why)) => {
                self.inbound.violate(code::QPACK_DECOMPRESSION_FAILED, why);
                Err(Http3ContentError::Malformed(why))
            }
        }
    }

    fn trailers(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<Option<Frame<Bytes>>, Http3ContentError> {
        match self.fields.poll_recv_trailers(cx) {
            Poll::Ready(Ok(fields)) => Ok(fields.map(Frame::trailers)),
            Poll::Ready(Err(_)) | Poll::Pending => {
                self.inbound.stop(code::MESSAGE_ERROR);
                Err(Http3ContentError::Malformed("the trailers"))
            }
        }
    }
}

impl HttpBody for Http3Content {
    type Data = Bytes;
    type Error = Http3ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http3ContentError>>> {
        let Some(source) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = ready!(source.poll_frame(cx));
        if !matches!(&polled, Some(Ok(frame)) if frame.is_data()) {
            self.0 = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            None => SizeHint::with_exact(0),
            Some(source) => source.left.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl fmt::Debug for Http3Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.0.as_ref().map(|source| source.left);
        f.debug_struct("Http3Content").field("left", &left).finish()
    }
}
