//! A client that leaves stops the work at once, and the record says so.
//!
//! The medians that are printed (`--nocapture`) run from the client's act to the drop of the
//! work; nothing is asserted about them but a generous deadline.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use endwell::core::{Ending, HalfClose};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http1, http2, http3};
use support::{Server, Setup};

/// How often each case is repeated for its median.
const TIMES: usize = 50;
/// Work that is not dropped by then was not stopped.
const DEADLINE: Duration = Duration::from_secs(3);

/// Tells when the work of a response started and when it was dropped.
#[derive(Clone)]
struct Bell {
    started: Arc<Mutex<Sender<()>>>,
    dropped: Arc<Mutex<Sender<Instant>>>,
}

struct Work(Bell);

impl Bell {
    fn work(&self) -> Work {
        Work(self.clone())
    }
}

impl Work {
    fn started(&self) {
        let _ = self.0.started.lock().expect("no panic holds it").send(());
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let now = Instant::now();
        let _ = self.0.dropped.lock().expect("no panic holds it").send(now);
    }
}

/// What the work is doing when its client leaves.
async fn work(State(bell): State<Bell>, uri: Uri) -> Response {
    let work = bell.work();
    if uri.path() == "/waiting" {
        work.started();
        std::future::pending::<()>().await;
    }
    let blocked = uri.path() == "/blocked";
    axum::response::IntoResponse::into_response(endwell::stream(move |mut producer| async move {
        let _work = &work;
        producer.send("the first octets\n").await?;
        work.started();
        loop {
            if !blocked {
                std::future::pending::<()>().await;
            }
            producer.send(Bytes::from_static(&[b'x'; 65536])).await?;
        }
    }))
}

struct Stage {
    server: Server,
    started: Receiver<()>,
    dropped: Receiver<Instant>,
    tls: bool,
}

impl Stage {
    fn new(setup: Setup) -> Self {
        let (start, started) = channel();
        let (drop, dropped) = channel();
        let bell = Bell {
            started: Arc::new(Mutex::new(start)),
            dropped: Arc::new(Mutex::new(drop)),
        };
        let tls = setup.tls;
        let app = Router::new().fallback(any(work)).with_state(bell);
        Self {
            server: setup.start(app),
            started,
            dropped,
            tls,
        }
    }

    fn http1(&self) -> http1::Session {
        let tls = self.tls.then(|| ClientTls::new(&["http/1.1"]));
        http1::Session::connect(self.server.addr, tls.as_ref(), &Pace::fast())
            .expect("the server accepts")
    }

    fn http2(&self, pace: &Pace) -> http2::Connection {
        let tls = self.tls.then(|| ClientTls::new(&["h2"]));
        http2::Connection::connect(self.server.addr, tls.as_ref(), pace)
            .expect("the server accepts")
    }

    /// Waits for the work, lets the client leave, and gives the time until the work is dropped.
    fn measure(&self, leave: impl FnOnce()) -> Duration {
        self.started
            .recv_timeout(DEADLINE)
            .expect("the work starts");
        // The first octets are on their way and the work has come to rest.
        std::thread::sleep(Duration::from_millis(5));
        let left = Instant::now();
        leave();
        let dropped = self
            .dropped
            .recv_timeout(DEADLINE)
            .expect("the work is dropped");
        dropped.saturating_duration_since(left)
    }

    fn cancelled(&self, target: &str, status: u16, signals: &[&str]) {
        let record = self.server.record(target);
        assert!(
            matches!(record.ending, Ending::Cancelled(_)),
            "{}",
            record.json()
        );
        assert_eq!(record.status, status, "{}", record.json());
        let signal = record.signal_in.unwrap_or("none");
        assert!(signals.contains(&signal), "{}", record.json());
        assert!(
            record.tally.produced >= record.tally.sent,
            "{}",
            record.json()
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Close,
    Reset,
}

fn http1_case(tls: bool, name: &str, text: &str, status: u16, act: Act) {
    let stage = Stage::new(if tls { Setup::tls() } else { Setup::default() });
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let mut session = stage.http1();
        session.write(text.as_bytes()).expect("the request is sent");
        times.push(stage.measure(|| match act {
            Act::Close => session.close(),
            Act::Reset => session.reset(),
        }));
    }
    let target = text.split(' ').nth(1).expect("a request has a target");
    // A client that closes with octets unread resets; one that resets may look closed first.
    stage.cancelled(target, status, &["fin", "rst", "close"]);
    let transport = if tls { "TLS" } else { "TCP" };
    println!(
        "HTTP/1.1 {transport} {name}, {act:?}: median {:?}",
        median(times)
    );
}

fn http1_cases(tls: bool) {
    let waiting = "GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n";
    let streaming = "GET /streaming HTTP/1.1\r\nHost: a\r\n\r\n";
    let blocked = "GET /blocked HTTP/1.1\r\nHost: a\r\n\r\n";
    let unread = "POST /waiting HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nonly a part";
    for act in [Act::Close, Act::Reset] {
        http1_case(tls, "streaming", streaming, 200, act);
        http1_case(tls, "blocked on a full socket", blocked, 200, act);
        http1_case(tls, "waiting before the first octet", waiting, 499, act);
        http1_case(
            tls,
            "pipelined request pending",
            &waiting.repeat(2),
            499,
            act,
        );
        http1_case(
            tls,
            "streaming, pipelined request pending",
            &streaming.repeat(2),
            200,
            act,
        );
        http1_case(tls, "unread request body", unread, 499, act);
    }
}

#[test]
fn h11_client_leaves_and_the_work_is_dropped() {
    http1_cases(false);
}

#[test]
fn h11_tls_client_leaves_and_the_work_is_dropped() {
    http1_cases(true);
}

#[test]
fn h2_client_leaves_and_the_work_is_dropped() {
    for tls in [false, true] {
        let stage = Stage::new(if tls { Setup::tls() } else { Setup::default() });
        let window = Pace {
            window: Some(1000),
            ..Pace::fast()
        };
        for (path, status) in [("/streaming", 200), ("/blocked", 200), ("/waiting", 499)] {
            let mut times = Vec::new();
            for _ in 0..TIMES {
                let mut connection = stage.http2(&window);
                let stream = connection.get(path, &[]).expect("the request is sent");
                times.push(stage.measure(|| connection.cancel(stream, 8)));
                connection.close();
            }
            println!(
                "HTTP/2 tls={tls} {path}, RST_STREAM: median {:?}",
                median(times)
            );
            let record = stage.server.record(path);
            assert!(
                matches!(record.ending, Ending::Cancelled(_)),
                "{}",
                record.json()
            );
            assert_eq!(record.status, status, "{}", record.json());
        }
    }
}

#[test]
fn h3_client_leaves_and_the_work_is_dropped() {
    let stage = Stage::new(Setup::tls());
    let window = Pace {
        window: Some(1000),
        ..Pace::fast()
    };
    for (path, status) in [("/streaming", 200), ("/blocked", 200), ("/waiting", 499)] {
        for act in ["STOP_SENDING", "CONNECTION_CLOSE"] {
            let target = format!("{path}?{act}");
            let mut times = Vec::new();
            for _ in 0..TIMES {
                let mut connection =
                    http3::Connection::connect(stage.server.addr, &window).expect("it accepts");
                let stream = connection.get(&target, &[]).expect("the request is sent");
                if status == 200 {
                    connection.read_until(stream, |seen| seen.status.is_some());
                }
                times.push(stage.measure(|| match act {
                    "STOP_SENDING" => connection.cancel(stream),
                    _ => connection.close(http3::NO_ERROR),
                }));
            }
            let signal = act.to_lowercase();
            stage.cancelled(&target, status, &[&signal]);
            println!("HTTP/3 {path}, {act}: median {:?}", median(times));
        }
    }
}

#[test]
fn h11_half_close_tolerated_client_gets_its_whole_answer() {
    let setup = Setup::default().policy(|policy| policy.half_close = HalfClose::Tolerate);
    let server = setup.start(support::script::app());
    for path in [
        "/hello",
        "/script?fault=none&size=500000&cut=0&frame=50000&promise=false",
    ] {
        for text in [
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            format!("GET {path} HTTP/1.0\r\n\r\n"),
        ] {
            let mut session =
                http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
            session.write(text.as_bytes()).expect("the request is sent");
            session.half_close().expect("the socket is open");
            let seen = session.read();
            assert!(seen.is_complete(), "{text}: {}", seen.verdict_line());
        }
    }
    assert!(
        server
            .records()
            .iter()
            .all(|record| record.ending.is_complete())
    );
}

#[test]
fn h11_half_close_tolerated_a_reset_still_stops_the_work() {
    let setup = Setup::default().policy(|policy| policy.half_close = HalfClose::Tolerate);
    let stage = Stage::new(setup);
    let mut times = Vec::new();
    for text in [
        "GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /streaming HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        for _ in 0..10 {
            let mut session = stage.http1();
            session.write(text.as_bytes()).expect("the request is sent");
            session.half_close().expect("the socket is open");
            times.push(stage.measure(|| session.reset()));
        }
    }
    stage.cancelled("/waiting", 499, &["rst"]);
    stage.cancelled("/streaming", 200, &["rst"]);
    println!("half-closed, then reset: median {:?}", median(times));
}

#[test]
fn h11_half_close_is_leaving_by_default() {
    let stage = Stage::new(Setup::default());
    let mut session = stage.http1();
    session
        .write(b"GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("the request is sent");
    stage.measure(|| session.half_close().expect("the socket is open"));
    stage.cancelled("/waiting", 499, &["fin"]);
    assert!(!session.read().is_complete());
}

/// The record says cancelled, with produced >= sent >= received.
fn cancelled_with_no_less(server: &Server, target: &str, seen: &Seen) {
    let record = server.record(target);
    let received = seen.body.len() as u64;
    let ordered = record.tally.produced >= record.tally.sent && record.tally.sent >= received;
    let cancelled = matches!(record.ending, Ending::Cancelled(_));
    assert!(
        cancelled && ordered,
        "{received} received: {}",
        record.json()
    );
}

#[test]
fn h11_a_cancelled_record_never_counts_less_than_the_client_got() {
    let server = Setup::default().start(support::script::app());
    for id in 0..40 {
        let target =
            format!("/script?fault=none&size=30000000&cut=0&frame=40000&promise=false&id={id}");
        let mut session =
            http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
        session
            .send(&http1::Request::get11(&target))
            .expect("the request is sent");
        let seen = session.read_until(|seen| seen.body.len() > 100_000);
        session.reset();
        cancelled_with_no_less(&server, &target, &seen);
    }
}

#[test]
fn h2_a_cancelled_record_never_counts_less_than_the_client_got() {
    let server = Setup::default().start(support::script::app());
    for id in 0..40 {
        let target =
            format!("/script?fault=none&size=30000000&cut=0&frame=40000&promise=false&id={id}");
        let mut connection =
            http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
        let stream = connection.get(&target, &[]).expect("the request is sent");
        let seen = connection.read_until(stream, |seen| seen.body.len() > 100_000);
        connection.cancel(stream, 8);
        cancelled_with_no_less(&server, &target, &seen);
        assert_eq!(seen.end, SeenEnd::Open);
    }
}

#[test]
fn h2_reset_of_a_stream_whose_body_has_ended_is_cancelled() {
    let server = Setup::default().start(support::script::app());
    let pace = Pace {
        window: Some(100),
        chunk: 50,
        ..Pace::fast()
    };
    for (id, size) in [(1, 10_000), (2, 200_000)] {
        let target =
            format!("/script?fault=none&size={size}&cut=0&frame=1000&promise=true&id={id}");
        let mut connection =
            http2::Connection::connect(server.addr, None, &pace).expect("it accepts");
        let stream = connection.get(&target, &[]).expect("the request is sent");
        connection.read_until(stream, |seen| seen.status.is_some());
        std::thread::sleep(Duration::from_millis(20));
        connection.cancel(stream, 8);
        let record = server.record(&target);
        assert!(
            matches!(record.ending, Ending::Cancelled(_)),
            "{}",
            record.json()
        );
        assert!(record.tally.sent < size, "{}", record.json());
    }
}
