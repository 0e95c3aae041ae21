//! A file: octets by `pread`, complete only if it stayed what it was.
//!
//! Reads: an open file, on tokio's blocking pool. Gives: a body with a promised length, of frames
//! that start at 32 KiB and grow to 256 KiB while the peer takes them promptly; at most one waits.
//! Never: maps the file into memory, and never sends what it read after it saw a change.
//!
//! # What counts as a change
//!
//! When a file is opened its size, times, link count, mode, owner and path are noted. After every
//! read, before its octets are handed over, and once more before the promised length is fulfilled,
//! they are compared:
//!
//! | seen | ending |
//! |---|---|
//! | fewer octets, or a read that comes up short | failed: it shrank |
//! | as many octets, another time of modification | failed: it was rewritten |
//! | more octets | failed when its promised octets are through: it grew; complete with [`Growing::Allow`] |
//! | another `ctime` only, and link count, mode, owner, group and path as before | failed: it was rewritten with its time set back |
//! | another `ctime` and one of those changed: rename, unlink, link, chmod, chown | complete |
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
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use endwell::{Abort, Body, Cause, Finished, Kind, Producer};

use super::change::{Change, Fingerprint};
use super::os;
use super::place::{OpenError, Place};

/// The first frame: small, so that the first octet leaves early. A file up to this is read at once.
const FIRST: usize = 32 * 1024;
/// The largest frame: beyond 256 KiB neither throughput nor CPU improved in measurements.
const LARGEST: usize = 256 * 1024;

/// A frame that waits longer is too large for its peer: so a peer that takes less than 5 MB/s costs
/// less memory.
const PROMPT: Duration = Duration::from_millis(50);

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
    file: File,
    path: PathBuf,
    before: Fingerprint,
    growing: Growing,
}

impl Opened {
    /// Opens a regular file and notes what it is. Blocks.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] for a folder, pipe, socket or device, and for what was moved out of
    /// the place's root since it was found.
    pub fn open(place: &Place, growing: Growing) -> Result<Self, OpenError> {
        let path = place.path();
        let failed = |error| OpenError::of(path, error);
        // Opening a device can do something (rewind a tape): only what is a file is opened.
        if !place.is_file() {
            return Err(OpenError::NotFound);
        }
        let file = os::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let before = Fingerprint::of(&file, &metadata);
        let outside = |path: &PathBuf| !path.starts_with(place.root());
        if !metadata.is_file() || before.path.as_ref().is_some_and(outside) {
            return Err(OpenError::NotFound);
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            before,
            growing,
        })
    }

    /// Its size when it was opened, in octets.
    pub fn octets(&self) -> u64 {
        self.before.size
    }

    /// Its time of modification when it was opened, if the file system has one.
    pub fn modified(&self) -> Option<SystemTime> {
        self.before.modified
    }

    /// Its path when it was opened, without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the first octets and makes a body of them and of those that follow. Blocks.
    ///
    /// # Errors
    /// The cause of a failure that comes so early that the response can still be a 5xx.
    ///
    /// # Panics
    /// Not for a range that lies within [`Opened::octets`].
    pub fn body(mut self, octets: Range<u64>) -> Result<Body, Cause> {
        let length = octets.end - octets.start;
        let frame = frame_of(FIRST, length);
        let first = self.read(octets.start, frame)?;
        if frame as u64 == length {
            self.prove_the_end()?;
            return Ok(Body::full(first));
        }
        let rest = octets.start + frame as u64..octets.end;
        let body = endwell::stream(move |producer| send(producer, self, first, rest));
        Ok(body.promise(length))
    }

    /// Reads a whole frame, and gives it only if nothing has changed until then.
    pub(crate) fn read(&mut self, at: u64, octets: usize) -> Result<Bytes, Cause> {
        let mut frame = vec![0; octets];
        let mut filled = 0;
        while filled < octets {
            match os::read_at(&self.file, &mut frame[filled..], at + filled as u64) {
                Ok(0) => return Err(self.came_up_short(at + filled as u64)),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed("cannot read", &error)),
            }
        }
        match self.change()? {
            // It grows: what was promised may still be there to the last octet.
            None | Some(Change::Grew { .. }) => Ok(frame.into()),
            Some(change) => Err(self.changed(change)),
        }
    }

    /// The last look, before the promise is fulfilled.
    pub(crate) fn prove_the_end(&mut self) -> Result<(), Cause> {
        let more = self.before.size == 0 && self.has_octet(0)?;
        match self.change()? {
            None if more => {
                let path = self.path.display();
                let message = format!("{path} has more octets than the 0 of its size");
                Err(Cause::new(Kind::SourceChanged, message))
            }
            None => Ok(()),
            Some(Change::Grew { .. }) if self.growing == Growing::Allow => Ok(()),
            Some(change) => Err(self.changed(change)),
        }
    }

    /// Looks past the end: files of `/proc` say that they are empty, and are not.
    fn has_octet(&self, at: u64) -> Result<bool, Cause> {
        let read = os::read_at(&self.file, &mut [0], at);
        read.map(|count| count > 0)
            .map_err(|error| self.failed("cannot read", &error))
    }

    /// What has changed since the file was opened.
    ///
    /// Linux notes the time of an append before the new size: what looks rewritten is looked at
    /// again until the write must be through.
    fn change(&mut self) -> Result<Option<Change>, Cause> {
        let until = Instant::now() + APPEND;
        loop {
            let now = self.status()?;
            let change = self.before.compare(&now, || os::path_of(&self.file));
            if change != Some(Change::Rewritten) || Instant::now() > until {
                return Ok(change);
            }
            std::thread::sleep(APPEND / 20);
        }
    }

    /// What the system tells of it now.
    pub(crate) fn status(&self) -> Result<Metadata, Cause> {
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

fn frame_of(largest: usize, left: u64) -> usize {
    usize::try_from(left).map_or(largest, |left| left.min(largest))
}

/// How large the next frame is, after one that waited so long to be taken.
fn next_frame(frame: usize, waited: Duration) -> usize {
    if waited > PROMPT {
        (frame / 2).max(FIRST)
    } else {
        (frame * 2).min(LARGEST)
    }
}

/// Sends what was read, then the rest in frames that grow while the peer takes them promptly.
///
/// While a frame is under way the next one is read: at most one waits.
async fn send(
    mut producer: Producer,
    mut opened: Opened,
    first: Bytes,
    mut rest: Range<u64>,
) -> Result<Finished, Abort> {
    producer.send(first).await?;
    let mut frame = FIRST * 2;
    while !rest.is_empty() {
        let (at, octets) = (rest.start, frame_of(frame, rest.end - rest.start));
        let read = blocking(move || {
            let read = opened.read(at, octets)?;
            Ok((opened, read, Instant::now()))
        });
        let (octets, ready);
        (opened, octets, ready) = read.await?;
        frame = next_frame(frame, ready.elapsed());
        rest.start += octets.len() as u64;
        producer.send(octets).await?;
    }
    // The wire still holds the octet that fulfils the promise: a change until now counts.
    blocking(move || opened.prove_the_end()).await?;
    Ok(producer.finish())
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
        Opened::open(&place, growing).map_err(io::Error::other)
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

    #[test]
    fn frames_follow_the_peer() {
        let (prompt, late) = (Duration::ZERO, PROMPT * 2);
        let sizes = [
            prompt, prompt, prompt, prompt, late, late, late, late, prompt,
        ];
        let mut frame = FIRST;
        let frames = sizes.map(|waited| {
            frame = next_frame(frame, waited);
            frame / 1024
        });
        assert_eq!(frames, [64, 128, 256, 256, 128, 64, 32, 32, 64]);
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
        for (collected, cause) in [
            drain_while(Growing::Allow, grow).await?,
            drain_while(Growing::Allow, slowly).await?,
        ] {
            assert!(collected == octets(SIZE) && cause.is_none());
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
            let opened = Opened::open(&place, growing).map_err(io::Error::other)?;
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
