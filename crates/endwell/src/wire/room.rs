//! How much is queued for a peer: little until it has shown that it reads, more while it reads fast.
//!
//! Reads: when a connection had to wait for its peer, and when it could go on. Gives: the octets
//! that a frame best has, and twice that as the kernel's limit of unsent octets
//! (`TCP_NOTSENT_LOWAT`). What is in flight is not counted, so a long fast path is not throttled;
//! without the limit a peer that never reads costs megabytes of the kernel's memory.

use std::time::{Duration, Instant};

/// For a peer that has not shown yet that it reads.
///
/// Small enough that it fits in whole into a third of a new socket's buffer, which is what the
/// kernel calls writable: what does not fit stays in this process.
pub(crate) const LEAST: usize = 8 * 1024;
/// For a peer that reads as fast as it is given: twice this is what the kernel may hold unsent, as
/// much as a socket of its own default would.
pub(crate) const MOST: usize = 1024 * 1024;
/// Beyond 256 KiB a frame that is copied gains nothing, in throughput or CPU.
pub(crate) const LARGEST_FRAME: usize = 256 * 1024;

/// A peer that makes room within this time reads fast: a program that is awake, or a path whose
/// acknowledgements come in a stream.
const PROMPT: Duration = Duration::from_millis(20);

/// A peer that has acknowledged so many octets reads: a kernel takes less for a program that does
/// not (64 KiB by Linux's default, 128 to 256 KiB elsewhere).
const PROOF: u64 = 256 * 1024;

/// The room of one connection.
#[derive(Debug)]
pub(crate) struct Room {
    size: usize,
    waits_since: Option<Instant>,
    /// Octets that were acknowledged when the size was last set.
    acked: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            size: LEAST,
            waits_since: None,
            acked: 0,
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
        self.set(if waited <= PROMPT {
            self.size * 2
        } else {
            self.size / 2
        })
    }

    /// There was no need to wait; gives the new size if the peer has proven that it reads.
    ///
    /// Shapes: `written`, octets of the connection until now; `queued` tells how many of them the
    /// peer has not acknowledged, and is asked only when the answer can matter.
    pub(crate) fn flow(
        &mut self,
        written: u64,
        queued: impl FnOnce() -> Option<u64>,
    ) -> Option<usize> {
        let since = |octets: u64| octets.saturating_sub(self.acked);
        if self.size == MOST || since(written) < PROOF {
            return None;
        }
        let acked = written.saturating_sub(queued()?);
        if since(acked) < PROOF {
            return None;
        }
        self.acked = acked;
        self.set(self.size * 2)
    }

    fn set(&mut self, size: usize) -> Option<usize> {
        let size = size.clamp(LEAST, MOST);
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
    fn a_peer_that_proves_to_read_gets_more() {
        let mut room = Room::default();
        assert_eq!(room.flow(PROOF - 1, || unreachable!()), None);
        // All that is missing may lie in the buffers of a peer that does not read.
        assert_eq!(room.flow(PROOF, || Some(1)), None);
        assert_eq!(room.flow(PROOF, || None), None);
        assert_eq!(room.flow(PROOF + 1, || Some(1)), Some(2 * LEAST));
        assert_eq!(room.flow(2 * PROOF - 1, || unreachable!()), None);
        assert_eq!(room.flow(2 * PROOF, || Some(0)), Some(4 * LEAST));
        room.size = MOST;
        assert_eq!(room.flow(99 * PROOF, || unreachable!()), None);
    }

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
        let up = [PROMPT; 8].map(&mut waits);
        let sizes = [16, 32, 64, 128, 256, 512, 1024].map(Some);
        assert_eq!((&up[..7], up[7]), (&sizes[..], None));
        let down = [late; 8].map(&mut waits);
        let sizes = [512, 256, 128, 64, 32, 16, 8].map(Some);
        assert_eq!((&down[..7], down[7]), (&sizes[..], None));
    }
}
