//! How much is queued for a peer: little until it has shown that it reads, more while it reads fast.
//!
//! Reads: when a connection had to wait for its peer, and when it could go on. Gives: the octets
//! that a frame best has, and twice that as the kernel's limit of unsent octets
//! (`TCP_NOTSENT_LOWAT`). What is in flight is not counted, so a long fast path is not throttled;
//! without the limit a peer that never reads costs megabytes of the kernel's memory.

use std::time::{Duration, Instant};

/// For a peer that has not shown yet that it reads.
pub(crate) const LEAST: usize = 32 * 1024;
/// Beyond 256 KiB neither throughput nor CPU improved in measurements.
pub(crate) const MOST: usize = 256 * 1024;

/// A peer that makes room within this time reads fast: a program that is awake, or a path whose
/// acknowledgements come in a stream.
const PROMPT: Duration = Duration::from_millis(20);

/// The room of one connection.
#[derive(Debug)]
pub(crate) struct Room {
    size: usize,
    waits_since: Option<Instant>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            size: LEAST,
            waits_since: None,
        }
    }
}

impl Room {
    /// The peer has no room.
    pub(crate) fn wait(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// The peer has room again; gives the new size if it is another one.
    pub(crate) fn go(&mut self, now: Instant) -> Option<usize> {
        let waited = now.saturating_duration_since(self.waits_since.take()?);
        let size = if waited <= PROMPT {
            (self.size * 2).min(MOST)
        } else {
            (self.size / 2).max(LEAST)
        };
        let before = std::mem::replace(&mut self.size, size);
        (size != before).then_some(size)
    }
}

/// How many unsent octets the kernel may hold for frames of this size: a frame fits in whole
/// when the socket becomes writable, which is at half of the limit.
pub(crate) fn unsent(size: usize) -> usize {
    size * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_the_peer() {
        let start = Instant::now();
        let mut room = Room::default();
        assert_eq!(room.go(start), None);
        let mut waits = |waited| {
            room.wait(start);
            room.wait(start + waited);
            room.go(start + waited).map(|size| size / 1024)
        };
        let late = PROMPT * 2;
        let seen = [PROMPT, PROMPT, PROMPT, PROMPT, late, late, late, late].map(&mut waits);
        assert_eq!(
            seen,
            [
                Some(64),
                Some(128),
                Some(256),
                None,
                Some(128),
                Some(64),
                Some(32),
                None
            ]
        );
    }
}
