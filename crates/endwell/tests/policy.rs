//! What a route or a rule does otherwise than the policy, and what may be asked again.

mod support;

use std::time::Duration;

use axum::routing::get;
use axum::{Extension, Router};
use endwell::core::OpenChunk;
use endwell::{Body, Cause, Limits, Override, Retry, Rule, Severity};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1, http2};
use support::{Loop, Server, Setup};

const LOOPS: [Loop; 2] = [Loop::Ours, Loop::Stock];

fn h1(server: &Server, request: http1::Request) -> Seen {
    http1::observe(server.addr, None, &request, &Pace::fast())
}

fn h2(server: &Server, path: &str, fields: &[(&str, &str)]) -> Seen {
    http2::observe(server.addr, None, path, fields, &Pace::fast())
}

fn degraded() -> Body {
    endwell::stream(|mut producer| async move {
        producer.send("all of it").await?;
        producer.degrade("a part is out of date");
        Ok(producer.finish())
    })
}

fn failed() -> Body {
    endwell::stream(|mut producer| async move {
        producer.send("some of it").await?;
        Err(Cause::producer("the disk failed").into())
    })
}

/// Only one route of a mild router is strict.
fn app() -> Router {
    let strict = Override::new().tell(Severity::Degrading);
    let mild = Router::new()
        .route("/mild", get(|| async { degraded() }))
        .route(
            "/strict",
            get(move || async move { (Extension(strict), degraded()) }),
        )
        .route("/failed", get(|| async { failed() }))
        .layer(endwell::route(Override::new().tell(Severity::Fatal)));
    Router::new()
        .route("/", get(|| async { degraded() }))
        .merge(mild)
}

#[test]
fn a_route_changes_the_policy_and_a_rule_has_the_last_word() {
    for server_loop in LOOPS {
        let setup = Setup {
            server_loop,
            ..Setup::default()
        };
        let server = setup
            .rule(Rule::agent(
                "Strict/",
                Override::new().tell(Severity::Degrading),
            ))
            .rule(Rule::agent("Mild/", Override::new().tell(Severity::Fatal)))
            .start(app());
        for (path, agent, clean) in [
            ("/", "Plain/1", false),
            ("/", "Mild/1", true),
            ("/mild", "Plain/1", true),
            ("/mild", "Strict/1", false),
            ("/mild", "Mild/1 (Strict/1)", false),
            ("/strict", "Plain/1", false),
            ("/strict", "Mild/1", true),
            ("/failed", "Plain/1", false),
            ("/failed", "Mild/1", false),
        ] {
            let request = http1::Request::get11(path).with("User-Agent", agent);
            for seen in [
                h1(&server, request),
                h2(&server, path, &[("user-agent", agent)]),
            ] {
                let octets = if path == "/failed" {
                    "some of it"
                } else {
                    "all of it"
                };
                assert_eq!(seen.body, octets.as_bytes());
                assert_eq!(
                    seen.is_complete(),
                    clean,
                    "{path} {agent}: {}",
                    seen.verdict_line()
                );
            }
        }
        let record = server.record("/mild");
        assert_eq!(
            record.ending.as_str(),
            "degraded",
            "the record tells it all the same"
        );
    }
}

#[test]
fn h11_client_that_a_rule_names_gets_an_open_chunk_or_none() {
    let server = Setup::default()
        .rule(Rule::header(
            "x-hop",
            "deaf",
            Override::new().open_chunk(OpenChunk::Always),
        ))
        .rule(Rule::path(
            "/failed",
            Override::new().open_chunk(OpenChunk::Never),
        ))
        .start(app());
    let ask = |path| http1::Request::get11(path);
    for (request, open) in [
        (ask("/failed").with("X-Hop", "so deaf"), true),
        (ask("/failed").with("User-Agent", "CFNetwork/1"), false),
        (ask("/").with("User-Agent", "CFNetwork/1"), true),
        (ask("/"), false),
    ] {
        let seen = h1(&server, request.clone());
        let tail = String::from_utf8_lossy(&seen.raw_tail);
        assert_eq!(!tail.ends_with("it\r\n"), open, "{request:?} {tail:?}");
        assert!(!seen.is_complete());
    }
}

#[test]
fn what_a_handler_calls_safe_is_503_and_never_refused() {
    let app = Router::new().route(
        "/",
        get(|| async {
            endwell::stream(|producer| async move {
                Ok(producer.fail(Cause::producer("no worker is free").with_retry(Retry::Safe)))
            })
        }),
    );
    let server = Setup::default()
        .policy(|policy| policy.retry_after = Some(Duration::from_millis(2500)))
        .rule(Rule::path(
            "/",
            Override::new().retry_after(Duration::from_secs(7)),
        ))
        .start(app);
    for seen in [
        h1(&server, http1::Request::get11("/")),
        h2(&server, "/", &[]),
    ] {
        assert_eq!(seen.status, Some(503), "{}", seen.verdict_line());
        assert_eq!(seen.header("retry-after"), Some("7"));
        assert!(seen.is_complete());
    }
    let record = server.record("/");
    assert_eq!((record.status, record.ending.as_str()), (503, "failed"));
}

#[test]
fn one_request_too_many_is_refused_before_the_application_sees_it() {
    let app = Router::new()
        .route(
            "/busy",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    producer.commit().await?;
                    std::future::pending::<()>().await;
                    Ok(producer.finish())
                })
            }),
        )
        .route("/", get(|| async { "it was seen" }));
    let setup = Setup {
        limits: Limits {
            requests: 2,
            ..Limits::default()
        },
        ..Setup::default()
    };
    let server = setup
        .policy(|policy| policy.retry_after = Some(Duration::from_millis(2500)))
        .start(app);
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut other =
            http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
        other
            .send(&http1::Request::get11("/busy"))
            .expect("it reads");
        assert_eq!(
            other.read_until(|seen| seen.status.is_some()).status,
            Some(200)
        );
        busy.push(other);
    }

    let seen = h1(&server, http1::Request::get11("/?h1"));
    assert_eq!(seen.status, Some(503), "{}", seen.verdict_line());
    assert_eq!(seen.header("retry-after"), Some("3"));
    assert!(seen.is_complete());

    let mut connection =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    let stream = connection.get("/?h2", &[]).expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, None, "{}", seen.verdict_line());
    assert_eq!(seen.end, SeenEnd::StreamReset(7), "REFUSED_STREAM");

    for (target, signal) in [("/?h1", "exact_length"), ("/?h2", "reset_stream:0x7")] {
        let record = server.record(target);
        assert_eq!(record.error_type(), Some("overloaded"), "{}", record.json());
        assert_eq!((record.status, record.signal_out.as_str()), (503, signal));
    }

    busy.clear();
    server.record("/busy");
    let again = loop {
        let stream = connection
            .get("/?again", &[])
            .expect("the connection lives on");
        let seen = connection.observe(stream);
        if seen.end != SeenEnd::StreamReset(7) {
            break seen;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(again.body, b"it was seen");
}

#[test]
fn h10_degraded_page_that_may_end_clean_is_the_page() {
    let page = || async {
        let body = endwell::stream(|mut producer| async move {
            producer.send("all but one part").await?;
            producer.degrade("a part");
            Ok(producer.finish())
        });
        (Extension(Override::new().tell(Severity::Fatal)), body)
    };
    let server = Setup::default().start(Router::new().route("/page", get(page)));
    let request = endwell_lab::observe::http1::Request::get10("/page");
    let seen = endwell_lab::observe::http1::observe(
        server.addr,
        None,
        &request,
        &endwell_lab::observe::Pace::fast(),
    );
    assert_eq!(seen.body, b"all but one part", "{}", seen.verdict_line());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
}

#[test]
fn h11_varnish_gets_time_to_begin_its_answer_before_it_learns_of_the_failure() {
    for server_loop in LOOPS {
        let mut setup = Setup {
            server_loop,
            ..Setup::default()
        };
        setup.policy.grace.browser = Duration::from_millis(400);
        let server = setup.start(app());
        let request = http1::Request::get11("/failed").with("X-Varnish", "32771");
        let asked = std::time::Instant::now();
        let seen = h1(&server, request);
        assert_eq!(seen.body, b"some of it", "{}", seen.verdict_line());
        assert!(!seen.is_complete(), "{}", seen.verdict_line());
        assert!(
            asked.elapsed() >= Duration::from_millis(390),
            "closed after {:?}",
            asked.elapsed()
        );
    }
}
