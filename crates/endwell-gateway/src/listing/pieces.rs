//! Makes a listing in pieces of work, each short enough to stop after.
//!
//! Reads: a [`Folder`]. Gives: frames. First come all names, so that a folder that cannot be read
//! fails while its response can still be a 5xx; then the head; then rows. The status of an entry is
//! read when its row is written, or before the first row where the order needs it.

use std::time::{Duration, Instant};

use endwell::Cause;

use super::asked::{Asked, Form};
use super::entries::{Folder, Taken};
use super::heading::{Archives, Heading};
use super::{json, page};

/// Octets of a frame: the rows of the first screens, and few enough that a stalled client costs little.
const FRAME: usize = 32 * 1024;

/// How long a piece of work lasts: so long may a folder on a slow disk be read for a client that has left,
/// and may what was written wait.
const PIECE: Duration = Duration::from_millis(10);

/// What most rows take at most: a frame that is nearly full rarely grows for its last one.
const ROW: usize = 1024;

/// What a piece of work gave.
#[derive(Debug)]
pub(super) enum Piece {
    /// Octets to send; none when there was only work to do.
    Frame(String),
    /// The last octets: all that was to be listed is listed.
    End(String),
}

/// Tells of the archives of a folder: takes no longer than a piece of work.
pub(crate) type Measure = Box<dyn FnOnce() -> Option<Archives> + Send>;

/// A listing under way.
pub(super) struct Listing {
    folder: Folder,
    archives: Option<Measure>,
    form: Form,
    heading: Heading,
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
    /// Write a row.
    Row,
}

impl Listing {
    /// The listing of a folder at the path of a request.
    pub(super) fn new(folder: Folder, path: &str, asked: Asked, archives: Option<Measure>) -> Self {
        Self {
            folder,
            archives,
            form: asked.form,
            heading: Heading::new(path, asked.order),
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
        let mut frame = match self.step {
            Step::Row => String::with_capacity(FRAME + ROW),
            Step::Read | Step::Look(_) => String::new(),
        };
        while frame.len() < FRAME && Instant::now() < until {
            match self.step {
                Step::Read => {
                    if !self.folder.read()? {
                        self.head(&mut frame);
                    }
                }
                Step::Look(at) => {
                    self.step = Step::Look(at + 1);
                    if !self.folder.look(at) {
                        self.sort();
                    }
                }
                Step::Row => {
                    if !self.row(&mut frame) {
                        return Ok(Piece::End(frame));
                    }
                }
            }
        }
        Ok(Piece::Frame(frame))
    }

    /// After the last name the head is certain.
    fn head(&mut self, frame: &mut String) {
        self.heading.count = self.folder.count();
        self.heading.archives = self.archives.take().and_then(|measure| measure());
        *frame += &match self.form {
            Form::Page => page::head(&self.heading),
            Form::Json => json::head(&self.heading),
        };
        if self.heading.order.needs_status() {
            self.step = Step::Look(0);
        } else {
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.folder.sort(self.heading.order);
        self.step = Step::Row;
    }

    /// Writes one row, if the entry is still there; false after the last one, with what ends a listing.
    fn row(&mut self, frame: &mut String) -> bool {
        let row = match self.folder.take() {
            Taken::Row(row) => row,
            Taken::Gone => return true,
            Taken::End => {
                match self.form {
                    Form::Page => *frame += &page::end(self.rows),
                    Form::Json => *frame += json::end(),
                }
                return false;
            }
        };
        match self.form {
            Form::Page => page::row(&self.heading, &row, frame),
            Form::Json => json::row(self.rows == 0, &row, frame),
        }
        self.rows += 1;
        true
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
        Listing::new(folder, "/", Asked::of(Some(query), &HeaderMap::new()), None)
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
            assert_eq!(listing.rows, 0);
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
        let slow = |mut names: Names| -> Names {
            Box::new(std::iter::from_fn(move || {
                std::thread::sleep(PIECE);
                names.next()
            }))
        };
        let mut listing = listing(&folder, "", slow);
        match listing.work() {
            Ok(Piece::Frame(frame)) => assert!(frame.is_empty()),
            other => panic!("{other:?}"),
        }
        let read = listing.folder.count().files;
        assert!(read <= 1, "one name takes all the time of a piece");
    }
}
