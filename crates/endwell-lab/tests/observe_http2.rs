//! Every ending of an HTTP/2 stream, played frame by frame, as the observer must see it.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{
    OK_1, SETTINGS, answer_pings, fin, frame, http2, peer, read_frame, read_requests, rst, wait,
};
use endwell_lab::observe::http2::{Connection, observe};
use endwell_lab::observe::{Pace, Seen, SeenEnd, SeenFraming};

fn see(frames: &[&[u8]], end: fn(TcpStream), pace: &Pace) -> Seen {
    observe(http2(frames.concat(), end), None, "/", &[], pace)
}

fn assert_malformed(frames: &[&[u8]], words: &str) {
    let seen = see(frames, wait, &Pace::fast());
    match &seen.end {
        SeenEnd::Malformed(why) => assert!(why.contains(words), "{why}"),
        other => panic!("{other} instead of malformed: {words}"),
    }
    assert!(!seen.is_complete());
}

#[test]
fn h2_end_stream_is_complete() {
    let hello = frame(0, 0, 1, b"hello");
    let seen = see(&[OK_1, &hello, &frame(0, 1, 1, b"")], wait, &Pace::fast());
    assert_eq!(
        (seen.status, seen.end.clone()),
        (Some(200), SeenEnd::EndStream)
    );
    assert_eq!(
        (&seen.body[..], seen.framing),
        (&b"hello"[..], Some(SeenFraming::EndStream))
    );
    assert_eq!(
        seen.frames,
        ["SETTINGS", "HEADERS", "DATA 5", "DATA 0 END_STREAM"]
    );
    assert_eq!(seen.raw_len, 10 + 14 + 9);
    assert!(seen.is_complete());
    assert_eq!(
        seen.verdict_line(),
        "200 end-stream, 5 octets, END_STREAM: complete"
    );
}

#[test]
fn h2_headers_with_end_stream_is_complete() {
    let seen = see(&[&frame(1, 5, 1, &[0x88])], wait, &Pace::fast());
    assert_eq!(seen.frames, ["SETTINGS", "HEADERS END_STREAM"]);
    assert!(seen.is_complete());
}

#[test]
fn h2_padding_continuation_dynamic_table_and_trailers_are_understood() {
    // :status 200, then a field with incremental indexing, cut in the middle over CONTINUATION.
    let block = b"\x88\x40\x03x-a\x03one";
    let head = frame(1, 0x08, 1, &[&[2][..], &block[..4], &[0, 0]].concat());
    let more = frame(9, 0, 1, &block[4..6]);
    let rest = frame(9, 4, 1, &block[6..]);
    let data = frame(0, 0x08, 1, b"\x03hi\0\0\0");
    // Trailers: dynamic table entry 62 is `x-a: one`.
    let trailers = frame(1, 5, 1, &[0x80 | 62]);
    let seen = see(
        &[&head, &more, &rest, &data, &trailers],
        wait,
        &Pace::fast(),
    );
    assert_eq!(
        (seen.header("x-a"), seen.trailer("x-a")),
        (Some("one"), Some("one"))
    );
    assert_eq!(seen.body, b"hi");
    assert_eq!(
        seen.frames,
        [
            "SETTINGS",
            "HEADERS",
            "CONTINUATION",
            "CONTINUATION",
            "DATA 2 PADDED",
            "HEADERS END_STREAM"
        ]
    );
    assert!(seen.is_complete());
}

#[test]
fn h2_interim_comes_before_the_final_head() {
    let interim = frame(1, 4, 1, b"\x08\x03100");
    let seen = see(
        &[&interim, OK_1, &frame(0, 1, 1, b"x")],
        wait,
        &Pace::fast(),
    );
    assert_eq!((&seen.interim[..], seen.status), (&[100][..], Some(200)));
    assert!(seen.is_complete());
}

#[test]
fn h2_reset_after_data_keeps_the_data() {
    let frames = [
        OK_1,
        &frame(0, 0, 1, b"hello"),
        &frame(3, 0, 1, &[0, 0, 0, 2]),
    ];
    let seen = see(&frames, wait, &Pace::fast());
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::StreamReset(2), &b"hello"[..])
    );
    assert_eq!(
        seen.frames,
        ["SETTINGS", "HEADERS", "DATA 5", "RST_STREAM 2"]
    );
    assert!(!seen.is_complete() && seen.connection_alive.is_none() && seen.after.is_none());
}

#[test]
fn h2_reset_then_stay_tells_that_the_connection_lives() {
    let frames = [
        OK_1,
        &frame(0, 0, 1, b"hello"),
        &frame(3, 0, 1, &[0, 0, 0, 2]),
    ];
    let pace = Pace::fast().staying(Duration::from_millis(50));
    let seen = see(&frames, answer_pings, &pace);
    assert_eq!(
        (seen.connection_alive, seen.after.clone()),
        (Some(true), Some(SeenEnd::Open))
    );
    assert!(seen.late.is_empty());
}

#[test]
fn h2_reset_then_stay_sees_late_data_and_a_closed_connection() {
    let frames = [
        OK_1,
        &frame(3, 0, 1, &[0, 0, 0, 2]),
        &frame(0, 0, 1, b"late"),
    ];
    let pace = Pace::fast().staying(Duration::from_millis(100));
    let seen = see(&frames, fin, &pace);
    assert_eq!(
        (&seen.late[..], seen.body.len()),
        (&["DATA 4".to_owned()][..], 0)
    );
    assert_eq!(
        (seen.connection_alive, seen.after.clone()),
        (Some(false), Some(SeenEnd::Fin))
    );
}

#[test]
fn h2_reset_without_headers_has_no_status() {
    let seen = see(&[&frame(3, 0, 1, &[0, 0, 0, 7])], wait, &Pace::fast());
    assert_eq!(
        (seen.status, seen.framing, seen.end.clone()),
        (None, None, SeenEnd::StreamReset(7))
    );
    assert!(!seen.is_complete());
}

#[test]
fn h2_end_stream_that_does_not_fit_content_length_is_malformed() {
    // content-length is static entry 28: literal without indexing.
    let head = frame(1, 4, 1, b"\x88\x0f\x0d\x0210");
    assert_malformed(
        &[&head, &frame(0, 1, 1, b"hello")],
        "END_STREAM at octet 5 of 10",
    );
    assert_malformed(&[&head, &frame(0, 0, 1, b"hello world")], "11 octets");
    let empty = frame(1, 5, 1, b"\x88\x0f\x0d\x0210");
    assert_malformed(&[&empty], "END_STREAM at octet 0 of 10");
    let seen = see(
        &[&head, &frame(0, 1, 1, b"0123456789")],
        wait,
        &Pace::fast(),
    );
    assert!(seen.is_complete());
}

#[test]
fn h2_head_request_may_promise_a_length() {
    let addr = http2(frame(1, 5, 1, b"\x88\x0f\x0d\x0210"), wait);
    let mut connection = Connection::connect(addr, None, &Pace::fast()).unwrap();
    let stream = connection.request("HEAD", "/", &[]).unwrap();
    assert!(connection.observe(stream).is_complete());
}

#[test]
fn h2_goaway_then_close_ends_the_stream() {
    let goaway = frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    let seen = see(
        &[OK_1, &frame(0, 0, 1, b"hel"), &goaway],
        fin,
        &Pace::fast(),
    );
    assert_eq!(seen.end, SeenEnd::GoAway { code: 0, last: 1 });
    assert_eq!(
        (&seen.body[..], seen.after.clone()),
        (&b"hel"[..], Some(SeenEnd::Fin))
    );
    assert_eq!(
        seen.frames.last().map(String::as_str),
        Some("GOAWAY 0 last=1")
    );
    assert!(!seen.is_complete());
}

#[test]
fn h2_goaway_that_covers_the_stream_lets_it_finish() {
    let goaway = frame(7, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let seen = see(&[OK_1, &goaway, &frame(0, 1, 1, b"x")], wait, &Pace::fast());
    assert!(seen.is_complete());
}

#[test]
fn h2_goaway_that_does_not_cover_the_stream_ends_it_at_once() {
    let goaway = frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2]);
    let seen = see(&[&goaway], wait, &Pace::fast());
    assert_eq!(seen.end, SeenEnd::GoAway { code: 2, last: 0 });
    // Not only when the peer closes.
    assert!(seen.after.is_none() && seen.ended_after < Duration::from_secs(10));
}

#[test]
fn h2_fin_or_reset_inside_a_stream_is_not_complete() {
    for (end, expected) in [(fin as fn(_), SeenEnd::Fin), (rst, SeenEnd::Reset)] {
        let seen = see(&[OK_1, &frame(0, 0, 1, b"hel")], end, &Pace::late());
        assert_eq!((seen.end.clone(), &seen.body[..]), (expected, &b"hel"[..]));
        assert!(!seen.is_complete());
    }
}

#[test]
fn h2_cut_frame_is_noted() {
    let data = frame(0, 1, 1, b"hello");
    let seen = see(&[OK_1, &data[..11]], fin, &Pace::fast());
    assert_eq!(seen.end, SeenEnd::Fin);
    assert_eq!(
        seen.frames.last().map(String::as_str),
        Some("11 octets of a cut frame")
    );
}

#[test]
fn h2_protocol_errors_are_malformed() {
    assert_malformed(&[&frame(0, 0, 1, b"x")], "DATA before HEADERS");
    assert_malformed(
        &[&frame(1, 0, 1, &[0x88]), &frame(0, 0, 1, b"x")],
        "inside a header block",
    );
    assert_malformed(&[&frame(9, 4, 1, &[0x88])], "CONTINUATION without HEADERS");
    assert_malformed(&[&frame(1, 4, 1, &[0xff, 0xff])], "HPACK");
    assert_malformed(&[&frame(1, 4, 1, &[0x80])], "HPACK");
    assert_malformed(&[&frame(1, 4, 1, b"\x00\x01a\x01b")], "no :status");
    assert_malformed(&[&frame(1, 4, 1, b"\x88\x00\x01A\x01b")], "not allowed");
    assert_malformed(
        &[&frame(1, 4, 1, b"\x88\x00\x0aconnection\x05close")],
        "not allowed",
    );
    assert_malformed(&[OK_1, OK_1], "a second final status");
    assert_malformed(&[&frame(1, 4, 3, &[0x88])], "idle");
    assert_malformed(&[&frame(0, 8, 1, &[9])], "shorter");
    assert_malformed(&[&frame(5, 4, 1, &[0, 0, 0, 2, 0x88])], "PUSH_PROMISE");
    assert_malformed(&[&frame(4, 0, 0, &[1])], "SETTINGS of 1");
    assert_malformed(&[&frame(8, 0, 0, &[0; 4])], "WINDOW_UPDATE of 0");
    assert_malformed(
        &[b"\x01\x00\x00\x00\x00\x00\x00\x00\x01"],
        "frame of 65536 octets",
    );
}

#[test]
fn h2_first_frame_must_be_settings() {
    let addr = peer(|mut socket| {
        read_requests(&mut socket, 1);
        socket.write_all(OK_1).unwrap();
        wait(socket);
    });
    let seen = observe(addr, None, "/", &[], &Pace::fast());
    assert!(matches!(seen.end, SeenEnd::Malformed(_)), "{}", seen.end);
}

#[test]
fn h2_peer_that_overruns_the_window_is_malformed() {
    let addr = http2([OK_1, &frame(0, 0, 1, &[b'x'; 1025])].concat(), wait);
    let seen = observe(addr, None, "/", &[], &Pace::small());
    assert!(
        matches!(&seen.end, SeenEnd::Malformed(why) if why.contains("flow control")),
        "{}",
        seen.end
    );
}

#[test]
fn h2_stalled_stream_times_out_at_the_deadline() {
    let pace = Pace {
        deadline: Duration::from_millis(200),
        ..Pace::fast()
    };
    let seen = see(&[OK_1, &frame(0, 0, 1, b"hel")], wait, &pace);
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::TimedOut, &b"hel"[..])
    );
    assert!(seen.ended_after >= Duration::from_millis(200));
}

#[test]
fn h2_small_pace_gives_the_window_back_and_reads_300_kb_within_two_seconds() {
    let addr = peer(|mut socket| {
        let mut preface = [0; 24];
        std::io::Read::read_exact(&mut socket, &mut preface).unwrap();
        let (kind, _, _, settings) = read_frame(&mut socket).unwrap();
        // ENABLE_PUSH 0, INITIAL_WINDOW_SIZE 1024.
        assert_eq!(
            (kind, &settings[..]),
            (4, &[0, 2, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0][..])
        );
        socket.write_all(&[SETTINGS, OK_1].concat()).unwrap();
        let (mut left, mut stream, mut connection) = (300_000usize, 1024usize, 65_535usize);
        while left > 0 {
            let count = left.min(stream).min(connection);
            if count > 0 {
                socket
                    .write_all(&frame(0, u8::from(count == left), 1, &vec![b'x'; count]))
                    .unwrap();
                (left, stream, connection) = (left - count, stream - count, connection - count);
            } else if let Some((8, _, id, payload)) = read_frame(&mut socket) {
                let increment = u32::from_be_bytes(payload[..].try_into().unwrap()) as usize;
                match id {
                    0 => connection += increment,
                    _ => stream += increment,
                }
            }
        }
        wait(socket);
    });
    let started = Instant::now();
    let seen = observe(addr, None, "/", &[], &Pace::small());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert_eq!(seen.body.len(), 300_000);
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    println!("small: {:?}", started.elapsed());
}

#[test]
fn h2_several_streams_end_each_in_its_own_way() {
    let addr = peer(|mut socket| {
        read_requests(&mut socket, 3);
        let frames = [
            SETTINGS,
            &frame(1, 4, 3, &[0x88]),
            OK_1,
            &frame(0, 0, 3, b"three"),
            &frame(0, 1, 1, b"one"),
            &frame(3, 0, 3, &[0, 0, 0, 2]),
            &frame(1, 5, 5, &[0x8d]),
        ];
        socket.write_all(&frames.concat()).unwrap();
        answer_pings(socket);
    });
    let mut connection = Connection::connect(addr, None, &Pace::fast()).unwrap();
    let streams =
        ["/1", "/3", "/5"].map(|path| connection.get(path, &[("te", "trailers")]).unwrap());
    assert_eq!(streams, [1, 3, 5]);
    let last = connection.observe(streams[2]);
    assert_eq!((last.status, last.is_complete()), (Some(404), true));
    assert_eq!(connection.seen(3).map(|seen| seen.body.len()), Some(5));
    let first = connection.observe(streams[0]);
    assert_eq!((&first.body[..], first.is_complete()), (&b"one"[..], true));
    let second = connection.observe(streams[1]);
    assert_eq!(
        (&second.body[..], second.end.clone()),
        (&b"three"[..], SeenEnd::StreamReset(2))
    );
    assert!(connection.ping() && connection.ended().is_none());
    assert!(matches!(connection.observe(9).end, SeenEnd::Io(_)));
    connection.close();
}

#[test]
fn h2_cancel_reaches_the_peer_and_read_until_stops_early() {
    let (tell, told) = std::sync::mpsc::channel();
    let addr = peer(move |mut socket| {
        read_requests(&mut socket, 1);
        socket
            .write_all(&[SETTINGS, OK_1, &frame(0, 0, 1, b"hel")].concat())
            .unwrap();
        while let Some((kind, _, stream, payload)) = read_frame(&mut socket) {
            if kind == 3 {
                tell.send((stream, payload)).unwrap();
            }
        }
    });
    let mut connection = Connection::connect(addr, None, &Pace::fast()).unwrap();
    let stream = connection.get("/", &[]).unwrap();
    let part = connection.read_until(stream, |seen| seen.body.len() >= 3);
    assert_eq!((&part.body[..], part.end), (&b"hel"[..], SeenEnd::Open));
    connection.cancel(stream, 8);
    assert_eq!(
        told.recv_timeout(Duration::from_secs(20)).unwrap(),
        (1, vec![0, 0, 0, 8])
    );
    let seen = connection.observe(stream);
    assert_eq!(
        (seen.end.clone(), seen.is_complete()),
        (SeenEnd::Open, false)
    );
    assert_eq!(
        seen.frames.last().map(String::as_str),
        Some("> RST_STREAM 8")
    );
    connection.reset();
}

#[test]
fn h2_settings_and_ping_are_answered() {
    let (tell, told) = std::sync::mpsc::channel();
    let addr = peer(move |mut socket| {
        read_requests(&mut socket, 1);
        socket
            .write_all(&[SETTINGS, &frame(6, 0, 0, b"12345678")].concat())
            .unwrap();
        let answers = [read_frame(&mut socket), read_frame(&mut socket)];
        tell.send(answers).unwrap();
        socket
            .write_all(&[OK_1, &frame(0, 1, 1, b"")].concat())
            .unwrap();
        wait(socket);
    });
    assert!(observe(addr, None, "/", &[], &Pace::fast()).is_complete());
    let expected = [
        Some((4, 1, 0, vec![])),
        Some((6, 1, 0, b"12345678".to_vec())),
    ];
    assert_eq!(told.recv().unwrap(), expected);
}
