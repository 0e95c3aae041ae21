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
use super::folders::Folders;
use super::open::Open;
use super::tree::{Is, Named, Tree};
use crate::source::Disk;
use crate::source::file::Growing;
use crate::source::frames::Frame;

/// How an archive is written around the octets of its files.
pub(super) trait Format: Send + 'static {
    /// Appends what stands before the first entry.
    fn begin(&mut self, tree: &Tree, into: &mut Vec<u8>);

    /// Appends what stands before the octets of an entry. It may be called for an entry that is
    /// left out after all: only [`Format::tail`] says that it is in.
    fn head(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>);

    /// How the content of a file stands in the archive.
    fn manner(&self, _: &Tree, _: usize) -> Manner {
        Manner::Plain
    }

    /// Of a plain entry: appends what stands before the octet `at` of its content, and gives how
    /// many octets of it follow without anything between them.
    fn stretch(&mut self, _: &Tree, _: usize, _: u64, _: &mut Vec<u8>) -> u64 {
        u64::MAX
    }

    /// Looks at octets of the entry's content, in their order.
    fn look(&mut self, octets: &[u8]);

    /// Appends an entry whose content was read first and is proven: its head, content and tail.
    fn whole(&mut self, _: &Tree, _: usize, _: &[u8], _: &mut Vec<u8>) {}

    /// Appends what octets of the entry's content become. They were looked at.
    fn transform(&mut self, _: &[u8], _: &mut Vec<u8>) {}

    /// Appends what it holds back of the content of an entry that has no tail.
    fn flush(&mut self, _: &mut Vec<u8>) {}

    /// Appends what stands behind the octets of an entry, when it is proven that they are right.
    fn tail(&mut self, tree: &Tree, at: usize, into: &mut Vec<u8>);

    /// Appends a piece of what stands behind the last entry, and says whether more of it follows.
    fn end(&mut self, tree: &Tree, missing: &Named, into: &mut Vec<u8>) -> Follows;

    /// Appends what makes every reader refuse an archive that stops between two entries, in up to
    /// so many octets, and tells why it stops.
    fn seal(&mut self, reason: &str, room: u64, into: &mut Vec<u8>);
}

/// How the content of a file stands in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it is, in one stretch or several.
    Plain,
    /// As it is or not, and all of it must be known before its head is written.
    Whole,
    /// As what [`Format::transform`] makes of it.
    Transformed,
}

/// Whether more of the same follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    More,
    Nothing,
}

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
        }
    }
}

/// Why packing cannot go on.
struct Stopped {
    broken: Broken,
    /// Where in the frame the entry begins, if none of it has left.
    begins: Option<usize>,
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

/// A frame that is being filled.
struct Filling {
    frame: Frame,
    filled: usize,
    most: usize,
}

impl Filling {
    fn new(most: usize) -> Self {
        Self {
            frame: Frame::new(most),
            filled: 0,
            most,
        }
    }

    fn room(&self) -> usize {
        self.most - self.filled
    }

    fn into_bytes(self) -> Bytes {
        let filled = self.filled;
        let mut frame = self.frame;
        frame.truncate(filled);
        frame.into_bytes()
    }
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
            })?),
        };
        let manner = self.format.manner(&tree, at);
        let Some(mut open) = opened else {
            self.format.head(&tree, at, &mut self.owed);
            self.format.tail(&tree, at, &mut self.owed);
            self.step = Step::Entry(at + 1);
            return Ok(());
        };
        if manner == Manner::Whole {
            let read = self.read_whole(&mut open, entry.octets);
            read.map_err(|why| Stopped {
                broken: Broken { at, why },
                begins: Some(begins),
            })?;
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
        let Stopped { broken, begins } = stopped;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::super::layout::{Layout, Stands};
    use super::super::tar::Tar;
    use super::super::walk::{Abandoned, Options, Unreadable, walk};
    use super::*;
    use crate::source::place::Place;

    fn tree(folder: &TempDir) -> Arc<Tree> {
        let place = Place::find(folder.path(), Path::new("")).expect("a place");
        let options = Options {
            hidden: true,
            unreadable: Unreadable::Fail,
        };
        Arc::new(walk(&place, b"top", options, &Abandoned::default()).expect("a tree"))
    }

    /// A tree of files of these sizes, some of them in folders with long names.
    fn folder(sizes: &[(u8, usize)]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (at, (depth, octets)) in sizes.iter().enumerate() {
            let mut path = folder.path().to_owned();
            for level in 0..depth % 4 {
                path.push(format!("{level}").repeat(usize::from(*depth)));
            }
            fs::create_dir_all(&path).expect("a folder");
            let content: Vec<u8> = (0..*octets).map(|octet| (octet % 251) as u8).collect();
            fs::write(path.join(format!("f{at}")), content).expect("a file");
        }
        folder
    }

    fn drained(mut packer: Packer<Tar>, most: usize) -> (Vec<u8>, Then) {
        let mut octets = Vec::new();
        loop {
            let filled = packer
                .fill_cached(most)
                .unwrap_or_else(|| packer.fill(most));
            assert!(filled.octets.len() <= most || !matches!(filled.then, Then::More));
            octets.extend_from_slice(&filled.octets);
            if !matches!(filled.then, Then::More) {
                return (octets, filled.then);
            }
        }
    }

    fn whole(tree: &Arc<Tree>, most: usize) -> Vec<u8> {
        let length = Layout::of(tree).expect("a layout").length();
        let tree = Arc::clone(tree);
        let packer = Packer::whole(
            tree,
            Tar::default(),
            Growing::Fail,
            OnError::Seal,
            Some(length),
        );
        let (octets, then) = drained(packer, most);
        assert!(matches!(then, Then::End(None)), "{then:?}");
        octets
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The layout is that of the octets, in frames of any size, and any part is the slice.
        #[test]
        fn every_part_is_the_slice_of_the_whole(
            sizes in proptest::collection::vec((0_u8..80, prop_oneof![Just(0_usize), 1_usize..2000, 500_usize..514, 20_000_usize..40_000]), 0..12),
            most in 1_usize..9000,
            cuts in proptest::collection::vec((0.0_f64..1.0, 0.0_f64..1.0), 12),
        ) {
            let folder = folder(&sizes);
            let tree = tree(&folder);
            let layout = Layout::of(&tree).expect("a layout");
            let expected = whole(&tree, 256 * 1024);
            prop_assert_eq!(expected.len() as u64, layout.length());
            prop_assert!(whole(&tree, most) == expected);
            for (start, length) in cuts {
                let start = (start * expected.len() as f64) as u64;
                let length = (1.0 + length * (expected.len() as u64 - start - 1) as f64) as u64;
                let (from, begin) = match layout.find(&tree, start) {
                    Stands::Before => (From::Begin, 0),
                    Stands::In(entry, begin) => (From::Entry(entry), begin),
                    Stands::Behind(begin) => (From::End, begin),
                };
                let packer = Packer::part(
                    Arc::clone(&tree), Tar::default(), Growing::Fail, from, start - begin, length,
                );
                let (octets, then) = drained(packer, most.max(500));
                prop_assert!(matches!(then, Then::End(None)));
                prop_assert!(octets == expected[start as usize..(start + length) as usize]);
            }
        }
    }

    /// What comes out when the tree is changed after so many octets have left.
    fn broken(
        folder: &TempDir,
        on_error: OnError,
        after: usize,
        change: impl FnOnce(&Path),
    ) -> (Vec<u8>, Vec<u8>, Then) {
        let tree = tree(folder);
        let good = whole(&tree, 64 * 1024);
        let length = (on_error == OnError::Seal).then_some(good.len() as u64);
        let mut packer = Packer::whole(tree, Tar::default(), Growing::Fail, on_error, length);
        let mut octets = Vec::new();
        while octets.len() < after {
            let filled = packer.fill(512);
            assert!(matches!(filled.then, Then::More));
            octets.extend_from_slice(&filled.octets);
        }
        change(folder.path());
        let (rest, then) = drained(packer, 64 * 1024);
        octets.extend_from_slice(&rest);
        (octets, good, then)
    }

    fn prefix(one: &[u8], other: &[u8]) -> usize {
        one.iter()
            .zip(other)
            .take_while(|(one, other)| one == other)
            .count()
    }

    #[test]
    fn between_two_entries_a_seal_is_added() {
        let folder = folder(&[(0, 512), (0, 512)]);
        // The headers of the folder and the first file, and its content.
        let (octets, good, then) = broken(&folder, OnError::Seal, 3 * 512, |path| {
            fs::remove_file(path.join("f1")).expect("removed");
        });
        assert!(
            matches!(then, Then::Failed(cause) if cause.message.ends_with("f1 has gone since the folder was listed"))
        );
        assert_eq!(prefix(&octets, &good), 3 * 512);
        assert!(octets[3 * 512..].starts_with(b"ENDWELL-INCOMPLETE.txt\0"));
        assert!(octets.len() > 4 * 512 && octets.len() < good.len());
    }

    #[test]
    fn inside_an_entry_nothing_is_added() {
        let folder = folder(&[(0, 100_000)]);
        let (octets, good, then) = broken(&folder, OnError::Seal, 4 * 512, |path| {
            fs::write(path.join("f0"), "short").expect("written");
        });
        assert!(
            matches!(then, Then::Failed(cause) if cause.message.contains("f0 shrank from 100000 to 5 octets"))
        );
        assert_eq!((prefix(&octets, &good), octets.len()), (4 * 512, 4 * 512));
    }

    #[test]
    fn what_may_be_left_out_is_named_at_the_end() {
        let folder = folder(&[(0, 512), (0, 512), (0, 512)]);
        let (octets, _, then) = broken(&folder, OnError::LeaveOut, 3 * 512, |path| {
            fs::remove_file(path.join("f1")).expect("removed");
        });
        assert!(matches!(then, Then::End(Some(_))), "{then:?}");
        assert!(octets[3 * 512..].starts_with(b"top/f2\0"));
        assert!(octets[5 * 512..].starts_with(b"ENDWELL-MISSING.txt\0"));
        assert!(octets[6 * 512..].starts_with(b"Not in this archive: 1\n\ntop/f1 has gone since"));
        assert!(octets.ends_with(&[0; 1024]));
    }

    #[test]
    fn a_file_that_was_replaced_is_another_one() {
        let folder = folder(&[(0, 512), (0, 512)]);
        let (_, _, then) = broken(&folder, OnError::Seal, 512, |path| {
            let is = path.join("f1").metadata().expect("a file");
            fs::write(path.join("new"), vec![7; 512]).expect("a file");
            let new = fs::File::options()
                .write(true)
                .open(path.join("new"))
                .expect("a file");
            new.set_modified(is.modified().expect("a time"))
                .expect("a time");
            fs::rename(path.join("new"), path.join("f1")).expect("renamed");
        });
        assert!(
            matches!(then, Then::Failed(cause) if cause.message.contains("f1 was replaced, or its status changed"))
        );
    }
}
