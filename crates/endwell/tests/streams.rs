//! What code that writes a body may rely on, beside how it ends on the wire (`producers`).

mod support;

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use endwell::core::Ending;
use endwell::{Abort, Body, Cause, ClientGone, Kind, Record, SaidBy, TrySendError};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1};
use http_body_util::BodyExt;
use support::script::octets;
use support::{Server, Setup};
use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};

/// When all is well nothing here waits so long.
const DEADLINE: Duration = Duration::from_secs(60);

fn get11(server: &Server, target: &str) -> (Seen, Record) {
    let pace = Pace {
        deadline: DEADLINE,
        ..Pace::fast()
    };
    let request = http1::Request::get11(target);
    let seen = http1::observe(server.addr, None, &request, &pace);
    (seen, server.record(target))
}

/// Broken, with these octets before it, and recorded as failed with this kind.
fn failed(server: &Server, target: &str, octets: &[u8], kind: Kind) -> Record {
    let (seen, record) = get11(server, target);
    assert!(seen.body == octets, "{target}: {}", seen.verdict_line());
    assert_eq!(seen.end, SeenEnd::Fin, "{target}: {}", seen.verdict_line());
    assert!(!seen.is_complete(), "{target}: {}", seen.verdict_line());
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    let is = record.ending.cause().map(|cause| cause.kind);
    assert_eq!(is, Some(kind), "{}", record.json());
    record
}

fn whole(server: &Server, target: &str, octets: &[u8]) -> Record {
    let (seen, record) = get11(server, target);
    assert!(seen.is_complete(), "{target}: {}", seen.verdict_line());
    assert!(seen.body == octets, "{target}: {}", seen.verdict_line());
    assert!(record.ending.is_complete(), "{}", record.json());
    record
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// The octets of a body and the kind it broke with, read without a server.
fn read(body: Body) -> (Vec<u8>, Option<Kind>) {
    runtime().block_on(async move {
        let mut body = body;
        let mut octets = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => octets.extend_from_slice(frame.data_ref().map_or(&[], |it| it)),
                Err(broken) => return (octets, broken.ending().cause().map(|cause| cause.kind)),
            }
        }
        (octets, None)
    })
}

// A writer around ours.

fn rows(csv: &mut csv::Writer<endwell::Writer>) -> csv::Result<()> {
    csv.write_record(["a", "b"])?;
    csv.write_record(["1", "two, three"])
}

const ROWS: &[u8] = b"a,b\n1,\"two, three\"\n";

#[test]
fn csv_taken_back_and_finished_is_complete() {
    let body = endwell::writer(|out| {
        let mut csv = csv::Writer::from_writer(out);
        rows(&mut csv)?;
        Ok(csv.into_inner()?.finish())
    });
    assert_eq!(read(body), (ROWS.to_vec(), None));
}

#[test]
fn csv_flushed_by_its_drop_is_failed_with_every_row() {
    let body = endwell::writer(|out| {
        let mut csv = csv::Writer::from_writer(out);
        rows(&mut csv)?;
        io::Result::Err(io::Error::other("the third row is gone"))?;
        Ok(csv.into_inner()?.finish())
    });
    assert_eq!(read(body), (ROWS.to_vec(), Some(Kind::ProducerError)));
}

#[test]
fn csv_dropped_without_a_word_is_failed() {
    let (producer, body) = endwell::channel();
    std::thread::spawn(move || {
        let mut csv = csv::Writer::from_writer(producer.into_writer());
        let _ = rows(&mut csv);
        let _ = csv.flush();
    });
    assert_eq!(read(body), (ROWS.to_vec(), Some(Kind::ProducerDropped)));
}

#[test]
fn json_that_cannot_be_written_is_failed() {
    let wrong = std::collections::HashMap::from([((1, 2), 3)]);
    let body = endwell::writer(move |mut out| {
        serde_json::to_writer(&mut out, &[1, 2, 3])?;
        serde_json::to_writer(&mut out, &wrong)?;
        Ok(out.finish())
    });
    let (octets, kind) = read(body);
    assert_eq!(octets, b"[1,2,3]{");
    assert_eq!(kind, Some(Kind::ProducerError));
}

#[test]
fn gzip_that_ends_itself_is_still_failed() {
    let body = endwell::writer(|out| {
        let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        gzip.write_all(b"the first half")?;
        Err::<endwell::Finished, Abort>("the second half is gone".into())
    });
    assert_eq!(read(body).1, Some(Kind::ProducerError));
}

#[test]
fn gzip_makes_no_trailer_while_a_panic_unwinds() {
    let (producer, body) = endwell::channel();
    std::thread::spawn(move || {
        let mut gzip =
            flate2::write::GzEncoder::new(producer.into_writer(), flate2::Compression::fast());
        gzip.write_all(b"the first half").expect("somebody reads");
        gzip.flush().expect("somebody reads");
        panic!("as it is meant to");
    });
    let (octets, kind) = read(body);
    assert_eq!(kind, Some(Kind::ProducerPanicked));
    let mut text = Vec::new();
    let unzipped = io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&octets[..]), &mut text);
    assert_eq!(text, b"the first half");
    assert!(unzipped.is_err(), "it looks whole to those who only unzip");
}

// Endings that come in an odd order.

#[test]
fn what_was_finished_fails_with_the_closure() {
    let body = endwell::stream(|mut producer| async move {
        producer.send("all of it").await?;
        let finished = producer.finish();
        tokio::task::yield_now().await;
        io::Result::Err(io::Error::other("the commit failed"))?;
        Ok(finished)
    });
    assert_eq!(
        read(body),
        (b"all of it".to_vec(), Some(Kind::ProducerError))
    );
    let body = endwell::writer(|mut out| {
        out.write_all(b"all of it")?;
        let finished = out.finish();
        std::thread::sleep(Duration::from_millis(50));
        io::Result::Err(io::Error::other("the commit failed"))?;
        Ok(finished)
    });
    assert_eq!(
        read(body),
        (b"all of it".to_vec(), Some(Kind::ProducerError))
    );
}

/// Is dropped after the writer, slowly.
struct Slow(endwell::Cancellation);

impl Drop for Slow {
    fn drop(&mut self) {
        let until = Instant::now() + Duration::from_millis(200);
        while !self.0.is_cancelled() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn the_reason_of_a_writer_counts_and_not_that_it_was_dropped_on_the_way() {
    let body = endwell::writer(|out| {
        let _slow = Slow(out.cancellation());
        let mut out = out;
        out.write_all(b"some")?;
        Err(Cause::new(Kind::SourceChanged, "the table is gone").into())
    });
    assert_eq!(read(body), (b"some".to_vec(), Some(Kind::SourceChanged)));
}

#[test]
fn a_cause_inside_an_io_error_is_found() {
    let cause = || Cause::new(Kind::ReadTimeout, "the upstream stalled");
    let reader = broken_reader(io::Error::other(cause()));
    assert_eq!(read(Body::from_reader(reader)).1, Some(Kind::ReadTimeout));
    let nested = io::Error::other(io::Error::new(io::ErrorKind::TimedOut, cause()));
    assert_eq!(Abort::from(nested).cause(), &cause());
}

/// Gives one error.
fn broken_reader(error: io::Error) -> impl tokio::io::AsyncRead + Send + 'static {
    struct Wrong(Option<io::Error>);
    impl tokio::io::AsyncRead for Wrong {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::task::Poll::Ready(self.0.take().map_or(Ok(()), Err))
        }
    }
    Wrong(Some(error))
}

#[test]
fn a_body_of_ours_inside_an_adapter_is_what_it_was() {
    let body = Body::from_body(endwell::stream(|mut producer| async move {
        producer.send("some").await?;
        producer.degrade("not all");
        Ok(producer.finish())
    }));
    assert_eq!(body.said_by(), SaidBy::Producer);
    let wrapped = Body::from_body(axum::body::Body::new(body));
    assert_eq!(wrapped.said_by(), SaidBy::Source);
    let ending = runtime().block_on(async {
        let error = wrapped.collect().await.expect_err("it is degraded");
        error.ending().clone()
    });
    assert_eq!(ending, Ending::degraded("not all"));
}

// Nobody reads any more.

#[test]
fn a_body_that_is_gone_cancels_also_while_its_response_is_kept() {
    let runtime = runtime();
    let (producer, body) = endwell::channel();
    let extensions = body.into_http().map(drop).extensions().clone();
    let cancellation = producer.cancellation();
    assert!(cancellation.is_cancelled());
    runtime.block_on(async {
        cancellation.cancelled().await;
        producer.cancelled().await;
    });
    drop(extensions);

    let (mut producer, body) = endwell::channel();
    let response = body.into_http();
    let extensions = response.extensions().clone();
    runtime.block_on(async {
        let waiting = tokio::spawn({
            let cancellation = producer.cancellation();
            async move { cancellation.cancelled().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(response);
        let waited = tokio::time::timeout(DEADLINE, waiting).await;
        waited.expect("it is woken").expect("it does not panic");
        assert_eq!(producer.send("more").await, Err(ClientGone));
    });
    drop(extensions);
}

#[test]
fn a_thread_that_waits_for_room_is_woken_with_a_broken_pipe() {
    let (producer, body) = endwell::channel();
    let (waits, waiting) = channel();
    let thread = std::thread::spawn(move || {
        let mut out = producer.into_writer();
        let frame = vec![b'x'; 1 << 20];
        waits.send(()).expect("the test listens");
        let error = loop {
            match out.write_all(&frame) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        (error, out.write(b"more"), out.flush())
    });
    waiting.recv().expect("the thread writes");
    // Whether it waits already or not: it must come to an end.
    std::thread::sleep(Duration::from_millis(20));
    drop(body);
    let (error, write, flush) = thread.join().expect("it does not panic");
    let errors = [
        error,
        write.expect_err("nobody reads"),
        flush.expect_err("nobody reads"),
    ];
    for error in errors {
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let inside = error.get_ref().expect("there is an error inside");
        assert!(inside.is::<ClientGone>(), "{inside}");
    }
}

#[test]
fn a_channel_has_room_for_several_small_frames_or_one_large() {
    let (mut producer, mut body) = endwell::channel();
    for _ in 0..16 {
        producer.try_send("small").expect("there is room");
    }
    let full = TrySendError::Full(Bytes::from_static(b"17th"));
    assert_eq!(producer.try_send("17th"), Err(full));
    let first = runtime().block_on(body.frame());
    let first = first.expect("there is one").expect("it is good");
    assert_eq!(first.into_data().expect("it is data"), "small");
    drop(body);
    let gone = TrySendError::ClientGone(Bytes::from_static(b"17th"));
    assert_eq!(producer.try_send("17th"), Err(gone));

    let (mut producer, _body) = endwell::channel();
    let size = producer.frame_size();
    producer.try_send(vec![0; size]).expect("there is room");
    assert!(matches!(producer.try_send("x"), Err(TrySendError::Full(_))));
}

#[test]
fn a_writer_in_an_asynchronous_task_panics_where_it_would_wait_for_itself() {
    let runtime = runtime();
    let kind = runtime.block_on(async {
        let (producer, mut body) = endwell::channel();
        let task = tokio::spawn(async move {
            let mut out = producer.into_writer();
            let _ = out.write_all(&[b'x'; 1 << 20]);
        });
        let ended = tokio::time::timeout(DEADLINE, async {
            loop {
                match body.frame().await.expect("it is not complete") {
                    Ok(_) => {}
                    Err(broken) => break broken,
                }
            }
        });
        let broken = ended.await.expect("it is no deadlock");
        assert!(task.await.is_err());
        broken.ending().cause().map(|cause| cause.kind)
    });
    assert_eq!(kind, Some(Kind::ProducerPanicked));
}

// The record, for the producer.

#[test]
fn the_record_is_none_when_nobody_can_tell_it() {
    let runtime = runtime();
    let (producer, body) = endwell::channel();
    let ended = producer.ended();
    drop(body);
    assert!(runtime.block_on(ended).is_none(), "dropped");

    let (producer, body) = endwell::channel();
    let ended = producer.ended();
    let _finished = producer.finish();
    let served = body.into_http().into_body();
    let none = runtime.block_on(async {
        let octets = served.collect().await.expect("it is complete").to_bytes();
        assert!(octets.is_empty());
        ended.await
    });
    assert!(none.is_none(), "served without a layer");
}

/// Serves on a current-thread runtime, and nobody observes.
fn unobserved(app: Router) -> (std::net::SocketAddr, endwell::Shutdown) {
    let (tell, told) = channel();
    let shutdown = endwell::Shutdown::new();
    let stop = shutdown.clone();
    std::thread::spawn(move || {
        runtime().block_on(async move {
            let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            tell.send(tcp.local_addr()?).map_err(io::Error::other)?;
            endwell::serve(endwell::listen(tcp), app)
                .shutdown(stop)
                .await
        })
    });
    (told.recv().expect("it listens"), shutdown)
}

#[test]
fn the_record_comes_without_an_observer_and_on_a_single_thread() {
    let (tell, told): (Sender<Option<Record>>, Receiver<_>) = channel();
    let tell = Arc::new(Mutex::new(tell));
    let app = Router::new().route(
        "/report",
        get(move || async move {
            endwell::writer(move |mut out| {
                let ended = out.ended();
                tokio::spawn(async move {
                    let record = ended.await;
                    let _ = tell.lock().expect("no panic holds it").send(record);
                });
                out.write_all(&octets(300_000))?;
                Ok(out.fail(Cause::producer("the disk failed")))
            })
        }),
    );
    let (addr, shutdown) = unobserved(app);
    let request = http1::Request::get11("/report?a=b").with("User-Agent", "lab");
    let seen = http1::observe(addr, None, &request, &Pace::fast());
    assert!(seen.body == octets(300_000), "{}", seen.verdict_line());
    assert!(!seen.is_complete());
    let record = told.recv_timeout(DEADLINE).expect("it is told");
    let record = record.expect("there is a record");
    assert_eq!(
        (record.method.as_str(), record.target.as_str()),
        ("GET", "/report?a=b")
    );
    assert_eq!(record.user_agent.as_deref(), Some("lab"));
    assert_eq!(record.tally.sent, 300_000);
    assert_eq!(record.signal_out, "missing_last_chunk");
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    shutdown.now();
}

// Time-outs.

fn endless(mut producer: endwell::Producer) -> impl Future<Output = Result<(), Abort>> + Send {
    async move {
        producer.send("some").await?;
        std::future::pending::<()>().await;
        let _finished = producer.finish();
        Ok(())
    }
}

const SHORT: Duration = Duration::from_millis(100);

fn timed_out() -> Router {
    let elapsing = || async {
        endwell::stream(|mut producer| async move {
            let work = async {
                producer.send("some").await?;
                std::future::pending::<Result<(), ClientGone>>().await
            };
            tokio::time::timeout(SHORT, work).await??;
            Ok(producer.finish())
        })
    };
    let aborted = || async {
        let (producer, body) = endwell::channel();
        tokio::spawn(tokio::time::timeout(SHORT, endless(producer)));
        body
    };
    let around_a_body = || async {
        let (producer, body) = endwell::channel();
        tokio::spawn(endless(producer));
        body
    };
    let around_a_handler = || async {
        let (producer, body) = endwell::channel();
        tokio::spawn(endless(producer));
        std::future::pending::<()>().await;
        body
    };
    let thread = || async {
        endwell::writer(|mut out| {
            let until = Instant::now() + SHORT;
            while Instant::now() < until {
                out.write_all(b"x")?;
                out.flush()?;
                std::thread::sleep(SHORT / 5);
            }
            Err(io::Error::from(io::ErrorKind::TimedOut).into())
        })
    };
    Router::new()
        .route("/around_a_body", get(around_a_body))
        .layer(ResponseBodyTimeoutLayer::new(SHORT))
        .merge(
            Router::new()
                .route("/around_a_handler", get(around_a_handler))
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    SHORT,
                )),
        )
        .route("/elapsing", get(elapsing))
        .route("/aborted", get(aborted))
        .route("/thread", get(thread))
}

#[test]
fn a_deadline_around_the_work_or_its_body_is_failed() {
    let server = Setup::default().start(timed_out());
    let record = failed(&server, "/elapsing", b"some", Kind::ProducerError);
    assert_eq!(record.said_by, SaidBy::Producer);
    let record = failed(&server, "/aborted", b"some", Kind::ProducerDropped);
    assert_eq!(record.said_by, SaidBy::Server);
    failed(&server, "/around_a_body", b"some", Kind::ProducerError);
    let (seen, record) = get11(&server, "/thread");
    assert!(!seen.is_complete(), "{}", seen.verdict_line());
    assert!(
        matches!(record.ending, Ending::Failed(_)),
        "{}",
        record.json()
    );
    // Before there is a response the layer's own is whole, and says what it says.
    let (seen, record) = get11(&server, "/around_a_handler");
    assert_eq!(seen.status, Some(504), "{}", seen.verdict_line());
    assert!(record.ending.is_complete(), "{}", record.json());
}

// Status and fields.

#[test]
fn status_and_fields_arrive_and_a_wrong_one_is_a_500() {
    let app = Router::new()
        .route(
            "/good",
            get(|| async {
                endwell::writer(|mut out| {
                    out.write_all(b"a,b\n")?;
                    Ok(out.finish())
                })
                .status(StatusCode::CREATED)
                .content_type("text/csv")
                .header("x-one", "1")
                .header("x-one", String::from("2"))
                .content_type("text/csv; charset=utf-8")
            }),
        )
        .route(
            "/beside",
            get(|| async { ([("x-two", "2")], Body::full("x").content_type("text/plain")) }),
        )
        .route(
            "/wrong",
            get(|| async {
                let body = Body::full("never seen").header("x-secret", "1");
                body.content_type("text/plain\r\nset-cookie: a=b")
                    .into_response()
            }),
        );
    let server = Setup::default().start(app);
    let (seen, record) = get11(&server, "/good");
    assert!(seen.is_complete() && record.ending.is_complete());
    assert_eq!(seen.status, Some(201));
    assert_eq!(seen.header("content-type"), Some("text/csv; charset=utf-8"));
    let of = |name| seen.headers.iter().filter(move |(key, _)| key == name);
    assert_eq!(of("content-type").count(), 1);
    let ones: Vec<_> = of("x-one").map(|(_, value)| value.as_str()).collect();
    assert_eq!(ones, ["1", "2"]);

    whole(&server, "/beside", b"x");

    let (seen, record) = get11(&server, "/wrong");
    assert_eq!(seen.status, Some(500), "{}", seen.verdict_line());
    assert!(seen.is_complete());
    assert_eq!(seen.header("set-cookie"), None);
    assert_eq!(seen.header("x-secret"), None);
    let message = record.ending.cause().map_or("", |cause| &cause.message);
    assert!(message.contains("content-type"), "{}", record.json());
}
