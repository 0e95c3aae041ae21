//! Archives whose folder changes while they are sent: seen on the wire, in the octets and in the
//! record.
#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use common::{MODIFIED, Served, pattern};
use endwell::Record;
use endwell_gateway::ArchiveOnError;
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{ClientTls, Pace, Seen, http2, http3};

/// A file that is still being sent when a client that does not read has got its head.
const BIG: usize = 2 * 1024 * 1024;
/// The same for gzip, which takes its time in a build for tests.
const BIG_FOR_GZIP: usize = 1024 * 1024;
/// The same for zstd, which compresses some megabytes before its first octet.
const BIG_FOR_ZSTD: usize = 8 * 1024 * 1024;

/// A fault, where it strikes, and what the record says of it.
struct Fault {
    change: fn(&Path),
    /// Between two entries: a seal says why the archive stops there.
    between: bool,
    says: &'static str,
}

fn open(path: &Path) -> File {
    File::options().append(true).open(path).unwrap()
}

const FAULTS: [(&str, Fault); 7] = [
    (
        "unreadable",
        Fault {
            // For the superuser its status has changed, which counts as well.
            change: |tree| {
                fs::set_permissions(tree.join("b"), Permissions::from_mode(0o000)).unwrap()
            },
            between: true,
            says: "tree/b ",
        },
    ),
    (
        "vanishes",
        Fault {
            change: |tree| fs::remove_file(tree.join("b")).unwrap(),
            between: true,
            says: "tree/b has gone since the folder was listed",
        },
    ),
    (
        "shrinks",
        Fault {
            change: |tree| open(&tree.join("a")).set_len(1000).unwrap(),
            between: false,
            says: "tree/a shrank from ",
        },
    ),
    (
        "shrinks between",
        Fault {
            change: |tree| open(&tree.join("b")).set_len(10).unwrap(),
            between: true,
            says: "tree/b shrank from 700 to 10 octets",
        },
    ),
    (
        "grows",
        Fault {
            change: |tree| open(&tree.join("a")).write_all(b"more").unwrap(),
            between: false,
            says: "tree/a grew from ",
        },
    ),
    (
        "grows between",
        Fault {
            change: |tree| open(&tree.join("b")).write_all(b"more").unwrap(),
            between: true,
            says: "tree/b grew from 700 to 704 octets",
        },
    ),
    (
        "folder deleted",
        Fault {
            change: |tree| fs::remove_dir_all(tree).unwrap(),
            between: false,
            says: "tree/a was replaced, or its status changed, since the folder was listed",
        },
    ),
];

fn big(form: &str) -> usize {
    match form {
        "tar" => BIG,
        "tar.gz" => BIG_FOR_GZIP,
        _ => BIG_FOR_ZSTD,
    }
}

fn tree(served: &Served, form: &str) {
    static OCTETS: LazyLock<Vec<u8>> = LazyLock::new(|| pattern(BIG_FOR_ZSTD));
    served.write("tree/a", &OCTETS[..big(form)]);
    served.write("tree/b", pattern(700));
    served.write("tree/sub/c", pattern(5000));
    // The same archive every time.
    for folder in ["tree/sub", "tree"] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
        let folder = File::open(served.path(folder)).unwrap();
        folder.set_modified(time).unwrap();
    }
}

fn slow() -> Pace {
    Pace {
        receive_buffer: Some(32 * 1024),
        start_late: Duration::from_millis(20),
        deadline: Duration::from_secs(60),
        ..Pace::fast()
    }
}

/// Reads the head, changes the tree, reads on.
fn seen(served: &Served, tls: bool, protocol: &str, path: &str, change: impl FnOnce()) -> Seen {
    let pace = slow();
    if protocol == "2" {
        let tls = tls.then(|| ClientTls::new(&["h2"]));
        let pace = pace.staying(Duration::from_millis(20));
        let mut connection = http2::Connection::connect(served.addr, tls.as_ref(), &pace).unwrap();
        let stream = connection.get(path, &[]).unwrap();
        connection.read_until(stream, |seen| seen.status.is_some());
        change();
        return connection.observe(stream);
    }
    if protocol == "3" {
        let pace = Pace {
            window: Some(32 * 1024),
            ..pace
        };
        let mut connection = http3::Connection::connect(served.addr, &pace).unwrap();
        let stream = connection.get(path, &[]).unwrap();
        connection.read_until(stream, |seen| seen.status.is_some());
        change();
        return connection.observe(stream);
    }
    let tls = tls.then(|| ClientTls::new(&["http/1.1"]));
    let mut session = Session::connect(served.addr, tls.as_ref(), &pace).unwrap();
    let request = match protocol {
        "1.0" => Request::get10(path),
        _ => Request::get11(path),
    };
    session.send(&request).unwrap();
    session.read_until(|seen| seen.status.is_some());
    change();
    session.read()
}

/// What a decoder gives of what arrived, and whether it took it for whole.
fn decoded(form: &str, octets: &[u8]) -> (Vec<u8>, bool) {
    let mut decoded = Vec::new();
    let read = match form {
        "tar" => {
            decoded.extend_from_slice(octets);
            Err(std::io::ErrorKind::Other.into())
        }
        "tar.gz" => flate2::read::GzDecoder::new(octets).read_to_end(&mut decoded),
        _ => {
            let decoder = zstd::stream::read::Decoder::new(octets);
            decoder.unwrap().read_to_end(&mut decoded)
        }
    };
    (decoded, read.is_ok())
}

fn gnu_tar_accepts(archive: &[u8]) -> bool {
    let mut tar = Command::new("tar")
        .arg("t")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("GNU tar");
    let _ = tar.stdin.take().unwrap().write_all(archive);
    tar.wait().unwrap().success()
}

/// What must hold of every archive that failed; gives its octets as a TAR.
fn failed(form: &str, seen: &Seen, record: &Record, good: &[u8], says: &str) -> Vec<u8> {
    let line = seen.verdict_line();
    assert_eq!(seen.status, Some(200), "{line}");
    assert!(!seen.is_complete(), "{line}");
    let cause = record.ending.cause().expect("a cause");
    assert_eq!(record.ending.as_str(), "failed", "{cause}");
    assert!(cause.message.contains(says), "{}", cause.message);
    // Every octet that was produced arrived, less the one that would fulfil a promise.
    let arrived = seen.body.len() as u64;
    assert_eq!(record.tally.sent, arrived, "{line}");
    assert_eq!(record.tally.produced, arrived, "{line}");
    let (octets, is_whole) = decoded(form, &seen.body);
    assert!(!is_whole, "{form}: an end mark");
    assert!(!gnu_tar_accepts(&octets), "{form}: GNU tar accepts it");
    assert!(
        octets[..512] == good[..512] && octets.len() > 512,
        "{form}: {line}"
    );
    octets
}

fn all_faults(form: &str, tls: bool) {
    let path = format!("/tree/?archive={form}");
    let good = {
        let served = Served::with(|files| files);
        tree(&served, form);
        served.get("/tree/?archive=tar").body
    };
    for (name, fault) in FAULTS {
        let quic = tls.then_some("3");
        for protocol in ["1.0", "1.1", "2"].into_iter().chain(quic) {
            let served = Served::over(endwell_gateway::Growing::Fail, tls);
            tree(&served, form);
            let folder = served.path("tree");
            let seen = seen(&served, tls, protocol, &path, || (fault.change)(&folder));
            println!("{form} {name} {protocol}: {}", seen.verdict_line());
            let octets = failed(form, &seen, &served.record(), &good, fault.says);
            // Headers of folder and file, and the file: then comes the one that fails.
            let between = 2 * 512 + big(form);
            if fault.between {
                assert!(octets[..between] == good[..between], "{name}");
                let seal = &octets[between..];
                assert!(seal.starts_with(b"ENDWELL-INCOMPLETE.txt\0"), "{name}");
                let text = String::from_utf8_lossy(&seal[512..]);
                assert!(text.contains("\n\ntree/b "), "{name}: {text}");
                assert!(!text.contains("/tmp"), "{name}: {text}");
            } else {
                assert!(
                    octets.len() < between && good.starts_with(&octets),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn tar_every_fault_every_protocol() {
    all_faults("tar", false);
}

#[test]
fn tar_over_tls_every_fault_every_protocol() {
    all_faults("tar", true);
}

#[test]
fn tar_gz_every_fault_every_protocol() {
    all_faults("tar.gz", false);
}

#[test]
fn tar_gz_over_tls_every_fault_every_protocol() {
    all_faults("tar.gz", true);
}

#[test]
fn tar_zst_every_fault_every_protocol() {
    all_faults("tar.zst", false);
}

#[test]
fn tar_zst_over_tls_every_fault_every_protocol() {
    all_faults("tar.zst", true);
}

#[test]
fn a_range_that_fails_has_no_seal() {
    let served = Served::with(|files| files);
    tree(&served, "tar");
    let good = served.get("/tree/?archive=tar").body;
    served.record();
    let folder = served.path("tree");
    let request = Request::get11("/tree/?archive=tar").with("Range", "bytes=512-");
    let mut session = Session::connect(served.addr, None, &slow()).unwrap();
    session.send(&request).unwrap();
    session.read_until(|seen| seen.status.is_some());
    fs::remove_file(folder.join("b")).unwrap();
    let seen = session.read();
    assert_eq!(seen.status, Some(206));
    assert!(!seen.is_complete() && good[512..].starts_with(&seen.body));
    assert_eq!(seen.body.len(), 512 + BIG);
    assert_eq!(served.record().error_type(), Some("source_changed"));
}

#[test]
fn what_fails_before_the_first_octet_is_a_500() {
    for form in ["tar", "tar.gz", "tar.zst"] {
        // Files of `/proc` say that they are empty, and are not.
        let folder = "/proc/sys/kernel/random";
        let served = Served::with(|_| endwell_gateway::Files::new(folder).unwrap());
        let seen = served.get(&format!("/?archive={form}"));
        assert_eq!(seen.status, Some(500), "{form}");
        let record = served.record();
        let message = &record.ending.cause().unwrap().message;
        assert!(message.contains(" grew from 0 to 1 octets"), "{message}");
    }
}

#[test]
fn what_is_missing_is_named_and_the_response_is_degraded() {
    for form in ["tar", "tar.gz", "tar.zst"] {
        for protocol in ["1.0", "1.1", "2"] {
            let served = Served::with(|files| files.archive_on_error(ArchiveOnError::Degrade));
            tree(&served, form);
            let folder = served.path("tree");
            let path = format!("/tree/?archive={form}");
            let seen = seen(&served, false, protocol, &path, || {
                fs::remove_file(folder.join("b")).unwrap();
            });
            let line = seen.verdict_line();
            assert_eq!(
                (seen.status, seen.is_complete()),
                (Some(200), false),
                "{line}"
            );
            assert_eq!(seen.header("content-length"), None);
            let record = served.record();
            assert_eq!(record.ending.as_str(), "degraded", "{line}");
            let (octets, _) = decoded(form, &seen.body);
            let named = b"\n\ntree/b has gone since the folder was listed\n";
            assert!(octets.windows(named.len()).any(|octets| octets == named));
            assert!(octets.ends_with(&[0; 1024]) && gnu_tar_accepts(&octets));
        }
    }
}
