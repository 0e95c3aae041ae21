//! The file of an entry: octets that are proven to be what was listed.
//!
//! Reads: a file, opened in its folder. Gives: its octets, and after each read the proof that
//! nothing has changed since the listing. Never: a file other than the one that was listed.
//!
//! Device, inode, size, time of modification and time of the last status change must be what they
//! were. So a file that was renamed away and back, linked, or given other permissions since the
//! listing fails, although its octets are the same: an archive that is made anew costs less than
//! one that is wrong.
//!
//! A file whose status changed less than 2 s before it was read may be in the middle of a write,
//! whose time Linux notes at its beginning: what was read of it is read once more, 100 ms after
//! that change at the earliest.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat, fstat};

use super::broken::Why;
use super::folders::open_file;
use super::tree::{Facts, Tree};
use crate::source::file::Growing;
use crate::source::{Disk, is_in_memory, read_at};

/// A single write takes no longer than this.
const WRITE: Duration = Duration::from_secs(2);
/// A write that has not got on for so long is not likely to be under way. For as long the size of
/// an appended file may lag behind its time.
const APPEND: Duration = Duration::from_millis(100);
/// Octets that are read once more at a time.
const AGAIN: usize = 64 * 1024;
/// From this on it is worth a system call to know whether a file is in memory.
const LARGE: u64 = 256 * 1024;

/// The file of an entry.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    listed: Facts,
    growing: Growing,
    /// Its file system never makes a reader wait, and need not be asked each time.
    in_memory: bool,
    /// Whether its status was looked at for the first time.
    looked: bool,
    /// What was read: where, how many, and a hash of what. Only if all of it is read again.
    read: Option<Vec<(u64, usize, u64)>>,
}

impl Open {
    /// Opens the file of an entry in its folder. Blocks.
    pub(super) fn new(
        tree: &Tree,
        at: usize,
        folder: BorrowedFd<'_>,
        growing: Growing,
    ) -> Result<Self, Why> {
        let packed = tree.entries[at];
        let (name, listed) = (packed.name(&tree.names), packed.facts());
        let file = File::from(open_file(folder, name).map_err(|error| Why::of_open(&error))?);
        Ok(Self {
            in_memory: listed.octets > LARGE && is_in_memory(&file),
            file,
            listed,
            growing,
            looked: false,
            read: None,
        })
    }

    /// Lets the disk fetch the first octets, without waiting for them.
    pub(super) fn fetch(&self, most: u64) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            let octets = std::num::NonZero::new(self.listed.octets.min(most));
            // Advice that is not taken changes nothing.
            let _ = fadvise(&self.file, 0, octets, Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = most;
    }

    /// Reads all of these octets; gives false if a disk would have to be waited for.
    pub(super) fn read(&mut self, at: u64, into: &mut [u8], disk: Disk) -> Result<bool, Why> {
        if !self.read_all(at, into, disk)? {
            return Ok(false);
        }
        let Some(stat) = self.look(disk)? else {
            return Ok(false);
        };
        // Files of `/proc` say that they are empty, and are not.
        if self.listed.octets == 0
            && read_at(&self.file, &mut [0], 0, Disk::Any).is_ok_and(|octets| octets > 0)
        {
            return Err(Why::Grew { from: 0, to: 1 });
        }
        if !self.looked && is_young(&stat) {
            self.read = Some(Vec::new());
        }
        self.looked = true;
        if let Some(read) = &mut self.read {
            read.push((at, into.len(), hash_of(into)));
        }
        Ok(true)
    }

    /// `false` if a disk would have to be waited for.
    fn read_all(&self, at: u64, into: &mut [u8], disk: Disk) -> Result<bool, Why> {
        let of = if self.in_memory { Disk::Any } else { disk };
        let mut filled = 0;
        while filled < into.len() {
            match read_at(&self.file, &mut into[filled..], at + filled as u64, of) {
                // Linux 5.9 and 5.10 say so of what is not in the page cache.
                Ok(0) if disk == Disk::Cached => return Ok(false),
                Ok(0) => return Err(self.short(at + filled as u64)),
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && disk == Disk::Cached => {
                    return Ok(false);
                }
                Err(error) => return Err(Why::of_read(&error)),
            }
        }
        Ok(true)
    }

    /// The file ended where its size says that it goes on.
    fn short(&self, at: u64) -> Why {
        match fstat(&self.file) {
            Ok(stat) => match self.changed(&stat) {
                Some(why) => why,
                None => Why::Short {
                    at,
                    of: self.listed.octets,
                },
            },
            Err(error) => Why::of_read(&error.into()),
        }
    }

    /// Its status, if that is still what was listed; `None` if only time can tell and nobody may
    /// wait.
    fn look(&self, disk: Disk) -> Result<Option<Stat>, Why> {
        let until = Instant::now() + APPEND;
        loop {
            let stat = fstat(&self.file).map_err(|error| Why::of_read(&error.into()))?;
            match self.changed(&stat) {
                None => return Ok(Some(stat)),
                // Linux notes the time of an append before the new size.
                Some(Why::Rewritten) if Instant::now() < until => {
                    if disk == Disk::Cached {
                        return Ok(None);
                    }
                    std::thread::sleep(APPEND / 20);
                }
                Some(why) => return Err(why),
            }
        }
    }

    fn changed(&self, stat: &Stat) -> Option<Why> {
        let (listed, now) = (self.listed, Facts::of(stat));
        let (from, to) = (listed.octets, now.octets);
        if now == listed {
            return None;
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Some(Why::NoFile);
        }
        if to < from {
            Some(Why::Shrank { from, to })
        } else if to > from {
            (self.growing == Growing::Fail).then_some(Why::Grew { from, to })
        } else if now.modified == listed.modified {
            Some(Why::Touched)
        } else {
            Some(Why::Rewritten)
        }
    }

    /// The last look, when all that is wanted of it was read. Blocks.
    pub(super) fn prove(&mut self) -> Result<(), Why> {
        // Nothing was wanted of it, or there is nothing in it: that is looked at, too.
        if !self.looked {
            self.read(0, &mut [], Disk::Any)?;
        }
        let Some(read) = self.read.take() else {
            return Ok(());
        };
        let stat = fstat(&self.file).map_err(|error| Why::of_read(&error.into()))?;
        std::thread::sleep(APPEND.saturating_sub(age(&stat)));
        let mut again = vec![0; AGAIN];
        for (at, octets, hash) in read {
            let mut hasher = DefaultHasher::new();
            for part in parts(at..at + octets as u64) {
                // Parts are no longer than this.
                let part_of = &mut again[..(part.end - part.start) as usize];
                self.read_all(part.start, part_of, Disk::Any)?;
                hasher.write(part_of);
            }
            if hasher.finish() != hash {
                return Err(Why::Rewritten);
            }
        }
        self.look(Disk::Any).map(|_| ())
    }
}

fn parts(octets: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = octets.end;
    octets
        .step_by(AGAIN)
        .map(move |start| start..end.min(start + AGAIN as u64))
}

/// Of what this process has read itself: nobody chooses octets to have the same hash as others.
fn hash_of(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in octets.chunks(AGAIN) {
        hasher.write(part);
    }
    hasher.finish()
}

fn is_young(stat: &Stat) -> bool {
    age(stat) < WRITE
}

/// How long ago the status last changed; nobody can set that time.
fn age(stat: &Stat) -> Duration {
    #[allow(clippy::unnecessary_cast, reason = "another type on other systems")]
    let (seconds, nanoseconds) = (stat.st_ctime as i64, stat.st_ctime_nsec as u32);
    let Ok(seconds) = u64::try_from(seconds) else {
        return Duration::MAX;
    };
    let changed = UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds));
    let age = changed.map(|changed| SystemTime::now().duration_since(changed));
    age.map_or(Duration::ZERO, Result::unwrap_or_default)
}
