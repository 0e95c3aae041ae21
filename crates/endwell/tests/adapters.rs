//! Foreign streams, readers and bodies: their octets arrive, their errors are told, and the
//! record says that their end was taken, not said.

mod support;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use endwell::{Body, Cause, Kind, SaidBy};
use endwell_lab::observe::{Pace, http1, http2};
use http_body_util::{BodyExt, Full, StreamBody};
use support::Setup;
use support::script::octets;
use tokio::io::{AsyncRead, ReadBuf};

const SIZE: usize = 300_000;

/// Gives its octets in pieces, then an error or the end of file.
struct Reader {
    rest: Bytes,
    fails: bool,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() && self.fails {
            return Poll::Ready(Err(io::Error::other("the disk failed")));
        }
        let n = self.rest.len().min(buf.remaining()).min(7_000);
        buf.put_slice(&self.rest.split_to(n));
        Poll::Ready(Ok(()))
    }
}

fn reader(fails: bool) -> Body {
    let rest = octets(SIZE).into();
    Body::from_reader(Reader { rest, fails })
}

fn stream(fails: bool) -> Body {
    let mut parts: Vec<_> = octets(SIZE)
        .chunks(10_000)
        .map(|part| Ok(Bytes::copy_from_slice(part)))
        .collect();
    if fails {
        parts.push(Err(Cause::new(Kind::ReadTimeout, "the upstream stalled")));
    }
    Body::from_stream(futures_util::stream::iter(parts))
}

fn body(fails: bool) -> Body {
    if fails {
        let frames = futures_util::stream::iter([
            Ok(http_body::Frame::data(Bytes::from(octets(SIZE)))),
            Err(io::Error::other("the body broke")),
        ]);
        return Body::from_body(StreamBody::new(frames));
    }
    Body::from_body(Full::new(Bytes::from(octets(SIZE))).map_err(|never| match never {}))
}

fn app() -> Router {
    Router::new()
        .route("/reader/ok", get(|| async { reader(false) }))
        .route("/reader/err", get(|| async { reader(true) }))
        .route("/stream/ok", get(|| async { stream(false) }))
        .route("/stream/err", get(|| async { stream(true) }))
        .route("/body/ok", get(|| async { body(false) }))
        .route("/body/err", get(|| async { body(true) }))
        .route(
            "/promised/err",
            get(|| async { reader(true).promise(SIZE as u64) }),
        )
        .route(
            "/promised/short",
            get(|| async { reader(false).promise(SIZE as u64 + 1) }),
        )
        .route("/full/ok", get(|| async { Body::full(octets(SIZE)) }))
}

#[test]
fn every_adapter_carries_octets_and_errors() {
    let server = Setup::default().start(app());
    for (path, whole, kind) in [
        ("/reader/ok", true, None),
        ("/reader/err", false, Some("producer_error")),
        ("/stream/ok", true, None),
        ("/stream/err", false, Some("connection_read_timeout")),
        ("/body/ok", true, None),
        ("/body/err", false, Some("producer_error")),
        ("/promised/err", false, Some("producer_error")),
        ("/promised/short", false, Some("length_short")),
        ("/full/ok", true, None),
    ] {
        let h1 = http1::Request::get11(&format!("{path}?h1"));
        let seen1 = http1::observe(server.addr, None, &h1, &Pace::fast());
        let seen2 = http2::observe(server.addr, None, &format!("{path}?h2"), &[], &Pace::fast());
        for (seen, version) in [(seen1, "h1"), (seen2, "h2")] {
            let record = server.record(&format!("{path}?{version}"));
            let due = if path == "/promised/err" {
                SIZE - 1
            } else {
                SIZE
            };
            assert!(seen.body == octets(due), "{path}: {}", seen.verdict_line());
            assert_eq!(seen.is_complete(), whole, "{path}: {}", seen.verdict_line());
            assert_eq!(record.error_type(), kind, "{}", record.json());
            let said_by = match path {
                "/full/ok" => SaidBy::Producer,
                _ => SaidBy::Source,
            };
            assert_eq!(record.said_by, said_by, "{}", record.json());
        }
    }
}

/// Polls a body while its producer runs on another thread.
fn drain(mut body: Body) -> (usize, bool) {
    let mut octets = 0;
    let mut cx = Context::from_waker(std::task::Waker::noop());
    loop {
        match http_body::Body::poll_frame(Pin::new(&mut body), &mut cx) {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => octets += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(Some(Err(_))) => return (octets, false),
            Poll::Ready(None) => return (octets, true),
        }
    }
}

/// The last octets and the ending may come between two looks of the body.
#[test]
fn a_producer_in_another_thread_loses_nothing_to_its_own_ending() {
    let send = |mut producer: endwell::Producer| {
        for _ in 0..3 {
            let mut octets = Some(Bytes::from_static(b"0123456789"));
            let mut sending = Box::pin(async { producer.send(octets.take().unwrap()).await });
            let mut cx = Context::from_waker(std::task::Waker::noop());
            while std::future::Future::poll(sending.as_mut(), &mut cx).is_pending() {
                std::thread::yield_now();
            }
        }
        producer
    };
    // On a busy machine two threads that spin take long to meet: fewer runs then.
    let deadline = Instant::now() + Duration::from_secs(5);
    for run in (0..20_000).take_while(|run| *run < 100 || Instant::now() < deadline) {
        let (producer, body) = endwell::channel();
        let finishes = run % 2 == 0;
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                let producer = send(producer);
                if finishes {
                    let _finished = producer.finish();
                }
            });
            drain(body)
        });
        assert_eq!(ended, (30, finishes), "run {run}");
    }
}
