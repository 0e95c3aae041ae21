//! Where the access log goes.
//!
//! Reads: lines. Gives: them to standard output or a file. Never: stops the server; what cannot be
//! written is lost, and that is said once.

use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;

use crate::say::say;

/// Asks for the file to be opened again, after it was moved away.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// Opens it again before the next line.
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn was_asked(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// The writer of a log.
#[derive(Debug)]
pub(crate) struct Output {
    to: To,
    reopen: Reopen,
    /// Whether the next octet begins a line.
    at_line: bool,
    /// Whether the last write failed.
    failing: bool,
}

#[derive(Debug)]
enum To {
    Stdout(Stdout),
    File(PathBuf, File),
}

impl Output {
    /// Opens `-` (standard output) or a file, to which lines are added.
    pub(crate) fn open(name: &Path) -> anyhow::Result<Self> {
        let to = if name == Path::new("-") {
            To::Stdout(io::stdout())
        } else {
            let file = open(name).map_err(|error| {
                let name = name.display();
                anyhow!("cannot write the log {name} ({error}); give --log another file, or - for standard output")
            })?;
            To::File(name.to_owned(), file)
        };
        Ok(Self {
            to,
            reopen: Reopen::default(),
            at_line: true,
            failing: false,
        })
    }

    /// What asks for the file to be opened again; `None` for standard output.
    pub(crate) fn reopen(&self) -> Option<Reopen> {
        matches!(self.to, To::File(..)).then(|| self.reopen.clone())
    }

    fn open_again(&mut self) {
        let To::File(name, file) = &mut self.to else {
            return;
        };
        match open(name) {
            Ok(opened) => *file = opened,
            Err(error) => say(&format!(
                "cannot open the log {} again ({error}); it goes on in the old file",
                name.display()
            )),
        }
    }

    /// Says once that lines are lost, until one can be written again.
    fn note(&mut self, written: &io::Result<()>) {
        if let Err(error) = written
            && !self.failing
        {
            say(&format!("cannot write the log ({error}); records are lost"));
        }
        self.failing = written.is_err();
    }
}

impl Write for Output {
    /// Takes everything: a full disk must not end the log for good.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.at_line && self.reopen.was_asked() {
            self.open_again();
        }
        let written = match &mut self.to {
            To::Stdout(stdout) => stdout.write_all(octets).and_then(|()| stdout.flush()),
            To::File(_, file) => file.write_all(octets),
        };
        self.note(&written);
        if let Some(last) = octets.last() {
            self.at_line = *last == b'\n';
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(name: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_opened_again_between_lines() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (name, old) = (folder.path().join("log"), folder.path().join("log.1"));
        fs::write(&name, "before\n")?;
        let mut output = Output::open(&name)?;
        output.write_all(b"one\ntw")?;
        fs::rename(&name, &old)?;
        output.reopen().expect("a file").ask();
        output.write_all(b"o\n")?;
        output.write_all(b"three\n")?;
        assert_eq!(fs::read_to_string(&old)?, "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&name)?, "three\n");
        Ok(())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_no_log() -> anyhow::Result<()> {
        let mut output = Output::open(Path::new("/dev/full"))?;
        assert_eq!(output.write(b"line\n")?, 5);
        assert!(output.failing);
        Ok(())
    }
}
