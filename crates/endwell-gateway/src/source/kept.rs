//! Small files that are asked for again and again, kept in memory.
//!
//! Reads: what a small file held, and what it was then. Gives: the same octets while the file is
//! still that. Every request looks at the file's status, so nothing is served that is out of date;
//! what the times of a file cannot tell stands in [`file`](super::file).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::os::Identity;

/// A larger file gains little: its own octets cost more than to open it.
pub(super) const LARGEST: u64 = 32 * 1024;
/// All kept files together: enough for the pages, styles and scripts of a site.
const ROOM: u64 = 32 * 1024 * 1024;
/// How many files are expected in that room.
const FILES: usize = 4096;
/// What a file costs beside its octets.
const BESIDE: u64 = 256;
/// Seconds after which another change would show in the times (as for entity tags).
const OLD: i64 = 2;

/// The files that are kept.
#[derive(Debug)]
pub(super) struct Kept(Cache<PathBuf, (Identity, Bytes), Weight>);

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<PathBuf, (Identity, Bytes)> for Weight {
    fn weight(&self, names: &PathBuf, kept: &(Identity, Bytes)) -> u64 {
        BESIDE + names.as_os_str().len() as u64 + kept.1.len() as u64
    }
}

impl Kept {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(FILES, ROOM, Weight))
    }

    /// What it holds, if it is still that.
    pub(super) fn get(&self, names: &Path, now: Option<&Identity>) -> Option<Bytes> {
        let (identity, octets) = self.0.get(names)?;
        (Some(&identity) == now).then_some(octets)
    }

    /// Keeps what it held, unless it is so young that it could change without a new time.
    pub(super) fn put(&self, names: &Path, identity: Identity, octets: Bytes) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if now - identity.last_change() > OLD {
            self.0.insert(names.to_owned(), (identity, octets));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::super::testing::old_file;
    use super::*;

    #[test]
    fn a_file_is_kept_while_it_stays_what_it_was() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, "young")?;
        let identity = |path| Ok::<_, std::io::Error>(Identity::of(&fs::metadata(path)?));
        let kept = Kept::new();
        let young = identity(&path)?.ok_or(std::io::ErrorKind::Unsupported)?;
        kept.put(&path, young.clone(), Bytes::from("young"));
        assert_eq!(kept.get(&path, Some(&young)), None);

        let mut old = young;
        old.age_for_tests();
        kept.put(&path, old.clone(), Bytes::from("old"));
        assert_eq!(kept.get(&path, Some(&old)), Some(Bytes::from("old")));
        assert_eq!(kept.get(Path::new("other"), Some(&old)), None);
        assert_eq!(kept.get(&path, None), None);
        old_file(&path, "other")?;
        assert_eq!(kept.get(&path, identity(&path)?.as_ref()), None);
        Ok(())
    }
}
