//! Endings under TLS: a close_notify and its absence are told apart.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{OK_1, SETTINGS, fin, frame, peer, rst, tls_close_notify, tls_peer, tls_write, wait};
use endwell_lab::observe::http1::{Request, observe};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, SeenFraming, http2};

const HELLO: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello";

fn see(octets: &'static [u8], notify: bool, end: fn(TcpStream), pace: &Pace) -> Seen {
    let addr = tls_peer("http/1.1", move |tls, mut socket| {
        tls_write(tls, &mut socket, octets);
        if notify {
            tls_close_notify(tls, &mut socket);
        }
        end(socket);
    });
    let tls = ClientTls::new(&["http/1.1"]);
    observe(addr, Some(&tls), &Request::get10("/"), pace)
}

#[test]
fn tls_h10_close_notify_is_complete() {
    let pace = Pace::fast().staying(Duration::from_millis(300));
    let seen = see(HELLO, true, fin, &pace);
    assert_eq!(
        (seen.end.clone(), seen.close_notify),
        (SeenEnd::CloseNotify, Some(true))
    );
    assert_eq!(
        (&seen.body[..], seen.after.clone()),
        (&b"hello"[..], Some(SeenEnd::Fin))
    );
    assert_eq!(seen.raw_len, HELLO.len() as u64);
    assert!(seen.is_complete());
}

#[test]
fn tls_h10_close_notify_then_reset_is_told() {
    let pace = Pace::fast().staying(Duration::from_millis(300));
    let seen = see(HELLO, true, rst, &pace);
    assert_eq!(
        (seen.end.clone(), seen.after.clone()),
        (SeenEnd::CloseNotify, Some(SeenEnd::Reset))
    );
}

#[test]
fn tls_h10_fin_without_close_notify_is_not_complete() {
    let seen = see(HELLO, false, fin, &Pace::fast());
    assert_eq!(
        (seen.end.clone(), seen.close_notify),
        (SeenEnd::Fin, Some(false))
    );
    assert_eq!(
        (&seen.body[..], seen.framing),
        (&b"hello"[..], Some(SeenFraming::CloseDelimited))
    );
    assert!(!seen.is_complete());
    assert_eq!(
        seen.verdict_line(),
        "200 close-delimited, 5 octets, FIN without close_notify: not complete"
    );
}

#[test]
fn tls_h10_reset_hands_over_all_octets_before_it() {
    static BIG: [u8; 50_000] = [b'x'; 50_000];
    for pace in [Pace::fast(), Pace::late()] {
        let addr = tls_peer("http/1.1", |tls, mut socket| {
            tls_write(tls, &mut socket, b"HTTP/1.0 200 OK\r\n\r\n");
            tls_write(tls, &mut socket, &BIG);
            rst(socket);
        });
        let tls = ClientTls::new(&["http/1.1"]);
        let seen = observe(addr, Some(&tls), &Request::get10("/"), &pace);
        assert_eq!(
            (seen.body.len(), seen.end.clone()),
            (50_000, SeenEnd::Reset)
        );
        assert_eq!(seen.close_notify, Some(false));
    }
}

#[test]
fn tls_h11_length_fulfilled_then_stay_sees_close_notify() {
    let pace = Pace::fast().staying(Duration::from_millis(300));
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na";
    let seen = see(whole, true, fin, &pace);
    assert_eq!(
        (seen.end.clone(), seen.after.clone()),
        (SeenEnd::Length, Some(SeenEnd::CloseNotify))
    );
    assert_eq!(seen.close_notify, Some(true));
    let seen = see(whole, false, fin, &pace);
    assert_eq!(
        (seen.after.clone(), seen.close_notify),
        (Some(SeenEnd::Fin), Some(false))
    );
}

#[test]
fn tls_garbage_after_good_records_is_a_tls_end() {
    let addr = tls_peer("http/1.1", |tls, mut socket| {
        tls_write(tls, &mut socket, HELLO);
        socket
            .write_all(b"\x17\x03\x03\x00\x20this record was never encrypted!!!")
            .unwrap();
        wait(socket);
    });
    let tls = ClientTls::new(&[]);
    let seen = observe(addr, Some(&tls), &Request::get10("/"), &Pace::fast());
    assert!(matches!(seen.end, SeenEnd::Tls(_)), "{:?}", seen.end);
    assert_eq!(seen.body, b"hello");
    assert!(!seen.is_complete());
}

#[test]
fn tls_peer_that_speaks_plain_text_cannot_be_reached() {
    let addr = peer(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        fin(socket);
    });
    let tls = ClientTls::new(&[]);
    let seen = observe(addr, Some(&tls), &Request::get10("/"), &Pace::fast());
    assert!(matches!(seen.end, SeenEnd::Io(_)), "{:?}", seen.end);
}

#[test]
fn tls_small_pace_reads_300_kb_within_two_seconds() {
    let addr = tls_peer("http/1.1", |tls, mut socket| {
        tls_write(
            tls,
            &mut socket,
            b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n",
        );
        tls_write(tls, &mut socket, &[b'x'; 300_000]);
        wait(socket);
    });
    let started = Instant::now();
    let tls = ClientTls::new(&["http/1.1"]);
    let seen = observe(addr, Some(&tls), &Request::get11("/"), &Pace::small());
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    println!("small: {:?}", seen.ended_after);
}

#[test]
fn tls_h2_end_stream_is_complete_and_fin_is_not() {
    for whole in [true, false] {
        let addr = tls_peer("h2", move |tls, mut socket| {
            let data = frame(0, u8::from(whole), 1, b"hello");
            tls_write(tls, &mut socket, &[SETTINGS, OK_1, &data].concat());
            fin(socket);
        });
        let tls = ClientTls::new(&["h2"]);
        let seen = http2::observe(addr, Some(&tls), "/", &[], &Pace::fast());
        let end = if whole {
            SeenEnd::EndStream
        } else {
            SeenEnd::Fin
        };
        assert_eq!((&seen.body[..], seen.end.clone()), (&b"hello"[..], end));
        assert_eq!(
            (seen.is_complete(), seen.close_notify),
            (whole, Some(false))
        );
    }
}

#[test]
fn tls_h2_needs_alpn() {
    let addr = tls_peer("http/1.1", |_, socket| wait(socket));
    let tls = ClientTls::new(&["h2", "http/1.1"]);
    let seen = http2::observe(addr, Some(&tls), "/", &[], &Pace::fast());
    assert!(matches!(seen.end, SeenEnd::Io(_)), "{:?}", seen.end);
}
