//! What one connection knows, shared by its transport and by every body on it.
//!
//! Reads: flushes, writes, reads and failures from the transport ([`super::io`]), orders from the
//! server. Gives: ticks and facts to the bodies ([`super::body`]), which way to close to the transport.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use atomic_waker::AtomicWaker;
use endwell_core::{Cause, HalfClose, Kind, Policy, Signals};
use slab::Slab;
use tokio::sync::Notify;

use super::remote::Remote;
use super::room::{self, Room};
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
    /// A head has begun that is not whole.
    head_begun: AtomicBool,
    /// It has been handed to another protocol.
    tunnel: AtomicBool,
    /// The request that came last has content, of HTTP/1.
    content: AtomicBool,
    /// Requests that have come.
    requests: AtomicU64,
    /// Requests that the peer cancelled, less those that it let end.
    cancelled: AtomicU64,
    /// How often everything written had left user space.
    flushes: AtomicU64,
    /// Octets the transport accepted (before TLS).
    written: AtomicU64,
    /// The last thing the transport did was to hand over octets of the peer.
    receiving: AtomicBool,
    /// The last write or flush had to wait for the peer.
    blocked: AtomicBool,
    /// A body waits for room in the kernel before it asks for more.
    crowded: AtomicBool,
    room: Mutex<Room>,
    /// The size of a frame that fits into the room.
    roomy: AtomicUsize,
    /// The peer has closed its side, and the transport has read that.
    read_end: AtomicBool,
    departed: OnceLock<Departed>,
    order: OnceLock<Cause>,
    killed: OnceLock<Cause>,
    /// Octets in the kernel that the peer had not acknowledged when it was closed.
    unacknowledged: Mutex<Option<u64>>,
    driver: AtomicWaker,
    driver_task: OnceLock<TaskId>,
    flush_awaited: AtomicBool,
    flush_waiters: Mutex<Vec<Waker>>,
    multiplexed: AtomicBool,
    live: Mutex<Slab<Weak<dyn Message>>>,
    /// Told when the last response under way has ended.
    pub(crate) idle: Notify,
    unflushed_any: AtomicBool,
    unflushed: Mutex<Vec<Arc<dyn Message>>>,
    close: Mutex<Close>,
    /// A close-delimited body is under way that has not proven to be whole.
    unproven: AtomicBool,
    /// A close of the socket resets it.
    armed: AtomicBool,
    /// The server loop has let go of it.
    over: AtomicBool,
    watch: Mutex<Option<Watch>>,
}

type Watch = Pin<Box<dyn Future<Output = Departure> + Send>>;

/// What a connection knows of each request and response on it.
pub(crate) trait Message: Send + Sync {
    /// Something happened that the task driving it should look at.
    fn wake(&self);
    /// A flush carried its last octets.
    fn delivered(&self);
    /// The connection ended before that.
    fn undelivered(&self);
    /// The signal of its ending is on the wire.
    fn signalled(&self);
    /// Its octets on their way through HTTP/2.
    fn progress(&self) -> Progress;
}

/// How far a message's octets have come through HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Chunks that are on their way.
    pub(crate) waiting: u64,
    /// Chunks that have left.
    pub(crate) left: u64,
}

/// How the transport must close.
#[derive(Default)]
pub(crate) enum Close {
    /// In order: every message on it was whole, or the peer has left.
    #[default]
    InOrder,
    /// The last message is incomplete by its framing: half-close, drain, close.
    Cut(Arc<dyn Message>),
    /// As that, after a chunk-size line whose octets never come.
    OpenChunk(Arc<dyn Message>),
    /// The last message is close-delimited and failed: acknowledged, this grace, reset.
    Reset(Arc<dyn Message>, Duration),
    /// No message is under way: these octets, then in order.
    Answer(Vec<u8>),
    /// At once, with a reset: a stalled peer, or a server that must stop now.
    Kill,
}

/// How a connection ended under its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departed {
    /// The peer reset, or a write failed.
    Rst,
    /// The transport was dropped by the server loop.
    Dropped,
    /// The peer closed a QUIC connection, and named an error.
    #[cfg(feature = "http3")]
    Closed,
    /// The peer closed a QUIC connection in order.
    #[cfg(feature = "http3")]
    Left,
    /// Nothing more was heard of it over QUIC.
    #[cfg(feature = "http3")]
    Silent,
}

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
        let conn = Self::with(None, Signals::Owned, true, remote);
        conn.multiplexed.store(true, Ordering::Relaxed);
        conn.roomy.store(frame, Ordering::Relaxed);
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
            head_begun: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            content: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            written: AtomicU64::new(0),
            receiving: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            crowded: AtomicBool::new(false),
            room: Mutex::default(),
            roomy: AtomicUsize::new(room::LEAST),
            read_end: AtomicBool::new(false),
            departed: OnceLock::new(),
            order: OnceLock::new(),
            killed: OnceLock::new(),
            unacknowledged: Mutex::default(),
            driver: AtomicWaker::new(),
            driver_task: OnceLock::new(),
            flush_awaited: AtomicBool::new(false),
            flush_waiters: Mutex::default(),
            multiplexed: AtomicBool::new(false),
            live: Mutex::default(),
            idle: Notify::new(),
            unflushed_any: AtomicBool::new(false),
            unflushed: Mutex::default(),
            close: Mutex::default(),
            unproven: AtomicBool::new(false),
            armed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            watch: Mutex::default(),
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

    // ---- what the transport reports ----

    /// A head has begun, of HTTP/1.
    pub(crate) fn note_head(&self) {
        self.head_begun.store(true, Ordering::Relaxed);
    }

    /// The peer speaks HTTP/2.
    pub(crate) fn note_multiplexed(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
        // The first letters of the preface may have come alone, and looked like a method.
        self.head_begun.store(false, Ordering::Relaxed);
    }

    /// What comes from now on is no HTTP: the response switches protocols, or opens a tunnel.
    pub(crate) fn note_tunnel(&self) {
        self.tunnel.store(true, Ordering::Relaxed);
    }

    pub(crate) fn note_written(&self, octets: usize) {
        // Only the transport writes this counter, so no read-modify-write is needed.
        let written = self.written.load(Ordering::Relaxed) + octets as u64;
        self.written.store(written, Ordering::Release);
        self.receiving.store(false, Ordering::Relaxed);
        self.note_unblocked();
    }

    /// As [`Conn::note_written`], where many streams write at once.
    #[cfg(feature = "http3")]
    pub(crate) fn add_written(&self, octets: usize) {
        self.written.fetch_add(octets as u64, Ordering::AcqRel);
    }

    /// A write or flush has come through: of TLS often the flush, which has waited alone.
    fn note_unblocked(&self) {
        if self.blocked.load(Ordering::Relaxed) {
            self.blocked.store(false, Ordering::Relaxed);
            self.note_room();
        }
    }

    pub(crate) fn note_read(&self, octets: bool) {
        self.receiving.store(octets, Ordering::Release);
    }

    /// The connection is being closed, with so many octets on their way.
    pub(crate) fn note_unacknowledged(&self, octets: Option<u64>) {
        *lock(&self.unacknowledged) = octets;
    }

    pub(crate) fn unacknowledged_at_close(&self) -> Option<u64> {
        *lock(&self.unacknowledged)
    }

    pub(crate) fn note_read_end(&self) {
        self.read_end.store(true, Ordering::Release);
    }

    pub(crate) fn note_blocked(&self) {
        self.receiving.store(false, Ordering::Relaxed);
        if !self.blocked.swap(true, Ordering::AcqRel) {
            lock(&self.room).wait(Instant::now());
        }
    }

    /// The peer took something: it may be given more, or less, at once.
    fn note_room(&self) {
        let size = lock(&self.room).go(Instant::now());
        self.set_room(size);
    }

    fn set_room(&self, size: Option<usize>) {
        if let (Some(size), Some(tcp)) = (size, self.tcp()) {
            self.roomy.store(size, Ordering::Relaxed);
            tcp.limit_unsent(room::unsent(size));
        }
    }

    /// The server loop lets go of the connection.
    pub(crate) fn note_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether what is dropped from now on was not sent.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.departed().is_some() || self.killed().is_some()
    }

    /// Everything written has left user space.
    pub(crate) fn note_flushed(&self) {
        self.receiving.store(false, Ordering::Relaxed);
        self.note_unblocked();
        let flushes = self.flushes.load(Ordering::Relaxed) + 1;
        self.flushes.store(flushes, Ordering::SeqCst);
        if self.unflushed_any.load(Ordering::Acquire) {
            self.unflushed_any.store(false, Ordering::Release);
            let mut whole = std::mem::take(&mut *lock(&self.unflushed));
            for exchange in whole.drain(..) {
                exchange.delivered();
            }
            // Keeps the room for the next response.
            *lock(&self.unflushed) = whole;
        }
        self.wake_flush_waiters();
    }

    pub(crate) fn note_departed(&self, how: Departed) {
        let _ = self.departed.set(how);
        self.wake_flush_waiters();
    }

    fn wake_flush_waiters(&self) {
        if self.flush_awaited.load(Ordering::SeqCst)
            && self.flush_awaited.swap(false, Ordering::SeqCst)
        {
            for waker in std::mem::take(&mut *lock(&self.flush_waiters)) {
                waker.wake();
            }
        }
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

    // ---- what bodies ask ----

    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::SeqCst)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn is_receiving(&self) -> bool {
        self.receiving.load(Ordering::Acquire)
    }

    /// Whether the connection waits for its peer to take octets.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Acquire) || self.is_crowded()
    }

    /// Whether a body waits for the peer although nothing written does.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Acquire)
    }

    /// Waits until the kernel takes a whole frame.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(tcp) = self.tcp() else {
            return Poll::Ready(());
        };
        if tcp.poll_room(cx).is_pending() {
            if !self.crowded.swap(true, Ordering::AcqRel) {
                lock(&self.room).wait(Instant::now());
            }
            return Poll::Pending;
        }
        if self.crowded.load(Ordering::Relaxed) {
            self.crowded.store(false, Ordering::Release);
            self.note_room();
        } else {
            let size = lock(&self.room).flow(self.written(), || tcp.unacknowledged());
            self.set_room(size);
        }
        Poll::Ready(())
    }

    /// Octets that a frame best has.
    pub(crate) fn room(&self) -> usize {
        self.roomy.load(Ordering::Relaxed)
    }

    pub(crate) fn read_end(&self) -> bool {
        self.read_end.load(Ordering::Acquire)
    }

    pub(crate) fn departed(&self) -> Option<Departed> {
        self.departed.get().copied()
    }

    /// Wakes the task at the next flush; register first, then look.
    pub(crate) fn await_flush(&self, cx: &Context<'_>) {
        let mut waiters = lock(&self.flush_waiters);
        // Polled again before the flush: one waker of a task is enough.
        if !waiters
            .last()
            .is_some_and(|last| last.will_wake(cx.waker()))
        {
            waiters.push(cx.waker().clone());
        }
        drop(waiters);
        self.flush_awaited.store(true, Ordering::SeqCst);
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

    // ---- endings on this connection ----

    /// A close-delimited body begins: from now on a close resets the connection, even that of
    /// the kernel after a kill -9.
    pub(crate) fn begin_close_delimited(&self) {
        if self.tcp().is_some_and(|tcp| tcp.arm_reset().is_ok()) {
            self.unproven.store(true, Ordering::Release);
            self.armed.store(true, Ordering::Release);
        }
    }

    /// The close-delimited body has proven to be whole.
    pub(crate) fn close_delimited_whole(&self) {
        self.unproven.store(false, Ordering::Release);
    }

    /// Whether a close of the socket still resets it.
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// A close of the socket ends it in order again.
    pub(crate) fn disarm_reset(&self) {
        if self.is_armed() && self.tcp().is_some_and(|tcp| tcp.disarm_reset().is_ok()) {
            self.armed.store(false, Ordering::Release);
        }
    }

    /// Whether a plain close would make an unproven body look whole.
    pub(crate) fn is_unproven(&self) -> bool {
        self.unproven.load(Ordering::Acquire)
    }

    pub(crate) fn close_by(&self, close: Close) {
        let mut slot = lock(&self.close);
        if !matches!(*slot, Close::Kill) {
            *slot = close;
        }
    }

    pub(crate) fn take_close(&self) -> Close {
        std::mem::take(&mut *lock(&self.close))
    }

    pub(crate) fn has_broken_message(&self) -> bool {
        !matches!(*lock(&self.close), Close::InOrder)
    }

    /// Keeps a whole HTTP/1 response until the next flush has carried its last octets.
    pub(crate) fn settle_at_flush(&self, exchange: Arc<dyn Message>) {
        lock(&self.unflushed).push(exchange);
        self.unflushed_any.store(true, Ordering::Release);
    }

    /// Takes the responses whose last octets no flush has carried.
    pub(crate) fn take_unflushed(&self) -> Vec<Arc<dyn Message>> {
        std::mem::take(&mut *lock(&self.unflushed))
    }

    pub(crate) fn enlist(&self, message: Weak<dyn Message>, multiplexed: bool) -> usize {
        self.multiplexed.store(multiplexed, Ordering::Relaxed);
        self.head_begun.store(false, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        lock(&self.live).insert(message)
    }

    pub(crate) fn discharge(&self, key: usize) {
        let mut live = lock(&self.live);
        live.try_remove(key);
        if live.is_empty() {
            self.idle.notify_waiters();
        }
    }

    /// Counts a request of which the application is to hear; `false` if it is one too many.
    pub(crate) fn admit(&self) -> bool {
        let (Some(place), Some(limits)) = (self.place.get(), self.limits()) else {
            return true;
        };
        place.begin_request(lock(&self.live).len(), limits.requests)
    }

    /// Nothing is left of a request that was admitted.
    pub(crate) fn dismiss(&self) {
        if let Some(place) = self.place.get() {
            place.end_request();
        }
    }

    /// A request has come: whether content follows its head.
    pub(crate) fn note_content(&self, content: bool) {
        self.content.store(content, Ordering::Relaxed);
    }

    /// Whether what comes may be content of the request that came last.
    pub(crate) fn has_content(&self) -> bool {
        self.content.load(Ordering::Relaxed)
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether it has been handed to another protocol.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Relaxed)
    }

    /// Whether a head has begun that is not whole.
    pub(crate) fn has_head(&self) -> bool {
        self.head_begun.load(Ordering::Relaxed)
    }

    /// A request has ended, cancelled by the peer or not.
    pub(crate) fn note_request_over(&self, cancelled: bool) {
        let count = |score: u64| match cancelled {
            true => score.checked_add(1),
            false => score.checked_sub(1),
        };
        let _ = self
            .cancelled
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }

    /// Requests that the peer cancelled, less those that it let end.
    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// What changes while the peer takes octets, where that is known: how many its kernel has
    /// acknowledged, or what is left in a unix socket.
    pub(crate) fn acked(&self) -> Option<u64> {
        let tcp = self.tcp()?;
        let facts = tcp.facts().map(|facts| facts.acked);
        facts.or_else(|| tcp.unacknowledged())
    }

    /// Whether it carries many messages at once.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.live).is_empty()
    }

    pub(crate) fn live(&self) -> Vec<Arc<dyn Message>> {
        lock(&self.live)
            .iter()
            .filter_map(|(_, exchange)| exchange.upgrade())
            .collect()
    }

    // ---- orders of the server ----

    /// Every response still under way ends as failed, each in its protocol's way.
    pub(crate) fn order_failure(&self, cause: Cause) {
        let _ = self.order.set(cause);
        for exchange in self.live() {
            exchange.wake();
        }
    }

    pub(crate) fn ordered(&self) -> Option<&Cause> {
        self.order.get()
    }

    /// Ends the connection at once, with a reset.
    pub(crate) fn kill(&self, cause: Cause) {
        let _ = self.killed.set(cause);
        *lock(&self.close) = Close::Kill;
        for exchange in self.live() {
            exchange.wake();
        }
        self.driver.wake();
        self.wake_flush_waiters();
    }

    pub(crate) fn killed(&self) -> Option<&Cause> {
        self.killed.get()
    }

    /// Why a response that nobody ended has ended with this connection, and what was seen.
    pub(crate) fn why_gone(&self) -> (Cause, &'static str) {
        if let Some(cause) = self.killed() {
            let signal = match cause.kind {
                Kind::WriteTimeout => "timeout",
                _ => "none",
            };
            return (cause.clone(), signal);
        }
        let (message, signal) = match self.departed() {
            Some(Departed::Rst) => ("the client reset the connection", "rst"),
            _ if self.read_end() => ("the client closed the connection", "fin"),
            Some(Departed::Dropped) => ("the client left", "close"),
            #[cfg(feature = "http3")]
            Some(Departed::Closed | Departed::Left) => {
                ("the client closed the connection", "connection_close")
            }
            #[cfg(feature = "http3")]
            Some(Departed::Silent) => ("nothing more was heard of the client", "timeout"),
            #[cfg(feature = "http3")]
            None if matches!(self.remote, Remote::Quic(_)) => {
                ("the client stopped the stream", "stop_sending")
            }
            None if self.is_multiplexed() => ("the client reset the stream", "rst_stream"),
            None => ("the client left", "close"),
        };
        (Cause::new(Kind::ClientGone, message), signal)
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

#[cfg(all(test, unix))]
mod tests {
    use tokio::net::UnixStream;

    use super::super::stream::Stream;
    use super::*;

    #[tokio::test]
    async fn a_flush_that_comes_through_ends_the_wait() -> std::io::Result<()> {
        let (stream, _peer) = UnixStream::pair()?;
        let tcp = SharedTcp::new(Stream::Unix(stream));
        let conn = Conn::new(tcp, false, Remote::Unix { uid: None });
        conn.note_blocked();
        assert!(conn.is_blocked());
        conn.note_flushed();
        assert!(!conn.is_blocked());
        assert_eq!(lock(&conn.room).go(Instant::now()), None, "it waits on");
        Ok(())
    }
}
