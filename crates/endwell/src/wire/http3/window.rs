//! How much of a connection is kept until it is acknowledged: little until the client has shown that it takes
//! more.
//!
//! quinn keeps what is written until it is acknowledged, up to its send window. A constant one would be
//! either too small for a long fast path or megabytes for every client that never reads. What the path has
//! shown to carry is the congestion window: twice that is always enough to keep it full.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::Connection;

/// When a connection begins: ten first congestion windows.
pub(crate) const FIRST: u64 = 128 * 1024;
/// The most: 80 MB a second at a round trip of 100 ms.
const MOST: u64 = 8 * 1024 * 1024;

/// What a client that leaves in order may have left unacknowledged of everything: aioquic 1.7 was seen to
/// acknowledge 120 KB late; a socket's buffer over TCP is larger.
const LAST_FLIGHT: u64 = 256 * 1024;

/// The send window of one connection, and what of it is used.
#[derive(Debug)]
pub(super) struct Window {
    size: AtomicU64,
    /// Octets of all its streams that QUIC has taken and that are not acknowledged, in whole chunks.
    unacked: AtomicU64,
    /// How many these were when the connection was seen to be lost.
    at_loss: OnceLock<u64>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            size: AtomicU64::new(FIRST),
            unacked: AtomicU64::new(0),
            at_loss: OnceLock::new(),
        }
    }
}

impl Window {
    /// QUIC has taken so many octets.
    pub(super) fn took(&self, octets: usize) {
        self.unacked.fetch_add(octets as u64, Ordering::SeqCst);
    }

    /// QUIC has let go of so many octets.
    pub(super) fn let_go(&self, octets: usize) {
        self.unacked.fetch_sub(octets as u64, Ordering::SeqCst);
    }

    /// The connection is lost: from now on streams let go of what never arrived.
    pub(super) fn note_lost(&self) {
        self.at_loss
            .get_or_init(|| self.unacked.load(Ordering::SeqCst));
    }

    /// Whether everything that QUIC had taken can have been on its way when the connection was lost. What
    /// waits in QUIC beyond its congestion window was never sent, of whichever stream it is.
    pub(super) fn was_in_flight(&self, quic: &Connection) -> bool {
        let most = quic.stats().path.cwnd.min(LAST_FLIGHT);
        self.at_loss.get().is_some_and(|unacked| *unacked <= most)
    }

    /// A write had to wait: gives the connection what its path carries; whether that is more than before.
    pub(super) fn follow(&self, quic: &Connection) -> bool {
        let size = wanted(quic.stats().path.cwnd);
        let before = self.size.swap(size, Ordering::AcqRel);
        if size != before {
            quic.set_send_window(size);
        }
        size > before
    }
}

/// The window for a path that carries so many octets at once, in steps of two: it is set seldom.
fn wanted(carries: u64) -> u64 {
    let twice = carries.saturating_mul(2).clamp(FIRST, MOST);
    twice.checked_next_power_of_two().unwrap_or(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_path_within_bounds() {
        assert_eq!(wanted(0), FIRST);
        assert_eq!(wanted(12_000), FIRST);
        assert_eq!(wanted(100_000), 256 * 1024);
        assert_eq!(wanted(4 << 20), MOST);
        assert_eq!(wanted(u64::MAX), MOST);
    }
}
