//! Several ranges in one answer, over real sockets.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::ops::Range;
use std::time::Duration;

use common::{Served, pattern};
use endwell_gateway::{Files, Growing};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{Pace, Seen, SeenFraming, http2};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

fn field<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.header(name).unwrap_or("")
}

fn ranged(path: &str, value: &str) -> Request {
    Request::get11(path).with("Range", value)
}

/// Takes a multipart apart by the letter of RFC 2046: where each part stands, and its octets.
fn parts(seen: &Seen, octets: usize) -> Vec<(Range<usize>, Vec<u8>)> {
    let boundary = field(seen, "content-type")
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("a multipart");
    let mut rest = seen.body.as_slice();
    let mut parts = Vec::new();
    let mut before = format!("--{boundary}\r\n");
    while let Some(part) = rest.strip_prefix(before.as_bytes()) {
        let end = part.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = part.split_at(end.expect("a head") + 4);
        let head = std::str::from_utf8(head).expect("text");
        let lines: Vec<_> = head.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 2, "{head}");
        assert_eq!(lines[0], "Content-Type: text/plain; charset=utf-8");
        let range = lines[1]
            .strip_prefix("Content-Range: bytes ")
            .expect("a range");
        let (range, of) = range.split_once('/').expect("a size");
        assert_eq!(of, octets.to_string());
        let (first, last) = range.split_once('-').expect("two numbers");
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let (body, after) = body.split_at(last + 1 - first);
        parts.push((first..last + 1, body.to_vec()));
        rest = after;
        before = format!("\r\n--{boundary}\r\n");
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
    parts
}

#[test]
fn ranges_arrive_as_parts_on_every_protocol() {
    let served = Served::new(Growing::Fail);
    let content = pattern(300_000);
    served.write("file.txt", &content);
    let value = "bytes=100000-299998,0-0,-1,99-98999";
    let h10 = Request::get10("/file.txt").with("Range", value);
    for seen in [
        served.ask(&ranged("/file.txt", value)),
        served.ask(&h10),
        http2::observe(
            served.addr,
            None,
            "/file.txt",
            &[("range", value)],
            &Pace::fast(),
        ),
    ] {
        let line = seen.verdict_line();
        assert!(seen.status == Some(206) && seen.is_complete(), "{line}");
        assert_eq!(field(&seen, "content-length"), seen.body.len().to_string());
        assert_eq!(seen.header("content-range"), None);
        let types = seen
            .headers
            .iter()
            .filter(|(name, _)| name == "content-type");
        assert_eq!(types.count(), 1);
        assert_eq!(field(&seen, "etag"), "\"493e0-17979cfe362a0000\"");
        let parts = parts(&seen, content.len());
        let places: Vec<_> = parts.iter().map(|(place, _)| place.clone()).collect();
        assert_eq!(places, [100_000..300_000, 0..1, 99..99_000]);
        for (place, octets) in parts {
            assert!(octets == content[place.clone()], "{place:?}");
        }
        let record = served.record();
        assert_eq!(record.ending.as_str(), "complete");
        assert_eq!(record.tally.sent, seen.body.len() as u64);
    }
}

#[test]
fn one_part_is_no_multipart() {
    let served = Served::new(Growing::Fail);
    let content = pattern(10_000);
    served.write("file.txt", &content);
    for (value, range) in [
        ("bytes=0-99,100-199", 0..200),
        ("bytes=100-199,0-99", 0..200),
        ("bytes=0-,5-,9-", 0..10_000),
        ("bytes=5-9,20000-", 5..10),
        ("bytes=7-7,", 7..8),
    ] {
        let seen = served.ask(&ranged("/file.txt", value));
        assert_eq!(
            (seen.status, seen.is_complete()),
            (Some(206), true),
            "{value}"
        );
        let told = format!("bytes {}-{}/10000", range.start, range.end - 1);
        assert_eq!(field(&seen, "content-range"), told);
        assert_eq!(field(&seen, "content-type"), "text/plain; charset=utf-8");
        assert!(seen.body == content[range], "{value}");
    }
    let seen = served.ask(&ranged("/file.txt", "bytes=10000-,20000-,-0"));
    assert_eq!(seen.status, Some(416));
    assert_eq!(field(&seen, "content-range"), "bytes */10000");
}

#[test]
fn if_range_and_head_count_for_parts_too() {
    let served = Served::new(Growing::Fail);
    served.write("file.txt", pattern(10_000));
    let request = ranged("/file.txt", "bytes=0-9,100-109");
    let with = |value| served.ask(&request.clone().with("If-Range", value)).status;
    assert_eq!(with("\"2710-17979cfe362a0000\""), Some(206));
    assert_eq!(with(DATE), Some(206));
    assert_eq!(with("W/\"2710-17979cfe362a0000\""), Some(200));
    assert_eq!(with("\"x\""), Some(200));
    let not_modified = request.clone().with("If-None-Match", "*");
    assert_eq!(served.ask(&not_modified).status, Some(304));
    let head = Request::head11("/file.txt").with("Range", "bytes=0-9,100-109");
    let head = served.ask(&head);
    assert_eq!(head.status, Some(200));
    assert_eq!(field(&head, "content-length"), "10000");
}

/// CVE-2011-3192 and its kin: an answer is never larger than the file and its few heads.
#[test]
fn range_bombs_get_no_more_than_the_file() {
    let served = Served::new(Growing::Fail);
    let content = pattern(100_000);
    served.write("file.txt", &content);
    let overlapping = |count| {
        let ranges: Vec<_> = (0..count).map(|at| format!("{at}-")).collect();
        format!("bytes={}", ranges.join(","))
    };
    let tiny = |count| {
        let ranges: Vec<_> = (0..count)
            .map(|at| format!("{}-{}", at * 3, at * 3))
            .collect();
        format!("bytes={}", ranges.join(","))
    };
    let ask = |value: &str| served.ask(&ranged("/file.txt", value));
    for (value, status) in [
        (overlapping(200), 206),
        (overlapping(201), 200),
        (overlapping(2000), 200),
        (tiny(200), 206),
        (tiny(201), 200),
        (format!("bytes={}", "0-,".repeat(200)), 206),
        (format!("bytes={}0-0", ",".repeat(20_000)), 206),
    ] {
        let seen = ask(&value);
        let short = &value[..value.len().min(40)];
        assert!(seen.is_complete(), "{short}: {}", seen.verdict_line());
        assert_eq!(seen.status, Some(status), "{short}");
        assert!(
            seen.body.len() <= content.len(),
            "{short}: {}",
            seen.body.len()
        );
    }
    assert_eq!(parts(&ask(&tiny(200)), content.len()).len(), 200);
    // Of a small file the parts would be more than the whole.
    served.write("small.txt", pattern(500));
    let seen = served.ask(&ranged("/small.txt", &tiny(20)));
    assert!(seen.status == Some(200) && seen.body == pattern(500));
}

#[test]
fn a_change_in_the_middle_of_parts_is_told() {
    let size = 16 * 1024 * 1024;
    let pace = Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    };
    for change in ["shrinks", "is rewritten"] {
        for protocol in ["1.1", "2"] {
            let served = Served::new(Growing::Fail);
            let path = served.write("file.txt", pattern(size));
            let change_it = || {
                let file = File::options().write(true).open(&path).unwrap();
                match change {
                    "shrinks" => file.set_len(1000).unwrap(),
                    _ => std::os::unix::fs::FileExt::write_all_at(&file, b"x", 0).unwrap(),
                }
            };
            let value = format!("bytes=0-9,100000-{}", size - 1);
            let seen = if protocol == "2" {
                let pace = pace.clone().staying(Duration::from_millis(20));
                let mut connection = http2::Connection::connect(served.addr, None, &pace).unwrap();
                let stream = connection.get("/file.txt", &[("range", &value)]).unwrap();
                connection.read_until(stream, |seen| seen.status.is_some());
                change_it();
                connection.observe(stream)
            } else {
                let mut session = Session::connect(served.addr, None, &pace).unwrap();
                session.send(&ranged("/file.txt", &value)).unwrap();
                session.read_until(|seen| seen.status.is_some());
                change_it();
                session.read()
            };
            assert_eq!(seen.status, Some(206));
            assert!(
                !seen.is_complete(),
                "{protocol}, {change}: {}",
                seen.verdict_line()
            );
            let record = served.record();
            assert_eq!(record.ending.as_str(), "failed");
            assert_eq!(record.error_type(), Some("source_changed"));
            let promised: usize = field(&seen, "content-length").parse().unwrap();
            assert!(seen.body.len() < promised);
        }
    }
}

/// Whatever the ranges: the octets are those of the file at that place, and each asked for is there.
#[test]
fn any_ranges_equal_the_slices() {
    let served = Served::new(Growing::Fail);
    let content = pattern(70_000);
    served.write("file.txt", &content);
    let size = content.len();
    let mut session = Session::connect(served.addr, None, &Pace::fast()).unwrap();
    let range = (0..size + 10, 0..size + 10).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let ranges = proptest::collection::vec(range, 1..6);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let session = std::cell::RefCell::new(&mut session);
    let ran = runner.run(&ranges, |ranges| {
        let specs: Vec<_> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        let request = ranged("/file.txt", &format!("bytes={}", specs.join(",")));
        let seen = session.borrow_mut().exchange(&request);
        prop_assert!(seen.is_complete(), "{}", seen.verdict_line());
        let asked: Vec<_> = ranges
            .iter()
            .filter(|(first, _)| *first < size)
            .map(|(first, last)| *first..(*last + 1).min(size))
            .collect();
        if asked.is_empty() {
            prop_assert_eq!(seen.status, Some(416));
            return Ok(());
        }
        let given = match (seen.status, seen.header("content-range")) {
            (Some(200), None) => vec![(0..size, seen.body.clone())],
            (Some(206), Some(told)) => {
                let told = told
                    .strip_prefix("bytes ")
                    .and_then(|told| told.split_once('/'));
                let (first, last) = told.and_then(|(range, _)| range.split_once('-')).unwrap();
                let first: usize = first.parse().unwrap();
                vec![(first..last.parse::<usize>().unwrap() + 1, seen.body.clone())]
            }
            (Some(206), None) => parts(&seen, size),
            _ => return Err(TestCaseError::fail(seen.verdict_line())),
        };
        for (place, octets) in &given {
            prop_assert!(*octets == content[place.clone()], "{place:?}");
        }
        for range in asked {
            let holds = |(place, _): &(Range<usize>, Vec<u8>)| {
                place.start <= range.start && range.end <= place.end
            };
            prop_assert!(given.iter().any(holds), "{range:?}");
        }
        prop_assert_eq!(
            seen.framing,
            Some(SeenFraming::ContentLength(seen.body.len() as u64))
        );
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn a_type_that_was_set_stands_in_every_part() {
    let set = |files: Files| files.media_type(".BIN", "text/plain; charset=utf-8".parse().unwrap());
    let served = Served::with(set);
    let content = pattern(5000);
    served.write("file.bin", &content);
    let seen = served.ask(&ranged("/file.bin", "bytes=0-9,100-109"));
    assert_eq!(parts(&seen, 5000).len(), 2);
    assert_eq!(
        field(&served.get("/file.bin"), "content-type"),
        "text/plain; charset=utf-8"
    );
}
