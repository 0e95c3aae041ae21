//! The record also of what was dropped or killed, or never got a head.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use endwell::core::Phase;
use endwell_lab::observe::{Pace, http1, http2};
use support::{Server, Setup};

/// An application that never comes to an end, and how many requests it has seen.
fn app() -> (Router, Arc<AtomicUsize>) {
    let seen: Arc<AtomicUsize> = Arc::default();
    let [thinks, streams] = [Arc::clone(&seen), Arc::clone(&seen)];
    let think = move || async move {
        thinks.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<&'static str>().await
    };
    let stream = move || async move {
        endwell::stream(move |mut producer| async move {
            producer.send("and on").await?;
            streams.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
            Ok(producer.finish())
        })
    };
    let app = Router::new()
        .route("/think", get(think))
        .route("/stream", get(stream));
    (app, seen)
}

fn wait_for(seen: &AtomicUsize, count: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while seen.load(Ordering::SeqCst) < count {
        assert!(Instant::now() < until, "the requests did not arrive");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The record of a request that was cancelled or killed: ending, status, phase, what was seen.
fn facts(server: &Server, target: &str) -> (&'static str, u16, Phase, Option<&'static str>) {
    let record = server.record(target);
    (
        record.ending.as_str(),
        record.status,
        record.phase,
        record.signal_in,
    )
}

#[test]
fn h11_handler_dropped_because_the_client_left_has_its_record() {
    for (reset, signal) in [(false, "fin"), (true, "rst")] {
        let (app, seen) = app();
        let server = Setup::default().start(app);
        let mut client =
            http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
        client
            .send(&http1::Request::get11("/think"))
            .expect("it reads");
        wait_for(&seen, 1);
        match reset {
            true => client.reset(),
            false => client.close(),
        }
        let expected = ("cancelled", 499, Phase::Request, Some(signal));
        assert_eq!(facts(&server, "/think"), expected);
    }
}

#[test]
fn h2_every_stream_of_a_connection_that_dies_has_its_record() {
    let (app, seen) = app();
    let server = Setup::default().start(app);
    let mut client =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    let dropped = client.get("/think?dropped", &[]).expect("a stream opens");
    client.get("/think?dead", &[]).expect("a stream opens");
    let begun = client.get("/stream?dead", &[]).expect("a stream opens");
    wait_for(&seen, 3);
    client.read_until(begun, |seen| seen.status.is_some());

    client.cancel(dropped, 8);
    let expected = ("cancelled", 499, Phase::Request, Some("rst_stream"));
    assert_eq!(facts(&server, "/think?dropped"), expected);

    client.reset();
    let (ending, status, phase, _) = facts(&server, "/think?dead");
    assert_eq!((ending, status, phase), ("cancelled", 499, Phase::Request));
    let (ending, status, phase, _) = facts(&server, "/stream?dead");
    assert_eq!((ending, status, phase), ("cancelled", 200, Phase::Body));
    assert_eq!(server.records().len(), 3);
}

#[test]
fn what_is_under_way_when_the_server_stops_at_once_has_its_record() {
    let (app, seen) = app();
    let server = Setup::default().start(app);
    let mut one = http1::Session::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    // The second is queued behind the first, and the application never sees it.
    let queued =
        b"GET /think?h1 HTTP/1.1\r\nHost: a\r\n\r\nGET /think?queued HTTP/1.1\r\nHost: a\r\n\r\n";
    one.write(queued).expect("it reads");
    let mut many =
        http2::Connection::connect(server.addr, None, &Pace::fast()).expect("it accepts");
    many.get("/think?h2", &[]).expect("a stream opens");
    many.get("/stream?h2", &[]).expect("a stream opens");
    wait_for(&seen, 3);
    server.shutdown.drain();
    server.shutdown.now();
    for target in ["/think?h1", "/think?h2", "/stream?h2"] {
        let record = server.record(target);
        assert_eq!(record.ending.as_str(), "failed", "{}", record.json());
        assert_eq!(
            record.error_type(),
            Some("server_shutdown"),
            "{}",
            record.json()
        );
    }
    assert_eq!(
        server.records().len(),
        3,
        "what was never read is no request"
    );
}
