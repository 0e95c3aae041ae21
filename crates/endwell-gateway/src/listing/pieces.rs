//! Makes a listing in pieces of work, each short enough to stop after.
//!
//! Reads: a [`Folder`]. Gives: frames. First come all names, so that a folder that cannot be read
//! fails while its response can still be a 5xx; then the head; then rows. The status of an entry is
//! read when its row is written, or before the first row where the order needs it.

use std::time::{Duration, Instant};

use endwell::Cause;

use super::asked::{Asked, Form};
use super::entries::{Count, Entry, Folder, Row};
use super::heading::Heading;
use super::{json, page};

/// Octets of a frame: the rows of the first screens, and few enough that a stalled client costs little.
const FRAME: usize = 32 * 1024;

/// How long a piece of work lasts: so long may a folder on a slow disk be read for a client that has left,
/// and may what was written wait.
const PIECE: Duration = Duration::from_millis(10);

/// What a piece of work gave.
#[derive(Debug)]
pub(super) enum Piece {
    /// Octets to send; none when there was only work to do.
    Frame(String),
    /// The last octets: all that was to be listed is listed.
    End(String),
}

/// A listing under way.
pub(super) struct Listing {
    folder: Folder,
    form: Form,
    heading: Heading,
    entries: Vec<Entry>,
    step: Step,
    rows: usize,
}

/// What is done next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Read a name.
    Read,
    /// Read the status of this entry.
    Look(usize),
    /// Write the row of the last entry in the list.
    Row,
}

impl Listing {
    /// The listing of a folder at the path of a request.
    pub(super) fn new(folder: Folder, path: &str, asked: Asked) -> Self {
        Self {
            folder,
            form: asked.form,
            heading: Heading::new(path, asked.order),
            entries: Vec::new(),
            step: Step::Read,
            rows: 0,
        }
    }

    /// Works until a frame is full or the time is over. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read to its end.
    pub(super) fn work(&mut self) -> Result<Piece, Cause> {
        let until = Instant::now() + PIECE;
        let mut frame = String::new();
        while frame.len() < FRAME && Instant::now() < until {
            match self.step {
                Step::Read => self.read(&mut frame)?,
                Step::Look(at) => self.look(at),
                Step::Row => match self.entries.pop() {
                    Some(entry) => self.row(entry, &mut frame),
                    None => {
                        self.end(&mut frame);
                        return Ok(Piece::End(frame));
                    }
                },
            }
        }
        Ok(Piece::Frame(frame))
    }

    /// Reads one name; after the last one the head is certain.
    fn read(&mut self, frame: &mut String) -> Result<(), Cause> {
        if let Some(entry) = self.folder.next()? {
            self.entries.extend(entry);
            return Ok(());
        }
        self.heading.count = Count::of(&self.entries);
        *frame += &match self.form {
            Form::Page => page::head(&self.heading),
            Form::Json => json::head(&self.heading),
        };
        if self.heading.order.needs_status() {
            self.step = Step::Look(0);
        } else {
            self.sort();
        }
        Ok(())
    }

    fn look(&mut self, at: usize) {
        match self.entries.get_mut(at) {
            Some(entry) => {
                entry.look();
                self.step = Step::Look(at + 1);
            }
            None => self.sort(),
        }
    }

    /// Puts the first row last: rows leave from the end, and their memory with them.
    fn sort(&mut self) {
        let order = self.heading.order;
        self.entries.sort_by_cached_key(|entry| entry.rank(order));
        self.entries.reverse();
        self.step = Step::Row;
    }

    fn row(&mut self, entry: Entry, frame: &mut String) {
        let Some(row) = entry.into_row() else { return };
        self.write(&row, frame);
        self.rows += 1;
    }

    fn write(&self, row: &Row, frame: &mut String) {
        match self.form {
            Form::Page => page::row(&self.heading, row, frame),
            Form::Json => json::row(self.rows == 0, row, frame),
        }
    }

    fn end(&self, frame: &mut String) {
        match self.form {
            Form::Page => *frame += &page::end(self.rows),
            Form::Json => *frame += json::end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, io};

    use http::HeaderMap;
    use tempfile::TempDir;

    use super::super::entries::Names;
    use super::*;
    use crate::source::place::Place;

    const QUERIES: [&str; 6] = [
        "",
        "sort=size",
        "sort=time&order=desc",
        "list=json",
        "list=json&sort=name&order=desc",
        "list=json&sort=size",
    ];

    /// `file1` to `file{files}`, each of so many octets, and a hidden one.
    fn folder(files: usize) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in 1..=files {
            let path = folder.path().join(format!("file{file}"));
            fs::write(path, "x".repeat(file)).expect("a file");
        }
        fs::write(folder.path().join(".hidden"), "").expect("a file");
        folder
    }

    fn listing(folder: &TempDir, query: &str, change: impl FnOnce(Names) -> Names) -> Listing {
        let place = Place::find(folder.path(), Path::new("")).expect("a place");
        let names = fs::read_dir(place.path()).expect("names");
        let folder = Folder::new(&place, change(Box::new(names)), false);
        Listing::new(folder, "/", Asked::of(Some(query), &HeaderMap::new()))
    }

    /// All frames up to the last one, or why there is no last one.
    fn frames(listing: &mut Listing) -> Result<Vec<String>, Cause> {
        let mut frames = Vec::new();
        loop {
            match listing.work()? {
                Piece::Frame(frame) => frames.push(frame),
                Piece::End(frame) => {
                    frames.push(frame);
                    return Ok(frames);
                }
            }
        }
    }

    #[test]
    fn every_entry_has_its_row_in_every_order() {
        let folder = folder(1000);
        for query in QUERIES {
            let mut listing = listing(&folder, query, |names| names);
            let frames = frames(&mut listing).expect("an end");
            let whole = frames.concat();
            assert!(
                frames.iter().all(|frame| frame.len() < FRAME + 1024),
                "{query}"
            );
            for file in 1..=1000 {
                let row = format!("\"./file{file}\"");
                assert_eq!(whole.matches(&row).count(), 1, "{query}: {row}");
            }
            assert!(!whole.contains(".hidden"), "{query}");
            let end = ["End of the list: 1,000 entries</p>", "\n]}\n"];
            assert!(end.iter().any(|end| whole.contains(end)), "{query}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_to_its_end_gives_no_octet() {
        let folder = folder(10);
        for query in QUERIES {
            let broken = |names: Names| -> Names {
                Box::new(names.take(5).chain([Err(io::Error::other("disk"))]))
            };
            let mut listing = listing(&folder, query, broken);
            let cause = frames(&mut listing).expect_err("no end");
            assert!(cause.message.contains("disk"), "{cause}");
            assert_eq!((listing.rows, listing.entries.is_empty()), (0, false));
        }
    }

    #[test]
    fn what_is_gone_by_then_has_no_row() {
        let folder = folder(2);
        for query in QUERIES {
            let path = folder.path().join("gone");
            fs::write(&path, "").expect("a file");
            let gone = |names: Names| -> Names {
                let names: Vec<_> = names.collect();
                fs::remove_file(path).expect("removed");
                Box::new(names.into_iter())
            };
            let mut listing = listing(&folder, query, gone);
            let whole = frames(&mut listing).expect("an end").concat();
            assert!(whole.contains("./file1") && whole.contains("./file2"));
            assert!(!whole.contains("gone"), "{query}");
            assert_eq!(listing.rows, 2);
        }
    }

    #[test]
    fn work_stops_when_its_time_is_over() {
        let folder = folder(3);
        let endless = |names: Names| -> Names {
            let mut first = names;
            Box::new(std::iter::from_fn(move || {
                std::thread::sleep(PIECE);
                first.next()
            }))
        };
        let mut listing = listing(&folder, "", endless);
        match listing.work() {
            Ok(Piece::Frame(frame)) => assert!(frame.is_empty()),
            other => panic!("{other:?}"),
        }
        assert!(
            listing.entries.len() <= 1,
            "one name takes all the time of a piece"
        );
    }
}
