//! How many programs run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the programs that run, and lets no more begin than may; clones share it.
///
/// A program counts until the last process that it started is gone, also after its client has left.
#[derive(Debug, Clone)]
pub struct Runs(Arc<State>);

#[derive(Debug)]
struct State {
    limit: AtomicUsize,
    running: AtomicUsize,
    ended: Notify,
}

impl Runs {
    /// So many at once.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(State {
            limit: AtomicUsize::new(limit),
            running: AtomicUsize::new(0),
            ended: Notify::new(),
        }))
    }

    /// From now on so many at once; those that run stay.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Waits until none runs.
    ///
    /// # Cancel safety
    /// A dropped call changes nothing.
    pub async fn settled(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Takes a place for one more, if there is one.
    pub(super) fn begin(&self) -> Option<Running> {
        let limit = self.0.limit.load(Ordering::Relaxed);
        let running = &self.0.running;
        let counted = running.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |running| {
            (running < limit).then_some(running + 1)
        });
        counted.ok().map(|_| Running(Arc::clone(&self.0)))
    }
}

/// One that runs, or is about to; dropped, it makes room.
#[derive(Debug)]
pub(super) struct Running(Arc<State>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_begin_than_may() {
        let runs = Runs::new(2);
        let (one, two) = (runs.begin(), runs.begin());
        assert!(one.is_some() && two.is_some() && runs.begin().is_none());
        runs.set_limit(3);
        let three = runs.begin();
        assert!(three.is_some() && runs.begin().is_none());
        runs.set_limit(1);
        drop((one, two));
        assert!(runs.begin().is_none() && runs.running() == 1);
        let settled = tokio::spawn({
            let runs = runs.clone();
            async move { runs.settled().await }
        });
        tokio::task::yield_now().await;
        assert!(!settled.is_finished());
        drop(three);
        settled.await.expect("it settles");
        assert!(runs.begin().is_some());
    }
}
