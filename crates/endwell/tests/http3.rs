//! HTTP/3: what the matrix of endings does not show: neighbours, lengths, trailers, heads, drain.

mod support;

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{any, get};
use endwell::Kind;
use endwell::core::Ending;
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http1, http2, http3};
use support::h3::{DEADLINE, connect, pace};
use support::script::{app, octets};
use support::{Server, Setup};

fn get3(server: &Server, target: &str) -> Seen {
    http3::observe(server.addr, target, &[], &pace())
}

fn target(fault: &str, size: usize, cut: usize, promise: bool, id: usize) -> String {
    format!("/script?fault={fault}&size={size}&cut={cut}&frame=16384&promise={promise}&id={id}")
}

#[test]
fn h3_failed_stream_leaves_its_neighbours_alive() {
    let server = Setup::tls().start(app());
    let narrow = Pace {
        window: Some(20_000),
        ..pace()
    };
    let mut connection = connect(&server, &narrow);
    let slow = connection
        .get(&target("none", 3_000_000, 0, true, 1), &[])
        .expect("a stream opens");
    let failing = connection
        .get(&target("mid", 900_000, 800_000, false, 2), &[])
        .expect("a stream opens");
    let seen = connection.observe(failing);
    assert_eq!(seen.end, SeenEnd::StreamReset(0x10c));
    assert!(seen.body == octets(800_000), "{}", seen.verdict_line());
    let seen = connection.observe(slow);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(seen.body == octets(3_000_000), "{}", seen.verdict_line());
    let later = connection.get("/hello", &[]).expect("a stream opens");
    assert!(connection.observe(later).is_complete());
    assert_eq!(connection.ended(), None);
}

#[test]
fn h3_head_arrives_before_the_reset_even_without_a_grace() {
    let server = Setup::tls()
        .policy(|policy| {
            policy.grace.default = Duration::ZERO;
            policy.grace.browser = Duration::ZERO;
        })
        .start(app());
    for id in 0..20 {
        let seen = get3(&server, &target("committed", 10, 0, false, id));
        assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
        assert_eq!(seen.end, SeenEnd::StreamReset(0x10c));
    }
}

#[test]
fn h3_trailers_follow_for_programs_and_not_for_browsers() {
    let app = Router::new().route(
        "/",
        get(|| async {
            let body = endwell::stream(|mut producer| async move {
                producer.send("digested").await?;
                let mut fields = HeaderMap::new();
                fields.insert("x-digest", "abc".parse()?);
                producer.trailers(fields.try_into()?);
                Ok(producer.finish())
            });
            ([(header::TRAILER, "x-digest")], body)
        }),
    );
    let server = Setup::tls().start(app);
    let seen = get3(&server, "/?program");
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.trailer("x-digest"), Some("abc"));
    let fields = [("sec-fetch-dest", "document"), ("te", "trailers")];
    let seen = http3::observe(server.addr, "/?browser", &fields, &pace());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(
        (seen.body.as_slice(), seen.trailer("x-digest")),
        (&b"digested"[..], None)
    );
    for (target, sent) in [("/?program", 1), ("/?browser", 0)] {
        let record = server.record(target);
        assert_eq!(record.trailers_sent.len(), sent, "{}", record.json());
        assert_eq!(record.trailers_dropped.len(), 1 - sent, "{}", record.json());
    }
}

#[test]
fn h3_responses_without_a_body_are_complete() {
    let app = Router::new()
        .route("/full", get(|| async { "hello\n" }))
        .route("/204", get(|| async { StatusCode::NO_CONTENT }))
        .route("/304", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/empty", get(|| async { "" }))
        .route("/connect", any(|| async { StatusCode::NOT_IMPLEMENTED }));
    let server = Setup::tls().start(app);
    let mut connection = connect(&server, &pace());
    for (method, path, status, length) in [
        ("HEAD", "/full", 200, Some("6")),
        ("GET", "/204", 204, None),
        // What axum says of it, as over HTTP/2.
        ("GET", "/304", 304, Some("0")),
        ("GET", "/empty", 200, Some("0")),
        ("GET", "/full", 200, Some("6")),
        ("OPTIONS", "/connect", 501, Some("0")),
    ] {
        let stream = connection
            .request(method, path, &[], Some(&[]))
            .expect("a stream opens");
        let seen = connection.observe(stream);
        assert_eq!(seen.status, Some(status), "{method} {path}");
        assert!(
            seen.is_complete(),
            "{method} {path}: {}",
            seen.verdict_line()
        );
        assert_eq!(seen.header("content-length"), length, "{method} {path}");
        assert!(seen.header("date").is_some(), "{method} {path}");
    }
    connection.close(http3::NO_ERROR);
    let record = server.record("/204");
    assert_eq!(record.signal_out, "no_body", "{}", record.json());
}

#[test]
fn h3_record_tells_protocol_peer_and_what_was_acknowledged() {
    let app = app().route(
        "/peer",
        get(|request: axum::extract::Request| async move {
            let peer = request.extensions().get::<endwell::Peer>().copied();
            format!("{:?}", peer.map(|peer| (peer.addr(), peer.is_tls())))
        }),
    );
    let server = Setup::tls().start(app);
    let mut connection = connect(&server, &pace());
    let here = connection
        .local_addr()
        .expect("a bound socket has an address");
    let fields = [
        ("x-request-id", "r-7"),
        ("user-agent", "lab"),
        ("host", "localhost"),
    ];
    let stream = connection.get("/peer", &fields).expect("a stream opens");
    let seen = connection.observe(stream);
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(
        text.contains(&format!(":{}", here.port())) && text.contains("true"),
        "{text}"
    );
    connection.close(http3::NO_ERROR);
    let record = server.record("/peer");
    assert_eq!(record.protocol.as_str(), "3");
    assert!(
        record.remote.ends_with(&format!(":{}", here.port())),
        "{}",
        record.json()
    );
    assert_eq!(record.request_id.as_deref(), Some("r-7"));
    assert_eq!(record.host.as_deref(), Some("localhost"));
    assert_eq!(
        (record.signal_out.as_str(), record.status),
        ("end_stream", 200)
    );
    let sent = seen.body.len() as u64;
    assert_eq!((record.tally.sent, record.tally.acked), (sent, Some(sent)));
}

#[test]
fn h3_wrong_content_length_of_a_handler_never_ends_in_fin() {
    let app = Router::new()
        .route(
            "/short",
            get(|| async {
                (
                    [(header::CONTENT_LENGTH, "9")],
                    endwell::Body::from_stream(parts()),
                )
            }),
        )
        .route(
            "/long",
            get(|| async {
                (
                    [(header::CONTENT_LENGTH, "3")],
                    endwell::Body::from_stream(parts()),
                )
            }),
        );
    let server = Setup::tls().start(app);
    for (path, kind) in [
        ("/short", Kind::LengthShort),
        ("/long", Kind::LengthExceeded),
    ] {
        let seen = get3(&server, path);
        assert!(!seen.is_complete(), "{path}: {}", seen.verdict_line());
        let record = server.record(path);
        assert_eq!(
            record.ending.cause().map(|cause| cause.kind),
            Some(kind),
            "{}",
            record.json()
        );
    }
}

fn parts() -> impl futures_util::Stream<Item = Result<bytes::Bytes, std::io::Error>> {
    futures_util::stream::iter(["12", "345"].map(|part| Ok(bytes::Bytes::from(part))))
}

#[test]
fn h3_stalled_stream_is_reset_at_the_deadline_and_its_neighbours_live() {
    let setup = Setup::tls().policy(|policy| {
        policy.stall_deadline = Some(Duration::from_millis(1500));
    });
    let server = setup.start(app());
    let narrow = Pace {
        window: Some(1000),
        ..pace()
    };
    let mut connection = connect(&server, &narrow);
    let big = target("none", 30_000_000, 0, false, 1);
    let stream = connection.get(&big, &[]).expect("a stream opens");
    let until = Instant::now() + DEADLINE;
    let record = loop {
        // Acknowledged and not read: the window stays closed.
        connection.pump_unread(Duration::from_millis(50));
        if let Some(record) = server.try_record(&big, Duration::ZERO) {
            break record;
        }
        assert!(Instant::now() < until, "the stream is not given up");
    };
    assert_eq!(
        record.error_type(),
        Some("connection_write_timeout"),
        "{}",
        record.json()
    );
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    assert_eq!(record.signal_in, Some("timeout"), "{}", record.json());
    let seen = connection.observe(stream);
    assert_eq!(
        seen.end,
        SeenEnd::StreamReset(0x10c),
        "{}",
        seen.verdict_line()
    );
    let stream = connection.get("/hello", &[]).expect("a stream opens");
    assert!(connection.observe(stream).is_complete());
}

#[test]
fn h3_goaway_waits_for_the_streams_under_way() {
    let server = Setup::tls().start(app());
    let narrow = Pace {
        window: Some(50_000),
        ..pace()
    };
    let mut connection = connect(&server, &narrow);
    let stream = connection
        .get(&target("none", 400_000, 0, true, 1), &[])
        .expect("a stream opens");
    connection.read_until(stream, |seen| seen.body.len() > 1000);
    server.shutdown.drain();
    connection.pump_unread(Duration::from_millis(100));
    assert!(
        !connection
            .control_frames
            .iter()
            .any(|frame| frame.starts_with("GOAWAY"))
    );
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(connection.pump_until(|it| it.ended().is_some()));
    assert_eq!(
        connection.ended(),
        Some(&SeenEnd::ConnectionClosed(http3::NO_ERROR))
    );
    // The stream after the last one that was looked at.
    assert!(
        connection.control_frames.contains(&"GOAWAY 4".to_owned()),
        "{:?}",
        connection.control_frames
    );
    assert!(server.stopped(DEADLINE));
}

#[test]
fn h3_second_shutdown_ends_at_once_and_nothing_looks_whole() {
    let server = Setup::tls().start(app());
    let mut connection = connect(&server, &pace());
    let silent = target("silent", 300_000, 200_000, false, 1);
    let stream = connection.get(&silent, &[]).expect("a stream opens");
    connection.read_until(stream, |seen| seen.body.len() == 200_000);
    server.shutdown.drain();
    server.shutdown.now();
    let seen = connection.observe(stream);
    assert!(!seen.is_complete(), "{}", seen.verdict_line());
    assert!(
        !matches!(seen.end, SeenEnd::ConnectionClosed(http3::NO_ERROR)),
        "{}",
        seen.verdict_line()
    );
    let record = server.record(&silent);
    assert_eq!(
        record.error_type(),
        Some("server_shutdown"),
        "{}",
        record.json()
    );
    assert!(server.stopped(DEADLINE));
}

#[test]
fn tls_responses_tell_of_http3_unless_the_author_does() {
    let app = Router::new()
        .route("/", get(|| async { "" }))
        .route("/own", get(|| async { ([(header::ALT_SVC, "clear")], "") }));
    let server = Setup::tls().start(app.clone());
    let due = format!("h3=\":{}\"; ma=86400", server.addr.port());
    let tls = ClientTls::new(&["http/1.1"]);
    let seen = http1::observe(
        server.addr,
        Some(&tls),
        &http1::Request::get11("/"),
        &pace(),
    );
    assert_eq!(seen.header("alt-svc"), Some(due.as_str()));
    let h2 = |path| {
        http2::observe(
            server.addr,
            Some(&ClientTls::new(&["h2"])),
            path,
            &[],
            &pace(),
        )
    };
    assert_eq!(h2("/").header("alt-svc"), Some(due.as_str()));
    assert_eq!(h2("/own").header("alt-svc"), Some("clear"));
    assert_eq!(get3(&server, "/").header("alt-svc"), None);
    let plain = Setup::default().start(app);
    let seen = http1::observe(plain.addr, None, &http1::Request::get11("/"), &pace());
    assert_eq!(seen.header("alt-svc"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_alone_is_served_and_stopped() {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    let tls = support::certificate::server_config();
    let listener = endwell::listen_quic(udp, tls).expect("QUIC takes the certificate");
    let addr = listener
        .local_addr()
        .expect("a bound socket has an address");
    let shutdown = endwell::Shutdown::new();
    let server = endwell::serve_quic(listener, app()).shutdown(shutdown.clone());
    let server = tokio::spawn(server.into_future());
    let seen = tokio::task::spawn_blocking(move || http3::observe(addr, "/hello", &[], &pace()));
    assert!(seen.await.expect("no panic").is_complete());
    shutdown.drain();
    server.await.expect("no panic").expect("it stops in order");
}

#[test]
fn h3_client_that_closes_in_order_has_the_last_flight_and_no_more() {
    let server = Setup::tls().start(app());
    for (target, complete) in [
        ("/hello", true),
        (&*target("none", 3_000_000, 0, true, 1), false),
    ] {
        let mut connection = connect(&server, &pace());
        connection.get(target, &[]).expect("a stream opens");
        // What comes stays in the kernel, and is not acknowledged. A busy server takes its time.
        std::thread::sleep(Duration::from_millis(1500));
        connection.close(http3::NO_ERROR);
        let record = server.record(target);
        assert_eq!(record.ending.is_complete(), complete, "{}", record.json());
        assert_eq!(record.tally.acked, Some(0), "{}", record.json());
    }
    let mut connection = connect(&server, &pace());
    connection.get("/hello?error", &[]).expect("a stream opens");
    std::thread::sleep(Duration::from_millis(1500));
    connection.close(0x102);
    let record = server.record("/hello?error");
    assert!(
        matches!(record.ending, Ending::Cancelled(_)),
        "{}",
        record.json()
    );
}

#[test]
#[ignore = "a client counts as gone after 30 s; run it when the timeouts change"]
fn h3_client_that_vanishes_is_noticed_and_the_work_is_dropped() {
    let app = Router::new().route("/", get(std::future::pending::<()>));
    let server = Setup::tls().start(app);
    let mut connection = connect(&server, &pace());
    connection.get("/", &[]).expect("a stream opens");
    connection.pump_unread(Duration::from_millis(100));
    connection.vanish();
    let record = server.try_record("/", DEADLINE).expect("it is noticed");
    assert!(
        matches!(record.ending, Ending::Cancelled(_)),
        "{}",
        record.json()
    );
    assert_eq!((record.status, record.signal_in), (499, Some("timeout")));
}
