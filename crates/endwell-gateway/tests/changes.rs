//! Files that change while they are sent: seen on the wire and in the record.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{MODIFIED, Served, pattern, set_modified};
use endwell::{Ending, Record};
use endwell_gateway::Growing;
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http2, http3};

/// More than all the buffers between a server and a client that does not read: with 4 MiB of
/// `tcp_wmem` and small receive buffers, two thirds of it are still on the disk.
const SIZE: usize = 16 * 1024 * 1024;

/// The content of every file here.
fn original() -> &'static [u8] {
    static ORIGINAL: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(SIZE));
    &ORIGINAL
}

type Change = fn(&Path);

const SHRINK: Change = |path| truncate(path, 1024 * 1024 + 3);
const EMPTY: Change = |path| truncate(path, 0);
const SHORTEN: Change = |path| truncate(path, SIZE as u64 - 1);
const REWRITE_LAST: Change = |path| write_at(path, SIZE as u64 - 1);
const REWRITE_ALL: Change = |path| {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![b'x'; SIZE], 0).unwrap();
};
const GROW: Change = |path| {
    let mut file = File::options().append(true).open(path).unwrap();
    file.write_all(b"more").unwrap();
};
const SET_BACK: Change = |path| {
    write_at(path, 0);
    set_modified(path, MODIFIED);
};
const RENAME: Change = |path| fs::rename(path, path.with_extension("old")).unwrap();
const UNLINK: Change = |path| fs::remove_file(path).unwrap();
const CHMOD: Change = |path| fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
const REPLACE: Change = |path| {
    fs::write(path.with_extension("new"), "new").unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
};

fn truncate(path: &Path, octets: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(octets).unwrap();
}

fn write_at(path: &Path, at: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(b"x", at).unwrap();
}

fn paces() -> [Pace; 2] {
    let small = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    let late = Pace {
        start_late: Duration::from_millis(50),
        ..small.clone()
    };
    [small, late]
}

/// Reads the head, changes the file, reads on.
fn h1(served: &Served, tls: bool, request: &Request, pace: &Pace, change: impl FnOnce()) -> Seen {
    let tls = tls.then(|| ClientTls::new(&["http/1.1"]));
    let mut session = Session::connect(served.addr, tls.as_ref(), pace).unwrap();
    session.send(request).unwrap();
    session.read_until(|seen| seen.status.is_some());
    change();
    session.read()
}

fn h2(served: &Served, tls: bool, pace: &Pace, change: impl FnOnce()) -> Seen {
    let tls = tls.then(|| ClientTls::new(&["h2"]));
    let pace = pace.clone().staying(Duration::from_millis(20));
    let mut connection = http2::Connection::connect(served.addr, tls.as_ref(), &pace).unwrap();
    let stream = connection.get("/file.bin", &[]).unwrap();
    connection.read_until(stream, |seen| seen.status.is_some());
    change();
    connection.observe(stream)
}

fn h3(served: &Served, pace: &Pace, change: impl FnOnce()) -> Seen {
    // There is no socket that fills: the window bounds what is on its way.
    let pace = Pace {
        window: Some(32 * 1024),
        ..pace.clone()
    };
    let pace = pace.staying(Duration::from_millis(20));
    let mut connection = http3::Connection::connect(served.addr, &pace).unwrap();
    let stream = connection.get("/file.bin", &[]).unwrap();
    connection.read_until(stream, |seen| seen.status.is_some());
    change();
    connection.observe(stream)
}

/// Every protocol and pace: what was seen of a file that was changed after its head was read.
fn seen_on_all(growing: Growing, change: Change) -> Vec<(Seen, Record)> {
    let mut all = Vec::new();
    let octets = original();
    let mut ways = Vec::new();
    for tls in [false, true] {
        for protocol in ["1.0", "1.1", "2"] {
            ways.push((tls, protocol));
        }
    }
    ways.push((true, "3"));
    for (tls, protocol) in ways {
        for pace in paces() {
            let served = Served::over(growing, tls);
            let path = served.write("file.bin", octets);
            let run = || change(&path);
            let seen = match protocol {
                "1.0" => h1(&served, tls, &Request::get10("/file.bin"), &pace, run),
                "1.1" => h1(&served, tls, &Request::get11("/file.bin"), &pace, run),
                "2" => h2(&served, tls, &pace, run),
                _ => h3(&served, &pace, run),
            };
            assert_eq!(seen.status, Some(200), "{protocol}");
            assert!(octets.starts_with(&seen.body), "{protocol}: other octets");
            all.push((seen, served.record()));
        }
    }
    all
}

fn fails(growing: Growing, change: Change, message: &str) -> Vec<Seen> {
    let mut all = Vec::new();
    for (seen, record) in seen_on_all(growing, change) {
        let line = seen.verdict_line();
        assert!(!seen.is_complete() && seen.body.len() < SIZE, "{line}");
        let (version, alive) = (seen.version.as_deref(), seen.connection_alive);
        match version {
            Some("2") => assert_eq!((&seen.end, alive), (&SeenEnd::StreamReset(2), Some(true))),
            Some("3") => {
                assert_eq!(
                    (&seen.end, alive),
                    (&SeenEnd::StreamReset(0x10c), Some(true))
                )
            }
            _ if seen.close_notify.is_some() => {
                assert_eq!(seen.end, SeenEnd::CloseNotify, "{line}")
            }
            _ => assert_eq!(seen.end, SeenEnd::Fin, "{line}"),
        }
        let cause = record.ending.cause().expect("a cause");
        assert_eq!(
            (record.ending.as_str(), cause.kind.as_str()),
            ("failed", "source_changed")
        );
        assert!(cause.message.contains(message), "{}", cause.message);
        assert_eq!(record.tally.promised, Some(SIZE as u64));
        assert_eq!(record.tally.sent, seen.body.len() as u64, "{line}");
        all.push(seen);
    }
    all
}

fn completes(growing: Growing, change: Change) {
    for (seen, record) in seen_on_all(growing, change) {
        let line = seen.verdict_line();
        assert!(seen.is_complete() && seen.body.len() == SIZE, "{line}");
        assert_eq!(record.ending, Ending::Complete);
    }
}

#[test]
fn file_shrinks_peer_sees_short_body() {
    fails(
        Growing::Fail,
        SHRINK,
        "/file.bin shrank from 16777216 to 1048579 octets while it was sent",
    );
}

#[test]
fn file_is_emptied_peer_sees_short_body() {
    fails(
        Growing::Allow,
        EMPTY,
        "shrank from 16777216 to 0 octets while it was sent",
    );
}

#[test]
fn file_loses_its_last_octet_peer_sees_short_body() {
    fails(
        Growing::Fail,
        SHORTEN,
        "shrank from 16777216 to 16777215 octets while it was sent",
    );
}

#[test]
fn file_rewritten_peer_sees_short_body() {
    fails(
        Growing::Fail,
        REWRITE_LAST,
        "was rewritten while it was sent",
    );
    fails(
        Growing::Allow,
        REWRITE_ALL,
        "was rewritten while it was sent",
    );
}

#[test]
fn file_rewritten_and_time_set_back_peer_sees_short_body() {
    // A read may fall between the two: then the time is seen before it is set back.
    fails(Growing::Fail, SET_BACK, "/file.bin was rewritten");
}

#[test]
fn file_grows_peer_sees_all_but_the_last_octet() {
    let message = "grew from 16777216 to 16777220 octets while it was sent";
    for seen in fails(Growing::Fail, GROW, message) {
        assert_eq!(seen.body.len(), SIZE - 1, "{}", seen.verdict_line());
    }
}

#[test]
fn file_grows_and_may_peer_sees_what_was_promised() {
    completes(Growing::Allow, GROW);
}

#[test]
fn file_renamed_peer_sees_the_whole() {
    completes(Growing::Fail, RENAME);
}

#[test]
fn file_unlinked_peer_sees_the_whole() {
    completes(Growing::Fail, UNLINK);
}

#[test]
fn file_mode_changed_peer_sees_the_whole() {
    completes(Growing::Fail, CHMOD);
}

#[test]
fn file_replaced_peer_sees_the_old_one() {
    completes(Growing::Fail, REPLACE);
}

#[test]
fn h11_range_of_a_file_that_changes_is_short() {
    let octets = original();
    let served = Served::new(Growing::Fail);
    let path = served.write("file.bin", octets);
    let request = Request::get11("/file.bin").with("Range", "bytes=100-16000099");
    let [pace, _] = paces();
    // Beyond the range: the file is another one all the same.
    let seen = h1(&served, false, &request, &pace, || {
        write_at(&path, 16_000_100)
    });
    assert_eq!(seen.status, Some(206));
    assert!(!seen.is_complete() && octets[100..].starts_with(&seen.body));
    assert_eq!(served.record().error_type(), Some("source_changed"));
}

#[test]
fn file_appended_all_the_time_is_complete_if_allowed() {
    let served = Served::new(Growing::Allow);
    let path = served.write("file.bin", &original()[..1024 * 1024]);
    let stop = AtomicBool::new(false);
    // However long a busy machine takes for the 20 downloads: at most 14 MB are appended.
    const LINES: usize = 1_000_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            for _ in 0..LINES {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                file.write_all(b"one more line\n").unwrap();
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        for _ in 0..20 {
            let seen = served.get("/file.bin");
            let line = seen.verdict_line();
            let ended = served.record().ending;
            if !seen.is_complete() || ended != Ending::Complete {
                stop.store(true, Ordering::Relaxed);
                panic!("{line}: {ended:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
