//! A request stream as h3 sees it: frames that were read for it, and frames that it has written.
//!
//! h3 reads and writes fields (QPACK, RFC 9204) and nothing else on request streams. The octets of
//! a stream go through our own hands, because what h3 does with them loses endings: it copies what it
//! sends, keeps what it reads without limit, and checks no length.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h3::quic::{self, StreamErrorIncoming, StreamId, WriteBuf};

/// Both directions of a request stream. Clones share it.
#[derive(Clone)]
pub(super) struct Letters {
    id: StreamId,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    inbox: VecDeque<Bytes>,
    ended: bool,
    outbox: Vec<Bytes>,
    /// h3 refuses the request, with this code.
    refused: Option<u64>,
}

impl Letters {
    pub(super) fn new(id: StreamId) -> Self {
        Self {
            id,
            shared: Arc::default(),
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A whole frame for h3 to read.
    pub(super) fn put(&self, frame: Bytes) {
        self.shared().inbox.push_back(frame);
    }

    /// No more comes.
    pub(super) fn end(&self) {
        self.shared().ended = true;
    }

    /// Frames that h3 has written.
    pub(super) fn take(&self) -> Vec<Bytes> {
        std::mem::take(&mut self.shared().outbox)
    }

    /// The code with which h3 refuses the request.
    pub(super) fn refused(&self) -> Option<u64> {
        self.shared().refused
    }
}

impl quic::RecvStream for Letters {
    type Buf = Bytes;

    fn poll_data(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let mut shared = self.shared();
        match shared.inbox.pop_front() {
            Some(frame) => Poll::Ready(Ok(Some(frame))),
            None if shared.ended => Poll::Ready(Ok(None)),
            // Nobody waits here: what h3 is asked to read has been put in before.
            None => Poll::Pending,
        }
    }

    fn stop_sending(&mut self, code: u64) {
        self.shared().refused.get_or_insert(code);
    }

    fn recv_id(&self) -> StreamId {
        self.id
    }
}

impl quic::SendStream<Bytes> for Letters {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        let mut frame = data.into();
        let frame = frame.copy_to_bytes(frame.remaining());
        self.shared().outbox.push(frame);
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self, code: u64) {
        self.shared().refused.get_or_insert(code);
    }

    fn send_id(&self) -> StreamId {
        self.id
    }
}

impl quic::BidiStream<Bytes> for Letters {
    type SendStream = Self;
    type RecvStream = Self;

    fn split(self) -> (Self, Self) {
        (self.clone(), self)
    }
}
