//! What `endwell serve` says, serves and logs.
#![cfg(unix)]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Instant;

use common::{DEADLINE, Folder, LARGE, Server, address, endwell, large, pattern, unprivileged};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http2};

fn get(server: &Server, path: &str) -> Seen {
    observe(server.addr(), None, &Request::get11(path), &Pace::fast())
}

#[test]
fn it_says_what_it_serves_and_where_and_nothing_else() {
    let folder = Folder::new();
    let mut command = endwell();
    command.args(["serve", "--listen", "127.0.0.1:0", "--listen", "[::1]:0"]);
    let mut server = Server::start_with(command.current_dir(folder.root()), 2);
    let root = fs::canonicalize(folder.root()).unwrap();
    assert_eq!(server.said[0], format!("serving {}", root.display()));
    assert_eq!(server.said.len(), 3, "{:?}", server.said);
    for (url, start) in server
        .urls
        .iter()
        .zip(["http://127.0.0.1:", "http://[::1]:"])
    {
        assert!(url.starts_with(start) && address(url).port() != 0, "{url}");
        let seen = observe(address(url), None, &Request::get11("/"), &Pace::fast());
        assert_eq!(seen.status, Some(200), "{url}");
    }
    server.signal("TERM");
    assert_eq!(
        server.says(),
        "stopping: responses may run for 30 s; a second signal ends them at once"
    );
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_name_is_every_address_it_has() {
    let folder = Folder::new();
    let mut command = endwell();
    let server = Server::start_with(
        command.args(["serve", folder.root(), "--listen", "localhost:0"]),
        1,
    );
    assert!(address(&server.urls[0]).ip().is_loopback());
}

#[test]
fn http_serves_files_and_logs_combined() {
    let folder = Folder::new();
    let content = pattern(300_000);
    folder.write("file.bin", &content);
    let server = Server::start(&folder, &[]);
    let request = Request::get11("/file.bin")
        .with("User-Agent", "lab/1")
        .with("Referer", "\"x");
    let seen = observe(server.addr(), None, &request, &Pace::fast());
    assert!(seen.is_complete() && seen.body == content);
    let line = server.logs();
    let (start, rest) = line.split_once('[').unwrap();
    let (time, rest) = rest.split_once(']').unwrap();
    assert_eq!(
        (start, time.len()),
        ("127.0.0.1 - - ", "20/Nov/2026:13:55:36 +0000".len())
    );
    assert_eq!(
        rest,
        r#" "GET /file.bin HTTP/1.1" 200 300000 "\"x" "lab/1" ending=complete"#
    );
    let seen = http2::observe(server.addr(), None, "/none", &[], &Pace::fast());
    assert_eq!(seen.status, Some(404));
    assert!(
        server
            .logs()
            .ends_with(r#""GET /none HTTP/2" 404 21 "-" "-" ending=complete"#)
    );
}

#[test]
fn https_serves_h2_and_http1() {
    let folder = Folder::new();
    folder.write("file.bin", pattern(300_000));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = folder.write("c.pem", made.cert.pem());
    let key = folder.write("k.pem", made.signing_key.serialize_pem());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    for args in [
        &["--tls-self-signed"][..],
        &["--tls-cert", certificate, "--tls-key", key],
    ] {
        let server = Server::start(&folder, args);
        assert!(server.urls[0].starts_with("https://127.0.0.1:"));
        let (addr, pace) = (server.addr(), Pace::fast());
        let h1 = ClientTls::new(&["http/1.1"]);
        let h2 = ClientTls::new(&["h2", "http/1.1"]);
        for seen in [
            observe(addr, Some(&h1), &Request::get11("/file.bin"), &pace),
            observe(
                addr,
                Some(&ClientTls::new(&[])),
                &Request::get10("/file.bin"),
                &pace,
            ),
            http2::observe(addr, Some(&h2), "/file.bin", &[], &pace),
        ] {
            assert!(
                seen.is_complete() && seen.body == pattern(300_000),
                "{}",
                seen.verdict_line()
            );
            assert!(server.logs().ends_with("ending=complete"));
        }
    }
}

#[test]
fn json_names_the_fields_of_a_failure() {
    let folder = Folder::new();
    let octets = LARGE;
    let path = folder.write("file.bin", large());
    let log = folder.path("log.jsonl");
    let args = ["--log-format", "json", "--log", log.to_str().unwrap()];
    let mut server = Server::start(&folder, &args);
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    let mut session = Session::connect(server.addr(), None, &pace).unwrap();
    let request = Request::get11("/file.bin?q")
        .with("X-Request-Id", "r1")
        .with("User-Agent", "lab");
    session.send(&request).unwrap();
    session.read_until(|seen| seen.status.is_some());
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1000)
        .unwrap();
    let seen = session.read();
    assert_eq!((seen.is_complete(), &seen.end), (false, &SeenEnd::Fin));
    assert!(large().starts_with(&seen.body));
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    let lines = fs::read_to_string(&log).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    let record: serde_json::Value = serde_json::from_str(&lines).unwrap();
    let canonical = fs::canonicalize(&path).unwrap();
    let message = format!(
        "source_changed: {} shrank from {octets} to 1000 octets while it was sent",
        canonical.display()
    );
    let expected = serde_json::json!({
        "method": "GET", "target": "/file.bin?q", "host": "localhost", "protocol": "1.1",
        "status": 200, "ending": "failed", "ended_by": "producer", "said_by": "producer",
        "phase": "body", "error_type": "source_changed", "message": message,
        "framing": "content_length", "octets_promised": octets,
        "octets_sent": seen.body.len(), "request_id": "r1", "user_agent": "lab",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&record[name], value, "{name} in {lines}");
    }
    for name in [
        "ts",
        "remote",
        "signal_out",
        "octets_produced",
        "duration_ms",
        "ttfb_ms",
    ] {
        assert!(!record[name].is_null(), "{name} in {lines}");
    }
}

#[test]
fn growing_files_are_complete_if_allowed() {
    let folder = Folder::new();
    let path = folder.write("file.log", large());
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    for (args, complete) in [(&[][..], false), (&["--growing", "allow"], true)] {
        let server = Server::start(&folder, args);
        let octets = fs::metadata(&path).unwrap().len();
        let mut session = Session::connect(server.addr(), None, &pace).unwrap();
        session.send(&Request::get11("/file.log")).unwrap();
        session.read_until(|seen| seen.status.is_some());
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"more").unwrap();
        let seen = session.read();
        assert_eq!(seen.is_complete(), complete, "{}", seen.verdict_line());
        let expected = if complete { octets } else { octets - 1 };
        assert_eq!(seen.body.len() as u64, expected);
    }
}

#[test]
fn half_close_means_what_it_is_told_to() {
    let folder = Folder::new();
    folder.write("file.bin", large());
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    for (meaning, complete) in [("cancel", false), ("tolerate", true)] {
        let server = Server::start(&folder, &["--half-close", meaning]);
        let mut session = Session::connect(server.addr(), None, &pace).unwrap();
        session.send(&Request::get11("/file.bin")).unwrap();
        session.read_until(|seen| seen.status.is_some());
        session.half_close().unwrap();
        assert_eq!(session.read().is_complete(), complete, "{meaning}");
        let ending = if complete {
            "ending=complete"
        } else {
            "ending=cancelled error_type=client_gone"
        };
        assert!(server.logs().ends_with(ending));
    }
}

#[test]
fn a_client_that_stalls_loses_its_connection() {
    let folder = Folder::new();
    folder.write("file.bin", large());
    let server = Server::start(&folder, &["--stall-timeout", "200ms"]);
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    let mut session = Session::connect(server.addr(), None, &pace).unwrap();
    session.send(&Request::get11("/file.bin")).unwrap();
    let line = server.logs();
    assert!(
        line.ends_with("error_type=connection_write_timeout"),
        "{line}"
    );
    assert!(!session.read().is_complete());
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let folder = Folder::new();
    folder.write("file", "content");
    let mut command = endwell();
    command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]);
    let mut server = Server::start_with(&mut command, 1);
    server.nobody_reads_the_log();
    // The first line is still read; then the pipe has nobody at its other end.
    let until = Instant::now() + DEADLINE;
    let said = loop {
        assert_eq!(get(&server, "/file").body, b"content");
        assert!(Instant::now() < until, "no word of the lost records");
        if let Some(said) = server.has_said() {
            break said;
        }
    };
    assert_eq!(
        said,
        "cannot write the log (Broken pipe (os error 32)); records are lost"
    );
    assert_eq!(get(&server, "/file").body, b"content");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn standard_error_that_nobody_reads_stops_nothing() {
    let folder = Folder::new();
    let log = folder.path("log");
    let mut child = endwell()
        .args(["serve", folder.root(), "--listen", "127.0.0.1:0", "--log"])
        .arg(&log)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let until = Instant::now() + DEADLINE;
    while !log.exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let command = format!("kill -TERM {}", child.id());
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::process::Command::new("sh")
        .args(["-c", &command])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_log_that_was_moved_away_is_opened_again_at_sighup() {
    let folder = Folder::new();
    folder.write("file", "content");
    let (log, old) = (folder.path("log"), folder.path("log.1"));
    let server = Server::start(&folder, &["--log", log.to_str().unwrap()]);
    let until = Instant::now() + DEADLINE;
    get(&server, "/file?first");
    while fs::read_to_string(&log).unwrap().is_empty() {
        assert!(Instant::now() < until);
    }
    fs::rename(&log, &old).unwrap();
    server.signal("HUP");
    // The signal is on its way while requests go on.
    while !log.exists() {
        assert!(Instant::now() < until);
        get(&server, "/file?second");
    }
    assert!(fs::read_to_string(&old).unwrap().contains("/file?first"));
}

#[test]
fn files_that_cannot_be_read_are_403() {
    let folder = Folder::new();
    let secret = folder.write("secret", "x");
    fs::create_dir(folder.path("closed")).unwrap();
    folder.write("closed/file", "x");
    for path in [secret, folder.path("closed")] {
        fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    }
    let Some(mut command) = unprivileged(&folder) else {
        println!("skipped: this user cannot become another one");
        return;
    };
    let server = Server::start_with(
        command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]),
        1,
    );
    for path in ["/secret", "/closed/", "/closed/file"] {
        let seen = get(&server, path);
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(403), true),
            "{path}"
        );
        assert_eq!(seen.body, format!("403 Forbidden: {path}\n").as_bytes());
    }
    let page = String::from_utf8(get(&server, "/").body).unwrap();
    assert!(page.contains("closed") && page.contains("secret"), "{page}");
}
