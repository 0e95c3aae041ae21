//! The folders of a tree, opened one inside the other and kept while they are needed.
//!
//! Reads: a [`Tree`]. Gives: open folders. Never: leaves the tree: every step is one name, looked
//! up in the folder above, that is no symbolic link and does not lead upwards.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags, openat};

use super::tree::Tree;

/// So many folders are kept open at once: those above the current one. Deeper down the upper ones
/// are closed and, when they are needed again, opened again.
const KEPT: usize = 16;

/// The open folders of one walk or one archive.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By their place in the tree; each is inside the one before, though not always directly.
    open: Vec<(u32, OwnedFd)>,
}

/// A folder that could not be opened.
#[derive(Debug)]
pub(super) struct Shut {
    /// Its place in the tree.
    pub(super) at: usize,
    pub(super) error: io::Error,
}

impl Folders {
    /// Opens the folder at a place, and those above it as far as they are not open. Blocks.
    ///
    /// # Errors
    /// One of them is gone, no folder any more, or may not be entered.
    pub(super) fn open<'a>(
        &'a mut self,
        tree: &'a Tree,
        at: usize,
    ) -> Result<BorrowedFd<'a>, Shut> {
        let mut steps = Vec::new();
        let mut next = at;
        while next > 0 && !self.is_open(next) {
            steps.push(next);
            next = tree.parent(next);
        }
        self.close_beyond(next);
        for at in steps.into_iter().rev() {
            let above = self
                .open
                .last()
                .map_or(tree.root.as_fd(), |(_, fd)| fd.as_fd());
            let folder = step(above, tree.entry(at).name).map_err(|error| Shut { at, error })?;
            if self.open.len() == KEPT {
                self.open.remove(0);
            }
            // A tree has fewer entries than this counts.
            self.open.push((at as u32, folder));
        }
        Ok(self
            .open
            .last()
            .map_or(tree.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    fn is_open(&self, at: usize) -> bool {
        self.open.iter().any(|(open, _)| *open as usize == at)
    }

    /// Closes all that is not on the way to this one, which is open (or the root).
    fn close_beyond(&mut self, at: usize) {
        let keep = self.open.iter().position(|(open, _)| *open as usize == at);
        self.open.truncate(keep.map_or(0, |keep| keep + 1));
    }
}

/// Opens one folder in another. Blocks.
fn step(above: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(
        above,
        OsStr::from_bytes(name),
        flags,
        Mode::empty(),
    )?)
}

/// Opens a file of a folder for reading, if it is one; what was put there meanwhile neither blocks
/// nor leads elsewhere. Blocks.
pub(super) fn open_file(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(openat(
        folder,
        OsStr::from_bytes(name),
        flags,
        Mode::empty(),
    )?)
}
