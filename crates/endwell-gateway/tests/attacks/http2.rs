//! Frames that HTTP/2 forbids, and floods of those that it allows.

use std::time::Instant;

use endwell::{Limits, Policy};

use crate::attacked::{Attacked, Client, DEADLINE};
use crate::frames::*;

/// A good request with more fields, on stream 1.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, &[&GOOD[..], fields].concat())
}

/// A good request with another field in place of the one of that name.
fn instead(name: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let others = GOOD.iter().filter(|(field, _)| *field != name);
    let all: Vec<_> = fields.iter().chain(others).copied().collect();
    headers(1, &all)
}

/// What a server said first of all that matters, in words.
struct Heard {
    decoder: loona_hpack::Decoder<'static>,
}

fn reason(code: &[u8]) -> &'static str {
    const REASONS: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    let code = u32::from_be_bytes(code.try_into().unwrap());
    REASONS.get(code as usize).copied().unwrap_or("unknown")
}

impl Heard {
    fn new() -> Self {
        Self {
            decoder: loona_hpack::Decoder::new(),
        }
    }

    /// Takes one frame from the octets and says what it means, if it is whole and matters.
    fn next(&mut self, octets: &mut Vec<u8>) -> Option<Option<String>> {
        let head = octets.get(..9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let payload = octets.get(9..9 + length)?.to_vec();
        octets.drain(..9 + length);
        Some(match kind {
            HEADERS => {
                assert_eq!(flags & (END_HEADERS | PADDED), END_HEADERS);
                let fields = self.decoder.decode(&payload).unwrap();
                let status = fields.iter().find(|(name, _)| name == b":status").unwrap();
                Some(String::from_utf8(status.1.clone()).unwrap())
            }
            RST_STREAM => Some(format!("RST_STREAM {}", reason(&payload))),
            GOAWAY => Some(format!("GOAWAY {}", reason(&payload[4..8]))),
            _ => None,
        })
    }
}

/// Sends frames after the preface and our SETTINGS; gives what the server says first.
fn attack(server: &Attacked, frames: &[u8]) -> String {
    let octets = [PREFACE, &frame(SETTINGS, 0, 0, b""), frames].concat();
    first(server.connect(), &octets)
}

fn first(mut client: Client, octets: &[u8]) -> String {
    client.send(octets);
    let mut heard = Heard::new();
    let until = Instant::now() + DEADLINE;
    loop {
        while let Some(said) = heard.next(&mut client.read) {
            if let Some(said) = said {
                return said;
            }
        }
        if let Some(end) = client.more(until) {
            return end.to_owned();
        }
    }
}

const CALM: &str = "GOAWAY ENHANCE_YOUR_CALM";
const PROTOCOL: &str = "GOAWAY PROTOCOL_ERROR";
const SIZE: &str = "GOAWAY FRAME_SIZE_ERROR";
const FLOW: &str = "GOAWAY FLOW_CONTROL_ERROR";
/// h2 ends the connection where RFC 9113 names the stream; its section 5.4.1 allows that.
const ENDED: &str = PROTOCOL;
/// h2 says PROTOCOL_ERROR where RFC 9113 has a code of its own: COMPRESSION_ERROR,
/// FRAME_SIZE_ERROR or FLOW_CONTROL_ERROR. The connection ends all the same.
const OTHER_CODE: &str = PROTOCOL;
const MALFORMED: &str = "RST_STREAM PROTOCOL_ERROR";

/// A name, frames, and what must come first.
fn table() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let setting = |id: u16, value: u32| {
        let payload = [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &block(&GOOD));
    let update = |stream, octets: u32| frame(WINDOW_UPDATE, 0, stream, &octets.to_be_bytes());
    let long = "a".repeat(40_000);
    let path = format!("/{}", "a".repeat(9_000));
    vec![
        ("a good one", good(1), "200"),
        // Malformed requests (RFC 9113 section 8.1.1): the stream's error.
        ("no :path", instead(":path", &[]), MALFORMED),
        (
            "an empty :path",
            instead(":path", &[(":path", "")]),
            MALFORMED,
        ),
        (
            "a :path without a slash",
            instead(":path", &[(":path", "file.txt")]),
            MALFORMED,
        ),
        ("no :method", instead(":method", &[]), MALFORMED),
        ("no :scheme", instead(":scheme", &[]), MALFORMED),
        ("two :path", with(&[(":path", "/")]), MALFORMED),
        ("an unknown pseudo field", with(&[(":a", "b")]), ENDED),
        (
            "a pseudo field of responses",
            with(&[(":status", "200")]),
            MALFORMED,
        ),
        (
            "a pseudo field after another",
            headers(1, &[("a", "b"), GOOD[0], GOOD[1], GOOD[2], GOOD[3]]),
            MALFORMED,
        ),
        ("a name in upper case", with(&[("X-A", "b")]), ENDED),
        ("an empty name", with(&[("", "b")]), ENDED),
        ("a name with a space", with(&[("a b", "c")]), ENDED),
        ("NUL in a value", with(&[("a", "b\0c")]), ENDED),
        ("LF in a value", with(&[("a", "b\nc: d")]), ENDED),
        ("connection", with(&[("connection", "close")]), MALFORMED),
        ("keep-alive", with(&[("keep-alive", "a")]), MALFORMED),
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
            MALFORMED,
        ),
        ("upgrade", with(&[("upgrade", "a")]), MALFORMED),
        ("te other than trailers", with(&[("te", "gzip")]), MALFORMED),
        ("a host that is another", with(&[("host", "b")]), "400"),
        (
            "an :authority with a user",
            instead(":authority", &[(":authority", "user@a")]),
            "400",
        ),
        (
            "a content-length that the body exceeds",
            [
                frame(
                    HEADERS,
                    END_HEADERS,
                    1,
                    &block(&[&GOOD[..], &[("content-length", "1")]].concat()),
                ),
                frame(DATA, END_STREAM, 1, b"12"),
            ]
            .concat(),
            MALFORMED,
        ),
        // Targets.
        (
            "out of the folder",
            instead(":path", &[(":path", "/../secret.txt")]),
            "404",
        ),
        (
            "out of the folder, in percent",
            instead(":path", &[(":path", "/%2e%2e/secret.txt")]),
            "404",
        ),
        (
            "a target of 9 000 octets",
            instead(":path", &[(":path", &path)]),
            "414",
        ),
        // Heads that are too large.
        (
            "a head of 40 000 octets",
            split(1, &block(&[&GOOD[..], &[("a", &long)]].concat())),
            "431",
        ),
        ("an HPACK bomb", bomb(), CALM),
        ("a CONTINUATION flood", flood(1_000), CALM),
        (
            "a flood of empty CONTINUATIONs",
            [
                frame(HEADERS, 0, 1, &block(&GOOD)),
                frame(CONTINUATION, 0, 1, b"").repeat(1_000),
            ]
            .concat(),
            CALM,
        ),
        // HPACK that cannot be decoded.
        (
            "an index that does not exist",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff, 0x7f]),
            OTHER_CODE,
        ),
        (
            "an integer without end",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 20]),
            OTHER_CODE,
        ),
        (
            "a table size over ours",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[0x3f, 0xff, 0xff, 0x3f],
            ),
            OTHER_CODE,
        ),
        // Frames of a wrong size.
        (
            "a frame larger than allowed",
            frame(DATA, 0, 1, &[0; 16_385]),
            SIZE,
        ),
        (
            "SETTINGS of 5 octets",
            frame(SETTINGS, 0, 0, &[0; 5]),
            OTHER_CODE,
        ),
        (
            "an ACK of SETTINGS that has some",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            OTHER_CODE,
        ),
        ("PING of 7 octets", frame(PING, 0, 0, &[0; 7]), OTHER_CODE),
        (
            "WINDOW_UPDATE of 3 octets",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            OTHER_CODE,
        ),
        (
            "RST_STREAM of 3 octets",
            [good(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            OTHER_CODE,
        ),
        (
            "padding longer than its frame",
            frame(HEADERS, PADDED | END_HEADERS, 1, &[200, 0]),
            PROTOCOL,
        ),
        // Frames where they must not be.
        ("HEADERS on stream 0", good(0), PROTOCOL),
        ("HEADERS on an even stream", good(2), PROTOCOL),
        (
            "HEADERS on an older stream",
            [open(3), open(1)].concat(),
            PROTOCOL,
        ),
        ("DATA on an idle stream", frame(DATA, 0, 1, b"a"), PROTOCOL),
        (
            "RST_STREAM on an idle stream",
            frame(RST_STREAM, 0, 1, &[0; 4]),
            PROTOCOL,
        ),
        ("WINDOW_UPDATE on an idle stream", update(1, 1), PROTOCOL),
        (
            "CONTINUATION out of nothing",
            frame(CONTINUATION, END_HEADERS, 1, b""),
            PROTOCOL,
        ),
        (
            "another frame among CONTINUATIONs",
            [
                frame(HEADERS, 0, 1, &block(&GOOD)),
                frame(PING, 0, 0, &[0; 8]),
            ]
            .concat(),
            PROTOCOL,
        ),
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), PROTOCOL),
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
        (
            "PUSH_PROMISE from a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
            PROTOCOL,
        ),
        (
            "a priority of its own",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 0]),
            MALFORMED,
        ),
        // Windows and settings.
        ("a window that grows by nothing", update(0, 0), PROTOCOL),
        (
            "a window over its limit",
            update(0, 0x7fff_ffff).repeat(2),
            FLOW,
        ),
        (
            "a stream's window over its limit",
            [open(1), update(1, 0x7fff_ffff).repeat(2)].concat(),
            "RST_STREAM FLOW_CONTROL_ERROR",
        ),
        (
            "an initial window over its limit",
            setting(4, 0x8000_0000),
            OTHER_CODE,
        ),
        ("a frame size below the least", setting(5, 16_383), PROTOCOL),
        ("ENABLE_PUSH of 2", setting(2, 2), PROTOCOL),
        // Streams.
        (
            "a stream over the limit",
            (0..129)
                .flat_map(|number| {
                    frame(
                        HEADERS,
                        END_HEADERS,
                        number * 2 + 1,
                        &block(&[
                            (":method", "POST"),
                            GOOD[1],
                            GOOD[2],
                            (":path", "/large.bin"),
                        ]),
                    )
                })
                .collect(),
            "RST_STREAM REFUSED_STREAM",
        ),
    ]
}

/// RFC 9113 section 3.4 wants SETTINGS first; h2 takes what comes. Nothing depends on it.
#[test]
fn h2_without_its_settings_is_served() {
    let server = Attacked::new();
    let octets = [PREFACE, &good(1)].concat();
    assert_eq!(first(server.connect(), &octets), "200");
}

/// A head in frames of the largest size.
fn split(stream: u32, block: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut parts = block.chunks(16_384).peekable();
    let mut kind = (HEADERS, END_STREAM);
    while let Some(part) = parts.next() {
        let last = if parts.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        frames.extend(frame(kind.0, kind.1 | last, stream, part));
        kind = (CONTINUATION, 0);
    }
    frames
}

/// A value of 4 000 octets in the table, then named ten thousand times: 40 MB in 14 kB.
fn bomb() -> Vec<u8> {
    let mut octets = block(&GOOD);
    octets.push(0x40);
    octets.extend(length(1));
    octets.push(b'a');
    octets.extend(length(4_000));
    octets.extend([b'b'; 4_000]);
    octets.extend([0x80 | 62; 10_000]);
    split(1, &octets)
}

/// A head whose end never comes.
fn flood(frames: usize) -> Vec<u8> {
    let more = frame(CONTINUATION, 0, 1, &block(&[("a", "b")]));
    [frame(HEADERS, 0, 1, &block(&GOOD)), more.repeat(frames)].concat()
}

#[test]
fn every_frame_has_its_answer() {
    let server = Attacked::new();
    let mut wrong = Vec::new();
    for (name, frames, expected) in table() {
        let said = attack(&server, &frames);
        if said != expected {
            wrong.push(format!("{name}: {said}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.serves();
    server.is_left_alone();
}

/// Reads until the connection has ended; gives all that was said.
fn all(client: &mut Client) -> Vec<String> {
    let mut heard = Heard::new();
    let mut said = Vec::new();
    let until = Instant::now() + DEADLINE;
    loop {
        while let Some(word) = heard.next(&mut client.read) {
            said.extend(word);
        }
        if let Some(end) = client.more(until) {
            said.push(end.to_owned());
            return said;
        }
    }
}

fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

#[test]
fn h2_rapid_reset_in_one_burst_ends_the_connection_calmly() {
    let server = Attacked::new();
    let mut client = server.connect();
    let mut octets = preface();
    for stream in (1..2_000).step_by(2) {
        octets.extend(good(stream));
        octets.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    client.send(&octets);
    let said = all(&mut client);
    assert!(said.contains(&CALM.to_owned()), "{said:?}");
    server.serves();
    server.is_left_alone();
}

/// Each stream is looked at before it is reset: h2 counts nothing, the connection does.
#[test]
fn h2_rapid_reset_one_by_one_ends_the_connection() {
    let server = Attacked::new();
    let mut client = server.connect();
    client.send(&preface());
    let large = [GOOD[0], GOOD[1], GOOD[2], (":path", "/large.bin")];
    let mut heard = Heard::new();
    let mut ended = None;
    let mut stream = 1;
    while ended.is_none() && stream < 4_000 {
        client.send(&headers(stream, &large));
        loop {
            let mut answered = false;
            while let Some(said) = heard.next(&mut client.read) {
                answered |= said.as_deref() == Some("200");
            }
            if answered {
                break;
            }
            ended = client.more(Instant::now() + DEADLINE);
            if ended.is_some() {
                break;
            }
        }
        client.send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        stream += 2;
    }
    assert!(ended.is_some(), "{stream} streams were not enough");
    // 256 cancelled streams, then GOAWAY, then 256 more.
    assert!((2 * 256..2 * 520).contains(&stream), "{stream}");
    server.serves();
    server.is_left_alone();
}

#[test]
fn h2_floods_of_allowed_frames_are_answered_or_ended_and_nobody_else_notices() {
    let server = Attacked::new();
    for (name, frames) in [
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, b"")),
        ("PRIORITY", frame(PRIORITY, 0, 3, &[0, 0, 0, 1, 0])),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        ),
        ("an unknown frame", frame(0x42, 0, 0, b"a")),
        (
            "RST_STREAM of a closed stream",
            frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes()),
        ),
    ] {
        let mut client = server.connect();
        client.send(&[preface(), good(1)].concat());
        for _ in 0..20 {
            client.send(&frames.repeat(1_000));
            server.serves();
            // Answers are read: what is not read stops the reading of more.
            while client
                .more(Instant::now() + std::time::Duration::from_millis(1))
                .is_none()
            {}
            client.read.clear();
        }
        eprintln!("{name}: done");
    }
    server.is_left_alone();
}

#[test]
fn h2_client_that_reads_no_answers_to_its_pings_is_let_go() {
    let server = Attacked::with(
        Limits {
            idle: std::time::Duration::from_millis(500),
            ..Limits::default()
        },
        false,
    );
    let mut client = server.connect();
    client.send(&preface());
    // 64 MB of PINGs, whose answers fill both kernels' buffers: the server then reads no more.
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(10_000);
    let write = std::thread::spawn(move || {
        for _ in 0..400 {
            client.send(&pings);
        }
        client
    });
    server.serves();
    server.is_left_alone();
    let _ = write.join().unwrap();
}

#[test]
fn h2_window_that_never_opens_ends_with_the_stall_deadline() {
    let server = Attacked::new();
    server.controls.set_policy(Policy {
        stall_deadline: Some(std::time::Duration::from_millis(300)),
        ..Policy::default()
    });
    let mut client = server.connect();
    let none = [0, 4, 0, 0, 0, 0];
    client.send(&[PREFACE, &frame(SETTINGS, 0, 0, &none), &good(1)].concat());
    let said = all(&mut client);
    assert_eq!(said.first().map(String::as_str), Some("200"));
    assert_eq!(said.len(), 2, "{said:?}");
    server.serves();
    server.is_left_alone();
}

#[test]
fn h2_idle_gets_goaway_and_is_closed() {
    let server = Attacked::with(
        Limits {
            idle: std::time::Duration::from_millis(300),
            ..Limits::default()
        },
        false,
    );
    let mut client = server.connect();
    client.send(&[preface(), good(1)].concat());
    // It never answers the PING that follows GOAWAY.
    let said = all(&mut client);
    assert_eq!(said[..2], ["200", "GOAWAY NO_ERROR"], "{said:?}");
    assert_eq!(server.controls.connections().idle, 1);
    server.is_left_alone();
}

#[test]
fn h2_preface_in_two_pieces_is_no_late_head() {
    let limits = Limits {
        head_timeout: std::time::Duration::from_millis(300),
        idle: std::time::Duration::from_millis(900),
        ..Limits::default()
    };
    let server = Attacked::with(limits, false);
    let mut client = server.connect();
    client.send(&PREFACE[..1]);
    let apart = Instant::now() + std::time::Duration::from_millis(50);
    assert_eq!(client.more(apart), Some("hang"));
    client.send(&preface()[1..]);
    let until = Instant::now() + DEADLINE;
    while client.more(until).is_none() {}
    assert!(!crate::attacked::holds(&client.read, b"408"));
    let counts = server.controls.connections();
    assert_eq!((counts.late, counts.idle), (0, 1));
    server.is_left_alone();
}
