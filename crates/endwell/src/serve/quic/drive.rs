//! One QUIC connection while its requests are served.
//!
//! Reads: request streams of a [`Session`], orders to stop, the watch. Gives: each stream a task of its own,
//! until the connection has ended, is late, or has to stop. Whatever waits here hears the order to stop,
//! and every way out leads through [`Session::end`].

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, Kind};
use http::{Request, Response};
use http_body::Body as HttpBody;
use tokio::sync::mpsc::Sender;
use tokio::sync::watch::{self, Receiver};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower_service::Service;

use super::super::connection::{LAST_WORD, Over, idle};
use super::super::refuse::Refusing;
use super::super::watch::{Late, Watch};
use super::super::{Stop, reached};
use crate::layer::{Endings, Settings};
use crate::limits::{Limits, Place, Places};
use crate::listen::quic::{Connected, Greeting};
use crate::producer::BoxError;
use crate::wire::conn::Conn;
use crate::wire::http3::{End, Http3Content, Session, Stream};

/// How often a client that cancels is looked at: while it does not, it may stay.
const LOOK: Duration = Duration::from_millis(20);

/// One connection.
pub(super) struct Connection {
    pub(super) settings: Arc<Settings>,
    pub(super) limits: Arc<Limits>,
    pub(super) places: Arc<Places>,
    pub(super) stop: Receiver<Stop>,
    pub(super) drain: Duration,
    pub(super) running: Sender<Infallible>,
}

impl Connection {
    /// Drives it from its handshake to its end.
    pub(super) async fn run<S, B>(mut self, greeting: Greeting, place: Place, app: S)
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
        let Some(session) = self.start(quic, &conn).await else {
            return;
        };
        let app = Endings::new(app, Arc::clone(&self.settings), Some(Arc::clone(&conn)));
        let (open, streams) = watch::channel(0);
        let (open, running) = (Arc::new(open), self.running.clone());
        let serve = move |stream: Stream| {
            let (app, open) = (Refusing::new(app.clone()), Open::new(&open));
            let running = running.clone();
            tokio::spawn(async move {
                stream.serve(app).await;
                drop((open, running));
            });
        };
        let _over = Over(Arc::clone(&conn));
        let mut driver = Driver {
            session,
            serve,
            streams,
            conn,
            limits: self.limits,
            places: self.places,
            stop: self.stop,
            drain: self.drain,
        };
        let end = driver.drive().await.unwrap_or_else(|end| end);
        driver.session.end(end);
        drop(self.running);
    }

    /// Says SETTINGS, for which a client may leave no room.
    async fn start(&mut self, quic: Connected, conn: &Arc<Conn>) -> Option<Session> {
        let started = Session::start(quic.clone(), Arc::clone(conn), Arc::clone(&self.limits));
        let mut started = pin!(timeout(self.limits.head_timeout, started));
        // It is closed before what was begun is dropped: a control stream must not end first.
        tokio::select! {
            started = started.as_mut() => match started {
                Ok(session) => session,
                Err(_late) => {
                    self.places.count_late();
                    Session::abandon(&quic);
                    None
                }
            },
            () = reached(&mut self.stop, Stop::Draining) => {
                Session::abandon(&quic);
                None
            }
        }
    }
}

/// Counts a request stream while it is served: a request whose head has not come is one, too.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn new(count: &Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|open| *open += 1);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Why a connection is no longer driven as before.
enum Driven {
    Stop,
    Late(Late),
    Cancels,
}

/// What drives a connection. Where a `Result` has an [`End`] as its error, there is nothing more to do.
struct Driver<F> {
    session: Session,
    serve: F,
    /// How many streams are served.
    streams: watch::Receiver<usize>,
    conn: Arc<Conn>,
    limits: Arc<Limits>,
    places: Arc<Places>,
    stop: Receiver<Stop>,
    drain: Duration,
}

impl<F: FnMut(Stream)> Driver<F> {
    async fn drive(&mut self) -> Result<End, End> {
        match self.requests().await? {
            Driven::Late(late) => {
                match late {
                    Late::Silent | Late::Head => self.places.count_late(),
                    Late::Idle => self.places.count_idle(),
                }
                self.leave().await?;
            }
            Driven::Cancels => self.last_word().await?,
            Driven::Stop => {}
        }
        self.stop().await
    }

    /// Gives each request stream that has come to its task.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        while let Poll::Ready(next) = self.session.poll_next(cx) {
            match next {
                Some(stream) => (self.serve)(stream),
                None => return Err(End::Gone),
            }
        }
        Ok(())
    }

    /// Serves requests until the connection has ended, is late, or the server is to stop.
    async fn requests(&mut self) -> Result<Driven, End> {
        let mut watch = Watch::new();
        let mut timer = pin!(sleep(self.limits.idle));
        let mut stop = self.stop.clone();
        let mut order = pin!(reached(&mut stop, Stop::Draining));
        poll_fn(|cx| {
            self.conn.register_driver(cx);
            if let Err(end) = self.poll_streams(cx) {
                return Poll::Ready(Err(end));
            }
            if self.conn.cancelled() > self.limits.http3.cancelled {
                return Poll::Ready(Ok(Driven::Cancels));
            }
            let bounds = (&*self.limits, &*self.places);
            if let Poll::Ready(late) = watch.poll(&self.conn, bounds, timer.as_mut(), cx) {
                return Poll::Ready(Ok(Driven::Late(late)));
            }
            order.as_mut().poll(cx).map(|()| Ok(Driven::Stop))
        })
        .await
    }

    /// Serves requests while something else is awaited, unless the server stops at once.
    async fn until(&mut self, other: impl Future<Output = ()>) -> Result<(), End> {
        let mut other = pin!(other);
        let mut stop = self.stop.clone();
        let mut now = pin!(reached(&mut stop, Stop::Now));
        poll_fn(|cx| {
            if let Err(end) = self.poll_streams(cx) {
                return Poll::Ready(Err(end));
            }
            if now.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(End::Stopped));
            }
            other.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// The same until nothing is under way, or until something else is over.
    async fn until_idle(&mut self, other: impl Future<Output = ()>) -> Result<(), End> {
        let (conn, mut streams) = (Arc::clone(&self.conn), self.streams.clone());
        let nothing = async move {
            loop {
                // Without a sender nobody can begin a stream.
                let _ = streams.wait_for(|open| *open == 0).await;
                idle(&conn).await;
                if *streams.borrow() == 0 {
                    return;
                }
            }
        };
        let either = async {
            tokio::select! {
                () = nothing => {}
                () = other => {}
            }
        };
        self.until(either).await
    }

    fn is_idle(&self) -> bool {
        *self.streams.borrow() == 0 && self.conn.is_idle()
    }

    /// Says GOAWAY.
    async fn go_away(&mut self) -> Result<(), End> {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = self.session.go_away() => Ok(()),
            () = reached(&mut stop, Stop::Now) => Err(End::Stopped),
        }
    }

    /// Leaves a connection without requests, in order; `Ok` if the server is to stop meanwhile.
    async fn leave(&mut self) -> Result<(), End> {
        self.go_away().await?;
        let settling = self.session.settling();
        self.until(sleep(settling)).await?;
        // A request that came before the client heard of it is served to its end.
        let mut stop = self.stop.clone();
        self.until_idle(reached(&mut stop, Stop::Draining)).await?;
        if self.is_idle() {
            return Err(End::Idle);
        }
        Ok(())
    }

    /// Lets the responses of a client that cancels too much end after GOAWAY, unless it goes on;
    /// `Ok` if the server is to stop meanwhile.
    async fn last_word(&mut self) -> Result<(), End> {
        let most = self
            .conn
            .cancelled()
            .saturating_add(self.limits.http3.cancelled);
        self.go_away().await?;
        while *self.stop.borrow() < Stop::Draining {
            if self.is_idle() || self.conn.cancelled() > most {
                return Err(End::Excessive);
            }
            let mut stop = self.stop.clone();
            let look = async {
                tokio::select! {
                    () = reached(&mut stop, Stop::Draining) => {}
                    () = sleep(LOOK) => {}
                }
            };
            self.until(look).await?;
        }
        Ok(())
    }

    /// Ends it because the server stops: responses run on to the deadline, what is left then fails.
    async fn stop(&mut self) -> Result<End, End> {
        let deadline = Instant::now() + self.drain;
        if self.settle(deadline).await? {
            return Ok(End::Idle);
        }
        let message = format!("the server stopped after {} ms", self.drain.as_millis());
        self.conn
            .order_failure(Cause::new(Kind::ServerShutdown, message));
        match self.settle(Instant::now() + LAST_WORD).await? {
            true => Ok(End::Idle),
            false => Ok(End::Stopped),
        }
    }

    /// Lets responses end until then, and says GOAWAY when they have; whether nothing is under way.
    async fn settle(&mut self, deadline: Instant) -> Result<bool, End> {
        // GOAWAY makes some clients fail the responses under way, so it waits for them, as over HTTP/2.
        self.until_idle(sleep_until(deadline)).await?;
        if !self.is_idle() {
            return Ok(false);
        }
        self.go_away().await?;
        let settling = self.session.settling();
        self.until(sleep(settling)).await?;
        // A request that came before the client heard of it is served to its end.
        self.until_idle(sleep_until(deadline)).await?;
        Ok(self.is_idle())
    }
}
