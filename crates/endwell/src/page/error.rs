//! Why a part failed.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use endwell_core::{Cause, Kind};

use crate::producer::{BoxError, cause_of};

/// Why a part failed, for its [`catch`](super::Part::catch).
#[non_exhaustive]
#[derive(Debug)]
pub enum PartError {
    /// Its work gave an error.
    Failed(BoxError),
    /// It took longer than it may.
    TimedOut(Duration),
    /// It panicked, with this message.
    Panicked(String),
    /// The page has as many unfinished parts, or as deeply nested ones, as it may.
    TooMany(usize),
}

impl PartError {
    /// What it will be recorded as.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Failed(error) => cause_of(&**error),
            Self::TimedOut(_) => Cause::new(Kind::PartTimeout, self.to_string()),
            Self::Panicked(_) => Cause::new(Kind::ProducerPanicked, self.to_string()),
            Self::TooMany(_) => Cause::producer(self.to_string()),
        }
    }

    /// The work's own error, if it is of this type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            Self::TimedOut(_) | Self::Panicked(_) | Self::TooMany(_) => None,
        }
    }
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(time) => write!(f, "it took longer than {time:?}"),
            Self::Panicked(message) => f.write_str(message),
            Self::TooMany(parts) => write!(f, "a page may have {parts} of these at once"),
        }
    }
}

impl StdError for PartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            Self::TimedOut(_) | Self::Panicked(_) | Self::TooMany(_) => None,
        }
    }
}
