//! What a folder answers: pages, JSON, and nothing.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use common::{MODIFIED, Served, pattern, set_modified};
use endwell_gateway::{Archives, Files, Growing};
use endwell_lab::observe::http1::Request;
use endwell_lab::observe::{Pace, Seen, SeenFraming, http2};
use serde_json::Value;

fn served() -> Served {
    Served::new(Growing::Fail)
}

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.header(name).unwrap_or("")
}

fn page(seen: Seen) -> String {
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    String::from_utf8(seen.body).expect("text")
}

fn json(seen: Seen) -> Value {
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(field(&seen, "content-type"), "application/json");
    serde_json::from_slice(&seen.body).expect("JSON")
}

fn names(listing: &Value) -> Vec<&str> {
    let entries = listing["entries"].as_array().expect("entries");
    let names = entries.iter().filter_map(|entry| entry["name"].as_str());
    names.collect()
}

#[test]
fn archives_are_linked_with_the_size_that_they_have() {
    let served = served();
    served.write("box/file", pattern(1500));
    served.write("box/sub/other", "x");
    served.write("bare/index.html", "x");
    let archive = served.ask(&Request::head11("/box/?archive=tar"));
    let octets = field(&archive, "content-length");
    assert_eq!(octets, "5120");
    let page = page(served.get("/box/"));
    let line = "<p>Download all as <a href=\"./?archive=tar\" rel=\"nofollow\">tar</a> \
                <span title=\"5,120 octets\">(5.1 kB)</span>, \
                <a href=\"./?archive=tar.gz\" rel=\"nofollow\">tar.gz</a>, \
                <a href=\"./?archive=tar.zst\" rel=\"nofollow\">tar.zst</a> or \
                <a href=\"./?archive=zip\" rel=\"nofollow\">zip</a></p>\n";
    // A machine that is busy does not list a folder in time; then there is no size.
    let unknown = line.replace(" <span title=\"5,120 octets\">(5.1 kB)</span>", "");
    assert!(page.contains(line) || page.contains(&unknown), "{page}");
    let listing = json(served.get("/box/?list=json"));
    let archives = listing["archives"].as_array().expect("archives");
    assert_eq!(archives.len(), 4);
    assert_eq!(archives[3]["href"], "./?archive=zip");
    let size = &archives[0]["size"];
    assert!(*size == 5120 || size.is_null(), "{size}");

    let without = Served::with(|files| files.archives(Archives::Never));
    without.write("file", "x");
    assert!(!self::page(without.get("/")).contains("?archive="));
    assert!(json(without.get("/?list=json")).get("archives").is_none());
}

fn with(path: &str, fields: &str) -> Request {
    Request::raw(format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
    ))
}

#[test]
fn a_folder_is_its_index_or_a_page() {
    let served = served();
    served.write("b.txt", pattern(1500));
    served.write("a&b/.hidden", "x");
    served.write("with/index.html", "<p>index");
    served.write("strange/index.html/file", "x");
    symlink(served.outside("none"), served.path("gone")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"not utf8 \xff");
    fs::write(served.path("").join(name), "latin").unwrap();
    for seen in [
        served.get("/"),
        http2::observe(served.addr, None, "/", &[], &Pace::fast()),
    ] {
        assert_eq!(seen.status, Some(200));
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("vary", "Accept"),
            ("x-content-type-options", "nosniff"),
            ("etag", ""),
        ] {
            assert_eq!(field(&seen, name), value);
        }
        let policy = field(&seen, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        let page = page(seen);
        let places: Vec<_> = [
            "./a%26b/\"><bdi>a&amp;b</bdi>/",
            "./strange/",
            "./with/",
            "./b.txt",
            ">gone<",
        ]
        .into_iter()
        .map(|text| {
            page.find(text)
                .unwrap_or_else(|| panic!("{text} in {page}"))
        })
        .collect();
        assert!(places.is_sorted(), "folders first: {page}");
        assert!(page.contains(">1.5 kB<") && page.contains(">2023-11-14 22:13<"));
        for absent in [".hidden", "<script", "\"../\""] {
            assert!(!page.contains(absent), "{absent}");
        }
        assert!(page.contains("./not%20utf8%20%FF"));
        assert!(page.contains("3 folders, 2 files, 1 other entry"));
    }
    assert_eq!(served.get("/").framing, Some(SeenFraming::Chunked));
    assert_eq!(served.get("/not%20utf8%20%FF").body, b"latin");
    let below = page(served.get("/a%26b/"));
    assert!(below.contains("<a href=\"../\">") && below.contains("<title>/a&amp;b/</title>"));
    assert!(below.contains("Nothing to show"));
    // A listing that is asked for does not show what an index hides.
    for path in ["/with/", "/with/?list=json"] {
        let index = served.get(path);
        assert_eq!(index.body, b"<p>index", "{path}");
        assert_eq!(field(&index, "content-type"), "text/html; charset=utf-8");
    }
    assert!(served.get("/strange/").body.starts_with(b"<!doctype html>"));
}

#[test]
fn a_folder_of_many_files_is_listed_whole() {
    let served = served();
    for number in 0..3000 {
        fs::write(served.path("").join(format!("file-{number}")), "x").unwrap();
    }
    let page = page(served.get("/"));
    assert_eq!(page.matches("<a href=\"./file-").count(), 3000);
    assert!(page.contains("End of the list: 3,000 entries") && page.ends_with("</html>\n"));
    assert_eq!(names(&json(served.get("/?list=json"))).len(), 3000);
    // Closed by the connection alone: the length is not known in time.
    let old = served.ask(&Request::get10("/"));
    assert_eq!(old.body, page.as_bytes());
}

#[test]
fn h11_client_leaves_and_the_listing_stops() {
    let served = served();
    for number in 0..20_000 {
        let name = format!("{}-{number}", "n".repeat(200));
        File::create(served.path("").join(name)).unwrap();
    }
    // Each row has its name twice.
    let whole = 20_000 * 400;
    let mut tcp = TcpStream::connect(served.addr).unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    tcp.read_exact(&mut [0; 1000]).unwrap();
    drop(tcp);
    let record = served.record();
    assert_eq!(record.ending.as_str(), "cancelled");
    let produced = record.tally.produced;
    assert!(0 < produced && produced < whole, "{produced} octets");
}

#[test]
fn head_says_what_get_says_and_sends_nothing() {
    let served = served();
    served.write("file", "x");
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/?list=json", "application/json"),
    ] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let seen = served.ask(&Request::raw(request));
        assert_eq!((seen.status, seen.body.len()), (Some(200), 0));
        assert_eq!(field(&seen, "content-type"), media_type);
        assert_eq!(field(&seen, "cache-control"), "no-cache");
        assert_eq!(field(&seen, "content-length"), "");
        assert_eq!(served.record().ending.as_str(), "complete");
    }
}

#[test]
fn entries_are_sorted_as_asked_in_both_forms() {
    let served = served();
    for (name, octets, age) in [("a10", 5, 30), ("a9", 70, 10), ("B", 5, 20)] {
        let path = served.write(name, pattern(octets));
        set_modified(&path, MODIFIED - age);
    }
    served.write("z/file", "x");
    for (query, expected) in [
        ("", ["z", "a9", "a10", "B"]),
        ("&sort=name&order=desc", ["z", "B", "a10", "a9"]),
        ("&sort=size", ["z", "a10", "B", "a9"]),
        ("&sort=size&order=desc", ["z", "a9", "a10", "B"]),
        ("&sort=time&order=asc", ["z", "a10", "B", "a9"]),
        ("&sort=time&order=desc", ["z", "a9", "B", "a10"]),
        ("&sort=%22%3E&order=%3Cb%3E", ["z", "a9", "a10", "B"]),
    ] {
        let listing = json(served.get(&format!("/?list=json{query}")));
        assert_eq!(names(&listing), expected, "{query}");
        let page = page(served.get(&format!("/?list=html{query}")));
        let places = expected.map(|name| page.find(&format!("<bdi>{name}</bdi>")));
        assert!(places.is_sorted() && places[0].is_some(), "{query}");
        assert_eq!(page.matches("aria-sort=\"").count(), 1, "{query}");
        assert!(
            !page.contains("%22%3E") && !page.contains("%3Cb"),
            "{query}"
        );
    }
}

#[test]
fn json_names_every_entry_without_loss() {
    let served = Served::with(|files| files.archives(Archives::Never));
    served.write("with space/file", "x");
    served.write("file", pattern(1234));
    symlink("file", served.path("inside")).unwrap();
    symlink("/etc", served.path("outside")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9\\");
    fs::write(served.path("").join(name), "latin").unwrap();
    let folder = File::open(served.path("with space")).unwrap();
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(MODIFIED);
    folder.set_modified(modified).unwrap();
    set_modified(&served.path("file"), MODIFIED);
    let body = String::from_utf8(served.get("/?list=json").body).unwrap();
    assert_eq!(
        body,
        r#"{"path":"/","entries":[
{"name":"with space","type":"folder","modified":"2023-11-14T22:13:20Z","href":"./with%20space/"},
{"name":"caf�\\","type":"unreadable","href":"./caf%E9%5C"},
{"name":"file","type":"file","size":1234,"modified":"2023-11-14T22:13:20Z","href":"./file"},
{"name":"inside","type":"file","size":1234,"modified":"2023-11-14T22:13:20Z","href":"./inside"},
{"name":"outside","type":"link","href":"./outside"}
]}
"#
    );
    let below = json(served.get("/with%20space/?list=json"));
    assert_eq!(below["path"], "/with space/");
}

#[test]
fn accept_chooses_the_form() {
    let served = served();
    served.write("file", "x");
    let json = "application/json";
    for (path, accept, media_type) in [
        ("/", json, json),
        ("/", "application/json, text/plain, */*", json),
        ("/", "*/*", "text/html; charset=utf-8"),
        ("/?list=html", json, "text/html; charset=utf-8"),
    ] {
        let seen = served.ask(&with(path, &format!("Accept: {accept}\r\n")));
        assert_eq!(field(&seen, "content-type"), media_type, "{path} {accept}");
        assert_eq!(field(&seen, "vary"), "Accept");
    }
}

#[test]
fn what_may_not_be_read_is_marked() {
    let served = served();
    let path = served.write("secret", "x");
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    // Root may read it all the same.
    let readable = File::open(&path).is_ok();
    let listing = json(served.get("/?list=json"));
    let expected = if readable { "file" } else { "unreadable" };
    assert_eq!(listing["entries"][0]["type"], expected);
    let page = page(served.get("/"));
    assert_eq!(page.contains(">not readable<"), !readable);
    assert_eq!(page.contains("href=\"./secret\""), readable);
    let status = if readable { 200 } else { 403 };
    assert_eq!(served.get("/secret").status, Some(status));
}

#[test]
fn listings_can_be_switched_off() {
    let served = Served::with(|files: Files| files.listing(false));
    served.write("with/index.html", "<p>index");
    served.write("without/file", "content");
    for path in ["/", "/?list=json", "/without/"] {
        let seen = served.get(path);
        assert_eq!(seen.status, Some(404), "{path}");
        assert!(!seen.body.windows(4).any(|octets| octets == b"file"));
    }
    assert_eq!(served.get("/with/").body, b"<p>index");
    assert_eq!(served.get("/without/file").body, b"content");
}
