//! Every ending of an HTTP/1 response, played by a scripted peer, as the observer must see it.

mod common;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{fin, http1, peer, read_head, rst, wait};
use endwell_lab::observe::http1::{Request, Session, observe};
use endwell_lab::observe::{Pace, Seen, SeenEnd, SeenFraming};

fn see(octets: &'static [u8], end: fn(std::net::TcpStream)) -> Seen {
    let seen = observe(
        http1(octets, end),
        None,
        &Request::get11("/"),
        &Pace::fast(),
    );
    assert_eq!(seen.raw_len, octets.len() as u64, "{}", seen.verdict_line());
    seen
}

fn is_malformed(seen: &Seen) -> bool {
    matches!(seen.end, SeenEnd::Malformed(_)) && !seen.is_complete()
}

#[test]
fn h11_length_fulfilled_is_complete() {
    let seen = see(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
        wait,
    );
    assert_eq!(
        (seen.status, seen.end.clone()),
        (Some(200), SeenEnd::Length)
    );
    assert_eq!(seen.framing, Some(SeenFraming::ContentLength(5)));
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.header("x-a"), Some("b"));
    assert_eq!(
        (seen.version.as_deref(), seen.close_notify, &seen.after),
        (Some("1.1"), None, &None)
    );
    assert!(seen.is_complete());
    assert!(seen.first_octet_after.is_some() && seen.last_data_after.is_some());
    assert_eq!(
        seen.verdict_line(),
        "200 content-length 5, 5 octets, length: complete"
    );
}

#[test]
fn h11_length_zero_is_complete() {
    let seen = see(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", wait);
    assert!(seen.is_complete() && seen.body.is_empty());
}

#[test]
fn h11_short_body_then_fin_is_not_complete() {
    let seen = see(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", fin);
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::Fin, &b"hell"[..])
    );
    assert!(!seen.is_complete());
}

#[test]
fn h11_short_body_then_reset_is_not_complete() {
    let seen = see(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", rst);
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::Reset, &b"hell"[..])
    );
    assert!(!seen.is_complete());
}

#[test]
fn h11_chunked_with_last_chunk_and_trailer_is_complete() {
    let seen = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nEnding: complete\r\n\r\n",
        wait,
    );
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::LastChunk, &b"hello!"[..])
    );
    assert_eq!(seen.framing, Some(SeenFraming::Chunked));
    assert_eq!(seen.trailer("ending"), Some("complete"));
    assert!(seen.is_complete() && seen.last_chunk && !seen.open_chunk);
}

#[test]
fn h11_missing_last_chunk_is_not_complete() {
    let seen = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        fin,
    );
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::Fin, &b"hello"[..])
    );
    assert!(!seen.is_complete() && !seen.last_chunk && !seen.open_chunk);
    assert!(seen.raw_tail.ends_with(b"\r\n\r\n5\r\nhello\r\n"));
}

#[test]
fn h11_open_chunk_is_not_complete() {
    let with_octets = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        fin,
    );
    assert_eq!(
        (with_octets.end.clone(), &with_octets.body[..]),
        (SeenEnd::Fin, &b"hel"[..])
    );
    assert!(with_octets.open_chunk && !with_octets.is_complete());
    let line_only = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n400\r\n",
        fin,
    );
    assert!(line_only.open_chunk && !line_only.is_complete());
    let no_crlf = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
        fin,
    );
    assert!(no_crlf.open_chunk && !no_crlf.is_complete());
}

#[test]
fn h11_cut_inside_the_last_chunk_is_not_complete() {
    let whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\na: b\r\n\r\n";
    let tail = b"0\r\na: b\r\n\r\n".len();
    for cut in 0..tail {
        let seen = see(&whole[..whole.len() - tail + cut], fin);
        assert_eq!(seen.end, SeenEnd::Fin, "{cut}");
        assert!(
            !seen.last_chunk && !seen.open_chunk && !seen.is_complete(),
            "{cut}"
        );
    }
}

#[test]
fn h11_bad_chunk_size_is_malformed() {
    let seen = see(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n",
        fin,
    );
    assert!(is_malformed(&seen));
    assert_eq!(seen.body, b"hello");
}

#[test]
fn h11_text_that_is_no_http_is_malformed() {
    assert!(is_malformed(&see(b"\x15\x03\x01\x00\x02\x02\x28", fin)));
}

#[test]
fn h11_nothing_then_fin_or_reset_has_no_status() {
    for (end, expected) in [(fin as fn(_), SeenEnd::Fin), (rst, SeenEnd::Reset)] {
        let seen = see(b"", end);
        assert_eq!(
            (seen.status, seen.framing, seen.end.clone()),
            (None, None, expected)
        );
        assert!(!seen.is_complete());
    }
}

#[test]
fn h11_cut_head_is_not_complete() {
    let seen = see(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", fin);
    assert_eq!((seen.status, seen.end.clone()), (None, SeenEnd::Fin));
    assert!(!seen.is_complete());
}

#[test]
fn h10_close_delimited_fin_is_complete() {
    let addr = http1(b"HTTP/1.0 200 OK\r\n\r\nhello", fin);
    let seen = observe(addr, None, &Request::get10("/"), &Pace::fast());
    assert_eq!(
        (seen.framing, seen.end.clone()),
        (Some(SeenFraming::CloseDelimited), SeenEnd::Fin)
    );
    assert_eq!(
        (&seen.body[..], seen.version.as_deref()),
        (&b"hello"[..], Some("1.0"))
    );
    assert!(seen.is_complete());
}

#[test]
fn h10_close_delimited_reset_hands_over_all_octets_before_it() {
    for pace in [Pace::fast(), Pace::late()] {
        let addr = peer(|mut socket| {
            read_head(&mut socket);
            socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
            socket.write_all(&[b'x'; 60_000]).unwrap();
            rst(socket);
        });
        let seen = observe(addr, None, &Request::get10("/"), &pace);
        assert_eq!(
            (seen.body.len(), seen.end.clone()),
            (60_000, SeenEnd::Reset)
        );
        assert!(!seen.is_complete());
    }
}

#[test]
fn h10_reset_met_by_our_own_write_is_still_a_reset() {
    let addr = peer(|mut socket| {
        read_head(&mut socket);
        socket.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").unwrap();
        rst(socket);
    });
    let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
    session.send(&Request::get10("/")).unwrap();
    thread::sleep(Duration::from_millis(50));
    // The write takes the error away from the socket; reading alone would then look like FIN.
    assert!(session.write(b"x").is_err());
    let seen = session.read();
    assert_eq!(
        (&seen.body[..], seen.end.clone()),
        (&b"hello"[..], SeenEnd::Reset)
    );
}

#[test]
fn h10_fin_met_by_our_own_write_is_still_a_fin() {
    let addr = http1(b"HTTP/1.0 200 OK\r\n\r\nhello", drop);
    let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
    session.send(&Request::get10("/")).unwrap();
    thread::sleep(Duration::from_millis(50));
    for _ in 0..3 {
        let _ = session.write(b"x");
        thread::sleep(Duration::from_millis(10));
    }
    let seen = session.read();
    assert_eq!(
        (&seen.body[..], seen.end.clone()),
        (&b"hello"[..], SeenEnd::Fin)
    );
}

#[test]
fn h11_head_204_and_304_end_with_their_head() {
    let head = http1(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", wait);
    let seen = observe(head, None, &Request::head11("/"), &Pace::fast());
    assert_eq!(
        (seen.framing, seen.end.clone()),
        (Some(SeenFraming::NoBody), SeenEnd::Length)
    );
    assert!(seen.is_complete());
    let chunked = http1(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        wait,
    );
    assert!(observe(chunked, None, &Request::head11("/"), &Pace::fast()).is_complete());
    for octets in [
        &b"HTTP/1.1 204 No Content\r\n\r\n"[..],
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ] {
        let seen = see(octets, wait);
        assert_eq!(seen.framing, Some(SeenFraming::NoBody));
        assert!(seen.is_complete());
    }
}

#[test]
fn h11_interim_responses_come_before_the_final_one() {
    let seen = see(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        wait,
    );
    assert_eq!(
        (&seen.interim[..], seen.status),
        (&[100, 103][..], Some(200))
    );
    assert_eq!(
        seen.headers,
        [("content-length".to_owned(), "1".to_owned())]
    );
    assert!(seen.is_complete());
}

#[test]
fn h11_stalled_body_times_out_at_the_deadline() {
    let pace = Pace {
        deadline: Duration::from_millis(200),
        ..Pace::fast()
    };
    let addr = http1(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", wait);
    let seen = observe(addr, None, &Request::get11("/"), &pace);
    assert_eq!(
        (seen.end.clone(), &seen.body[..]),
        (SeenEnd::TimedOut, &b"he"[..])
    );
    assert!(
        seen.ended_after >= Duration::from_millis(200)
            && seen.ended_after < Duration::from_secs(10)
    );
}

#[test]
fn h11_refused_connection_is_an_io_end() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let seen = observe(addr, None, &Request::get11("/"), &Pace::fast());
    assert!(matches!(seen.end, SeenEnd::Io(_)) && !seen.is_complete());
}

#[test]
fn h11_staying_tells_how_the_connection_ended() {
    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    let ends = [
        (fin as fn(_), SeenEnd::Fin),
        (rst, SeenEnd::Reset),
        (wait, SeenEnd::Open),
    ];
    for (end, expected) in ends {
        let pace = Pace::fast().staying(Duration::from_millis(100));
        let seen = observe(http1(WHOLE, end), None, &Request::get11("/"), &pace);
        assert_eq!(
            (seen.end.clone(), seen.after.clone()),
            (SeenEnd::Length, Some(expected))
        );
        assert!(seen.is_complete() && seen.late.is_empty());
    }
}

#[test]
fn h11_octets_after_the_end_are_late() {
    let addr = http1(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabcd", fin);
    let pace = Pace::fast().staying(Duration::from_millis(100));
    let seen = observe(addr, None, &Request::get11("/"), &pace);
    assert_eq!(
        (seen.late.clone(), seen.after.clone()),
        (vec!["3 octets".to_owned()], Some(SeenEnd::Fin))
    );
}

#[test]
fn h11_session_keeps_alive_and_reads_pipelined_responses() {
    let addr = peer(|mut socket| {
        read_head(&mut socket);
        read_head(&mut socket);
        let both = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n";
        socket.write_all(both).unwrap();
        read_head(&mut socket);
        socket
            .write_all(b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nc")
            .unwrap();
        fin(socket);
    });
    let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
    session.send(&Request::get11("/a")).unwrap();
    session.send(&Request::get11("/b")).unwrap();
    let (first, second) = (session.read(), session.read());
    assert_eq!((&first.body[..], first.is_complete()), (&b"a"[..], true));
    assert_eq!((&second.body[..], second.is_complete()), (&b"b"[..], true));
    let third = session.exchange(&Request::get11("/c"));
    assert_eq!((third.status, third.is_complete()), (Some(500), true));
    assert_eq!(session.watch(Duration::from_secs(2)), SeenEnd::Fin);
}

#[test]
fn h11_read_until_stops_early_and_goes_on() {
    let addr = peer(|mut socket| {
        read_head(&mut socket);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            .unwrap();
        let mut go = [0];
        socket.read_exact(&mut go).unwrap();
        socket.write_all(b"def").unwrap();
        wait(socket);
    });
    let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
    session.send(&Request::get11("/")).unwrap();
    let part = session.read_until(|seen| seen.body.len() >= 3);
    assert_eq!((&part.body[..], part.end), (&b"abc"[..], SeenEnd::Open));
    session.write(b"g").unwrap();
    let seen = session.read();
    assert_eq!((&seen.body[..], seen.is_complete()), (&b"abcdef"[..], true));
}

#[test]
fn leaving_is_seen_by_the_peer_as_asked() {
    let leave = |how: fn(Session)| {
        let (tell, told) = std::sync::mpsc::channel();
        let addr = peer(move |mut socket| {
            read_head(&mut socket);
            let result = socket.read(&mut [0; 10]).map_err(|error| error.kind());
            tell.send(result).unwrap();
        });
        let mut session = Session::connect(addr, None, &Pace::fast()).unwrap();
        session.send(&Request::get11("/")).unwrap();
        how(session);
        told.recv_timeout(Duration::from_secs(20)).unwrap()
    };
    assert_eq!(leave(Session::close), Ok(0));
    assert_eq!(
        leave(Session::reset),
        Err(std::io::ErrorKind::ConnectionReset)
    );
    assert_eq!(leave(|mut session| session.half_close().unwrap()), Ok(0));
}

#[test]
fn small_pace_reads_300_kb_within_two_seconds() {
    let addr = peer(|mut socket| {
        read_head(&mut socket);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
            .unwrap();
        socket.write_all(&[b'x'; 300_000]).unwrap();
        wait(socket);
    });
    let started = Instant::now();
    let seen = observe(addr, None, &Request::get11("/"), &Pace::small());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    println!("small: {:?}", started.elapsed());
}

#[test]
fn late_pace_reads_nothing_for_150_ms() {
    let addr = http1(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", wait);
    let seen = observe(addr, None, &Request::get11("/"), &Pace::late());
    assert!(seen.first_octet_after.unwrap() >= Duration::from_millis(150));
}
