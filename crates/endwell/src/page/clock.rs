//! When something will have taken too long: one timer for a whole page.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// What is due when.
#[derive(Default)]
pub(super) struct Clock {
    alarms: BinaryHeap<Reverse<(Instant, Alarm)>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The head need not wait any more.
    Head,
    /// This part has taken too long, if that is still its deadline.
    Part(usize),
}

impl Clock {
    pub(super) fn set(&mut self, at: Instant, alarm: Alarm) {
        self.alarms.push(Reverse((at, alarm)));
    }

    /// The next one that is due, or `Pending` if there is none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(Instant, Alarm)> {
        let Some(Reverse((at, alarm))) = self.alarms.peek().copied() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).map(|()| {
            self.alarms.pop();
            (at, alarm)
        })
    }
}
