//! How requests and responses over HTTP/3 end where the client, or the message, makes that hard.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get};
use bytes::Bytes;
use endwell::core::{Ending, Kind};
use endwell::{Http3Limits, Limits};
use endwell_lab::observe::{Pace, SeenEnd, http3};
use support::h3::{DEADLINE, pace};
use support::{Server, Setup};

/// 300000 octets, then trailers of 2000.
fn trailing(fails: bool) -> endwell::Body {
    endwell::stream(move |mut producer| async move {
        for _ in 0..30 {
            producer.send(Bytes::from_static(&[b'x'; 10_000])).await?;
        }
        let mut fields = HeaderMap::new();
        fields.insert("x-digest", "a".repeat(2000).parse()?);
        if fails {
            fields.insert("grpc-status", "13".parse()?);
        }
        producer.trailers(fields.try_into()?);
        Ok(producer.finish())
    })
}

async fn upload(content: Result<Bytes, BytesRejection>) -> String {
    content.map_or_else(|_| "error".to_owned(), |it| format!("whole {}", it.len()))
}

fn app() -> Router {
    Router::new()
        .route("/hello", get(|| async { "hello\n" }))
        .route("/whole", get(|| async { trailing(false) }))
        .route(
            "/grpc",
            get(|| async { ([("content-type", "application/grpc")], trailing(true)) }),
        )
        .route("/large", get(|| async { vec![b'x'; 100_000] }))
        .route("/small", get(|| async { vec![b'x'; 8_000] }))
        .route(
            "/head",
            get(|| async { ([("x-large", "a".repeat(2000))], "content") }),
        )
        .route("/101", get(|| async { StatusCode::SWITCHING_PROTOCOLS }))
        .route("/upload", any(upload))
}

/// A client that takes 1000 octets of fields (SETTINGS_MAX_FIELD_SECTION_SIZE).
fn modest(server: &Server) -> http3::Connection {
    let control = [0, 4, 3, 6, 0x43, 0xe8];
    let mut connection = http3::Connection::connect_saying(server.addr, &pace(), &control).unwrap();
    // A request overtakes SETTINGS otherwise.
    connection.pump_for(Duration::from_millis(100));
    connection
}

/// The record of a response of which the client goes on to acknowledge.
fn record(server: &Server, connection: http3::Connection, target: &str) -> endwell::Record {
    std::thread::spawn(move || {
        let mut connection = connection;
        connection.pump_for(DEADLINE);
    });
    server.record(target)
}

#[test]
fn h3_trailers_that_the_client_does_not_take_are_left_out() {
    let server = Setup::tls().start(app());
    let mut connection = modest(&server);
    let stream = connection.get("/whole", &[]).unwrap();
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.body.len(), 300_000);
    let record = record(&server, connection, "/whole");
    assert!(record.ending.is_complete(), "{}", record.json());
    assert_eq!(record.trailers_dropped, ["x-digest"]);
    assert!(record.trailers_sent.is_empty());
    assert_eq!(record.tally.acked, Some(300_000));
}

#[test]
fn h3_trailers_that_would_have_told_a_failure_give_way_to_a_reset() {
    let server = Setup::tls().start(app());
    let mut connection = modest(&server);
    let stream = connection.get("/grpc", &[("te", "trailers")]).unwrap();
    let seen = connection.observe(stream);
    assert_eq!(seen.end, SeenEnd::StreamReset(0x10c), "{:?}", seen.trailers);
    assert_eq!(seen.body.len(), 300_000);
    let record = record(&server, connection, "/grpc");
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    assert_eq!(record.signal_out, "reset_stream:0x10c");
    assert!(record.trailers_dropped.contains(&"grpc-status".to_owned()));
    assert_eq!(record.tally.sent, 300_000);
}

#[test]
fn h3_head_that_the_client_does_not_take_is_answered_with_500() {
    let server = Setup::tls().start(app());
    let mut connection = modest(&server);
    let stream = connection.get("/head", &[]).unwrap();
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!((seen.status, seen.body.len()), (Some(500), 0));
    let record = record(&server, connection, "/head");
    let cause = record.ending.cause().map(|cause| cause.kind);
    assert_eq!((record.status, cause), (500, Some(Kind::InternalError)));
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
}

#[test]
fn h3_switches_no_protocols() {
    let server = Setup::tls().start(app());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    let stream = connection.get("/101", &[]).unwrap();
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(500), "{}", seen.verdict_line());
    let record = record(&server, connection, "/101");
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    assert_eq!(record.status, 500);
}

#[test]
fn h3_whole_body_that_is_not_taken_is_no_cancellation() {
    for (target, now) in [("/hello?stall", false), ("/hello?now", true)] {
        let server = Setup {
            drain: Duration::from_secs(1),
            ..Setup::tls()
        }
        .policy(|policy| policy.stall_deadline = Some(Duration::from_secs(3)))
        .start(app());
        let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
        connection.pump_for(Duration::from_millis(100));
        connection.get(target, &[]).unwrap();
        // Nobody pumps: nothing is acknowledged. A busy server takes its time.
        std::thread::sleep(Duration::from_millis(1000));
        if now {
            server.shutdown.now();
        }
        let record = server.record(target);
        assert!(
            matches!(record.ending, Ending::Failed(_)),
            "{}",
            record.json()
        );
    }
}

#[test]
fn h3_request_that_was_reset_is_never_whole() {
    let server = Setup::tls().start(app());
    let head = b"\x01\x18\x00\x00\xd4\xd7\x50\x09localhost\x51\x07/upload";
    let mut ends = BTreeMap::<String, usize>::new();
    let mut turn = 0_u64;
    for _ in 0..10 {
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
            *ends.entry(end).or_default() += 1;
        }
    }
    assert!(!ends.keys().any(|it| it.contains("whole")), "{ends:?}");
}

#[test]
fn h3_client_that_closes_early_has_not_got_what_was_never_sent() {
    let server = Setup::tls().start(app());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(50));
    connection.get("/large", &[]).unwrap();
    // Without acknowledgements the first congestion window is all that the server may send.
    std::thread::sleep(Duration::from_millis(1500));
    connection.close(http3::NO_ERROR);
    let record = server.record("/large");
    assert!(!record.ending.is_complete(), "{}", record.json());
}

#[test]
fn h3_streams_of_a_client_that_closes_early_share_one_congestion_window() {
    let server = Setup::tls().start(app());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(50));
    for turn in 0..8 {
        connection.get(&format!("/small?{turn}"), &[]).unwrap();
    }
    // Each alone would fit.
    std::thread::sleep(Duration::from_millis(1500));
    connection.close(http3::NO_ERROR);
    for turn in 0..8 {
        let record = server.record(&format!("/small?{turn}"));
        assert!(!record.ending.is_complete(), "{}", record.json());
    }
}

#[test]
fn h3_client_that_closes_at_the_end_has_it_all() {
    let server = Setup::tls().start(app());
    for turn in 0..20 {
        let target = format!("/large?{turn}");
        let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
        let stream = connection.get(&target, &[]).unwrap();
        let seen = connection.observe(stream);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        connection.close(http3::NO_ERROR);
        let record = server.record(&target);
        assert!(record.ending.is_complete(), "{}", record.json());
    }
}

#[test]
fn h3_streams_without_a_head_count_as_cancelled() {
    let server = Setup {
        limits: Limits {
            http3: Http3Limits {
                cancelled: 20,
                ..Http3Limits::default()
            },
            ..Limits::default()
        },
        ..Setup::tls()
    }
    .start(app());
    let mut connection = http3::Connection::connect(server.addr, &pace()).unwrap();
    for _ in 0..60 {
        // The client may be told to leave before the last one.
        let Ok(stream) = connection.open(b"\x01", false) else {
            break;
        };
        connection.reset_request(stream);
        connection.pump_for(Duration::from_millis(2));
    }
    assert!(
        connection.pump_until(|it| it.ended().is_some()),
        "{:?}",
        connection.control_frames
    );
}

/// A service that is never ready.
#[derive(Clone)]
struct Busy(Arc<()>);

impl<R> tower::Service<R> for Busy {
    type Response = axum::http::Response<endwell::Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Pending
    }

    fn call(&mut self, _: R) -> Self::Future {
        unreachable!("none of {} is ready", Arc::strong_count(&self.0))
    }
}

#[test]
fn h3_service_that_is_not_ready_is_not_awaited_for_a_client_that_left() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = udp.local_addr().unwrap();
    let switch = endwell::TlsSwitch::new(support::certificate::server_config());
    let listener = endwell::listen_quic(udp, switch).unwrap();
    let busy = Arc::new(());
    let service = Busy(Arc::clone(&busy));
    runtime.spawn(async move { endwell::serve_quic(listener, service).await });
    let mut connection = http3::Connection::connect(addr, &pace()).unwrap();
    connection.pump_for(Duration::from_millis(100));
    let idle = Arc::strong_count(&busy);
    let stream = connection.get("/", &[]).unwrap();
    assert!(connection.pump_until(|_| Arc::strong_count(&busy) > idle));
    connection.cancel(stream);
    assert!(connection.pump_until(|_| Arc::strong_count(&busy) == idle));
}

#[test]
fn h3_configuration_without_tls_1_3_is_refused_and_an_exchange_keeps_the_old_one() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let old = || support::certificate::server_config_of(&[&rustls::version::TLS12]);
    let udp = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = endwell::listen_quic(udp(), old()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("TLS 1.3"), "{error}");

    let udp = udp();
    let addr = udp.local_addr().unwrap();
    let switch = endwell::TlsSwitch::new(support::certificate::server_config());
    let listener = endwell::listen_quic(udp, switch.clone()).unwrap();
    let hello = Router::new().route("/hello", get(|| async { "hello\n" }));
    runtime.spawn(async move { endwell::serve_quic(listener, hello).await });
    for config in [support::certificate::server_config(), old()] {
        switch.set(config);
        let seen = http3::observe(addr, "/hello", &[], &pace());
        assert_eq!(seen.body, b"hello\n", "{}", seen.verdict_line());
    }
}

#[test]
fn h3_stream_that_is_not_read_costs_two_small_frames_beyond_its_window() {
    const WINDOW: usize = 64 * 1024;
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let file = move || {
        let count = Arc::clone(&count);
        async move {
            endwell::stream(move |mut producer| async move {
                loop {
                    let frame = vec![b'x'; producer.frame_size()];
                    count.fetch_add(frame.len(), Ordering::SeqCst);
                    producer.send(frame).await?;
                }
            })
        }
    };
    let server = Setup::tls().start(Router::new().route("/file", get(file)));
    let narrow = Pace {
        window: Some(WINDOW as u32),
        ..pace()
    };
    let mut connection = http3::Connection::connect(server.addr, &narrow).unwrap();
    let stream = connection.get("/file", &[]).unwrap();
    let until = Instant::now() + DEADLINE;
    while made.load(Ordering::SeqCst) < WINDOW && Instant::now() < until {
        connection.pump_unread(Duration::from_millis(20));
    }
    connection.pump_unread(Duration::from_millis(500));
    let made = made.load(Ordering::SeqCst);
    println!("{made} made for a window of {WINDOW}");
    assert!((WINDOW..=WINDOW + 64 * 1024).contains(&made), "{made}");
    connection.cancel(stream);
}
