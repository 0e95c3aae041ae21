//! Listings that are kept for some seconds.
//!
//! Reads: a tree that was just walked. Gives: the same to requests for ranges that follow: a client
//! that fetches an archive in many pieces at once would walk the folder for each of them. Never: a
//! listing to a request that asks whether something has changed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::layout::{Layout, hash};
use super::tree::Tree;
use super::walk::Options;
use super::zip;

/// How long a listing is kept: as long as a client takes for its next piece.
pub(super) const KEPT: Duration = Duration::from_secs(5);
/// All listings that are kept, in octets: about one of half a million entries.
const ROOM: usize = 32 * 1024 * 1024;
/// An archive with an entry younger than this may change without a new tag.
const YOUNG: Duration = Duration::from_secs(2);

/// A tree, and what is known of its archives.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) tree: Arc<Tree>,
    /// What tells it from every other version.
    pub(super) hash: String,
    /// Something in it may still change without a new time.
    pub(super) is_young: bool,
    layout: OnceLock<Option<Layout>>,
    zip_length: OnceLock<Option<u64>>,
}

impl Listing {
    pub(super) fn new(tree: Tree, now: SystemTime) -> Self {
        let (seconds, nanoseconds) = tree.latest();
        let latest = u64::try_from(seconds).unwrap_or(0);
        let latest = UNIX_EPOCH.checked_add(Duration::new(latest, nanoseconds));
        let age = latest.map(|latest| now.duration_since(latest).unwrap_or_default());
        Self {
            hash: hash(&tree),
            is_young: age.is_none_or(|age| age < YOUNG),
            layout: OnceLock::new(),
            zip_length: OnceLock::new(),
            tree: Arc::new(tree),
        }
    }

    /// The layout of its TAR; `None` if that would be absurdly long.
    pub(super) fn layout(&self) -> Option<&Layout> {
        let layout = self.layout.get_or_init(|| Layout::of(&self.tree));
        layout.as_ref()
    }

    /// The octets of its ZIP, if nothing in that is compressed; `None` if they would be absurdly
    /// many.
    pub(super) fn zip_length(&self) -> Option<u64> {
        *self.zip_length.get_or_init(|| zip::length(&self.tree))
    }

    fn weight(&self) -> usize {
        let layout = self.layout.get().and_then(Option::as_ref);
        self.tree.weight() + layout.map_or(0, Layout::weight)
    }
}

/// Which listing is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) folder: PathBuf,
    pub(super) name: Vec<u8>,
    pub(super) options: Options,
}

impl Key {
    pub(super) fn new(folder: &Path, name: &[u8], options: Options) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            options,
        }
    }
}

/// The listings that are kept; the newest stands last.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Vec<(Key, Instant, Arc<Listing>)>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Vec<(Key, Instant, Arc<Listing>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<Listing>> {
        self.expire(now);
        let kept = self.lock();
        let found = kept.iter().find(|(known, ..)| known == key);
        found.map(|(.., listing)| Arc::clone(listing))
    }

    /// Keeps a listing in place of an older one; the oldest make room for it.
    pub(super) fn put(&self, key: Key, listing: &Arc<Listing>, now: Instant) {
        let mut kept = self.lock();
        kept.retain(|(known, ..)| *known != key);
        kept.push((key, now, Arc::clone(listing)));
        let mut room = ROOM;
        let fitting = kept.iter().rev().take_while(|(.., listing)| {
            let left = room.checked_sub(listing.weight());
            room = left.unwrap_or(0);
            left.is_some()
        });
        let fitting = fitting.count();
        let too_many = kept.len() - fitting;
        kept.drain(..too_many);
    }

    /// Forgets what was kept for long enough.
    pub(super) fn expire(&self, now: Instant) {
        self.lock()
            .retain(|(_, since, _)| now.saturating_duration_since(*since) < KEPT);
    }
}
