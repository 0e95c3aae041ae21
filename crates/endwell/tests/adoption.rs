//! The ways in beside each other: three that put the same octets on the wire, and the layer alone with
//! what it can and cannot tell.

mod support;

#[path = "support/client.rs"]
mod client;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use client::{Records, Served};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1, http2};
use support::script::{Ask, Fault, app, octets};

/// The ways that promise the lossless abort.
fn full() -> [(&'static str, Served); 3] {
    [
        (
            "endwell::serve(tcp, app)",
            Served::start(|tcp| endwell::serve(tcp, app()).into_future()),
        ),
        (
            "endwell::serve(endwell::listen(tcp), app)",
            Served::start(|tcp| endwell::serve(endwell::listen(tcp), app()).into_future()),
        ),
        (
            "axum::serve(endwell::listen(tcp), endwell::app(app))",
            Served::start(|tcp| {
                axum::serve(endwell::listen(tcp), endwell::app(app())).into_future()
            }),
        ),
    ]
}

fn asks() -> Vec<Ask> {
    let faults = [
        Fault::None,
        Fault::First,
        Fault::Committed,
        Fault::Mid,
        Fault::Last,
        Fault::Panic,
        Fault::HandlerPanic,
        Fault::Degraded,
    ];
    let mut asks = Vec::new();
    for fault in faults {
        for promise in [false, true] {
            asks.push(Ask {
                fault,
                size: 300_000,
                cut: 210_000,
                frame: 10_000,
                promise,
                id: 0,
            });
        }
    }
    asks
}

/// Every octet that comes, and how the connection ended.
fn raw(addr: SocketAddr, version: &str, target: &str) -> (Vec<u8>, &'static str) {
    let mut socket = TcpStream::connect(addr).expect("it listens");
    socket
        .set_read_timeout(Some(client::DEADLINE))
        .expect("a socket has deadlines");
    let request = format!("GET {target} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it reads");
    let mut seen = Vec::new();
    let end = match socket.read_to_end(&mut seen) {
        Ok(_) => "fin",
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "rst",
        Err(error) => panic!("{target}: {error}"),
    };
    (without_date(&seen), end)
}

/// The date is all in which two answers may differ.
fn without_date(octets: &[u8]) -> Vec<u8> {
    let date = octets.windows(6).position(|at| at == b"\ndate:");
    let Some(from) = date.map(|at| at + 1) else {
        return octets.to_vec();
    };
    let line = octets[from..].iter().position(|octet| *octet == b'\n');
    let until = from + line.expect("a field line has an end") + 1;
    [&octets[..from], &octets[until..]].concat()
}

#[test]
fn h1_three_ways_in_put_the_same_octets_on_the_wire() {
    let servers = full();
    for ask in asks() {
        for version in ["1.0", "1.1"] {
            let target = ask.target();
            let mut seen = servers
                .iter()
                .map(|(way, server)| (way, raw(server.addr, version, &target)));
            let (_, first) = seen.next().expect("there are three");
            assert!(first.0.starts_with(b"HTTP/1.1 ") || first.0.starts_with(b"HTTP/1.0 "));
            for (way, other) in seen {
                assert_eq!(first.1, other.1, "{way}, HTTP/{version} {target}");
                assert!(first.0 == other.0, "{way}, HTTP/{version} {target}");
            }
        }
    }
}

type Facts<'a> = (Option<u16>, Vec<(String, String)>, SeenEnd, &'a [u8]);

/// What of a response over HTTP/2 two servers must have in common.
fn facts(seen: &Seen) -> Facts<'_> {
    let mut fields = seen.headers.clone();
    fields.retain(|(name, _)| name != "date");
    (seen.status, fields, seen.end.clone(), &seen.body)
}

#[test]
fn h2_three_ways_in_end_every_stream_alike() {
    let servers = full();
    for ask in asks() {
        let target = ask.target();
        let mut seen = servers.iter().map(|(way, server)| {
            let seen = http2::observe(server.addr, None, &target, &[], &Pace::fast());
            (way, seen)
        });
        let (_, first) = seen.next().expect("there are three");
        for (way, other) in seen {
            let lines = (first.verdict_line(), other.verdict_line());
            assert!(facts(&first) == facts(&other), "{way}, {target}: {lines:?}");
        }
    }
}

/// A stock server with the layer alone, and its records.
fn layered() -> (Served, Records) {
    let records = Records::default();
    let layer = endwell::layer().observer(records.observer());
    let server = Served::start(|tcp| axum::serve(tcp, app().layer(layer)).into_future());
    (server, records)
}

fn ask(fault: Fault, size: usize, promise: bool, id: u64) -> String {
    let ask = Ask {
        fault,
        size,
        cut: size / 2,
        frame: 10_000,
        promise,
        id,
    };
    ask.target()
}

/// All three protocols: `h10`, `h11`, `h2`.
fn each(addr: SocketAddr, target: impl Fn(u64) -> String) -> [(String, Seen); 3] {
    let targets = [target(10), target(11), target(2)];
    let pace = Pace::fast();
    let h10 = http1::observe(addr, None, &http1::Request::get10(&targets[0]), &pace);
    let h11 = http1::observe(addr, None, &http1::Request::get11(&targets[1]), &pace);
    let h2 = http2::observe(addr, None, &targets[2], &[], &pace);
    let [a, b, c] = targets;
    [(a, h10), (b, h11), (c, h2)]
}

#[test]
fn the_layer_alone_makes_early_failures_a_500_and_records_them() {
    let (server, records) = layered();
    for (fault, kind) in [
        (Fault::First, "producer_error"),
        (Fault::HandlerPanic, "producer_panicked"),
    ] {
        for (target, seen) in each(server.addr, |id| ask(fault, 20_000, false, id)) {
            assert_eq!(seen.status, Some(500), "{}", seen.verdict_line());
            assert_eq!(
                seen.header("content-type"),
                Some("application/problem+json")
            );
            assert!(seen.is_complete(), "{}", seen.verdict_line());
            let record = records.of(&target);
            assert_eq!((record.status, record.error_type()), (500, Some(kind)));
        }
    }
}

#[test]
fn the_layer_alone_lets_good_responses_pass_whole() {
    let (server, records) = layered();
    for promise in [false, true] {
        let target = |id| ask(Fault::None, 300_000, promise, id);
        for (target, seen) in each(server.addr, target) {
            assert!(seen.is_complete(), "{target}: {}", seen.verdict_line());
            assert!(seen.body == octets(300_000), "{target}");
            assert_eq!(records.of(&target).ending.as_str(), "complete");
        }
    }
}

#[test]
fn the_layer_alone_tells_a_late_failure_on_http11_and_http2_and_holds_http10() {
    let (server, records) = layered();
    let [h10, h11, h2] = each(server.addr, |id| ask(Fault::Pause, 300_000, false, id));
    for (target, seen) in [&h11, &h2] {
        assert_eq!(seen.status, Some(200), "{target}: {}", seen.verdict_line());
        assert!(!seen.is_complete(), "{target}: {}", seen.verdict_line());
    }
    // A plain close would say "whole": the body waits, and the failure becomes a status.
    assert_eq!(h10.1.status, Some(500), "{}", h10.1.verdict_line());
    for (target, _) in [h10, h11, h2] {
        let record = records.of(&target);
        assert_eq!(record.error_type(), Some("producer_error"), "{target}");
    }
}

#[test]
fn the_layer_alone_refuses_what_http10_could_not_tell() {
    let (server, records) = layered();
    // More than the layer may hold (`Policy::http10_unprotected`).
    let target = ask(Fault::None, 1_100_000, false, 0);
    let request = http1::Request::get10(&target);
    let seen = http1::observe(server.addr, None, &request, &Pace::fast());
    assert_eq!(seen.status, Some(505), "{}", seen.verdict_line());
    assert_eq!(records.of(&target).status, 505);
}
