//! What is in a folder and below it, as it was at one moment.
//!
//! Reads: what [`walk`](super::walk) found. Gives: entries in their order, which never changes: a
//! folder stands before what is in it; in a folder all that is no folder comes first, then each
//! folder with all that is below it; names are sorted by their octets.
//!
//! An entry costs 40 octets and its name: a tree may have a million of them.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Stat};

/// A listing of a tree, fixed.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Arc<File>,
    /// Whether the folder's file system is in memory. (That of a folder in it may be another one.)
    pub(super) in_memory: bool,
    pub(super) path: PathBuf,
    /// The names of all entries, and behind those of links what they lead to.
    pub(super) names: Vec<u8>,
    pub(super) entries: Vec<Packed>,
    /// Pipes, sockets and devices that were left out.
    pub(super) skipped: Named,
    /// What should be in the archive and cannot: only where that is no failure.
    pub(super) missing: Named,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link, which is not followed.
    Link,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// Its own name, without those of the folders above; never empty, without a slash.
    pub(super) name: &'a [u8],
    pub(super) is: Is,
    /// Permissions and the sticky bit: who extracts an archive must not make programs that run
    /// as somebody else.
    pub(super) mode: u16,
    /// Of a file, else 0.
    pub(super) octets: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(super) modified: (i64, u32),
    /// What a link leads to, as it is written there; else empty.
    pub(super) target: &'a [u8],
}

/// An entry as it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    /// Of a link, the length of what it leads to.
    octets: u64,
    seconds: i64,
    /// A hash of what tells this file from any other, and from itself after a change.
    stamp: u64,
    nanoseconds: u32,
    name_at: u32,
    /// The folder that it is in; the first entry is its own.
    parent: u32,
    name_length: u16,
    is_and_mode: u16,
}

/// The bits of a mode that are kept; above them stands what an entry is.
const MODE: u16 = 0o1777;
const FOLDER: u16 = 0o10000;
const LINK: u16 = 0o20000;

impl Packed {
    /// Packs a status; `None` for what is neither folder, file nor link.
    pub(super) fn of(stat: &Stat, parent: u32, name_at: u32, name_length: u16) -> Option<Self> {
        let is = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FOLDER,
            FileType::RegularFile => 0,
            FileType::Symlink => LINK,
            _ => return None,
        };
        let facts = Facts::of(stat);
        Some(Self {
            octets: if is == 0 { facts.octets } else { 0 },
            seconds: facts.modified.0,
            stamp: facts.stamp,
            nanoseconds: facts.modified.1,
            name_at,
            parent,
            name_length,
            // Both are masked: nothing is lost that is wanted.
            is_and_mode: is | (stat.st_mode as u16 & MODE),
        })
    }

    /// Sets how many octets stand behind the name of a link: what it leads to.
    pub(super) fn set_target(&mut self, octets: usize) {
        self.octets = octets as u64;
    }

    pub(super) fn is(self) -> Is {
        match self.is_and_mode & !MODE {
            FOLDER => Is::Folder,
            LINK => Is::Link,
            _ => Is::File,
        }
    }

    pub(super) fn name(self, names: &[u8]) -> &[u8] {
        let start = self.name_at as usize;
        &names[start..start + usize::from(self.name_length)]
    }

    pub(super) fn parent(self) -> u32 {
        self.parent
    }

    /// What its file must still be.
    pub(super) fn facts(self) -> Facts {
        Facts {
            octets: self.octets,
            modified: (self.seconds, self.nanoseconds),
            stamp: self.stamp,
        }
    }
}

/// What tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) octets: u64,
    pub(super) modified: (i64, u32),
    /// A hash of device, inode and time of the last status change.
    stamp: u64,
}

impl Facts {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the types of these fields are others on other systems"
    )]
    pub(super) fn of(stat: &Stat) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(stat.st_dev as u64);
        hasher.write_u64(stat.st_ino as u64);
        hasher.write_u64(stat.st_ctime as u64);
        hasher.write_u64(stat.st_ctime_nsec as u64);
        Self {
            octets: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            stamp: hasher.finish(),
        }
    }
}

/// Names of what is not in an archive, and why; the first of them only.
#[derive(Debug, Default, Clone)]
pub(super) struct Named {
    /// Their paths below the folder, each with the reason.
    pub(super) first: Vec<(Vec<u8>, String)>,
    /// How many there are in all.
    pub(super) count: usize,
}

/// So many names are kept: more than a person reads, and little memory.
const MOST_NAMED: usize = 100;

impl Named {
    pub(super) fn add(&mut self, path: Vec<u8>, why: impl Into<String>) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push((path, why.into()));
        }
    }
}

impl Named {
    /// What a person reads who misses something.
    pub(super) fn text(&self) -> String {
        let mut text = format!("Not in this archive: {}\n\n", self.count);
        for (path, why) in &self.first {
            text += &format!("{} {why}\n", String::from_utf8_lossy(path));
        }
        let further = self.count - self.first.len();
        if further > 0 {
            text += &format!("... and {further} more\n");
        }
        text
    }
}

impl Tree {
    /// How many entries there are, the folder itself among them.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry at a place.
    ///
    /// # Panics
    /// There is none.
    pub(super) fn entry(&self, at: usize) -> Entry<'_> {
        let packed = self.entries[at];
        let name = packed.name(&self.names);
        let is = packed.is();
        let end = packed.name_at as usize + name.len();
        let (octets, target) = match is {
            Is::File => (packed.octets, [].as_slice()),
            Is::Folder => (0, [].as_slice()),
            // It was written there when it was packed, and fits in memory.
            Is::Link => (0, &self.names[end..end + packed.octets as usize]),
        };
        Entry {
            name,
            is,
            mode: packed.is_and_mode & MODE,
            octets,
            modified: (packed.seconds, packed.nanoseconds),
            target,
        }
    }

    /// The folder that an entry is in; the first one is in itself.
    pub(super) fn parent(&self, at: usize) -> usize {
        self.entries[at].parent as usize
    }

    /// The path of an entry in the archive, beginning with the folder's own name; folders have no
    /// slash behind them.
    pub(super) fn path(&self, at: usize) -> Vec<u8> {
        let mut path = Vec::new();
        Paths::default().write(self, at, &mut path);
        path
    }

    /// The path of an entry on the disk, for messages.
    pub(super) fn path_on_disk(&self, at: usize) -> PathBuf {
        let path = self.path(at);
        let below = path.iter().position(|octet| *octet == b'/');
        match below {
            Some(slash) => self.path.join(os_path(&path[slash + 1..])),
            None => self.path.clone(),
        }
    }

    /// The latest time of modification of all: seconds since 1970, and nanoseconds.
    pub(super) fn latest(&self) -> (i64, u32) {
        let times = self.entries.iter();
        let latest = times.map(|entry| (entry.seconds, entry.nanoseconds)).max();
        latest.unwrap_or((i64::MIN, 0))
    }

    /// About how many octets of memory it takes.
    pub(super) fn weight(&self) -> usize {
        self.entries.capacity() * size_of::<Packed>() + self.names.capacity()
    }
}

pub(super) fn os_path(octets: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(octets))
}

/// Writes paths of entries that mostly stand in the same folder as the one before.
#[derive(Debug, Default)]
pub(super) struct Paths {
    folder: Option<usize>,
    /// The path of that folder, with a slash behind it.
    path: Vec<u8>,
}

impl Paths {
    /// Appends the path of an entry, beginning with the name of the first one.
    pub(super) fn write(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>) {
        if at > 0 {
            into.extend_from_slice(self.folder(tree, tree.parent(at)));
        }
        into.extend_from_slice(tree.entry(at).name);
    }

    fn folder(&mut self, tree: &Tree, folder: usize) -> &[u8] {
        if self.folder != Some(folder) {
            self.folder = Some(folder);
            self.path.clear();
            let mut names = vec![tree.entry(folder).name];
            let mut at = folder;
            while at > 0 {
                at = tree.parent(at);
                names.push(tree.entry(at).name);
            }
            for name in names.into_iter().rev() {
                self.path.extend_from_slice(name);
                self.path.push(b'/');
            }
        }
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_what_the_documentation_says() {
        assert_eq!(size_of::<Packed>(), 40);
    }

    #[test]
    fn names_are_counted_beyond_those_that_are_kept() {
        let mut named = Named::default();
        for _ in 0..=MOST_NAMED {
            named.add(b"x".to_vec(), "why");
        }
        assert_eq!(
            (named.first.len(), named.count),
            (MOST_NAMED, MOST_NAMED + 1)
        );
    }
}
