//! What one connection knows, shared by its transport and by every body on it.
//!
//! Reads: flushes, writes, reads and failures from the transport ([`super::io`]), orders from the
//! server. Gives: ticks and facts to the bodies ([`super::body`]), which way to close to the transport.
//!
//! Here: its socket, its peer, its settings. `flow` has the octets on their way, `messages` the requests and responses,
//! `closing` how the socket will close, `gone` why it ended.

mod closing;
mod flow;
mod gone;
mod messages;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use endwell_core::{HalfClose, Policy, Signals};

pub(crate) use self::closing::Close;
use self::closing::Closing;
use self::flow::Flow;
#[cfg(feature = "listen")]
pub(crate) use self::gone::Departed;
use self::gone::Gone;
use self::messages::Messages;
pub(crate) use self::messages::{Message, Progress};
use super::pings::Pings;
use super::remote::Remote;
use super::room;
use super::socket::{Departure, SharedTcp, TaskId, current_task};
use crate::limits::{Limits, Place};

/// The state of one connection.
pub(crate) struct Conn {
    tcp: Mutex<Option<SharedTcp>>,
    pub(crate) tls: bool,
    pub(crate) remote: Remote,
    /// Who can tell on this wire that a message broke.
    pub(crate) signals: Signals,
    policy: OnceLock<Arc<Policy>>,
    limits: OnceLock<Arc<Limits>>,
    place: OnceLock<Place>,
    /// It has been handed to another protocol.
    tunnel: AtomicBool,
    /// The peer has closed its side, and the transport has read that.
    read_end: AtomicBool,
    driver: AtomicWaker,
    driver_task: OnceLock<TaskId>,
    /// Whether the peer's program has read what went over HTTP/2.
    pings: Pings,
    watch: Mutex<Option<Watch>>,
    flow: Flow,
    messages: Messages,
    closing: Closing,
    gone: Gone,
}

type Watch = Pin<Box<dyn Future<Output = Departure> + Send>>;

impl Conn {
    pub(crate) fn new(tcp: SharedTcp, tls: bool, remote: Remote) -> Arc<Self> {
        let signals = match tcp.has_reset() {
            true => Signals::Owned,
            false => Signals::FramingOnly,
        };
        Arc::new(Self::with(Some(tcp), signals, tls, remote))
    }

    /// A connection over QUIC, which has no socket of its own.
    #[cfg(feature = "http3")]
    pub(crate) fn over_quic(remote: Remote, frame: usize) -> Arc<Self> {
        let conn = Self {
            flow: Flow::new(frame),
            ..Self::with(None, Signals::Owned, true, remote)
        };
        conn.note_multiplexed();
        Arc::new(conn)
    }

    fn with(tcp: Option<SharedTcp>, signals: Signals, tls: bool, remote: Remote) -> Self {
        Self {
            tcp: Mutex::new(tcp),
            tls,
            remote,
            signals,
            policy: OnceLock::new(),
            limits: OnceLock::new(),
            place: OnceLock::new(),
            tunnel: AtomicBool::new(false),
            read_end: AtomicBool::new(false),
            driver: AtomicWaker::new(),
            driver_task: OnceLock::new(),
            pings: Pings::default(),
            watch: Mutex::default(),
            flow: Flow::new(room::LEAST),
            messages: Messages::default(),
            closing: Closing::default(),
            gone: Gone::default(),
        }
    }

    /// The socket, until the connection is closed.
    pub(crate) fn tcp(&self) -> Option<SharedTcp> {
        lock(&self.tcp).clone()
    }

    /// Lets go of the socket, so that dropping the transport closes it.
    pub(crate) fn release(&self) {
        *lock(&self.tcp) = None;
        *lock(&self.watch) = None;
    }

    pub(crate) fn set_policy(&self, policy: Arc<Policy>) {
        // The first one stays: a connection has one application.
        let _ = self.policy.set(policy);
    }

    pub(crate) fn policy(&self) -> Option<&Arc<Policy>> {
        self.policy.get()
    }

    pub(crate) fn set_limits(&self, limits: Arc<Limits>) {
        let _ = self.limits.set(limits);
    }

    pub(crate) fn limits(&self) -> Option<&Arc<Limits>> {
        self.limits.get()
    }

    /// Keeps the connection's place until all of it is gone.
    pub(crate) fn keep(&self, place: Place) {
        let _ = self.place.set(place);
    }

    /// What comes from now on is no HTTP: the response switches protocols, or opens a tunnel.
    pub(crate) fn note_tunnel(&self) {
        self.tunnel.store(true, Ordering::Relaxed);
    }

    /// Whether it has been handed to another protocol.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    /// The peer has closed its side.
    pub(crate) fn note_read_end(&self) {
        self.read_end.store(true, Ordering::Release);
    }

    /// The transport keeps its task's waker here, so that [`Conn::kill`] reaches it.
    pub(crate) fn register_driver(&self, cx: &Context<'_>) {
        self.driver.register(cx.waker());
        if self.driver_task.get().is_none()
            && let Some(task) = current_task()
        {
            let _ = self.driver_task.set(task);
        }
    }

    /// Whether this is the task that drives the transport.
    pub(crate) fn is_driven_here(&self) -> bool {
        self.driver_task.get().copied() == current_task()
    }

    pub(crate) fn read_end(&self) -> bool {
        self.read_end.load(Ordering::Acquire)
    }

    /// What the transport asks the peer, and hears from it.
    pub(crate) fn pings(&self) -> &Pings {
        &self.pings
    }

    /// Asks whether the peer has read all that h2 has taken so far; gives what to wait for.
    pub(crate) fn ask_peer(&self) -> u32 {
        let number = self.pings.ask();
        self.driver.wake();
        number
    }

    /// Watches for the peer's leaving where the HTTP implementation does not look (HTTP/1).
    pub(crate) fn poll_departure(&self, cx: &mut Context<'_>) -> Poll<Departure> {
        let mut watch = lock(&self.watch);
        if watch.is_none() {
            *watch = self.new_watch();
        }
        let Some(watch) = watch.as_mut() else {
            return Poll::Pending;
        };
        let departure = std::task::ready!(watch.as_mut().poll(cx));
        // A finished future must not be polled again, and the peer does not come back.
        *watch = Box::pin(std::future::ready(departure));
        Poll::Ready(departure)
    }

    fn new_watch(&self) -> Option<Watch> {
        let policy = self.policy();
        let fin_counts = policy.is_none_or(|policy| policy.half_close == HalfClose::Cancel);
        Some(Box::pin(self.tcp()?.departure(fin_counts)))
    }

    /// The round-trip time, where the kernel tells it.
    pub(crate) fn round_trip(&self) -> Duration {
        let facts = self.tcp().and_then(|tcp| tcp.facts());
        facts.map_or(Duration::ZERO, |facts| facts.round_trip)
    }

    /// What changes while the peer takes octets, where that is known: how many its kernel has
    /// acknowledged, or what is left in a unix socket.
    pub(crate) fn acked(&self) -> Option<u64> {
        let tcp = self.tcp()?;
        let facts = tcp.facts().map(|facts| facts.acked);
        facts.or_else(|| tcp.unacknowledged())
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conn")
            .field("remote", &self.remote)
            .field("tls", &self.tls)
            .field("written", &self.written())
            .field("flushes", &self.flushes())
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
