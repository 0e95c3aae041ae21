//! Serves an application on our listener, and stops without a false end.
//!
//! Reads: connections of a [`Listener`], as many as [`Limits`] allow. Gives: them, with an
//! [`Endings`] around the application, to hyper; at shutdown every body runs to the deadline and
//! what is left ends as failed.

mod controls;

mod watch;

mod refuse;

mod connection;

#[cfg(feature = "http3")]
mod quic;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Kind, Policy};
use http::{HeaderValue, Request, Response};
use http_body::Body as HttpBody;
use hyper::body::Incoming;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch as channel;
use tower_service::Service;

use self::connection::Connection;
pub use self::controls::{Connections, Controls};
#[cfg(feature = "http3")]
pub use self::quic::serve_quic;
use self::refuse::Refusing;
use crate::layer::{Endings, Rule, Settings};
use crate::limits::Limits;
use crate::listen::Listener;
use crate::observe::Observer;
use crate::producer::BoxError;
use crate::wire::close::{closing, settled};

/// How long bodies may run on after [`Shutdown::drain`] by default.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves an application, with endings that no peer can mistake.
///
/// `listener` is a `TcpListener`, a `UnixListener`, or what [`listen`](crate::listen) makes of one, which can also
/// speak TLS. `app` is any tower service over hyper requests, such as an `axum::Router`. HTTP/1.0,
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
/// endwell::serve(tcp, app).await
/// # }
/// ```
pub fn serve<S>(listener: impl Into<Listener>, app: S) -> Serve<S> {
    Serve::on(Some(listener.into()), app)
}

/// A server that is about to run; await it.
#[derive(Debug)]
#[must_use = "a server runs while it is awaited"]
pub struct Serve<S> {
    /// Without one only QUIC is served.
    listener: Option<Listener>,
    #[cfg(feature = "http3")]
    quic: Option<quic::Quic<S>>,
    app: S,
    settings: Settings,
    controls: Controls,
    shutdown: Shutdown,
    drain: Duration,
}

impl<S> Serve<S> {
    fn on(listener: Option<Listener>, app: S) -> Self {
        Self {
            listener,
            #[cfg(feature = "http3")]
            quic: None,
            app,
            settings: Settings::default(),
            controls: Controls::default(),
            shutdown: Shutdown::new(),
            drain: DRAIN,
        }
    }

    /// What to do about endings.
    pub fn policy(self, policy: Policy) -> Self {
        self.controls.set_policy(policy);
        self
    }

    /// Treats some requests otherwise than the policy says; the first rule that applies counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.settings.rules.push(rule);
        self
    }

    /// What peers may take.
    pub fn limits(self, limits: Limits) -> Self {
        self.controls.set_limits(limits);
        self
    }

    /// The handle that changes policy and limits of this server, and others that were given it,
    /// while they run. Its policy and limits replace those that were set before.
    pub fn controls(mut self, controls: Controls) -> Self {
        self.controls = controls;
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
pub struct Shutdown(Arc<channel::Sender<Stop>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Running,
    Draining,
    Now,
}

impl Shutdown {
    /// A handle for servers that run.
    pub fn new() -> Self {
        Self(Arc::new(channel::Sender::new(Stop::Running)))
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
async fn reached(stop: &mut channel::Receiver<Stop>, least: Stop) {
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
        Box::pin(self.run())
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
    async fn run(self) -> io::Result<()> {
        // Every connection holds a sender; when all are gone, all connections have ended.
        let (running, mut ended) = tokio::sync::mpsc::channel::<Infallible>(1);
        let mut stop = self.shutdown.0.subscribe();
        let door = Door {
            settings: Arc::new(self.settings),
            controls: self.controls,
            shutdown: self.shutdown,
            drain: self.drain,
            running,
        };
        #[cfg(feature = "http3")]
        let alternative = self.quic.as_ref().and_then(|quic| quic.alternative());
        #[cfg(not(feature = "http3"))]
        let alternative = None;
        #[cfg(feature = "http3")]
        let quic = self
            .quic
            .map(|quic| quic.run(self.app.clone(), door.clone()));
        let tcp = async move {
            if let Some(listener) = self.listener {
                accept(listener, self.app, door, alternative).await;
            }
        };
        #[cfg(feature = "http3")]
        let over = match quic {
            Some(quic) => tokio::join!(tcp, quic).1,
            None => {
                tcp.await;
                Ok(())
            }
        };
        #[cfg(not(feature = "http3"))]
        let over = {
            tcp.await;
            Ok(())
        };
        while ended.recv().await.is_some() {}
        tokio::select! {
            () = settled() => {}
            () = reached(&mut stop, Stop::Now) => {}
        }
        over
    }
}

/// What all listeners of a server have in common.
#[derive(Clone)]
struct Door {
    settings: Arc<Settings>,
    controls: Controls,
    shutdown: Shutdown,
    drain: Duration,
    running: Sender<Infallible>,
}

impl Door {
    /// What holds for a connection that is accepted now.
    fn current(&mut self) -> (Arc<Settings>, Arc<Limits>) {
        let (policy, limits) = self.controls.current();
        if !Arc::ptr_eq(&self.settings.policy, &policy) {
            self.settings = Arc::new(Settings {
                policy,
                ..Settings::clone(&self.settings)
            });
        }
        (Arc::clone(&self.settings), limits)
    }
}

/// Serves connections of a listener until the server is to stop.
async fn accept<S, B>(
    mut listener: Listener,
    app: S,
    mut door: Door,
    alternative: Option<HeaderValue>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut stop = door.shutdown.0.subscribe();
    let places = Arc::clone(door.controls.places());
    loop {
        let (io, remote) = tokio::select! {
            accepted = async {
                places.room().await;
                listener.accept().await
            } => accepted,
            () = reached(&mut stop, Stop::Draining) => return,
        };
        let (settings, limits) = door.current();
        let conn = Arc::clone(io.conn());
        let Some(place) = places.take(remote.ip(), limits.per_client) else {
            // A reset costs nothing that this client could take from others.
            conn.kill(Cause::new(
                Kind::ClientGone,
                "it has its share of connections",
            ));
            continue;
        };
        conn.keep(place);
        conn.set_policy(Arc::clone(&settings.policy));
        conn.set_limits(Arc::clone(&limits));
        let half_close = settings.policy.half_close;
        let alternative = alternative.clone().filter(|_| conn.tls);
        let app = Endings::new(app.clone(), settings, Some(Arc::clone(&conn)));
        let connection = Connection {
            conn,
            half_close,
            limits,
            places: Arc::clone(&places),
            stop: door.shutdown.0.subscribe(),
            drain: door.drain,
        };
        let app = Refusing::new(app).offering(alternative);
        tokio::spawn(connection.run(io, app, door.running.clone()));
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
