//! HTTP/3 clients that hold back what the server waits for, and messages that do not fit.

mod support;

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
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
        .route("/101", get(|| async { StatusCode::SWITCHING_PROTOCOLS }))
        .route(
            "/upload",
            any(
                |content: Result<Bytes, axum::extract::rejection::BytesRejection>| async {
                    content.map_or_else(|_| "error".to_owned(), |it| format!("whole {}", it.len()))
                },
            ),
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
fn h3_trailers_that_the_client_does_not_take_cost_no_octet() {
    let server = with(Limits::default());
    // SETTINGS_MAX_FIELD_SECTION_SIZE = 1000.
    let control = [0, 4, 3, 6, 0x43, 0xe8];
    let mut connection = http3::Connection::connect_saying(server.addr, &pace(), &control).unwrap();
    connection.pump_for(Duration::from_millis(100));
    let stream = connection.get("/trailers", &[]).unwrap();
    let seen = connection.observe(stream);
    let record = server.record("/trailers");
    println!("{} {}", seen.verdict_line(), record.json());
    assert_eq!(seen.body.len(), 300_000);
}

#[test]
fn h3_switches_no_protocols() {
    let server = with(Limits::default());
    let seen = http3::observe(server.addr, "/101", &[], &pace());
    let record = server.record("/101");
    assert!(
        !record.ending.is_complete(),
        "{} {}",
        seen.verdict_line(),
        record.json()
    );
}

#[test]
fn h3_whole_body_that_is_not_taken_is_no_cancellation() {
    for (target, now) in [("/hello?stall", false), ("/hello?now", true)] {
        let server = Setup {
            drain: Duration::from_secs(1),
            ..Setup::tls()
        }
        .policy(|policy| policy.stall_deadline = Some(Duration::from_millis(600)))
        .start(app());
        let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
        connection.pump_for(Duration::from_millis(100));
        connection.get(target, &[]).unwrap();
        // Nobody pumps: nothing is acknowledged.
        std::thread::sleep(Duration::from_millis(100));
        if now {
            server.shutdown.now();
        }
        let record = server.record(target);
        let cancelled = matches!(record.ending, endwell::core::Ending::Cancelled(_));
        assert!(!cancelled, "{}", record.json());
    }
}

#[test]
fn h3_request_that_was_reset_is_never_whole() {
    let server = with(Limits::default());
    let head = b"\x01\x18\x00\x00\xd4\xd7\x50\x09localhost\x51\x07/upload";
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    let since = Instant::now();
    let mut turn = 0_u64;
    'all: while since.elapsed() < Duration::from_secs(60) {
        let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
        connection.pump_for(Duration::from_millis(5));
        for _ in 0..200 {
            let stream = connection.open(head, false).unwrap();
            let wait = Instant::now();
            turn += 1;
            while wait.elapsed() < Duration::from_micros(turn * 7 % 400) {
                std::hint::spin_loop();
            }
            connection.reset_request(stream);
            let seen = connection.observe(stream);
            let end = format!("{:?} {}", seen.end, String::from_utf8_lossy(&seen.body));
            let whole = seen.body.starts_with(b"whole");
            *ends.entry(end).or_default() += 1;
            if whole {
                break 'all;
            }
        }
    }
    println!("{ends:#?} after {turn}");
    assert!(!ends.keys().any(|it| it.contains("whole")));
}

#[test]
fn h3_client_that_closes_early_has_not_got_what_was_never_sent() {
    let app = Router::new().route("/large", get(|| async { vec![b'x'; 100_000] }));
    let server = Setup::tls().start(app);
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(50));
    let stream = connection.get("/large", &[]).unwrap();
    // Without acknowledgements the first congestion window is all that the server may send.
    std::thread::sleep(Duration::from_millis(300));
    connection.close(http3::NO_ERROR);
    let _ = stream;
    let record = server.record("/large");
    assert!(!record.ending.is_complete(), "{}", record.json());
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
