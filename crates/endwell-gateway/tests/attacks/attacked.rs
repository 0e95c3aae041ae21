//! The server under attack, and a client that sends octets and tells what it got.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use endwell::{Controls, Limits, Policy, Shutdown};
use endwell_gateway::Files;
use endwell_lab::observe::transport::TransportEnd;
use endwell_lab::observe::{ClientTls, Pace, Transport};

/// Longer than any limit of the servers here: who waits so long has been forgotten.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A folder with `file.txt` in it, and beside it what must never be served.
pub struct Attacked {
    pub addr: SocketAddr,
    pub controls: Controls,
    folder: tempfile::TempDir,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
}

/// What no answer may hold.
pub const SECRET: &[u8] = b"THE SECRET";
/// The content of `/file.txt`.
pub const CONTENT: &[u8] = b"content of the file\n";
/// The content of `/probe.txt`.
const PROBE: &[u8] = b"the connection lives\n";

impl Attacked {
    pub fn new() -> Self {
        Self::with(Limits::default(), false)
    }

    pub fn with(limits: Limits, tls: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let public = folder.path().join("public");
        for (name, content) in [
            ("public/file.txt", CONTENT),
            ("public/probe.txt", PROBE),
            ("public/sub/file.txt", CONTENT),
            ("public/.hidden", SECRET),
            ("public/.git/config", SECRET),
            ("secret.txt", SECRET),
            ("public-not/secret.txt", SECRET),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let large = vec![b'x'; 32 * 1024 * 1024];
        fs::write(public.join("large.bin"), large).unwrap();
        std::os::unix::fs::symlink("../secret.txt", public.join("link.txt")).unwrap();
        std::os::unix::fs::symlink("..", public.join("up")).unwrap();
        std::os::unix::fs::symlink("link.txt", public.join("link-to-link.txt")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let shutdown = Shutdown::new();
        let controls = Controls::new(Policy::default(), limits);
        let files = Files::new(&public).unwrap();
        let addr = runtime.block_on(async {
            let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = tcp.local_addr().unwrap();
            let mut listener = endwell::listen(tcp);
            if tls {
                listener = listener.tls(crate::common::certificate::server_config());
            }
            let server = endwell::serve(listener, files)
                .controls(controls.clone())
                .shutdown(shutdown.clone());
            tokio::spawn(server.into_future());
            addr
        });
        Self {
            addr,
            controls,
            folder,
            shutdown,
            runtime: Some(runtime),
        }
    }

    pub fn connect(&self) -> Client {
        Client::new(Transport::connect(self.addr, None, &Pace::fast()).unwrap())
    }

    pub fn connect_tls(&self, alpn: &[&str]) -> Client {
        let tls = ClientTls::new(alpn);
        Client::new(Transport::connect(self.addr, Some(&tls), &Pace::fast()).unwrap())
    }

    /// A client that means no harm is answered.
    pub fn serves(&self) {
        let outcome = self
            .connect()
            .attack(b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(outcome.to_string(), "200 keep");
    }

    /// Waits until no connection is open.
    pub fn is_left_alone(&self) {
        let until = Instant::now() + DEADLINE;
        while self.controls.open_connections() > 0 {
            assert!(
                Instant::now() < until,
                "{} connections are still open",
                self.controls.open_connections()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Attacked {
    fn drop(&mut self) {
        let _ = &self.folder;
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connection of octets.
pub struct Client {
    pub transport: Transport,
    pub read: Vec<u8>,
}

/// What came back.
pub struct Outcome {
    pub statuses: Vec<u16>,
    pub end: &'static str,
    pub octets: usize,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for status in &self.statuses {
            write!(f, "{status} ")?;
        }
        f.write_str(self.end)
    }
}

impl Client {
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            read: Vec::new(),
        }
    }

    /// Writes what the peer still takes.
    pub fn send(&mut self, octets: &[u8]) {
        let _ = self.transport.write(octets);
    }

    /// Reads more; the end, if there is no more.
    pub fn more(&mut self, until: Instant) -> Option<&'static str> {
        match self.transport.read(&mut self.read, until) {
            Ok(_) => None,
            Err(TransportEnd::Fin | TransportEnd::CloseNotify) => Some("close"),
            Err(TransportEnd::Reset) => Some("reset"),
            Err(TransportEnd::TimedOut) => Some("hang"),
            Err(TransportEnd::Tls(_) | TransportEnd::Io(_)) => Some("error"),
        }
    }

    /// Sends octets, reads every response, and asks then whether the connection still lives.
    pub fn attack(mut self, octets: &[u8]) -> Outcome {
        self.send(octets);
        self.outcome()
    }

    /// As [`Client::attack`], after something was sent.
    pub fn outcome(mut self) -> Outcome {
        let until = Instant::now() + DEADLINE;
        let mut outcome = Outcome {
            statuses: Vec::new(),
            end: "keep",
            octets: 0,
        };
        let mut probed = false;
        loop {
            while let Some((status, body, octets)) = response(&self.read) {
                assert!(!holds(&self.read[..octets], SECRET), "the secret is out");
                let lives = probed && body == PROBE;
                self.read.drain(..octets);
                if lives {
                    return outcome;
                }
                outcome.octets += octets;
                outcome.statuses.push(status);
            }
            if !outcome.statuses.is_empty() && self.read.is_empty() && !probed {
                probed = true;
                self.send(b"GET /probe.txt HTTP/1.1\r\nHost: a\r\n\r\n");
            }
            if let Some(end) = self.more(until) {
                assert!(!holds(&self.read, SECRET), "the secret is out");
                outcome.end = end;
                return outcome;
            }
        }
    }
}

pub fn holds(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

/// The first whole response: its status, its body, its octets.
fn response(octets: &[u8]) -> Option<(u16, Vec<u8>, usize)> {
    let head = octets.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&octets[..head]).expect("heads of ours are ASCII");
    let status = text.split(' ').nth(1)?.parse().expect("a status line");
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    if let Some(length) = field("content-length") {
        let end = head + length.parse::<usize>().expect("a length");
        return Some((status, octets.get(head..end)?.to_vec(), end));
    }
    if field("transfer-encoding").is_some() {
        let end = head
            + octets[head..]
                .windows(5)
                .position(|end| end == b"0\r\n\r\n")?
            + 5;
        return Some((status, octets[head..end].to_vec(), end));
    }
    Some((status, Vec::new(), head))
}
