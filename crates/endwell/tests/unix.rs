//! Endings on a unix socket, and the socket's file.
#![cfg(unix)]
#![allow(missing_docs)]

#[path = "support/script.rs"]
mod script;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use endwell::{Listener, Record, Shutdown, listen_unix};
use script::{Ask, Fault, octets};

/// Longer than any grace or linger of the server.
const DEADLINE: Duration = Duration::from_secs(15);
/// More than the buffers between a server and a client that does not read.
const LARGE: usize = 4 * 1024 * 1024;

struct Server {
    path: PathBuf,
    records: Receiver<Record>,
    shutdown: Shutdown,
    runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = listen(&runtime, &path, None).unwrap();
        let (sender, records) = channel();
        let shutdown = Shutdown::new();
        let server = endwell::serve(listener, script::app())
            .shutdown(shutdown.clone())
            .observer(move |record| {
                let _ = sender.send(record);
            });
        runtime.spawn(server.into_future());
        Self {
            path,
            records,
            shutdown,
            runtime: Some(runtime),
            _folder: folder,
        }
    }

    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        client
    }

    /// What comes until the server closes.
    fn ask(&self, request: &str) -> String {
        let mut client = self.connect();
        client.write_all(request.as_bytes()).unwrap();
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).unwrap();
        String::from_utf8(seen).unwrap()
    }

    fn record(&self) -> Record {
        self.records.recv_timeout(DEADLINE).expect("a record")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.now();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen(
    runtime: &tokio::runtime::Runtime,
    path: &PathBuf,
    mode: Option<u32>,
) -> io::Result<Listener> {
    let _inside = runtime.enter();
    listen_unix(path, mode)
}

fn ask(fault: Fault, cut: usize, promise: bool) -> Ask {
    Ask {
        fault,
        size: 300_000,
        cut,
        frame: 10_000,
        promise,
        id: 0,
    }
}

fn get11(ask: &Ask) -> String {
    format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", ask.target())
}

fn get10(ask: &Ask) -> String {
    format!("GET {} HTTP/1.0\r\n\r\n", ask.target())
}

/// The payload of chunks, and whether the last chunk came.
fn unchunked(mut octets: &str) -> (String, bool) {
    let mut payload = String::new();
    while let Some((size, rest)) = octets.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (payload, true);
        }
        payload += &rest[..size];
        octets = &rest[size + 2..];
    }
    (payload, false)
}

fn body(seen: &str) -> &str {
    seen.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn h11_chunked_failure_lacks_the_last_chunk_and_no_octet() {
    let server = Server::start();
    let seen = server.ask(&get11(&ask(Fault::Mid, 200_000, false)));
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"));
    let (payload, last) = unchunked(body(&seen));
    assert!(payload.as_bytes() == octets(200_000), "{}", payload.len());
    assert!(!last);
    let record = server.record();
    assert_eq!(record.signal_out, "missing_last_chunk");
    assert_eq!((record.tally.sent, record.tally.acked), (200_000, None));
    let uid = fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(record.remote, format!("unix:{uid}"));
    assert!(record.combined().starts_with("unix - - ["));
}

#[test]
fn h11_promised_length_is_kept_or_broken() {
    let server = Server::start();
    let whole = ask(Fault::None, 0, true);
    let request = get11(&whole).replace("Host", "Connection: close\r\nHost");
    assert!(body(&server.ask(&request)).as_bytes() == octets(300_000));
    assert_eq!(server.record().ending.as_str(), "complete");
    let short = server.ask(&get11(&ask(Fault::Last, 300_000, true)));
    assert!(body(&short).as_bytes() == octets(299_999));
    assert_eq!(server.record().signal_out, "short_body");
}

#[test]
fn h10_unknown_length_gets_one_or_is_refused() {
    let server = Server::start();
    let seen = server.ask(&get10(&ask(Fault::None, 0, false)));
    assert!(
        seen.to_lowercase()
            .contains("\r\ncontent-length: 300000\r\n")
    );
    assert!(body(&seen).as_bytes() == octets(300_000));
    assert_eq!(server.record().ending.as_str(), "complete");
    let seen = server.ask(&get10(&ask(Fault::Mid, 200_000, false)));
    assert!(seen.starts_with("HTTP/1.0 500 "), "{}", &seen[..40]);
    assert_eq!(server.record().ending.as_str(), "failed");
    let large = Ask {
        size: LARGE,
        ..ask(Fault::None, 0, false)
    };
    let seen = server.ask(&get10(&large));
    assert!(seen.starts_with("HTTP/1.0 505 "), "{}", &seen[..40]);
    assert_eq!(server.record().error_type(), Some("unprotected"));
}

/// A request over HTTP/2: preface, empty SETTINGS, HEADERS with literal fields.
fn h2_request(target: &str) -> Vec<u8> {
    // :method GET and :scheme http from the static table, :path as a literal without indexing.
    let mut block = vec![0x82, 0x86, 0x04];
    assert!(target.len() < 127);
    block.push(target.len() as u8);
    block.extend(target.as_bytes());
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    octets.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // A window for all of it: WINDOW_UPDATE of the connection and of the stream.
    octets.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    octets.extend([0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    octets.extend(block);
    octets.extend([0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0x10, 0, 0]);
    octets
}

#[test]
fn h2_failure_resets_the_stream_after_every_octet() {
    let server = Server::start();
    let mut client = server.connect();
    let target = ask(Fault::Mid, 200_000, false).target();
    client.write_all(&h2_request(&target)).unwrap();
    let mut data = Vec::new();
    let code = loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).unwrap();
        match head[3] {
            0 => {
                assert_eq!(head[4] & 1, 0, "END_STREAM");
                data.extend(payload);
            }
            3 => break u32::from_be_bytes(payload.try_into().unwrap()),
            // A PING asks whether all before it was read.
            6 if head[4] & 1 == 0 => {
                head[4] |= 1;
                client.write_all(&[&head[..], &payload].concat()).unwrap();
            }
            _ => {}
        }
    };
    assert_eq!(code, 2);
    assert!(data == octets(200_000), "{}", data.len());
    let record = server.record();
    assert_eq!(record.signal_out, "reset_stream:0x2");
    assert_eq!(record.tally.sent, 200_000);
}

#[test]
fn h11_a_client_that_leaves_stops_the_work() {
    let server = Server::start();
    let silent = ask(Fault::Silent, 10, false);
    let mut client = server.connect();
    client.write_all(get11(&silent).as_bytes()).unwrap();
    let mut octet = [0];
    client.read_exact(&mut octet).unwrap();
    drop(client);
    let record = server.record();
    assert_eq!(record.ending.as_str(), "cancelled", "{}", record.json());
    assert_eq!(record.error_type(), Some("client_gone"));
}

#[test]
fn the_file_is_made_with_its_mode_and_goes_with_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for mode in [0o600, 0o666] {
        let listener = listen(&runtime, &path, Some(mode)).unwrap();
        let is = fs::symlink_metadata(&path).unwrap();
        assert!(is.file_type().is_socket());
        assert_eq!(is.permissions().mode() & 0o777, mode);
        assert_eq!(listener.unix_path(), Some(path.clone()));
        assert!(listener.local_addr().is_err());
        drop(listener);
        assert!(!path.exists());
    }
}

#[test]
fn a_file_that_somebody_else_has_put_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = listen(&runtime, &path, None).unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(listener);
    assert!(path.exists());
    drop(other);
}

#[test]
fn only_a_socket_on_which_nobody_answers_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = || listen(&runtime, &path, None).map(drop).unwrap_err().kind();

    fs::write(&path, "precious").unwrap();
    assert_eq!(refused(), ErrorKind::AddrInUse);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();

    let alive = UnixListener::bind(&path).unwrap();
    assert_eq!(refused(), ErrorKind::AddrInUse);
    drop(alive);
    assert!(path.exists(), "a dead socket leaves its file");

    let listener = listen(&runtime, &path, None).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(listener);
}
