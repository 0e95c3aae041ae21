//! One connection while hyper drives it.
//!
//! Reads: a [`WireIo`], orders to stop, the watch. Gives: it to hyper, until it has ended, is
//! late, or has to stop.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, HalfClose, Kind};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch::Receiver;
use tower_service::Service;

use super::refuse::Refusing;
use super::watch::{Late, Watch};
use super::{Stop, reached};
use crate::limits::{Limits, Places};
use crate::producer::BoxError;
use crate::wire::close::request_timeout;
use crate::wire::conn::{Close, Conn};
use crate::wire::io::WireIo;

/// How many octets hyper may hold of a response that a client does not read.
const BUFFER: usize = 64 * 1024;
/// How long a failure may take to be delivered after the drain deadline, and a peer to answer
/// GOAWAY.
pub(super) const LAST_WORD: Duration = Duration::from_secs(5);

/// One connection while hyper drives it.
pub(super) struct Connection {
    pub(super) conn: Arc<Conn>,
    pub(super) half_close: HalfClose,
    pub(super) limits: Arc<Limits>,
    pub(super) places: Arc<Places>,
    pub(super) stop: Receiver<Stop>,
    pub(super) drain: Duration,
}

/// Why a connection is no longer driven as before.
enum Driven {
    /// It has ended.
    Ended,
    /// The server is to stop.
    Stop,
    Late(Late),
    /// The peer cancels more than it lets end.
    Cancels,
}

impl Connection {
    /// Drives it to its end; the drop of `running` then tells the server.
    ///
    /// An `async fn` would keep room for what it was given beside what it makes of it, as long as
    /// the connection lives.
    pub(super) fn run<S, B>(
        mut self,
        io: WireIo,
        app: Refusing<S>,
        running: Sender<Infallible>,
    ) -> impl Future<Output = ()> + Send + 'static
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let app = TowerToHyperService::new(app);
        let driven = self
            .builder()
            .serve_connection_with_upgrades(TokioIo::new(io), app)
            .into_owned();
        let driven = Box::pin(driven);
        async move {
            let _running = running;
            let mut driven = driven;
            let _over = Over(Arc::clone(&self.conn));
            match self.drive(driven.as_mut()).await {
                Driven::Ended => return,
                Driven::Late(late) => {
                    if !self.is_given_a_last_word(late) {
                        return;
                    }
                    driven.as_mut().graceful_shutdown();
                    if self.last_word(driven.as_mut()).await {
                        return;
                    }
                }
                Driven::Cancels => {
                    driven.as_mut().graceful_shutdown();
                    if self.last_word(driven.as_mut()).await {
                        return;
                    }
                }
                Driven::Stop => {}
            }
            let deadline = tokio::time::Instant::now() + self.drain;
            // GOAWAY makes some clients fail the responses under way (httpx, undici, Java 17), so it
            // waits for them; HTTP/1 learns at once that this is the last response.
            if !self.conn.is_multiplexed() {
                driven.as_mut().graceful_shutdown();
            }
            tokio::select! {
                _ = driven.as_mut() => return,
                () = idle(&self.conn) => driven.as_mut().graceful_shutdown(),
                () = tokio::time::sleep_until(deadline) => {}
                () = reached(&mut self.stop, Stop::Now) => {}
            }
            tokio::select! {
                _ = driven.as_mut() => return,
                () = tokio::time::sleep_until(deadline) => {}
                () = reached(&mut self.stop, Stop::Now) => {}
            }
            let message = format!("the server stopped after {} ms", self.drain.as_millis());
            self.conn
                .order_failure(Cause::new(Kind::ServerShutdown, message));
            if *self.stop.borrow() < Stop::Now {
                tokio::select! {
                    _ = driven.as_mut() => return,
                    () = idle(&self.conn) => {}
                    () = tokio::time::sleep(LAST_WORD) => {}
                    () = reached(&mut self.stop, Stop::Now) => {}
                }
                driven.as_mut().graceful_shutdown();
                tokio::select! {
                    _ = driven.as_mut() => return,
                    () = tokio::time::sleep(LAST_WORD) => {}
                    () = reached(&mut self.stop, Stop::Now) => {}
                }
            }
            self.conn.kill(Cause::new(
                Kind::ServerShutdown,
                "the server stopped at once",
            ));
            let _ = driven.await;
        }
    }

    fn builder(&self) -> auto::Builder<TokioExecutor> {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            // Larger than a head may be: it is not hyper that refuses those.
            .max_buf_size(BUFFER.max(limits.head.saturating_mul(2)))
            // The watch has the time of heads.
            .header_read_timeout(None)
            .half_close(self.half_close == HalfClose::Tolerate);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.http2.streams)
            .max_pending_accept_reset_streams(limits.http2.pending_resets)
            .max_local_error_reset_streams(limits.http2.error_resets)
            .enable_connect_protocol();
        builder
    }

    /// Drives a connection until it has ended, is late, or the server is to stop.
    ///
    /// The order to stop is awaited once and then only looked for: this runs at every step of a
    /// connection.
    async fn drive<T>(&mut self, mut driven: Pin<&mut impl Future<Output = T>>) -> Driven {
        let mut watched = self.stop.clone();
        // Unconstrained: with the task's budget spent it would neither look nor be woken again.
        let order = tokio::task::coop::unconstrained(reached(&mut self.stop, Stop::Draining));
        let mut order = pin!(order);
        let mut awaited = false;
        let mut watch = Watch::new();
        let mut timer = pin!(tokio::time::sleep(self.limits.head_timeout));
        let (conn, limits, places) = (&self.conn, &self.limits, &self.places);
        poll_fn(|cx| {
            if driven.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Driven::Ended);
            }
            if conn.cancelled() > limits.http2.cancelled && conn.is_multiplexed() {
                return Poll::Ready(Driven::Cancels);
            }
            if let Poll::Ready(late) = watch.poll(conn, (limits, places), timer.as_mut(), cx) {
                return Poll::Ready(Driven::Late(late));
            }
            if !std::mem::replace(&mut awaited, true) && order.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Driven::Stop);
            }
            // The value and not `order`: that one may not be woken yet when the value has changed,
            // and would not be asked again when it is.
            let changed = watched.has_changed().unwrap_or(true);
            if changed && *watched.borrow_and_update() >= Stop::Draining {
                return Poll::Ready(Driven::Stop);
            }
            Poll::Pending
        })
        .await
    }

    /// Counts a late connection; whether it must be told before it is closed.
    fn is_given_a_last_word(&self, late: Late) -> bool {
        match late {
            Late::Silent => self.places.count_late(),
            Late::Head => {
                self.places.count_late();
                self.conn.close_by(Close::Answer(request_timeout()));
            }
            Late::Idle => self.places.count_idle(),
        }
        self.conn.is_multiplexed()
    }

    /// Lets HTTP/2 streams end after GOAWAY. Whether the connection is to be closed now: it has
    /// ended, stayed without a stream, or still cancels; or the server is to stop.
    async fn last_word<T>(&mut self, mut driven: Pin<&mut impl Future<Output = T>>) -> bool {
        let conn = Arc::clone(&self.conn);
        let cancelled = conn.cancelled().saturating_add(self.limits.http2.cancelled);
        let still = async {
            loop {
                tokio::time::sleep(LAST_WORD).await;
                if conn.is_idle() {
                    return;
                }
            }
        };
        let mut still = pin!(still);
        let ended = poll_fn(|cx| {
            if driven.as_mut().poll(cx).is_ready() || conn.cancelled() > cancelled {
                return Poll::Ready(());
            }
            still.as_mut().poll(cx)
        });
        tokio::select! {
            () = ended => {}
            () = reached(&mut self.stop, Stop::Draining) => return false,
        }
        if self.conn.is_blocked() {
            // A peer that reads not even this would be waited for as for one that reads slowly.
            let message = "the client took nothing of what it asked for";
            self.conn.kill(Cause::new(Kind::WriteTimeout, message));
        }
        true
    }
}

/// Dropped before the connection that it stands below: what h2 throws away then was not sent.
pub(super) struct Over(pub(super) Arc<Conn>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.note_over();
    }
}

/// Waits until no response is under way on the connection.
pub(super) async fn idle(conn: &Conn) {
    loop {
        let idle = conn.idle().notified();
        if conn.is_idle() {
            return;
        }
        idle.await;
    }
}
