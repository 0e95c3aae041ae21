//! Whether a server should be sent requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const STARTING: u8 = 0;
const ACCEPTING: u8 = 1;
const DRAINING: u8 = 2;

/// Whether a server should be sent requests, as the server says it and `/readyz` tells it.
///
/// Clones share it. It begins as not ready, and after a drain has begun nothing makes it ready
/// again.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Not ready yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The server accepts connections.
    pub fn accepting(&self) {
        self.0.fetch_max(ACCEPTING, Ordering::AcqRel);
    }

    /// The server accepts no more connections.
    pub fn draining(&self) {
        self.0.fetch_max(DRAINING, Ordering::AcqRel);
    }

    /// Whether it accepts connections.
    pub fn is_accepting(&self) -> bool {
        self.0.load(Ordering::Acquire) == ACCEPTING
    }

    /// `starting`, `accepting` or `draining`.
    pub fn as_str(&self) -> &'static str {
        match self.0.load(Ordering::Acquire) {
            STARTING => "starting",
            ACCEPTING => "accepting",
            _ => "draining",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_makes_a_draining_server_ready_again() {
        let readiness = Readiness::new();
        assert_eq!(readiness.as_str(), "starting");
        readiness.clone().accepting();
        assert!(readiness.is_accepting());
        readiness.draining();
        readiness.accepting();
        assert_eq!(readiness.as_str(), "draining");
        assert!(!readiness.is_accepting());
    }
}
