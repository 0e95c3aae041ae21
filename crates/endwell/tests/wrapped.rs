//! Middleware that makes another body of one of ours: what it swallows must not look whole.

mod support;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use endwell::{Body, Cause, SaidBy, Tail};
use endwell_lab::observe::{Pace, Seen, http1, http2};
use futures_util::{StreamExt, stream};
use support::{Server, Setup};
use tower_http::compression::CompressionLayer;

/// Asks over HTTP/1.1, then over HTTP/2.
fn ask(server: &Server, path: &str, fields: &[(&str, &str)]) -> [Seen; 2] {
    let h1 = fields.iter().fold(
        http1::Request::get11(&format!("{path}?h1")),
        |request, (name, value)| request.with(name, value),
    );
    let h1 = http1::observe(server.addr, None, &h1, &Pace::fast());
    let path = format!("{path}?h2");
    let h2 = http2::observe(server.addr, None, &path, fields, &Pace::fast());
    [h1, h2]
}

/// Ends at the first error as if nothing had been: a mistake that middleware makes.
async fn swallow(response: Response) -> Response {
    response.map(|body| {
        let octets = body.into_data_stream().take_while(|it| {
            let good = it.is_ok();
            async move { good }
        });
        AxumBody::from_stream(octets)
    })
}

#[test]
fn a_failure_that_middleware_swallowed_is_not_told_as_complete() {
    let failing = || async {
        endwell::stream(|mut producer| async move {
            producer.send("12345").await?;
            Err(Cause::producer("disk").into())
        })
    };
    let good = || async {
        endwell::stream(|mut producer| async move {
            producer.send("12345").await?;
            Ok(producer.finish())
        })
    };
    let app = Router::new()
        .route("/failing", get(failing))
        .route("/good", get(good))
        .layer(map_response(swallow));
    let server = Setup::default().start(app);
    let asks = [("te", "trailers"), ("want-ending", "?1")];
    for seen in ask(&server, "/good", &asks) {
        assert_eq!(seen.trailer("ending"), Some("complete;octets=5"));
    }
    for seen in ask(&server, "/failing", &asks) {
        assert_eq!(seen.body, b"12345");
        assert_eq!(seen.trailer("ending"), None, "{}", seen.verdict_line());
    }
    for target in ["/failing?h1", "/failing?h2"] {
        assert_eq!(server.record(target).said_by, SaidBy::Source, "{target}");
    }
}

#[test]
fn a_promise_is_checked_where_compression_takes_it_away() {
    let rows = |rows: usize| {
        let row = Bytes::from(vec![b'x'; 1000]);
        let rows = std::iter::repeat_n(row, rows).map(Ok::<_, std::io::Error>);
        Body::from_stream(stream::iter(rows)).content_type("text/plain")
    };
    let app = Router::new()
        .route("/kept", get(move || async move { rows(4).promise(4000) }))
        .route("/short", get(move || async move { rows(3).promise(4000) }))
        .route("/over", get(move || async move { rows(5).promise(4000) }))
        .layer(CompressionLayer::new());
    let server = Setup::default().start(app);
    for seen in ask(&server, "/kept", &[("accept-encoding", "gzip")]) {
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
    for (path, kind) in [("/short", "length_short"), ("/over", "length_exceeded")] {
        for seen in ask(&server, path, &[("accept-encoding", "gzip")]) {
            assert!(!seen.is_complete(), "{path}: {}", seen.verdict_line());
        }
        for version in ["h1", "h2"] {
            let record = server.record(&format!("{path}?{version}"));
            assert_eq!(record.error_type(), Some(kind), "{path}");
        }
    }
}

/// Puts a body of its own, which never pauses, in the place of one with a tail.
async fn replace(response: Response) -> Response {
    response.map(|_| {
        let pause = std::time::Duration::from_millis(1);
        let lines = stream::repeat_with(move || {
            std::thread::sleep(pause);
            Ok::<_, std::io::Error>("{}\n".repeat(4096))
        });
        AxumBody::from_stream(lines)
    })
}

#[test]
fn a_tail_that_middleware_threw_away_keeps_no_response_alive() {
    let lines = || async { Body::full("{}\n").tail(Tail::ndjson()) };
    let app = Router::new()
        .route("/", get(lines))
        .layer(map_response(replace));
    let setup = Setup {
        drain: std::time::Duration::from_millis(1),
        ..Setup::default()
    };
    let server = setup.start(app);
    let (shutdown, addr) = (server.shutdown.clone(), server.addr);
    let client = std::thread::spawn(move || {
        http1::observe(addr, None, &http1::Request::get11("/"), &Pace::fast())
    });
    // The head has left once there is a connection that waits for the end.
    std::thread::sleep(std::time::Duration::from_millis(200));
    shutdown.drain();
    let seen = client.join().expect("the client does not panic");
    assert!(!seen.is_complete(), "{}", seen.verdict_line());
    let record = server.record("/");
    assert_eq!(record.error_type(), Some("server_shutdown"));
    assert_eq!(record.signal_out, "missing_last_chunk");
}
