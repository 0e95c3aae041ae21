//! A server that is told to stop while a response is under way.

mod support;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use endwell_lab::observe::{Pace, http1};
use support::Setup;

/// Told from another thread at the moment at which the connection's task runs: the order must be
/// seen whichever of the two is first.
#[test]
fn h11_drain_beside_a_busy_connection_is_always_seen() {
    for round in 0..200 {
        let (sent, reached) = std::sync::mpsc::channel();
        let route = get(move || async move {
            endwell::stream(move |mut producer| async move {
                producer.send("a row").await?;
                let _ = sent.send(());
                // The connection's task looks for the order again and again.
                loop {
                    tokio::task::yield_now().await;
                }
            })
        });
        let setup = Setup {
            drain: Duration::from_millis(1),
            ..Setup::default()
        };
        let server = setup.start(Router::new().route("/", route));
        let addr = server.addr;
        let client = std::thread::spawn(move || {
            http1::observe(addr, None, &http1::Request::get11("/"), &Pace::fast())
        });
        let row = reached.recv_timeout(Duration::from_secs(20));
        row.expect("the row is sent");
        server.shutdown.drain();
        let stopped = server.stopped(Duration::from_secs(20));
        assert!(stopped, "round {round}: the server goes on");
        let seen = client.join().expect("the client does not panic");
        assert!(!seen.is_complete(), "{}", seen.verdict_line());
    }
}
