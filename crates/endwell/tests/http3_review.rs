//! HTTP/3 clients that hold back what the server waits for, and messages that do not fit.

mod support;

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{any, get};
use bytes::Bytes;
use endwell::{Http3Limits, Limits};
use endwell_lab::observe::{Pace, http3};
use support::{Server, Setup};

const DEADLINE: Duration = Duration::from_secs(60);

fn pace() -> Pace {
    Pace {
        deadline: DEADLINE,
        ..Pace::fast()
    }
}

fn app() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route("/pending", get(std::future::pending::<()>))
        .route(
            "/trailers",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    for _ in 0..30 {
                        producer.send(Bytes::from_static(&[b'x'; 10_000])).await?;
                    }
                    let mut fields = HeaderMap::new();
                    fields.insert("x-digest", "a".repeat(2000).parse()?);
                    producer.trailers(fields.try_into()?);
                    Ok(producer.finish())
                })
            }),
        )
        .route("/connect", any(|| async { "in the tunnel" }))
}

fn with(limits: Limits) -> Server {
    Setup {
        limits,
        drain: Duration::from_secs(1),
        ..Setup::tls()
    }
    .start(app())
}

fn narrow(window: u32) -> Pace {
    Pace {
        window: Some(window),
        ..pace()
    }
}

/// How long the server takes to stop while the client lives and reads nothing.
fn stops_within(server: &Server, connection: &mut http3::Connection, most: Duration) -> bool {
    let since = Instant::now();
    while since.elapsed() < most {
        connection.pump_unread(Duration::from_millis(20));
        if server.stopped(Duration::from_millis(1)) {
            println!("stopped after {:?}", since.elapsed());
            return true;
        }
    }
    false
}

/// The window into which SETTINGS just fit.
fn settings_fit() -> u32 {
    for window in 3..64 {
        let server = with(Limits {
            head_timeout: Duration::from_millis(500),
            ..Limits::default()
        });
        let mut connection = http3::Connection::connect(server.addr, &narrow(window)).unwrap();
        connection.get("/pending", &[]).unwrap();
        connection.pump_unread(Duration::from_millis(400));
        if server.controls.connections().requests == 1 {
            return window;
        }
    }
    panic!("no window is wide enough")
}

#[test]
fn h3_goaway_without_room_does_not_hold_a_server_that_stops() {
    let window = settings_fit();
    println!("SETTINGS fit into {window}");
    let server = with(Limits {
        http3: Http3Limits {
            cancelled: 5,
            ..Http3Limits::default()
        },
        ..Limits::default()
    });
    let mut connection = http3::Connection::connect(server.addr, &narrow(window)).unwrap();
    for _ in 0..100 {
        let stream = connection.get("/pending", &[]).unwrap();
        connection.pump_unread(Duration::from_millis(3));
        connection.cancel(stream);
        connection.pump_unread(Duration::from_millis(3));
    }
    println!("{:?}", server.controls.connections());
    server.shutdown.now();
    assert!(stops_within(
        &server,
        &mut connection,
        Duration::from_secs(45)
    ));
}

#[test]
fn h3_settings_without_room_do_not_hold_a_server_that_stops() {
    let server = with(Limits {
        head_timeout: Duration::from_secs(60),
        ..Limits::default()
    });
    let mut connection = http3::Connection::connect(server.addr, &narrow(1)).unwrap();
    connection.pump_unread(Duration::from_millis(300));
    server.shutdown.now();
    assert!(stops_within(
        &server,
        &mut connection,
        Duration::from_secs(20)
    ));
}

#[test]
fn h3_any_limit_of_heads_can_be_configured() {
    let server = with(Limits {
        head: usize::MAX,
        ..Limits::default()
    });
    let seen = http3::observe(
        server.addr,
        "/hello",
        &[],
        &Pace {
            deadline: Duration::from_secs(15),
            ..pace()
        },
    );
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}

#[test]
fn h3_control_frames_are_not_kept() {
    let server = with(Limits::default());
    let before = memory();
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    let flood: Vec<u8> = [0x03, 0x01, 0x00].repeat(1 << 20);
    let since = Instant::now();
    let mut sent = 0;
    let mut most = 0;
    while since.elapsed() < Duration::from_secs(8) {
        if connection.write(2, &flood).is_err() {
            break;
        }
        sent += flood.len();
        most = most.max(memory().saturating_sub(before));
    }
    println!(
        "{} MiB sent, {} MiB held, {:?}",
        sent >> 20,
        most >> 20,
        connection.ended()
    );
    assert!(most < 64 << 20, "{most} octets");
}

#[test]
fn h3_control_frames_cost_no_more_than_they_are() {
    let server = with(Limits::default());
    let flood: Vec<u8> = [0x03, 0x01, 0x00].repeat(3 << 20);
    let short = Pace {
        deadline: Duration::from_secs(10),
        ..pace()
    };
    let mut connection = http3::Connection::connect(server.addr, &short).unwrap();
    let done = connection.write(2, &flood);
    let ended = connection.ended().cloned();
    println!("flooded: {done:?} {ended:?}");
    let mut busy = 0;
    loop {
        let before = cpu();
        std::thread::sleep(Duration::from_secs(1));
        let ticks = cpu() - before;
        if ticks < 20 || busy > 60 {
            break;
        }
        busy += 1;
    }
    println!("busy for {busy} s after the last octet");
    assert!(busy < 5, "{busy} s");
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
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
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

fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let rest = text.rsplit(')').next().unwrap();
    let it: Vec<&str> = rest.split_whitespace().collect();
    it[11].parse::<u64>().unwrap() + it[12].parse::<u64>().unwrap()
}

fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
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
    let mut passed = Vec::new();
    for (what, fields) in all {
        let mut section = vec![0, 0];
        for (name, value) in fields {
            section.extend(literal(name, value));
        }
        let mut octets = Vec::new();
        http3::put_frame(&mut octets, 1, &section);
        let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
        let stream = connection.open(&octets, false).unwrap();
        connection.finish(stream);
        let seen = connection.observe(stream);
        println!("{what}: {}", seen.verdict_line());
        if seen.status.is_some_and(|status| status != 400) {
            passed.push(what);
        }
    }
    // A request whose trailers have a pseudo-header.
    assert!(passed.is_empty(), "{passed:?}");
}

#[test]
fn h3_client_that_acknowledges_late_does_not_prolong_the_drain() {
    let server = with(Limits::default());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    for _ in 0..3 {
        connection.get("/hello", &[]).unwrap();
        // The answer waits in the kernel: the round trip seems to take so long.
        std::thread::sleep(Duration::from_secs(4));
        connection.pump_for(Duration::from_millis(100));
    }
    server.shutdown.drain();
    let since = Instant::now();
    connection.vanish();
    let stopped = server.stopped(Duration::from_secs(60));
    println!("{stopped} {:?}", since.elapsed());
    // The drain has 1 s, a last word 5 s.
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn h3_goaway_of_a_client_lets_its_responses_end() {
    let server = with(Limits::default());
    let mut connection = http3::Connection::connect(server.addr, &narrow(20_000)).unwrap();
    let stream = connection.get("/trailers", &[]).unwrap();
    connection.read_until(stream, |seen| seen.status.is_some());
    connection.write(2, &[7, 1, 0]).unwrap();
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.body.len(), 300_000);
    let closed = connection.pump_until(|it| it.ended().is_some());
    println!(
        "{closed} {:?} {:?}",
        connection.ended(),
        connection.control_frames
    );
}
