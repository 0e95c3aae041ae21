//! Folders as archives: what is in them, ranges of them, and what they are answered with.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use common::{MODIFIED, Served, pattern};
use endwell::Ending;
use endwell_gateway::{ArchiveOnError, Archives};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{Pace, Seen};

const TAR: &str = "/tree/?archive=tar";

/// A tree with what archives trip over.
fn nasty(served: &Served) {
    let tree = |name: &str| served.path(&format!("tree/{name}"));
    for (name, octets) in [
        ("empty", 0),
        ("block", 512),
        ("b\nreak", 3),
        ("großé", 5000),
        ("big", 300_000),
    ] {
        fs::write(tree(name), pattern(octets)).unwrap();
    }
    fs::write(
        tree("x").with_file_name(std::ffi::OsStr::from_bytes(b"caf\xe9")),
        "latin",
    )
    .unwrap();
    let long = "x".repeat(120);
    let not_text = [0xe9; 120];
    fs::write(
        tree("x").with_file_name(std::ffi::OsStr::from_bytes(&not_text)),
        long,
    )
    .unwrap();
    let deep = tree(&format!("{}/{}/file", "d".repeat(120), "e".repeat(200)));
    fs::write(deep, "deep").unwrap();
    fs::create_dir(tree("nothing in it")).unwrap();
    for (target, name) in [("loop", "loop"), ("/etc/passwd", "out"), ("big", "link")] {
        std::os::unix::fs::symlink(target, tree(name)).unwrap();
    }
    std::os::unix::fs::symlink("t".repeat(300), tree("far")).unwrap();
    let pipe = rustix::fs::mkfifoat(rustix::fs::CWD, tree("pipe"), rustix::fs::Mode::RUSR);
    pipe.unwrap();
    age(&served.path("tree"));
}

/// Sets the times of a whole tree back to 2023, folders last.
fn age(path: &Path) {
    let is = path.symlink_metadata().unwrap();
    if is.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            age(&entry.unwrap().path());
        }
    }
    if is.is_dir() || is.is_file() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
        File::open(path).unwrap().set_modified(time).unwrap();
    } else {
        let time = rustix::fs::Timespec {
            tv_sec: MODIFIED as i64,
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
    }
}

fn served() -> Served {
    let served = Served::with(|files| files);
    nasty(&served);
    served
}

fn decoded(form: &str, octets: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    match form {
        "tar" => decoded.extend_from_slice(octets),
        "tar.gz" => {
            flate2::read::GzDecoder::new(octets)
                .read_to_end(&mut decoded)
                .unwrap();
        }
        _ => {
            zstd::stream::read::Decoder::new(octets)
                .unwrap()
                .read_to_end(&mut decoded)
                .unwrap();
        }
    }
    decoded
}

/// Hands an archive to GNU tar; gives whether it was satisfied.
fn gnu_tar(archive: &[u8], arguments: &[&str]) -> bool {
    let mut tar = Command::new("tar")
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("GNU tar");
    // It may close early.
    let _ = tar.stdin.take().unwrap().write_all(archive);
    tar.wait().unwrap().success()
}

/// Every path below a folder with what it is, sorted.
fn listed(folder: &Path) -> Vec<(Vec<u8>, u32, i64, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let is = path.symlink_metadata().unwrap();
            let content = if is.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if is.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if is.is_file() {
                fs::read(&path).unwrap()
            } else {
                continue;
            };
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .as_os_str()
                .as_bytes()
                .to_vec();
            found.push((name, is.mode(), is.mtime(), content));
        }
    }
    found.sort();
    found
}

#[test]
fn every_form_extracts_to_the_same_tree() {
    let served = served();
    let expected = listed(&served.path("tree"));
    assert_eq!(expected.len(), 15);
    for form in ["tar", "tar.gz", "tar.zst"] {
        let seen = served.get(&format!("/tree/?archive={form}"));
        assert_eq!(seen.status, Some(200), "{form}");
        assert!(seen.is_complete(), "{form}: {}", seen.verdict_line());
        assert_eq!(served.record().ending, Ending::Complete);
        let archive = decoded(form, &seen.body);
        let into = tempfile::tempdir().unwrap();
        let folder = into.path().to_str().unwrap();
        assert!(gnu_tar(&archive, &["x", "-p", "-C", folder]), "{form}");
        assert!(listed(&into.path().join("tree")) == expected, "{form}");
    }
}

#[test]
fn a_strict_reader_finds_every_entry() {
    let served = served();
    let seen = served.get(TAR);
    let mut archive = tar::Archive::new(seen.body.as_slice());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut octets = Vec::new();
        entry.read_to_end(&mut octets).unwrap();
        assert_eq!(entry.size(), octets.len() as u64);
        assert_eq!(
            (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
            (0, 0)
        );
        names.push(entry.path_bytes().into_owned());
    }
    // The note of the pipe that is not in it comes first.
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with(b"tree/"))
        .collect();
    assert_eq!(names.len(), 16);
    assert!(names.contains(&b"tree/caf\xe9".to_vec()));
    assert!(names.contains(&b"tree/nothing in it/".to_vec()));
    let comment = String::from_utf8_lossy(&seen.body[..2048]).into_owned();
    assert!(comment.contains("comment=left out") && comment.contains("tree/pipe (a pipe)"));
}

#[test]
fn heads_say_what_is_known() {
    let served = served();
    let seen = served.get(TAR);
    let field = |seen: &Seen, name: &str| seen.header(name).map(str::to_owned);
    let length = seen.body.len().to_string();
    let head = served.ask(&Request::head11(TAR));
    for (name, value) in [
        ("content-type", Some("application/x-tar")),
        (
            "content-disposition",
            Some("attachment; filename=\"tree.tar\""),
        ),
        ("content-length", Some(length.as_str())),
        ("accept-ranges", Some("bytes")),
        ("cache-control", Some("no-cache")),
        ("x-content-type-options", Some("nosniff")),
        ("last-modified", None),
    ] {
        assert_eq!(field(&seen, name).as_deref(), value, "{name}");
        assert_eq!(field(&head, name).as_deref(), value, "{name}");
    }
    assert_eq!((head.status, head.body.len()), (Some(200), 0));
    let tag = field(&seen, "etag").unwrap();
    assert!(
        tag.starts_with('"') && field(&head, "etag").as_deref() == Some(&tag),
        "{tag}"
    );
    for (form, media_type) in [
        ("tar.gz", "application/gzip"),
        ("tar.zst", "application/zstd"),
    ] {
        let seen = served.ask(&Request::head11(&format!("/tree/?archive={form}")));
        assert_eq!(field(&seen, "content-type").as_deref(), Some(media_type));
        assert_eq!(field(&seen, "content-length"), None);
        assert_eq!(field(&seen, "accept-ranges").as_deref(), Some("none"));
        let other = field(&seen, "etag").unwrap();
        assert!(other.starts_with("W/\"") && !other.contains(&tag));
    }
    let unchanged = served.ask(&Request::get11(TAR).with("If-None-Match", &tag));
    assert_eq!((unchanged.status, unchanged.body.len()), (Some(304), 0));
    let other = served.ask(&Request::get11(TAR).with("If-Match", "\"x\""));
    assert_eq!(other.status, Some(412));
    // The folder that is served keeps its name to itself.
    let root = served.ask(&Request::head11("/?archive=tar"));
    let name = "attachment; filename=\"archive.tar\"";
    assert_eq!(field(&root, "content-disposition").as_deref(), Some(name));
}

#[test]
fn two_thousand_ranges_are_slices_of_the_whole() {
    let served = served();
    let whole = served.get(TAR).body;
    let octets = whole.len() as u64;
    let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..2000 {
        // Most of them short, so that many begin and end in headers and padding.
        let start = random(octets);
        let most = if round % 20 == 0 {
            octets - start
        } else {
            (octets - start).min(3000)
        };
        let end = start + 1 + random(most);
        let range = format!("bytes={start}-{}", end - 1);
        let seen = session.exchange(&Request::get11(TAR).with("Range", &range));
        assert_eq!(seen.status, Some(206), "{range}");
        assert!(seen.is_complete(), "{range}: {}", seen.verdict_line());
        assert!(
            seen.body == whole[start as usize..end as usize],
            "{range}: other octets"
        );
        let told = format!("bytes {start}-{}/{octets}", end - 1);
        assert_eq!(seen.header("content-range"), Some(told.as_str()));
    }
    let seen = session.exchange(&Request::get11(TAR).with("Range", "bytes=0-9,600-1200,-5"));
    assert_eq!(seen.status, Some(206));
    let content_type = seen.header("content-type").unwrap();
    let boundary = content_type.split_once("boundary=").unwrap().1;
    let mut expected = Vec::new();
    for (at, (start, end)) in [(0, 10), (600, 1201), (octets - 5, octets)]
        .into_iter()
        .enumerate()
    {
        let line = if at == 0 { "" } else { "\r\n" };
        let head = format!(
            "{line}--{boundary}\r\nContent-Type: application/x-tar\r\nContent-Range: bytes {start}-{}/{octets}\r\n\r\n",
            end - 1
        );
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&whole[start as usize..end as usize]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(seen.body == expected && seen.is_complete());
    let beyond = format!("bytes={octets}-");
    let seen = session.exchange(&Request::get11(TAR).with("Range", &beyond));
    assert_eq!(seen.status, Some(416));
}

#[test]
fn a_download_cut_twenty_times_goes_on_and_a_changed_folder_begins_anew() {
    let served = served();
    let first = served.get(TAR);
    let (whole, tag) = (first.body.clone(), first.header("etag").unwrap().to_owned());
    let mut got: Vec<u8> = Vec::new();
    while got.len() < whole.len() {
        let range = format!("bytes={}-", got.len());
        let request = Request::get11(TAR)
            .with("Range", &range)
            .with("If-Range", &tag);
        let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
        session.send(&request).unwrap();
        let step = whole.len() / 20;
        let seen = session.read_until(|seen| seen.body.len() >= step);
        assert_eq!(seen.status, Some(206));
        let some = seen.body.len().min(step);
        got.extend_from_slice(&seen.body[..some]);
        session.reset();
    }
    assert!(got == whole);
    fs::write(served.path("tree/new"), "new").unwrap();
    age(&served.path("tree"));
    let request = Request::get11(TAR)
        .with("Range", "bytes=1000-")
        .with("If-Range", &tag);
    let seen = served.ask(&request);
    assert_eq!(seen.status, Some(200));
    assert!(seen.header("etag").unwrap() != tag && seen.body.len() > whole.len());
}

#[test]
fn a_folder_that_just_changed_has_a_weak_tag() {
    let served = served();
    let tag = served
        .ask(&Request::head11(TAR))
        .header("etag")
        .unwrap()
        .to_owned();
    fs::write(served.path("tree/big"), pattern(300_000)).unwrap();
    let young = served
        .ask(&Request::head11(TAR))
        .header("etag")
        .unwrap()
        .to_owned();
    assert!(young.starts_with("W/") && !young.contains(&tag));
    let seen = served.ask(
        &Request::get11(TAR)
            .with("Range", "bytes=5-")
            .with("If-Range", &young),
    );
    assert_eq!(seen.status, Some(200));
}

#[test]
fn archives_are_of_what_is_listed_unless_told_otherwise() {
    let ask = |set: fn(endwell_gateway::Files) -> endwell_gateway::Files, path: &str| {
        let served = Served::with(set);
        served.write("plain/file", "x");
        served.write("page/index.html", "<p>x");
        served.write("page/other", "x");
        let seen = served.get(path);
        assert!(seen.is_complete());
        (
            seen.status.unwrap(),
            seen.header("content-type").unwrap().to_owned(),
        )
    };
    let (tar, text) = ("application/x-tar", "text/plain; charset=utf-8");
    let told = |status: u16, media_type: &str| (status, media_type.to_owned());
    assert_eq!(ask(|files| files, "/plain/?archive=tar"), told(200, tar));
    assert_eq!(ask(|files| files, "/page/?archive=tar"), told(404, text));
    assert_eq!(ask(|files| files, "/plain/?archive=rar"), told(400, text));
    assert_eq!(ask(|files| files, "/page/?archive=rar"), told(400, text));
    assert_eq!(ask(|files| files, "/plain?archive=tar"), told(301, text));
    assert_eq!(ask(|files| files, "/none/?archive=tar"), told(404, text));
    let always = |files: endwell_gateway::Files| files.archives(Archives::Always);
    assert_eq!(ask(always, "/page/?archive=tar"), told(200, tar));
    let never = |files: endwell_gateway::Files| files.archives(Archives::Never);
    assert_eq!(ask(never, "/plain/?archive=tar"), told(404, text));
    let unlisted = |files: endwell_gateway::Files| files.listing(false);
    assert_eq!(ask(unlisted, "/plain/?archive=tar"), told(404, text));
}

#[test]
fn hidden_names_are_in_it_if_they_are_served() {
    for hidden in [false, true] {
        let served = Served::with(|files| files.hidden(hidden));
        served.write("tree/file", "x");
        served.write("tree/.secret", "x");
        let seen = served.get(TAR);
        let has_it = seen
            .body
            .windows(12)
            .any(|octets| octets == b"tree/.secret");
        assert_eq!(has_it, hidden);
    }
}

#[test]
fn what_cannot_be_read_is_told_before_the_first_octet() {
    use std::os::unix::fs::PermissionsExt;
    for on_error in [ArchiveOnError::Fail, ArchiveOnError::Degrade] {
        let served = Served::with(|files| files.archive_on_error(on_error));
        served.write("tree/file", "x");
        let shut = served.write("tree/shut", "x");
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
        // The superuser reads everything.
        let readable = File::open(&shut).is_ok();
        let seen = served.get(TAR);
        let record = served.record();
        match (readable, on_error) {
            (true, _) => assert!(seen.is_complete() && seen.status == Some(200)),
            (false, ArchiveOnError::Fail) => {
                assert_eq!(seen.status, Some(403));
                assert!(String::from_utf8_lossy(&seen.body).contains("cannot read tree/shut: "));
            }
            (false, ArchiveOnError::Degrade) => assert_eq!(record.ending.as_str(), "degraded"),
        }
    }
}
