//! Heads and bodies that two readers could take for different requests, and bombs.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::attacked::{Attacked, CONTENT, DEADLINE};

/// What stands in the table in place of much.
fn much(what: char, times: usize) -> String {
    what.to_string().repeat(times)
}

/// A name, what is sent, and what must come: the statuses, then whether the connection lives.
fn table() -> Vec<(&'static str, String, &'static str)> {
    let mut table = Vec::new();
    let mut case = |name, octets: String, expected| table.push((name, octets, expected));
    let get = |fields: &str| format!("GET /file.txt HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let post = |fields: &str, body: &str| {
        format!("POST /file.txt HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
    };
    let inner = "GET /sub/file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";

    // Request lines.
    case("a good one", get(""), "200 keep");
    case("garbage", "\u{1}\u{2}\u{3} / \r\n\r\n".into(), "400 close");
    case(
        "a TLS hello",
        "\u{16}\u{3}\u{1}\0\u{5}hello\r\n\r\n".into(),
        "400 close",
    );
    case(
        "nothing but CRLF before",
        format!("\r\n\r\n{}", get("")),
        "200 keep",
    );
    case("HTTP/0.9", "GET /file.txt\r\n\r\n".into(), "400 close");
    case(
        "HTTP/1.2",
        "GET /file.txt HTTP/1.2\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "HTTP/2.0",
        "GET /file.txt HTTP/2.0\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "HTTP/1.10",
        "GET /file.txt HTTP/1.10\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "http/1.1",
        "GET /file.txt http/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "a method in lower case is another method",
        "get /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "405 keep",
    );
    case(
        "an unknown method",
        "BREW /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "405 keep",
    );
    case(
        "a method of no token",
        "GE(T /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "two spaces before the target",
        "GET  /file.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "two spaces before the version",
        "GET /file.txt  HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "a tab in the line",
        "GET\t/file.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "a space in the target",
        "GET /file .txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "NUL in the target",
        "GET /file\0.txt HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "no target",
        "GET HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "400 close",
    );
    case(
        "CONNECT",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n".into(),
        "405 keep",
    );
    case(
        "an asterisk",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(),
        "204 keep",
    );
    case(
        "the preface of HTTP/2, spoilt",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into(),
        "400 close",
    );

    // Host.
    case(
        "no Host",
        "GET /file.txt HTTP/1.1\r\n\r\n".into(),
        "400 close",
    );
    case(
        "no Host in HTTP/1.0",
        "GET /file.txt HTTP/1.0\r\n\r\n".into(),
        "200 close",
    );
    case(
        "an empty Host",
        "GET /file.txt HTTP/1.1\r\nHost:\r\n\r\n".into(),
        "200 keep",
    );
    case("two Hosts", get("Host: b\r\n"), "400 close");
    case("the same Host twice", get("Host: a\r\n"), "400 close");
    case(
        "two Hosts in HTTP/1.0",
        "GET /file.txt HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".into(),
        "400 close",
    );
    for bad in ["a b", "a/b", "user@a", "a:port", "[::1", "a\\b"] {
        let request = format!("GET /file.txt HTTP/1.1\r\nHost: {bad}\r\n\r\n");
        case("a bad Host", request, "400 close");
    }

    // Fields.
    case("a space before the colon", get("X-A : b\r\n"), "400 close");
    case(
        "a space before the coding's colon",
        get("Transfer-Encoding : chunked\r\n"),
        "400 close",
    );
    case("a folded line", get("X-A: b\r\n c\r\n"), "400 close");
    case(
        "a folded coding",
        get("Transfer-Encoding:\r\n chunked\r\n"),
        "400 close",
    );
    case(
        "a first field that begins with a space",
        "GET /file.txt HTTP/1.1\r\n Host: a\r\n\r\n".into(),
        "400 close",
    );
    case("a name of no octet", get(": b\r\n"), "400 close");
    case("a name of no token", get("X(A: b\r\n"), "400 close");
    case("a line without a colon", get("X-A\r\n"), "400 close");
    case("NUL in a value", get("X-A: b\0c\r\n"), "400 close");
    case("NUL in a name", get("X\0A: b\r\n"), "400 close");
    case("a bare CR in a value", get("X-A: b\rc\r\n"), "400 close");
    // A recipient may take a bare LF for the end of a line (RFC 9112 section 2.2).
    case(
        "bare LF",
        "GET /file.txt HTTP/1.1\nHost: a\n\n".into(),
        "200 keep",
    );
    case(
        "a bare CR for the end of a line",
        "GET /file.txt HTTP/1.1\rHost: a\r\r".into(),
        "400 close",
    );

    // Smuggling: lengths.
    case(
        "a body that a GET may have",
        format!("{}12345", get("Content-Length: 5\r\n")),
        "200 keep",
    );
    case(
        "Content-Length and Transfer-Encoding",
        post(
            &format!("Content-Length: 6\r\n{chunked}"),
            &format!("0\r\n\r\n{inner}"),
        ),
        "405 close",
    );
    case(
        "Transfer-Encoding and Content-Length",
        post(
            &format!("{chunked}Content-Length: 6\r\n"),
            &format!("0\r\n\r\n{inner}"),
        ),
        "405 close",
    );
    case(
        "two unequal Content-Lengths",
        post("Content-Length: 5\r\nContent-Length: 6\r\n", "123456"),
        "400 close",
    );
    case(
        "two equal Content-Lengths",
        post("Content-Length: 5\r\nContent-Length: 5\r\n", "12345"),
        "405 keep",
    );
    case(
        "a list of equal Content-Lengths",
        post("Content-Length: 5, 5\r\n", "12345"),
        "400 close",
    );
    case(
        "a list of unequal Content-Lengths",
        post("Content-Length: 5, 6\r\n", "12345"),
        "400 close",
    );
    for bad in [
        "-1",
        "+5",
        "0x5",
        "5 5",
        "",
        "1e1",
        "5;a",
        "18446744073709551616",
    ] {
        case(
            "a bad Content-Length",
            post(&format!("Content-Length: {bad}\r\n"), "12345"),
            "400 close",
        );
    }
    case(
        "a Content-Length that is never sent",
        post("Content-Length: 18446744073709551610\r\n", inner),
        "405 close",
    );
    case(
        "a body that is not there yet",
        post("Content-Length: 500\r\n", inner),
        "405 close",
    );
    case(
        "a request behind a body",
        format!("{}{inner}", post("Content-Length: 5\r\n", "12345")),
        "405 200 keep",
    );

    // Smuggling: codings.
    case(
        "chunked",
        post(chunked, "5\r\n12345\r\n0\r\n\r\n"),
        "405 keep",
    );
    case(
        "Chunked",
        post("transfer-encoding: Chunked\r\n", "0\r\n\r\n"),
        "405 keep",
    );
    case(
        "chunked twice",
        post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        "400 close",
    );
    case(
        "chunked in two lines",
        post(&format!("{chunked}{chunked}"), "0\r\n\r\n"),
        "400 close",
    );
    case(
        "an unknown coding",
        post("Transfer-Encoding: cow\r\n", "moo"),
        "400 close",
    );
    case(
        "an unknown coding, then chunked",
        post("Transfer-Encoding: cow, chunked\r\n", "0\r\n\r\n"),
        "501 close",
    );
    case(
        "chunked, then identity",
        post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        "400 close",
    );
    case(
        "chunked in quotes",
        post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
        "400 close",
    );
    case(
        "xchunked",
        post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        "400 close",
    );
    case(
        "a vertical tab before chunked",
        post("Transfer-Encoding: \u{b}chunked\r\n", "0\r\n\r\n"),
        "400 close",
    );
    case(
        "chunked in HTTP/1.0",
        "POST /file.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "400 close",
    );
    // What follows a coding is never taken for a request: its connection ends with the answer.
    for bad in [
        "g\r\n",
        "-1\r\n",
        "0x5\r\n",
        "5\n12345\n0\n\n",
        "5 \r\n12345",
        "ffffffffffffffff1\r\n",
        "5\r\n123456\r\n0\r\n\r\n",
        "\r\n",
        ";a\r\n",
    ] {
        case(
            "a bad chunk",
            post(chunked, &format!("{bad}{inner}")),
            "405 close",
        );
    }
    case(
        "a long chunk extension",
        post(
            chunked,
            &format!("5;{}\r\n12345\r\n0\r\n\r\n", much('a', 40_000)),
        ),
        "405 close",
    );
    case(
        "many trailers",
        post(chunked, &format!("0\r\n{}\r\n", "a: b\r\n".repeat(5_000))),
        "405 close",
    );

    // Bombs.
    case("100 fields", get(&"X-A: b\r\n".repeat(99)), "200 keep");
    case("101 fields", get(&"X-A: b\r\n".repeat(100)), "431 close");
    case(
        "10 000 fields",
        get(&"X-A: b\r\n".repeat(10_000)),
        "431 close",
    );
    case(
        "a long field",
        get(&format!("X-A: {}\r\n", much('a', 40_000))),
        "431 close",
    );
    case(
        "a field of 1 MB",
        get(&format!("X-A: {}\r\n", much('a', 1_000_000))),
        "431 close",
    );
    case(
        "a name of 1 MB",
        get(&format!("{}: a\r\n", much('a', 1_000_000))),
        "431 close",
    );
    case(
        "a field that never ends",
        format!("GET / HTTP/1.1\r\nX-A: {}", much('a', 1_000_000)),
        "431 close",
    );
    case(
        "a target of 8 000 octets",
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", much('a', 8_000)),
        "404 keep",
    );
    case(
        "a target of 9 000 octets",
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", much('a', 9_000)),
        "414 close",
    );
    case(
        "a target of 1 MB",
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", much('a', 1_000_000)),
        "414 close",
    );
    case(
        "a query of 1 MB",
        format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", much('a', 1_000_000)),
        "414 close",
    );
    case(
        "a method of 1 MB",
        format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", much('A', 1_000_000)),
        "414 close",
    );
    case("1 MB of one line", much('a', 1_000_000), "414 close");
    case("1 MB of empty lines", "\r\n".repeat(500_000), "431 close");
    case(
        "a Range of 3 000 parts",
        get(&format!("Range: bytes={}\r\n", "0-0,".repeat(3_000))),
        "200 keep",
    );
    case(
        "a Range of 10 000 parts",
        get(&format!("Range: bytes={}\r\n", "0-0,".repeat(10_000))),
        "431 close",
    );
    case(
        "a Range of large numbers",
        get("Range: bytes=0-99999999999999999999999\r\n"),
        "206 keep",
    );
    case(
        "Ranges that overlap",
        get(&format!("Range: bytes={}0-\r\n", "0-,".repeat(1_000))),
        "200 keep",
    );
    table
}

#[test]
fn every_input_has_its_answer() {
    let server = Attacked::new();
    let mut wrong = Vec::new();
    for (name, octets, expected) in table() {
        let outcome = server.connect().attack(octets.as_bytes());
        let start: String = octets.chars().take(120).collect();
        if outcome.to_string() != expected {
            wrong.push(format!("{name}: {outcome}, expected {expected}: {start:?}"));
        }
        // No answer is larger than the file and a page of errors.
        assert!(outcome.octets < 16 * 1024, "{name}: {}", outcome.octets);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    server.serves();
    server.is_left_alone();
}

/// The same over TLS: what is written below hyper must go through rustls.
#[test]
fn answers_without_hyper_go_through_tls() {
    let server = Attacked::with(endwell::Limits::default(), true);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", much('a', 100_000));
    let large = format!("GET / HTTP/1.1\r\nX-A: {}", much('a', 100_000));
    for (request, expected) in [(long, "414 close"), (large, "431 close")] {
        let client = server.connect_tls(&["http/1.1"]);
        let outcome = client.attack(request.as_bytes());
        assert_eq!(outcome.to_string(), expected);
    }
    server.is_left_alone();
}

/// Their beginnings come with others' ends: no limit may take a part of one for another's line.
#[test]
fn large_heads_may_be_pipelined() {
    let server = Attacked::new();
    let field = |octets| format!("X-A: {}\r\n", much('a', octets));
    for octets in [7_000, 12_000, 30_000] {
        let head = format!("GET /file.txt HTTP/1.1\r\nHost: a\r\n{}\r\n", field(octets));
        let outcome = server.connect().attack(head.repeat(20).as_bytes());
        assert_eq!(
            (outcome.statuses, outcome.end),
            (vec![200; 20], "keep"),
            "{octets}"
        );
    }
    let post = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{}",
        much('a', 9_000)
    );
    let get = format!("GET /file.txt HTTP/1.1\r\nHost: a\r\n{}\r\n", field(20_000));
    let outcome = server.connect().attack(format!("{post}{get}").as_bytes());
    // The body came with its head, or it did not: the connection then ends with the answer.
    let outcome = outcome.to_string();
    assert!(
        matches!(&*outcome, "405 200 keep" | "405 close"),
        "{outcome}"
    );
}

#[test]
fn ten_thousand_pipelined_requests_have_ten_thousand_answers() {
    let server = Attacked::new();
    let mut client = TcpStream::connect(server.addr).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut writer = client.try_clone().unwrap();
    let writes = std::thread::spawn(move || {
        let request = b"GET /file.txt HTTP/1.1\r\nHost: a\r\n\r\n";
        writer.write_all(&request.repeat(9_999)).unwrap();
        let last = b"GET /file.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        writer.write_all(last).unwrap();
    });
    let mut read = Vec::new();
    client.read_to_end(&mut read).unwrap();
    writes.join().unwrap();
    let count = |part: &[u8]| {
        read.windows(part.len())
            .filter(|window| *window == part)
            .count()
    };
    assert_eq!(
        (count(b"HTTP/1.1 200 OK\r\n"), count(CONTENT)),
        (10_000, 10_000)
    );
}
