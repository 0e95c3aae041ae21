//! The length that a body promises.
//!
//! Reads: octets as they are given, and the ending. Gives: the ending that counts. Middleware around
//! a body may take the promise out of the head (compression does), where nobody else checks it then.

use endwell_core::{Cause, Ending, Kind};
use http_body::SizeHint;

/// How many octets were promised, if any were, and how many were given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Promise {
    pub(super) octets: Option<u64>,
    given: u64,
}

impl Promise {
    pub(super) fn of(octets: Option<u64>) -> Self {
        Self { octets, given: 0 }
    }

    /// Octets of the body pass.
    pub(super) fn give(&mut self, octets: usize) {
        self.given += octets as u64;
    }

    /// Whether a body may end here as complete.
    pub(super) fn is_kept(&self) -> bool {
        self.octets.is_none_or(|octets| octets == self.given)
    }

    pub(super) fn is_exceeded(&self) -> bool {
        self.octets.is_some_and(|octets| octets < self.given)
    }

    /// The ending, or that of a body that is shorter or longer than it promised.
    pub(super) fn judge(&self, ending: Ending) -> Ending {
        let given = self.given;
        match (&ending, self.octets) {
            (Ending::Complete | Ending::Degraded(_), Some(octets)) if given < octets => {
                let message = format!("the body ended at octet {given} of {octets} promised");
                Ending::Failed(Cause::new(Kind::LengthShort, message))
            }
            (Ending::Complete | Ending::Degraded(_), Some(octets)) if given > octets => {
                let message = format!("more octets than the {octets} promised");
                Ending::Failed(Cause::new(Kind::LengthExceeded, message))
            }
            _ => ending,
        }
    }

    /// What is still to come.
    pub(super) fn hint(&self) -> SizeHint {
        let left = |octets: u64| SizeHint::with_exact(octets.saturating_sub(self.given));
        self.octets.map_or_else(SizeHint::new, left)
    }
}
