//! `endwell serve --http3`: the same files, endings and records over QUIC.
#![cfg(unix)]

mod common;

use std::fs;
use std::net::{TcpListener, UdpSocket};

use common::{Folder, Server, endwell, run_command};
use endwell_lab::observe::http1::Request;
use endwell_lab::observe::{ClientTls, Pace, SeenEnd, http1, http3};

fn start(folder: &Folder, args: &[&str]) -> Server {
    let mut command = endwell();
    command.args(["serve", folder.root(), "--listen", "127.0.0.1:0"]);
    command.args(["--tls-self-signed", "--http3", "--log-format", "json"]);
    Server::start_with(command.args(args), 2)
}

fn pattern(octets: usize) -> Vec<u8> {
    (0..octets).map(|at| (at % 251) as u8).collect()
}

#[test]
fn http3_is_answered_on_the_udp_port_of_https_which_tells_of_it() {
    let folder = Folder::new();
    folder.write("file.bin", pattern(300_000));
    let mut server = start(&folder, &[]);
    let addr = server.addr();
    assert_eq!(server.urls[1], format!("https://{addr} for HTTP/3 (UDP)"));
    let tls = ClientTls::new(&["http/1.1"]);
    let seen = http1::observe(
        addr,
        Some(&tls),
        &Request::get11("/file.bin"),
        &Pace::fast(),
    );
    let told = format!("h3=\":{}\"; ma=86400", addr.port());
    assert_eq!(seen.header("alt-svc"), Some(told.as_str()));
    server.logs();
    let seen = http3::observe(addr, "/file.bin", &[("range", "bytes=1-")], &Pace::fast());
    assert_eq!(seen.status, Some(206));
    assert!(seen.is_complete(), "{}", seen.verdict_line());
    assert!(seen.body == pattern(300_000)[1..]);
    assert_eq!(seen.header("alt-svc"), None, "it is known");
    let line = server.logs();
    for part in [
        r#""protocol":"3""#,
        r#""ending":"complete""#,
        r#""octets_acked":299999"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    server.signal("TERM");
    assert!(server.wait().success());
}

#[test]
fn h3_file_that_shrinks_peer_sees_what_stayed_and_a_reset() {
    let folder = Folder::new();
    let path = folder.write("file.bin", pattern(8_000_000));
    let server = start(&folder, &[]);
    let pace = Pace {
        window: Some(20_000),
        ..Pace::fast()
    };
    let mut connection = http3::Connection::connect(server.addr(), &pace).expect("it accepts");
    let stream = connection.get("/file.bin", &[]).expect("a stream opens");
    connection.read_until(stream, |seen| !seen.body.is_empty());
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(6_000_000).unwrap();
    let seen = connection.observe(stream);
    assert_eq!(
        seen.end,
        SeenEnd::StreamReset(0x10c),
        "{}",
        seen.verdict_line()
    );
    assert!(seen.body == pattern(6_000_000), "{}", seen.verdict_line());
    let line = server.logs();
    for part in [r#""ending":"failed""#, r#""error_type":"source_changed""#] {
        assert!(line.contains(part), "{part}: {line}");
    }
    folder.write("other", "still there");
    let stream = connection
        .get("/other", &[])
        .expect("the connection lives on");
    assert_eq!(connection.observe(stream).body, b"still there");
}

#[test]
fn a_udp_port_that_is_taken_is_named() {
    let folder = Folder::new();
    // A port whose number is free for TCP and taken for UDP.
    let (port, _taken) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = tcp.local_addr().unwrap();
        if let Ok(udp) = UdpSocket::bind(addr) {
            break (addr.port(), udp);
        }
    };
    let listen = format!("127.0.0.1:{port}");
    let mut command = endwell();
    command.args([
        "serve",
        folder.root(),
        "--tls-self-signed",
        "--http3",
        "--listen",
        &listen,
    ]);
    let (code, _, said) = run_command(&mut command);
    assert_eq!(code, Some(1), "{said}");
    let due = format!(
        "error: the UDP port {listen} is already in use; choose another with --listen, or leave out --http3\n"
    );
    assert_eq!(said, due);
}
