//! What is in a folder.
//!
//! Reads: a folder's names, then the status of each, by calls that block. Gives: [`Row`]s.
//! Never: follows a link out of the folder that is served.

use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use endwell::Cause;

use super::order::{Order, Rank};
use crate::source::place::{OpenError, Place};

/// The names of a folder, as the system gives them.
pub(super) type Names = Box<dyn Iterator<Item = io::Result<DirEntry>> + Send>;

/// A folder whose names are being read.
pub(super) struct Folder {
    root: PathBuf,
    path: PathBuf,
    names: Names,
    hidden: bool,
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
            root: place.root().to_owned(),
            path: place.path().to_owned(),
            names,
            hidden,
        }
    }

    /// Reads one name: an entry, nothing to be seen, or the end (`None`). Blocks.
    ///
    /// The names of a folder come without their status, which is read here only of links: they
    /// alone do not tell by themselves whether they stand among the folders.
    ///
    /// # Errors
    /// The folder cannot be read to its end: what was read so far is no listing.
    pub(super) fn next(&mut self) -> Result<Option<Option<Entry>>, Cause> {
        self.names.next().map(|name| self.take(name)).transpose()
    }

    fn take(&self, name: io::Result<DirEntry>) -> Result<Option<Entry>, Cause> {
        let found = name.map_err(|error| {
            let path = self.path.display();
            Cause::producer(format!("cannot read folder {path}: {error}"))
        })?;
        let name = found.file_name();
        if !self.hidden && name.as_encoded_bytes().starts_with(b".") {
            return Ok(None);
        }
        let (among, status) = match found.file_type() {
            Ok(kind) if kind.is_dir() => (Among::Folders, None),
            Ok(kind) if kind.is_file() => (Among::Files, None),
            Ok(kind) if kind.is_symlink() => {
                let status = self.follow(&found.path());
                (status.is.among(), Some(Box::new(status)))
            }
            Ok(_) | Err(_) => (Among::Others, None),
        };
        Ok(Some(Entry {
            found,
            among,
            status,
        }))
    }

    fn follow(&self, path: &Path) -> Status {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        match Place::find(&self.root, below) {
            Ok(place) => Status::of(place.path(), place.metadata()),
            Err(OpenError::NotFound) => Status::only(Is::Elsewhere),
            Err(OpenError::Forbidden | OpenError::Failed { .. }) => Status::only(Is::Unreadable),
        }
    }
}

/// A name in a folder, and what is known of it so far.
#[derive(Debug)]
pub(super) struct Entry {
    found: DirEntry,
    among: Among,
    status: Option<Box<Status>>,
}

impl Entry {
    /// Reads its status, unless that is known. False if it is gone. Blocks.
    pub(super) fn look(&mut self) -> bool {
        if self.status.is_none() {
            self.status = match self.found.metadata() {
                Ok(metadata) => Some(Box::new(Status::of(&self.found.path(), &metadata))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
                Err(_) => Some(Box::new(Status::only(Is::Unreadable))),
            };
        }
        true
    }

    /// Where it stands, by what is known of it.
    pub(super) fn rank(&self, order: Order) -> Rank {
        let status = self.status.as_deref();
        let octets = status.and_then(|status| match status.is {
            Is::File { octets } => Some(octets),
            Is::Folder | Is::Special | Is::Elsewhere | Is::Unreadable => None,
        });
        let modified = status.and_then(|status| status.modified);
        let folder = self.among == Among::Folders;
        order.rank(folder, octets, modified, &self.found.file_name())
    }

    /// The row it becomes; `None` if it was removed since its name was read. Blocks.
    pub(super) fn into_row(mut self) -> Option<Row> {
        self.look();
        let known = *self.status?;
        let name = self.found.file_name();
        // No address leads to a name with a backslash: see `Target`.
        let Status { is, modified } = match name.as_encoded_bytes().contains(&b'\\') {
            true => Status::only(Is::Unreadable),
            false => known,
        };
        Some(Row { name, is, modified })
    }
}

/// One row of a listing.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: OsString,
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

/// Where an entry is counted and stands, whether it can be read or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    Folders,
    Files,
    Others,
}

/// What the system tells of an entry.
#[derive(Debug)]
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

impl Count {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut count = Self::default();
        for entry in entries {
            match entry.among {
                Among::Folders => count.folders += 1,
                Among::Files => count.files += 1,
                Among::Others => count.others += 1,
            }
        }
        count
    }
}
