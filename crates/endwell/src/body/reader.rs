//! A reader as a body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, ReadBuf};

use crate::producer::BoxError;

/// The first frame: small, so that the first octet leaves early.
const FIRST: usize = 32 * 1024;
/// The largest frame: beyond 256 KiB neither throughput nor CPU improved in measurements.
const LARGEST: usize = 256 * 1024;

pin_project! {
    /// A reader as a body whose frames grow while it fills them.
    pub(super) struct ReaderBody<R> {
        #[pin]
        reader: R,
        buffer: BytesMut,
        frame: usize,
    }
}

impl<R> ReaderBody<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            frame: FIRST,
        }
    }
}

impl<R: AsyncRead> HttpBody for ReaderBody<R> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if this.buffer.len() < *this.frame {
            this.buffer.resize(*this.frame, 0);
        }
        let mut read = ReadBuf::new(&mut this.buffer[..*this.frame]);
        if let Err(error) = ready!(this.reader.poll_read(cx, &mut read)) {
            return Poll::Ready(Some(Err(error.into())));
        }
        let filled = read.filled().len();
        if filled == 0 {
            return Poll::Ready(None);
        }
        if filled == *this.frame {
            *this.frame = (*this.frame * 2).min(LARGEST);
        }
        let octets = this.buffer.split_to(filled).freeze();
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }
}
