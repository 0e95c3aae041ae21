//! How a producer says that a response stopped.

use crate::{Cause, Party};

/// The end of a response, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All of it was produced and nothing in it is wrong.
    Complete,
    /// All of it was produced, yet something in it is wrong.
    Degraded(Cause),
    /// Something that should have followed never will.
    Failed(Cause),
    /// The peer left or asked to stop.
    Cancelled(Cause),
}

impl Ending {
    /// A failure.
    pub fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(cause.into())
    }

    /// A whole body with something wrong in it.
    pub fn degraded(cause: impl Into<Cause>) -> Self {
        Self::Degraded(cause.into())
    }

    /// The name in records and metrics: `complete`, `degraded`, `failed` or `cancelled`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Degraded(_) => "degraded",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Why, unless it is complete.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Complete => None,
            Self::Degraded(cause) | Self::Failed(cause) | Self::Cancelled(cause) => Some(cause),
        }
    }

    /// Who ended it; a complete response was ended by its producer.
    pub fn ended_by(&self) -> Party {
        self.cause().map_or(Party::Producer, |cause| cause.party)
    }

    /// Whether nothing is wrong.
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete)
    }
}

/// Who said the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SaidBy {
    /// A producer, by a call that consumed it.
    Producer,
    /// A foreign stream, body or reader that stopped: taken as complete, not said.
    Source,
    /// The server: shutdown, deadline, a dropped producer, a client that left.
    Server,
}

impl SaidBy {
    /// The name in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Source => "source",
            Self::Server => "server",
        }
    }
}
