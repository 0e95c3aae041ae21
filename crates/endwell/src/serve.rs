//! Serves an application on our listener, and stops without a false end.
//!
//! Reads: connections of a [`Listener`]. Gives: them, with an [`Endings`] around the
//! application, to hyper; at shutdown every body runs to the deadline and what is left ends
//! as failed.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, HalfClose, Kind, Policy};
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tower_service::Service;

use crate::layer::{Endings, Settings};
use crate::listen::Listener;
use crate::observe::Observer;
use crate::producer::BoxError;
use crate::wire::close::{closing, settled};
use crate::wire::conn::Conn;
use crate::wire::io::WireIo;

/// How long a head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How many octets hyper may hold of a response that a client does not read, and of a request's
/// head: above it comes 431.
const BUFFER: usize = 64 * 1024;
/// How long bodies may run on after [`Shutdown::drain`] by default.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a failure may take to be delivered after the drain deadline.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Serves an application, with endings that no peer can mistake.
///
/// `app` is any tower service over hyper requests, such as an `axum::Router`. HTTP/1.0,
/// HTTP/1.1 and HTTP/2 (by prior knowledge, or by ALPN over TLS) share the port.
///
/// # Cancel safety
/// Dropping the future stops accepting; connections under way go on in tasks of their own. Use
/// [`Serve::shutdown`] to end them.
///
/// # Examples
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let app = axum::Router::new();
/// endwell::serve(endwell::listen(tcp), app).await
/// # }
/// ```
pub fn serve<S>(listener: Listener, app: S) -> Serve<S> {
    Serve {
        listener,
        app,
        settings: Settings::default(),
        shutdown: Shutdown::new(),
        drain: DRAIN,
    }
}

/// A server that is about to run; await it.
#[derive(Debug)]
#[must_use = "a server runs while it is awaited"]
pub struct Serve<S> {
    listener: Listener,
    app: S,
    settings: Settings,
    shutdown: Shutdown,
    drain: Duration,
}

impl<S> Serve<S> {
    /// What to do about endings.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = Arc::new(policy);
        self
    }

    /// Who is told of every response.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// The handle that stops this server, and others that were given it.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// How long bodies may run on once the server drains; what is left then ends as failed.
    pub fn drain(mut self, deadline: Duration) -> Self {
        self.drain = deadline;
        self
    }
}

/// Stops servers: first gently, then at once.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Stop>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Running,
    Draining,
    Now,
}

impl Shutdown {
    /// A handle for servers that run.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Stop::Running)))
    }

    /// Accepts no more connections; bodies run to the deadline, what is left ends as failed.
    pub fn drain(&self) {
        self.advance(Stop::Draining);
    }

    /// Resets every connection.
    pub fn now(&self) {
        self.advance(Stop::Now);
    }

    fn advance(&self, to: Stop) {
        self.0.send_if_modified(|stop| {
            let further = *stop < to;
            *stop = (*stop).max(to);
            further
        });
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until the servers are to stop at least so much.
async fn reached(stop: &mut watch::Receiver<Stop>, least: Stop) {
    if stop.wait_for(|stop| *stop >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl<S, B> IntoFuture for Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            self.run().await;
            Ok(())
        })
    }
}

impl<S, B> Serve<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    async fn run(mut self) {
        let mut stop = self.shutdown.0.subscribe();
        let settings = Arc::new(self.settings);
        // Every connection holds a sender; when all are gone, all connections have ended.
        let (running, mut ended) = tokio::sync::mpsc::channel::<Infallible>(1);
        loop {
            let (io, _) = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = reached(&mut stop, Stop::Draining) => break,
            };
            let conn = Arc::clone(io.conn());
            conn.set_policy(Arc::clone(&settings.policy));
            let app = Endings::new(
                self.app.clone(),
                Arc::clone(&settings),
                Some(Arc::clone(&conn)),
            );
            let connection = Connection {
                conn,
                half_close: settings.policy.half_close,
                stop: self.shutdown.0.subscribe(),
                drain: self.drain,
            };
            let running = running.clone();
            tokio::spawn(async move {
                connection.run(io, app).await;
                drop(running);
            });
        }
        drop(self.listener);
        drop(running);
        while ended.recv().await.is_some() {}
        tokio::select! {
            () = settled() => {}
            () = reached(&mut stop, Stop::Now) => {}
        }
    }
}

/// One connection while hyper drives it.
struct Connection {
    conn: Arc<Conn>,
    half_close: HalfClose,
    stop: watch::Receiver<Stop>,
    drain: Duration,
}

impl Connection {
    async fn run<S, B>(mut self, io: WireIo, app: Endings<S>)
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .max_buf_size(BUFFER)
            .header_read_timeout(HEAD_TIMEOUT)
            .half_close(self.half_close == HalfClose::Tolerate);
        builder
            .http2()
            .timer(TokioTimer::new())
            .enable_connect_protocol();
        let io = TokioIo::new(io);
        let mut driven =
            pin!(builder.serve_connection_with_upgrades(io, TowerToHyperService::new(app)));
        let _over = Over(Arc::clone(&self.conn));
        if self.drive(driven.as_mut()).await.is_ready() {
            return;
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

impl Connection {
    /// Drives a connection until it has ended (`Ready`) or the server is to stop (`Pending`).
    ///
    /// The order to stop is awaited once and then only looked for: this runs at every step of a
    /// connection.
    async fn drive<T>(&mut self, mut driven: Pin<&mut impl Future<Output = T>>) -> Poll<()> {
        let mut watched = self.stop.clone();
        // Unconstrained: with the task's budget spent it would neither look nor be woken again.
        let order = tokio::task::coop::unconstrained(reached(&mut self.stop, Stop::Draining));
        let mut order = pin!(order);
        let mut awaited = false;
        // hyper times heads, but not the first octets, which decide the version of HTTP. Twice its
        // time, so that a head that began late still has its own.
        let mut first = pin!(tokio::time::sleep(HEAD_TIMEOUT * 2));
        let conn = &self.conn;
        poll_fn(|cx| {
            if driven.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Poll::Ready(()));
            }
            // An HTTP/2 connection has been sent our SETTINGS: it may stay idle.
            let undecided = !conn.has_begun() && conn.written() == 0;
            if undecided && first.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Poll::Ready(()));
            }
            if !awaited || watched.has_changed().unwrap_or(true) {
                awaited = true;
                watched.mark_unchanged();
                return order.as_mut().poll(cx).map(|()| Poll::Pending);
            }
            Poll::Pending
        })
        .await
    }
}

/// Dropped before the connection that it stands below: what h2 throws away then was not sent.
struct Over(Arc<Conn>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.note_over();
    }
}

/// Waits until no response is under way on the connection.
async fn idle(conn: &Conn) {
    loop {
        let idle = conn.idle.notified();
        if conn.is_idle() {
            return;
        }
        idle.await;
    }
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match *self.0.borrow() {
            Stop::Running => "running",
            Stop::Draining => "draining",
            Stop::Now => "stopping at once",
        };
        write!(f, "{state}, {} connections closing", closing())
    }
}
