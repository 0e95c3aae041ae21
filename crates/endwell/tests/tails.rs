//! Reasons in band, on the wire: the exact octets of a tail, then the abort; and what the record says.

mod support;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use bytes::Bytes;
use endwell::{Body, Producer, Tail};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http1, http2};
use futures_util::StreamExt;
use support::{Loop, Setup};
use tower_http::compression::CompressionLayer;

/// What is told of a failure by default.
const PROBLEM: &str = r#"{"title":"Internal Server Error","status":500,"ending":"failed","error":"producer_error","retry":"if_idempotent"}"#;

/// The same of a degraded body.
const DEGRADED: &str = r#"{"title":"The response is whole, but not all right","ending":"degraded","error":"producer_error","retry":"if_idempotent"}"#;

/// Long enough that HTTP/1.0 does not hold it: larger than `Policy::http10_hold` is set here.
const ROW: &str = "{\"row\":1,\"text\":\"some text that is in every row\"}\n";
const ROWS: usize = 40;

fn event_error(problem: &str) -> String {
    format!("event: error\nretry: 3000\ndata: {problem}\n\n")
}

fn typed(kind: &'static str, body: Body) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], body)
}

async fn rows(producer: &mut Producer) -> Result<(), endwell::Abort> {
    for _ in 0..ROWS {
        producer.send(ROW).await?;
    }
    Ok(())
}

/// `ROWS` rows, then the failure.
fn failing() -> Body {
    endwell::stream(|mut producer| async move {
        rows(&mut producer).await?;
        Err("the disk failed".into())
    })
}

fn degraded() -> Body {
    endwell::stream(|mut producer| async move {
        rows(&mut producer).await?;
        producer.degrade("a part is missing");
        Ok(producer.finish())
    })
}

/// These octets in one frame, and a failure some time later.
fn cut(octets: &'static str) -> Body {
    endwell::stream(move |mut producer| async move {
        producer.send(octets).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err("the disk failed".into())
    })
}

fn foreign_sse() -> impl IntoResponse {
    let events = futures_util::stream::iter([
        Ok(Event::default().id("1").data("a")),
        Err(std::io::Error::other("the model failed")),
    ]);
    Sse::new(events).keep_alive(KeepAlive::default())
}

fn app() -> Router {
    let sse = "text/event-stream";
    let by_type = Router::new()
        .route("/auto/sse", get(|| async { foreign_sse() }))
        .route(
            "/auto/ndjson",
            get(|| async { typed("application/x-ndjson", failing()) }),
        )
        .route(
            "/auto/degraded",
            get(|| async { typed("application/x-ndjson", degraded()) }),
        )
        .route("/auto/csv", get(|| async { typed("text/csv", failing()) }))
        .layer(map_response(endwell::with_tail));
    Router::new()
        .route("/ndjson", get(|| async { failing().tail(Tail::ndjson()) }))
        .route(
            "/degraded",
            get(|| async { degraded().tail(Tail::ndjson()) }),
        )
        .route("/seq", get(|| async { failing().tail(Tail::json_seq()) }))
        .route(
            "/sse",
            get(move || async move { typed(sse, cut("id: 1\ndata: a\n\n").tail(Tail::sse())) }),
        )
        .route(
            "/sse/cut",
            get(move || async move {
                let events = "id: 1\ndata: a\n\nid: 2\ndata: hal";
                typed(sse, cut(events).tail(Tail::sse()))
            }),
        )
        .route(
            "/sse/first",
            get(move || async move {
                let body = endwell::stream(|mut producer| async move {
                    producer.commit().await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err("the model failed".into())
                });
                typed(sse, body.tail(Tail::sse()))
            }),
        )
        .route(
            "/html",
            get(|| async {
                let page = cut("<p>half a page");
                typed(
                    "text/html",
                    page.tail(Tail::html().script(Some("bm9uY2U="))),
                )
            }),
        )
        .route(
            "/document",
            get(|| async {
                let body = endwell::stream(|mut producer| async move {
                    producer.send("<p>all but one part").await?;
                    producer.degrade("a part is missing");
                    Ok(producer.finish())
                });
                body.content_type("text/html")
                    .header(CACHE_CONTROL, "no-store")
                    .tail(Tail::html())
            }),
        )
        .route(
            "/multipart",
            get(|| async {
                let parts = cut("--b\r\n\r\none\r\n--b\r\n");
                parts.tail(Tail::multipart("b").expect("a good boundary"))
            }),
        )
        .route(
            "/tagged",
            get(|| async { cut("1,2\n3,").tail(Tail::tagged()) }),
        )
        .route(
            "/promised",
            get(|| async { failing().promise(1_000_000).tail(Tail::ndjson()) }),
        )
        .route(
            "/promised/close",
            get(|| async {
                let promise = (ROW.len() * ROWS + PROBLEM.len() + 1) as u64;
                failing().promise(promise).tail(Tail::ndjson())
            }),
        )
        .route(
            "/first",
            get(|| async {
                endwell::stream(|producer| async move {
                    drop(producer);
                    Err("no such table".into())
                })
                .tail(Tail::ndjson())
            }),
        )
        .route(
            "/held",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    producer.send(ROW).await?;
                    Err("the disk failed".into())
                })
                .tail(Tail::ndjson())
            }),
        )
        .route(
            "/silent",
            get(|| async {
                endwell::stream(|mut producer| async move {
                    rows(&mut producer).await?;
                    std::future::pending::<()>().await;
                    Ok(producer.finish())
                })
                .tail(Tail::ndjson())
            }),
        )
        .merge(by_type)
}

fn setup() -> Setup {
    // Less than the rows, more than the first frame: HTTP/1.0 streams them and holds no short body.
    Setup::default().policy(|policy| policy.http10_hold.octets = 1000)
}

/// A way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Http10,
    Http11,
    Http2,
}

impl Way {
    const ALL: [Way; 3] = [Self::Http10, Self::Http11, Self::Http2];

    fn get(self, addr: SocketAddr, tls: bool, target: &str, fields: &[(&str, &str)]) -> Seen {
        let pace = Pace {
            deadline: Duration::from_secs(60),
            ..Pace::fast()
        };
        if self == Self::Http2 {
            let tls = tls.then(|| ClientTls::new(&["h2"]));
            return http2::observe(addr, tls.as_ref(), target, fields, &pace);
        }
        let mut request = match self {
            Self::Http10 => http1::Request::get10(target),
            Self::Http11 | Self::Http2 => http1::Request::get11(target),
        };
        for (name, value) in fields {
            request = request.with(name, value);
        }
        let tls = tls.then(|| ClientTls::new(&["http/1.1"]));
        http1::observe(addr, tls.as_ref(), &request, &pace)
    }

    /// How a body of unknown length must end that broke.
    fn abort(self, tls: bool) -> SeenEnd {
        match self {
            Self::Http10 => SeenEnd::Reset,
            Self::Http11 if tls => SeenEnd::CloseNotify,
            Self::Http11 => SeenEnd::Fin,
            Self::Http2 => SeenEnd::StreamReset(2),
        }
    }
}

fn text(seen: &Seen) -> String {
    String::from_utf8(seen.body.clone()).expect("text")
}

#[test]
fn the_tail_is_the_last_of_the_body_and_the_abort_follows_it() {
    for (tls, server_loop) in [
        (false, Loop::Ours),
        (true, Loop::Ours),
        (false, Loop::Stock),
    ] {
        let server = Setup {
            tls,
            server_loop,
            ..setup()
        }
        .start(app());
        let all = ROW.repeat(ROWS);
        for way in Way::ALL {
            for (path, ending, due) in [
                ("/ndjson", "failed", format!("{all}{PROBLEM}\n")),
                ("/seq", "failed", format!("{all}\u{1e}{PROBLEM}\n")),
                ("/degraded", "degraded", format!("{all}{DEGRADED}\n")),
                ("/auto/ndjson", "failed", format!("{all}{PROBLEM}\n")),
                ("/auto/degraded", "degraded", format!("{all}{DEGRADED}\n")),
                ("/auto/csv", "failed", all.clone()),
            ] {
                let target = format!("{path}?{way:?}");
                let seen = way.get(server.addr, tls, &target, &[]);
                assert_eq!(seen.status, Some(200), "{target} {}", seen.verdict_line());
                assert!(text(&seen) == due, "{target} {}", seen.verdict_line());
                assert_eq!(seen.end, way.abort(tls), "{target} {}", seen.verdict_line());
                assert!(!seen.is_complete() && !seen.last_chunk, "{target}");
                let record = server.record(&target);
                assert_eq!(record.ending.as_str(), ending, "{}", record.json());
                assert_eq!(record.error_type(), Some("producer_error"));
                assert_eq!(record.tally.sent, due.len() as u64, "{}", record.json());
            }
        }
    }
}

#[test]
fn each_format_on_the_wire() {
    let server = setup().start(app());
    for way in [Way::Http11, Way::Http2] {
        for (path, due) in [
            (
                "/sse",
                format!("id: 1\ndata: a\n\nid: 1\n{}", event_error(PROBLEM)),
            ),
            (
                "/sse/cut",
                format!(
                    "id: 1\ndata: a\n\nid: 2\ndata: hal\nid: 1\n{}",
                    event_error(PROBLEM)
                ),
            ),
            ("/sse/first", event_error(PROBLEM)),
            // The tail of a stream whose end nobody of ours writes.
            (
                "/auto/sse",
                format!("id: 1\ndata: a\n\nid: 1\n{}", event_error(PROBLEM)),
            ),
            (
                "/html",
                format!(
                    "<p>half a page<!-- {PROBLEM} --><script nonce=\"bm9uY2U=\">\
                     window.onending&&window.onending({PROBLEM})</script>"
                ),
            ),
            (
                "/multipart",
                format!(
                    "--b\r\n\r\none\r\n--b\r\nContent-Type: application/problem+json\r\n\r\n\
                     {PROBLEM}\r\n--b\r\n"
                ),
            ),
        ] {
            let target = format!("{path}?{way:?}");
            let seen = way.get(server.addr, false, &target, &[]);
            assert_eq!(seen.status, Some(200), "{target} {}", seen.verdict_line());
            assert_eq!(text(&seen), due, "{target}");
            assert_eq!(seen.end, way.abort(false), "{target}");
            assert_eq!(server.record(&target).ending.as_str(), "failed");
        }
        let seen = way.get(server.addr, false, "/tagged", &[]);
        let tag = seen
            .header("x-clickhouse-exception-tag")
            .expect("announced");
        let length = PROBLEM.len() + 1;
        let due = format!(
            "1,2\n3,\r\n__exception__\r\n{tag}\r\n{PROBLEM}\n{length} {tag}\r\n__exception__\r\n"
        );
        assert_eq!(text(&seen), due);
        assert_eq!(seen.end, way.abort(false));
    }
}

#[test]
fn a_degraded_document_in_a_browser_ends_clean_behind_its_tail() {
    let server = setup().start(app());
    for way in [Way::Http11, Way::Http2] {
        for (fields, clean) in [(&[("sec-fetch-dest", "document")][..], true), (&[], false)] {
            let seen = way.get(server.addr, false, "/document", fields);
            assert_eq!(
                text(&seen),
                format!("<p>all but one part<!-- {DEGRADED} -->"),
                "{way:?}"
            );
            assert_eq!(seen.is_complete(), clean, "{way:?} {}", seen.verdict_line());
        }
    }
    for record in server.records() {
        assert_eq!(record.ending.as_str(), "degraded", "{}", record.json());
    }
}

#[test]
fn a_stream_that_is_resumed_is_left_where_it_was() {
    let server = setup().start(app());
    for way in [Way::Http11, Way::Http2] {
        let seen = way.get(server.addr, false, "/sse/first", &[("last-event-id", "41")]);
        assert_eq!(text(&seen), format!("id: 41\n{}", event_error(PROBLEM)));
    }
}

#[test]
fn before_the_head_has_left_a_failure_is_a_500_without_a_tail() {
    let server = Setup::default().start(app());
    let failed = "{\"title\":\"Internal Server Error\",\"status\":500}\n";
    for way in Way::ALL {
        let seen = way.get(server.addr, false, "/first", &[]);
        assert_eq!((seen.status, text(&seen)), (Some(500), failed.to_owned()));
    }
    // HTTP/1.0 holds up to 64 KiB: the row was given, but its head was not.
    let seen = Way::Http10.get(server.addr, false, "/held", &[]);
    assert_eq!((seen.status, text(&seen)), (Some(500), failed.to_owned()));
    let seen = Way::Http11.get(server.addr, false, "/held", &[]);
    assert_eq!(text(&seen), format!("{ROW}{PROBLEM}\n"));
}

#[test]
fn a_promised_length_is_neither_fulfilled_nor_exceeded_by_a_tail() {
    let server = setup().start(app());
    let all = ROW.repeat(ROWS);
    for way in Way::ALL {
        let seen = way.get(server.addr, false, "/promised", &[]);
        assert_eq!(text(&seen), format!("{all}{PROBLEM}\n"), "{way:?}");
        assert!(!seen.is_complete(), "{way:?} {}", seen.verdict_line());
        let seen = way.get(server.addr, false, "/promised/close", &[]);
        assert_eq!(text(&seen), all, "{way:?}");
        assert!(!seen.is_complete(), "{way:?} {}", seen.verdict_line());
    }
}

#[test]
fn under_compression_the_tail_decodes_and_the_gzip_stream_is_not_finished() {
    let server = setup().start(app().layer(CompressionLayer::new()));
    let all = ROW.repeat(ROWS);
    for way in [Way::Http11, Way::Http2] {
        for path in ["/ndjson", "/auto/ndjson"] {
            let seen = way.get(server.addr, false, path, &[("accept-encoding", "gzip")]);
            assert_eq!(seen.header("content-encoding"), Some("gzip"), "{path}");
            let mut decoded = String::new();
            let mut gzip = flate2::read::GzDecoder::new(&seen.body[..]);
            let result = gzip.read_to_string(&mut decoded);
            assert!(result.is_err(), "{path}: the gzip stream has its end mark");
            assert_eq!(decoded, format!("{all}{PROBLEM}\n"), "{way:?} {path}");
            assert_eq!(seen.end, way.abort(false), "{way:?} {path}");
        }
    }
}

#[test]
fn a_server_that_stops_says_so_in_band_also_under_compression() {
    for (way, gzip) in [
        (Way::Http11, false),
        (Way::Http11, true),
        (Way::Http2, false),
        (Way::Http2, true),
        (Way::Http10, false),
    ] {
        let setup = Setup {
            drain: Duration::from_millis(300),
            ..setup()
        };
        let (sent, reached) = std::sync::mpsc::channel();
        let route = get(move || async move {
            let body = endwell::stream(move |mut producer| async move {
                rows(&mut producer).await?;
                let _ = sent.send(());
                std::future::pending::<()>().await;
                Ok(producer.finish())
            });
            body.tail(Tail::ndjson())
        });
        let app = Router::new().route("/stopped", route);
        let server = setup.start(app.layer(CompressionLayer::new()));
        let addr = server.addr;
        let fields: &[(&str, &str)] = if gzip {
            &[("accept-encoding", "gzip")]
        } else {
            &[]
        };
        let seen = std::thread::scope(|scope| {
            let asked = scope.spawn(move || way.get(addr, false, "/stopped", fields));
            reached
                .recv_timeout(Duration::from_secs(20))
                .expect("the rows were sent");
            server.shutdown.drain();
            asked.join().expect("the observer does not panic")
        });
        let body = match gzip {
            false => text(&seen),
            true => {
                let mut decoded = String::new();
                let _ = flate2::read::GzDecoder::new(&seen.body[..]).read_to_string(&mut decoded);
                decoded
            }
        };
        let last = body.strip_prefix(&ROW.repeat(ROWS)).expect("every row");
        assert_eq!(
            last,
            "{\"title\":\"Service Unavailable\",\"status\":503,\"ending\":\"failed\",\
             \"error\":\"server_shutdown\",\"retry\":\"if_idempotent\"}\n",
            "{way:?} {}",
            seen.verdict_line()
        );
        assert_eq!(seen.end, way.abort(false), "{way:?}");
        let record = server.record("/stopped");
        assert_eq!(record.error_type(), Some("server_shutdown"));
        assert_eq!(record.said_by.as_str(), "server", "{}", record.json());
    }
}

#[test]
fn a_producer_that_fell_silent_is_told_of_in_band() {
    let setup = setup().policy(|policy| policy.idle_deadline = Some(Duration::from_secs(1)));
    let server = setup.start(app());
    for way in Way::ALL {
        let seen = way.get(server.addr, false, "/silent", &[]);
        let body = text(&seen);
        assert!(
            body.contains("\"error\":\"producer_idle\""),
            "{way:?} {}",
            seen.verdict_line()
        );
        assert_eq!(seen.end, way.abort(false), "{way:?}");
    }
}

/// What does not poll its inner body any more must not hold the failure up for ever.
struct Deaf(Option<Body>);

impl http_body::Body for Deaf {
    type Data = Bytes;
    type Error = endwell::Broken;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, endwell::Broken>>> {
        let Some(body) = &mut self.0 else {
            return std::task::Poll::Pending;
        };
        let frame = std::task::ready!(std::pin::Pin::new(body).poll_frame(cx));
        self.0 = None;
        std::task::Poll::Ready(frame)
    }
}

#[test]
fn a_body_that_cannot_be_asked_for_its_tail_breaks_all_the_same() {
    let app = Router::new().route(
        "/deaf",
        get(|| async {
            let response = typed("application/x-ndjson", failing().tail(Tail::ndjson()));
            let (head, body) = response.into_response().into_parts();
            // The marker of the body inside stays in the head; the body itself is out of reach.
            let body = Body::from_stream(
                body.into_data_stream()
                    .map(|part| part.map_err(|error| std::io::Error::other(error.to_string()))),
            );
            let body = axum::body::Body::new(Deaf(Some(body)));
            axum::response::Response::from_parts(head, body)
        }),
    );
    let setup = setup().policy(|policy| policy.idle_deadline = Some(Duration::from_secs(1)));
    let server = setup.start(app);
    for way in [Way::Http11, Way::Http2] {
        let target = format!("/deaf?{way:?}");
        let seen = way.get(server.addr, false, &target, &[]);
        assert_eq!(text(&seen), ROW, "{}", seen.verdict_line());
        assert_eq!(seen.end, way.abort(false));
        assert_eq!(server.record(&target).error_type(), Some("producer_idle"));
    }
}
