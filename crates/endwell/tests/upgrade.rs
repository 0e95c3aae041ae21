//! A connection that was upgraded belongs to another protocol: nothing of HTTP is looked for in it.
#![allow(missing_docs)]

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longer than any wait of the server.
const DEADLINE: Duration = Duration::from_secs(15);
/// More than a head, and a line of it, may have.
const OCTETS: usize = 100 * 1024;

/// Says back what comes.
async fn echo(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.expect("an upgrade");
        let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
    headers.insert(header::UPGRADE, "echo".parse().unwrap());
    Ok(response)
}

#[tokio::test]
async fn an_upgraded_connection_carries_what_is_no_head() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let server = endwell::serve(endwell::listen(tcp), tower::service_fn(echo));
    tokio::spawn(server.into_future());
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let octet = timeout(DEADLINE, client.read_u8()).await.expect("in time");
        head.push(octet.expect("a head"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    for round in 0..2 {
        let sent = vec![7_u8; OCTETS];
        let (mut from, mut to) = client.split();
        let mut back = vec![0_u8; OCTETS];
        let (written, read) = timeout(DEADLINE, async {
            tokio::join!(to.write_all(&sent), from.read_exact(&mut back))
        })
        .await
        .expect("in time");
        assert!(written.is_ok() && read.is_ok() && back == sent, "{round}");
    }
}
