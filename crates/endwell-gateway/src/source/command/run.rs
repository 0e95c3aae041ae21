//! One run of a program: its octets, what it complains of, and how it ended.
//!
//! Reads: two pipes of the program, and the words of its warden. Gives: frames, then an ending.
//! Never: waits for a process where a runtime could not go on; to drop it is to end the program.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use endwell::{Cause, Kind};
use rustix::process::Pid;
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use super::name;
use super::order::{NAME, Order, Stderr, Word};
use super::runs::Running;
use super::tail::Tail;
use super::watch::{STANDS_BY, end_session};
use crate::source::blocking::blocking;
use crate::source::frames::Frame;

/// Octets that the kernel holds between a program and us: as many as it lets any user have
/// (`/proc/sys/fs/pipe-max-size`), so that both work at the same time.
const PIPE: usize = 1024 * 1024;
/// After a good exit status, how long whoever still holds standard output may be silent.
const SILENCE: Duration = Duration::from_secs(2);
/// Octets of standard error that are read at once.
const COMPLAINT: usize = 4 * 1024;
/// How long the last word of a response waits until nothing is left of the run: a warden takes a
/// millisecond for that, and who then asks again finds a place.
const TIDY: Duration = Duration::from_millis(100);
/// The longest line of a warden: a word and the text of an error.
const LONGEST: usize = 1024;
/// What a service manager tells a server, and no program of it must take for its own.
const NOT_HANDED_ON: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];
/// Settings of the server, among them hashes of passwords.
const SETTINGS: &str = "ENDWELL_";

/// What comes next of a run.
#[derive(Debug)]
pub(super) enum Next {
    Octets(Bytes),
    Complete,
    Failed(Cause),
}

/// A program that runs, or has run.
#[derive(Debug)]
pub(super) struct Run {
    /// For people: the program's name.
    name: String,
    order: Order,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    complaint: Tail,
    /// Closed, it tells the warden to end everything.
    warden: Option<UnixStream>,
    /// The line of the warden that has not come to its end yet.
    line: Vec<u8>,
    /// The warden's number, which is that of its session too.
    process: Option<Pid>,
    /// Closed when nothing is left of the run.
    gone: oneshot::Receiver<()>,
    ended: Option<Ended>,
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Badly(Kind, String),
}

/// Our ends of what a program writes to.
struct Ends {
    stdout: OwnedFd,
    stderr: OwnedFd,
    warden: StdStream,
    process: Option<Pid>,
    gone: oneshot::Receiver<()>,
}

impl Run {
    /// Starts a program beside its warden.
    pub(super) async fn start(order: Order, running: Running) -> Result<Self, Cause> {
        let name = name(order.line.program());
        let failed = {
            let name = name.clone();
            move |error: io::Error| {
                let message = format!("cannot start the warden of {name}: {error}");
                Cause::new(Kind::CommandFailed, message)
            }
        };
        let ordered = order.clone();
        // To start a process takes a millisecond or more.
        let ends = blocking(move || start(&ordered, running).map_err(failed)).await?;
        Self::new(name.clone(), order, ends).map_err(|error| {
            let message = format!("cannot wait for what {name} writes: {error}");
            Cause::new(Kind::CommandFailed, message)
        })
    }

    fn new(name: String, order: Order, ends: Ends) -> io::Result<Self> {
        ends.warden.set_nonblocking(true)?;
        Ok(Self {
            name,
            stdout: Some(Receiver::from_owned_fd(ends.stdout)?),
            stderr: match order.stderr {
                Stderr::Record => Some(Receiver::from_owned_fd(ends.stderr)?),
                Stderr::Body => None,
            },
            order,
            complaint: Tail::default(),
            warden: Some(UnixStream::from_std(ends.warden)?),
            line: Vec::new(),
            process: ends.process,
            gone: ends.gone,
            ended: None,
        })
    }

    /// The next octets, at most so many, or the ending once there are no more.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub(super) async fn next(&mut self, most: usize) -> Next {
        if self.ended.is_none()
            && let Some(octets) = poll_fn(|cx| self.poll_running(most, cx)).await
        {
            return Next::Octets(octets);
        }
        match &self.ended {
            Some(Ended::Well) => self.rest(most).await,
            Some(Ended::Badly(..)) | None => self.failed(most),
        }
    }

    /// Octets while it runs; `None` when it has ended.
    fn poll_running(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // What was written before the end is looked at before the end.
        if let Poll::Ready(Some(octets)) = self.poll_stdout(most, cx) {
            return Poll::Ready(Some(octets));
        }
        if self.ended.is_some() {
            return Poll::Ready(None);
        }
        self.poll_stderr(cx);
        self.poll_warden(cx).map(|ended| {
            self.ended = Some(ended);
            None
        })
    }

    /// Octets; `None` at the end of standard output, or when it cannot be read: that is a bad end.
    fn poll_stdout(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(stdout) = &self.stdout else {
            return Poll::Ready(None);
        };
        let error = loop {
            if let Err(error) = std::task::ready!(stdout.poll_read_ready(cx)) {
                break Some(error);
            }
            let mut frame = Frame::new(most);
            match stdout.try_read(frame.as_mut()) {
                Ok(0) => break None,
                Ok(count) => return Poll::Ready(Some(frame.into_first(count))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
        };
        self.stdout = None;
        if let Some(error) = error {
            let message = format!("cannot read what {} writes: {error}", self.name);
            self.ended = Some(Ended::Badly(Kind::CommandFailed, message));
        }
        Poll::Ready(None)
    }

    /// Takes what it complains of, so that it never waits for somebody to listen.
    fn poll_stderr(&mut self, cx: &mut Context<'_>) {
        while let Some(stderr) = &self.stderr {
            match stderr.poll_read_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => break,
            }
            let mut octets = [0; COMPLAINT];
            match stderr.try_read(&mut octets) {
                Ok(0) => break,
                Ok(count) => self.complaint.push(&octets[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.stderr = None;
    }

    /// How it ended, once the warden says so.
    fn poll_warden(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if let Some(end) = self.line.iter().position(|octet| *octet == b'\n') {
                let word = std::str::from_utf8(&self.line[..end]).ok();
                return Poll::Ready(match word.and_then(Word::of_line) {
                    Some(word) => self.ended_by(&word),
                    None => self.lost(),
                });
            }
            let Some(warden) = &self.warden else {
                return Poll::Ready(self.lost());
            };
            if std::task::ready!(warden.poll_read_ready(cx)).is_err() || self.line.len() > LONGEST {
                return Poll::Ready(self.lost());
            }
            let mut octets = [0; LONGEST];
            match warden.try_read(&mut octets) {
                Ok(0) => return Poll::Ready(self.lost()),
                Ok(count) => self.line.extend_from_slice(&octets[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Poll::Ready(self.lost()),
            }
        }
    }

    /// What a word of the warden means.
    fn ended_by(&self, word: &Word) -> Ended {
        let name = &self.name;
        let failed = |message| Ended::Badly(Kind::CommandFailed, message);
        match word {
            Word::Exited(0) => Ended::Well,
            Word::Exited(status) => failed(format!("{name} ended with exit status {status}")),
            Word::Killed(signal) => failed(format!("{name} was ended by signal {signal}")),
            Word::Unable(reason) => failed(format!("cannot run {name}: {reason}")),
            Word::Late => {
                let after = self.order.timeout.unwrap_or_default();
                let message = format!("{name} ran for longer than {after:?}");
                Ended::Badly(Kind::CommandTimeout, message)
            }
        }
    }

    /// The warden is gone without a word. Its program must not stay without one.
    fn lost(&mut self) -> Ended {
        if let Some(warden) = self.process {
            tokio::task::spawn_blocking(move || end_session(warden));
        }
        let message = format!("the warden of {} was ended", self.name);
        Ended::Badly(Kind::CommandFailed, message)
    }

    /// After a good exit status: the rest, up to the end of standard output.
    async fn rest(&mut self, most: usize) -> Next {
        let more = poll_fn(|cx| self.poll_stdout(most, cx));
        match tokio::time::timeout(SILENCE, more).await {
            Ok(Some(octets)) => Next::Octets(octets),
            Ok(None) => match self.ended {
                Some(Ended::Well) => Next::Complete,
                Some(Ended::Badly(..)) | None => self.failed(most),
            },
            Err(_) => {
                let name = &self.name;
                let message =
                    format!("{name} ended, but what it started still holds its standard output");
                self.ended = Some(Ended::Badly(Kind::CommandFailed, message));
                self.failed(most)
            }
        }
    }

    /// After a bad end: what was written before, then why.
    fn failed(&mut self, most: usize) -> Next {
        // Whoever still writes is ended meanwhile, or this had no end.
        self.warden = None;
        if let Some(octets) = self.written(most) {
            return Next::Octets(octets);
        }
        self.listen_once_more();
        let (kind, message) = match self.ended.take() {
            Some(Ended::Badly(kind, message)) => (kind, message),
            Some(Ended::Well) | None => (Kind::CommandFailed, self.name.clone()),
        };
        let message = match self.complaint.text() {
            complaint if complaint.is_empty() => message,
            complaint => format!("{message}; its standard error ends: {complaint}"),
        };
        Next::Failed(Cause::new(kind, message))
    }

    /// Lets the warden end what is left, and waits for that, but not for long.
    pub(super) async fn tidy(mut self) {
        self.warden = None;
        let _ = tokio::time::timeout(TIDY, &mut self.gone).await;
    }

    /// What is in the pipe now.
    ///
    /// Asked of the kernel itself: tokio may not have heard yet that there is something.
    fn written(&mut self, most: usize) -> Option<Bytes> {
        let stdout = self.stdout.as_ref()?;
        let mut frame = Frame::new(most);
        match read_now(stdout, frame.as_mut()) {
            Some(count) => Some(frame.into_first(count)),
            None => {
                self.stdout = None;
                None
            }
        }
    }

    fn listen_once_more(&mut self) {
        let mut octets = [0; COMPLAINT];
        if let Some(stderr) = self.stderr.take() {
            while let Some(count) = read_now(&stderr, &mut octets) {
                self.complaint.push(&octets[..count]);
            }
        }
    }
}

/// Reads what is there at once; `None` if there is nothing, or nothing any more.
fn read_now(pipe: &Receiver, into: &mut [u8]) -> Option<usize> {
    loop {
        match rustix::io::read(pipe, &mut *into) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Starts a warden, which starts the program. Blocks.
fn start(order: &Order, running: Running) -> io::Result<Ends> {
    if !STANDS_BY.load(Ordering::Relaxed) {
        let wrong = "this program does not call `warden` at the beginning of its `main`";
        return Err(io::Error::other(wrong));
    }
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    let (warden, its_end) = StdStream::pair()?;
    #[cfg(target_os = "linux")]
    {
        // A smaller one is slower, and works.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE);
    }
    let mut command = tokio::process::Command::new(this_program()?);
    command
        .arg0(NAME)
        .args(order.arguments())
        .stdin(Stdio::from(OwnedFd::from(its_end)))
        .stdout(Stdio::from(its_stdout))
        .stderr(Stdio::from(its_stderr));
    for name in NOT_HANDED_ON {
        command.env_remove(name);
    }
    let settings = std::env::vars_os().map(|(name, _)| name);
    let settings = settings.filter(|name| name.as_encoded_bytes().starts_with(SETTINGS.as_bytes()));
    settings.for_each(|name| {
        command.env_remove(name);
    });
    let mut child = command.spawn()?;
    let process = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let (done, gone) = oneshot::channel();
    tokio::spawn(async move {
        // It ends when all that it watches is gone: until then the run counts.
        let _ = child.wait().await;
        drop(running);
        let _ = done.send(());
    });
    Ok(Ends {
        stdout: stdout.into(),
        stderr: stderr.into(),
        warden,
        process,
        gone,
    })
}

/// The file of this process, also if another one has its name by now.
fn this_program() -> io::Result<std::path::PathBuf> {
    #[cfg(target_os = "linux")]
    if let link @ Ok(_) = std::fs::symlink_metadata("/proc/self/exe") {
        return link.map(|_| "/proc/self/exe".into());
    }
    std::env::current_exe()
}
