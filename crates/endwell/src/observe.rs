//! Where records go.
//!
//! Reads: a [`Record`] for every response, after its end. Gives: lines of a log, or whatever
//! an [`Observer`] makes of it. Never: waits; a record that finds no room is counted and dropped.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use endwell_core::Record;

/// Is told of every response once it has ended.
///
/// It is called on the thread that drives the connection: it must not block.
///
/// A pair of observers is one: the first looks at each record, the second keeps it. An `Arc` of
/// an observer and an `Option` of one are observers too.
///
/// # Examples
/// ```no_run
/// # fn run(counting: impl endwell::Observer, log: std::sync::Arc<endwell::Log>) {
/// let app: axum::Router = axum::Router::new();
/// let app = endwell::app(app).observer((counting, log));
/// # }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A response has ended.
    fn ended(&self, record: Record);

    /// A response has ended whose record another observer keeps.
    ///
    /// What only counts implements this without a clone.
    fn glance(&self, record: &Record) {
        self.ended(record.clone());
    }
}

impl<F: Fn(Record) + Send + Sync + 'static> Observer for F {
    fn ended(&self, record: Record) {
        self(record);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn ended(&self, record: Record) {
        (**self).ended(record);
    }

    fn glance(&self, record: &Record) {
        (**self).glance(record);
    }
}

impl<O: Observer> Observer for Option<O> {
    fn ended(&self, record: Record) {
        if let Some(observer) = self {
            observer.ended(record);
        }
    }

    fn glance(&self, record: &Record) {
        if let Some(observer) = self {
            observer.glance(record);
        }
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn ended(&self, record: Record) {
        self.0.glance(&record);
        self.1.ended(record);
    }

    fn glance(&self, record: &Record) {
        self.0.glance(record);
        self.1.glance(record);
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
/// The writer is woken early once so many wait.
const MANY: usize = WAITING / 4;
/// How often the writer looks for records: waking it for each would cost more than the response.
const LOOK: Duration = Duration::from_millis(20);

/// Writes records as lines, on a thread of its own, at most 20 ms late.
///
/// When the writer is so slow that 8192 records wait, further ones are dropped and counted.
/// [`Log::close`] writes what still waits; a dropped `Log` leaves that to the thread.
#[derive(Debug)]
pub struct Log {
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<io::Result<()>>>>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Queue {
    records: Mutex<Vec<Record>>,
    closed: AtomicBool,
    dropped: AtomicU64,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(format: Format, to: impl Write + Send + 'static) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Queue::default());
        let waiting = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("endwell-log".into())
            .spawn(move || write_all(format, &waiting, to))?;
        let thread = writer.thread().clone();
        Ok(Arc::new(Self {
            queue,
            writer: Mutex::new(Some(writer)),
            thread,
        }))
    }

    /// How many records found no room.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Writes what still waits and ends the thread.
    ///
    /// # Errors
    /// The last error of the writer, such as a full disk or a closed pipe.
    pub fn close(&self) -> io::Result<()> {
        self.queue.closed.store(true, Ordering::Release);
        self.thread.unpark();
        match lock(&self.writer).take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the log thread panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.closed.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Observer for Log {
    fn ended(&self, record: Record) {
        let mut records = lock(&self.queue.records);
        if records.len() >= WAITING || self.queue.closed.load(Ordering::Acquire) {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        records.push(record);
        let many = records.len() == MANY;
        drop(records);
        if many {
            self.thread.unpark();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes lines, as many at once as wait; gives the last error once the log is closed.
///
/// A line is lost with the write that failed, but a disk that has room again gets the next.
fn write_all(format: Format, queue: &Queue, mut to: impl Write) -> io::Result<()> {
    let mut result = Ok(());
    let mut records = Vec::new();
    let mut lines = String::new();
    loop {
        // Read before the queue: a record that was there when it closed is still written.
        let closed = queue.closed.load(Ordering::Acquire);
        std::mem::swap(&mut records, &mut *lock(&queue.records));
        for record in records.drain(..) {
            lines += &format.line(&record);
            lines.push('\n');
        }
        if !lines.is_empty() {
            if let Err(error) = to.write_all(lines.as_bytes()).and_then(|()| to.flush()) {
                result = Err(error);
            }
            lines.clear();
        }
        if closed {
            return result;
        }
        std::thread::park_timeout(LOOK);
    }
}
