//! Stands in for `socket` where no listener of ours exists: then there is no socket to know of.

use std::time::Duration;

/// Names a task.
pub(crate) type TaskId = std::convert::Infallible;

/// No task drives a connection here.
pub(crate) fn current_task() -> Option<TaskId> {
    None
}

/// Never made.
#[derive(Debug, Clone)]
pub(crate) enum SharedTcp {}

/// What the peer did to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It closed its side.
    Fin,
    /// It reset the connection.
    Rst,
}

/// What the kernel knows of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TcpFacts {
    pub(crate) acked: u64,
    pub(crate) round_trip: Duration,
}

impl SharedTcp {
    pub(crate) fn has_reset(&self) -> bool {
        match *self {}
    }

    pub(crate) async fn departure(self, _: bool) -> Departure {
        match self {}
    }

    pub(crate) fn unacknowledged(&self) -> Option<u64> {
        match *self {}
    }

    pub(crate) fn facts(&self) -> Option<TcpFacts> {
        match *self {}
    }

    pub(crate) fn poll_room(&self, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        match *self {}
    }

    pub(crate) fn limit_unsent(&self, _: usize) {
        match *self {}
    }

    pub(crate) fn arm_reset(&self) -> std::io::Result<()> {
        match *self {}
    }

    pub(crate) fn disarm_reset(&self) -> std::io::Result<()> {
        match *self {}
    }
}
