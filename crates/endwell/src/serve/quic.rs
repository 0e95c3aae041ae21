//! Serves HTTP/3 beside the connections of a TCP listener, or alone.
//!
//! Reads: connections of a [`QuicListener`], as many as [`Limits`] allow. Gives: their requests to
//! the application; at shutdown the same order of events as over TCP.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Kind};
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

use super::connection::{LAST_WORD, Over, idle};
use super::refuse::Refusing;
use super::watch::{Late, Watch};
use super::{Door, Serve, Stop, reached};
use crate::layer::{Endings, Settings};
use crate::limits::{Limits, Place, Places};
use crate::listen::quic::{Greeting, QuicListener};
use crate::producer::BoxError;
use crate::wire::conn::Conn;
use crate::wire::http3::{Http3Content, Session, Stream};

/// A QUIC listener and the application for it.
pub(super) struct Quic<S> {
    listener: QuicListener,
    serve: fn(QuicListener, S, Door) -> Running,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<S> Quic<S> {
    pub(super) fn run(self, app: S, door: Door) -> Running {
        (self.serve)(self.listener, app, door)
    }

    /// What responses over TLS say of it.
    pub(super) fn alternative(&self) -> Option<HeaderValue> {
        let port = self.listener.local_addr().ok()?.port();
        // A day is RFC 7838's own default (section 3.1).
        HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400")).ok()
    }
}

impl<S> std::fmt::Debug for Quic<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.listener.fmt(f)
    }
}

impl<S> Serve<S> {
    /// Serves HTTP/3 as well: the same application, limits, records and shutdown.
    ///
    /// Responses over TLS tell clients of it (`Alt-Svc`, RFC 7838), unless the application has set
    /// that field itself.
    ///
    /// # On the wire
    /// - HTTP/3: a failed response ends with RESET_STREAM after its last octet was acknowledged; see
    ///   [`listen_quic`](crate::listen_quic) for what a client may take.
    #[must_use = "a server runs while it is awaited"]
    pub fn quic<B>(mut self, listener: QuicListener) -> Self
    where
        S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.quic = Some(Quic {
            listener,
            serve: |listener, app, door| Box::pin(accept(listener, app, door)),
        });
        self
    }
}

/// Serves connections until the server is to stop.
async fn accept<S, B>(mut listener: QuicListener, app: S, mut door: Door)
where
    S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut stop = door.shutdown.0.subscribe();
    let places = Arc::clone(door.controls.places());
    loop {
        let knock = tokio::select! {
            knock = async {
                places.room().await;
                listener.accept().await
            } => knock,
            () = reached(&mut stop, Stop::Draining) => break,
        };
        // Without a socket nothing comes any more.
        let Some(knock) = knock else { break };
        let (settings, limits) = door.current();
        let Some(place) = places.take(Some(knock.remote().ip()), limits.per_client) else {
            knock.refuse();
            continue;
        };
        let Some(greeting) = listener.admit(knock, &limits) else {
            continue;
        };
        let connection = Connection {
            settings,
            limits,
            places: Arc::clone(&places),
            stop: door.shutdown.0.subscribe(),
            drain: door.drain,
            running: door.running.clone(),
        };
        tokio::spawn(connection.run(greeting, place, app.clone()));
    }
    // The others have to end before the socket may go.
    drop(door);
    tokio::select! {
        () = listener.closed() => {}
        () = async {
            reached(&mut stop, Stop::Now).await;
            sleep(LAST_FLIGHT).await;
        } => {}
    }
}

/// What the closing of connections may take when a server stops at once.
const LAST_FLIGHT: Duration = Duration::from_millis(100);

/// One connection.
struct Connection {
    settings: Arc<Settings>,
    limits: Arc<Limits>,
    places: Arc<Places>,
    stop: Receiver<Stop>,
    drain: Duration,
    running: Sender<Infallible>,
}

/// Why a connection is no longer driven as before.
enum Driven {
    Ended,
    Stop,
    Late(Late),
    Cancels,
}

impl Connection {
    /// Drives it from its handshake to its end.
    async fn run<S, B>(mut self, greeting: Greeting, place: Place, app: S)
    where
        S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let quic = tokio::select! {
            quic = greeting.connected() => quic,
            () = reached(&mut self.stop, Stop::Draining) => None,
        };
        let Some(quic) = quic else { return };
        let conn = Session::conn(&quic);
        conn.keep(place);
        conn.set_policy(Arc::clone(&self.settings.policy));
        conn.set_limits(Arc::clone(&self.limits));
        let started = Session::start(quic, Arc::clone(&conn), Arc::clone(&self.limits));
        let Ok(Some(mut session)) = timeout(self.limits.head_timeout, started).await else {
            self.places.count_late();
            return;
        };
        let app = Endings::new(app, Arc::clone(&self.settings), Some(Arc::clone(&conn)));
        let running = self.running.clone();
        let mut serve = move |stream: Stream| {
            let (app, running) = (Refusing::new(app.clone()), running.clone());
            tokio::spawn(async move {
                stream.serve(app).await;
                drop(running);
            });
        };
        let _over = Over(Arc::clone(&conn));
        match self.drive(&mut session, &conn, &mut serve).await {
            Driven::Ended => return,
            Driven::Late(late) => {
                match late {
                    Late::Silent | Late::Head => self.places.count_late(),
                    Late::Idle => self.places.count_idle(),
                }
                self.leave(&mut session, &conn, &mut serve).await;
                return;
            }
            Driven::Cancels => {
                let cancelled = conn.cancelled().saturating_add(self.limits.http3.cancelled);
                session.go_away().await;
                if !self
                    .last_word(&mut session, &conn, &mut serve, cancelled)
                    .await
                {
                    return;
                }
            }
            Driven::Stop => {}
        }
        self.stop(&mut session, &conn, &mut serve).await;
    }

    /// Drives a connection until it has ended, is late, or the server is to stop.
    async fn drive(
        &mut self,
        session: &mut Session,
        conn: &Arc<Conn>,
        serve: &mut impl FnMut(Stream),
    ) -> Driven {
        let mut watch = Watch::new();
        let mut timer = pin!(sleep(self.limits.idle));
        let mut order = pin!(reached(&mut self.stop, Stop::Draining));
        let (limits, places) = (&self.limits, &self.places);
        poll_fn(|cx| {
            conn.register_driver(cx);
            while let Poll::Ready(next) = session.poll_next(cx) {
                match next {
                    Some(stream) => serve(stream),
                    None => return Poll::Ready(Driven::Ended),
                }
            }
            if conn.cancelled() > limits.http3.cancelled {
                return Poll::Ready(Driven::Cancels);
            }
            if let Poll::Ready(late) = watch.poll(conn, (limits, places), timer.as_mut(), cx) {
                return Poll::Ready(Driven::Late(late));
            }
            order.as_mut().poll(cx).map(|()| Driven::Stop)
        })
        .await
    }

    /// Drives it on while something else is awaited; whether it has ended.
    async fn until(
        &mut self,
        session: &mut Session,
        serve: &mut impl FnMut(Stream),
        other: impl Future<Output = ()>,
    ) -> bool {
        let mut other = pin!(other);
        let mut now = pin!(reached(&mut self.stop, Stop::Now));
        poll_fn(|cx| {
            while let Poll::Ready(next) = session.poll_next(cx) {
                match next {
                    Some(stream) => serve(stream),
                    None => return Poll::Ready(true),
                }
            }
            if other.as_mut().poll(cx).is_ready() || now.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            Poll::Pending
        })
        .await
    }

    /// Leaves an idle connection in order.
    async fn leave(
        &mut self,
        session: &mut Session,
        conn: &Arc<Conn>,
        serve: &mut impl FnMut(Stream),
    ) {
        let _ = timeout(LAST_WORD, session.go_away()).await;
        let settling = session.settling();
        let ended = self.until(session, serve, sleep(settling)).await;
        if !ended {
            // A request that came before the client heard of it is served to its end.
            self.until(session, serve, idle(conn)).await;
        }
        session.close(conn.is_idle());
    }

    /// Lets responses end after GOAWAY; `true` if the server is to stop meanwhile.
    async fn last_word(
        &mut self,
        session: &mut Session,
        conn: &Arc<Conn>,
        serve: &mut impl FnMut(Stream),
        cancelled: u64,
    ) -> bool {
        let stop = self.stop.clone();
        let ended = async {
            let mut stop = stop;
            let mut stopped = pin!(reached(&mut stop, Stop::Draining));
            loop {
                tokio::select! {
                    () = stopped.as_mut() => return,
                    () = sleep(LOOK) => {}
                }
                if conn.is_idle() || conn.cancelled() > cancelled {
                    return;
                }
            }
        };
        if self.until(session, serve, ended).await {
            return false;
        }
        if *self.stop.borrow() >= Stop::Draining {
            return true;
        }
        session.close_excessive();
        false
    }

    /// Ends it because the server stops: responses run on to the deadline, what is left then fails.
    async fn stop(
        &mut self,
        session: &mut Session,
        conn: &Arc<Conn>,
        serve: &mut impl FnMut(Stream),
    ) {
        let deadline = Instant::now() + self.drain;
        // GOAWAY makes some clients fail the responses under way, so it waits for them, as over HTTP/2.
        let either = async {
            tokio::select! {
                () = idle(conn) => {}
                () = sleep_until(deadline) => {}
            }
        };
        if self.until(session, serve, either).await {
            return;
        }
        if conn.is_idle() && *self.stop.borrow() < Stop::Now {
            self.leave(session, conn, serve).await;
            return;
        }
        let message = format!("the server stopped after {} ms", self.drain.as_millis());
        conn.order_failure(Cause::new(Kind::ServerShutdown, message));
        if *self.stop.borrow() < Stop::Now {
            let either = async {
                tokio::select! {
                    () = idle(conn) => {}
                    () = sleep(LAST_WORD) => {}
                }
            };
            if self.until(session, serve, either).await {
                return;
            }
            if conn.is_idle() {
                self.leave(session, conn, serve).await;
                return;
            }
        }
        conn.kill(Cause::new(
            Kind::ServerShutdown,
            "the server stopped at once",
        ));
        session.close(conn.is_idle());
    }
}

/// How often a client that cancels is looked at: while it does not, it may stay.
const LOOK: Duration = Duration::from_millis(20);

/// Serves an application over HTTP/3 alone.
///
/// `app` must also be a service over hyper's requests, as an `axum::Router` is: one type serves all
/// protocols.
///
/// # Examples
/// ```no_run
/// # async fn run(tls: std::sync::Arc<rustls::ServerConfig>) -> std::io::Result<()> {
/// let udp = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let app = axum::Router::new();
/// endwell::serve_quic(endwell::listen_quic(udp, tls)?, app).await
/// # }
/// ```
pub fn serve_quic<S, B>(listener: QuicListener, app: S) -> Serve<S>
where
    S: Service<Request<Http3Content>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Serve::on(None, app).quic(listener)
}
