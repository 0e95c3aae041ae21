//! Reads ahead over small files.
//!
//! Reads: whether the octets of files were in the page cache. Gives: the files that come next,
//! opened, with the disk at work on them: it would else stand idle between each file and the next.
//! Never: opens anything ahead while all is in the page cache.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use super::broken::Why;
use super::open::Open;
use super::tree::{Is, Tree};
use crate::source::Disk;
use crate::source::file::Growing;

/// So many files are opened ahead: enough to keep a disk with many queues at work, few enough that
/// an archive costs no more descriptors than a busy client's connections.
const AHEAD: usize = 16;
/// Of each so many octets are fetched: the system reads ahead in a large file by itself.
const FETCHED: u64 = 256 * 1024;
/// After so many reads that did not have to wait it is looked again whether one would have to.
const PROBE: u32 = 64;

/// The files that come next.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    files: VecDeque<(usize, Open)>,
    /// How many more reads until it is taken that all is in the page cache.
    cold: u32,
}

impl Ahead {
    /// Reads octets of a file, and notes whether they had to be waited for; gives false if they
    /// would have to be and may not. Where the tree is in memory there is nothing to read ahead.
    pub(super) fn read(
        &mut self,
        open: &mut Open,
        at: u64,
        into: &mut [u8],
        disk: Disk,
        in_memory: bool,
    ) -> Result<bool, Why> {
        if disk == Disk::Any && in_memory {
            return open.read(at, into, Disk::Any);
        }
        let read = open.read(at, into, Disk::Cached);
        self.note(matches!(read, Ok(true)));
        match (&read, disk) {
            (Ok(false), Disk::Any) => open.read(at, into, Disk::Any),
            (Ok(_) | Err(_), _) => read,
        }
    }

    /// Notes whether a read was answered at once.
    fn note(&mut self, at_once: bool) {
        self.cold = if at_once {
            self.cold.saturating_sub(1)
        } else {
            PROBE
        };
    }

    /// The file of an entry, if it was opened ahead.
    pub(super) fn take(&mut self, at: usize) -> Option<Open> {
        while let Some((ahead, open)) = self.files.pop_front() {
            if ahead == at {
                return Some(open);
            }
        }
        None
    }

    /// Opens the files after this one in the same folder that are not open yet, unless there is no
    /// need.
    pub(super) fn fill(
        &mut self,
        tree: &Tree,
        at: usize,
        folder: BorrowedFd<'_>,
        growing: Growing,
    ) {
        if self.cold == 0 {
            return;
        }
        let from = self.files.back().map_or(at, |(last, _)| *last) + 1;
        for next in from..tree.len().min(at + 1 + AHEAD) {
            if tree.parent(next) != tree.parent(at) || tree.entry(next).is != Is::File {
                return;
            }
            // What cannot be opened is told when it is its turn.
            let Ok(open) = Open::new(tree, next, folder, growing) else {
                return;
            };
            open.fetch(FETCHED);
            self.files.push_back((next, open));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::path::Path;

    use super::super::walk::{Abandoned, Options, Unreadable, walk};
    use super::*;
    use crate::source::place::Place;

    #[test]
    fn files_are_opened_ahead_only_after_one_had_to_be_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in 0..AHEAD + 5 {
            std::fs::write(folder.path().join(format!("{file:02}")), "x").expect("a file");
        }
        let place = Place::find(folder.path(), Path::new("")).expect("a place");
        let options = Options {
            hidden: false,
            unreadable: Unreadable::Fail,
        };
        let tree = walk(&place, b"top", options, &Abandoned::default()).expect("a tree");
        let mut ahead = Ahead::default();
        let fill = |ahead: &mut Ahead, at| ahead.fill(&tree, at, tree.root.as_fd(), Growing::Fail);
        let open = |ahead: &Ahead| ahead.files.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        fill(&mut ahead, 1);
        assert!(open(&ahead).is_empty());
        ahead.note(false);
        fill(&mut ahead, 1);
        assert_eq!(open(&ahead), (2..=1 + AHEAD).collect::<Vec<_>>());
        assert!(ahead.take(2).is_some());
        fill(&mut ahead, 2);
        assert_eq!(open(&ahead), (3..=2 + AHEAD).collect::<Vec<_>>());
        for _ in 0..PROBE {
            ahead.note(true);
        }
        assert!(ahead.take(3).is_some());
        fill(&mut ahead, 3);
        assert_eq!(ahead.files.len(), AHEAD - 1);
        // What was left out meanwhile is closed.
        assert!(ahead.take(10).is_some() && open(&ahead)[0] == 11);
    }
}
