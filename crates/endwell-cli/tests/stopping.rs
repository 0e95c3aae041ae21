//! Signals: the first drains, the second stops at once.
#![cfg(unix)]

mod common;

use std::time::{Duration, Instant};

use common::{DEADLINE, Folder, LARGE, Server, large};
use endwell_lab::observe::http1::{Request, Session};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http2};

/// A client of which the server cannot get rid in its buffers.
fn pace() -> Pace {
    Pace {
        receive_buffer: Some(32 * 1024),
        ..Pace::fast()
    }
}

fn serving(args: &[&str]) -> (Folder, Server) {
    let folder = Folder::new();
    folder.write("file.bin", large());
    let server = Server::start(&folder, &[&["--log-format", "json"], args].concat());
    (folder, server)
}

fn begun(server: &Server) -> Session {
    let mut session = Session::connect(server.addr(), None, &pace()).unwrap();
    session.send(&Request::get11("/file.bin")).unwrap();
    session.read_until(|seen| seen.status.is_some());
    session
}

fn record(server: &Server) -> serde_json::Value {
    serde_json::from_str(&server.logs()).unwrap()
}

fn is_short(seen: &Seen) -> bool {
    !seen.is_complete() && seen.body.len() < LARGE && large().starts_with(&seen.body)
}

#[test]
fn a_download_completes_within_the_drain() {
    for signal in ["TERM", "INT"] {
        let (_folder, mut server) = serving(&[]);
        let mut session = begun(&server);
        let mut connection = http2::Connection::connect(server.addr(), None, &pace()).unwrap();
        let stream = connection.get("/file.bin", &[]).unwrap();
        connection.read_until(stream, |seen| seen.status.is_some());
        server.signal(signal);
        assert!(
            server
                .says()
                .starts_with("stopping: responses may run for 30 s")
        );
        let until = Instant::now() + DEADLINE;
        while Session::connect(server.addr(), None, &pace()).is_ok() {
            assert!(Instant::now() < until, "{signal}: still accepting");
        }
        for seen in [session.read(), connection.observe(stream)] {
            assert!(
                seen.is_complete() && seen.body == large(),
                "{}",
                seen.verdict_line()
            );
            assert_eq!(record(&server)["ending"], "complete");
        }
        session.close();
        connection.close();
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_download_that_meets_the_deadline_is_failed() {
    let (_folder, mut server) = serving(&["--drain", "100ms"]);
    let mut session = begun(&server);
    server.signal("TERM");
    let line = "stopping: responses may run for 100 ms; a second signal ends them at once";
    assert_eq!(server.says(), line);
    // A client that pauses beyond the deadline, then reads on.
    std::thread::sleep(Duration::from_millis(400));
    let seen = session.read();
    assert!(is_short(&seen), "{}", seen.verdict_line());
    assert_eq!(seen.end, SeenEnd::Fin);
    session.close();
    let record = record(&server);
    assert_eq!(
        (&record["ending"], &record["ended_by"]),
        (&"failed".into(), &"server".into())
    );
    assert_eq!(record["error_type"], "server_shutdown");
    assert_eq!(record["octets_sent"], seen.body.len());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn h2_download_that_meets_the_deadline_is_reset() {
    let (_folder, mut server) = serving(&["--drain", "0"]);
    let mut connection = http2::Connection::connect(server.addr(), None, &pace()).unwrap();
    let stream = connection.get("/file.bin", &[]).unwrap();
    connection.read_until(stream, |seen| seen.status.is_some());
    server.signal("TERM");
    let seen = connection.observe(stream);
    assert!(is_short(&seen), "{}", seen.verdict_line());
    assert_eq!(seen.end, SeenEnd::StreamReset(2));
    connection.close();
    let record = record(&server);
    assert_eq!(
        (&record["ending"], &record["error_type"]),
        (&"failed".into(), &"server_shutdown".into())
    );
    assert_eq!(record["octets_sent"], seen.body.len());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let (_folder, mut server) = serving(&[]);
    let mut session = begun(&server);
    server.signal("TERM");
    assert!(server.says().starts_with("stopping: "));
    let second = Instant::now();
    server.signal("INT");
    assert_eq!(server.says(), "stopping at once");
    assert_eq!(server.wait().code(), Some(1));
    assert!(
        second.elapsed() < Duration::from_secs(10),
        "{:?}",
        second.elapsed()
    );
    assert!(is_short(&session.read()));
    let record = record(&server);
    assert_eq!(
        (&record["ending"], &record["error_type"]),
        (&"failed".into(), &"server_shutdown".into())
    );
}

#[test]
fn an_idle_connection_delays_nothing() {
    let (_folder, mut server) = serving(&[]);
    let mut session = Session::connect(server.addr(), None, &Pace::fast()).unwrap();
    let idle = Session::connect(server.addr(), None, &Pace::fast()).unwrap();
    assert_eq!(session.exchange(&Request::get11("/none")).status, Some(404));
    let signal = Instant::now();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        signal.elapsed() < Duration::from_secs(20),
        "{:?}",
        signal.elapsed()
    );
    drop(idle);
}
