//! Walks a folder, and fixes what is in it.
//!
//! Reads: an open folder and all below it, by calls that block. Gives: a [`Tree`]. Never: follows a
//! symbolic link, so that none leads out or round in circles; never gives a tree that lacks
//! something without saying so.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fs::{Access, AtFlags, Dir, FileType, Stat, accessat, fstat, readlinkat, statat};
use rustix::io::Errno;

use super::folders::{Folders, Shut};
use super::tree::{Is, Packed, Tree};
use super::wanted::ArchiveOnError;
use crate::source::is_in_memory;
use crate::source::place::{OpenError, Place};

/// What a tree may have at most.
#[derive(Debug, Clone, Copy)]
struct Limits {
    entries: usize,
    /// Octets of all names and of what links lead to.
    names: usize,
    /// Folders inside each other.
    depth: u16,
    /// Octets of a path in the archive.
    path: u16,
}

const LIMITS: Limits = Limits {
    // 40 octets each and their names are 60 MB of memory while the archive is sent.
    entries: 1_000_000,
    // 64 for each of so many entries.
    names: 64_000_000,
    // No tree that people made is deeper.
    depth: 256,
    // What Linux takes in one call (`PATH_MAX`, less NUL): who extracts it can make it.
    path: 4095,
};

/// After so many entries it is looked whether anybody still waits.
const LOOK_EVERY: usize = 1024;

/// How a folder is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Options {
    /// Also names that begin with a dot.
    pub(super) hidden: bool,
    pub(super) unreadable: Unreadable,
}

impl Options {
    pub(super) fn of(on_error: ArchiveOnError, hidden: bool) -> Self {
        Self {
            hidden,
            unreadable: match on_error {
                ArchiveOnError::Fail => Unreadable::Fail,
                ArchiveOnError::Degrade => Unreadable::Name,
            },
        }
    }
}

/// What to do about what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unreadable {
    /// There is no archive.
    Fail,
    /// It is named in [`Tree::missing`].
    Name,
}

/// Why there is no listing.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalkError {
    /// The folder itself cannot be opened.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// Something in it cannot be read. Its path begins with the folder's own name.
    #[error("cannot read {}: {error}", shown(path))]
    Unreadable { path: Vec<u8>, error: io::Error },
    /// It has too many entries.
    #[error("the folder has more than {most} entries")]
    TooMany { most: usize },
    /// Its names are too long.
    #[error("the names in the folder have more than {most} octets")]
    TooMuch { most: usize },
    /// Its folders lie too deep.
    #[error("{} holds folders that lie more than {most} deep", shown(path))]
    TooDeep { path: Vec<u8>, most: u16 },
    /// A path in it is too long.
    #[error("a path in {} has more than {most} octets", shown(path))]
    TooLong { path: Vec<u8>, most: u16 },
    /// Nobody waits for it any more.
    #[error("nobody waits for the listing")]
    Abandoned,
}

fn shown(path: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(path)
}

/// Tells a walk that nobody waits for it any more; dropping it does.
#[derive(Debug, Default)]
pub(super) struct Waiting(Arc<AtomicBool>);

/// Asks whether somebody still waits.
#[derive(Debug, Clone, Default)]
pub(super) struct Abandoned {
    left: Arc<AtomicBool>,
    until: Option<Instant>,
}

impl Waiting {
    pub(super) fn abandoned(&self) -> Abandoned {
        Abandoned {
            left: Arc::clone(&self.0),
            until: None,
        }
    }
}

impl Abandoned {
    /// Somebody waits until then.
    pub(super) fn after(until: Instant) -> Self {
        Self {
            until: Some(until),
            ..Self::default()
        }
    }

    /// Whether it is so, after this many entries.
    fn is_so(&self, looked: usize) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
            || (looked.is_multiple_of(LOOK_EVERY) && self.left.load(Ordering::Relaxed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lists a folder and all below it. `name` is what the folder is called in the archive. Blocks.
///
/// # Errors
/// There can be no archive of it, and why; the limits are named constants here.
pub(super) fn walk(
    place: &Place,
    name: &[u8],
    options: Options,
    abandoned: &Abandoned,
) -> Result<Tree, WalkError> {
    walk_within(place, name, options, abandoned, LIMITS)
}

fn walk_within(
    place: &Place,
    name: &[u8],
    options: Options,
    abandoned: &Abandoned,
    limits: Limits,
) -> Result<Tree, WalkError> {
    let root = place.open_folder()?;
    let failed = |error: Errno| OpenError::of(place.path(), error.into());
    let stat = fstat(&root).map_err(failed)?;
    let mut tree = Tree {
        in_memory: is_in_memory(&root),
        root: Arc::new(root),
        path: place.path().to_owned(),
        names: name.to_vec(),
        entries: Vec::new(),
        skipped: Default::default(),
        missing: Default::default(),
    };
    let length = u16::try_from(name.len())
        .ok()
        .filter(|length| *length < limits.path)
        .ok_or_else(|| WalkError::TooLong {
            path: name.to_vec(),
            most: limits.path,
        })?;
    let packed = Packed::of(&stat, 0, 0, length).filter(|packed| packed.is() == Is::Folder);
    let first = packed.ok_or(OpenError::NotFound)?;
    let mut walk = Walk {
        tree: &mut tree,
        options,
        limits,
        abandoned,
        folders: Folders::default(),
        pending: vec![Pending {
            packed: first,
            depth: 0,
            path: length,
        }],
        found: Vec::new(),
        looked: 0,
    };
    while walk.next()? {}
    tree.entries.shrink_to_fit();
    tree.names.shrink_to_fit();
    Ok(tree)
}

/// A folder that was found and not yet walked.
#[derive(Debug)]
struct Pending {
    packed: Packed,
    depth: u16,
    /// The length of its path.
    path: u16,
}

/// A walk under way.
struct Walk<'a> {
    tree: &'a mut Tree,
    options: Options,
    limits: Limits,
    abandoned: &'a Abandoned,
    folders: Folders,
    /// The next one stands last.
    pending: Vec<Pending>,
    /// The entries of one folder.
    found: Vec<Packed>,
    looked: usize,
}

impl Walk<'_> {
    /// Walks one folder; false when there is none left.
    fn next(&mut self) -> Result<bool, WalkError> {
        let Some(folder) = self.pending.pop() else {
            return Ok(false);
        };
        let at = self.tree.entries.len();
        self.tree.entries.push(folder.packed);
        let mut folders = std::mem::take(&mut self.folders);
        let listed = match folders.open(self.tree, at).map(Dir::read_from) {
            Ok(Ok(names)) => self.list(names, at, &folder),
            Ok(Err(error)) => self.shut(Shut {
                at,
                error: error.into(),
            }),
            Err(shut) => self.shut(shut),
        };
        self.folders = folders;
        listed?;
        self.sort(&folder)?;
        Ok(true)
    }

    /// A folder that cannot be opened or read.
    fn shut(&mut self, shut: Shut) -> Result<(), WalkError> {
        let path = self.tree.path(shut.at);
        self.found.clear();
        match self.options.unreadable {
            // The folder that was asked for is no part that could be missing.
            Unreadable::Name if self.tree.entries.len() > 1 => {
                self.tree.entries.pop();
                self.tree.missing.add(path, shut.error.to_string());
                Ok(())
            }
            Unreadable::Fail | Unreadable::Name => Err(WalkError::Unreadable {
                path,
                error: shut.error,
            }),
        }
    }

    /// Reads the names of a folder and the status of each.
    fn list(&mut self, names: Dir, at: usize, folder: &Pending) -> Result<(), WalkError> {
        let fd = names.fd().map(|fd| fd.try_clone_to_owned());
        let fd = match fd {
            Ok(Ok(fd)) => fd,
            Ok(Err(error)) => return self.shut(Shut { at, error }),
            Err(error) => {
                return self.shut(Shut {
                    at,
                    error: error.into(),
                });
            }
        };
        for name in names {
            let name = match name {
                Ok(name) => name,
                Err(error) => {
                    return self.shut(Shut {
                        at,
                        error: error.into(),
                    });
                }
            };
            let name = name.file_name().to_bytes();
            let is_dots = matches!(name, b"." | b"..");
            if is_dots || (!self.options.hidden && name.starts_with(b".")) {
                continue;
            }
            self.look(fd.as_fd(), name, at, folder)?;
        }
        Ok(())
    }

    /// Reads the status of one name and packs it.
    fn look(
        &mut self,
        fd: BorrowedFd<'_>,
        name: &[u8],
        folder_at: usize,
        folder: &Pending,
    ) -> Result<(), WalkError> {
        self.looked += 1;
        if self.abandoned.is_so(self.looked) {
            return Err(WalkError::Abandoned);
        }
        let too_long = || WalkError::TooLong {
            path: self.tree.path(folder_at),
            most: self.limits.path,
        };
        let length = u16::try_from(name.len()).map_err(|_| too_long())?;
        // A slash before it, and one behind it if it is a folder.
        if u32::from(folder.path) + u32::from(length) + 2 > u32::from(self.limits.path) {
            return Err(too_long());
        }
        let stat = match statat(fd, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Gone since its name was read: it is not in the folder.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return self.unreadable(folder_at, name, error.into()),
        };
        let name_at = self.tree.names.len();
        if name_at + name.len() > self.limits.names {
            let most = self.limits.names;
            return Err(WalkError::TooMuch { most });
        }
        // As many octets as fit in 26 bits, and as many entries as in 20.
        let packed = Packed::of(&stat, folder_at as u32, name_at as u32, length);
        let Some(mut packed) = packed else {
            let path = self.path(folder_at, name);
            self.tree.skipped.add(path, special(&stat));
            return Ok(());
        };
        if packed.is() == Is::File && !may_read(fd, name, &stat) {
            return self.unreadable(folder_at, name, Errno::ACCESS.into());
        }
        self.tree.names.extend_from_slice(name);
        if packed.is() == Is::Link {
            match readlinkat(fd, OsStr::from_bytes(name), Vec::new()) {
                Ok(target) => {
                    packed.set_target(target.to_bytes().len());
                    self.tree.names.extend_from_slice(target.to_bytes());
                }
                Err(error) => {
                    self.tree.names.truncate(name_at);
                    return self.unreadable(folder_at, name, error.into());
                }
            }
        }
        if self.tree.entries.len() + self.found.len() + self.pending.len() >= self.limits.entries {
            let most = self.limits.entries;
            return Err(WalkError::TooMany { most });
        }
        self.found.push(packed);
        Ok(())
    }

    fn path(&self, folder: usize, name: &[u8]) -> Vec<u8> {
        let mut path = self.tree.path(folder);
        path.push(b'/');
        path.extend_from_slice(name);
        path
    }

    fn unreadable(
        &mut self,
        folder: usize,
        name: &[u8],
        error: io::Error,
    ) -> Result<(), WalkError> {
        let path = self.path(folder, name);
        match self.options.unreadable {
            Unreadable::Fail => Err(WalkError::Unreadable { path, error }),
            Unreadable::Name => {
                self.tree.missing.add(path, error.to_string());
                Ok(())
            }
        }
    }

    /// Puts the entries of a folder in their order: those that are no folders now, the others when
    /// it is their turn.
    fn sort(&mut self, folder: &Pending) -> Result<(), WalkError> {
        let names = &self.tree.names;
        let key = |entry: &Packed| (entry.is() == Is::Folder, entry.name(names));
        self.found
            .sort_unstable_by(|one, other| key(one).cmp(&key(other)));
        let folders = self.found.partition_point(|entry| entry.is() != Is::Folder);
        for packed in self.found.drain(folders..).rev() {
            if folder.depth == self.limits.depth {
                let path = self.tree.path(packed.parent() as usize);
                let most = self.limits.depth;
                return Err(WalkError::TooDeep { path, most });
            }
            // Both were found to fit when its name was read.
            self.pending.push(Pending {
                packed,
                depth: folder.depth + 1,
                path: folder.path + 1 + packed.name(&self.tree.names).len() as u16,
            });
        }
        self.tree.entries.append(&mut self.found);
        Ok(())
    }
}

/// Whether a file can be read. The kernel is asked only when not everybody may.
fn may_read(folder: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> bool {
    const EVERYBODY: u32 = 0o444;
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // 16 bits on other systems
    let mode = u32::from(stat.st_mode);
    mode & EVERYBODY == EVERYBODY
        || accessat(
            folder,
            OsStr::from_bytes(name),
            Access::READ_OK,
            AtFlags::empty(),
        )
        .is_ok()
}

/// What something is that has no place in an archive.
fn special(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of a kind that archives do not know",
    }
}

#[cfg(test)]
mod tests;
