//! HTTP/3: heads that are malformed, control streams that flood, and limits without a limit.

mod support;

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use bytes::Bytes;
use endwell::{Http3Limits, Limits};
use endwell_lab::observe::{Seen, SeenEnd, http3};
use support::h3::{narrow, pace};
use support::{Server, Setup};

fn app() -> Router {
    Router::new()
        .route("/hello", any(|| async { "hello\n" }))
        .route("/", any(|| async { "hello\n" }))
        .route(
            "/large",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    for _ in 0..30 {
                        producer.send(Bytes::from_static(&[b'x'; 10_000])).await?;
                    }
                    Ok(producer.finish())
                })
            }),
        )
        .route(
            "/upload",
            any(
                |content: Result<Bytes, axum::extract::rejection::BytesRejection>| async {
                    content.map_or_else(|_| "error".to_owned(), |it| format!("whole {}", it.len()))
                },
            ),
        )
}

fn with(limits: Limits) -> Server {
    Setup {
        limits,
        drain: Duration::from_secs(1),
        ..Setup::tls()
    }
    .start(app())
}

fn connect(server: &Server) -> http3::Connection {
    http3::Connection::connect(server.addr, &pace()).expect("it accepts")
}

/// A literal field with a literal name.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match u8::try_from(name.len()).unwrap() {
        short @ 0..7 => out.push(0x20 | short),
        long => out.extend([0x27, long - 7]),
    }
    out.extend(name.as_bytes());
    out.push(u8::try_from(value.len()).unwrap());
    out.extend(value.as_bytes());
    out
}

/// What comes for a request of this field section.
fn ask(server: &Server, section: &[u8]) -> Seen {
    let mut octets = Vec::new();
    http3::put_frame(&mut octets, 1, section);
    let mut connection = connect(server);
    let stream = connection.open(&octets, false).expect("a stream opens");
    connection.finish(stream);
    connection.observe(stream)
}

#[test]
fn h3_malformed_heads_never_reach_the_application() {
    let server = with(Limits::default());
    let all: [(&str, &[(&str, &str)]); 9] = [
        (
            "two paths",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", "/nothing"),
                (":path", "/hello"),
            ],
        ),
        (
            "two methods",
            &[
                (":method", "POST"),
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", "/hello"),
            ],
        ),
        (
            "two authorities",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "a"),
                (":authority", "localhost"),
                (":path", "/hello"),
            ],
        ),
        (
            "pseudo after regular",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "localhost"),
                ("x-a", "b"),
                (":path", "/hello"),
            ],
        ),
        (
            "status",
            &[
                (":method", "GET"),
                (":status", "200"),
                (":scheme", "https"),
                (":authority", "localhost"),
                (":path", "/hello"),
            ],
        ),
        (
            "two hosts",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/hello"),
                ("host", "localhost"),
                ("host", "other"),
            ],
        ),
        (
            "userinfo",
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":authority", "me@localhost"),
                (":path", "/hello"),
            ],
        ),
        (
            "no path",
            &[(":method", "GET"), (":authority", "localhost")],
        ),
        (
            "no scheme",
            &[
                (":method", "GET"),
                (":authority", "localhost"),
                (":path", "/hello"),
            ],
        ),
    ];
    for (what, fields) in all {
        let mut section = vec![0, 0];
        for (name, value) in fields {
            section.extend(literal(name, value));
        }
        let seen = ask(&server, &section);
        let refused = match what {
            // Well-formed fields, of which no request is made: RFC 9110 sections 4.2.4 and 7.2.
            "two hosts" | "userinfo" => seen.status == Some(400),
            _ => seen.status.is_none() && seen.end == SeenEnd::StreamReset(0x10e),
        };
        assert!(refused, "{what}: {}", seen.verdict_line());
    }
}

#[test]
fn h3_static_table_is_read_as_the_client_means_it() {
    let server = with(Limits::default());
    for index in 0_u8..=99 {
        // GET, https, /, and `:authority` with a literal value.
        let mut section = b"\x00\x00\xd1\xd7\xc1\x50\x09localhost".to_vec();
        match index {
            0..63 => section.push(0xc0 | index),
            _ => section.extend([0xff, index - 63]),
        }
        let seen = ask(&server, &section);
        let expected = match index {
            0 | 1 | 15..=28 | 63..=71 => seen.end == SeenEnd::StreamReset(0x10e),
            99 => seen.end == SeenEnd::ConnectionClosed(0x200),
            _ => seen.is_complete(),
        };
        assert!(expected, "{index}: {}", seen.verdict_line());
    }
}

#[test]
fn h3_malformed_trailers_never_reach_the_application() {
    let server = with(Limits::default());
    for (name, body) in [
        ("x-digest", "whole 5"),
        (":path", "error"),
        (":status", "error"),
        ("connection", "error"),
        ("te", "error"),
    ] {
        let mut octets = Vec::new();
        let head = b"\x00\x00\xd4\xd7\x50\x09localhost\x51\x07/upload";
        http3::put_frame(&mut octets, 1, head);
        http3::put_frame(&mut octets, 0, b"12345");
        let mut section = vec![0, 0];
        section.extend(literal(name, "/x"));
        http3::put_frame(&mut octets, 1, &section);
        let mut connection = connect(&server);
        let stream = connection.open(&octets, false).expect("a stream opens");
        connection.finish(stream);
        let seen = connection.observe(stream);
        let said = String::from_utf8_lossy(&seen.body);
        assert_eq!(said, body, "{name}: {}", seen.verdict_line());
    }
}

/// The control stream of a client, after its type and SETTINGS.
const CONTROL: http3::StreamId = 2;

#[test]
fn h3_control_frames_have_a_limit() {
    let server = with(Limits::default());
    for frame in [&[0x0d, 1, 0][..], &[0x07, 1, 0], &[0x21, 0]] {
        let mut connection = connect(&server);
        let flood = frame.repeat(1 << 20);
        let _ = connection.write(CONTROL, &flood);
        assert!(connection.pump_until(|it| it.ended().is_some()));
        let ended = connection.ended();
        assert_eq!(ended, Some(&SeenEnd::ConnectionClosed(0x107)), "{frame:x?}");
    }
    assert!(connect_and_get(&server).is_complete());
}

#[test]
fn h3_control_frames_of_many_requests_are_taken() {
    let server = with(Limits::default());
    let mut connection = connect(&server);
    // PRIORITY_UPDATE (RFC 9218 section 7.2) for streams, as browsers send it.
    let priorities = [0x80, 0x0f, 0x07, 0x00, 4, 0, b'u', b'=', b'1'].repeat(12);
    for _ in 0..150 {
        let stream = connection.get("/hello", &[]).expect("it lives");
        connection.write(CONTROL, &priorities).expect("it reads");
        let seen = connection.observe(stream);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
}

#[test]
fn h3_frames_that_no_control_stream_has_end_the_connection() {
    let server = with(Limits::default());
    for (what, octets, code) in [
        ("DATA", &[0, 0][..], 0x105),
        ("SETTINGS twice", &[4, 0], 0x105),
        ("CANCEL_PUSH", &[3, 1, 0], 0x108),
        ("GOAWAY grows", &[7, 1, 0, 7, 1, 4], 0x108),
        ("MAX_PUSH_ID shrinks", &[0x0d, 1, 1, 0x0d, 1, 0], 0x108),
        ("a short integer", &[7, 1, 0x40], 0x106),
        ("4097 octets", &[0x21, 0x50, 0x01], 0x107),
    ] {
        let mut connection = connect(&server);
        connection.write(CONTROL, octets).expect("it reads");
        assert!(connection.pump_until(|it| it.ended().is_some()), "{what}");
        let ended = connection.ended();
        assert_eq!(ended, Some(&SeenEnd::ConnectionClosed(code)), "{what}");
    }
    // Without SETTINGS before it.
    let mut connection =
        http3::Connection::connect_saying(server.addr, &pace(), &[0, 7, 1, 0]).expect("it accepts");
    assert!(connection.pump_until(|it| it.ended().is_some()));
    let ended = connection.ended();
    assert_eq!(ended, Some(&SeenEnd::ConnectionClosed(0x10a)));
}

#[test]
fn h3_goaway_of_a_client_lets_its_responses_end() {
    let server = with(Limits::default());
    let mut connection = http3::Connection::connect(server.addr, &narrow(20_000)).unwrap();
    let stream = connection.get("/large", &[]).unwrap();
    connection.read_until(stream, |seen| seen.status.is_some());
    connection.write(CONTROL, &[7, 1, 0]).unwrap();
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.body.len(), 300_000);
    connection.pump_for(Duration::from_millis(200));
    server.shutdown.drain();
    assert!(connection.pump_until(|it| it.ended().is_some()));
    let ended = connection.ended();
    assert_eq!(ended, Some(&SeenEnd::ConnectionClosed(http3::NO_ERROR)));
    let away: Vec<&String> = connection
        .control_frames
        .iter()
        .filter(|frame| frame.starts_with("GOAWAY"))
        .collect();
    assert_eq!(away, ["GOAWAY 4"], "request 0 was answered");
}

#[test]
fn h3_any_limit_can_be_configured() {
    for (head, streams) in [
        (usize::MAX, u32::MAX),
        ((1 << 62) - 1, 128),
        (32 * 1024, 1 << 31),
    ] {
        let server = with(Limits {
            head,
            http3: Http3Limits {
                streams,
                ..Http3Limits::default()
            },
            ..Limits::default()
        });
        let seen = connect_and_get(&server);
        assert!(seen.is_complete(), "{head}: {}", seen.verdict_line());
        if head > 1 << 30 {
            // HEADERS of 2^60 octets: nobody sets that much aside.
            let mut connection = connect(&server);
            let octets = [1, 0xd0, 0, 0, 0, 0, 0, 0, 0, 0];
            let stream = connection.open(&octets, false).expect("a stream opens");
            let seen = connection.observe(stream);
            assert_eq!(seen.status, Some(431), "{}", seen.verdict_line());
        }
    }
}

fn connect_and_get(server: &Server) -> Seen {
    http3::observe(server.addr, "/hello", &[], &pace())
}

#[test]
fn h3_no_head_panics() {
    let server = with(Limits::default());
    let valid = b"\x00\x00\xd1\xd7\x50\x09localhost\x51\x06/hello\x27\x05x-aaaaaabbb\x03abc\x5f\x50\x83\xff\x11\x22";
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..500 {
        let mut section = valid.to_vec();
        for _ in 0..1 + next() % 4 {
            let at = (next() % section.len() as u64) as usize;
            match next() % 4 {
                0 => section[at] = next() as u8,
                1 => section[at] = 0xff,
                2 => section.insert(at, next() as u8),
                _ => section.truncate(at.max(2)),
            }
        }
        let mut octets = Vec::new();
        http3::put_frame(&mut octets, 1, &section);
        let Ok(mut connection) = http3::Connection::connect(server.addr, &pace()) else {
            continue;
        };
        let stream = connection.open(&octets, false).unwrap();
        connection.finish(stream);
        let seen = connection.observe(stream);
        let end = format!("{:?} {:?}", seen.status, seen.end);
        if !ends.contains_key(&end) {
            println!("{end}: {section:02x?}");
        }
        *ends.entry(end).or_default() += 1;
        connection.close(0x100);
    }
    // A panic of the task would reset with H3_INTERNAL_ERROR (0x102), or close without a word.
    let known = [
        "Some(",
        "None ConnectionClosed(512)",
        "None StreamReset(270)",
    ];
    for end in ends.keys() {
        assert!(known.iter().any(|it| end.starts_with(it)), "{ends:#?}");
    }
}
