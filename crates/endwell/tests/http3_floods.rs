//! HTTP/3 clients that take more than their share: limits hold, memory is bounded, others are served.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use endwell::{Http3Limits, Limits};
use endwell_lab::observe::{Pace, SeenEnd, http3};
use support::h3::{DEADLINE, connect, pace};
use support::{Server, Setup};

fn app() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route("/endless", get(|| async { endless() }))
        .route(
            "/unread",
            post(|request: Request| async move {
                std::future::pending::<()>().await;
                drop(request);
            }),
        )
}

fn endless() -> endwell::Body {
    endwell::stream(|mut producer| async move {
        loop {
            producer.send(Bytes::from_static(&[b'x'; 65536])).await?;
        }
        #[allow(unreachable_code)]
        Ok(producer.finish())
    })
}

fn with(limits: Limits) -> Server {
    Setup {
        limits,
        ..Setup::tls()
    }
    .start(app())
}

/// Somebody else is served as if nothing were.
fn others_are_served(server: &Server) {
    let seen = http3::observe(server.addr, "/hello", &[], &pace());
    assert_eq!(seen.body, b"hello\n", "{}", seen.verdict_line());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}

/// Waits for something that happens soon.
fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Octets of memory that the process holds.
#[cfg(target_os = "linux")]
fn memory() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("proc is mounted");
    let pages: usize = text
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

#[test]
fn h3_half_open_handshakes_hold_few_places() {
    let server = with(Limits::default());
    let flood: Vec<_> = (0..600)
        .map(|_| http3::half_open(server.addr).expect("a socket"))
        .collect();
    others_are_served(&server);
    // Those that have not shown their address hold 64 places at most, and ours held one more.
    let open = server.controls.connections().open;
    assert!(open <= 65, "{open} places");
    drop(flood);
}

#[test]
fn h3_streams_without_heads_are_bounded_and_answered() {
    let server = with(Limits {
        head_timeout: Duration::from_secs(2),
        http3: Http3Limits {
            streams: 20,
            ..Http3Limits::default()
        },
        ..Limits::default()
    });
    let mut connection = connect(&server, &pace());
    // A HEADERS frame that never comes.
    let mut streams = Vec::new();
    while let Some(stream) = connection.try_open(&[1, 0x40, 200]) {
        streams.push(stream);
        assert!(streams.len() <= 20, "the limit does not hold");
    }
    assert_eq!(streams.len(), 20);
    others_are_served(&server);
    for stream in streams {
        let seen = connection.observe(stream);
        assert_eq!(seen.status, Some(408), "{}", seen.verdict_line());
    }
    let stream = connection.get("/hello", &[]).expect("there is room again");
    assert!(connection.observe(stream).is_complete());
}

#[test]
fn h3_rapid_resets_end_the_connection() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let app = app().route(
        "/counted",
        get(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>()
        }),
    );
    let server = Setup {
        limits: Limits {
            http3: Http3Limits {
                cancelled: 50,
                ..Http3Limits::default()
            },
            ..Limits::default()
        },
        ..Setup::tls()
    }
    .start(app);
    let mut connection = connect(&server, &pace());
    let mut sent = 0;
    let until = Instant::now() + DEADLINE;
    while connection.ended().is_none() && Instant::now() < until {
        match connection.get("/counted", &[]) {
            Ok(stream) => connection.cancel(stream),
            Err(_) => break,
        }
        sent += 1;
        connection.pump_for(Duration::from_millis(1));
    }
    let end = connection.ended().cloned();
    // NO_ERROR if it was idle when it had to go, else EXCESSIVE_LOAD. The GOAWAY before it may be overtaken: a client
    // forgets what it has not read of a connection that is closed.
    assert!(
        matches!(end, Some(SeenEnd::ConnectionClosed(0x100 | 0x107))),
        "{sent} requests: {end:?}"
    );
    let ran = seen.load(Ordering::SeqCst);
    assert!(
        ran <= 50 + 128,
        "{ran} of {sent} requests reached the application"
    );
    others_are_served(&server);
}

#[test]
#[cfg(target_os = "linux")]
fn h3_responses_that_nobody_reads_hold_little() {
    let server = with(Limits::default());
    let narrow = Pace {
        window: Some(1000),
        ..pace()
    };
    others_are_served(&server);
    let before = memory();
    let mut connection = connect(&server, &narrow);
    for _ in 0..100 {
        connection.get("/endless", &[]).expect("a stream opens");
        connection.pump_unread(Duration::from_millis(5));
    }
    soon("they all run", || {
        connection.pump_unread(Duration::from_millis(5));
        server.controls.connections().requests == 100
    });
    connection.pump_unread(Duration::from_millis(300));
    let each = memory().saturating_sub(before) / 100;
    println!("{each} octets a stalled stream, client included");
    assert!(each < 256 * 1024, "{each} octets a stalled stream");
    others_are_served(&server);
}

#[test]
fn h3_content_that_is_not_read_is_not_taken() {
    let server = with(Limits::default());
    let mut connection = connect(&server, &pace());
    let mut taken = 0;
    for _ in 0..8 {
        // `POST /unread` with names of the static table.
        let head = b"\x01\x18\x00\x00\xd4\xd7\x50\x09localhost\x51\x07/unread";
        let stream = connection.try_open(head).expect("a stream opens");
        // A DATA frame without end.
        let mut octets = vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        octets.resize(4 * 1024 * 1024, b'x');
        let mut still = Instant::now();
        let mut at = 0;
        while still.elapsed() < Duration::from_millis(200) {
            let written = connection.write_some(stream, &octets[at..]);
            if written > 0 {
                at += written;
                still = Instant::now();
            }
            connection.pump_unread(Duration::from_millis(1));
        }
        assert!(at <= 513 * 1024, "{at} octets on a stream");
        taken += at;
    }
    assert!(taken <= 2100 * 1024, "{taken} octets on a connection");
    connection.close(http3::NO_ERROR);
    others_are_served(&server);
}

#[test]
fn h3_one_connection_too_many_is_refused_or_waits() {
    let server = with(Limits {
        per_client: Some(1),
        ..Limits::default()
    });
    let first = connect(&server, &pace());
    let error = http3::Connection::connect(server.addr, &pace()).expect_err("it has its share");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(server.controls.connections().refused, 1);
    first.close(http3::NO_ERROR);
    soon("the place is free", || {
        server.controls.connections().open == 0
    });
    others_are_served(&server);

    let server = with(Limits {
        connections: 1,
        ..Limits::default()
    });
    let first = connect(&server, &pace());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| others_are_served(&server));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!second.is_finished(), "there was no place");
        first.close(http3::NO_ERROR);
        second.join().expect("it is served when there is one");
    });
}

#[test]
fn h3_one_request_too_many_is_rejected_before_the_application_sees_it() {
    let server = with(Limits {
        requests: 1,
        ..Limits::default()
    });
    let mut busy = connect(&server, &pace());
    let stream = busy.get("/endless", &[]).expect("a stream opens");
    busy.read_until(stream, |seen| seen.status.is_some());
    let seen = http3::observe(server.addr, "/hello?late", &[], &pace());
    assert_eq!(
        seen.end,
        SeenEnd::StreamReset(0x10b),
        "{}",
        seen.verdict_line()
    );
    let record = server.record("/hello?late");
    assert_eq!(record.error_type(), Some("overloaded"), "{}", record.json());
    assert_eq!(record.signal_out, "reset_stream:0x10b", "{}", record.json());
}

#[test]
fn h3_idle_connections_are_left_in_order() {
    let server = with(Limits {
        idle: Duration::from_millis(1500),
        ..Limits::default()
    });
    let mut connection = connect(&server, &pace());
    let stream = connection.get("/hello", &[]).expect("a stream opens");
    assert!(connection.observe(stream).is_complete());
    assert!(connection.pump_until(|it| it.ended().is_some()));
    assert_eq!(
        connection.ended(),
        Some(&SeenEnd::ConnectionClosed(http3::NO_ERROR))
    );
    assert!(connection.control_frames.contains(&"GOAWAY 4".to_owned()));
    assert_eq!(server.controls.connections().idle, 1);
}
