//! Where the access log goes.
//!
//! Reads: records. Gives: lines on standard output or in a file, which may be exchanged while
//! records come. Never: stops the server; what cannot be written is lost, and that is said once.

use std::fs::{File, OpenOptions};
use std::io::{self, Stdout, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use endwell::core::Record;
use endwell::{Format, Log, Observer};

use super::say::say;
use crate::config::{LogFormat, LogSettings, Unusable};

/// How often to look whether a log that was replaced is still written to: a record is handed over
/// in microseconds.
const LOOK: Duration = Duration::from_millis(10);

/// The log of the moment; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    current: Arc<ArcSwap<Log>>,
    /// Records that logs before this one had no room for. Locked while a log is exchanged, so
    /// that the sum never falls.
    dropped: Arc<Mutex<u64>>,
}

impl Logs {
    /// Begins with this log.
    pub(super) fn new(log: Arc<Log>) -> Self {
        Self {
            current: Arc::new(ArcSwap::new(log)),
            dropped: Arc::default(),
        }
    }

    /// Takes another log. Give what comes back to [`retire`].
    pub(super) fn replace(&self, log: Arc<Log>) -> Arc<Log> {
        let mut dropped = self.before();
        let old = self.current.swap(log);
        *dropped += old.dropped();
        old
    }

    /// Records that found no room, since the start.
    pub(super) fn dropped(&self) -> u64 {
        let before = self.before();
        *before + self.current.load().dropped()
    }

    /// Writes what still waits.
    pub(super) fn close(&self) {
        close(&self.current.load());
    }

    fn before(&self) -> MutexGuard<'_, u64> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Logs {
    fn ended(&self, record: Record) {
        self.current.load().ended(record);
    }
}

/// Writes what waits in a log that was replaced, and closes its file; loses no record.
///
/// Blocks as long as its disk does.
pub(super) fn retire(log: &Arc<Log>) {
    // Who loaded it before it was replaced is still to hand its record over.
    while Arc::strong_count(log) > 1 {
        std::thread::sleep(LOOK);
    }
    close(log);
}

fn close(log: &Log) {
    // What could not be written, the output has said.
    let _ = log.close();
    if log.dropped() > 0 {
        say(&format!(
            "the log was too slow for {} records",
            log.dropped()
        ));
    }
}

/// Opens the log and starts its thread.
pub(super) fn open(settings: &LogSettings) -> Result<Arc<Log>, Unusable> {
    let format = match settings.log_format {
        LogFormat::Combined => Format::Combined,
        LogFormat::Json => Format::Json,
    };
    let name = settings.log.display();
    let output = Output::open(&settings.log).map_err(|error| {
        let why = format!(
            "cannot write the log {name} ({error}); give --log another file, or - for standard output"
        );
        Unusable::new("log", why)
    })?;
    Log::new(format, output).map_err(|error| {
        let why = format!("cannot start the log ({error}); allow another thread");
        Unusable::new("log", why)
    })
}

/// The writer of a log.
#[derive(Debug)]
struct Output {
    to: To,
    /// Whether the last write failed.
    failing: bool,
}

#[derive(Debug)]
enum To {
    Stdout(Stdout),
    File(File),
}

impl Output {
    /// Opens `-` (standard output) or a file, to which lines are added.
    fn open(name: &Path) -> io::Result<Self> {
        let to = if name == Path::new("-") {
            To::Stdout(io::stdout())
        } else {
            To::File(OpenOptions::new().create(true).append(true).open(name)?)
        };
        let failing = false;
        Ok(Self { to, failing })
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
        let written = match &mut self.to {
            To::Stdout(stdout) => stdout.write_all(octets).and_then(|()| stdout.flush()),
            To::File(file) => file.write_all(octets),
        };
        self.note(&written);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_no_log() {
        let mut output = Output::open(Path::new("/dev/full")).unwrap();
        assert_eq!(output.write(b"line\n").unwrap(), 5);
        assert!(output.failing);
    }
}
