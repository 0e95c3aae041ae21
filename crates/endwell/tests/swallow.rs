//! Six ways in which today's Rust stack swallows a failure, rebuilt on our producer: none does.

mod support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use endwell::{Body, Producer};
use endwell_lab::observe::{Pace, Seen, http1, http2};
use http_body_util::BodyExt;
use support::Setup;
use support::script::octets;
use tower_http::compression::CompressionLayer;

const SIZE: usize = 200_000;

async fn produce(producer: &mut Producer) {
    for part in octets(SIZE).chunks(10_000) {
        if producer.send(Bytes::copy_from_slice(part)).await.is_err() {
            return;
        }
    }
}

/// On a plain hyper stack a channel whose sender is dropped ends the body clean.
fn dropped_channel() -> Body {
    let (mut producer, body) = endwell::channel();
    tokio::spawn(async move {
        produce(&mut producer).await;
        drop(producer);
    });
    body
}

/// A task that panics drops its sender: the same clean end.
fn panicking_task() -> Body {
    let (mut producer, body) = endwell::channel();
    tokio::spawn(async move {
        produce(&mut producer).await;
        panic!("the task panics");
    });
    body
}

/// `return` after an error, as Go's handlers do.
fn early_return() -> Body {
    endwell::stream(|mut producer| async move {
        produce(&mut producer).await;
        if producer.commit().await.is_ok() {
            return Err("gave up early".into());
        }
        Ok(producer.finish())
    })
}

/// A connection that is polled again after its error writes the last chunk (hyper): the body
/// is polled again here by a wrapper that does not know when to stop.
struct Repoll(Body, bool);

impl http_body::Body for Repoll {
    type Data = Bytes;
    type Error = endwell::Broken;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, endwell::Broken>>> {
        let frame = std::task::ready!(std::pin::Pin::new(&mut self.0).poll_frame(cx));
        if matches!(frame, Some(Err(_))) && !self.1 {
            self.1 = true;
            // Asking again must not turn a failure into an end: the first error is kept.
            let _again = std::pin::Pin::new(&mut self.0).poll_frame(cx);
        }
        std::task::Poll::Ready(frame)
    }
}

/// A middleware that catches a panic of what is inside it and answers in its place.
async fn catching(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => "caught\n".into_response(),
    }
}

fn app() -> Router {
    Router::new()
        .route("/dropped_channel", get(|| async { dropped_channel() }))
        .route("/panicking_task", get(|| async { panicking_task() }))
        .route("/early_return", get(|| async { early_return() }))
        .route(
            "/repolled",
            get(|| async { axum::body::Body::new(Repoll(early_return(), false)) }),
        )
        .route(
            "/caught",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    produce(&mut producer).await;
                    panic!("inside a catching middleware");
                })
            })
            .layer(from_fn(catching)),
        )
        .route(
            "/mapped",
            get(|| async {
                axum::body::Body::new(
                    early_return()
                        .map_frame(|frame| frame)
                        .map_err(|error| std::io::Error::other(error.to_string())),
                )
            }),
        )
}

fn both(addr: std::net::SocketAddr, path: &str, gzip: bool) -> [Seen; 2] {
    let mut request = http1::Request::get11(path);
    let mut fields = Vec::new();
    if gzip {
        request = request.with("Accept-Encoding", "gzip");
        fields.push(("accept-encoding", "gzip"));
    }
    [
        http1::observe(addr, None, &request, &Pace::fast()),
        http2::observe(addr, None, path, &fields, &Pace::fast()),
    ]
}

const WAYS: [&str; 6] = [
    "/dropped_channel",
    "/panicking_task",
    "/early_return",
    "/repolled",
    "/caught",
    "/mapped",
];

/// What the `gzip` program says of it, where there is one.
fn gzip_t(octets: &[u8]) -> Option<bool> {
    let mut gzip = Command::new("gzip")
        .arg("-t")
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It may stop reading at the first fault.
    let _ = gzip.stdin.take()?.write_all(octets);
    Some(gzip.wait().ok()?.success())
}

#[test]
fn no_way_swallows_a_failure() {
    let server = Setup::default().start(app());
    for path in WAYS {
        for seen in both(server.addr, path, false) {
            assert!(seen.body == octets(SIZE), "{path}: {}", seen.verdict_line());
            assert!(!seen.is_complete(), "{path}: {}", seen.verdict_line());
        }
    }
    assert!(
        server
            .records()
            .iter()
            .all(|record| record.ending.as_str() == "failed")
    );
}

#[test]
fn under_compression_every_octet_decodes_and_the_gzip_stream_is_not_finished() {
    let server = Setup::default().start(app().layer(CompressionLayer::new()));
    for path in WAYS {
        for seen in both(server.addr, path, true) {
            assert_eq!(seen.header("content-encoding"), Some("gzip"), "{path}");
            assert!(!seen.is_complete(), "{path}: {}", seen.verdict_line());
            let mut decoded = Vec::new();
            let mut gzip = flate2::read::GzDecoder::new(&seen.body[..]);
            let result = gzip.read_to_end(&mut decoded);
            assert_eq!(decoded.len(), SIZE, "{path}: {}", seen.verdict_line());
            assert!(decoded == octets(SIZE), "{path}");
            assert!(result.is_err(), "{path}: the gzip stream has its end mark");
            assert_ne!(gzip_t(&seen.body), Some(true), "{path}: gzip -t accepts it");
        }
    }
}
