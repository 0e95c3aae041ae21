//! Packs a tree into frames.
//!
//! Reads: a [`Tree`], the files in it, and a [`Format`] that knows what stands around their octets.
//! Gives: frames, and what follows them: more, the end, or what broke the archive. Many small files
//! go into one frame; a file is opened, read, looked at and closed, and nothing else. Never: ends an
//! archive that lacks something without saying so.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use endwell::{Cause, Kind};

use super::ahead::Ahead;
use super::broken::{Broken, Why};
use super::filling::Filling;
use super::folders::Folders;
use super::format::{Follows, Format, Manner};
use super::open::Open;
use super::tree::{Is, Named, Tree};
use crate::source::Disk;
use crate::source::file::Growing;

/// What to do about an entry that cannot be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// The archive fails, without a seal: it is a part that others complete.
    Fail,
    /// The archive fails. Where it stops between two entries, a seal is added.
    Seal,
    /// The entry is left out as long as none of it has left, and named at the end.
    LeaveOut,
}

/// A frame and what follows it.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) octets: Bytes,
    pub(super) then: Then,
}

/// What follows a frame.
#[derive(Debug)]
pub(super) enum Then {
    More,
    /// Nothing: all is packed and proven. With a cause if entries were left out.
    End(Option<Cause>),
    Failed(Cause),
}

/// Octets of content that are transformed at once.
const AT_ONCE: u64 = 64 * 1024;

/// Packs a tree.
#[derive(Debug)]
pub(super) struct Packer<F> {
    tree: Arc<Tree>,
    format: F,
    growing: Growing,
    on_error: OnError,
    folders: Folders,
    ahead: Ahead,
    step: Step,
    /// What has no room in the frame before, and how many octets of it have been put out.
    owed: Vec<u8>,
    paid: usize,
    /// Content on its way into another form.
    raw: Vec<u8>,
    /// Octets that are not wanted before those that are.
    skip: u64,
    /// Octets that are wanted yet.
    left: u64,
    missing: Named,
}

/// What is packed next.
#[derive(Debug)]
enum Step {
    Begin,
    /// The entry at this place.
    Entry(usize),
    Content(Content),
    End,
    Over,
}

/// The content of a file.
#[derive(Debug)]
struct Content {
    at: usize,
    open: Open,
    rest: Range<u64>,
    manner: Manner,
    /// So many octets follow with nothing between them.
    undivided: u64,
    /// Where in this frame its entry begins, if it does.
    begins: Option<usize>,
}

impl Content {
    fn rest_octets(&self) -> u64 {
        self.rest.end - self.rest.start
    }

    fn stopped(&self, why: Why) -> Stopped {
        Stopped {
            broken: Broken { at: self.at, why },
            begins: self.begins,
            is_all_there: self.rest.is_empty(),
        }
    }
}

/// Why packing cannot go on.
struct Stopped {
    broken: Broken,
    /// Where in the frame the entry begins, if none of it has left.
    begins: Option<usize>,
    /// The frame ends with the last octet of its content.
    is_all_there: bool,
}

/// Where a part of an archive begins to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    /// At the very beginning.
    Begin,
    /// At the beginning of this entry.
    Entry(usize),
    /// At the end of the last entry.
    End,
}

impl<F: Format> Packer<F> {
    /// Packs all of a tree, of which so many octets are promised.
    pub(super) fn whole(
        tree: Arc<Tree>,
        format: F,
        growing: Growing,
        on_error: OnError,
        promised: Option<u64>,
    ) -> Self {
        Self {
            missing: tree.missing.clone(),
            tree,
            format,
            growing,
            on_error,
            folders: Folders::default(),
            ahead: Ahead::default(),
            step: Step::Begin,
            owed: Vec::new(),
            paid: 0,
            raw: Vec::new(),
            skip: 0,
            left: promised.unwrap_or(u64::MAX),
        }
    }

    /// Packs only some octets: `skip` is counted from the beginning of the entry at a place, or
    /// from the end of the last one where there is none, or from the very beginning.
    pub(super) fn part(
        tree: Arc<Tree>,
        format: F,
        growing: Growing,
        from: From,
        skip: u64,
        octets: u64,
    ) -> Self {
        let step = match from {
            From::Begin => Step::Begin,
            From::Entry(at) => Step::Entry(at),
            From::End => Step::End,
        };
        Self {
            step,
            skip,
            ..Self::whole(tree, format, growing, OnError::Fail, Some(octets))
        }
    }

    /// Fills a frame of up to so many octets. Blocks.
    pub(super) fn fill(&mut self, most: usize) -> Filled {
        let mut frame = Filling::new(self.most(most));
        if let Step::Content(content) = &mut self.step {
            content.begins = None;
        }
        loop {
            self.pay(&mut frame);
            let is_over = self.left == 0 || (matches!(self.step, Step::Over) && self.owes() == 0);
            let done = if is_over {
                self.prove()
            } else if frame.room() == 0 {
                return Filled {
                    octets: frame.into_bytes(),
                    then: Then::More,
                };
            } else {
                self.go(&mut frame)
            };
            match done {
                Ok(()) if is_over => {
                    return Filled {
                        octets: frame.into_bytes(),
                        then: Then::End(self.lacks()),
                    };
                }
                Ok(()) => {}
                Err(stopped) => {
                    if let Some(failed) = self.stop(&mut frame, stopped) {
                        return failed;
                    }
                }
            }
        }
    }

    /// Fills a frame from the middle of a large file, if that needs no disk; else does nothing.
    pub(super) fn fill_cached(&mut self, most: usize) -> Option<Filled> {
        let most = self.most(most);
        let wanted = most as u64;
        match &mut self.step {
            Step::Content(content)
                if content.manner == Manner::Plain && content.rest_octets() > wanted =>
            {
                content.begins = None;
            }
            _ => return None,
        }
        if self.owes() > 0 || self.left <= wanted {
            return None;
        }
        let mut frame = Filling::new(most);
        let then = match self.fill_plain(&mut frame, Disk::Cached) {
            Ok(_) if frame.filled == 0 => return None,
            Ok(_) => Then::More,
            Err(stopped) => Then::Failed(stopped.broken.cause(&self.tree)),
        };
        Some(Filled {
            octets: frame.into_bytes(),
            then,
        })
    }

    /// Reads of the plain entry that is open what there is room for, with what stands between its
    /// stretches; gives false if a disk would have to be waited for.
    fn fill_plain(&mut self, frame: &mut Filling, disk: Disk) -> Result<bool, Stopped> {
        loop {
            self.pay(frame);
            let room = self.left.min(frame.room() as u64);
            let Step::Content(content) = &mut self.step else {
                return Ok(true);
            };
            if room == 0 || content.rest.is_empty() {
                return Ok(true);
            }
            let at = content.rest.start;
            if content.undivided == 0 {
                let stretch = self
                    .format
                    .stretch(&self.tree, content.at, at, &mut self.owed);
                content.undivided = stretch;
                continue;
            }
            // There is room for it in memory.
            let octets = room.min(content.rest_octets()).min(content.undivided) as usize;
            let into = &mut frame.frame.as_mut()[frame.filled..frame.filled + octets];
            let in_memory = self.tree.in_memory;
            match self
                .ahead
                .read(&mut content.open, at, into, disk, in_memory)
            {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(why) => return Err(content.stopped(why)),
            }
            self.format.look(into);
            frame.filled += octets;
            self.left -= octets as u64;
            content.rest.start += octets as u64;
            content.undivided -= octets as u64;
        }
    }

    fn most(&self, most: usize) -> usize {
        usize::try_from(self.left).map_or(most, |left| left.min(most))
    }

    fn owes(&self) -> usize {
        self.owed.len() - self.paid
    }

    /// Puts out what is owed, as far as there is room and it is wanted.
    fn pay(&mut self, frame: &mut Filling) {
        // No more than is owed: it fits.
        let skipped = self.skip.min(self.owes() as u64);
        self.skip -= skipped;
        self.paid += skipped as usize;
        let octets = frame.room().min(self.owes());
        let octets = usize::try_from(self.left).map_or(octets, |left| left.min(octets));
        let from = &self.owed[self.paid..self.paid + octets];
        frame.frame.as_mut()[frame.filled..frame.filled + octets].copy_from_slice(from);
        frame.filled += octets;
        self.paid += octets;
        self.left -= octets as u64;
        if self.owes() == 0 {
            self.owed.clear();
            self.paid = 0;
        }
    }

    /// Goes one step on. All that was owed is paid, and there is room.
    fn go(&mut self, frame: &mut Filling) -> Result<(), Stopped> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Begin => {
                self.format.begin(&self.tree, &mut self.owed);
                self.step = Step::Entry(0);
            }
            Step::Entry(at) if at == self.tree.len() => self.step = Step::End,
            Step::Entry(at) => return self.enter(at, frame),
            Step::Content(content) => return self.read(content, frame),
            Step::End => {
                let follows = self.format.end(&self.tree, &self.missing, &mut self.owed);
                self.step = match follows {
                    Follows::More => Step::End,
                    Follows::Nothing => Step::Over,
                };
            }
            Step::Over => {}
        }
        Ok(())
    }

    /// Begins an entry: a file is opened first, so that one that cannot be is not begun.
    fn enter(&mut self, at: usize, frame: &mut Filling) -> Result<(), Stopped> {
        let tree = Arc::clone(&self.tree);
        let entry = tree.entry(at);
        let begins = frame.filled;
        let opened = match entry.is {
            Is::Folder | Is::Link => None,
            Is::File => Some(self.open(&tree, at).map_err(|why| Stopped {
                broken: Broken { at, why },
                begins: Some(begins),
                is_all_there: false,
            })?),
        };
        let manner = self.format.manner(&tree, at);
        let Some(mut open) = opened else {
            self.format.head(&tree, at, &mut self.owed);
            self.format.tail(&tree, at, &mut self.owed);
            self.step = Step::Entry(at + 1);
            return Ok(());
        };
        let stopped = |why| Stopped {
            broken: Broken { at, why },
            begins: Some(begins),
            is_all_there: false,
        };
        if entry.octets == 0 {
            // It has no octet that could be held back: its look comes before its head.
            let looked = open.read(0, &mut [], Disk::Any);
            looked.and_then(|_| open.prove()).map_err(stopped)?;
        }
        if manner == Manner::Whole {
            self.read_whole(&mut open, entry.octets).map_err(stopped)?;
            self.format.whole(&tree, at, &self.raw, &mut self.owed);
            self.step = Step::Entry(at + 1);
            return Ok(());
        }
        self.format.head(&tree, at, &mut self.owed);
        self.pay(frame);
        let skipped = self.skip.min(entry.octets);
        self.skip -= skipped;
        self.step = Step::Content(Content {
            at,
            open,
            rest: skipped..entry.octets,
            manner,
            undivided: 0,
            begins: Some(begins),
        });
        Ok(())
    }

    fn open(&mut self, tree: &Tree, at: usize) -> Result<Open, Why> {
        let folder = self.folders.open(tree, tree.parent(at));
        let folder = folder.map_err(|shut| Why::of_open(&shut.error))?;
        let open = match self.ahead.take(at) {
            Some(open) => open,
            None => Open::new(tree, at, folder, self.growing)?,
        };
        self.ahead.fill(tree, at, folder, self.growing);
        Ok(open)
    }

    /// Reads all of a file, and proves it.
    fn read_whole(&mut self, open: &mut Open, octets: u64) -> Result<(), Why> {
        // A format asks for this only where there is room in memory.
        self.raw.resize(octets as usize, 0);
        let in_memory = self.tree.in_memory;
        self.ahead
            .read(open, 0, &mut self.raw, Disk::Any, in_memory)?;
        open.prove()
    }

    /// Reads what there is room for; after the last of it the entry is proven.
    fn read(&mut self, content: Content, frame: &mut Filling) -> Result<(), Stopped> {
        let manner = content.manner;
        let at = content.at;
        self.step = Step::Content(content);
        match manner {
            Manner::Plain | Manner::Whole => {
                self.fill_plain(frame, Disk::Any)?;
            }
            Manner::Transformed => self.read_raw()?,
        }
        let Step::Content(content) = &mut self.step else {
            return Ok(());
        };
        if !content.rest.is_empty() {
            return Ok(());
        }
        if let Err(why) = content.open.prove() {
            return Err(content.stopped(why));
        }
        self.format.tail(&self.tree, at, &mut self.owed);
        self.step = Step::Entry(at + 1);
        Ok(())
    }

    /// Reads a piece, and owes what it becomes.
    fn read_raw(&mut self) -> Result<(), Stopped> {
        let Step::Content(content) = &mut self.step else {
            return Ok(());
        };
        let octets = content.rest_octets().min(AT_ONCE);
        self.raw.resize(octets as usize, 0);
        let at = content.rest.start;
        let in_memory = self.tree.in_memory;
        let open = &mut content.open;
        let read = self
            .ahead
            .read(open, at, &mut self.raw, Disk::Any, in_memory);
        if let Err(why) = read {
            return Err(content.stopped(why));
        }
        self.format.look(&self.raw);
        self.format.transform(&self.raw, &mut self.owed);
        content.rest.start += octets;
        Ok(())
    }

    /// When all that is wanted is packed: what is open must still be right.
    fn prove(&mut self) -> Result<(), Stopped> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Content(mut content) => {
                let proven = content.open.prove();
                proven.map_err(|why| content.stopped(why))
            }
            Step::Begin | Step::Entry(_) | Step::End | Step::Over => Ok(()),
        }
    }

    /// What becomes of an archive that cannot go on; `None` if it can without the entry.
    fn stop(&mut self, frame: &mut Filling, stopped: Stopped) -> Option<Filled> {
        let Stopped {
            broken,
            begins,
            is_all_there,
        } = stopped;
        if let Some(begins) = begins {
            // None of the entry has left: it is taken back.
            self.left += (frame.filled - begins) as u64;
            frame.filled = begins;
            self.owed.clear();
            self.paid = 0;
            if self.on_error == OnError::LeaveOut {
                let path = self.tree.path(broken.at);
                self.missing.add(path, broken.why.text());
                self.step = Step::Entry(broken.at + 1);
                return None;
            }
        }
        let mut octets = frame.frame.as_mut()[..frame.filled].to_vec();
        if begins.is_some() && self.on_error == OnError::Seal {
            let room = self.left.saturating_sub(1);
            self.format
                .seal(&broken.reason(&self.tree), room, &mut octets);
        }
        if begins.is_none() {
            if is_all_there {
                // Else some readers would miss nothing: a cut in the padding is none to them.
                octets.pop();
            }
            self.format.flush(&mut octets);
        }
        Some(Filled {
            octets: octets.into(),
            then: Then::Failed(broken.cause(&self.tree)),
        })
    }

    /// What was left out, if anything was.
    fn lacks(&self) -> Option<Cause> {
        let (path, why) = self.missing.first.first()?;
        let message = format!(
            "{} of the entries below {} are not in the archive, the first of them: {} {why}",
            self.missing.count,
            self.tree.path.display(),
            String::from_utf8_lossy(path),
        );
        Some(Cause::new(Kind::SourceChanged, message))
    }
}
