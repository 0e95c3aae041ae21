//! A real client: hyper's, each request on a connection of its own.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use endwell::Record;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Generous: the machines that judge are slow and busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Which protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http1,
    Http2,
}

pub const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// What a client got of a response.
#[derive(Debug)]
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub octets: Vec<u8>,
    pub trailers: HeaderMap,
    /// What hyper says was wrong with the body; `None` is its word for a whole one.
    pub error: Option<String>,
}

impl Got {
    pub fn is_whole(&self) -> bool {
        self.error.is_none()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.octets).expect("the body is text")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.get(name)?.to_str().ok()
    }

    /// One line, without the body.
    pub fn line(&self) -> String {
        let octets = self.octets.len();
        format!("{}, {octets} octets, error {:?}", self.status, self.error)
    }
}

/// Asks with GET and these fields, and reads to the end.
pub fn get(addr: SocketAddr, speaks: Speaks, target: &str, fields: &[(&str, &str)]) -> Got {
    ask(addr, speaks, request(target, fields))
}

/// A GET for this server.
pub fn request(target: &str, fields: &[(&str, &str)]) -> http::request::Builder {
    let mut request = Request::get(format!("http://localhost{target}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request
}

/// Asks, and reads to the end.
pub fn ask(addr: SocketAddr, speaks: Speaks, request: http::request::Builder) -> Got {
    block_on(async { read(send(addr, speaks, request).await).await })
}

/// Runs what a client does, within the deadline.
pub fn block_on<F: Future>(client: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(async { tokio::time::timeout(DEADLINE, client).await })
        .expect("it is done in time")
}

/// Asks, and reads the head.
pub async fn send(
    addr: SocketAddr,
    speaks: Speaks,
    request: http::request::Builder,
) -> Response<Incoming> {
    let tcp = TcpStream::connect(addr).await.expect("it listens");
    let io = TokioIo::new(tcp);
    let mut request = request.body(Empty::<Bytes>::new()).expect("a request");
    match speaks {
        Speaks::Http1 => {
            let host = http::HeaderValue::from_static("localhost");
            request.headers_mut().insert(http::header::HOST, host);
            // A client without a proxy sends the path alone (RFC 9112 section 3.2.1).
            let path = request.uri().path_and_query().expect("a path").to_string();
            *request.uri_mut() = path.parse().expect("a path is a target");
            let (mut sender, conn) = hyper::client::conn::http1::handshake(io)
                .await
                .expect("HTTP/1");
            tokio::spawn(conn);
            sender.send_request(request).await.expect("a head")
        }
        Speaks::Http2 => {
            let (mut sender, conn) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .expect("HTTP/2");
            tokio::spawn(conn);
            sender.send_request(request).await.expect("a head")
        }
    }
}

/// Reads a response to its end.
pub async fn read(response: Response<Incoming>) -> Got {
    let (head, mut body) = response.into_parts();
    let mut got = Got {
        status: head.status,
        headers: head.headers,
        octets: Vec::new(),
        trailers: HeaderMap::new(),
        error: None,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(octets)) => got.octets.extend_from_slice(&octets),
            Ok(Err(frame)) => {
                if let Ok(fields) = frame.into_trailers() {
                    got.trailers.extend(fields);
                }
            }
            Err(error) => {
                got.error = Some(format!("{error:?}"));
                break;
            }
        }
    }
    got
}

/// Runs a server of its own on a port of its own, until it is dropped.
pub struct Served {
    pub addr: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    /// `serve` gets the listening socket.
    pub fn start<F, Fut, T>(serve: F) -> Self
    where
        F: FnOnce(tokio::net::TcpListener) -> Fut,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let tcp = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("loopback has a free port");
        let addr = tcp.local_addr().expect("a bound socket has an address");
        let inside = runtime.enter();
        let serving = serve(tcp);
        drop(inside);
        runtime.spawn(serving);
        Self {
            addr,
            runtime: Some(runtime),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Keeps every record.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Vec<Record>>>);

impl Records {
    pub fn observer(&self) -> impl endwell::Observer + use<> {
        let kept = Arc::clone(&self.0);
        move |record| kept.lock().expect("no panic holds it").push(record)
    }

    /// The first record of a target.
    pub fn of(&self, target: &str) -> Record {
        self.wait_for(|record| record.target == target)
    }

    /// The first record that is so.
    pub fn wait_for(&self, is_it: impl Fn(&Record) -> bool) -> Record {
        let until = Instant::now() + DEADLINE;
        loop {
            let records = self.0.lock().expect("no panic holds it");
            if let Some(record) = records.iter().find(|record| is_it(record)) {
                return record.clone();
            }
            drop(records);
            assert!(Instant::now() < until, "there is no such record");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
