//! Where records go.
//!
//! Reads: a [`Record`] for every response, after its end. Gives: lines of a log, or whatever
//! an [`Observer`] makes of it. Never: waits; a record that finds no room is counted and dropped.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use endwell_core::Record;

/// Is told of every response once it has ended.
///
/// It is called on the thread that drives the connection: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// A response has ended.
    fn ended(&self, record: Record);
}

impl<F: Fn(Record) + Send + Sync + 'static> Observer for F {
    fn ended(&self, record: Record) {
        self(record);
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The combined format, with `ending=` and `error_type=` after the user agent.
    Combined,
    /// One JSON object a line.
    Json,
}

impl Format {
    fn line(self, record: &Record) -> String {
        match self {
            Self::Combined => record.combined(),
            Self::Json => record.json(),
        }
    }
}

/// How many records may wait for a slow disk or pipe: about 4 MiB of memory.
const WAITING: usize = 8192;

/// Writes records as lines, on a thread of its own.
///
/// When the writer is so slow that 8192 records wait, further ones are dropped and counted.
/// [`Log::close`] writes what still waits; a dropped `Log` leaves that to the thread.
#[derive(Debug)]
pub struct Log {
    records: Mutex<Option<SyncSender<Record>>>,
    dropped: AtomicU64,
    writer: Mutex<Option<JoinHandle<io::Result<()>>>>,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(format: Format, to: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let (records, waiting) = sync_channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("endwell-log".into())
            .spawn(move || write_all(format, &waiting, to))?;
        Ok(Arc::new(Self {
            records: Mutex::new(Some(records)),
            dropped: AtomicU64::new(0),
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// How many records found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what still waits and ends the thread.
    ///
    /// # Errors
    /// The error that stopped the writer, such as a full disk or a closed pipe.
    pub fn close(&self) -> io::Result<()> {
        drop(lock(&self.records).take());
        match lock(&self.writer).take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the log thread panicked")),
            None => Ok(()),
        }
    }
}

impl Observer for Log {
    fn ended(&self, record: Record) {
        let records = lock(&self.records);
        let kept = records
            .as_ref()
            .is_some_and(|records| records.try_send(record).is_ok());
        if !kept {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Arc<Log> {
    fn ended(&self, record: Record) {
        Log::ended(self, record);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines that are written at once: about a pipe's worth.
const TOGETHER: usize = 64 * 1024;

/// Writes lines, as many at once as wait; gives the last error once there are no more records.
///
/// A line is lost with the write that failed, but a disk that has room again gets the next.
fn write_all(format: Format, records: &Receiver<Record>, mut to: impl Write) -> io::Result<()> {
    let mut result = Ok(());
    let mut lines = String::new();
    while let Ok(first) = records.recv() {
        let mut next = Some(first);
        while let Some(record) = next {
            lines += &format.line(&record);
            lines.push('\n');
            next = (lines.len() < TOGETHER)
                .then(|| records.try_recv().ok())
                .flatten();
        }
        if let Err(error) = to.write_all(lines.as_bytes()).and_then(|()| to.flush()) {
            result = Err(error);
        }
        lines.clear();
    }
    result
}
