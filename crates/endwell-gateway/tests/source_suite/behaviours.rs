//! What a source must do.

use std::convert::Infallible;
use std::thread::sleep;
use std::time::Duration;

use endwell::{Body, Ending};
use endwell_lab::observe::http1::Request;
use endwell_lab::observe::{Pace, Seen, SeenEnd};
use http::Response;
use tower_service::Service;

use crate::common::pattern;
use crate::stage::{LARGE, Late, Stage, WAYS, Way, request};

type Behaviour = (&'static str, fn(&Stage));

pub const BEHAVIOURS: [Behaviour; 12] = [
    ("what_is_whole_ends_complete", what_is_whole_ends_complete),
    ("several_clients_get_the_same", several_clients_get_the_same),
    ("early_failure_is_a_status", early_failure_is_a_status),
    (
        "late_failure_comes_after_every_octet",
        late_failure_comes_after_every_octet,
    ),
    (
        "client_that_leaves_stops_the_work",
        client_that_leaves_stops_the_work,
    ),
    (
        "client_that_does_not_read_stops_the_work",
        client_that_does_not_read_stops_the_work,
    ),
    (
        "server_that_stops_stops_the_work",
        server_that_stops_stops_the_work,
    ),
    (
        "head_tells_the_same_and_begins_nothing",
        head_tells_the_same_and_begins_nothing,
    ),
    (
        "body_that_is_never_polled_leaves_nothing",
        body_that_is_never_polled_leaves_nothing,
    ),
    ("other_methods_are_refused", other_methods_are_refused),
    (
        "ranges_are_slices_where_there_are_any",
        ranges_are_slices_where_there_are_any,
    ),
    ("conditions_go_by_the_version", conditions_go_by_the_version),
];

/// A client of which the server cannot get rid in its buffers.
fn small() -> Pace {
    Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    }
}

fn is_whole(stage: &Stage, seen: &Seen, way: &str) {
    let line = seen.verdict_line();
    assert_eq!(seen.status, Some(200), "{way}: {line}");
    // Nothing tells a whole close-delimited body from any other (RFC 9112 section 8).
    let cannot_know = seen.version.as_deref() == Some("1.0") && !stage.is_promised;
    assert!(seen.is_complete() || cannot_know, "{way}: {line}");
    assert!(seen.body == stage.whole.1, "{way}: other octets: {line}");
    let length = stage.whole.1.len().to_string();
    let promised = seen.header("content-length");
    assert_eq!(promised, stage.is_promised.then_some(&*length), "{way}");
}

fn what_is_whole_ends_complete(stage: &Stage) {
    for way in WAYS {
        for pace in [Pace::fast(), small()] {
            let seen = stage.asker(way).get(stage.whole.0, &pace, || {});
            is_whole(stage, &seen, &format!("{way:?}"));
            let record = stage.record();
            assert_eq!(record.ending, Ending::Complete, "{way:?}");
            assert_eq!(record.tally.sent, stage.whole.1.len() as u64, "{way:?}");
        }
    }
}

fn several_clients_get_the_same(stage: &Stage) {
    let path = stage.whole.0;
    let ask = |way| {
        let asker = stage.asker(way);
        std::thread::spawn(move || asker.get(path, &Pace::fast(), || {}))
    };
    let asked: Vec<_> = WAYS.iter().chain(&WAYS).map(|way| ask(*way)).collect();
    for asked in asked {
        is_whole(stage, &asked.join().expect("it was seen"), "beside others");
    }
}

fn early_failure_is_a_status(stage: &Stage) {
    let (path, status) = stage.early;
    for way in WAYS {
        let seen = stage.asker(way).get(path, &Pace::fast(), || {});
        assert_eq!(seen.status, Some(status), "{way:?}");
        assert!(seen.is_complete(), "{way:?}: {}", seen.verdict_line());
        let text = String::from_utf8_lossy(&seen.body);
        assert!(!text.contains("secret"), "{way:?}: {text}");
        assert_eq!(stage.record().status, status, "{way:?}");
    }
}

fn late_failure_comes_after_every_octet(stage: &Stage) {
    for way in WAYS {
        for pace in [Pace::fast(), small()] {
            fails_late(stage, way, &pace);
        }
    }
}

fn fails_late(stage: &Stage, way: Way, pace: &Pace) {
    let (seen, octets) = match &stage.late {
        Late::Always(path, octets) => (stage.asker(way).get(path, pace, || {}), octets),
        Late::When {
            path,
            file,
            change,
            octets,
        } => {
            // The change of the last time is undone.
            stage.write(file.0, &pattern(file.1));
            // The time of the file system has gone on, or the change would not be seen.
            sleep(Duration::from_millis(30));
            let seen = stage
                .asker(way)
                .get(path, &small(), || change(stage.folder()));
            (seen, octets)
        }
    };
    let line = seen.verdict_line();
    assert_eq!(seen.status, Some(200), "{way:?}");
    match (way.protocol, way.tls, stage.is_promised) {
        ("2", _, _) => assert_eq!(seen.end, SeenEnd::StreamReset(2), "{way:?}: {line}"),
        ("3", _, _) => assert_eq!(seen.end, SeenEnd::StreamReset(0x10c), "{way:?}: {line}"),
        ("1.0", _, false) => assert_eq!(seen.end, SeenEnd::Reset, "{way:?}: {line}"),
        (_, true, _) => assert_eq!(seen.end, SeenEnd::CloseNotify, "{way:?}: {line}"),
        (_, false, _) => assert_eq!(seen.end, SeenEnd::Fin, "{way:?}: {line}"),
    }
    assert!(!seen.is_complete(), "{way:?}: {line}");
    match &stage.late {
        Late::Always(..) => assert!(seen.body == *octets, "{way:?}: not every octet: {line}"),
        Late::When { .. } => assert!(octets.starts_with(&seen.body), "{way:?}: {line}"),
    }
    let record = stage.record();
    assert_eq!(record.ending.as_str(), "failed", "{way:?}");
    assert_eq!(record.tally.sent, seen.body.len() as u64, "{way:?}: {line}");
}

fn client_that_leaves_stops_the_work(stage: &Stage) {
    for way in WAYS {
        if way.protocol == "2" {
            let mut connection = stage.asker(way).connection(&small());
            let stream = connection.get(stage.large, &[]).unwrap();
            connection.read_until(stream, |seen| seen.body.len() > 1000);
            stage.wait_until_it_holds(true);
            connection.cancel(stream, 8);
            stage.wait_until_it_holds(false);
        } else if way.protocol == "3" {
            let mut connection = stage.asker(way).quic(&small());
            let stream = connection.get(stage.large, &[]).unwrap();
            connection.read_until(stream, |seen| seen.body.len() > 1000);
            stage.wait_until_it_holds(true);
            connection.cancel(stream);
            connection.pump_for(Duration::from_millis(1));
            stage.wait_until_it_holds(false);
        } else {
            let mut session = stage.asker(way).session(&small());
            session.send(&request(way, stage.large)).unwrap();
            session.read_until(|seen| seen.body.len() > 1000);
            stage.wait_until_it_holds(true);
            session.reset();
            stage.wait_until_it_holds(false);
        }
        let record = stage.record();
        assert_eq!(record.ending.as_str(), "cancelled", "{way:?}");
        assert!(record.tally.produced >= record.tally.sent, "{way:?}");
    }
}

fn client_that_does_not_read_stops_the_work(stage: &Stage) {
    let mut session = stage.asker(WAYS[1]).session(&small());
    session.send(&request(WAYS[1], stage.large)).unwrap();
    session.read_until(|seen| seen.body.len() > 1000);
    // However long it waits: what the kernels hold is all that is made.
    sleep(Duration::from_millis(500));
    assert!(stage.holds());
    session.reset();
    let record = stage.record();
    assert!(
        record.tally.produced < LARGE as u64 / 2,
        "{}",
        record.tally.produced
    );
    stage.wait_until_it_holds(false);
}

fn server_that_stops_stops_the_work(stage: &Stage) {
    let mut session = stage.asker(WAYS[1]).session(&small());
    session.send(&request(WAYS[1], stage.large)).unwrap();
    session.read_until(|seen| seen.body.len() > 1000);
    stage.wait_until_it_holds(true);
    stage.stop();
    stage.wait_until_it_holds(false);
    let seen = session.read();
    assert!(!seen.is_complete(), "{}", seen.verdict_line());
    let record = stage.record();
    assert_eq!(record.error_type(), Some("server_shutdown"));
}

fn head_tells_the_same_and_begins_nothing(stage: &Stage) {
    let (get, head) = (
        stage.ask(&Request::get11(stage.whole.0)),
        stage.ask(&Request::head11(stage.whole.0)),
    );
    assert!(head.is_complete() && head.body.is_empty());
    for name in [
        "content-type",
        "content-length",
        "etag",
        "last-modified",
        "cache-control",
        "accept-ranges",
    ] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let head = stage.ask(&Request::head11(stage.large));
    assert_eq!((head.status, stage.has_begun()), (Some(200), false));
}

fn body_that_is_never_polled_leaves_nothing(stage: &Stage) {
    let request = http::Request::get(stage.large).body(()).unwrap();
    let mut app = stage.app.clone();
    let answered: Result<Response<Body>, Infallible> =
        stage.runtime.block_on(async { app.call(request).await });
    let Ok(response) = answered;
    assert_eq!(response.status(), 200);
    drop(response);
    stage.wait_until_it_holds(false);
    assert!(!stage.has_begun());
}

fn other_methods_are_refused(stage: &Stage) {
    for method in ["POST", "PUT", "DELETE", "PATCH", "QUERY"] {
        let path = stage.large;
        let text = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let seen = stage.ask(&Request::raw(text));
        assert_eq!(seen.status, Some(405), "{method}");
        assert_eq!(seen.header("allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
    let text = format!("OPTIONS {} HTTP/1.1\r\nHost: a\r\n\r\n", stage.large);
    assert_eq!(stage.ask(&Request::raw(text)).status, Some(204));
    assert!(!stage.has_begun());
}

fn ranges_are_slices_where_there_are_any(stage: &Stage) {
    let (path, octets) = &stage.whole;
    let size = octets.len();
    for (from, to) in [
        (0, 1),
        (0, size),
        (1, 65_537),
        (size - 1, size),
        (500_000, 700_001),
    ] {
        let field = format!("bytes={from}-{}", to - 1);
        let seen = stage.ask(&Request::get11(path).with("Range", &field));
        if !stage.has_ranges {
            is_whole(stage, &seen, &field);
            assert_eq!(seen.header("accept-ranges"), Some("none"));
            continue;
        }
        assert_eq!(seen.status, Some(206), "{field}");
        assert!(
            seen.is_complete() && seen.body == octets[from..to],
            "{field}"
        );
        let range = format!("bytes {from}-{}/{size}", to - 1);
        assert_eq!(seen.header("content-range"), Some(&*range));
    }
    let seen = stage.ask(&Request::get11(path).with("Range", &format!("bytes={size}-")));
    if stage.has_ranges {
        assert_eq!(seen.status, Some(416));
    } else {
        is_whole(stage, &seen, "beyond the end");
    }
}

fn conditions_go_by_the_version(stage: &Stage) {
    let path = stage.whole.0;
    let first = stage.ask(&Request::get11(path));
    let Some(tag) = first.header("etag") else {
        // Without a version nobody has it, whatever is said.
        let any = Request::get11(path).with("If-None-Match", "\"x\", \"y\"");
        is_whole(stage, &stage.ask(&any), "without a version");
        return;
    };
    let with = |name: &str, value: &str| stage.ask(&Request::get11(path).with(name, value));
    assert_eq!(with("If-None-Match", tag).status, Some(304));
    assert_eq!(with("If-None-Match", "\"x\"").status, Some(200));
    assert_eq!(with("If-Match", "\"x\"").status, Some(412));
    if let Some(date) = first.header("last-modified") {
        assert_eq!(with("If-Modified-Since", date).status, Some(304));
    }
    let range = Request::get11(path).with("Range", "bytes=1-2");
    let same = stage.ask(&range.clone().with("If-Range", tag));
    assert_eq!(
        (same.status, &*same.body),
        (Some(206), &stage.whole.1[1..3])
    );
    is_whole(
        stage,
        &stage.ask(&range.with("If-Range", "\"x\"")),
        "another version",
    );
}
