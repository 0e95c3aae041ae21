//! The real binary, its output, and signals for it.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than any grace or linger of the server.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// A folder with something in it.
pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, octets).unwrap();
        path
    }

    pub fn root(&self) -> &str {
        self.0.path().to_str().unwrap()
    }
}

pub fn endwell() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endwell"));
    command.stdin(Stdio::null());
    command
}

/// Runs it to its end: exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (Option<i32>, String, String) {
    run_command(endwell().args(args))
}

pub fn run_command(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A server that runs; dropped, it is killed.
pub struct Server {
    child: Child,
    /// What it said before and with its addresses.
    pub said: Vec<String>,
    pub urls: Vec<String>,
    /// Lines of standard error after that.
    later: Receiver<String>,
    /// Lines of standard output.
    log: Option<Receiver<String>>,
}

impl Server {
    /// Starts `endwell serve` and waits until it listens so many times.
    pub fn start_with(command: &mut Command, listeners: usize) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let later = lines(child.stderr.take().unwrap());
        let log = lines(child.stdout.take().unwrap());
        let mut said = Vec::new();
        let mut urls = Vec::new();
        while urls.len() < listeners {
            let line = later.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                let _ = child.kill();
                panic!("it does not listen: {said:?}")
            });
            if let Some(url) = line.strip_prefix("listening on ") {
                urls.push(url.to_owned());
            }
            said.push(line);
        }
        Self {
            child,
            said,
            urls,
            later,
            log: Some(log),
        }
    }

    /// Starts it on a free port of 127.0.0.1.
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        let mut command = endwell();
        command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]);
        Self::start_with(command.args(args), 1)
    }

    /// The address in its first URL.
    pub fn addr(&self) -> SocketAddr {
        address(&self.urls[0])
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let done = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(done.success(), "{command}");
    }

    /// The next line of its standard error.
    pub fn says(&self) -> String {
        self.later.recv_timeout(DEADLINE).expect("a line on stderr")
    }

    /// The next line of its standard error, if there is one already.
    pub fn has_said(&self) -> Option<String> {
        self.later.try_recv().ok()
    }

    /// The next line of its standard output.
    pub fn logs(&self) -> String {
        let log = self.log.as_ref().expect("not taken");
        log.recv_timeout(DEADLINE).expect("a line of the log")
    }

    /// Closes the reading end of its standard output, once it is written to.
    pub fn nobody_reads_the_log(&mut self) {
        self.log = None;
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn address(url: &str) -> SocketAddr {
    url.rsplit_once('/').unwrap().1.parse().unwrap()
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// More than all the buffers between a server and a client that does not read.
pub const LARGE: usize = 16 * 1024 * 1024;

/// The content of a large file.
pub fn large() -> &'static [u8] {
    static LARGE_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(LARGE));
    &LARGE_FILE
}

/// Octets that say where they stand.
pub fn pattern(octets: usize) -> Vec<u8> {
    let words = 0..octets.div_ceil(8) as u64;
    let mut pattern = Vec::with_capacity(octets + 8);
    for word in words {
        pattern.extend(word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    }
    pattern.truncate(octets);
    pattern
}

/// The same command as a user without privileges, if this one can become that.
pub fn unprivileged(folder: &Folder) -> Option<Command> {
    let probe = |program: &str, args: &[&str]| {
        let quiet = Command::new(program).args(args).output();
        quiet.is_ok_and(|output| output.status.success())
    };
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.0.path(), open).unwrap();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let binary = env!("CARGO_BIN_EXE_endwell");
    let works = [&user[..], &[binary, "--version"]].concat();
    if !probe("setpriv", &works) || !Path::new(folder.root()).is_absolute() {
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(user).arg(binary).stdin(Stdio::null());
    Some(command)
}
