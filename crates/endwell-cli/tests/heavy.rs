//! Attacks in numbers on the real server: what it holds before, at its peak and after, and how
//! long a client that means no harm waits meanwhile.
//!
//! In a plain run the numbers are small and only what must always hold is asserted. With
//! `ENDWELL_HEAVY=1` they are those of docs/limits.md, and the table is printed:
//! `ENDWELL_HEAVY=1 cargo test --release -p endwell-cli --test heavy -- --nocapture`; with
//! `ENDWELL_ATTACK` only those whose name holds it.
#![cfg(target_os = "linux")]
#![allow(unreachable_pub)]

mod common;

#[allow(dead_code)]
#[path = "../../endwell-gateway/tests/attacks/frames.rs"]
mod frames;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use common::{Folder, Server};
use frames::*;

/// Longer than the stall deadline and a linger together.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a good client may wait at the 99th percentile, in a heavy run.
const GOAL: Duration = Duration::from_millis(50);
const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: a\r\n\r\n";

fn heavy() -> bool {
    std::env::var_os("ENDWELL_HEAVY").is_some()
}

/// So many in a heavy run, a fiftieth of it else.
fn many(number: usize) -> usize {
    if heavy() { number } else { number / 50 }
}

/// What the process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// KiB of memory.
    memory: u64,
    descriptors: usize,
}

fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn held(pid: u32) -> Held {
    Held {
        memory: status(pid, "VmRSS"),
        descriptors: descriptors(pid),
    }
}

/// A client that asks for a small file again and again.
struct Good {
    stop: Arc<AtomicBool>,
    waits: JoinHandle<Vec<Duration>>,
}

impl Good {
    fn start(addr: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let waits = thread::spawn(move || {
            let mut waits = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                // A new connection now and then: it must be accepted, too.
                let begun = Instant::now();
                let mut socket = connect(addr);
                for request in 0..10 {
                    let begun = if request == 0 { begun } else { Instant::now() };
                    socket.write_all(GET).unwrap();
                    answer(&mut socket);
                    waits.push(begun.elapsed());
                    thread::sleep(Duration::from_millis(2));
                }
            }
            waits
        });
        Self { stop, waits }
    }

    /// How many requests it had answered, and how long the slowest and the hundredth slowest
    /// in a hundred took.
    fn stop(self) -> (usize, Duration, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let mut waits = self.waits.join().unwrap();
        waits.sort();
        let last = waits.len() - 1;
        (waits.len(), waits[last * 99 / 100], waits[last])
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Reads one answer to [`GET`].
fn answer(socket: &mut TcpStream) {
    let mut octets = Vec::new();
    let mut part = [0; 4096];
    while !octets.ends_with(b"small\n") {
        let count = socket.read(&mut part).unwrap();
        assert!(
            count > 0,
            "the server closed on a client that means no harm"
        );
        octets.extend(&part[..count]);
    }
    assert!(octets.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// Writes and reads at once until the peer has closed, or everything is written and `enough`
/// octets are read.
fn flood(addr: SocketAddr, octets: &[u8], enough: usize) -> usize {
    let mut socket = connect(addr);
    let mut writer = socket.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // The server may have had enough of it before the end.
            let _ = writer.write_all(octets);
        });
        let mut part = vec![0; 64 * 1024];
        let mut read = 0;
        while read < enough {
            match socket.read(&mut part) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("{error}"),
            }
        }
        let _ = socket.shutdown(std::net::Shutdown::Both);
        read
    })
}

/// Connections that have sent this and stay.
///
/// They come in bursts that fit the backlog of a listener: what the kernel drops beyond it looks
/// open to its client, and no server hears of it.
fn stay(addr: SocketAddr, connections: usize, octets: &[u8]) -> Vec<TcpStream> {
    let open = |number: usize| {
        if number % 64 == 63 {
            thread::sleep(Duration::from_millis(10));
        }
        let mut socket = connect(addr);
        socket.write_all(octets).unwrap();
        socket
    };
    (0..connections).map(open).collect()
}

fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// Streams that are opened and reset, as one burst on connections of `each` streams.
fn rapid_reset(addr: SocketAddr, streams: usize, each: usize) {
    let mut octets = preface();
    for number in 0..each {
        let stream = u32::try_from(number * 2 + 1).unwrap();
        octets.extend(good(stream));
        octets.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    for _ in 0..streams.div_ceil(each) {
        flood(addr, &octets, usize::MAX);
    }
}

/// Streams that are opened, answered in part and then reset.
fn slow_reset(addr: SocketAddr, streams: usize) {
    let large = [GOOD[0], GOOD[1], GOOD[2], (":path", "/large.bin")];
    let mut left = streams;
    while left > 0 {
        let mut socket = connect(addr);
        if socket.write_all(&preface()).is_err() {
            continue;
        }
        let mut stream = 1;
        let mut part = vec![0; 256 * 1024];
        while left > 0 {
            left -= 1;
            let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
            let step = socket
                .write_all(&headers(stream, &large))
                .and_then(|()| socket.read(&mut part))
                .and_then(|count| match count {
                    0 => Err(io::ErrorKind::UnexpectedEof.into()),
                    _ => socket.write_all(&reset),
                });
            if step.is_err() {
                break;
            }
            stream += 2;
        }
    }
}

type Attack = Box<dyn Fn(SocketAddr)>;

fn attacks() -> Vec<(String, Attack)> {
    let mut attacks: Vec<(String, Attack)> = Vec::new();
    let mut add = |name: String, attack: Attack| attacks.push((name, attack));
    let number = many(9_000);
    add(
        format!("{number} connections that are idle"),
        Box::new(move |addr| {
            let mut open = stay(addr, number, GET);
            open.iter_mut().for_each(answer);
        }),
    );
    add(
        format!("{number} connections that say nothing, until they are closed"),
        Box::new(move |addr| {
            for mut socket in stay(addr, number, b"") {
                let _ = socket.read(&mut [0]);
            }
        }),
    );
    add(
        format!("{number} heads that never end, until each is answered with 408"),
        Box::new(move |addr| {
            for mut socket in stay(addr, number, b"GET /small.txt HTTP/1.1\r\nX-A: b") {
                let mut answer = Vec::new();
                let _ = socket.read_to_end(&mut answer);
                assert!(answer.starts_with(b"HTTP/1.1 408 "));
            }
        }),
    );
    let number = many(2_000);
    add(
        format!("{number} downloads of 32 MiB that nobody reads"),
        Box::new(move |addr| {
            let open = stay(addr, number, b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
            thread::sleep(Duration::from_secs(2));
            drop(open);
        }),
    );
    let number = many(200);
    add(
        format!("{number} HTTP/2 connections with 100 streams whose window never opens"),
        Box::new(move |addr| {
            let mut octets = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat();
            let large = [GOOD[0], GOOD[1], GOOD[2], (":path", "/large.bin")];
            (0..100).for_each(|number| octets.extend(headers(number * 2 + 1, &large)));
            let open = stay(addr, number, &octets);
            thread::sleep(Duration::from_secs(2));
            drop(open);
        }),
    );
    let number = many(100_000);
    add(
        format!("{number} streams, each reset at once, as far as the server lets them"),
        Box::new(move |addr| rapid_reset(addr, number, 2_000)),
    );
    add(
        format!("{number} streams, each reset at once, 20 a connection"),
        Box::new(move |addr| rapid_reset_and_leave(addr, number)),
    );
    add(
        format!("{number} streams, each reset when its answer begins"),
        Box::new(move |addr| slow_reset(addr, number)),
    );
    let number = many(1_000);
    add(
        format!("{number} floods of 10 000 CONTINUATIONs"),
        Box::new(move |addr| {
            let more = frame(CONTINUATION, 0, 1, &block(&[("a", "b")])).repeat(10_000);
            let octets = [preface(), frame(HEADERS, 0, 1, &block(&GOOD)), more].concat();
            for _ in 0..number {
                flood(addr, &octets, usize::MAX);
            }
        }),
    );
    for (name, one, answered) in [
        ("PING", frame(PING, 0, 0, &[7; 8]), 17),
        ("SETTINGS", frame(SETTINGS, 0, 0, b""), 9),
    ] {
        let number = many(2_000_000);
        add(
            format!("{number} {name} frames"),
            Box::new(move |addr| {
                let octets = [preface(), one.repeat(number)].concat();
                flood(addr, &octets, answered * number);
            }),
        );
    }
    let number = many(1_000);
    add(
        format!("{number} targets of 1 MB"),
        Box::new(move |addr| {
            let target = "a".repeat(1_000_000);
            let octets = format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n");
            for _ in 0..number {
                flood(addr, octets.as_bytes(), usize::MAX);
            }
        }),
    );
    let number = many(20_000);
    add(
        format!("{number} Ranges of 3 000 parts"),
        Box::new(move |addr| {
            let parts = "0-0,".repeat(3_000);
            let fields = format!("Host: a\r\nRange: bytes={parts}\r\n");
            let one = format!("GET /large.bin HTTP/1.1\r\n{fields}\r\n");
            let last = "GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            // Some at a time: each may be answered with the whole file.
            for _ in 0..number / 100 {
                let octets = one.replace("GET", "HEAD").repeat(99) + last;
                // A head for each, at the least.
                assert!(flood(addr, octets.as_bytes(), usize::MAX) > 100 * 100);
            }
        }),
    );
    let number = many(200_000);
    add(
        format!("{number} pipelined requests"),
        Box::new(move |addr| {
            let last = b"GET /small.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
            let octets = [GET.repeat(number - 1), last.to_vec()].concat();
            assert!(flood(addr, &octets, usize::MAX) > number * 100);
        }),
    );
    attacks
}

/// As [`rapid_reset`], with so few streams a connection that none is noticed.
fn rapid_reset_and_leave(addr: SocketAddr, streams: usize) {
    let mut octets = preface();
    for number in 0..20 {
        octets.extend(good(number * 2 + 1));
        octets.extend(frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
    }
    for _ in 0..streams / 20 {
        let mut socket = connect(addr);
        socket.write_all(&octets).unwrap();
        // The server's SETTINGS: it has begun.
        let _ = socket.read(&mut [0; 64]);
    }
}

/// Waits until the server has let go of everything that the attack held.
fn settle(pid: u32, descriptors_before: usize) {
    let until = Instant::now() + PATIENCE;
    while descriptors(pid) > descriptors_before {
        assert!(
            Instant::now() < until,
            "{} descriptors before the attack, {} after it",
            descriptors_before,
            descriptors(pid)
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn under_attack_the_server_holds_little_and_serves_on() {
    let folder = Folder::new();
    folder.write("small.txt", b"small\n");
    folder.write("large.bin", vec![b'x'; 32 * 1024 * 1024]);
    let server = Server::start(&folder, &["--log", "/dev/null"]);
    let (addr, pid) = (server.addr(), server.pid());
    // What is allocated once is there before the first measurement.
    let warm = Good::start(addr);
    thread::sleep(Duration::from_millis(200));
    warm.stop();
    let mut slow = Vec::new();
    println!(
        "| attack | took | memory before, peak, after (MiB) | descriptors before, peak, after | good client: requests, p99, longest |"
    );
    println!("|---|---|---|---|---|");
    let only = std::env::var("ENDWELL_ATTACK").unwrap_or_default();
    for (name, attack) in attacks()
        .into_iter()
        .filter(|(name, _)| name.contains(&only))
    {
        settle(pid, descriptors(pid));
        let before = held(pid);
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let most = Arc::new(AtomicBool::new(true));
        let watched = Arc::clone(&most);
        let peak = thread::spawn(move || {
            let mut peak = 0;
            while watched.load(Ordering::Relaxed) {
                peak = peak.max(descriptors(pid));
                thread::sleep(Duration::from_millis(50));
            }
            peak
        });
        let client = Good::start(addr);
        let begun = Instant::now();
        attack(addr);
        let took = begun.elapsed();
        let (requests, p99, longest) = client.stop();
        most.store(false, Ordering::Relaxed);
        let peak = Held {
            memory: status(pid, "VmHWM"),
            descriptors: peak.join().unwrap(),
        };
        settle(pid, before.descriptors);
        let after = held(pid);
        let mib = |held: Held| held.memory as f64 / 1024.0;
        println!(
            "| {name} | {:.1} s | {:.1}, {:.1}, {:.1} | {}, {}, {} | {requests}, {:.1} ms, {:.1} ms |",
            took.as_secs_f64(),
            mib(before),
            mib(peak),
            mib(after),
            before.descriptors,
            peak.descriptors,
            after.descriptors,
            p99.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3,
        );
        // The most that 2 000 downloads could hold: two frames of 256 KiB each, and half of it more.
        assert!(peak.memory < 1536 * 1024, "{name}: {} KiB", peak.memory);
        if p99 >= GOAL {
            slow.push(format!("{name}: {p99:?}"));
        }
    }
    assert!(!heavy() || slow.is_empty(), "over {GOAL:?}: {slow:#?}");
}
