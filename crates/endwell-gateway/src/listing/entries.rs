//! What is in a folder.
//!
//! Reads: a folder's names, then the status of each, by calls that block. Gives: [`Row`]s.
//! Never: follows a link out of the folder that is served.
//!
//! An entry costs its name, 16 octets, and 32 more once its status is kept: a folder of many
//! entries may be asked for by many clients.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use endwell::Cause;

use super::order::{Order, Rank, natural};
use crate::source::place::{OpenError, Place};

/// The names of a folder, as the system gives them.
pub(super) type Names = Box<dyn Iterator<Item = io::Result<DirEntry>> + Send>;

/// A folder, and what is known of it so far.
pub(super) struct Folder {
    place: Place,
    path: PathBuf,
    hidden: bool,
    /// Those that have not been read.
    unread: Names,
    /// The names of all entries, one after another.
    names: Vec<u8>,
    entries: Vec<Entry>,
    statuses: Vec<Status>,
}

/// A name, and where what is known of it stands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: usize,
    length: u16,
    among: Among,
    /// In [`Folder::statuses`]; there is none beyond its end.
    status: u32,
}

/// No status is known.
const UNKNOWN: u32 = u32::MAX;

/// Where an entry is counted and stands, whether it can be read or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    Folders,
    Files,
    Others,
}

impl Folder {
    /// Opens a folder; `hidden` also gives names that begin with a dot. Blocks.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(place: &Place, hidden: bool) -> Result<Self, OpenError> {
        let names = fs::read_dir(place.path());
        let names = names.map_err(|error| OpenError::of(place.path(), error))?;
        Ok(Self::new(place, Box::new(names), hidden))
    }

    pub(super) fn new(place: &Place, names: Names, hidden: bool) -> Self {
        Self {
            place: place.clone(),
            path: place.path().to_owned(),
            hidden,
            unread: names,
            names: Vec::new(),
            entries: Vec::new(),
            statuses: Vec::new(),
        }
    }

    /// Reads one name; false after the last one. Blocks.
    ///
    /// The names of a folder come without their status, which is read here only of links: they
    /// alone do not tell by themselves whether they stand among the folders.
    ///
    /// # Errors
    /// The folder cannot be read to its end: what was read so far is no listing.
    pub(super) fn read(&mut self) -> Result<bool, Cause> {
        match self.unread.next() {
            Some(Ok(found)) => self.add(&found).map(|()| true),
            Some(Err(error)) => Err(self.failed(&error)),
            None => {
                self.unread = Box::new(std::iter::empty());
                Ok(false)
            }
        }
    }

    fn add(&mut self, found: &DirEntry) -> Result<(), Cause> {
        let name = found.file_name();
        let name = name.as_encoded_bytes();
        if !self.hidden && name.starts_with(b".") {
            return Ok(());
        }
        let Ok(length) = u16::try_from(name.len()) else {
            return Err(self.failed("it holds a name of more than 65535 octets"));
        };
        let (among, status) = match found.file_type() {
            Ok(kind) if kind.is_dir() => (Among::Folders, UNKNOWN),
            Ok(kind) if kind.is_file() => (Among::Files, UNKNOWN),
            Ok(kind) if kind.is_symlink() => {
                let status = self.follow(&found.file_name());
                (status.is.among(), self.keep(status))
            }
            Ok(_) | Err(_) => (Among::Others, UNKNOWN),
        };
        self.entries.push(Entry {
            start: self.names.len(),
            length,
            among,
            status,
        });
        self.names.extend(name);
        Ok(())
    }

    fn failed(&self, why: impl std::fmt::Display) -> Cause {
        let path = self.path.display();
        Cause::producer(format!("cannot read folder {path}: {why}"))
    }

    fn follow(&self, name: &OsStr) -> Status {
        match self.place.look(name) {
            Ok(place) => Status::of(place.path(), place.metadata()),
            Err(OpenError::NotFound) => Status::only(Is::Elsewhere),
            Err(OpenError::Forbidden | OpenError::Waits | OpenError::Failed { .. }) => {
                Status::only(Is::Unreadable)
            }
        }
    }

    /// Where the status stands from now on. One that finds no room is read again.
    fn keep(&mut self, status: Status) -> u32 {
        let at = u32::try_from(self.statuses.len()).unwrap_or(UNKNOWN);
        if at != UNKNOWN {
            self.statuses.push(status);
        }
        at
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> Count {
        let mut count = Count::default();
        for entry in &self.entries {
            match entry.among {
                Among::Folders => count.folders += 1,
                Among::Files => count.files += 1,
                Among::Others => count.others += 1,
            }
        }
        count
    }

    /// Reads the status of one entry, and keeps it; false if there is no such entry. Blocks.
    pub(super) fn look(&mut self, at: usize) -> bool {
        let Some(entry) = self.entries.get(at).copied() else {
            return false;
        };
        if entry.status == UNKNOWN
            && let Some(status) = self.status(entry)
        {
            self.entries[at].status = self.keep(status);
        }
        true
    }

    /// What is known of an entry, or can be known now; `None` if it is gone. Blocks.
    fn status(&self, entry: Entry) -> Option<Status> {
        if let Some(known) = self.known(entry) {
            return Some(known);
        }
        let name = self.name(entry);
        // No address leads to a name with a backslash: see `Target`.
        let Some(name) = os_name(name).filter(|_| !name.contains(&b'\\')) else {
            return Some(Status::only(Is::Unreadable));
        };
        let path = self.path.join(name);
        match path.symlink_metadata() {
            Ok(metadata) => Some(Status::of(&path, &metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(Status::only(Is::Unreadable)),
        }
    }

    fn known(&self, entry: Entry) -> Option<Status> {
        let at = usize::try_from(entry.status).ok()?;
        self.statuses.get(at).copied()
    }

    fn name(&self, entry: Entry) -> &[u8] {
        &self.names[entry.start..entry.start + usize::from(entry.length)]
    }

    /// Sorts by what is known.
    pub(super) fn sort(&mut self, order: Order) {
        let mut keys = Vec::with_capacity(self.names.len() + 2 * self.entries.len());
        let mut sorted = Vec::with_capacity(self.entries.len());
        for entry in std::mem::take(&mut self.entries) {
            let start = keys.len();
            natural(self.name(entry), &mut keys);
            sorted.push((entry, start..keys.len()));
        }
        let rank = |(entry, key): &(Entry, Range<usize>)| self.rank(*entry, &keys[key.clone()]);
        // The first one stands last: rows are taken from the end.
        sorted.sort_unstable_by(|one, other| order.compare(&rank(other), &rank(one)));
        self.entries = sorted.into_iter().map(|(entry, _)| entry).collect();
    }

    fn rank<'a>(&'a self, entry: Entry, key: &'a [u8]) -> Rank<'a> {
        let status = self.known(entry);
        let octets = status.and_then(|status| match status.is {
            Is::File { octets } => Some(octets),
            Is::Folder | Is::Special | Is::Elsewhere | Is::Unreadable => None,
        });
        Rank {
            folder: entry.among == Among::Folders,
            octets,
            modified: status.and_then(|status| status.modified),
            key,
            name: self.name(entry),
        }
    }

    /// Takes the next entry, after [`Folder::sort`]. Blocks.
    pub(super) fn take(&mut self) -> Taken<'_> {
        let Some(entry) = self.entries.pop() else {
            return Taken::End;
        };
        match self.status(entry) {
            Some(Status { is, modified }) => Taken::Row(Row {
                name: self.name(entry),
                is,
                modified,
            }),
            None => Taken::Gone,
        }
    }
}

/// What [`Folder::take`] gives.
#[derive(Debug)]
pub(super) enum Taken<'a> {
    /// An entry.
    Row(Row<'a>),
    /// An entry that was removed since its name was read.
    Gone,
    /// There is no further one.
    End,
}

/// One row of a listing.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) name: &'a [u8],
    pub(super) is: Is,
    pub(super) modified: Option<SystemTime>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    /// A folder that may be entered.
    Folder,
    /// A regular file that may be read.
    File { octets: u64 },
    /// A pipe, socket or device.
    Special,
    /// A symbolic link to nothing that is served.
    Elsewhere,
    /// The process may not read it, or the system does not tell what it is.
    Unreadable,
}

impl Is {
    fn among(self) -> Among {
        match self {
            Self::Folder => Among::Folders,
            Self::File { .. } => Among::Files,
            Self::Special | Self::Elsewhere | Self::Unreadable => Among::Others,
        }
    }
}

/// What the system tells of an entry.
#[derive(Debug, Clone, Copy)]
struct Status {
    is: Is,
    modified: Option<SystemTime>,
}

impl Status {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let is = if metadata.is_dir() {
            Is::Folder
        } else if metadata.is_file() {
            Is::File {
                octets: metadata.len(),
            }
        } else {
            return Self::only(Is::Special);
        };
        if !may_read(path, metadata) {
            return Self::only(Is::Unreadable);
        }
        Self {
            is,
            modified: metadata.modified().ok(),
        }
    }

    fn only(is: Is) -> Self {
        Self { is, modified: None }
    }
}

#[cfg(unix)]
fn os_name(name: &[u8]) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    Some(OsStr::from_bytes(name))
}

#[cfg(not(unix))]
fn os_name(name: &[u8]) -> Option<&OsStr> {
    std::str::from_utf8(name).ok().map(OsStr::new)
}

/// Whether a file can be read, or a folder entered. The kernel is asked only when not everybody may.
#[cfg(unix)]
fn may_read(path: &Path, metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{Access, access};
    let (everybody, how) = if metadata.is_dir() {
        (0o111, Access::EXEC_OK)
    } else {
        (0o444, Access::READ_OK)
    };
    metadata.permissions().mode() & everybody == everybody || access(path, how).is_ok()
}

#[cfg(not(unix))]
fn may_read(_: &Path, _: &Metadata) -> bool {
    true
}

/// How many entries there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) folders: usize,
    pub(super) files: usize,
    pub(super) others: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_costs_what_the_documentation_says() {
        let costs = (size_of::<Entry>(), size_of::<Status>());
        if cfg!(target_pointer_width = "64") {
            assert_eq!(costs, (16, 32));
        }
    }
}
