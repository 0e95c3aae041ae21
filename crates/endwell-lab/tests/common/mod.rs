//! Scripted peers on plain std sockets: they accept one connection and play literal octets.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};

/// Listens on port 0, accepts once and runs the script on a thread.
pub fn peer(script: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        script(socket);
    });
    addr
}

/// Reads up to the end of an HTTP/1 request head.
pub fn read_head(socket: &mut impl Read) -> Vec<u8> {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut octet).unwrap() == 0 {
            break;
        }
        head.push(octet[0]);
    }
    head
}

/// Ends with a clean FIN: half-close, then read what the client still says.
pub fn fin(mut socket: TcpStream) {
    socket.shutdown(Shutdown::Write).unwrap();
    let _ = socket.read_to_end(&mut Vec::new());
}

/// Ends with RST.
pub fn rst(socket: TcpStream) {
    socket2::SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// A peer that reads an HTTP/1 request head, writes octets and ends as told.
pub fn http1(octets: &'static [u8], end: fn(TcpStream)) -> SocketAddr {
    peer(move |mut socket| {
        read_head(&mut socket);
        socket.write_all(octets).unwrap();
        end(socket);
    })
}

/// Waits for the client to leave.
pub fn wait(mut socket: TcpStream) {
    let _ = socket.read_to_end(&mut Vec::new());
}

/// A peer that speaks TLS and hands the script the connection after the request's first octets.
pub fn tls_peer(
    alpn: &'static str,
    script: impl FnOnce(&mut ServerConnection, TcpStream) + Send + 'static,
) -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    peer(move |mut socket| {
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        let mut octets = [0; 4096];
        let mut request = Vec::new();
        // The preface of HTTP/2 contains the same four octets as an HTTP/1 head's end.
        while !request.windows(4).any(|octets| octets == b"\r\n\r\n") {
            let count = stream.read(&mut octets).unwrap();
            request.extend_from_slice(&octets[..count]);
        }
        script(&mut tls, socket);
    })
}

/// Encrypts and writes octets.
pub fn tls_write(tls: &mut ServerConnection, socket: &mut TcpStream, octets: &[u8]) {
    rustls::Stream::new(tls, socket).write_all(octets).unwrap();
    while tls.wants_write() {
        tls.write_tls(socket).unwrap();
    }
}

/// Sends a close_notify.
pub fn tls_close_notify(tls: &mut ServerConnection, socket: &mut TcpStream) {
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(socket).unwrap();
    }
}

/// Makes an HTTP/2 frame; the payload is literal.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut octets = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    octets.extend_from_slice(&[kind, flags]);
    octets.extend_from_slice(&stream.to_be_bytes());
    octets.extend_from_slice(payload);
    octets
}

/// An empty SETTINGS frame.
pub const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// HEADERS with `:status: 200` on stream 1, END_HEADERS.
pub const OK_1: &[u8] = b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88";

/// Reads one frame: kind, flags, stream, payload. `None` at the end.
pub fn read_frame(socket: &mut impl Read) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut header = [0; 9];
    socket.read_exact(&mut header).ok()?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload).ok()?;
    let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
    Some((header[3], header[4], stream, payload))
}

/// Reads the preface and frames until so many HEADERS came.
pub fn read_requests(socket: &mut impl Read, count: usize) {
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let mut left = count;
    while left > 0 {
        let (kind, ..) = read_frame(socket).unwrap();
        left -= usize::from(kind == 1);
    }
}

/// A peer that reads one HTTP/2 request, writes SETTINGS and these octets, and ends as told.
pub fn http2(octets: Vec<u8>, end: fn(TcpStream)) -> SocketAddr {
    peer(move |mut socket| {
        read_requests(&mut socket, 1);
        socket.write_all(SETTINGS).unwrap();
        socket.write_all(&octets).unwrap();
        end(socket);
    })
}

/// Answers PINGs until the client leaves.
pub fn answer_pings(mut socket: TcpStream) {
    while let Some((kind, flags, _, payload)) = read_frame(&mut socket) {
        if kind == 6 && flags & 1 == 0 {
            socket.write_all(&frame(6, 1, 0, &payload)).unwrap();
        }
    }
}
