//! HTTP/2: when has the peer everything that was yielded, so that a reset loses nothing?
//!
//! A reset throws away what is still queued, in h2, in the kernels and in the client. So it waits, in this
//! order: every owned chunk was taken by the connection; the peer has answered a PING that went behind
//! them, so its HTTP/2 layer has read them; the grace has passed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use endwell_core::{Client, Policy};
use tokio::time::{Instant, Sleep};

use super::conn::{Conn, Message};
use super::exchange::Exchange;
use super::http1::Gone;

/// The largest chunk given to h2: it takes a whole chunk as soon as one octet of window is
/// free, so this bounds what a reset could find in limbo.
pub(crate) const LARGEST_CHUNK: usize = 64 * 1024;

/// How long a peer may neither answer nor acknowledge anything where the policy sets no stall deadline.
const STILL: Duration = Duration::from_secs(60);

/// The way of a broken stream's last octets to the peer.
pub(crate) struct Delivery {
    stage: Stage,
    timer: Pin<Box<Sleep>>,
}

enum Stage {
    /// Chunks are queued or wait for window.
    Taken,
    /// The peer is to answer this PING; so much of what it got its kernel had acknowledged.
    Answered { ping: u32, acked: Option<u64> },
    /// The peer's program is to read them.
    Grace,
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
                    self.stage = Stage::Answered {
                        ping: conn.ask_peer(),
                        acked: conn.acked(),
                    };
                    self.wait(policy.stall_deadline.unwrap_or(STILL));
                }
                Stage::Answered { ping, acked } => {
                    if conn.pings().poll_answered(*ping, cx).is_pending() {
                        ready!(self.timer.as_mut().poll(cx));
                        let now = conn.acked();
                        if now != *acked {
                            *acked = now;
                            self.wait(policy.stall_deadline.unwrap_or(STILL));
                            continue;
                        }
                        // It takes nothing and says nothing: what it did not read by now it will not.
                    }
                    let round_trip = conn.round_trip();
                    let grace = policy.grace.of(client, round_trip);
                    self.wait(in_ticks(grace));
                    self.stage = Stage::Grace;
                }
                Stage::Grace => {
                    ready!(self.timer.as_mut().poll(cx));
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.timer.as_mut().reset(Instant::now() + time);
    }
}

/// A wait as tokio's timer must be asked for it: it is never early and one millisecond late.
pub(crate) fn in_ticks(wait: Duration) -> Duration {
    wait.saturating_sub(Duration::from_millis(1))
}
