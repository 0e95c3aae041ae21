//! Which file is sent, under which name, and what else is said of it.
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use common::{MODIFIED, Served, pattern, set_modified};
use endwell_lab::observe::http1::Request;
use endwell_lab::observe::{Pace, Seen, http2};

const TIME: &str = "17979cfe362a0000";

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.header(name).unwrap_or("")
}

fn accepting(path: &str, value: &str) -> Request {
    Request::get11(path).with("Accept-Encoding", value)
}

fn page(path: &str) -> Request {
    Request::get11(path).with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

#[test]
fn siblings_are_sent_to_those_who_accept_them() {
    let served = Served::with(|files| files.precompressed(true));
    // What is in them is never looked at: here they say which one was sent.
    served.write("app.js", "plain plain");
    served.write("app.js.br", "brotli");
    served.write("app.js.zst", "zstandard");
    served.write("app.js.gz", "gzip gzip");
    for (value, body, coding) in [
        ("gzip, deflate, br, zstd", "brotli", "br"),
        ("gzip, zstd", "zstandard", "zstd"),
        ("gzip", "gzip gzip", "gzip"),
        ("br;q=0.1, gzip", "gzip gzip", "gzip"),
        ("identity;q=0, *;q=0.1", "brotli", "br"),
        ("identity", "plain plain", ""),
        ("br;q=0, gzip;q=0, *", "plain plain", ""),
        ("deflate", "plain plain", ""),
        ("", "plain plain", ""),
    ] {
        let fields = [("accept-encoding", value)];
        for seen in [
            served.ask(&accepting("/app.js", value)),
            http2::observe(served.addr, None, "/app.js", &fields, &Pace::fast()),
        ] {
            assert!(seen.status == Some(200) && seen.is_complete(), "{value}");
            assert_eq!(seen.body, body.as_bytes(), "{value}");
            assert_eq!(field(&seen, "content-encoding"), coding, "{value}");
            assert_eq!(field(&seen, "vary"), "Accept-Encoding");
            assert_eq!(
                field(&seen, "content-type"),
                "text/javascript; charset=utf-8"
            );
            assert_eq!(field(&seen, "content-length"), body.len().to_string());
            let dash = if coding.is_empty() { "" } else { "-" };
            let tag = format!("\"{:x}-{TIME}{dash}{coding}\"", body.len());
            assert_eq!(field(&seen, "etag"), tag);
        }
    }
    assert_eq!(served.get("/app.js").body, b"plain plain");
    for value in ["identity;q=0", "*;q=0"] {
        let seen = served.ask(&accepting("/app.js", value));
        assert!(seen.status == Some(406) && seen.is_complete());
        assert_eq!(field(&seen, "vary"), "Accept-Encoding");
    }
    let head = Request::head11("/app.js").with("Accept-Encoding", "gzip");
    assert_eq!(field(&served.ask(&head), "content-length"), "9");
    // Asked for by name it is a file like any other.
    let seen = served.ask(&accepting("/app.js.gz", "gzip, br"));
    assert_eq!(
        (field(&seen, "content-type"), &*seen.body),
        ("application/gzip", &b"gzip gzip"[..])
    );
    assert_eq!(
        (seen.header("content-encoding"), seen.header("vary")),
        (None, None)
    );
}

#[test]
fn conditions_and_ranges_are_those_of_the_coding() {
    let served = Served::with(|files| files.precompressed(true));
    let coded = pattern(5000);
    served.write("page.html", pattern(20_000));
    served.write("page.html.gz", &coded);
    let tag = format!("\"1388-{TIME}-gzip\"");
    let ask = |name, value: &str| served.ask(&accepting("/page.html", "gzip").with(name, value));
    let seen = ask("If-None-Match", &tag);
    assert_eq!(
        (seen.status, field(&seen, "vary")),
        (Some(304), "Accept-Encoding")
    );
    assert_eq!(field(&seen, "etag"), tag);
    let other = ask("If-None-Match", &format!("\"1388-{TIME}\""));
    assert_eq!(other.status, Some(200));
    let seen = served.ask(&Request::get11("/page.html").with("If-None-Match", &tag));
    assert!(seen.status == Some(200) && seen.body == pattern(20_000));
    let seen = ask("Range", "bytes=10-99");
    assert!(seen.status == Some(206) && seen.body == coded[10..100]);
    assert_eq!(field(&seen, "content-range"), "bytes 10-99/5000");
    assert_eq!(field(&seen, "content-encoding"), "gzip");
    let seen = ask("Range", "bytes=0-9,100-199");
    assert_eq!(
        (seen.status, field(&seen, "content-encoding")),
        (Some(206), "gzip")
    );
    let request = accepting("/page.html", "gzip").with("Range", "bytes=10-99");
    let with = |value: &str| served.ask(&request.clone().with("If-Range", value)).status;
    assert_eq!(with(&tag), Some(206));
    assert_eq!(with(&format!("\"4e20-{TIME}\"")), Some(200));
}

#[test]
fn siblings_that_are_older_or_no_files_are_not_sent() {
    let served = Served::with(|files| files.precompressed(true));
    served.write("a.txt", "plain");
    set_modified(&served.write("a.txt.br", "old"), MODIFIED - 1);
    fs::create_dir(served.path("a.txt.zst")).unwrap();
    fs::write(served.outside("secret"), "secret").unwrap();
    symlink(served.outside("secret"), served.path("a.txt.gz")).unwrap();
    let seen = served.ask(&accepting("/a.txt", "br, zstd, gzip"));
    assert_eq!(
        (&*seen.body, field(&seen, "vary")),
        (&b"plain"[..], "Accept-Encoding")
    );
    set_modified(&served.path("a.txt.br"), MODIFIED + 1);
    let seen = served.ask(&accepting("/a.txt", "br, zstd, gzip"));
    assert_eq!(seen.body, b"old");
    // A sibling alone is not the file.
    served.write("b.txt.br", "alone");
    assert_eq!(served.ask(&accepting("/b.txt", "br")).status, Some(404));
    // A digest is that of the octets that are sent.
    let plain = Request::get11("/a.txt").with("Want-Repr-Digest", "sha-256=1");
    let coded = plain.clone().with("Accept-Encoding", "br");
    let digests =
        [plain, coded].map(|request| field(&served.ask(&request), "repr-digest").to_owned());
    // printf plain | openssl dgst -sha256 -binary | base64, and the same of old.
    assert_eq!(
        digests,
        [
            "sha-256=:oRbJ7UbWIHc0pDMX0w/Yj1KshjTDfZBLv05B2GX5BHU=:",
            "sha-256=:y6BrVzb69n5UsHtWHq6UOV53TFF6fZEKVDaeEmPM+9Q=:"
        ]
    );
}

#[test]
fn siblings_are_left_alone_unless_asked_for() {
    let served = Served::with(|files| files);
    served.write("a.txt", "plain");
    served.write("a.txt.br", "brotli");
    let seen = served.ask(&accepting("/a.txt", "br, identity;q=0"));
    assert_eq!((&*seen.body, seen.header("vary")), (&b"plain"[..], None));
}

#[test]
fn routes_of_an_application_get_its_page() {
    let served = Served::with(|files| {
        files
            .spa(Some("index.html".into()))
            .not_found_page("404.html")
    });
    served.write("index.html", "<p>app");
    served.write("404.html", "<p>nothing");
    served.write("file.txt", "content");
    for path in ["/users", "/users/7", "/users/", "/users/7?tab=1"] {
        let seen = served.ask(&page(path));
        assert!(seen.status == Some(200) && seen.is_complete(), "{path}");
        assert_eq!(
            (&*seen.body, field(&seen, "vary")),
            (&b"<p>app"[..], "Accept"),
            "{path}"
        );
        let again = page(path).with("If-None-Match", field(&seen, "etag"));
        assert_eq!(served.ask(&again).status, Some(304), "{path}");
        let seen = served.get(path);
        assert_eq!(
            (seen.status, &*seen.body),
            (Some(404), &b"<p>nothing"[..]),
            "{path}"
        );
        assert_eq!(field(&seen, "vary"), "Accept", "{path}");
    }
    for path in [
        "/app.js",
        "/users/a.b",
        "/.git/config",
        "/.well-known/change-password",
        "/../x",
        "//users",
        "/users/..",
    ] {
        let seen = served.ask(&page(path));
        assert_eq!(
            (seen.status, &*seen.body),
            (Some(404), &b"<p>nothing"[..]),
            "{path}"
        );
        assert_eq!(seen.header("vary"), None, "{path}");
    }
    assert_eq!(served.ask(&page("/file.txt")).body, b"content");
    assert_eq!(field(&served.ask(&page("/")), "vary"), "");
}

#[test]
fn a_page_for_what_is_not_found_stays_a_404() {
    let served = Served::with(|files| files.not_found_page("errors/404.html"));
    let path = served.write("errors/404.html", "<p>nothing");
    for request in [
        Request::get11("/none"),
        Request::get11("/none").with("If-None-Match", "*"),
        Request::get11("/none").with("If-Match", "\"x\""),
        Request::get11("/none").with("Range", "bytes=0-1"),
        Request::get11("/none").with("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        Request::get10("/none"),
    ] {
        let seen = served.ask(&request);
        assert!(
            seen.is_complete() && seen.body == b"<p>nothing",
            "{}",
            seen.verdict_line()
        );
        assert_eq!(seen.status, Some(404));
        assert_eq!(field(&seen, "content-type"), "text/html; charset=utf-8");
        assert_eq!(field(&seen, "cache-control"), "no-cache");
        for name in ["etag", "last-modified", "accept-ranges", "content-range"] {
            assert_eq!(seen.header(name), None, "{name}");
        }
    }
    let head = served.ask(&Request::head11("/none"));
    assert_eq!(
        (head.status, field(&head, "content-length")),
        (Some(404), "10")
    );
    let post = Request::raw("POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(served.ask(&post).status, Some(405));
    fs::remove_file(path).unwrap();
    assert_eq!(served.get("/none").body, b"404 Not Found: /none\n");
}

#[test]
fn downloads_have_the_name_of_the_file() {
    let served = Served::with(|files| files);
    served.write("été.pdf", "x");
    served.write("a b.txt", "x");
    for (path, expected) in [
        ("/a%20b.txt?download", "attachment; filename=\"a b.txt\""),
        (
            "/a%20b.txt?x=1&download=1",
            "attachment; filename=\"a b.txt\"",
        ),
        (
            "/%C3%A9t%C3%A9.pdf?download",
            "attachment; filename=\"_t_.pdf\"; filename*=UTF-8''%C3%A9t%C3%A9.pdf",
        ),
        ("/a%20b.txt?download=evil.exe", ""),
        ("/a%20b.txt", ""),
    ] {
        assert_eq!(
            field(&served.get(path), "content-disposition"),
            expected,
            "{path}"
        );
    }
    let part = Request::get11("/a%20b.txt?download").with("Range", "bytes=0-0");
    assert_eq!(
        field(&served.ask(&part), "content-disposition"),
        "attachment; filename=\"a b.txt\""
    );
    assert_eq!(
        served.get("/none?download").header("content-disposition"),
        None
    );
}

#[test]
fn an_index_may_have_another_name_or_none() {
    let served = Served::with(|files| files.index(Some("home.htm".into())));
    served.write("index.html", "index");
    served.write("home.htm", "home");
    assert_eq!(served.get("/").body, b"home");
    let served = Served::with(|files| files.index(None));
    served.write("index.html", "index");
    assert!(served.get("/").body.starts_with(b"<!doctype html>"));
}

#[test]
fn what_is_said_of_files_for_caches_is_said_of_files_only() {
    let control = "public, max-age=60";
    let served = Served::with(|files| files.cache_control(control.parse().unwrap()));
    served.write("file.txt", "content");
    let ask = |name, value| served.ask(&Request::get11("/file.txt").with(name, value));
    for seen in [
        ask("X-None", ""),
        ask("If-None-Match", "*"),
        ask("Range", "bytes=1-2"),
        served.ask(&Request::head11("/file.txt")),
    ] {
        assert_eq!(field(&seen, "cache-control"), control);
    }
    assert_eq!(served.get("/none").header("cache-control"), None);
    assert_eq!(ask("If-Match", "\"x\"").header("cache-control"), None);
    assert_eq!(field(&served.get("/"), "cache-control"), "no-cache");
}

#[test]
fn hidden_files_are_found_only_if_asked_for() {
    for hidden in [false, true] {
        let served = Served::with(|files| files.hidden(hidden));
        for name in [".env", ".git/config", "a/.b", ".well-known/.x"] {
            served.write(name, "hidden");
            let status = if hidden { 200 } else { 404 };
            assert_eq!(
                served.get(&format!("/{name}")).status,
                Some(status),
                "{name}"
            );
        }
        served.write(".well-known/security.txt", "Contact:");
        assert_eq!(served.get("/.well-known/security.txt").body, b"Contact:");
        assert_eq!(served.get("/../outside").status, Some(404));
        assert_eq!(served.get("/a/../.env").status, Some(404));
    }
}

#[test]
fn links_that_lead_out_are_followed_only_if_asked_for() {
    for follow in [false, true] {
        let served = Served::with(|files| files.follow_symlinks(follow));
        fs::create_dir(served.outside("other")).unwrap();
        fs::write(served.outside("other/file.txt"), "elsewhere").unwrap();
        symlink(served.outside("other"), served.path("link")).unwrap();
        symlink("loop", served.path("loop")).unwrap();
        for (path, status) in [("/link/file.txt", 200), ("/link/", 200), ("/link", 301)] {
            let status = if follow { status } else { 404 };
            let seen = served.get(path);
            assert_eq!(
                (seen.status, seen.is_complete()),
                (Some(status), true),
                "{path}"
            );
        }
        for path in ["/loop", "/link/../secret", "/../other/file.txt"] {
            assert_eq!(served.get(path).status, Some(404), "{path}");
        }
    }
}
