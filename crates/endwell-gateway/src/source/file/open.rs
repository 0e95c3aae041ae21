//! A file that is being read, compared with what it was.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use endwell::{Cause, Kind};

use super::super::change::{Change, Fingerprint};
use super::super::frames::Frame;
use super::super::os::{self, Disk};
use super::Growing;
use super::unsettled::{APPEND, Unsettled, hash_of};

/// A file, or a range of one, up to this is read at once.
pub(super) const SMALL: usize = 32 * 1024;

/// What a look at an open file tells.
pub(super) enum Seen {
    /// What has changed, if anything has.
    Change(Option<Change>),
    /// It looks rewritten, and may be in the middle of an append: only time tells.
    Perhaps,
}

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) before: Fingerprint,
    pub(super) growing: Growing,
    /// Its file system never makes a reader wait, and need not be asked each time.
    pub(super) in_memory: bool,
    /// What was read of a file that may be in the middle of a write.
    pub(super) unsettled: Option<Unsettled>,
}

impl Open {
    /// Few octets and the proof that they are right; `None` when a disk had to be waited for.
    pub(super) fn whole(
        &mut self,
        octets: &Range<u64>,
        disk: Disk,
    ) -> Result<Option<Bytes>, Cause> {
        let length = frame_of(SMALL, octets.end - octets.start);
        let Some(read) = self.read(octets.start, length, disk)? else {
            return Ok(None);
        };
        let proven = self.prove_the_end(disk)?;
        Ok(proven.then_some(read))
    }

    /// Reads a whole frame, and gives it only if nothing has changed until then; `None` when a
    /// disk had to be waited for.
    pub(super) fn read(
        &mut self,
        at: u64,
        octets: usize,
        disk: Disk,
    ) -> Result<Option<Bytes>, Cause> {
        let mut frame = Frame::new(octets);
        let mut filled = 0;
        let of = if self.in_memory { Disk::Any } else { disk };
        while filled < octets {
            let into = &mut frame.as_mut()[filled..];
            match os::read_at(&self.file, into, at + filled as u64, of) {
                // Linux 5.9 and 5.10 say so of what is not in the page cache (readv(2), bugs).
                Ok(0) if disk == Disk::Cached => return Ok(None),
                Ok(0) => return Err(self.came_up_short(at + filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(self.failed("cannot read", &error)),
            }
        }
        match self.change(disk)? {
            // It grows: what was promised may still be there to the last octet.
            Seen::Change(None | Some(Change::Grew { .. })) => {
                if let Some(unsettled) = &mut self.unsettled {
                    unsettled.note(at, frame.as_ref());
                }
                Ok(Some(frame.into_bytes()))
            }
            Seen::Change(Some(change)) => Err(self.changed(change)),
            Seen::Perhaps => Ok(None),
        }
    }

    /// The last look, before the promise is fulfilled; `false` when a disk had to be waited for.
    pub(super) fn prove_the_end(&mut self, disk: Disk) -> Result<bool, Cause> {
        // Files of `/proc` say that they are empty, and are not.
        if self.before.size == 0 {
            match os::read_at(&self.file, &mut [0], 0, disk) {
                Ok(0) => {}
                Ok(_) => {
                    let path = self.path.display();
                    let message = format!("{path} has more octets than the 0 of its size");
                    return Err(Cause::new(Kind::SourceChanged, message));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.failed("cannot read", &error)),
            }
        }
        if self.unsettled.is_some() {
            if disk == Disk::Cached {
                return Ok(false);
            }
            self.read_again()?;
        }
        match self.change(disk)? {
            Seen::Change(None) => Ok(true),
            Seen::Change(Some(Change::Grew { .. })) if self.growing == Growing::Allow => Ok(true),
            Seen::Change(Some(change)) => Err(self.changed(change)),
            Seen::Perhaps => Ok(false),
        }
    }

    /// Reads what was sent once more, when a write that was under way must be through. Blocks.
    pub(super) fn read_again(&mut self) -> Result<(), Cause> {
        let Some(unsettled) = self.unsettled.take() else {
            return Ok(());
        };
        std::thread::sleep(unsettled.left(SystemTime::now()));
        for (at, octets, hash) in unsettled.read {
            match self.read(at, octets, Disk::Any)? {
                Some(now) if hash_of(&now) == hash => {}
                _ => return Err(self.changed(Change::Rewritten)),
            }
        }
        Ok(())
    }

    /// What has changed since the file was opened.
    ///
    /// Linux notes the time of an append before the new size: what looks rewritten is looked at
    /// again until the write must be through. That blocks, unless only the caches are asked.
    pub(super) fn change(&mut self, disk: Disk) -> Result<Seen, Cause> {
        let until = Instant::now() + APPEND;
        loop {
            let now = self.status()?;
            let change = self.before.compare(&now, || os::path_of(&self.file));
            if change != Some(Change::Rewritten) || Instant::now() > until {
                return Ok(Seen::Change(change));
            }
            if disk == Disk::Cached {
                return Ok(Seen::Perhaps);
            }
            std::thread::sleep(APPEND / 20);
        }
    }

    /// Takes the file for what it is now, if its end was cut off; gives its size. Blocks.
    ///
    /// Linux notes the new size before the time: a file that still has its old time is looked at
    /// again, or the cut would look like another change a moment later.
    pub(super) fn take_as_cut(&mut self) -> Option<u64> {
        let until = Instant::now() + APPEND;
        loop {
            let now = self.status().ok()?;
            if now.len() >= self.before.size {
                return None;
            }
            if now.modified().ok() != self.before.modified || Instant::now() > until {
                self.before = Fingerprint::of(&now);
                self.before.note_path(&self.file);
                return Some(now.len());
            }
            std::thread::sleep(APPEND / 20);
        }
    }

    pub(super) fn status(&self) -> Result<Metadata, Cause> {
        let status = self.file.metadata();
        status.map_err(|error| self.failed("cannot read the status of", &error))
    }

    pub(super) fn changed(&self, change: Change) -> Cause {
        Cause::new(Kind::SourceChanged, change.message(&self.path))
    }

    /// The file ended where its size says that it goes on.
    pub(super) fn came_up_short(&self, at: u64) -> Cause {
        let from = self.before.size;
        match self.status() {
            Ok(now) if now.len() < from => {
                let to = now.len();
                self.changed(Change::Shrank { from, to })
            }
            Ok(_) => {
                let path = self.path.display();
                let message = format!("{path} ended at octet {at} of {from} while it was sent");
                Cause::new(Kind::SourceChanged, message)
            }
            Err(cause) => cause,
        }
    }

    pub(super) fn failed(&self, what: &str, error: &io::Error) -> Cause {
        Cause::producer(format!("{what} {}: {error}", self.path.display()))
    }
}

pub(super) fn frame_of(largest: usize, left: u64) -> usize {
    usize::try_from(left).map_or(largest, |left| left.min(largest))
}
