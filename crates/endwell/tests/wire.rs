//! What else a peer sees: neighbours, holds, stalls, drains, documents, trailers.

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use endwell::core::{Ending, Framing};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, SeenFraming, http1, http2};
use support::matrix::{Case, Column, Reader};
use support::script::{Fault, app, octets};
use support::{Loop, Setup};

fn target(fault: &str, size: usize, cut: usize, promise: bool, id: usize) -> String {
    format!("/script?fault={fault}&size={size}&cut={cut}&frame=10000&promise={promise}&id={id}")
}

fn get11(server: &support::Server, target: &str) -> Seen {
    http1::observe(
        server.addr,
        None,
        &http1::Request::get11(target),
        &Pace::fast(),
    )
}

#[test]
fn h2_failed_stream_leaves_its_neighbours_alive() {
    let setup = Setup::default().policy(|policy| policy.idle_deadline = None);
    for tls in [false, true] {
        let server = Setup {
            tls,
            ..setup.clone()
        }
        .start(app());
        let tls = tls.then(|| ClientTls::new(&["h2"]));
        let pace = Pace {
            window: Some(20_000),
            ..Pace::fast()
        };
        let mut connection =
            http2::Connection::connect(server.addr, tls.as_ref(), &pace).expect("it accepts");
        let slow = connection
            .get(&target("none", 3_000_000, 0, true, 1), &[])
            .expect("a stream opens");
        let failing = connection
            .get(&target("mid", 900_000, 800_000, false, 2), &[])
            .expect("a stream opens");
        let seen = connection.observe(failing);
        assert_eq!(seen.end, SeenEnd::StreamReset(2));
        assert!(seen.body == octets(800_000), "{}", seen.verdict_line());
        let seen = connection.observe(slow);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert!(seen.body == octets(3_000_000), "{}", seen.verdict_line());
        let later = connection.get("/hello", &[]).expect("a stream opens");
        assert!(connection.observe(later).is_complete());
        assert!(connection.ping());
    }
}

/// A client that reads late drops what it has not read when a reset comes: the server waits for its program.
#[test]
fn h2_reset_waits_until_the_peer_has_answered_a_ping() {
    for tls in [false, true] {
        let setup = Setup {
            tls,
            ..Setup::default()
        };
        let server = setup.start(app());
        let tls = tls.then(|| ClientTls::new(&["h2"]));
        let mut connection = http2::Connection::connect(server.addr, tls.as_ref(), &Pace::fast())
            .expect("it accepts");
        connection.hold_pings();
        let ask = |connection: &mut http2::Connection, id| {
            let path = target("mid", 500, 300, false, id);
            connection.get(&path, &[]).expect("a stream opens")
        };
        let first = ask(&mut connection, 1);
        assert_eq!(connection.held_pings(), 1);
        let second = ask(&mut connection, 2);
        connection.read_until(second, |seen| seen.body.len() == 300);
        // Longer than the grace.
        std::thread::sleep(Duration::from_millis(200));
        assert!(connection.ping(), "the server is there");
        assert_eq!(connection.held_pings(), 1, "one at a time");
        for stream in [first, second] {
            let seen = connection.seen(stream).expect("it was asked for");
            assert!(seen.body == octets(300), "{}", seen.verdict_line());
            assert_eq!(seen.end, SeenEnd::Open, "no reset yet");
        }
        connection.answer_pings();
        for stream in [first, second] {
            let seen = connection.observe(stream);
            assert_eq!(seen.end, SeenEnd::StreamReset(2));
        }
        let later = connection.get("/hello", &[]).expect("a stream opens");
        assert!(connection.observe(later).is_complete());
    }
}

#[test]
fn h2_peer_that_answers_no_ping_is_told_after_the_stall_deadline() {
    let setup =
        Setup::default().policy(|policy| policy.stall_deadline = Some(Duration::from_millis(300)));
    let server = setup.start(app());
    let mut connection =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    connection.hold_pings();
    let stream = connection
        .get(&target("mid", 500, 300, false, 1), &[])
        .expect("a stream opens");
    let seen = connection.observe(stream);
    assert!(seen.body == octets(300), "{}", seen.verdict_line());
    assert_eq!(seen.end, SeenEnd::StreamReset(2));
    assert!(connection.ping(), "the connection lives on");
}

#[test]
fn h2_head_behind_a_full_socket_arrives_before_the_reset() {
    let server = Setup::default().start(app());
    let pace = Pace {
        window: Some(64 * 1024 * 1024),
        receive_buffer: Some(16384),
        ..Pace::fast()
    };
    for (id, fault) in ["committed", "mid"].into_iter().enumerate() {
        let mut connection =
            http2::Connection::connect(server.addr, None, &pace).expect("it accepts");
        let big = connection
            .get(&target("none", 30_000_000, 0, true, id), &[])
            .expect("a stream opens");
        // Until the socket is full: nothing of another stream can leave now.
        std::thread::sleep(Duration::from_millis(200));
        let failing = connection
            .get(&target(fault, 500, 300, false, 10 + id), &[])
            .expect("a stream opens");
        // Longer than the grace.
        std::thread::sleep(Duration::from_millis(200));
        let seen = connection.observe(failing);
        assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
        assert!(
            seen.body == octets(if fault == "mid" { 300 } else { 0 }),
            "{}",
            seen.verdict_line()
        );
        assert_eq!(seen.end, SeenEnd::StreamReset(2));
        connection.cancel(big, 8);
    }
}

#[test]
fn h2_head_arrives_before_the_reset_even_without_a_grace() {
    let setup = Setup::default().policy(|policy| policy.grace.default = Duration::ZERO);
    let server = setup.start(app());
    let mut connection =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    for id in 0..100 {
        let stream = connection
            .get(&target("committed", 10, 0, false, id), &[])
            .expect("a stream opens");
        let seen = connection.observe(stream);
        assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
        assert_eq!(seen.end, SeenEnd::StreamReset(2));
    }
}

#[test]
fn h10_short_body_of_unknown_length_gets_a_content_length() {
    let server = Setup::default().start(app());
    let target = target("none", 5000, 0, false, 1);
    let seen = http1::observe(
        server.addr,
        None,
        &http1::Request::get10(&target),
        &Pace::fast(),
    );
    assert_eq!(seen.framing, Some(SeenFraming::ContentLength(5000)));
    assert!(seen.is_complete());
    assert_eq!(server.record(&target).framing, Framing::ContentLength);
}

#[test]
fn h10_failure_within_the_hold_is_a_5xx() {
    let server = Setup::default().start(app());
    for (id, fault) in ["mid", "panic", "drop"].into_iter().enumerate() {
        let target = target(fault, 5000, 4000, false, id);
        let seen = http1::observe(
            server.addr,
            None,
            &http1::Request::get10(&target),
            &Pace::fast(),
        );
        assert_eq!(seen.status, Some(500), "{}", seen.verdict_line());
        assert!(seen.is_complete());
    }
}

#[test]
fn h10_degraded_body_within_the_hold_keeps_its_octets() {
    let server = Setup::default().start(app());
    let target = target("degraded", 5000, 5000, false, 1);
    let request = http1::Request::get10(&target);
    let seen = http1::observe(server.addr, None, &request, &Pace::fast());
    assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
    assert_eq!(seen.framing, Some(SeenFraming::CloseDelimited));
    assert_eq!(seen.end, SeenEnd::Reset);
    assert!(seen.body == octets(5000), "{}", seen.verdict_line());
    assert_eq!(server.record(&target).signal_out, "reset_connection");
}

#[test]
fn h10_failure_beyond_the_hold_is_a_reset_after_every_octet() {
    let server = Setup::default().start(app());
    let target = target("mid", 200_000, 100_000, false, 1);
    let seen = http1::observe(
        server.addr,
        None,
        &http1::Request::get10(&target),
        &Pace::fast(),
    );
    assert_eq!(seen.framing, Some(SeenFraming::CloseDelimited));
    assert_eq!(seen.end, SeenEnd::Reset);
    assert!(seen.body == octets(100_000), "{}", seen.verdict_line());
}

#[test]
fn h11_user_agent_that_overlooks_a_missing_last_chunk_gets_an_open_one() {
    let server = Setup::default().start(app());
    let target = target("mid", 200_000, 100_000, false, 1);
    let request = http1::Request::get11(&target).with("User-Agent", "Thing/1 CFNetwork/1.2 Darwin");
    let seen = http1::observe(server.addr, None, &request, &Pace::fast());
    assert!(seen.open_chunk, "{}", seen.verdict_line());
    assert!(seen.body == octets(100_000), "{}", seen.verdict_line());
    assert!(!seen.is_complete());
    assert_eq!(server.record(&target).signal_out, "open_chunk");
}

fn page(cache: &'static str) -> impl IntoResponse {
    let body = endwell::stream(|mut producer| async move {
        producer.send("<p>the whole page</p>").await?;
        producer.degrade("one part is missing");
        Ok(producer.finish())
    });
    (
        [
            (header::CACHE_CONTROL, cache),
            (header::CONTENT_TYPE, "text/html"),
        ],
        body,
    )
}

#[test]
fn degraded_document_ends_clean_only_where_no_cache_may_reuse_it() {
    let app = Router::new()
        .route("/private", get(|| async { page("no-store") }))
        .route("/shared", get(|| async { page("max-age=60") }));
    let server = Setup::default().start(app);
    for (path, dest, clean) in [
        ("/private", Some("document"), true),
        ("/shared", Some("document"), false),
        ("/private", Some("empty"), false),
        ("/private", None, false),
    ] {
        let mut request = http1::Request::get11(path);
        let mut fields = Vec::new();
        if let Some(dest) = dest {
            request = request.with("Sec-Fetch-Dest", dest);
            fields.push(("sec-fetch-dest", dest));
        }
        let h1 = http1::observe(server.addr, None, &request, &Pace::fast());
        let h2 = http2::observe(server.addr, None, path, &fields, &Pace::fast());
        for seen in [h1, h2] {
            assert_eq!(seen.body, b"<p>the whole page</p>");
            assert_eq!(
                seen.is_complete(),
                clean,
                "{path} {dest:?}: {}",
                seen.verdict_line()
            );
        }
    }
    let until = Instant::now() + Duration::from_secs(20);
    while server.records().len() < 8 && Instant::now() < until {
        std::thread::yield_now();
    }
    let records = server.records();
    assert_eq!(records.len(), 8);
    for record in records {
        assert_eq!(record.ending.as_str(), "degraded", "{}", record.json());
    }
}

#[test]
fn trailers_follow_a_complete_body_where_they_can() {
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
    let server = Setup::default().start(app);
    let asked = http1::Request::get11("/?asked")
        .with("TE", "trailers")
        .with("Connection", "TE");
    let seen = http1::observe(server.addr, None, &asked, &Pace::fast());
    assert!(seen.is_complete());
    assert_eq!(seen.trailer("x-digest"), Some("abc"));
    let seen = get11(&server, "/?not-asked");
    assert!(seen.is_complete());
    assert_eq!(seen.trailer("x-digest"), None);
    let seen = http2::observe(server.addr, None, "/?h2", &[], &Pace::fast());
    assert!(seen.is_complete());
    assert_eq!(seen.trailer("x-digest"), Some("abc"));
    for (target, sent) in [("/?asked", 1), ("/?not-asked", 0), ("/?h2", 1)] {
        let record = server.record(target);
        assert_eq!(record.trailers_sent.len(), sent, "{}", record.json());
        assert_eq!(record.trailers_dropped.len(), 1 - sent, "{}", record.json());
    }
}

#[test]
fn responses_without_a_body_are_complete() {
    let app = Router::new()
        .route("/full", get(|| async { "hello\n" }))
        .route(
            "/stream",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    producer.send("x").await?;
                    Ok(producer.finish())
                })
                .promise(1)
            }),
        )
        .route("/204", get(|| async { StatusCode::NO_CONTENT }))
        .route("/304", get(|| async { StatusCode::NOT_MODIFIED }))
        .route("/empty", get(|| async { "" }));
    let server = Setup::default().start(app);
    let mut session =
        http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    for (method, path, status) in [
        ("HEAD", "/full", 200),
        ("HEAD", "/stream", 200),
        ("GET", "/204", 204),
        ("GET", "/304", 304),
        ("GET", "/empty", 200),
        ("GET", "/full", 200),
    ] {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let seen = match method {
            "HEAD" => session.exchange(&http1::Request::head11(path)),
            _ => session.exchange(&http1::Request::raw(text)),
        };
        assert_eq!(seen.status, Some(status), "{method} {path}");
        assert!(
            seen.is_complete(),
            "{method} {path}: {}",
            seen.verdict_line()
        );
    }
    session.close();
    let seen = http2::observe(server.addr, None, "/204", &[], &Pace::fast());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    server.record("/full");
    let until = Instant::now() + Duration::from_secs(20);
    while server.records().len() < 7 && Instant::now() < until {
        std::thread::yield_now();
    }
    let records = server.records();
    assert_eq!(records.len(), 7);
    for record in records {
        assert!(record.ending.is_complete(), "{}", record.json());
    }
}

#[test]
fn stalled_client_loses_its_connection_at_the_deadline() {
    let setup = Setup::default().policy(|policy| {
        policy.stall_deadline = Some(Duration::from_millis(300));
    });
    let server = setup.start(app());
    let big = |id| target("none", 30_000_000, 0, false, id);
    let mut session = http1::Session::connect(
        server.addr,
        None,
        &Pace {
            receive_buffer: Some(16384),
            ..Pace::fast()
        },
    )
    .expect("it accepts");
    session
        .send(&http1::Request::get11(&big(1)))
        .expect("the request is sent");
    let window = Pace {
        window: Some(1000),
        ..Pace::fast()
    };
    let mut connection =
        http2::Connection::connect(server.addr, None, &window).expect("it accepts");
    let stream = connection.get(&big(2), &[]).expect("a stream opens");
    connection.read_until(stream, |seen| seen.status.is_some());
    for id in [1, 2] {
        let record = server.record(&big(id));
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
    }
    assert_eq!(session.read().end, SeenEnd::Reset);
}

#[test]
fn a_slow_client_is_not_a_stalled_one() {
    let setup = Setup::default().policy(|policy| {
        policy.stall_deadline = Some(Duration::from_millis(300));
    });
    let server = setup.start(app());
    let pace = Pace {
        receive_buffer: Some(16384),
        window: Some(2000),
        chunk: 1000,
        pause: Duration::from_millis(10),
        ..Pace::fast()
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let target = target("none", 60_000, 0, true, 1);
            let seen = http2::observe(server.addr, None, &target, &[], &pace);
            assert!(seen.is_complete(), "{}", seen.verdict_line());
        });
        scope.spawn(|| {
            let target = target("none", 60_000, 0, true, 2);
            let request = http1::Request::get11(&target);
            let seen = http1::observe(server.addr, None, &request, &pace);
            assert!(seen.is_complete(), "{}", seen.verdict_line());
        });
    });
}

#[test]
fn shutdown_lets_bodies_finish_and_fails_the_rest_at_the_deadline() {
    for tls in [false, true] {
        let setup = Setup {
            tls,
            drain: Duration::from_millis(400),
            ..Setup::default()
        };
        let started = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&started);
        let counted = app().layer(from_fn(move |request: Request, next: Next| {
            counter.fetch_add(1, Ordering::SeqCst);
            next.run(request)
        }));
        let server = setup
            .policy(|policy| policy.http10_hold.octets = 1)
            .start(counted);
        let mut cases = Vec::new();
        for column in Column::ALL.into_iter().filter(|it| it.exists(tls)) {
            for (fault, reader) in [
                (Fault::Silent, Reader::Fast),
                (Fault::Silent, Reader::SmallSocket),
                (Fault::None, Reader::Fast),
            ] {
                cases.push(Case {
                    fault,
                    column,
                    tls,
                    reader,
                    size: 300_000,
                    cut: 200_000,
                    frame: 10_000,
                    id: cases.len() as u64,
                });
            }
        }
        std::thread::scope(|scope| {
            let observers: Vec<_> = cases
                .iter()
                .map(|case| {
                    let addr = server.addr;
                    scope.spawn(move || (case, case.observe(addr)))
                })
                .collect();
            while started.load(Ordering::SeqCst) < cases.len() {
                std::thread::yield_now();
            }
            server.shutdown.drain();
            for observer in observers {
                let (case, seen) = observer.join().expect("the observer does not panic");
                let good = case.fault == Fault::None;
                let due = octets(if good { 300_000 } else { 200_000 });
                assert!(seen.body == due, "{case}: {}", seen.verdict_line());
                assert_eq!(seen.is_complete(), good, "{case}: {}", seen.verdict_line());
                let end = format!("{:?}", seen.end);
                assert!(
                    good || case.expected_end().contains(&end.as_str()),
                    "{case}: {end}"
                );
                let record = server.record(&case.ask().target());
                let kind = (!good).then_some("server_shutdown");
                assert_eq!(record.error_type(), kind, "{}", record.json());
                assert_eq!(record.tally.sent, due.len() as u64, "{}", record.json());
            }
        });
        assert!(server.stopped(Duration::from_secs(10)));
    }
}

#[test]
fn h2_goaway_waits_for_the_streams_under_way() {
    let server = Setup::default().start(app());
    let pace = Pace {
        window: Some(50_000),
        ..Pace::fast()
    };
    let mut connection = http2::Connection::connect(server.addr, None, &pace).expect("it accepts");
    let stream = connection
        .get(&target("none", 400_000, 0, true, 1), &[])
        .expect("a stream opens");
    connection.read_until(stream, |seen| seen.body.len() > 1000);
    server.shutdown.drain();
    std::thread::sleep(Duration::from_millis(100));
    let seen = connection.observe(stream);
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    let goaway = seen
        .frames
        .iter()
        .position(|frame| frame.starts_with("GOAWAY"));
    let end = seen
        .frames
        .iter()
        .position(|frame| frame.contains("END_STREAM"));
    assert!(goaway.is_none() || goaway > end, "{:?}", seen.frames);
    connection.close();
    assert!(server.stopped(Duration::from_secs(10)));
}

#[test]
fn second_shutdown_ends_at_once_and_nothing_looks_whole() {
    let server = Setup::default().start(app());
    let silent = target("silent", 300_000, 200_000, false, 1);
    std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let request = http1::Request::get10(&silent);
            http1::observe(server.addr, None, &request, &Pace::fast())
        });
        std::thread::sleep(Duration::from_millis(100));
        server.shutdown.drain();
        server.shutdown.now();
        let seen = seen.join().expect("the observer does not panic");
        assert!(!seen.is_complete(), "{}", seen.verdict_line());
    });
    assert!(server.stopped(Duration::from_secs(15)));
}

#[test]
fn an_unread_request_body_does_not_destroy_the_answer() {
    let app = Router::new().route(
        "/",
        axum::routing::post(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "x".repeat(200_000)) }),
    );
    for server_loop in [Loop::Ours, Loop::Stock] {
        let setup = Setup {
            server_loop,
            ..Setup::default()
        };
        let server = setup.start(app.clone());
        let pace = Pace {
            receive_buffer: Some(16384),
            ..Pace::late()
        };
        let mut session = http1::Session::connect(server.addr, None, &pace).expect("it accepts");
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n";
        session.write(head.as_bytes()).expect("the head is sent");
        session
            .write(&[b'y'; 300_000])
            .expect("the kernel takes this much");
        let seen = session.read();
        assert_eq!(seen.status, Some(413), "{}", seen.verdict_line());
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
}

#[test]
fn head_hold_lets_the_head_go_after_its_time() {
    let setup = Setup::default().policy(|policy| {
        policy.head_hold = Some(Duration::from_millis(50));
    });
    let server = setup.start(app());
    let target = target("silent", 100, 0, false, 1);
    let mut session =
        http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    session
        .send(&http1::Request::get11(&target))
        .expect("the request is sent");
    let seen = session.read_until(|seen| seen.status.is_some());
    assert_eq!(seen.status, Some(200));
    session.close();
    let record = server.record(&target);
    assert_eq!(record.status, 200, "{}", record.json());
}

#[test]
fn the_layer_alone_gives_held_heads_caught_panics_and_records() {
    let records = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&records);
    let layer = endwell::Layer::new().observer(move |record: endwell::Record| {
        kept.lock().expect("no panic holds it").push(record);
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let tcp = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("loopback has a free port");
    let addr = tcp.local_addr().expect("a bound socket has an address");
    runtime.spawn(axum::serve(tcp, app().layer(layer)).into_future());
    let get = |request: http1::Request| http1::observe(addr, None, &request, &Pace::fast());
    let id = |id, fault| target(fault, 300_000, 200_000, false, id);

    let seen = get(http1::Request::get11(&id(1, "first")));
    assert_eq!(seen.status, Some(500));
    let seen = get(http1::Request::get11(&id(2, "handler_panic")));
    assert_eq!(seen.status, Some(500));
    let seen = get(http1::Request::get11(&id(3, "mid")));
    assert!(seen.body == octets(200_000), "{}", seen.verdict_line());
    assert!(!seen.is_complete());
    let seen = get(http1::Request::get11(&id(4, "none")));
    assert!(seen.is_complete());
    // Nothing could tell a failure of a close-delimited body here: short ones get a length.
    let seen = get(http1::Request::get10(&id(5, "none")));
    assert_eq!(seen.framing, Some(SeenFraming::ContentLength(300_000)));
    let large = target("none", 3_000_000, 0, false, 6);
    let seen = get(http1::Request::get10(&large));
    assert_eq!(seen.status, Some(505), "{}", seen.verdict_line());

    let until = Instant::now() + Duration::from_secs(20);
    while records.lock().expect("no panic holds it").len() < 6 && Instant::now() < until {
        std::thread::yield_now();
    }
    let endings: Vec<_> = records
        .lock()
        .expect("no panic holds it")
        .iter()
        .map(|record| record.ending.as_str())
        .collect();
    let failed = "failed";
    assert_eq!(
        endings,
        [failed, failed, failed, "complete", "complete", failed]
    );
    runtime.shutdown_background();
}

#[test]
fn a_failed_record_tells_what_the_peer_acknowledged() {
    let server = Setup::default().start(app());
    let target = target("mid", 300_000, 200_000, false, 1);
    let request = http1::Request::get10(&target);
    let seen = http1::observe(server.addr, None, &request, &Pace::fast());
    assert_eq!(seen.body.len(), 200_000);
    assert_eq!(server.record(&target).tally.acked, Some(200_000));
}

#[test]
fn shutdown_does_not_wait_for_idle_clients() {
    let server = Setup::default().start(app());
    let untouched = http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    let mut kept = http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    assert!(
        kept.exchange(&http1::Request::get11("/hello"))
            .is_complete()
    );
    server.shutdown.drain();
    assert!(server.stopped(Duration::from_secs(15)));
    drop((untouched, kept));
}

#[test]
fn h11_handler_that_answers_in_another_version_is_framed_as_asked() {
    let app = Router::new().fallback(|uri: axum::http::Uri| async move {
        let fails = uri.query() == Some("fails");
        let body = endwell::stream(move |mut producer| async move {
            producer.send("octets").await?;
            if fails {
                return Err("the upstream died".into());
            }
            Ok(producer.finish())
        });
        let mut response = body.into_response();
        *response.version_mut() = match uri.path() {
            "/3" => axum::http::Version::HTTP_3,
            "/0.9" => axum::http::Version::HTTP_09,
            _ => axum::http::Version::HTTP_10,
        };
        response
    });
    let server = Setup::default().start(app);
    for path in ["/1.0", "/0.9", "/3"] {
        let seen = get11(&server, path);
        assert!(seen.is_complete(), "{path}: {}", seen.verdict_line());
        assert_eq!(seen.framing, Some(SeenFraming::Chunked), "{path}");
        let seen = get11(&server, &format!("{path}?fails"));
        assert!(!seen.is_complete(), "{path}: {}", seen.verdict_line());
        assert_eq!(seen.body, b"octets");
    }
}

#[test]
fn head_of_a_failing_handler_has_no_body_and_no_departure() {
    let server = Setup::default().start(app());
    let target = target("handler_panic", 10, 0, false, 1);
    let mut connection =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    let stream = connection
        .request("HEAD", &target, &[])
        .expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(500), "{}", seen.verdict_line());
    assert!(seen.body.is_empty() && seen.end == SeenEnd::EndStream);
    let record = server.record(&target);
    assert_eq!(record.error_type(), Some("producer_panicked"));
    assert_eq!(record.signal_in, None, "{}", record.json());
}

#[test]
fn degraded_document_below_its_promise_is_broken() {
    let app = Router::new().route(
        "/",
        get(|| async {
            let body = endwell::stream(|mut producer| async move {
                producer.send("12345").await?;
                producer.degrade("a part is missing");
                Ok(producer.finish())
            });
            ([(header::CACHE_CONTROL, "no-store")], body.promise(10))
        }),
    );
    let server = Setup::default().start(app);
    let document = http1::Request::get11("/").with("Sec-Fetch-Dest", "document");
    let h1 = http1::observe(server.addr, None, &document, &Pace::fast());
    let fields = [("sec-fetch-dest", "document")];
    let h2 = http2::observe(server.addr, None, "/", &fields, &Pace::fast());
    assert_eq!(h1.end, SeenEnd::Fin, "{}", h1.verdict_line());
    assert_eq!(h2.end, SeenEnd::StreamReset(2), "{}", h2.verdict_line());
    for record in [0, 1].map(|_| server.record("/")) {
        assert_eq!(
            record.error_type(),
            Some("length_short"),
            "{}",
            record.json()
        );
    }
}

#[test]
fn trailers_after_a_promised_length_leave_a_complete_record() {
    let app = Router::new().route(
        "/{octets}",
        get(
            |axum::extract::Path(octets): axum::extract::Path<usize>| async move {
                endwell::stream(move |mut producer| async move {
                    if octets > 0 {
                        producer.send("x".repeat(octets)).await?;
                    }
                    let mut fields = HeaderMap::new();
                    fields.insert("x-digest", "abc".parse()?);
                    producer.trailers(fields.try_into()?);
                    Ok(producer.finish())
                })
                .promise(octets as u64)
            },
        ),
    );
    let server = Setup::default().start(app);
    for octets in [0, 10] {
        let (h1, h2) = (format!("/{octets}?h1"), format!("/{octets}?h2"));
        assert!(get11(&server, &h1).is_complete());
        let seen = http2::observe(server.addr, None, &h2, &[], &Pace::fast());
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert_eq!(seen.trailer("x-digest"), Some("abc"), "{octets}");
        for target in [h1, h2] {
            let record = server.record(&target);
            assert!(record.ending.is_complete(), "{}", record.json());
        }
    }
}

#[test]
fn a_panic_in_a_guard_changes_neither_the_body_nor_what_was_said() {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            panic!("a guard panics");
        }
    }
    let app = Router::new().fallback(|| async {
        let guard = Guard;
        let octets = [0, 1].map(|_| Ok::<_, std::io::Error>("x".repeat(100_000)));
        let rows = futures_util::stream::iter(octets);
        let rows = futures_util::StreamExt::inspect(rows, move |_| {
            let _ = &guard;
        });
        endwell::Body::from_stream(rows)
    });
    let server = Setup::default().start(app);
    for request in [
        http1::Request::get11("/?1.1"),
        http1::Request::get10("/?1.0"),
    ] {
        let seen = http1::observe(server.addr, None, &request, &Pace::fast());
        assert_eq!(seen.body.len(), 200_000, "{}", seen.verdict_line());
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
    let seen = http2::observe(server.addr, None, "/?2", &[], &Pace::fast());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}

#[test]
fn killed_connection_with_octets_in_its_queue_is_never_complete() {
    let server = Setup::default().start(app());
    let pace = Pace {
        window: Some(1000),
        ..Pace::fast()
    };
    let target = target("none", 60_000, 0, true, 1);
    let mut connection = http2::Connection::connect(server.addr, None, &pace).expect("it accepts");
    let stream = connection.get(&target, &[]).expect("a stream opens");
    connection.read_until(stream, |seen| seen.status.is_some());
    std::thread::sleep(Duration::from_millis(30));
    server.shutdown.now();
    let record = server.record(&target);
    assert!(!record.ending.is_complete(), "{}", record.json());
    assert!(record.tally.sent < 60_000, "{}", record.json());
}

#[test]
fn a_paused_download_that_trickles_is_not_stalled() {
    let setup = Setup::default().policy(|policy| {
        policy.stall_deadline = Some(Duration::from_secs(1));
    });
    let server = setup.start(app());
    // The server's buffer is megabytes: it is not writable for seconds while octets are taken.
    let target = target("none", 12_000_000, 0, true, 1);
    let pace = Pace {
        chunk: 40_000,
        pause: Duration::from_millis(20),
        receive_buffer: Some(64 * 1024),
        ..Pace::fast()
    };
    let request = http1::Request::get11(&target);
    let mut session = http1::Session::connect(server.addr, None, &pace).expect("it accepts");
    session.send(&request).expect("the request is sent");
    let until = Instant::now() + Duration::from_secs(3);
    let seen = session.read_until(|_| Instant::now() > until);
    assert_eq!(seen.end, SeenEnd::Open, "{}", seen.verdict_line());
    session.reset();
    let record = server.record(&target);
    assert_eq!(record.ending.as_str(), "cancelled", "{}", record.json());
}

#[test]
fn h10_client_that_asks_to_keep_its_connection_keeps_it() {
    let server = Setup::default().start(app());
    let mut session =
        http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    for id in 0..3 {
        let target = target("none", 5000, 0, false, id);
        let request = http1::Request::get10(&target).with("Connection", "keep-alive");
        let seen = session.exchange(&request);
        assert!(seen.is_complete(), "{}", seen.verdict_line());
        assert_eq!(seen.framing, Some(SeenFraming::ContentLength(5000)));
        assert_eq!(seen.version.as_deref(), Some("1.0"));
    }
}
