//! How long a connection may keep its server waiting.
//!
//! Reads: what a connection is doing, and the limits. Gives: the moment at which it is late.
//! hyper's own time-out of heads allocates a timer for each request, knows no silence between
//! requests, and answers nothing; this is one timer a connection, which is set anew only when
//! it has run out.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::limits::{Limits, Places};
use crate::wire::conn::Conn;

/// What a server waits for on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A new connection's first octet.
    First,
    /// The rest of a head.
    Head,
    /// A response is under way: its deadlines are the policy's.
    Busy,
    /// The next request.
    Idle,
}

/// Why a connection is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It has said nothing.
    Silent,
    /// A head has begun and is not whole.
    Head,
    /// It had requests, and has no more.
    Idle,
}

/// Follows one connection.
pub(super) struct Watch {
    phase: Phase,
    requests: u64,
    since: Instant,
    waiting: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::First,
            requests: 0,
            since: Instant::now(),
            waiting: false,
        }
    }

    /// Whether the connection is late; `timer` wakes the task when it may be.
    pub(super) fn poll(
        &mut self,
        conn: &Conn,
        (limits, places): (&Limits, &Places),
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Late> {
        let now_at = (phase(conn), conn.requests());
        if now_at != (self.phase, self.requests) {
            (self.phase, self.requests) = now_at;
            self.since = Instant::now();
            let due = self.since + self.look(limits, places);
            if due < timer.deadline() {
                timer.as_mut().reset(due);
                self.waiting = false;
            }
        }
        if self.waiting && !timer.is_elapsed() {
            return Poll::Pending;
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if let Some(late) = self.late(limits, places, now) {
                return Poll::Ready(late);
            }
            let due = self.since + self.allowed(limits, places);
            let look = now + self.look(limits, places);
            // What is due already is a response under way, for which nothing is due.
            timer
                .as_mut()
                .reset(if due > now { due.min(look) } else { look });
        }
        self.waiting = true;
        Poll::Pending
    }

    fn late(&self, limits: &Limits, places: &Places, now: Instant) -> Option<Late> {
        if now - self.since < self.allowed(limits, places) {
            return None;
        }
        match self.phase {
            Phase::First => Some(Late::Silent),
            Phase::Head => Some(Late::Head),
            Phase::Busy => None,
            Phase::Idle => Some(Late::Idle),
        }
    }

    fn allowed(&self, limits: &Limits, places: &Places) -> Duration {
        match self.phase {
            Phase::First | Phase::Head => limits.head_timeout,
            Phase::Busy => limits.idle,
            Phase::Idle => limits.idle_while(places.is_full()),
        }
    }

    /// How long until the next look: idle connections must see that all places are taken, and
    /// the end of an HTTP/2 response wakes nobody here.
    fn look(&self, limits: &Limits, places: &Places) -> Duration {
        match self.phase {
            Phase::First | Phase::Head => limits.head_timeout,
            Phase::Busy => limits.idle,
            Phase::Idle => self.allowed(limits, places).min(limits.idle / 8),
        }
    }
}

fn phase(conn: &Conn) -> Phase {
    match () {
        () if !conn.is_idle() => Phase::Busy,
        () if conn.has_head() => Phase::Head,
        // What sent the preface has been sent our SETTINGS: it may stay idle.
        () if conn.requests() == 0 && !conn.is_multiplexed() => Phase::First,
        () => Phase::Idle,
    }
}
