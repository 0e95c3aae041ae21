//! The error of a body: its ending, carried through other people's code.

use std::error::Error as StdError;
use std::fmt;

use endwell_core::Ending;

use crate::producer::{cause_of, find};

/// The error that a broken body ends with: it carries the [`Ending`].
#[derive(Debug, Clone)]
pub struct Broken(pub(super) Ending);

impl Broken {
    /// How the body ended.
    pub fn ending(&self) -> &Ending {
        &self.0
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cause() {
            Some(cause) => write!(f, "response {}: {cause}", self.0.as_str()),
            None => f.write_str("response complete"),
        }
    }
}

impl StdError for Broken {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause().map(|cause| cause as _)
    }
}

/// The ending inside a foreign body's error, however deep.
pub(crate) fn ending_of(error: &(dyn StdError + 'static)) -> Ending {
    let broken = find(error, |error| error.downcast_ref::<Broken>().cloned());
    broken.map_or_else(|| Ending::Failed(cause_of(error)), |broken| broken.0)
}
