//! How much of a connection is kept until it is acknowledged: little until the client has shown that it takes
//! more.
//!
//! quinn keeps what is written until it is acknowledged, up to its send window. A constant one would be
//! either too small for a long fast path or megabytes for every client that never reads. What the path has
//! shown to carry is the congestion window: twice that is always enough to keep it full.

use std::sync::atomic::{AtomicU64, Ordering};

use quinn::Connection;

/// When a connection begins: ten first congestion windows.
pub(crate) const FIRST: u64 = 128 * 1024;
/// The most: 80 MB a second at a round trip of 100 ms.
const MOST: u64 = 8 * 1024 * 1024;

/// The send window of one connection.
#[derive(Debug)]
pub(super) struct Window(AtomicU64);

impl Default for Window {
    fn default() -> Self {
        Self(AtomicU64::new(FIRST))
    }
}

impl Window {
    /// A write had to wait: gives the connection what its path carries; whether that is more than before.
    pub(super) fn follow(&self, quic: &Connection) -> bool {
        let size = wanted(quic.stats().path.cwnd);
        let before = self.0.swap(size, Ordering::AcqRel);
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
