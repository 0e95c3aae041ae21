//! A file: octets by `pread`, complete only if it stayed what it was.
//!
//! Reads: an open file; what the page cache holds at once, the rest on tokio's blocking pool. Gives:
//! a body with a promised length, of frames as large as the connection advises
//! ([`Producer::frame_size`]), one at a time; a small file that is asked for again comes from memory.
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
//! The cause is [`Kind::SourceChanged`]. An error of the operating system (such as EIO) is
//! [`Kind::ProducerError`] with the path and the error.
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

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use endwell::{Abort, Body, Cause, ClientGone, Finished, Kind, Producer};

use super::change::{Change, Fingerprint};
use super::frames::Frame;
use super::kept;
use super::os::{self, Disk, Identity};
use super::place::{OpenError, Place};

/// A file, or a range of one, up to this is read at once.
const SMALL: usize = 32 * 1024;

/// How long the size of an appended file may lag behind its time: a write is over in microseconds,
/// unless its process loses the CPU in the middle of it.
const APPEND: Duration = Duration::from_millis(100);

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

/// What was read of a file that was written a moment before it was opened.
///
/// Linux notes the time at the beginning of a write and then copies, page by page, for as long as
/// that takes: who opens the file meanwhile sees pages of both versions, and no later change.
#[derive(Debug)]
struct Unsettled {
    written: SystemTime,
    /// Where, how many, and a hash of what.
    read: Vec<(u64, usize, u64)>,
}

/// A single write takes no longer than this; the same age makes an entity tag strong.
const WRITE: Duration = Duration::from_secs(2);

impl Unsettled {
    fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let written = metadata.modified().ok()?;
        let age = now.duration_since(written).unwrap_or_default();
        (age < WRITE).then(|| Self {
            written: written.min(now),
            read: Vec::new(),
        })
    }

    fn note(&mut self, at: u64, octets: &[u8]) {
        self.read.push((at, octets.len(), hash_of(octets)));
    }

    /// How long to wait: a write that has not got on since is not likely to be under way.
    fn left(&self, now: SystemTime) -> Duration {
        let age = now.duration_since(self.written).unwrap_or_default();
        APPEND.saturating_sub(age)
    }
}

/// Of what this process has read itself: nobody chooses octets to have the same hash as others.
fn hash_of(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(octets);
    hasher.finish()
}

fn slice(kept: &Bytes, octets: &Range<u64>) -> Bytes {
    let at = |octet: u64| usize::try_from(octet).map_or(kept.len(), |at| at.min(kept.len()));
    kept.slice(at(octets.start)..at(octets.end))
}

/// What a look at an open file tells.
enum Seen {
    /// What has changed, if anything has.
    Change(Option<Change>),
    /// It looks rewritten, and may be in the middle of an append: only time tells.
    Perhaps,
}

/// A file that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    before: Fingerprint,
    growing: Growing,
    /// Its file system never makes a reader wait, and need not be asked each time.
    in_memory: bool,
    /// What was read of a file that may be in the middle of a write.
    unsettled: Option<Unsettled>,
}

impl Open {
    /// Few octets and the proof that they are right; `None` when a disk had to be waited for.
    fn whole(&mut self, octets: &Range<u64>, disk: Disk) -> Result<Option<Bytes>, Cause> {
        let length = frame_of(SMALL, octets.end - octets.start);
        let Some(read) = self.read(octets.start, length, disk)? else {
            return Ok(None);
        };
        let proven = self.prove_the_end(disk)?;
        Ok(proven.then_some(read))
    }

    /// Reads a whole frame, and gives it only if nothing has changed until then; `None` when a
    /// disk had to be waited for.
    fn read(&mut self, at: u64, octets: usize, disk: Disk) -> Result<Option<Bytes>, Cause> {
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
    fn prove_the_end(&mut self, disk: Disk) -> Result<bool, Cause> {
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
    fn read_again(&mut self) -> Result<(), Cause> {
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
    fn change(&mut self, disk: Disk) -> Result<Seen, Cause> {
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
    fn take_as_cut(&mut self) -> Option<u64> {
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

    fn status(&self) -> Result<Metadata, Cause> {
        let status = self.file.metadata();
        status.map_err(|error| self.failed("cannot read the status of", &error))
    }

    fn changed(&self, change: Change) -> Cause {
        Cause::new(Kind::SourceChanged, change.message(&self.path))
    }

    /// The file ended where its size says that it goes on.
    fn came_up_short(&self, at: u64) -> Cause {
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

    fn failed(&self, what: &str, error: &io::Error) -> Cause {
        Cause::producer(format!("{what} {}: {error}", self.path.display()))
    }
}

/// What a blocking read never answers.
pub(crate) fn still_waits() -> Cause {
    Cause::producer("a disk that was waited for still waits")
}

fn frame_of(largest: usize, left: u64) -> usize {
    usize::try_from(left).map_or(largest, |left| left.min(largest))
}

/// Sends a range, and ends as complete only if the file stayed what it was.
async fn send(
    mut producer: Producer,
    mut open: Open,
    octets: Range<u64>,
) -> Result<Finished, Abort> {
    open.in_memory = os::is_in_memory(&open.file);
    let mut sending = Sending {
        open: Arc::new(Mutex::new(open)),
        rest: octets.clone(),
    };
    let Err(cause) = sending.send(&mut producer).await? else {
        return Ok(producer.finish());
    };
    // Before the first octet it is a real 5xx.
    if sending.rest.start > octets.start && sending.is_only_cut().await? {
        // Whatever comes now, the first cause is the one to tell.
        let _ = sending.send(&mut producer).await?;
    }
    Ok(producer.fail(cause))
}

/// A file on its way.
struct Sending {
    /// Shared with the blocking pool, never at the same time.
    open: Arc<Mutex<Open>>,
    rest: Range<u64>,
}

impl Sending {
    /// Sends the rest in frames as large as the connection advises, one at a time, and looks at
    /// the file once more when they are through. Gives why it could not.
    async fn send(&mut self, producer: &mut Producer) -> Result<Result<(), Cause>, ClientGone> {
        while !self.rest.is_empty() {
            let at = self.rest.start;
            let octets = frame_of(producer.frame_size(), self.rest.end - at);
            let read = self.at_once_or_later(move |open, disk| open.read(at, octets, disk));
            match read.await {
                Ok(frame) => {
                    self.rest.start += frame.len() as u64;
                    producer.send(frame).await?;
                }
                Err(cause) => return Ok(Err(cause)),
            }
        }
        // The wire still holds the octet that fulfils the promise: a change until now counts.
        let proof = self.at_once_or_later(|open, disk| {
            let proven = open.prove_the_end(disk)?;
            Ok(proven.then_some(()))
        });
        Ok(proof.await)
    }

    /// Does what the page cache allows at once: to hand it to another thread costs more than to
    /// read it. What it does not hold is read on the blocking pool.
    async fn at_once_or_later<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Open, Disk) -> Result<Option<T>, Cause> + Send + 'static,
    ) -> Result<T, Cause> {
        {
            let mut open = lock(&self.open);
            if let Some(done) = work(&mut open, Disk::Cached)? {
                return Ok(done);
            }
        }
        let open = Arc::clone(&self.open);
        let done = blocking(move || work(&mut lock(&open), Disk::Any)).await?;
        done.ok_or_else(still_waits)
    }

    /// Whether nothing is known to have happened to the file but that its end was cut off.
    ///
    /// From here on it is compared with what it is now: what stayed is sent, unless something else
    /// happens to it.
    async fn is_only_cut(&mut self) -> Result<bool, Cause> {
        let open = Arc::clone(&self.open);
        let size = blocking(move || Ok(lock(&open).take_as_cut())).await?;
        if let Some(size) = size {
            self.rest.end = self.rest.end.min(size);
        }
        Ok(size.is_some())
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what may wait for a disk where it holds up no connection.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Cause> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(Cause::new(
            Kind::ProducerPanicked,
            "reading a source panicked",
        )),
        Err(_) => Err(Cause::new(
            Kind::ServerShutdown,
            "the server stopped while a source was read",
        )),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use http_body_util::BodyExt;

    use super::super::testing::{old_file, set_back};
    use super::*;

    const SIZE: usize = 1024 * 1024 + 7;

    fn octets(size: usize) -> Vec<u8> {
        (0..size).map(|at| (at % 251) as u8).collect()
    }

    /// A folder with a file that was last written long ago.
    fn folder(size: usize) -> io::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        old_file(&folder.path().join("file"), octets(size))?;
        Ok(folder)
    }

    fn open(folder: &tempfile::TempDir, growing: Growing) -> io::Result<Opened> {
        let place = Place::find(folder.path(), Path::new("file")).map_err(io::Error::other)?;
        Opened::open(&place, growing, Disk::Any).map_err(io::Error::other)
    }

    type Collected = (Vec<u8>, Option<Cause>);

    /// Drains a body; `change` runs when its first frame was taken.
    async fn drain(
        mut body: Body,
        change: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<Collected> {
        let mut change = Some(change);
        let mut collected = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => collected.extend_from_slice(frame.data_ref().expect("data")),
                Err(broken) => return Ok((collected, broken.ending().cause().cloned())),
            }
            if let Some(change) = change.take() {
                change()?;
            }
        }
        Ok((collected, None))
    }

    async fn drain_while(
        growing: Growing,
        change: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Collected> {
        let folder = folder(SIZE)?;
        let body = open(&folder, growing)?
            .body(0..SIZE as u64)
            .map_err(io::Error::other)?;
        drain(body, || change(&folder.path().join("file"))).await
    }

    fn message(collected: &Collected) -> String {
        let cause = collected.1.as_ref().expect("a cause");
        assert_eq!(cause.kind, Kind::SourceChanged);
        assert!(octets(SIZE).starts_with(&collected.0));
        let name = cause.message.rsplit_once('/').expect("a path").1;
        name.to_owned()
    }

    #[tokio::test]
    async fn every_range_is_whole() -> io::Result<()> {
        let whole = octets(SIZE);
        let folder = folder(SIZE)?;
        let end = SIZE as u64;
        for range in [
            0..0,
            0..1,
            0..32_768,
            0..32_769,
            5..end,
            end - 1..end,
            0..end,
        ] {
            let body = open(&folder, Growing::Fail)?
                .body(range.clone())
                .map_err(io::Error::other)?;
            let (collected, cause) = drain(body, || Ok(())).await?;
            let expected = &whole[range.start as usize..range.end as usize];
            assert!(collected == expected && cause.is_none(), "{range:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_change_of_content_fails() -> io::Result<()> {
        let shrank = drain_while(Growing::Fail, |path| {
            File::options().write(true).open(path)?.set_len(100)
        });
        let expected = format!("file shrank from {SIZE} to 100 octets while it was sent");
        assert_eq!(message(&shrank.await?), expected);
        let rewritten = drain_while(Growing::Fail, |path| fs::write(path, octets(SIZE)));
        assert_eq!(
            message(&rewritten.await?),
            "file was rewritten while it was sent"
        );
        let set_back = drain_while(Growing::Allow, |path| {
            let file = File::options().write(true).open(path)?;
            std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0)?;
            set_back(path)
        });
        // The next frame is read at any time: perhaps between the two.
        assert!(message(&set_back.await?).starts_with("file was rewritten "));
        Ok(())
    }

    #[tokio::test]
    async fn growth_fails_unless_it_is_allowed() -> io::Result<()> {
        let grow = |path: &Path| {
            let mut file = File::options().append(true).open(path)?;
            io::Write::write_all(&mut file, b"more")
        };
        let failed = drain_while(Growing::Fail, grow).await?;
        let to = SIZE + 4;
        assert_eq!(
            message(&failed),
            format!("file grew from {SIZE} to {to} octets while it was sent")
        );
        // As the kernel does in the middle of an append: the time first, then the size.
        let slowly = |path: &Path| {
            let file = File::options().append(true).open(path)?;
            file.set_modified(SystemTime::now())?;
            std::thread::spawn(move || {
                std::thread::sleep(APPEND / 4);
                io::Write::write_all(&mut &file, b"more")
            });
            Ok(())
        };
        let (collected, cause) = drain_while(Growing::Allow, grow).await?;
        assert!(collected == octets(SIZE) && cause.is_none());
        // A busy machine may keep the thread waiting for longer than the server waits for it.
        for attempt in 1.. {
            let (collected, cause) = drain_while(Growing::Allow, slowly).await?;
            if cause.is_none() {
                assert!(collected == octets(SIZE));
                break;
            }
            assert!(attempt < 10, "{cause:?}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn names_may_change() -> io::Result<()> {
        for change in [
            |path: &Path| fs::rename(path, path.with_extension("old")),
            |path: &Path| fs::remove_file(path),
        ] {
            let (collected, cause) = drain_while(Growing::Fail, change).await?;
            assert!(collected == octets(SIZE) && cause.is_none());
        }
        Ok(())
    }

    #[test]
    fn who_may_not_wait_leaves_to_others_what_takes_time_to_tell() -> io::Result<()> {
        let folder = folder(SIZE)?;
        let path = folder.path().join("file");
        let opened = || match open(&folder, Growing::Fail)?.content {
            Content::File(open) => Ok(open),
            Content::Kept(..) => Err(io::Error::other("kept")),
        };
        for in_memory in [false, true] {
            old_file(&path, octets(SIZE))?;
            let mut open = opened()?;
            open.in_memory = in_memory;
            // Perhaps an append has begun.
            fs::write(&path, octets(SIZE))?;
            assert!(matches!(open.read(0, 9, Disk::Cached), Ok(None)));
            assert!(matches!(open.prove_the_end(Disk::Cached), Ok(false)));
            assert!(open.read(0, 9, Disk::Any).is_err());
            assert!(open.prove_the_end(Disk::Any).is_err());
            // An end that some kernels tell of what is not in memory.
            old_file(&path, octets(SIZE))?;
            let mut open = opened()?;
            open.in_memory = in_memory;
            assert!(matches!(open.read(SIZE as u64, 9, Disk::Cached), Ok(None)));
            assert!(open.read(SIZE as u64, 9, Disk::Any).is_err());
        }
        Ok(())
    }

    #[test]
    fn a_small_file_that_changed_gives_no_body() -> io::Result<()> {
        let folder = folder(10)?;
        let opened = open(&folder, Growing::Fail)?;
        fs::write(folder.path().join("file"), "abcdefghij")?;
        let cause = opened.body(0..10).err().ok_or(io::ErrorKind::Other)?;
        assert_eq!(cause.kind, Kind::SourceChanged);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_size_that_lies_is_no_empty_file() -> io::Result<()> {
        for growing in [Growing::Fail, Growing::Allow] {
            let place = Place::find(Path::new("/proc"), Path::new("version"));
            let place = place.map_err(io::Error::other)?;
            let opened = Opened::open(&place, growing, Disk::Any).map_err(io::Error::other)?;
            assert_eq!(opened.octets(), 0);
            let cause = opened.body(0..0).err().ok_or(io::ErrorKind::Other)?;
            assert_eq!(
                cause.message,
                "/proc/version has more octets than the 0 of its size"
            );
        }
        Ok(())
    }
}
