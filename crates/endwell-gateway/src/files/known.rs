//! Digests that were computed before.
//!
//! Reads: what the system tells of an open file. Gives: the digest of exactly that version, if it
//! is still known. Never: the digest of a version that another one could be mistaken for.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use endwell_core::fields::{Digest, DigestAlgorithm};
use tokio::sync::Semaphore;

use crate::source::file::Opened;
use crate::validators::Validators;

/// So many digests are remembered: with its key each is about 200 octets, together under 1 MB.
const MOST_KNOWN: usize = 4096;

/// A version of a file that no other one of this machine can be mistaken for.
///
/// Beyond device, inode, size and time of modification it holds the time of the last status
/// change, so that a time that was set back makes another version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(not(unix), allow(dead_code))] // nobody makes one there
pub(super) struct Key {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Key {
    /// `None` where the system does not tell, or while the file may change without a new time.
    #[cfg(unix)]
    pub(super) fn of(opened: &Opened, version: &Validators) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let now = opened.status().ok()?;
        // Changed since it was opened: the body will fail, and its digest is nobody's.
        let same = now.len() == opened.octets() && now.modified().ok() == opened.modified();
        (same && version.is_certain()).then(|| Self {
            device: now.dev(),
            inode: now.ino(),
            octets: now.len(),
            modified: (now.mtime(), now.mtime_nsec()),
            changed: (now.ctime(), now.ctime_nsec()),
        })
    }

    /// `None`: this system does not tell.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Opened, _: &Validators) -> Option<Self> {
        None
    }
}

/// The digests that are remembered, and how many may be computed at once.
#[derive(Debug)]
pub(super) struct Known {
    digests: Mutex<Digests>,
    /// As many as there are processors: the work is theirs, and more at once would only hold up
    /// those who download.
    pub(super) computing: Semaphore,
}

#[derive(Debug, Default)]
struct Digests {
    of: HashMap<(Key, DigestAlgorithm), Digest>,
    oldest: VecDeque<(Key, DigestAlgorithm)>,
}

impl Default for Known {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            digests: Mutex::default(),
            computing: Semaphore::new(processors),
        }
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Digests> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key, algorithm: DigestAlgorithm) -> Option<Digest> {
        self.lock().of.get(&(key.clone(), algorithm)).cloned()
    }

    /// Remembers a digest of proven content; the oldest is forgotten for it.
    pub(super) fn insert(&self, key: Key, digest: Digest) {
        let mut digests = self.lock();
        let key = (key, digest.algorithm());
        if digests.of.insert(key.clone(), digest).is_none() {
            digests.oldest.push_back(key);
        }
        if digests.oldest.len() > MOST_KNOWN
            && let Some(oldest) = digests.oldest.pop_front()
        {
            digests.of.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(inode: u64) -> Key {
        Key {
            device: 1,
            inode,
            octets: 5,
            modified: (1, 0),
            changed: (1, 0),
        }
    }

    fn digest(algorithm: DigestAlgorithm) -> Digest {
        Digest::new(algorithm, vec![7; algorithm.octets()]).expect("its length")
    }

    #[test]
    fn the_oldest_digest_is_forgotten() {
        let known = Known::default();
        let most = MOST_KNOWN as u64;
        for inode in 0..=most {
            for _ in 0..2 {
                known.insert(key(inode), digest(DigestAlgorithm::Sha256));
            }
        }
        let get = |inode| known.get(&key(inode), DigestAlgorithm::Sha256);
        assert!(get(0).is_none() && get(1).is_some() && get(most).is_some());
        assert_eq!(known.lock().of.len(), MOST_KNOWN);
    }

    #[test]
    fn another_version_is_not_known() {
        let known = Known::default();
        known.insert(key(1), digest(DigestAlgorithm::Sha256));
        assert!(known.get(&key(1), DigestAlgorithm::Sha256).is_some());
        assert!(known.get(&key(1), DigestAlgorithm::Sha512).is_none());
        let set_back = Key {
            changed: (1, 1),
            ..key(1)
        };
        assert!(known.get(&set_back, DigestAlgorithm::Sha256).is_none());
    }
}
