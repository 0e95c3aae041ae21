//! Peers that are slow, silent, or many.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use endwell::Limits;

use crate::attacked::{Attacked, Client, DEADLINE};

/// Limits that a test can wait for.
fn short() -> Limits {
    Limits {
        head_timeout: Duration::from_millis(300),
        idle: Duration::from_millis(600),
        ..Limits::default()
    }
}

/// Sends an octet now and then until the peer has enough of it.
fn drip(client: &mut Client, octets: &[u8]) {
    for octet in octets {
        client.send(&[*octet]);
        if client.more(Instant::now() + Duration::from_millis(50)) != Some("hang") {
            return;
        }
    }
    panic!("the peer is as patient as the attack is long");
}

#[test]
fn h11_late_head_is_408_and_close() {
    let server = Attacked::with(short(), false);
    for start in ["G", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\nG"] {
        let outcome = server.connect().attack(start.as_bytes());
        assert_eq!(outcome.to_string(), "408 close", "{start:?}");
    }
    let mut client = server.connect();
    drip(&mut client, &b"GET / HTTP/1.1\r\nX-A: b".repeat(10));
    assert_eq!(client.outcome().to_string(), "408 close");
    assert_eq!(server.controls.connections().late, 4);
    server.is_left_alone();
}

#[test]
fn h11_late_head_over_tls_is_408_and_close() {
    let server = Attacked::with(short(), true);
    let outcome = server.connect_tls(&["http/1.1"]).attack(b"GET /");
    assert_eq!(outcome.to_string(), "408 close");
    server.is_left_alone();
}

#[test]
fn who_has_said_nothing_is_closed_without_a_word() {
    for tls in [false, true] {
        let server = Attacked::with(short(), tls);
        let connect = || match tls {
            false => server.connect(),
            true => server.connect_tls(&["h2", "http/1.1"]),
        };
        for start in ["", "\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
            let outcome = connect().attack(start.as_bytes());
            assert_eq!(outcome.to_string(), "close", "{tls} {start:?}");
        }
        server.is_left_alone();
    }
}

#[test]
fn who_never_shakes_hands_is_closed_without_a_word() {
    let server = Attacked::with(short(), true);
    let outcome = server.connect().attack(b"\x16\x03\x01");
    assert_eq!(outcome.to_string(), "close");
    server.is_left_alone();
}

#[test]
fn h11_idle_after_a_request_is_closed_and_a_late_second_head_is_408() {
    let server = Attacked::with(short(), false);
    let request = b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = server.connect();
    client.send(request);
    while client.more(Instant::now() + DEADLINE).is_none() {}
    assert!(client.read.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert_eq!(server.controls.connections().idle, 1);
    let mut client = server.connect();
    client.send(request);
    while !client.read.ends_with(b"content of the file\n") {
        assert_eq!(client.more(Instant::now() + DEADLINE), None);
    }
    client.read.clear();
    let outcome = client.attack(b"GET /");
    assert_eq!(outcome.to_string(), "408 close");
    server.is_left_alone();
}

#[test]
fn h11_slow_body_waits_for_nobody() {
    let server = Attacked::with(short(), false);
    let mut client = server.connect();
    client.send(b"POST /file.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n1");
    drip(&mut client, &[b'1'; 900]);
    assert_eq!(client.outcome().to_string(), "405 close");
    server.is_left_alone();
}

#[test]
fn h11_announced_content_over_the_limit_is_413() {
    let limits = Limits {
        content: Some(1_000),
        ..short()
    };
    let server = Attacked::with(limits, false);
    let post =
        |length| format!("POST /file.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let sent = |length| server.connect().attack(post(length).as_bytes()).to_string();
    assert_eq!(
        (sent(1_000), sent(1_001)),
        ("405 close".into(), "413 close".into())
    );
}

#[test]
fn h11_slow_reader_is_reset_after_the_stall_deadline() {
    let server = Attacked::with(short(), false);
    server.controls.set_policy(endwell::Policy {
        stall_deadline: Some(Duration::from_millis(500)),
        ..endwell::Policy::default()
    });
    let mut client = server.connect();
    client.send(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.more(Instant::now() + DEADLINE), None);
    // It reads no more, until the server has let go.
    server.is_left_alone();
    while client.more(Instant::now() + DEADLINE).is_none() {}
    assert!(client.read.len() < 32 * 1024 * 1024);
}

/// Whether a new connection is reset, be it before its client has come so far as to read.
fn is_reset(server: &Attacked) -> bool {
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    let read = TcpStream::connect(server.addr).and_then(|mut socket| {
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.read(&mut [0])
    });
    read.as_ref().is_err_and(reset)
}

#[test]
fn one_more_connection_of_a_client_is_reset() {
    let limits = Limits {
        per_client: Some(2),
        ..Limits::default()
    };
    let server = Attacked::with(limits, false);
    let request = b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut first, mut second) = (server.connect(), server.connect());
    for client in [&mut first, &mut second] {
        client.send(request);
        assert_eq!(client.more(Instant::now() + DEADLINE), None);
    }
    assert!(is_reset(&server));
    let seen = server.controls.connections();
    assert_eq!((seen.open, seen.accepted, seen.refused), (2, 2, 1));
    drop((first, second));
    server.is_left_alone();
    server.serves();
    server.controls.set_limits(Limits {
        per_client: Some(0),
        ..Limits::default()
    });
    assert!(is_reset(&server), "limits change while it runs");
}

#[test]
fn when_all_places_are_taken_the_next_one_waits() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Attacked::with(limits, false);
    let request = b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut first, mut second) = (server.connect(), server.connect());
    for client in [&mut first, &mut second] {
        client.send(request);
        assert_eq!(client.more(Instant::now() + DEADLINE), None);
    }
    let mut third = server.connect();
    third.send(request);
    let waits = third.more(Instant::now() + Duration::from_millis(100));
    assert_eq!(
        (waits, server.controls.open_connections()),
        (Some("hang"), 2)
    );
    drop(first);
    assert_eq!(third.more(Instant::now() + DEADLINE), None);
    assert!(third.read.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn idle_connections_make_room_when_all_places_are_taken() {
    let limits = Limits {
        connections: 1,
        idle: Duration::from_secs(20),
        ..Limits::default()
    };
    let server = Attacked::with(limits, false);
    let mut first = server.connect();
    first.send(b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.more(Instant::now() + DEADLINE), None);
    let begun = Instant::now();
    server.serves();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it waited for the whole time-out"
    );
}

#[test]
fn h11_one_request_too_many_is_503() {
    let limits = Limits {
        requests: 1,
        ..Limits::default()
    };
    let server = Attacked::with(limits, false);
    let mut first = server.connect();
    first.send(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(first.more(Instant::now() + DEADLINE), None);
    let request = b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let outcome = server.connect().attack(request);
    assert_eq!(outcome.to_string(), "503 close");
    assert_eq!(server.controls.connections().requests, 1);
    drop(first);
    server.is_left_alone();
    server.serves();
}

/// A thousand connections that do nothing good, and one that does.
#[test]
fn a_thousand_bad_connections_keep_nobody_from_being_served() {
    let server = Attacked::with(short(), false);
    let starts: [&[u8]; 4] = [
        b"",
        b"G",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        b"PRI",
    ];
    let bad: Vec<_> = (0..1_000)
        .map(|number| {
            let mut socket = TcpStream::connect(server.addr).unwrap();
            std::io::Write::write_all(&mut socket, starts[number % starts.len()]).unwrap();
            socket
        })
        .collect();
    for _ in 0..100 {
        server.serves();
    }
    for mut socket in bad {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        // Closed by the server, with an answer or without.
        let mut octets = Vec::new();
        let _ = socket.read_to_end(&mut octets);
    }
    server.is_left_alone();
}

#[test]
fn h11_content_behind_an_answer_is_no_head() {
    let server = Attacked::with(Limits::default(), false);
    for method in ["PUT", "GET"] {
        let mut client = server.connect();
        let head =
            format!("{method} /file.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n");
        client.send(head.as_bytes());
        let until = Instant::now() + DEADLINE;
        while !crate::attacked::holds(&client.read, b"\r\n\r\n") {
            assert_eq!(client.more(until), None, "{method}");
        }
        for _ in 0..9 {
            client.send(&[b'a'; 10_000]);
            if client.more(Instant::now() + Duration::from_millis(20)) != Some("hang") {
                break;
            }
        }
        while client.more(until).is_none() {}
        let said = String::from_utf8_lossy(&client.read);
        let answers = said.matches("HTTP/1.1 ").count();
        assert_eq!(answers, 1, "{method} {said}");
    }
}
