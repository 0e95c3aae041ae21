//! The warden: a process beside each program, which ends it when it must end.
//!
//! A server that is killed can do nothing any more, and a program that waits does not notice. So
//! this binary starts itself once more for each program, and that process does nothing but wait: for
//! the program, for its deadline, and for the end of the server's side of a socket, which the
//! kernel closes whatever happens to the server. Then it ends everything that the program started.
//!
//! Reads: its arguments and standard input. Gives: words on standard input, which is a socket.
//! Never: touches what the program writes, and never returns while something is left to end.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, getpgid, kill_process,
    kill_process_group, waitid, waitpid,
};

use super::order::{NAME, Ordered, Stderr, Word};

/// How long everything that a program started may take to end itself after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long SIGKILL is repeated to what starts ever new processes.
const LAST: Duration = Duration::from_secs(5);
/// How often to look where the kernel does not tell, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));
/// How many files a program may have open: the usual limit, which the server has raised for itself
/// and which some programs count through.
const FILES: u64 = 1024;

/// Whether this binary can be started as a warden.
pub(super) static STANDS_BY: AtomicBool = AtomicBool::new(false);

/// Does the work of a warden, if this process was started to be one: call it first in `main`, and
/// return what it gives. `None` if this is the program itself; from then on it may run
/// [`Command`](super::Command)s.
///
/// A warden is this binary once more, under the name `endwell-warden`. It waits beside a program
/// that was started for a response, and ends it with everything that it started (SIGTERM, after
/// two seconds SIGKILL) when the response has ended, when the time is over, and when the process
/// that serves is gone, however that came.
pub fn warden() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    if arguments.next().is_none_or(|name| name != NAME) {
        STANDS_BY.store(true, Ordering::Relaxed);
        return None;
    }
    Some(
        match Ordered::read(arguments).map(|ordered| work(&ordered)) {
            Some(Ok(())) => ExitCode::SUCCESS,
            Some(Err(_)) | None => ExitCode::FAILURE,
        },
    )
}

/// Runs the program and waits.
fn work(ordered: &Ordered) -> io::Result<()> {
    let begun = Instant::now();
    prepare();
    let mut server = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let nothing = File::options().write(true).open("/dev/null")?;
    let program = match start(ordered) {
        Ok(program) => program,
        Err(error) => return tell(&mut server, &Word::Unable(error.to_string())),
    };
    // From here on nothing may fail. Only the program holds its pipes: their end is its word.
    let _ = rustix::stdio::dup2_stdout(&nothing);
    let _ = rustix::stdio::dup2_stderr(&nothing);
    let until = ordered
        .timeout
        .and_then(|timeout| begun.checked_add(timeout));
    wait(program, &mut server, until);
    // The server need not wait for what follows.
    drop(server);
    end(program);
    Ok(())
}

/// Leaves the server's session, and takes back what the server has more than a program needs.
fn prepare() {
    // Each of these is a precaution: a system that has not got it runs programs all the same.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{clear_ambient_capability_set, set_name};
        let _ = set_name(c"endwell-warden");
        // Whoever lost its parent becomes a child of this process: nobody gets away by a new session.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        let _ = clear_ambient_capability_set();
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current > FILES) {
        let current = Some(FILES);
        let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}

/// Starts the program as the leader of a group of its own.
fn start(ordered: &Ordered) -> io::Result<Pid> {
    let mut command = Command::new(&ordered.program);
    command
        .args(&ordered.arguments)
        .stdin(Stdio::null())
        .process_group(0);
    if ordered.stderr == Stderr::Body {
        let stdout: OwnedFd = io::stdout().as_fd().try_clone_to_owned()?;
        command.stderr(Stdio::from(stdout));
    }
    Ok(Pid::from_child(&command.spawn()?))
}

fn tell(server: &mut UnixStream, word: &Word) -> io::Result<()> {
    server.write_all(word.to_line().as_bytes())
}

/// Waits until the server's side is closed or the time is over, and tells how the program ends.
fn wait(program: Pid, server: &mut UnixStream, until: Option<Instant>) {
    #[cfg(target_os = "linux")]
    let notice = {
        use rustix::process::{PidfdFlags, pidfd_open};
        pidfd_open(program, PidfdFlags::empty()).ok()
    };
    #[cfg(not(target_os = "linux"))]
    let notice: Option<OwnedFd> = None;
    let mut runs = true;
    loop {
        if runs && let Some(word) = ended(program) {
            let _ = tell(server, &word);
            runs = false;
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            if runs {
                let _ = tell(server, &Word::Late);
            }
            return;
        }
        let left = match (runs, &notice) {
            (true, None) => Some(left.unwrap_or(LOOK.1).min(LOOK.1)),
            (true, Some(_)) | (false, _) => left,
        };
        if is_closed(server, notice.as_ref().filter(|_| runs), left) {
            return;
        }
    }
}

/// How the program ended, if it has. It stays a zombie: its number, and that of its group, stay its
/// own until everything has been ended.
fn ended(program: Pid) -> Option<Word> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(program), options).ok()??;
    let killed = status.terminating_signal().map(Word::Killed);
    killed.or_else(|| status.exit_status().map(Word::Exited))
}

/// Waits for a notice of the program's end or so long; gives whether the server's side is closed.
fn is_closed(server: &UnixStream, notice: Option<&OwnedFd>, left: Option<Duration>) -> bool {
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    let mut waited = vec![PollFd::new(server, PollFlags::IN)];
    waited.extend(notice.map(|notice| PollFd::new(notice, PollFlags::IN)));
    match poll(&mut waited, left.as_ref()) {
        // The server never says a word: all there is to be read is the end.
        Ok(_) => !waited[0].revents().is_empty(),
        Err(rustix::io::Errno::INTR) => false,
        Err(_) => true,
    }
}

/// Ends the program and everything that it started.
fn end(program: Pid) {
    let mut family = Family {
        program,
        is_reaped: false,
    };
    family.signal(Signal::TERM);
    if !family.is_gone_within(GRACE, None) {
        family.is_gone_within(LAST, Some(Signal::KILL));
    }
}

/// A program and what it started.
struct Family {
    program: Pid,
    is_reaped: bool,
}

impl Family {
    /// Sends a signal to all of them, once to each.
    fn signal(&self, signal: Signal) {
        // Once it is reaped its number may be another's.
        if !self.is_reaped {
            let _ = kill_process_group(self.program, signal);
        }
        // Children of ours keep their numbers until we reap them.
        for child in children() {
            let is_told = !self.is_reaped && getpgid(Some(child)) == Ok(self.program);
            if !is_told {
                let _ = kill_process(child, signal);
            }
        }
    }

    /// Whether none is left, looked at again and again for so long; before each look those that
    /// are left get a signal, if there is one.
    fn is_gone_within(&mut self, time: Duration, signal: Option<Signal>) -> bool {
        let until = Instant::now() + time;
        let mut pause = LOOK.0;
        loop {
            if let Some(signal) = signal {
                self.signal(signal);
            }
            if self.is_gone() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK.1);
        }
    }

    /// Reaps what has ended; gives whether none is left.
    fn is_gone(&mut self) -> bool {
        loop {
            match next_that_ended(self.program) {
                Ok(Some((child, _))) => self.is_reaped |= child == self.program,
                Ok(None) => return false,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }
}

/// Reaps one that has ended, if there is one.
fn next_that_ended(program: Pid) -> rustix::io::Result<Option<(Pid, WaitStatus)>> {
    match cfg!(target_os = "linux") {
        true => rustix::process::wait(WaitOptions::NOHANG),
        // What lost its parent is no child of ours there.
        false => waitpid(Some(program), WaitOptions::NOHANG),
    }
}

/// Ends all that runs in the session of a warden that is gone itself. Blocks.
///
/// What has left that session as well stays: to find it takes a warden.
pub(super) fn end_session(warden: Pid) {
    let until = Instant::now() + LAST;
    loop {
        let left = in_session(warden);
        if left.is_empty() || Instant::now() > until {
            return;
        }
        for process in left {
            let _ = kill_process(process, Signal::KILL);
        }
        std::thread::sleep(LOOK.0);
    }
}

/// The processes of a session that are no zombies; where there is no `/proc`, none.
fn in_session(session: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_of_it = |process: &Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid()));
        let stat = stat.unwrap_or_default();
        // The name may hold anything; behind it stand state, parent, group and session.
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let is_alive = !matches!(fields.next(), Some("Z" | "X") | None);
        is_alive && fields.nth(2) == Some(&session.as_raw_pid().to_string())
    };
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter_map(Pid::from_raw)
        .filter(is_of_it)
        .collect()
}

/// The children of this process; where the kernel does not list them, none.
fn children() -> Vec<Pid> {
    let process = rustix::process::getpid().as_raw_pid();
    let list = std::fs::read_to_string(format!("/proc/self/task/{process}/children"));
    let list = list.unwrap_or_default();
    let numbers = list.split_ascii_whitespace().map(str::parse);
    numbers
        .filter_map(|number| Pid::from_raw(number.ok()?))
        .collect()
}
