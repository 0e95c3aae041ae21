//! HTTP/2: when has the peer everything that was yielded, so that a reset loses nothing?
//!
//! A reset throws away what is still queued, in h2 and in the client. So it waits, in this
//! order: every owned chunk was taken by the connection; the flush after it has completed; the
//! peer's kernel has acknowledged all of it; the grace has passed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use endwell_core::{Client, Policy};
use tokio::time::{Instant, Sleep};

use super::conn::{Conn, Message};
use super::exchange::Exchange;
use super::http1::Gone;
use super::socket::TcpFacts;

/// The largest chunk given to h2: it takes a whole chunk as soon as one octet of window is
/// free, so this bounds what a reset could find in limbo.
pub(crate) const LARGEST_CHUNK: usize = 64 * 1024;

/// How often acknowledgements are looked at: no event tells of them.
const LOOK: Duration = Duration::from_millis(1);
/// How often they are looked at before the first pause.
const GLANCES: u8 = 3;
/// On a slow path it is looked at less often; a delayed acknowledgement takes 40 ms.
const LOOK_SELDOM: Duration = Duration::from_millis(4);
/// How long acknowledgements may stand still where the policy sets no stall deadline.
const STILL: Duration = Duration::from_secs(60);

/// The way of a broken stream's last octets to the peer.
pub(crate) struct Delivery {
    stage: Stage,
    timer: Pin<Box<Sleep>>,
}

enum Stage {
    /// Chunks are queued or wait for window.
    Taken,
    /// The connection's next flush is awaited.
    Flushed,
    /// The peer's kernel is to acknowledge octets up to `target`.
    Acknowledged { target: Option<u64>, seen: Progress },
    /// The peer's program is to read them.
    Grace,
}

struct Progress {
    /// As [`Conn::acked`] tells it.
    acked: u64,
    at: Instant,
    pause: Duration,
    /// Looks without a pause that are left.
    glances: u8,
}

impl Delivery {
    pub(crate) fn new() -> Self {
        Self {
            stage: Stage::Taken,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Waits until a reset loses nothing, or the peer has left.
    pub(crate) fn poll(
        &mut self,
        conn: &Conn,
        exchange: &Exchange,
        policy: &Policy,
        client: Client,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        loop {
            if conn.departed().is_some() || conn.killed().is_some() {
                return Poll::Ready(Err(Gone));
            }
            match &mut self.stage {
                Stage::Taken => {
                    exchange.register(cx);
                    exchange.chunks.awaited();
                    if exchange.progress().waiting > 0 {
                        return Poll::Pending;
                    }
                    if exchange.chunks.discarded() > 0 {
                        return Poll::Ready(Err(Gone));
                    }
                    self.stage = Stage::Flushed;
                }
                Stage::Flushed => {
                    conn.await_flush(cx);
                    if conn.flushes() == exchange.chunks.flushes() {
                        return Poll::Pending;
                    }
                    self.stage = Stage::Acknowledged {
                        target: target(conn),
                        seen: Progress::now(conn),
                    };
                }
                Stage::Acknowledged { target, seen } => {
                    let still = policy.stall_deadline.unwrap_or(STILL);
                    if seen.glances > 0 && !acknowledged(conn, *target) {
                        // On a short path the acknowledgement is here before a timer could be.
                        seen.glances -= 1;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    if !acknowledged(conn, *target) && !seen.stands_still(conn, still) {
                        self.timer.as_mut().reset(Instant::now() + seen.pause);
                        seen.pause = (seen.pause * 2).min(LOOK_SELDOM);
                        ready!(self.timer.as_mut().poll(cx));
                        continue;
                    }
                    let round_trip = conn.round_trip();
                    let grace = policy.grace.of(client, round_trip);
                    self.timer.as_mut().reset(Instant::now() + in_ticks(grace));
                    self.stage = Stage::Grace;
                }
                Stage::Grace => {
                    ready!(self.timer.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

/// A wait as tokio's timer must be asked for it: it is never early and one millisecond late.
pub(crate) fn in_ticks(wait: Duration) -> Duration {
    wait.saturating_sub(Duration::from_millis(1))
}

/// The count of acknowledged octets at which everything now in the kernel has arrived.
///
/// The queue is read first: octets acknowledged between the two calls then make the target
/// too high rather than too low, and the empty queue ends the wait all the same.
fn target(conn: &Conn) -> Option<u64> {
    let queued = unacknowledged(conn)?;
    // A unix socket counts nothing: there only the empty queue tells.
    Some(facts(conn).map_or(u64::MAX, |facts| facts.acked + queued))
}

fn unacknowledged(conn: &Conn) -> Option<u64> {
    conn.tcp()?.unacknowledged()
}

fn facts(conn: &Conn) -> Option<TcpFacts> {
    conn.tcp()?.facts()
}

/// Unknown counts as acknowledged: what is left then is the grace.
fn acknowledged(conn: &Conn, target: Option<u64>) -> bool {
    let Some(target) = target else { return true };
    match (unacknowledged(conn), facts(conn)) {
        (Some(queued), facts) => queued == 0 || facts.is_some_and(|facts| facts.acked >= target),
        (None, _) => true,
    }
}

impl Progress {
    fn now(conn: &Conn) -> Self {
        Self {
            acked: conn.acked().unwrap_or(0),
            at: Instant::now(),
            pause: LOOK,
            glances: GLANCES,
        }
    }

    /// Whether the peer has acknowledged nothing for so long.
    fn stands_still(&mut self, conn: &Conn, deadline: Duration) -> bool {
        let acked = conn.acked().unwrap_or(0);
        if acked != self.acked {
            self.acked = acked;
            self.at = Instant::now();
        }
        self.at.elapsed() >= deadline
    }
}
