//! HTTP/3 servers that end connections: while clients hold back what they wait for, or ask for too much.

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use endwell::{Http3Limits, Limits};
use endwell_lab::observe::{Pace, http3};
use support::h3::{DEADLINE, narrow, pace};
use support::{Server, Setup};

fn app() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route("/pending", get(std::future::pending::<()>))
        .route(
            "/unread",
            post(|content: Body| async move {
                std::future::pending::<()>().await;
                drop(content);
            }),
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
        let Ok(stream) = connection.get("/pending", &[]) else {
            // It was closed: all the better.
            break;
        };
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
    // The drain has 1 s, a last word 5 s; three times the client's round trip would be 30 s and more.
    assert!(
        since.elapsed() < Duration::from_secs(24),
        "{:?}",
        since.elapsed()
    );
}

/// What the record says of a response that the server ended with its connection.
fn assert_ended_by_the_server(server: &Server, target: &str) {
    let record = server.record(target);
    let cancelled = matches!(record.ending, endwell::core::Ending::Cancelled(_));
    assert!(!cancelled, "{}", record.json());
    let json = record.json();
    assert!(json.contains("server_shutdown"), "{json}");
}

/// A connection that gets GOAWAY while a head has begun on the stream.
fn going_away(server: &Server, part: &[u8]) -> (http3::Connection, http3::StreamId) {
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(20));
    let stream = connection.open(part, false).unwrap();
    let told = connection.pump_until(told_to_leave);
    assert!(told, "{:?}", connection.control_frames);
    (connection, stream)
}

fn told_to_leave(connection: &http3::Connection) -> bool {
    let goaway = |frame: &String| frame.starts_with("GOAWAY");
    connection.control_frames.iter().any(goaway)
}

#[test]
fn h3_response_that_a_stop_at_once_ends_was_not_left_by_its_client() {
    let server = with(Limits {
        idle: Duration::from_millis(1500),
        ..Limits::default()
    });
    let head = b"\x01\x19\x00\x00\xd1\xd7\x50\x09localhost\x51\x08/pending";
    let (mut connection, stream) = going_away(&server, &head[..4]);
    connection.write(stream, &head[4..]).unwrap();
    while server.controls.connections().requests == 0 {
        connection.pump_unread(Duration::from_millis(5));
    }
    server.shutdown.now();
    assert!(stops_within(&server, &mut connection, DEADLINE));
    assert_ended_by_the_server(&server, "/pending");
}

#[test]
fn h3_response_beside_too_many_cancelled_ones_was_not_left_by_its_client() {
    let server = with(Limits {
        http3: Http3Limits {
            cancelled: 5,
            ..Http3Limits::default()
        },
        ..Limits::default()
    });
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.get("/pending?kept", &[]).unwrap();
    let streams: Vec<_> = (0..20)
        .map(|_| connection.get("/pending", &[]).unwrap())
        .collect();
    while server.controls.connections().requests < 21 {
        connection.pump_for(Duration::from_millis(5));
    }
    for stream in &streams[..6] {
        connection.cancel(*stream);
    }
    assert!(connection.pump_until(told_to_leave));
    for stream in &streams[6..] {
        connection.cancel(*stream);
    }
    assert!(connection.pump_until(|it| it.ended().is_some()));
    assert_ended_by_the_server(&server, "/pending?kept");
}

#[test]
fn h3_request_whose_head_has_not_come_is_under_way() {
    let server = with(Limits {
        idle: Duration::from_millis(1500),
        ..Limits::default()
    });
    let head = b"\x01\x17\x00\x00\xd1\xd7\x50\x09localhost\x51\x06/hello";
    // What was open before GOAWAY goes on.
    let (mut connection, stream) = going_away(&server, &head[..4]);
    connection.pump_for(Duration::from_millis(2500));
    connection.write(stream, &head[4..]).unwrap();
    connection.finish(stream);
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.body, b"hello\n");
}

#[test]
fn h3_uploads_that_nobody_reads_leave_room_for_heads() {
    let server = with(Limits::default());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(20));
    let mut content = Vec::new();
    http3::put_frame(&mut content, 0, &vec![b'x'; 1 << 20]);
    for _ in 0..7 {
        let stream = connection.request("POST", "/unread", &[], None).unwrap();
        let mut written = 0;
        let mut idle = 0;
        while idle < 5 && written < content.len() {
            let some = connection.write_some(stream, &content[written..]);
            written += some;
            idle = if some == 0 { idle + 1 } else { 0 };
            connection.pump_unread(Duration::from_millis(10));
        }
        assert!((1000..content.len()).contains(&written), "{written}");
    }
    let stream = connection.get("/hello", &[]).unwrap();
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}

/// An address that passes on what a client sends, and nothing that it is answered.
fn feigned(server: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok((len, from)) = socket.recv_from(&mut datagram) {
            if from != server {
                let _ = socket.send_to(&datagram[..len], server);
            }
        }
    });
    addr
}

#[test]
fn h3_share_of_a_client_is_not_taken_by_who_feigns_its_address() {
    let server = with(Limits {
        per_client: Some(2),
        ..Limits::default()
    });
    let short = Pace {
        deadline: Duration::from_millis(300),
        ..pace()
    };
    for _ in 0..4 {
        // They stay for as long as a handshake may take.
        assert!(http3::Connection::connect(feigned(server.addr), &short).is_err());
    }
    let seen = http3::observe(server.addr, "/hello", &[], &pace());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}
