//! Folders as ZIP files: good ones as Python reads them, broken ones as octets.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use common::{MODIFIED, Served, pattern, set_modified};
use endwell::{Ending, Record};
use endwell_gateway::ArchiveOnError;
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, SeenFraming, http2, http3};

/// More than all the buffers between a server and a client with a small one that does not read.
const LARGE: usize = 6 * 1024 * 1024;
/// What is written only after its CRC was read, and what is written as it is read.
const SMALL: usize = 2000;
const STREAMED: usize = 300_000;

/// What no reader finds in an archive that failed: the directory, and its end.
const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
/// What begins an entry.
const LOCAL: &[u8] = b"PK\x03\x04";

fn large() -> &'static [u8] {
    static LARGE_FILE: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(LARGE));
    &LARGE_FILE
}

/// A folder whose first file keeps a server busy until its client reads.
fn fill(served: &Served) {
    served.write("box/a-large", large());
    served.write("box/b-small", pattern(SMALL));
    served.write("box/c-streamed", pattern(STREAMED));
    served.write("box/folder/inside", pattern(SMALL));
    served.write("box/z-last/last", pattern(SMALL));
    for folder in ["box", "box/folder", "box/z-last"] {
        let folder = served.path(folder);
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
        File::open(folder).unwrap().set_modified(time).unwrap();
    }
}

/// The archive of that folder.
fn whole() -> &'static [u8] {
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let served = Served::with(|files| files);
        fill(&served);
        let seen = served.get(PATH);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert_eq!(served.record().ending, Ending::Complete);
        seen.body
    });
    &WHOLE
}

const PATH: &str = "/box/?archive=zip";

/// Where a part stands behind the first, large file.
fn position(archive: &[u8], part: &[u8]) -> Option<usize> {
    let from = archive.len().min(LARGE);
    let mut windows = archive[from..].windows(part.len());
    Some(from + windows.position(|window| window == part)?)
}

/// Where the entry of a name begins.
fn start_of(archive: &[u8], name: &str) -> usize {
    let name = position(archive, name.as_bytes()).expect("a name");
    assert_eq!(archive[name - 30..][..4], *LOCAL);
    name - 30
}

/// A way to ask: protocol, and whether over TLS.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Way {
    protocol: &'static str,
    tls: bool,
}

fn ways() -> Vec<Way> {
    let all = ["1.0", "1.1", "2"].map(|protocol| [false, true].map(|tls| Way { protocol, tls }));
    let quic = Way {
        protocol: "3",
        tls: true,
    };
    [all.concat(), vec![quic]].concat()
}

/// Reads the head, changes the folder, reads on.
fn seen(served: &Served, way: Way, change: impl FnOnce()) -> Seen {
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    if way.protocol == "2" {
        let tls = way.tls.then(|| ClientTls::new(&["h2"]));
        let pace = pace.staying(Duration::from_millis(20));
        let mut connection = http2::Connection::connect(served.addr, tls.as_ref(), &pace).unwrap();
        let stream = connection.get(PATH, &[]).unwrap();
        connection.read_until(stream, |seen| seen.status.is_some());
        change();
        return connection.observe(stream);
    }
    if way.protocol == "3" {
        let pace = Pace {
            window: Some(32 * 1024),
            ..pace
        };
        let pace = pace.staying(Duration::from_millis(20));
        let mut connection = http3::Connection::connect(served.addr, &pace).unwrap();
        let stream = connection.get(PATH, &[]).unwrap();
        connection.read_until(stream, |seen| seen.status.is_some());
        change();
        return connection.observe(stream);
    }
    let tls = way.tls.then(|| ClientTls::new(&["http/1.1"]));
    let request = match way.protocol {
        "1.0" => Request::get10(PATH),
        _ => Request::get11(PATH),
    };
    let mut session = Session::connect(served.addr, tls.as_ref(), &pace).unwrap();
    session.send(&request).unwrap();
    session.read_until(|seen| seen.status.is_some());
    change();
    session.read()
}

/// Whether the wire says that it failed.
fn assert_failed(way: Way, seen: &Seen, record: &Record) {
    let line = seen.verdict_line();
    assert_eq!(seen.status, Some(200), "{way:?}");
    assert!(!seen.is_complete(), "{way:?}: {line}");
    match (way.protocol, way.tls) {
        ("2" | "3", _) => {
            let code = if way.protocol == "2" { 2 } else { 0x10c };
            assert_eq!(seen.end, SeenEnd::StreamReset(code), "{line}");
            assert_eq!(seen.connection_alive, Some(true), "{line}");
        }
        (_, true) if seen.framing != Some(SeenFraming::CloseDelimited) => {
            assert_eq!(seen.end, SeenEnd::CloseNotify, "{line}");
        }
        (_, false) if seen.framing != Some(SeenFraming::CloseDelimited) => {
            assert_eq!(seen.end, SeenEnd::Fin, "{line}");
        }
        _ => assert_eq!(seen.end, SeenEnd::Reset, "{line}"),
    }
    assert_eq!(record.ending.as_str(), "failed");
    assert_eq!(record.tally.sent, seen.body.len() as u64, "{line}");
    for mark in [DIRECTORY, END] {
        assert_eq!(position(&seen.body, mark), None, "{way:?}");
    }
}

type Change = fn(&Served);

/// Changes the folder while its first file is sent; gives what came.
fn broken(change: Change) -> Vec<(Way, Seen, Record)> {
    let mut all = Vec::new();
    for way in ways() {
        let served = Served::set(|files| files, way.tls);
        fill(&served);
        let failed = seen(&served, way, || change(&served));
        let record = served.record();
        assert_failed(way, &failed, &record);
        all.push((way, failed, record));
    }
    all
}

/// The archive stops before the entry of a name, and a seal says why.
fn stops_before(name: &str, change: Change, reason: &str, cause: &str) {
    for (way, seen, record) in broken(change) {
        let start = start_of(whole(), name);
        assert!(seen.body.starts_with(&whole()[..start]), "{way:?}");
        let text = format!(
            "This archive is incomplete: the server had to stop sending it.\n\n{reason}.\n\n\
             What stands before this file is whole; the rest is missing. Download it again.\n"
        );
        let seal = &seen.body[start..];
        assert_eq!(seal[..4], *LOCAL, "{way:?}");
        // It promises 64 KiB more than the text that follows.
        let promised = (text.len() as u32 + 65_536).to_le_bytes();
        assert_eq!(seal[18..22], promised, "{way:?}");
        assert_eq!(seal[30..52], *b"ENDWELL-INCOMPLETE.txt", "{way:?}");
        assert_eq!(
            std::str::from_utf8(&seal[72..]),
            Ok(text.as_str()),
            "{way:?}"
        );
        let message = &record.ending.cause().expect("a cause").message;
        assert!(message.ends_with(cause), "{message}");
    }
}

/// The archive stops inside the entry that is open, with nothing added.
fn stops_inside_the_first(change: Change, cause: &str) {
    for (way, seen, record) in broken(change) {
        let next = start_of(whole(), "box/b-small");
        assert!(seen.body.len() > 1000 && seen.body.len() < next, "{way:?}");
        assert!(whole().starts_with(&seen.body), "{way:?}: other octets");
        let message = &record.ending.cause().expect("a cause").message;
        assert!(message.ends_with(cause), "{message}");
    }
}

fn truncate(served: &Served, name: &str, octets: u64) {
    let file = File::options().write(true).open(served.path(name));
    file.unwrap().set_len(octets).unwrap();
}

fn grow(served: &Served, name: &str) {
    let file = File::options().append(true).open(served.path(name));
    file.unwrap().write_all(b"more").unwrap();
}

fn remove(served: &Served, name: &str) {
    fs::remove_file(served.path(name)).unwrap();
}

#[test]
fn small_file_vanishes_archive_is_sealed_before_it() {
    stops_before(
        "box/b-small",
        |served| remove(served, "box/b-small"),
        "box/b-small has gone since the folder was listed",
        "/box/b-small has gone since the folder was listed",
    );
}

#[test]
fn small_file_shrinks_archive_is_sealed_before_it() {
    stops_before(
        "box/b-small",
        |served| truncate(served, "box/b-small", 1999),
        "box/b-small shrank from 2000 to 1999 octets since the folder was listed",
        "/box/b-small shrank from 2000 to 1999 octets since the folder was listed",
    );
}

#[test]
fn small_file_grows_archive_is_sealed_before_it() {
    stops_before(
        "box/b-small",
        |served| grow(served, "box/b-small"),
        "box/b-small grew from 2000 to 2004 octets since the folder was listed",
        "/box/b-small grew from 2000 to 2004 octets since the folder was listed",
    );
}

#[test]
fn small_file_becomes_unreadable_archive_is_sealed_before_it() {
    // Root reads it all the same, and is told that its status changed.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let why = match is_root {
        true => "was replaced, or its status changed, since the folder was listed",
        false => "cannot be opened: Permission denied (os error 13)",
    };
    let reason = format!("box/b-small {why}");
    stops_before(
        "box/b-small",
        |served| {
            let nobody = Permissions::from_mode(0o000);
            fs::set_permissions(served.path("box/b-small"), nobody).unwrap();
        },
        &reason,
        why,
    );
}

#[test]
fn streamed_file_vanishes_archive_is_sealed_before_it() {
    stops_before(
        "box/c-streamed",
        |served| remove(served, "box/c-streamed"),
        "box/c-streamed has gone since the folder was listed",
        "/box/c-streamed has gone since the folder was listed",
    );
}

#[test]
fn folder_is_deleted_archive_is_sealed_before_what_is_in_it() {
    stops_before(
        "box/folder/inside",
        |served| fs::remove_dir_all(served.path("box/folder")).unwrap(),
        "box/folder/inside has gone since the folder was listed",
        "/box/folder/inside has gone since the folder was listed",
    );
}

#[test]
fn last_file_vanishes_the_seal_keeps_within_what_was_promised() {
    stops_before(
        "box/z-last/last",
        |served| remove(served, "box/z-last/last"),
        "box/z-last/last has gone since the folder was listed",
        "/box/z-last/last has gone since the folder was listed",
    );
}

#[test]
fn open_file_shrinks_archive_stops_inside_it() {
    stops_inside_the_first(
        |served| truncate(served, "box/a-large", LARGE as u64 - 1),
        "/box/a-large shrank from 6291456 to 6291455 octets since the folder was listed",
    );
}

#[test]
fn open_file_grows_archive_stops_inside_it() {
    stops_inside_the_first(
        |served| grow(served, "box/a-large"),
        "/box/a-large grew from 6291456 to 6291460 octets since the folder was listed",
    );
}

#[test]
fn deflated_archive_fails_visibly_and_gives_what_was_deflated() {
    for way in ways() {
        let served = Served::set(|files| files.zip_level(1), way.tls);
        fill(&served);
        let failed = seen(&served, way, || {
            truncate(&served, "box/a-large", LARGE as u64 - 1)
        });
        assert_failed(way, &failed, &served.record());
        assert_eq!(failed.header("content-length"), None);
        // Nothing follows the octets that were deflated: they can be inflated to the last.
        let head = "box/".len() + 30 + 20;
        let content = head + "box/a-large".len() + 30 + 20;
        let mut inflated = Vec::new();
        let mut inflate = flate2::Decompress::new(false);
        while inflate.total_in() < (failed.body.len() - content) as u64 {
            inflated.reserve(64 * 1024);
            let from = &failed.body[content + inflate.total_in() as usize..];
            let flush = flate2::FlushDecompress::None;
            inflate.decompress_vec(from, &mut inflated, flush).unwrap();
        }
        assert!(large().starts_with(&inflated), "{way:?}");
        assert_eq!(inflated.len() % (64 * 1024), 0, "{way:?}: whole reads");
        assert!(inflated.len() >= 64 * 1024, "{way:?}");
    }
}

/// What Python's `zipfile` makes of an archive: a line for each entry.
fn read_by_python(archive: &[u8]) -> Vec<String> {
    const SCRIPT: &str = "
import sys, io, zipfile, zlib, struct
z = zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))
for i in z.infolist():
    d = z.read(i)
    assert i.extra[:5] == b'UT\\5\\0\\1'
    t = struct.unpack('<i', i.extra[5:9])[0]
    n = i.filename.encode('utf-8' if i.flag_bits & 0x800 else 'cp437')
    print(n, oct(i.external_attr >> 16), t, len(d), zlib.crc32(d))
print(z.comment)
";
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python, which the tests need");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(archive).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The same of what is on the disk, in the order of an archive.
fn on_disk(root: &Path, name: &[u8], lines: &mut Vec<String>) {
    let path = root.join(OsStr::from_bytes(name));
    let is = fs::symlink_metadata(&path).unwrap();
    let mut shown = name.to_vec();
    let content = if is.is_dir() {
        shown.push(b'/');
        Vec::new()
    } else if is.is_symlink() {
        fs::read_link(&path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else {
        fs::read(&path).unwrap()
    };
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let escaped: String = shown
        .iter()
        .map(|octet| match octet {
            b'\\' => "\\\\".to_owned(),
            b'\n' => "\\n".to_owned(),
            b' '..=b'~' => char::from(*octet).to_string(),
            other => format!("\\x{other:02x}"),
        })
        .collect();
    let quote = if escaped.contains('\'') && !escaped.contains('"') {
        '"'
    } else {
        '\''
    };
    let (mode, time, octets) = (is.mode() & !0o6000, is.mtime(), content.len());
    lines.push(format!(
        "b{quote}{escaped}{quote} 0o{mode:o} {time} {octets} {}",
        crc.sum()
    ));
    if !is.is_dir() {
        return;
    }
    let mut below: Vec<_> = fs::read_dir(&path).unwrap().map(Result::unwrap).collect();
    below.sort_by_key(|entry| {
        let is_folder = entry.file_type().unwrap().is_dir();
        (is_folder, entry.file_name().into_encoded_bytes())
    });
    for entry in below {
        let mut name = name.to_vec();
        name.push(b'/');
        name.extend(entry.file_name().as_bytes());
        on_disk(root, &name, lines);
    }
}

/// A folder of all that a file system holds.
fn nasty(served: &Served) {
    let long = format!("box/{}/{}", "d".repeat(250), "f".repeat(255));
    for (name, octets) in [
        ("box/empty", 0),
        ("box/one", 1),
        ("box/edge", 65_536),
        ("box/over", 65_537),
        ("box/blocks", 2 * 61_440),
        ("box/odd", 200_003),
        ("box/new\nline", 3),
        ("box/back\\slash", 3),
        ("box/it's", 3),
        ("box/été €", 3),
        ("box/CON", 3),
        ("box/..dots", 3),
        ("box/deep/deeper/deepest/file", 3),
        (long.as_str(), 3),
    ] {
        served.write(name, pattern(octets));
    }
    let latin = served.path("box").join(OsStr::from_bytes(b"latin \xe9"));
    fs::write(&latin, "x").unwrap();
    fs::create_dir_all(served.path("box/no files/none")).unwrap();
    symlink("../box", served.path("box/round")).unwrap();
    symlink("/nowhere/at/all", served.path("box/gone")).unwrap();
    for (name, mode) in [
        ("one", 0o4751),
        ("edge", 0o444),
        ("odd", 0o600),
        ("deep", 0o1770),
    ] {
        let path = served.path(&format!("box/{name}"));
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    set_modified(&served.path("box/one"), 1);
    set_modified(&served.path("box/odd"), 2_147_483_647);
}

#[test]
fn a_nasty_folder_is_read_by_python_as_it_is_on_the_disk() {
    let mut expected = Vec::new();
    for level in [0, 6] {
        let served = Served::with(|files| files.zip_level(level).hidden(true));
        nasty(&served);
        let seen = served.get(PATH);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        expected.clear();
        on_disk(&served.path(""), b"box", &mut expected);
        expected.push("b''".to_owned());
        assert_eq!(read_by_python(&seen.body), expected, "level {level}");
        let length = seen.header("content-length").map(str::to_owned);
        assert_eq!(length, (level == 0).then(|| seen.body.len().to_string()));
    }
}

#[test]
fn pipes_and_sockets_are_named_in_the_comment() {
    let served = Served::with(|files| files);
    served.write("box/file", "x");
    let _socket = std::os::unix::net::UnixListener::bind(served.path("box/socket")).unwrap();
    let seen = served.get(PATH);
    let read = read_by_python(&seen.body);
    assert_eq!(read.len(), 3);
    assert_eq!(
        read[2],
        "b'left out, since an archive cannot hold it (1): box/socket (a socket)'"
    );
}

#[test]
fn heads_say_what_it_is() {
    for (level, ranges) in [(0, "none"), (6, "none")] {
        let served = Served::with(|files| files.zip_level(level));
        fill(&served);
        let seen = served.ask(&Request::head11(PATH));
        assert_eq!(seen.status, Some(200));
        for (name, value) in [
            ("content-type", "application/zip"),
            ("content-disposition", "attachment; filename=\"box.zip\""),
            ("accept-ranges", ranges),
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(seen.header(name), Some(value), "{name}");
        }
        let tag = seen.header("etag").expect("a tag").to_owned();
        let again = served.ask(&Request::get11(PATH).with("If-None-Match", &tag));
        assert_eq!(again.status, Some(304));
        // A range is not for archives that have none.
        let range = served.ask(&Request::get11(PATH).with("Range", "bytes=0-9"));
        assert_eq!((range.status, range.is_complete()), (Some(200), true));
        served.write("box/b-small", "another");
        let other = served.ask(&Request::head11(PATH));
        assert_ne!(other.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn degrading_leaves_out_what_failed_and_names_it() {
    for way in ways() {
        let degrade = ArchiveOnError::Degrade;
        let served = Served::set(|files| files.archive_on_error(degrade), way.tls);
        fill(&served);
        let seen = seen(&served, way, || remove(&served, "box/b-small"));
        let record = served.record();
        assert!(!seen.is_complete(), "{way:?}: {}", seen.verdict_line());
        assert_eq!(seen.header("content-length"), None);
        assert_eq!(record.ending.as_str(), "degraded");
        let read = read_by_python(&seen.body);
        let names: Vec<_> = read
            .iter()
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "b'box/'",
                "b'box/a-large'",
                "b'box/c-streamed'",
                "b'box/folder/'",
                "b'box/folder/inside'",
                "b'box/z-last/'",
                "b'box/z-last/last'",
                "b'ENDWELL-MISSING.txt'",
                "b''",
            ]
        );
        let note = "Not in this archive: 1\n\nbox/b-small has gone since the folder was listed\n";
        assert!(position(&seen.body, note.as_bytes()).is_some());
    }
}
