//! What a served folder answers, octet by octet.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Served, pattern};
use endwell_gateway::{Files, Growing};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{Pace, Seen, SeenFraming, http2};

const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
/// 1,700,000,000 s in nanoseconds.
const TIME: &str = "17979cfe362a0000";

fn served() -> Served {
    Served::new(Growing::Fail)
}

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.header(name).unwrap_or("")
}

fn method(method: &str, path: &str) -> Request {
    Request::raw(format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ))
}

#[test]
fn files_of_every_size_arrive_whole() {
    let served = served();
    for octets in [0, 1, 32_767, 32_768, 32_769, 98_304, 98_305, 3_000_001] {
        let content = pattern(octets);
        served.write("file.txt", &content);
        for seen in [
            served.get("/file.txt"),
            served.ask(&Request::get10("/file.txt")),
            http2::observe(served.addr, None, "/file.txt", &[], &Pace::fast()),
        ] {
            assert!(
                seen.is_complete() && seen.body == content,
                "{}",
                seen.verdict_line()
            );
            assert_eq!(seen.status, Some(200));
            assert_eq!(field(&seen, "content-length"), octets.to_string());
            assert_eq!(field(&seen, "content-type"), "text/plain; charset=utf-8");
            assert_eq!(field(&seen, "x-content-type-options"), "nosniff");
            assert_eq!(field(&seen, "accept-ranges"), "bytes");
            assert_eq!(field(&seen, "last-modified"), DATE);
            assert_eq!(field(&seen, "etag"), format!("\"{octets:x}-{TIME}\""));
            assert_eq!(served.record().ending.as_str(), "complete");
        }
    }
}

#[test]
fn head_is_a_get_without_its_body() {
    let served = served();
    served.write("file.txt", pattern(100_000));
    let (get, head) = (
        served.get("/file.txt"),
        served.ask(&Request::head11("/file.txt")),
    );
    assert_eq!(head.framing, Some(SeenFraming::NoBody));
    let without_date = |seen: &Seen| {
        let mut fields = seen.headers.clone();
        fields.retain(|(name, _)| name != "date");
        fields.sort();
        fields
    };
    assert_eq!(without_date(&get), without_date(&head));
    let ranged = Request::head11("/file.txt").with("Range", "bytes=0-1");
    assert_eq!(served.ask(&ranged).status, Some(200));
    for path in ["/none", "/"] {
        let head = served.ask(&Request::head11(path));
        assert_eq!(head.status, served.get(path).status, "{path}");
    }
}

#[test]
fn keep_alive_survives_every_answer() {
    let served = served();
    served.write("file.txt", "content");
    let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
    for (request, status) in [
        (Request::get11("/file.txt"), 200),
        (Request::head11("/file.txt"), 200),
        (Request::get11("/none"), 404),
        (Request::get11("/file.txt").with("If-None-Match", "*"), 304),
        (Request::get11("/file.txt").with("If-Match", "\"x\""), 412),
        (Request::get11("/file.txt").with("Range", "bytes=2-3"), 206),
        (Request::get11("/file.txt").with("Range", "bytes=9-"), 416),
        (method("OPTIONS", "/"), 204),
        (method("DELETE", "/file.txt"), 405),
        (Request::get11("/"), 200),
        (Request::get11("/file.txt"), 200),
    ] {
        let seen = session.exchange(&request);
        assert_eq!(seen.status, Some(status), "{}", seen.verdict_line());
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
}

#[test]
fn ranges_are_the_octets_asked_for() {
    let served = served();
    let content = pattern(100_000);
    served.write("file.bin", &content);
    served.write("empty", "");
    let ask = |value| served.ask(&Request::get11("/file.bin").with("Range", value));
    for (value, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99999", 0, 100_000),
        ("bytes=0-200000", 0, 100_000),
        ("bytes=7-", 7, 100_000),
        ("bytes=-1", 99_999, 100_000),
        ("bytes=-40000", 60_000, 100_000),
        ("bytes=-200000", 0, 100_000),
        ("bytes=30000-70000", 30_000, 70_001),
    ] {
        let seen = ask(value);
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(206), true),
            "{value}"
        );
        assert!(seen.body == content[from..to], "{value}");
        let range = format!("bytes {from}-{}/100000", to - 1);
        assert_eq!(field(&seen, "content-range"), range);
        assert_eq!(field(&seen, "content-length"), (to - from).to_string());
        assert_eq!(field(&seen, "etag"), format!("\"186a0-{TIME}\""));
        assert_eq!(field(&seen, "content-type"), "application/octet-stream");
    }
    for value in ["bytes=100000-", "bytes=-0"] {
        let seen = ask(value);
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(416), true),
            "{value}"
        );
        assert_eq!(field(&seen, "content-range"), "bytes */100000");
    }
    for value in [
        "bytes=1-2,5-4",
        "bytes=5-2",
        "bytes=x",
        "lines=1-2",
        "bytes",
    ] {
        let seen = ask(value);
        assert!(seen.status == Some(200) && seen.body == content, "{value}");
        assert_eq!(seen.header("content-range"), None);
    }
    let empty = |value| served.ask(&Request::get11("/empty").with("Range", value));
    assert_eq!(field(&empty("bytes=0-"), "content-range"), "bytes */0");
    assert_eq!(empty("bytes=-1").status, Some(200));
    let twice = Request::get11("/file.bin")
        .with("Range", "bytes=0-1")
        .with("Range", "bytes=2-3");
    assert_eq!(served.ask(&twice).status, Some(200));
}

#[test]
fn a_range_of_another_version_is_the_whole_file() {
    let served = served();
    served.write("file.bin", pattern(1000));
    fs::write(served.path("young.bin"), pattern(1000)).unwrap();
    let tag = format!("\"3e8-{TIME}\"");
    let weak = format!("W/{tag}");
    let ask = |path, validator| {
        let request = Request::get11(path).with("Range", "bytes=5-9");
        served.ask(&request.with("If-Range", validator)).status
    };
    assert_eq!(ask("/file.bin", tag.as_str()), Some(206));
    assert_eq!(ask("/file.bin", DATE), Some(206));
    for other in [
        &weak,
        "\"x\"",
        "Tue, 14 Nov 2023 22:13:21 GMT",
        "nonsense",
        "*",
    ] {
        assert_eq!(ask("/file.bin", other), Some(200), "{other}");
    }
    let young = served.get("/young.bin");
    assert!(field(&young, "etag").starts_with("W/\"3e8-"));
    for validator in [field(&young, "etag"), field(&young, "last-modified")] {
        assert_eq!(ask("/young.bin", validator), Some(200), "{validator}");
    }
}

#[test]
fn conditions_are_met_or_not() {
    let served = served();
    served.write("file.bin", pattern(1000));
    let tag = format!("\"3e8-{TIME}\"");
    let weak = format!("W/{tag}");
    for (name, value, status) in [
        ("If-None-Match", tag.as_str(), 304),
        ("If-None-Match", &weak, 304),
        ("If-None-Match", "\"x\"", 200),
        ("If-Modified-Since", DATE, 304),
        ("If-Modified-Since", "Tue, 14 Nov 2023 22:13:19 GMT", 200),
        ("If-Match", &tag, 200),
        ("If-Match", "*", 200),
        ("If-Match", &weak, 412),
        ("If-Unmodified-Since", DATE, 200),
        ("If-Unmodified-Since", "Tue, 14 Nov 2023 22:13:19 GMT", 412),
    ] {
        let seen = served.ask(&Request::get11("/file.bin").with(name, value));
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(status), true),
            "{name}: {value}"
        );
        if status == 304 {
            assert_eq!(
                (field(&seen, "etag"), field(&seen, "last-modified")),
                (&*tag, DATE)
            );
            assert_eq!((seen.header("content-type"), seen.body.len()), (None, 0));
            let head = served.ask(&Request::head11("/file.bin").with(name, value));
            assert_eq!(head.status, Some(304));
        }
    }
}

#[test]
fn other_methods_are_told_which_there_are() {
    let served = served();
    served.write("file.txt", "content");
    for name in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"] {
        let seen = served.ask(&method(name, "/file.txt"));
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(405), true),
            "{name}"
        );
        assert_eq!(field(&seen, "allow"), "GET, HEAD, OPTIONS");
        assert_eq!(seen.body, b"405 Method Not Allowed: /file.txt\n");
    }
    for path in ["/file.txt", "*", "/none"] {
        let seen = served.ask(&method("OPTIONS", path));
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(204), true),
            "{path}"
        );
        assert_eq!(field(&seen, "allow"), "GET, HEAD, OPTIONS");
    }
}

#[test]
fn nothing_outside_the_folder_is_found() {
    let served = served();
    fs::write(served.outside("secret"), "secret").unwrap();
    served.write("a/file.txt", "content");
    served.write(".hidden", "hidden");
    served.write(".git/config", "hidden");
    symlink(served.outside("secret"), served.path("link")).unwrap();
    symlink("../secret", served.path("relative")).unwrap();
    symlink("..", served.path("up")).unwrap();
    symlink("loop", served.path("loop")).unwrap();
    symlink("a/file.txt", served.path("inside.txt")).unwrap();
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/%2E%2E/secret",
        "/.%2e/secret",
        "/..%2fsecret",
        "/a/../../secret",
        "/a/..%2f..%2fsecret",
        "/..\\secret",
        "/..%5csecret",
        "/a/..",
        "/a/.",
        "/./a/file.txt",
        "//",
        "//a/file.txt",
        "//secret",
        "/a//file.txt",
        "/a/%00",
        "/a/file.txt%00.html",
        "/%252e%252e/secret",
        "/a%2ffile.txt",
        "/a/file.txt/",
        "/a/file.txt/x",
        "/.hidden",
        "/%2ehidden",
        "/.git/",
        "/.git/config",
        "/link",
        "/relative",
        "/up",
        "/up/",
        "/up/secret",
        "/loop",
        "/none",
        &format!("/{}", "n".repeat(300)),
    ] {
        let seen = served.get(path);
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(404), true),
            "{path}"
        );
        assert_eq!(seen.body, format!("404 Not Found: {path}\n").as_bytes());
        assert_eq!(field(&seen, "content-type"), "text/plain; charset=utf-8");
    }
    assert_eq!(served.get("/inside.txt").body, b"content");
    assert_eq!(served.get("/a%2Ftxt").status, Some(404));
    assert_eq!(served.get("/%61/file%2Etxt?query#x").body, b"content");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let served = served();
    let pipe = served.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(served.path("socket")).unwrap();
    symlink("/dev/zero", served.path("zero")).unwrap();
    for path in ["/pipe", "/socket", "/zero"] {
        assert_eq!(served.get(path).status, Some(404), "{path}");
    }
    let page = String::from_utf8(served.get("/").body).unwrap();
    assert_eq!(page.matches(">not a file<").count(), 2, "{page}");
    assert_eq!(page.matches(">link to elsewhere<").count(), 1, "{page}");
}

#[test]
fn folders_end_in_a_slash() {
    let served = served();
    served.write("a/b c/file.txt", "content");
    served.write("javascript:x/file.txt", "content");
    for (path, location) in [
        ("/a", "./a/"),
        ("/a/b%20c", "./b%20c/"),
        ("/a?x=//evil", "./a/?x=//evil"),
        ("/javascript:x", "./javascript:x/"),
    ] {
        let seen = served.get(path);
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(301), true),
            "{path}"
        );
        assert_eq!(field(&seen, "location"), location);
    }
}

#[test]
fn a_root_may_be_a_link_that_is_set_anew() {
    let served = served();
    let (first, second) = (served.outside("first"), served.outside("second"));
    for (folder, content) in [(&first, "first"), (&second, "second")] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), content).unwrap();
    }
    let public = served.outside("public");
    fs::remove_dir(&public).unwrap();
    for (folder, content) in [(&first, "first"), (&second, "second")] {
        if public.is_symlink() {
            fs::remove_file(&public).unwrap();
        }
        symlink(folder, &public).unwrap();
        // The folder is held open for a moment.
        let until = Instant::now() + Duration::from_secs(20);
        while served.get("/file").body != content.as_bytes() {
            assert!(Instant::now() < until, "{content}");
        }
    }
}

#[test]
fn only_a_folder_is_served() {
    let served = served();
    let file = served.write("file", "x");
    let kind = |path| Files::new(path).map_err(|error| error.kind()).err();
    assert_eq!(kind(file), Some(std::io::ErrorKind::NotADirectory));
    assert_eq!(
        kind(served.outside("none")),
        Some(std::io::ErrorKind::NotFound)
    );
}

#[test]
fn a_size_that_lies_is_a_real_500() {
    let served = served();
    fs::remove_dir(served.outside("public")).unwrap();
    symlink("/proc/self", served.outside("public")).unwrap();
    let seen = served.get("/status");
    assert_eq!((seen.status, seen.is_complete()), (Some(500), true));
    let record = served.record();
    assert_eq!(
        (record.ending.as_str(), record.error_type()),
        ("failed", Some("source_changed"))
    );
}

#[test]
fn a_304_to_head_promises_nothing() {
    let served = served();
    served.write("file.txt", "content");
    let seen = served.ask(&Request::head11("/file.txt").with("If-None-Match", "*"));
    assert_eq!(seen.status, Some(304));
    assert_eq!(seen.header("content-length"), None);
}

#[test]
fn a_body_of_a_get_is_no_request() {
    let served = served();
    served.write("file.txt", "content");
    let inner = "GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = inner.len();
    for body in [
        format!("Content-Length: {length}\r\n\r\n{inner}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{inner}\r\n0\r\n\r\n"),
    ] {
        let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
        let request = format!("GET /file.txt HTTP/1.1\r\nHost: localhost\r\n{body}");
        let seen = session.exchange(&Request::raw(request));
        assert!(seen.is_complete() && seen.body == b"content");
        // Either the next answer is that of the next request, or the connection is over.
        let next = session.exchange(&Request::get11("/file.txt"));
        assert!(
            matches!(next.status, None | Some(200)),
            "{}",
            next.verdict_line()
        );
    }
}
