//! What was read of a file that was written a moment before it was opened.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, SystemTime};

/// How long the size of an appended file may lag behind its time: a write is over in microseconds,
/// unless its process loses the CPU in the middle of it.
pub(super) const APPEND: Duration = Duration::from_millis(100);

/// What was read of a file that was written a moment before it was opened.
///
/// Linux notes the time at the beginning of a write and then copies, page by page, for as long as
/// that takes: who opens the file meanwhile sees pages of both versions, and no later change.
#[derive(Debug)]
pub(super) struct Unsettled {
    pub(super) written: SystemTime,
    /// Where, how many, and a hash of what.
    pub(super) read: Vec<(u64, usize, u64)>,
}

/// A single write takes no longer than this; the same age makes an entity tag strong.
const WRITE: Duration = Duration::from_secs(2);

impl Unsettled {
    pub(super) fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let written = metadata.modified().ok()?;
        let age = now.duration_since(written).unwrap_or_default();
        (age < WRITE).then(|| Self {
            written: written.min(now),
            read: Vec::new(),
        })
    }

    pub(super) fn note(&mut self, at: u64, octets: &[u8]) {
        self.read.push((at, octets.len(), hash_of(octets)));
    }

    /// How long to wait: a write that has not got on since is not likely to be under way.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        let age = now.duration_since(self.written).unwrap_or_default();
        APPEND.saturating_sub(age)
    }
}

/// Of what this process has read itself: nobody chooses octets to have the same hash as others.
pub(super) fn hash_of(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(octets);
    hasher.finish()
}
