//! Digests of files: before the body, behind it, and as text. What they are, `sha256sum` says.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Served, pattern};
use endwell_core::fields::Digest;
use endwell_gateway::{Files, Growing};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenFraming, http2};

/// More than is hashed before the head.
const LARGE: usize = 700_001;

const WANT: (&str, &str) = ("want-repr-digest", "sha-256=10");

fn sum(program: &str, path: &Path) -> String {
    let output = Command::new(program).arg(path).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// The one digest in the value of a field, as hexadecimal digits.
fn hex(value: Option<&str>) -> String {
    let digests = Digest::parse(value.expect("a digest").as_bytes()).expect("a field");
    assert_eq!(digests.len(), 1);
    digests[0].to_hex()
}

fn want(path: &str) -> Request {
    Request::get11(path).with(WANT.0, WANT.1)
}

fn h2(served: &Served, path: &str, fields: &[(&str, &str)]) -> Seen {
    http2::observe(served.addr, None, path, fields, &Pace::fast())
}

#[test]
fn h2_large_file_has_its_digest_behind_it() {
    let served = Served::new(Growing::Fail);
    let path = served.write("file.bin", pattern(LARGE));
    let seen = h2(&served, "/file.bin", &[WANT]);
    assert!(
        seen.is_complete() && seen.body == pattern(LARGE),
        "{}",
        seen.verdict_line()
    );
    assert_eq!(seen.header("content-length"), Some("700001"));
    assert_eq!(seen.header("trailer"), Some("Repr-Digest"));
    assert_eq!(seen.header("repr-digest"), None);
    assert_eq!(hex(seen.trailer("repr-digest")), sum("sha256sum", &path));
    let record = served.record();
    assert_eq!(record.trailers_sent, ["repr-digest"]);
    // From now on it is known.
    for seen in [
        h2(&served, "/file.bin", &[WANT]),
        served.ask(&want("/file.bin")),
        served.ask(&Request::head11("/file.bin").with(WANT.0, WANT.1)),
        served.ask(&want("/file.bin").with("Range", "bytes=5-9")),
        served.ask(&want("/file.bin").with("Range", "bytes=5-9,100-200")),
        served.ask(&Request::get10("/file.bin").with(WANT.0, WANT.1)),
    ] {
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert_eq!(hex(seen.header("repr-digest")), sum("sha256sum", &path));
        assert_eq!((seen.header("trailer"), seen.trailers.len()), (None, 0));
        assert!(seen.header("content-length").is_some());
    }
    let sha512 = h2(
        &served,
        "/file.bin",
        &[("want-repr-digest", "sha-512=10, sha-256=3")],
    );
    assert_eq!(hex(sha512.trailer("repr-digest")), sum("sha512sum", &path));
}

#[test]
fn h11_large_file_has_its_digest_behind_its_chunks_if_trailers_are_taken() {
    let served = Served::new(Growing::Fail);
    let path = served.write("file.bin", pattern(LARGE));
    // Not without TE: trailers, not over HTTP/1.0, not of a part, not before it is asked for.
    let h10 = Request::get10("/file.bin").with(WANT.0, WANT.1);
    for request in [
        want("/file.bin"),
        h10.with("TE", "trailers"),
        want("/file.bin")
            .with("TE", "trailers")
            .with("Range", "bytes=1-"),
        Request::get11("/file.bin").with("TE", "trailers"),
        Request::head11("/file.bin")
            .with("TE", "trailers")
            .with(WANT.0, WANT.1),
    ] {
        let seen = served.ask(&request);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert!(seen.header("content-length").is_some());
        assert_eq!(seen.header("repr-digest"), None);
        assert_eq!((seen.header("trailer"), seen.trailers.len()), (None, 0));
    }
    let seen = served.ask(&want("/file.bin").with("TE", "trailers"));
    assert!(
        seen.is_complete() && seen.body == pattern(LARGE),
        "{}",
        seen.verdict_line()
    );
    assert_eq!(seen.framing, Some(SeenFraming::Chunked));
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.header("trailer"), Some("Repr-Digest"));
    assert_eq!(hex(seen.trailer("repr-digest")), sum("sha256sum", &path));
}

#[test]
fn small_files_have_their_digest_before_them() {
    let served = Served::new(Growing::Fail);
    for octets in [0, 1, 32_768] {
        let path = served.write("file.bin", pattern(octets));
        for seen in [
            served.ask(&want("/file.bin")),
            h2(&served, "/file.bin", &[WANT]),
            served.ask(&Request::head11("/file.bin").with(WANT.0, WANT.1)),
        ] {
            assert!(seen.is_complete(), "{}", seen.verdict_line());
            assert_eq!(hex(seen.header("repr-digest")), sum("sha256sum", &path));
            assert_eq!(seen.header("content-length"), Some(&*octets.to_string()));
        }
    }
    for value in ["sha-256=0", "md5=10", "nonsense=", "sha-256=11", ""] {
        let seen = served.ask(&Request::get11("/file.bin").with(WANT.0, value));
        assert_eq!(
            (seen.status, seen.header("repr-digest")),
            (Some(200), None),
            "{value}"
        );
    }
}

#[test]
fn another_version_has_another_digest() {
    let served = Served::with(|files| files.digests(true));
    for number in 0..3 {
        let mut content = pattern(LARGE);
        content[LARGE - 1] = number;
        // As many octets, and the same time of modification.
        let path = served.write("file.bin", content);
        let seen = h2(&served, "/file.bin", &[WANT]);
        assert_eq!(hex(seen.trailer("repr-digest")), sum("sha256sum", &path));
        let text = served.get("/file.bin?hash").body;
        assert!(text.starts_with(sum("sha256sum", &path).as_bytes()));
    }
    // While a file is young it may change without a new time: nothing is remembered.
    fs::write(served.path("young.bin"), pattern(LARGE)).unwrap();
    for _ in 0..2 {
        let seen = h2(&served, "/young.bin", &[WANT]);
        assert!(seen.trailer("repr-digest").is_some());
        if seen
            .header("etag")
            .is_some_and(|tag| !tag.starts_with("W/"))
        {
            break;
        }
        assert_eq!(seen.header("repr-digest"), None);
    }
}

#[test]
fn a_file_that_changes_has_no_digest() {
    const SIZE: usize = 16 * 1024 * 1024;
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    for (tls, protocol) in [(false, "1.1"), (true, "1.1"), (false, "2"), (true, "2")] {
        let served = Served::over(Growing::Fail, tls);
        let path = served.write("file.bin", pattern(SIZE));
        let change = || {
            let file = File::options().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"x", SIZE as u64 - 1).unwrap();
        };
        let seen = if protocol == "2" {
            let tls = tls.then(|| ClientTls::new(&["h2"]));
            let pace = pace.clone().staying(Duration::from_millis(20));
            let mut connection =
                http2::Connection::connect(served.addr, tls.as_ref(), &pace).unwrap();
            let stream = connection.get("/file.bin", &[WANT]).unwrap();
            connection.read_until(stream, |seen| seen.status.is_some());
            change();
            connection.observe(stream)
        } else {
            let tls = tls.then(|| ClientTls::new(&["http/1.1"]));
            let mut session = Session::connect(served.addr, tls.as_ref(), &pace).unwrap();
            session
                .send(&want("/file.bin").with("TE", "trailers"))
                .unwrap();
            session.read_until(|seen| seen.status.is_some());
            change();
            session.read()
        };
        assert_eq!(seen.header("trailer"), Some("Repr-Digest"));
        assert!(
            !seen.is_complete() && seen.trailers.is_empty(),
            "{}",
            seen.verdict_line()
        );
        let record = served.record();
        assert_eq!(record.error_type(), Some("source_changed"));
        assert!(record.trailers_sent.is_empty());
    }
}

#[test]
fn digests_are_told_as_text_that_sha256sum_checks() {
    let served = Served::with(|files| files.digests(true));
    for name in ["large file.bin", "a/small.txt", "new\nline.bin"] {
        let octets = if name.starts_with('a') { 5 } else { LARGE };
        let path = served.write(name, pattern(octets));
        let address = name.replace(' ', "%20").replace('\n', "%0A");
        for (way, program) in [
            ("?hash", "sha256sum"),
            (".sha256", "sha256sum"),
            ("?hash=sha-256", "sha256sum"),
            ("?hash=sha-512", "sha512sum"),
            (".sha512", "sha512sum"),
        ] {
            let target = format!("/{address}{way}");
            let seen = served.get(&target);
            assert!(
                seen.status == Some(200) && seen.is_complete(),
                "{}",
                seen.verdict_line()
            );
            assert_eq!(
                seen.header("content-type"),
                Some("text/plain; charset=utf-8")
            );
            let mut check = Command::new(program)
                .args(["--check", "--strict", "--status"])
                .current_dir(path.parent().unwrap())
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            check.stdin.take().unwrap().write_all(&seen.body).unwrap();
            assert!(check.wait().unwrap().success(), "{target}");
            let head = served.ask(&Request::head11(&target));
            assert_eq!(
                head.header("content-length"),
                Some(&*seen.body.len().to_string())
            );
        }
    }
    // A real file comes first; another value means nothing; a folder has none.
    served.write("real.sha256", "real");
    served.write("real", "x");
    assert_eq!(served.get("/real.sha256").body, b"real");
    assert_eq!(served.get("/real?hash=3f2a").body, b"x");
    for path in [
        "/none.sha256",
        "/a.sha256",
        "/.sha256",
        "/real.sha256.sha384",
    ] {
        assert_eq!(served.get(path).status, Some(404), "{path}");
    }
}

#[test]
fn digests_as_text_are_off_unless_asked_for() {
    let served = Served::with(|files: Files| files);
    served.write("file.txt", "content");
    assert_eq!(served.get("/file.txt?hash").body, b"content");
    assert_eq!(served.get("/file.txt.sha256").status, Some(404));
}

#[test]
fn a_client_that_leaves_stops_the_work() {
    let served = Served::with(|files| files.digests(true));
    let path = served.path("huge.bin");
    // Hours of hashing, and not one block on the disk.
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    common::set_modified(&path, common::MODIFIED);
    let processors = std::thread::available_parallelism().unwrap().get();
    let leaving: Vec<_> = (0..processors + 1)
        .map(|_| {
            let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
            session.send(&Request::get11("/huge.bin?hash")).unwrap();
            session
        })
        .collect();
    // The head goes after a second; then they leave.
    for mut session in leaving {
        session.read_until(|seen| seen.status.is_some());
        session.close();
    }
    for _ in 0..processors + 1 {
        assert_eq!(served.record().ending.as_str(), "cancelled");
    }
    // Every turn is free again.
    let path = served.write("file.bin", pattern(LARGE));
    let text = served.get("/file.bin?hash").body;
    assert!(text.starts_with(sum("sha256sum", &path).as_bytes()));
}
