//! HTTP/3: when has the peer everything that was sent, so that a reset loses nothing?
//!
//! Reads: requests of a QUIC connection, and the bodies of their responses. Gives: every octet
//! produced, then FIN where the body is whole, else RESET_STREAM with the code that
//! [`plan`](endwell_core::plan) decided. A reset makes QUIC forget what it has not delivered (RFC 9000
//! section 3.1), the head included; so it waits, in this order: QUIC has taken every octet; the
//! client has acknowledged every octet, HEADERS too ([`flight`]); the grace has passed.
//!
//! This folder and `listen::quic` are all that knows the QUIC stack. h3 reads and writes fields,
//! reads SETTINGS and writes the control stream; request streams go through our own hands ([`letters`]
//! says why), and what it would let pass of the rest is looked at before ([`control`], [`malformed`]).

pub(crate) mod window;

mod flight;

mod frame;

mod letters;

mod control;

mod adapter;

mod inbound;

mod huffman;

mod section;

mod malformed;

mod content;

mod sending;

mod respond;

mod stream;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Kind};
use h3::server;
use tokio::time::timeout;

use self::adapter::{Quic, Slot};
pub use self::content::{Http3Content, Http3ContentError};
use self::frame::code;
use self::sending::note_lost;
pub(crate) use self::stream::Stream;
use self::window::Window;
use super::conn::Conn;
use super::remote::Remote;
use crate::limits::Limits;

/// How long a client may leave no room for GOAWAY, a frame of a few octets.
const GO_AWAY: Duration = Duration::from_secs(1);

/// An HTTP/3 connection; dropped, it is closed.
pub(crate) struct Session {
    h3: server::Connection<Quic, Bytes>,
    quic: quinn::Connection,
    slot: Slot,
    closing: Arc<AtomicBool>,
    conn: Arc<Conn>,
    limits: Arc<Limits>,
    window: Arc<Window>,
}

impl Session {
    /// What the streams of a QUIC connection share.
    pub(crate) fn conn(quic: &quinn::Connection) -> Arc<Conn> {
        Conn::over_quic(Remote::Quic(quic.remote_address()), frame::LARGEST_DATA)
    }

    /// Says SETTINGS on a connection; `None` if it is lost.
    pub(crate) async fn start(
        quic: quinn::Connection,
        conn: Arc<Conn>,
        limits: Arc<Limits>,
    ) -> Option<Self> {
        let slot = Slot::default();
        let closing = Arc::<AtomicBool>::default();
        let adapter = Quic::new(quic.clone(), Arc::clone(&slot), Arc::clone(&closing));
        let started = server::builder()
            .max_field_section_size(limits.head.min(frame::LARGEST_HEAD) as u64)
            // Frames and streams without meaning cost something for every client.
            .send_grease(false)
            .build(adapter)
            .await;
        let Ok(h3) = started else {
            // Without effect where it is lost.
            Self::abandon(&quic);
            return None;
        };
        Some(Self {
            h3,
            quic,
            slot,
            closing,
            conn,
            limits,
            window: Arc::default(),
        })
    }

    /// The next request stream; `None` when the connection is over.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Stream>> {
        // It waits in one place only, and there for nothing that it would lose.
        let resolver = {
            let accepted = pin!(self.h3.accept());
            std::task::ready!(accepted.poll(cx))
        };
        let opened = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = { opened }.take();
        if let (Ok(Some(resolver)), Some(opened)) = (resolver, opened) {
            return Poll::Ready(Some(Stream {
                opened,
                resolver,
                quic: self.quic.clone(),
                conn: Arc::clone(&self.conn),
                limits: Arc::clone(&self.limits),
                window: Arc::clone(&self.window),
            }));
        }
        if let Some(error) = self.quic.close_reason() {
            note_lost(&self.conn, &error);
        }
        Poll::Ready(None)
    }

    /// Says that no further request is looked at (GOAWAY, RFC 9114 section 5.2), if the client takes that.
    pub(crate) async fn go_away(&mut self) {
        self.closing.store(true, Ordering::Release);
        // The first stream that is not looked at is the one after the last that was. A client that gives the
        // control stream no room does not hear of it.
        let _ = timeout(GO_AWAY, self.h3.shutdown(1)).await;
    }

    /// How long a client needs at most to hear of GOAWAY and to fall silent.
    pub(crate) fn settling(&self) -> Duration {
        (self.quic.rtt() * 3).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    /// Ends the connection. A response that is still there is told first why: else it would take the
    /// close for the client's.
    pub(crate) fn end(&self, how: End) {
        let (code, reason) = match how {
            End::Gone => return,
            End::Idle => (code::NO_ERROR, ""),
            End::Stopped => (code::INTERNAL_ERROR, "the server stopped at once"),
            End::Excessive => (code::EXCESSIVE_LOAD, "too many requests were cancelled"),
        };
        if how != End::Idle {
            self.conn.kill(Cause::new(Kind::ServerShutdown, reason));
        }
        self.quic.close(code.into(), reason.as_bytes());
    }

    /// Closes a connection on which SETTINGS could not be said.
    pub(crate) fn abandon(quic: &quinn::Connection) {
        quic.close(
            code::INTERNAL_ERROR.into(),
            b"there was no room for SETTINGS",
        );
    }
}

/// How the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Not at all: the client has closed it, or it is lost.
    Gone,
    /// In order: nothing is under way.
    Idle,
    /// In the middle of responses, because the server stops.
    Stopped,
    /// Its client asks for more than it takes.
    Excessive,
}
