//! Trailers that are announced, sent or reported; and `Ending`, for a client that asks.

mod support;

use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use endwell::{Body, Cause, Override, Rule, Signal, Trailers};
use endwell_lab::observe::{Pace, Seen, SeenEnd, SeenFraming, http1, http2};
use support::{Loop, Server, Setup};

const LOOPS: [Loop; 2] = [Loop::Ours, Loop::Stock];
const ROWS: HeaderName = HeaderName::from_static("x-rows");
const OTHER: HeaderName = HeaderName::from_static("x-other");

/// A body that ends as it is told, with a trailer.
fn body(how: &'static str) -> Body {
    endwell::stream(move |mut producer| async move {
        if how != "empty" {
            producer.send("12345").await?;
        }
        let mut fields = Trailers::new();
        fields.insert(ROWS, 1.into())?;
        fields.insert(OTHER, 2.into())?;
        producer.trailers(fields);
        match how {
            "failed" => return Err(Cause::producer("secret").into()),
            "degraded" => producer.degrade("secret"),
            "pause" => {
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
                return Err(Cause::producer("secret").into());
            }
            _ => {}
        }
        Ok(producer.finish())
    })
    .may_trail([ROWS])
}

/// What is merely there, and says nothing.
fn source() -> impl IntoResponse {
    let octets = [Ok::<_, std::io::Error>(Bytes::from_static(b"12345"))];
    Body::from_stream(futures_util::stream::iter(octets))
}

fn app() -> Router {
    let how = |how| move || async move { body(how) };
    let told = |how| {
        move || async move {
            let signal = Override::new().signal(Signal::Trailer);
            ([(CACHE_CONTROL, "no-store")], Extension(signal), body(how))
        }
    };
    let stored = |how| {
        move || async move {
            let signal = Override::new().signal(Signal::Trailer);
            ([(CACHE_CONTROL, "max-age=9")], Extension(signal), body(how))
        }
    };
    Router::new()
        .route("/complete", get(how("complete")))
        .route("/empty", get(how("empty")))
        .route("/failed", get(how("failed")))
        .route("/degraded", get(how("degraded")))
        .route("/told/complete", get(told("complete")))
        .route("/told/failed", get(told("failed")))
        .route("/told/pause", get(told("pause")))
        .route("/told/degraded", get(told("degraded")))
        .route("/stored/failed", get(stored("failed")))
        .route(
            "/told/promised",
            get(|| async {
                let signal = Override::new().signal(Signal::Trailer);
                let body = body("failed").promise(9);
                ([(CACHE_CONTROL, "no-store")], Extension(signal), body)
            }),
        )
        .route(
            "/told/over",
            get(|| async {
                let signal = Override::new().signal(Signal::Trailer);
                let body = endwell::stream(|mut producer| async move {
                    producer.send("12345").await?;
                    producer.send("678").await?;
                    Ok(producer.finish())
                });
                (
                    [(CACHE_CONTROL, "no-store")],
                    Extension(signal),
                    body.promise(5),
                )
            }),
        )
        .route("/promised", get(|| async { body("complete").promise(5) }))
        .route("/short", get(|| async { body("complete").promise(9) }))
        .route("/full", get(|| async { Body::full("12345") }))
        .route("/source", get(|| async { source() }))
}

/// Asks over HTTP/1.1, then over HTTP/2.
fn ask(server: &Server, path: &str, fields: &[(&str, &str)]) -> [Seen; 2] {
    let mut request = http1::Request::get11(&format!("{path}?h1"));
    for (name, value) in fields {
        request = request.with(name, value);
    }
    let h1 = http1::observe(server.addr, None, &request, &Pace::fast());
    let h2 = http2::observe(
        server.addr,
        None,
        &format!("{path}?h2"),
        fields,
        &Pace::fast(),
    );
    [h1, h2]
}

const ASKS: &[(&str, &str)] = &[("te", "trailers"), ("want-ending", "?1")];

#[test]
fn who_asked_is_told_that_it_is_complete() {
    for server_loop in LOOPS {
        let setup = Setup {
            server_loop,
            ..Setup::default()
        };
        let server = setup.start(app());
        for (path, octets) in [
            ("/complete", 5),
            ("/empty", 0),
            ("/promised", 5),
            ("/full", 5),
            ("/told/complete", 5),
        ] {
            for seen in ask(&server, path, ASKS) {
                assert!(seen.is_complete(), "{path}: {}", seen.verdict_line());
                assert_eq!(seen.body, &b"12345"[..octets]);
                let told = format!("complete;octets={octets}");
                assert_eq!(seen.trailer("ending"), Some(told.as_str()), "{path}");
                let announced = seen.header("trailer").expect("trailers are announced");
                assert!(announced.ends_with("ending"), "{announced}");
            }
        }
        for fields in [
            &[][..],
            &ASKS[..1],
            &ASKS[1..],
            &[("te", "trailers"), ("want-ending", "1")],
        ] {
            for seen in ask(&server, "/complete", fields) {
                assert!(seen.is_complete());
                assert_eq!(seen.trailer("ending"), None, "{fields:?}");
            }
        }
    }
}

#[test]
fn a_promised_length_gives_way_over_http11_alone() {
    let server = Setup::default().start(app());
    for path in ["/promised", "/full"] {
        let [h1, h2] = ask(&server, path, ASKS);
        assert_eq!(h1.framing, Some(SeenFraming::Chunked));
        assert_eq!(
            (h1.header("content-length"), h2.header("content-length")),
            (None, Some("5"))
        );
        let [h1, _] = ask(&server, path, &ASKS[..1]);
        assert_eq!(
            h1.framing,
            Some(SeenFraming::ContentLength(5)),
            "nobody asked"
        );
    }
    let [h1, h2] = ask(&server, "/short", ASKS);
    assert_eq!(
        (h1.end, h2.end),
        (SeenEnd::Fin, SeenEnd::StreamReset(2)),
        "the promise counts"
    );
    assert_eq!(
        (h1.body.as_slice(), h2.body.as_slice()),
        (&b"12345"[..], &b"12345"[..])
    );
    for target in ["/short?h1", "/short?h2"] {
        assert_eq!(server.record(target).error_type(), Some("length_short"));
    }
}

#[test]
fn who_asked_is_told_of_a_failure_by_an_abort_without_a_trailer() {
    let server = Setup::default().start(app());
    for path in ["/failed", "/degraded", "/stored/failed"] {
        let [h1, h2] = ask(&server, path, ASKS);
        assert_eq!(h1.end, SeenEnd::Fin, "{path}: {}", h1.verdict_line());
        assert_eq!(
            h2.end,
            SeenEnd::StreamReset(2),
            "{path}: {}",
            h2.verdict_line()
        );
        for seen in [h1, h2] {
            assert_eq!(
                (seen.body.as_slice(), seen.trailer("ending")),
                (&b"12345"[..], None)
            );
        }
    }
}

#[test]
fn signal_in_a_trailer_tells_the_reason_and_keeps_the_connection() {
    for server_loop in LOOPS {
        let setup = Setup {
            server_loop,
            ..Setup::default()
        };
        let server = setup.start(app());
        let failed = "failed;octets=5;error=producer_error;retry=if-idempotent";
        let degraded = "degraded;octets=5;error=producer_error;retry=if-idempotent";
        let mut session =
            http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
        for (path, told) in [
            ("/told/failed", failed),
            ("/told/pause", failed),
            ("/told/degraded", degraded),
            ("/told/promised", failed),
            (
                "/told/over",
                "failed;octets=5;error=length_exceeded;retry=never",
            ),
            ("/told/complete", "complete;octets=5"),
        ] {
            let mut request = http1::Request::get11(path);
            for (name, value) in ASKS {
                request = request.with(name, value);
            }
            let h1 = session.exchange(&request);
            let h2 = http2::observe(server.addr, None, path, ASKS, &Pace::fast());
            for seen in [&h1, &h2] {
                assert!(seen.is_complete(), "{path}: {}", seen.verdict_line());
                assert_eq!(seen.body, b"12345");
                assert_eq!(seen.trailer("ending"), Some(told), "{path}");
                let text = format!("{seen:?}");
                assert!(!text.contains("secret"), "the message stays at home");
            }
        }
        let record = server.record("/told/failed");
        assert_eq!(record.ending.as_str(), "failed", "{}", record.json());
        assert_eq!(record.signal_out, "last_chunk");
        assert_eq!(record.trailers_sent, ["ending"]);
        // Whoever did not ask sees an abort.
        let [h1, h2] = ask(&server, "/told/failed", &ASKS[..1]);
        assert_eq!((h1.end, h2.end), (SeenEnd::Fin, SeenEnd::StreamReset(2)));
    }
}

#[test]
fn a_source_that_merely_stops_confirms_nothing() {
    let server = Setup::default().start(app());
    for seen in ask(&server, "/source", ASKS) {
        assert!(seen.is_complete());
        assert_eq!(
            (seen.header("trailer"), seen.trailer("ending")),
            (None, None)
        );
    }
}

#[test]
fn a_trailer_that_cannot_be_sent_is_in_the_record() {
    let deaf = Rule::header("x-hop", "deaf", Override::new().trailers(false));
    let server = Setup::default().rule(deaf).start(app());
    let te = &ASKS[..1];
    for (path, fields, h1, h2) in [
        ("/complete", te, vec!["x-rows"], vec!["x-rows", "x-other"]),
        ("/empty", &[][..], vec![], vec!["x-rows", "x-other"]),
        ("/promised", te, vec![], vec!["x-rows", "x-other"]),
        (
            "/full",
            &[("x-hop", "deaf"), ("te", "trailers")][..],
            vec![],
            vec![],
        ),
    ] {
        let seen = ask(&server, path, fields);
        for (seen, version, sent) in [(&seen[0], "h1", h1), (&seen[1], "h2", h2)] {
            let record = server.record(&format!("{path}?{version}"));
            let mut trailers = record.trailers_sent.clone();
            trailers.extend(record.trailers_dropped.clone());
            trailers.sort();
            let all: &[&str] = if path == "/full" {
                &[]
            } else {
                &["x-other", "x-rows"]
            };
            assert_eq!(trailers, all, "{}", record.json());
            for name in ["x-rows", "x-other"] {
                let told = record.trailers_sent.iter().any(|it| it == name);
                assert_eq!(
                    told,
                    sent.contains(&name),
                    "{path} {version} {}",
                    record.json()
                );
                assert_eq!(
                    seen.trailer(name).is_some(),
                    told,
                    "{path} {version} {name}"
                );
            }
        }
    }
    let request = http1::Request::get10("/complete").with("TE", "trailers");
    let seen = http1::observe(server.addr, None, &request, &Pace::fast());
    assert_eq!(seen.body, b"12345");
    assert_eq!(server.record("/complete").trailers_dropped.len(), 2);
    for seen in ask(
        &server,
        "/complete",
        &[("x-hop", "deaf"), ("te", "trailers"), ("want-ending", "?1")],
    ) {
        assert!(seen.is_complete());
        assert_eq!(
            (seen.header("trailer"), seen.trailer("x-rows")),
            (None, None)
        );
    }
}
