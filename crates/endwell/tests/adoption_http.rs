//! Applications as they are, with tower-http around their handlers: each middleware keeps working, and what
//! fails under it still ends as failed.

mod support;

#[path = "support/client.rs"]
mod client;

use std::convert::Infallible;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use bytes::Bytes;
use client::{BOTH, Got};
use endwell_lab::observe::{Pace, SeenEnd, http1, http2};
use http::{HeaderValue, Method, StatusCode};
use support::script::{Ask, Fault, octets};
use support::{Loop, Server, Setup};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::services::ServeDir;
use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};
use tower_http::trace::TraceLayer;

const SIZE: usize = 200_000;
/// So long do the layers of these tests wait; no test asserts how long it took.
const SOON: Duration = Duration::from_millis(200);

/// The same application on both loops.
fn both_loops(app: Router) -> [Server; 2] {
    [Loop::Ours, Loop::Stock].map(|server_loop| {
        let setup = Setup {
            server_loop,
            ..Setup::default()
        };
        setup.start(app.clone())
    })
}

fn script(fault: Fault, id: u64) -> String {
    let ask = Ask {
        fault,
        size: SIZE,
        cut: SIZE,
        frame: 10_000,
        promise: false,
        id,
    };
    ask.target()
}

/// Asks over HTTP/1.1 and HTTP/2; each target is asked once, so that its record is found.
fn over_both(
    server: &Server,
    target: impl Fn(u64) -> String,
    fields: &[(&str, &str)],
) -> [(Got, endwell::Record); 2] {
    let mut id = 0;
    BOTH.map(|speaks| {
        id += 1;
        let target = target(id);
        let got = client::get(server.addr, speaks, &target, fields);
        (got, server.record(&target))
    })
}

fn gunzip(octets: &[u8]) -> (Vec<u8>, bool) {
    let mut decoded = Vec::new();
    let whole = flate2::read::GzDecoder::new(octets).read_to_end(&mut decoded);
    (decoded, whole.is_ok())
}

#[test]
fn compression_keeps_good_bodies_whole_and_broken_ones_without_a_gzip_end() {
    for server in both_loops(support::script::app().layer(CompressionLayer::new())) {
        for (fault, whole) in [
            (Fault::None, true),
            (Fault::Mid, false),
            (Fault::Panic, false),
            (Fault::Aborted, false),
            (Fault::Degraded, false),
        ] {
            let asked = over_both(
                &server,
                |id| script(fault, id),
                &[("accept-encoding", "gzip")],
            );
            for (got, record) in asked {
                assert_eq!(got.header("content-encoding"), Some("gzip"), "{fault:?}");
                assert_eq!(got.is_whole(), whole, "{fault:?}: {}", got.line());
                let (decoded, ended) = gunzip(&got.octets);
                assert!(decoded == octets(SIZE), "{fault:?}: {}", decoded.len());
                assert_eq!(ended, whole, "{fault:?}: gzip's end mark");
                assert_eq!(record.ending.is_complete(), whole, "{}", record.json());
            }
        }
    }
}

#[test]
fn compression_lets_a_failure_before_the_first_octet_be_a_500_that_is_not_encoded() {
    for server in both_loops(support::script::app().layer(CompressionLayer::new())) {
        let fields = &[("accept-encoding", "gzip")];
        for (got, record) in over_both(&server, |id| script(Fault::First, id), fields) {
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(got.header("content-encoding"), None);
            assert!(got.text().contains("500"), "{}", got.line());
            assert_eq!(record.error_type(), Some("producer_error"));
        }
    }
}

/// An application whose handlers, or whose bodies, take longer than their layer waits.
fn late() -> Router {
    let stalls = |first: &'static [u8]| {
        endwell::stream(move |mut producer| async move {
            if !first.is_empty() {
                producer.send(first).await?;
            }
            std::future::pending::<()>().await;
            Ok(producer.finish())
        })
    };
    let handlers = Router::new()
        .route("/thinks", get(std::future::pending::<&'static str>))
        .route(
            "/slow-body",
            get(move || async {
                endwell::stream(|mut producer| async move {
                    for part in octets(10_000).chunks(1_000) {
                        tokio::time::sleep(SOON / 4).await;
                        producer.send(Bytes::copy_from_slice(part)).await?;
                    }
                    Ok(producer.finish())
                })
            }),
        )
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            SOON,
        ));
    let unavailable = Router::new()
        .route("/thinks-503", get(std::future::pending::<&'static str>))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            SOON,
        ));
    let bodies = Router::new()
        .route("/stalls", get(move || async move { stalls(b"ten octets") }))
        .route("/stalls-at-once", get(move || async move { stalls(b"") }))
        .layer(ResponseBodyTimeoutLayer::new(SOON));
    handlers.merge(unavailable).merge(bodies)
}

#[test]
fn a_time_out_of_the_handler_is_its_own_status() {
    for server in both_loops(late()) {
        for (path, status) in [("/thinks", 408), ("/thinks-503", 503)] {
            for (got, record) in over_both(&server, |id| format!("{path}?{id}"), &[]) {
                assert_eq!(got.status.as_u16(), status, "{path}");
                assert!(got.is_whole(), "{path}: {}", got.line());
                assert_eq!(
                    (record.status, record.ending.as_str()),
                    (status, "complete")
                );
            }
        }
    }
}

#[test]
fn a_time_out_of_the_handler_leaves_a_slow_body_alone() {
    for server in both_loops(late()) {
        for (got, record) in over_both(&server, |id| format!("/slow-body?{id}"), &[]) {
            assert!(got.is_whole(), "{}", got.line());
            assert!(got.octets == octets(10_000), "{}", got.line());
            assert!(record.ending.is_complete(), "{}", record.json());
        }
    }
}

#[test]
fn a_time_out_of_the_body_ends_it_as_failed_or_before_its_head_as_a_500() {
    for server in both_loops(late()) {
        for (got, record) in over_both(&server, |id| format!("/stalls?{id}"), &[]) {
            assert_eq!(got.status, StatusCode::OK);
            assert_eq!(got.octets, b"ten octets");
            assert!(!got.is_whole(), "{}", got.line());
            assert_eq!(record.ending.as_str(), "failed", "{}", record.json());
        }
        for (got, record) in over_both(&server, |id| format!("/stalls-at-once?{id}"), &[]) {
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(got.is_whole(), "{}", got.line());
            assert_eq!((record.status, record.ending.as_str()), (500, "failed"));
        }
    }
}

#[test]
fn trace_sees_responses_and_frames_and_the_record_sees_the_ending() {
    let responses = Arc::new(AtomicUsize::new(0));
    let traced = Arc::new(AtomicUsize::new(0));
    let (answers, frames) = (Arc::clone(&responses), Arc::clone(&traced));
    let trace = TraceLayer::new_for_http()
        .on_response(move |_: &http::Response<_>, _, _: &_| {
            answers.fetch_add(1, Ordering::SeqCst);
        })
        .on_body_chunk(move |chunk: &Bytes, _, _: &_| {
            frames.fetch_add(chunk.len(), Ordering::SeqCst);
        });
    let server = Setup::default().start(support::script::app().layer(trace));
    for (fault, whole) in [(Fault::None, true), (Fault::Mid, false)] {
        for (got, record) in over_both(&server, |id| script(fault, id), &[]) {
            assert_eq!(got.is_whole(), whole, "{fault:?}: {}", got.line());
            assert!(got.octets == octets(SIZE), "{fault:?}");
            assert_eq!(record.ending.is_complete(), whole, "{}", record.json());
        }
    }
    assert_eq!(responses.load(Ordering::SeqCst), 4);
    assert_eq!(traced.load(Ordering::SeqCst), 4 * SIZE);
}

#[test]
fn cross_origin_pages_may_read_good_answers_and_failures() {
    let origin = "https://page.example";
    let allowed = AllowOrigin::exact(HeaderValue::from_static("https://page.example"));
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET]);
    for server in both_loops(support::script::app().layer(cors)) {
        let preflight = http1::Request::raw(format!(
            "OPTIONS /hello HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\r\n"
        ));
        let seen = http1::observe(server.addr, None, &preflight, &Pace::fast());
        assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
        assert_eq!(seen.header("access-control-allow-methods"), Some("GET"));
        for (fault, status, whole) in [
            (Fault::None, 200, true),
            (Fault::Mid, 200, false),
            // A page that may not read it would see "network error" and no status.
            (Fault::First, 500, true),
        ] {
            for (got, _) in over_both(&server, |id| script(fault, id), &[("origin", origin)]) {
                assert_eq!(got.status.as_u16(), status, "{fault:?}");
                assert_eq!(got.is_whole(), whole, "{fault:?}: {}", got.line());
                let allowed = got.header("access-control-allow-origin");
                assert_eq!(allowed, Some(origin), "{fault:?}");
            }
        }
    }
}

#[test]
fn a_panic_that_a_layer_inside_catches_is_its_own_answer() {
    for server in both_loops(support::script::app().layer(CatchPanicLayer::new())) {
        for (got, record) in over_both(&server, |id| script(Fault::HandlerPanic, id), &[]) {
            assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(got.is_whole(), "{}", got.line());
            assert!(got.text().contains("panic"), "{}", got.line());
            assert_eq!((record.status, record.ending.as_str()), (500, "complete"));
        }
    }
}

fn folder(octets: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file.txt"), octets).expect("a file");
    folder
}

fn serve_dir(path: &Path) -> Router {
    Router::new().fallback_service(ServeDir::new(path))
}

#[test]
fn a_served_folder_gives_files_parts_and_conditions_as_before() {
    let text = octets(SIZE);
    let folder = folder(&text);
    for server in both_loops(serve_dir(folder.path())) {
        for speaks in BOTH {
            let get = |target: &str, fields: &[_]| client::get(server.addr, speaks, target, fields);
            let got = get("/file.txt", &[]);
            assert!(got.is_whole() && got.octets == text, "{}", got.line());
            assert_eq!(got.header("content-length"), Some("200000"));
            let modified = got.header("last-modified").expect("a date").to_owned();

            let got = get("/file.txt", &[("range", "bytes=10-19")]);
            assert_eq!(got.status, StatusCode::PARTIAL_CONTENT);
            assert!(
                got.is_whole() && got.octets == text[10..20],
                "{}",
                got.line()
            );

            let got = get("/file.txt", &[("if-modified-since", &modified)]);
            assert_eq!(got.status, StatusCode::NOT_MODIFIED);
            assert!(got.is_whole() && got.octets.is_empty(), "{}", got.line());

            let got = get("/none.txt", &[]);
            assert_eq!(got.status, StatusCode::NOT_FOUND);
            assert!(got.is_whole(), "{}", got.line());
        }
        let head = http1::Request::head11("/file.txt");
        let seen = http1::observe(server.addr, None, &head, &Pace::fast());
        assert_eq!(seen.header("content-length"), Some("200000"));
        assert!(seen.is_complete() && seen.body.is_empty());
    }
}

/// Longer than what all buffers between a server and a client that does not read can hold.
const LONG: u64 = 256 * 1024 * 1024;

#[test]
fn a_served_file_that_is_cut_ends_short_and_is_recorded() {
    for (number, speaks) in BOTH.into_iter().enumerate() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = std::fs::File::create(folder.path().join("file.bin")).expect("a file");
        // Holes: it takes no room on the disk.
        file.set_len(LONG).expect("a long file");
        let server = Setup::default().start(serve_dir(folder.path()));
        let target = format!("/file.bin?{number}");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
        let got = runtime.block_on(async {
            let asked = async {
                let response = client::send(server.addr, speaks, client::request(&target, &[]));
                // The head has come and nobody reads: the file is cut behind what is under way.
                let response = response.await;
                file.set_len(LONG / 2).expect("a shorter file");
                client::read(response).await
            };
            tokio::time::timeout(client::DEADLINE, asked)
                .await
                .expect("the server ends it in time")
        });
        assert_eq!(got.status, StatusCode::OK);
        assert!(!got.is_whole(), "{}", got.line());
        assert_eq!(got.octets.len() as u64, LONG / 2, "{}", got.line());
        let record = server.record(&target);
        assert_eq!(
            record.error_type(),
            Some("length_short"),
            "{}",
            record.json()
        );
    }
}

/// axum's own event stream: a word, then an error from whatever makes the words.
async fn events() -> Sse<impl futures_util::Stream<Item = Result<Event, std::io::Error>>> {
    let words = futures_util::stream::iter([
        Ok(Event::default().data("once")),
        Ok(Event::default().data("upon")),
        Err(std::io::Error::other("the model went away")),
    ]);
    Sse::new(words).keep_alive(KeepAlive::default())
}

#[test]
fn an_event_stream_of_axum_that_fails_does_not_end_well() {
    for server in both_loops(Router::new().route("/events", get(events))) {
        for (got, record) in over_both(&server, |id| format!("/events?{id}"), &[]) {
            assert_eq!(got.header("content-type"), Some("text/event-stream"));
            assert_eq!(got.text(), "data: once\n\ndata: upon\n\n");
            assert!(!got.is_whole(), "{}", got.line());
            assert_eq!(record.error_type(), Some("producer_error"));
        }
    }
}

/// What today's handlers return, without a producer: their end is taken, and nothing is in the way.
async fn plain() -> Result<axum::body::Body, Infallible> {
    let parts: Vec<_> = octets(SIZE)
        .chunks(10_000)
        .map(|part| Ok::<_, Infallible>(Bytes::copy_from_slice(part)))
        .collect();
    Ok(axum::body::Body::from_stream(futures_util::stream::iter(
        parts,
    )))
}

#[test]
fn everything_at_once_as_in_a_real_application() {
    let app = support::script::app()
        .route("/plain", get(plain))
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            client::DEADLINE,
        ))
        .layer(CorsLayer::permissive())
        .layer(TraceLayer::new_for_http());
    for server in both_loops(app) {
        let fields = &[("accept-encoding", "gzip"), ("origin", "https://a.example")];
        for (target, whole) in [("/plain", true), (&script(Fault::Mid, 7), false)] {
            for speaks in BOTH {
                let got = client::get(server.addr, speaks, target, fields);
                assert_eq!(got.is_whole(), whole, "{target}: {}", got.line());
                let (decoded, ended) = gunzip(&got.octets);
                assert!(decoded == octets(SIZE), "{target}: {}", decoded.len());
                assert_eq!(ended, whole, "{target}");
            }
        }
        // A raw client sees the same over HTTP/1.0, where only a reset can tell.
        let request = http1::Request::get10(&script(Fault::Mid, 8));
        let seen = http1::observe(server.addr, None, &request, &Pace::fast());
        assert_eq!(seen.end, SeenEnd::Reset, "{}", seen.verdict_line());
        assert!(seen.body == octets(SIZE), "{}", seen.verdict_line());
        let seen = http2::observe(server.addr, None, "/hello", &[], &Pace::fast());
        assert!(seen.is_complete(), "{}", seen.verdict_line());
    }
}
