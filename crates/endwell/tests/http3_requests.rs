//! HTTP/3: what a client may send: heads, contents, and frames where they do not belong.

mod support;

use std::time::Duration;

use axum::Router;
use axum::body::Bytes as Content;
use axum::routing::post;
use endwell::Limits;
use endwell_lab::observe::{Seen, SeenEnd, http3};
use support::h3::{connect, pace};
use support::script::{app, octets};
use support::{Server, Setup};

fn get3(server: &Server, target: &str) -> Seen {
    http3::observe(server.addr, target, &[], &pace())
}

/// Reads all of the request.
async fn echo(content: Result<Content, axum::extract::rejection::BytesRejection>) -> String {
    match content {
        Ok(octets) => format!("{} octets", octets.len()),
        Err(error) => {
            let mut text = String::new();
            let mut source: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = source {
                text += &format!("{error}; ");
                source = error.source();
            }
            text
        }
    }
}

#[test]
fn h3_request_content_is_whole_or_an_error() {
    let server = Setup::tls().start(Router::new().route("/", post(echo)));
    let mut connection = connect(&server, &pace());
    let mut post = |fields: &[(&str, &str)], content: &[u8]| {
        let stream = connection
            .request("POST", "/", fields, Some(content))
            .expect("a stream opens");
        let seen = connection.observe(stream);
        String::from_utf8_lossy(&seen.body).into_owned()
    };
    assert_eq!(post(&[], b""), "0 octets");
    assert_eq!(post(&[], &octets(1_000_000)), "1000000 octets");
    assert_eq!(post(&[("content-length", "5")], b"12345"), "5 octets");
    let short = post(&[("content-length", "6")], b"12345");
    assert!(short.contains("ended at octet 5 of 6"), "{short}");
    let long = post(&[("content-length", "4")], b"12345");
    assert!(
        long.contains("more content came than the 4 octets"),
        "{long}"
    );
    let fields = [("expect", "100-continue")];
    let stream = connection
        .request("POST", "/", &fields, None)
        .expect("a stream opens");
    // It is being read.
    connection.read_until(stream, |seen| !seen.interim.is_empty());
    connection.reset_request(stream);
    let seen = connection.observe(stream);
    let text = String::from_utf8_lossy(&seen.body).into_owned();
    assert!(
        text.contains("reset its request with 0x10c"),
        "{text} {}",
        seen.verdict_line()
    );
}

#[test]
fn h3_content_that_the_client_holds_back_is_asked_for_when_it_is_read() {
    let server = Setup::tls().start(Router::new().route("/", post(echo)));
    let mut connection = connect(&server, &pace());
    let fields = [("expect", "100-continue"), ("content-length", "3")];
    let stream = connection
        .request("POST", "/", &fields, None)
        .expect("a stream opens");
    let seen = connection.read_until(stream, |seen| !seen.interim.is_empty());
    assert_eq!(seen.interim, [100]);
    let mut frame = Vec::new();
    http3::put_frame(&mut frame, 0, b"abc");
    connection.write(stream, &frame).expect("it reads");
    connection.finish(stream);
    assert_eq!(connection.observe(stream).body, b"3 octets");
}

#[test]
fn h3_content_that_nobody_reads_is_stopped_and_the_answer_stays() {
    let server = Setup::tls().start(Router::new().route("/", post(|| async { "no need" })));
    let mut connection = connect(&server, &pace());
    let stream = connection
        .request("POST", "/", &[], None)
        .expect("a stream opens");
    let seen = connection.read_until(stream, |_| false);
    assert_eq!(seen.body, b"no need");
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(connection.pump_until(|it| it.stopped(stream).is_some()));
    assert_eq!(connection.stopped(stream), Some(http3::NO_ERROR));
}

#[test]
fn h3_hostile_heads_get_the_right_error() {
    let server = Setup {
        limits: Limits {
            head: 4096,
            target: 64,
            head_timeout: Duration::from_secs(3),
            ..Limits::default()
        },
        ..Setup::tls()
    }
    .start(app());
    let mut connection = connect(&server, &pace());
    let long = "x".repeat(5000);
    let stream = connection
        .get("/hello", &[("x-long", &long)])
        .expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(431), "{}", seen.verdict_line());
    // A length that would fill the memory: nobody waits for what comes.
    let stream = connection
        .open(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false)
        .expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(431), "{}", seen.verdict_line());
    // Fewer octets than may be, and more fields than that counts.
    let small: Vec<_> = (0..100).map(|id| format!("x-{id}")).collect();
    let many: Vec<_> = small
        .iter()
        .map(|name| (name.as_str(), "12345678"))
        .collect();
    let stream = connection.get("/hello", &many).expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(431), "{}", seen.verdict_line());
    let stream = connection
        .get(&format!("/{}", "x".repeat(64)), &[])
        .expect("a stream opens");
    assert_eq!(connection.observe(stream).status, Some(414));
    for fields in [
        &[("connection", "close")][..],
        &[("transfer-encoding", "chunked")],
        &[("content-length", "1"), ("content-length", "2")],
        &[("te", "gzip")],
        &[(":path", "/other"), (":nonsense", "")],
    ] {
        let stream = connection.get("/hello", fields).expect("a stream opens");
        let seen = connection.observe(stream);
        assert_eq!(
            seen.end,
            SeenEnd::StreamReset(0x10e),
            "{fields:?}: {}",
            seen.verdict_line()
        );
    }
    // A head that does not come.
    let stream = connection.open(&[1, 0x40], false).expect("a stream opens");
    let seen = connection.observe(stream);
    assert_eq!(seen.status, Some(408), "{}", seen.verdict_line());
    let stream = connection.open(&[], false).expect("a stream opens");
    connection.finish(stream);
    assert_eq!(connection.observe(stream).end, SeenEnd::StreamReset(0x10d));
    let stream = connection.get("/hello", &[]).expect("a stream opens");
    assert!(
        connection.observe(stream).is_complete(),
        "the connection lives on"
    );
}

#[test]
fn h3_frames_where_they_do_not_belong_end_the_connection() {
    let server = Setup::tls().start(app());
    let mut settings = Vec::new();
    http3::put_frame(&mut settings, 4, &[]);
    for (name, octets, fin, code) in [
        ("DATA first", &[0, 1, b'x'][..], false, 0x105),
        ("SETTINGS on a request", &settings, false, 0x105),
        ("PING of HTTP/2", &[6, 0], false, 0x105),
        ("FIN inside of a frame", &[1, 9, 0], true, 0x106),
        (
            "an index out of the table",
            &[1, 4, 0, 0, 0xff, 0x30],
            false,
            0x200,
        ),
    ] {
        let mut connection = connect(&server, &pace());
        let stream = connection.open(octets, false).expect("a stream opens");
        if fin {
            connection.finish(stream);
        }
        let seen = connection.observe(stream);
        assert_eq!(
            seen.end,
            SeenEnd::ConnectionClosed(code),
            "{name}: {}",
            seen.verdict_line()
        );
    }
    // A second control stream; a control frame that would fill the memory.
    let mut connection = connect(&server, &pace());
    connection.write_uni(&[0, 4, 0]).expect("it reads");
    assert!(connection.pump_until(|it| it.ended().is_some()));
    assert_eq!(connection.ended(), Some(&SeenEnd::ConnectionClosed(0x103)));
    let seen = get3(&server, "/hello");
    assert!(seen.is_complete(), "the server lives on");
}

#[test]
fn h3_unknown_frames_are_passed_over() {
    let server = Setup::tls().start(app());
    let mut connection = connect(&server, &pace());
    let mut octets = Vec::new();
    http3::put_frame(&mut octets, 0x21, &vec![7; 200_000]);
    let stream = connection.open(&octets, false).expect("a stream opens");
    // `GET / HTTP/3` out of the static table, with `localhost` as a literal.
    let head = b"\x00\x00\xd1\xd7\x50\x09localhost\x51\x06/hello";
    let mut frame = Vec::new();
    http3::put_frame(&mut frame, 1, head);
    connection.write(stream, &frame).expect("it reads");
    connection.finish(stream);
    let seen = connection.observe(stream);
    assert_eq!(seen.body, b"hello\n", "{}", seen.verdict_line());
}
