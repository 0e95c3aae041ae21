//! SIGHUP and new certificates: all of it is taken over, or nothing.
#![cfg(unix)]

mod common;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use common::{DEADLINE, Folder, LARGE, Server, endwell, large};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{ClientTls, Pace, Seen};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A folder with a configuration, and folders to serve.
fn configured(text: &str) -> (Folder, Server) {
    let folder = Folder::new();
    for name in ["one", "two"] {
        fs::create_dir(folder.path(name)).unwrap();
        folder.write(&format!("{name}/file"), name);
    }
    folder.write("e.toml", text);
    let server = start(&folder, &[]);
    (folder, server)
}

fn start(folder: &Folder, args: &[&str]) -> Server {
    let mut command = endwell();
    command.args(["serve", "--config", "e.toml"]).args(args);
    Server::start_with(command.current_dir(folder.root()), 1)
}

fn get(server: &Server, path: &str) -> Seen {
    observe(server.addr(), None, &Request::get11(path), &Pace::fast())
}

fn reload(server: &Server) -> String {
    server.signal("HUP");
    server.says()
}

const LISTEN: &str = "listen = \"127.0.0.1:0\"\n";

#[test]
fn a_new_configuration_is_taken_over() {
    let (folder, server) = configured(&format!("{LISTEN}dir = \"one\"\nlog = \"-\"\n"));
    assert_eq!(server.said[0], "configured by e.toml");
    assert_eq!(get(&server, "/file").body, b"one");
    assert!(server.logs().starts_with("127.0.0.1 - - ["));
    assert_eq!(reload(&server), "reloaded e.toml: nothing has changed");
    let text = format!("{LISTEN}dir = \"two\"\nlog-format = \"json\"\ndrain = \"1s\"\n");
    folder.write("e.toml", &text);
    let line = "reloaded e.toml: dir, log-format taken over; drain needs a restart";
    assert_eq!(reload(&server), line);
    assert_eq!(get(&server, "/file").body, b"two");
    let record: serde_json::Value = serde_json::from_str(&server.logs()).unwrap();
    assert_eq!(record["ending"], "complete");
    // What waits still waits; what was taken over is not new any more.
    folder.write("e.toml", text.replace("127.0.0.1:0", "127.0.0.1:1"));
    let line = "reloaded e.toml: listen, drain need a restart";
    assert_eq!(reload(&server), line);
    assert_eq!(get(&server, "/file").body, b"two");
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let text = format!("{LISTEN}dir = \"one\"\n");
    let (folder, mut server) = configured(&text);
    let two = text.replace("one", "two");
    for (wrong, line) in [
        (
            format!("{two}growing = \"maybe\"\n"),
            "e.toml:3:11: invalid value 'maybe' for growing [possible values: fail, allow]",
        ),
        (
            format!("{two}gowing = 1\n"),
            "e.toml:3:1: there is no key 'gowing'; did you mean 'growing'?",
        ),
        (
            format!("{two}tls-key = \"k\"\n"),
            "e.toml:3:1: --tls-key needs its certificate; add --tls-cert FILE",
        ),
        (
            format!("{two}log = \"/nowhere/log\"\n"),
            "e.toml:3:1: cannot write the log /nowhere/log (No such file or directory (os error 2)); give --log another file, or - for standard output",
        ),
        (
            text.replace("one", "none"),
            "e.toml:2:1: there is no folder none; make it, or name another: endwell serve DIR",
        ),
        (
            format!("{two}not-found = \"404.html\"\n"),
            "e.toml:3:1: there is no page two/404.html; make it, or give --not-found another path below the folder",
        ),
        (
            String::from("dir = \""),
            "e.toml:1:8: invalid basic string, expected `\"`",
        ),
    ] {
        folder.write("e.toml", &wrong);
        assert_eq!(reload(&server), format!("not reloaded: {line}"));
        assert_eq!(get(&server, "/file").body, b"one", "{wrong}");
    }
    fs::remove_file(folder.path("e.toml")).unwrap();
    let line = "not reloaded: cannot read the configuration e.toml (No such file or directory (os error 2)); give --config another file, or none";
    assert_eq!(reload(&server), line);
    folder.write("e.toml", &two);
    assert_eq!(reload(&server), "reloaded e.toml: dir taken over");
    assert_eq!(get(&server, "/file").body, b"two");
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn flags_win_also_after_a_reload() {
    let folder = Folder::new();
    fs::create_dir(folder.path("two")).unwrap();
    folder.write("file", "flag");
    folder.write("e.toml", "");
    let server = start(&folder, &["--listen", "127.0.0.1:0", "."]);
    folder.write("e.toml", "dir = \"two\"\n");
    assert_eq!(reload(&server), "reloaded e.toml: nothing has changed");
    assert_eq!(get(&server, "/file").body, b"flag");
}

#[test]
fn a_download_goes_on_over_a_reload() {
    let (folder, server) = configured(&format!("{LISTEN}dir = \"one\"\n"));
    folder.write("one/large", large());
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    let mut session = Session::connect(server.addr(), None, &pace).unwrap();
    session.send(&Request::get11("/large")).unwrap();
    session.read_until(|seen| seen.status.is_some());
    folder.write("e.toml", format!("{LISTEN}dir = \"two\"\n"));
    assert_eq!(reload(&server), "reloaded e.toml: dir taken over");
    let seen = session.read();
    assert!(
        seen.is_complete() && seen.body == large(),
        "{}",
        seen.verdict_line()
    );
    // The same connection, and the new folder.
    let seen = session.exchange(&Request::get11("/file"));
    assert_eq!((seen.body.as_slice(), LARGE), (&b"two"[..], large().len()));
}

#[test]
fn a_log_is_rotated_and_every_record_is_in_one_file() {
    let folder = Folder::new();
    folder.write("file", "content");
    let text = format!("{LISTEN}log-format = \"json\"\nlog = \"log\"\n");
    folder.write("e.toml", &text);
    let mut server = start(&folder, &[]);
    let (addr, asked, stop) = (server.addr(), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                let request = Request::get11(&format!("/file?{number}"));
                assert_eq!(session.exchange(&request).status, Some(200));
            }
        });
        let some_more = || {
            let (before, until) = (asked.load(Ordering::Relaxed), Instant::now() + DEADLINE);
            while asked.load(Ordering::Relaxed) < before + 50 {
                assert!(Instant::now() < until, "no requests");
                std::thread::yield_now();
            }
        };
        for round in 0..10 {
            some_more();
            fs::rename(folder.path("log"), folder.path(&format!("log.{round}"))).unwrap();
            assert_eq!(reload(&server), "reloaded e.toml: nothing has changed");
            assert!(folder.path("log").exists());
        }
        some_more();
        folder.write("e.toml", text.replace("\"log\"", "\"log.last\""));
        assert_eq!(reload(&server), "reloaded e.toml: log taken over");
        some_more();
        stop.store(true, Ordering::Relaxed);
    });
    server.signal("TERM");
    assert!(server.wait().success());
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder.root()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with("log") {
            let lines = fs::read_to_string(entry.path()).unwrap();
            assert!(!lines.is_empty(), "{:?}", entry.file_name());
            targets.extend(lines.lines().map(|line| {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                record["target"].as_str().unwrap().to_owned()
            }));
        }
    }
    let number = |target: &String| target["/file?".len()..].parse::<usize>().unwrap();
    let mut numbers: Vec<_> = targets.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(0..asked.into_inner()));
}

/// A certificate with its key, in PEM; and the certificate in DER.
struct Made {
    certificate: String,
    key: String,
    der: CertificateDer<'static>,
}

impl Made {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            der: made.cert.der().clone(),
        }
    }

    /// Whether the server shows this one: a client trusts it alone.
    fn is_shown(&self, addr: SocketAddr) -> bool {
        let mut trusted = RootCertStore::empty();
        trusted.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        while client.is_handshaking() {
            if client.complete_io(&mut socket).is_err() {
                return false;
            }
        }
        true
    }
}

/// A server with a certificate in `c.pem` and `k.pem`.
fn encrypted() -> (Folder, Server, Made) {
    let (folder, made) = (Folder::new(), Made::new());
    folder.write("file", "content");
    folder.write("c.pem", &made.certificate);
    folder.write("k.pem", &made.key);
    let text = format!("{LISTEN}tls-cert = \"c.pem\"\ntls-key = \"k.pem\"\n");
    folder.write("e.toml", text);
    let server = start(&folder, &[]);
    assert!(made.is_shown(server.addr()));
    (folder, server, made)
}

#[test]
fn new_connections_get_a_certificate_that_changed() {
    let (folder, server, old) = encrypted();
    let tls = ClientTls::new(&["http/1.1"]);
    let mut under_way = Session::connect(server.addr(), Some(&tls), &Pace::fast()).unwrap();
    assert_eq!(
        under_way.exchange(&Request::get11("/file")).status,
        Some(200)
    );
    let new = Made::new();
    folder.write("c.pem.new", &new.certificate);
    folder.write("k.pem.new", &new.key);
    for name in ["c.pem", "k.pem"] {
        fs::rename(folder.path(&format!("{name}.new")), folder.path(name)).unwrap();
    }
    assert_eq!(
        server.says(),
        "new connections get the new certificate of c.pem"
    );
    assert!(new.is_shown(server.addr()) && !old.is_shown(server.addr()));
    assert_eq!(
        under_way.exchange(&Request::get11("/file")).status,
        Some(200)
    );
}

#[test]
fn a_certificate_that_cannot_be_used_is_not_taken_and_that_is_said_once() {
    let (folder, server, old) = encrypted();
    let new = Made::new();
    folder.write("c.pem", &new.certificate);
    let mismatch = "e.toml:3:1: the key in k.pem does not belong to the certificate in c.pem; give --tls-key the one that it was made with";
    assert_eq!(
        server.says(),
        format!("the certificate stays as it was: {mismatch}")
    );
    assert!(old.is_shown(server.addr()) && !new.is_shown(server.addr()));
    assert_eq!(reload(&server), format!("not reloaded: {mismatch}"));
    assert!(old.is_shown(server.addr()));
    // Nothing more is said until the files change again: the next word is that they fit.
    folder.write("k.pem", &new.key);
    assert_eq!(
        server.says(),
        "new connections get the new certificate of c.pem"
    );
    assert!(new.is_shown(server.addr()));
}

#[test]
fn a_reload_takes_another_certificate() {
    let (folder, server, old) = encrypted();
    let new = Made::new();
    folder.write("c.pem", &new.certificate);
    folder.write("k.pem", &new.key);
    assert_eq!(
        reload(&server),
        "reloaded e.toml: the certificate taken over"
    );
    assert!(new.is_shown(server.addr()) && !old.is_shown(server.addr()));
    folder.write("o.pem", &old.certificate);
    folder.write("p.pem", &old.key);
    let text = format!("{LISTEN}tls-cert = \"o.pem\"\ntls-key = \"p.pem\"\n");
    folder.write("e.toml", text);
    assert_eq!(
        reload(&server),
        "reloaded e.toml: tls-cert, tls-key taken over"
    );
    assert!(old.is_shown(server.addr()) && !new.is_shown(server.addr()));
    folder.write("e.toml", LISTEN);
    assert_eq!(
        reload(&server),
        "reloaded e.toml: tls-cert, tls-key need a restart"
    );
    assert!(old.is_shown(server.addr()));
    assert_eq!(server.has_said(), None);
}
