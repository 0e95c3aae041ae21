//! A file: octets by `pread`, complete only if it stayed what it was.
//!
//! Reads: an open file; what the page cache holds at once, the rest on tokio's blocking pool. Gives:
//! a body with a promised length, of frames as large as the connection advises
//! ([`Producer::frame_size`](endwell::Producer::frame_size)), one at a time; a small file that is asked for again comes from memory.
//! Never: maps the file into memory, and never sends what was written after it was opened, as far as
//! that can be told.
//!
//! # What counts as a change
//!
//! When a file is opened its size, times, link count, mode, owner and path are noted. After every
//! read, before its octets are handed over, and once more before the promised length is fulfilled,
//! they are compared:
//!
//! | seen | ending |
//! |---|---|
//! | fewer octets, or a read that comes up short | failed: it shrank; what stayed is sent first, unless something else happens to it |
//! | as many octets, another time of modification | failed: it was rewritten |
//! | more octets | failed when its promised octets are through: it grew; complete with [`Growing::Allow`] |
//! | another `ctime` only, and link count, mode, owner, group and path as before | failed: it was rewritten with its time set back |
//! | another `ctime` and one of those changed: rename, unlink, link, chmod, chown | complete |
//!
//! A file that was modified less than 2 s before it was opened may be in the middle of a write, whose
//! time Linux notes at its beginning. All that was read of it is read once more before its promised
//! length is fulfilled, 100 ms after it was modified at the earliest: other octets are a rewrite.
//!
//! The cause is [`Kind::SourceChanged`](endwell::Kind::SourceChanged). An error of the operating system (such as EIO) is
//! [`Kind::ProducerError`](endwell::Kind::ProducerError) with the path and the error.
//!
//! # What cannot be told
//!
//! No file system promises a reader that nobody writes. These changes look like none:
//!
//! - A change in the same tick of the file system's clock as the one before the file was opened:
//!   up to 10 ms on Linux before 6.13, 1 s on some network file systems, 2 s on FAT. (The entity
//!   tag of a file younger than 2 s is weak for the same reason.)
//! - A single write that takes longer than 2 s, or that stands still for longer than a response
//!   takes, and 100 ms at least.
//! - A write through a memory map, until the kernel notes it: at the first touch of a page after
//!   it was last written back, so a page that was already dirty shows no new time.
//! - A rewrite whose time was set back, if between two looks the file was also renamed, linked or
//!   its mode changed. Elsewhere than on Linux, or without `/proc`: any rewrite with its time set
//!   back.
//! - With [`Growing::Allow`]: a rewrite that leaves the file larger than it was.
//! - A change below the file system (a block device that is written to), or one that a network
//!   file system has not told this machine yet.
//!
//! And these look like a change although no octet is another one: `touch` (with or without a
//! date), a new extended attribute, a rename there and back between two looks. They fail: a
//! download that is repeated costs less than one that is wrong.

mod unsettled;

mod open;

mod sending;

#[cfg(all(test, unix))]
mod tests;

use std::fs::Metadata;
use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use bytes::Bytes;
use endwell::{Body, Cause};

use self::open::{Open, SMALL};
use self::sending::send;
use self::unsettled::Unsettled;
use super::blocking::still_waits;
use super::change::Fingerprint;
use super::kept;
use super::os::{Disk, Identity};
use super::place::{OpenError, Place};

/// What to do about a file that only grows while it is sent, such as a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Growing {
    /// The response fails: the client has not got the file as it is now.
    #[default]
    Fail,
    /// The response is complete with the octets that were there when it began.
    Allow,
}

/// An open file and what it was when it was opened.
#[derive(Debug)]
pub struct Opened {
    content: Content,
    /// Where the octets of a small file are kept, and which they are.
    keep: Option<Box<(Place, Identity)>>,
    disk: Disk,
}

#[derive(Debug)]
enum Content {
    /// To be read.
    File(Open),
    /// All of it, as it still is.
    Kept(Bytes, Place),
}

impl Opened {
    /// Opens a regular file and notes what it is. Blocks, unless only the caches are asked.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] for a folder, pipe, socket or device, and for what was moved out of
    /// the place's root since it was found. [`OpenError::Waits`] only with [`Disk::Cached`].
    pub fn open(place: &Place, growing: Growing, disk: Disk) -> Result<Self, OpenError> {
        // Opening a device can do something (rewind a tape): only what is a file is opened.
        if !place.is_file() {
            return Err(OpenError::NotFound);
        }
        let is_small = (1..=kept::LARGEST).contains(&place.metadata().len());
        if is_small && let Some(octets) = place.kept() {
            return Ok(Self {
                content: Content::Kept(octets, place.clone()),
                keep: None,
                disk,
            });
        }
        let (file, metadata) = place.open(disk)?;
        if !metadata.is_file() {
            return Err(OpenError::NotFound);
        }
        let mut before = Fingerprint::of(&metadata);
        if metadata.len() > SMALL as u64 {
            // Long enough that a change of names must be told from a change of content.
            before.note_path(&file);
        }
        let identity = Identity::of(&metadata).filter(|_| is_small);
        Ok(Self {
            content: Content::File(Open {
                file,
                path: place.path().to_owned(),
                before,
                growing,
                in_memory: false,
                unsettled: Unsettled::of(&metadata, SystemTime::now()),
            }),
            keep: identity.map(|identity| Box::new((place.clone(), identity))),
            disk,
        })
    }

    /// Its size when it was opened, in octets.
    pub fn octets(&self) -> u64 {
        match &self.content {
            Content::File(open) => open.before.size,
            Content::Kept(octets, _) => octets.len() as u64,
        }
    }

    /// Its time of modification when it was opened, if the file system has one.
    pub fn modified(&self) -> Option<SystemTime> {
        match &self.content {
            Content::File(open) => open.before.modified,
            Content::Kept(_, place) => place.metadata().modified().ok(),
        }
    }

    /// Its path when it was opened.
    pub fn path(&self) -> &Path {
        match &self.content {
            Content::File(open) => &open.path,
            Content::Kept(_, place) => place.path(),
        }
    }

    /// What the system tells of it now, or when it was last found to be what is kept.
    pub(crate) fn status(&self) -> Result<Metadata, Cause> {
        match &self.content {
            Content::File(open) => open.status(),
            Content::Kept(_, place) => Ok(place.metadata().clone()),
        }
    }

    /// Reads a whole frame, and gives it only if nothing has changed until then. Blocks.
    pub(crate) fn read(&mut self, at: u64, octets: usize) -> Result<Bytes, Cause> {
        match &mut self.content {
            Content::File(open) => open.read(at, octets, Disk::Any)?.ok_or_else(still_waits),
            Content::Kept(kept, _) => Ok(slice(kept, &(at..at.saturating_add(octets as u64)))),
        }
    }

    /// The last look, before the promise is fulfilled. Blocks.
    pub(crate) fn prove_the_end(&mut self) -> Result<(), Cause> {
        match &mut self.content {
            Content::File(open) => match open.prove_the_end(Disk::Any)? {
                true => Ok(()),
                false => Err(still_waits()),
            },
            Content::Kept(..) => Ok(()),
        }
    }

    /// Reads the first octets and makes a body of them and of those that follow. Blocks, unless
    /// only the caches were asked.
    ///
    /// # Errors
    /// The cause of a failure that comes so early that the response can still be a 5xx.
    ///
    /// # Panics
    /// Not for a range that lies within [`Opened::octets`].
    pub fn body(self, octets: Range<u64>) -> Result<Body, Cause> {
        let mut open = match self.content {
            Content::Kept(kept, _) => return Ok(Body::full(slice(&kept, &octets))),
            Content::File(open) => open,
        };
        let length = octets.end - octets.start;
        if length <= SMALL as u64
            && let Some(whole) = open.whole(&octets, self.disk)?
        {
            if let Some(keep) = self.keep.filter(|_| length == open.before.size) {
                let (place, identity) = *keep;
                place.keep(identity, whole.clone());
            }
            return Ok(Body::full(whole));
        }
        let body = endwell::stream(move |producer| send(producer, open, octets));
        Ok(body.promise(length))
    }
}

fn slice(kept: &Bytes, octets: &Range<u64>) -> Bytes {
    let at = |octet: u64| usize::try_from(octet).map_or(kept.len(), |at| at.min(kept.len()));
    kept.slice(at(octets.start)..at(octets.end))
}
