//! A server whose responses end as the request asks: `cargo run -p endwell --example faulty`.
//!
//! It listens on two ports, plain and TLS, and prints their URLs; over TLS also HTTP/3, on the UDP port
//! of the same number. Targets look like
//! `/script?fault=mid&size=400000&cut=300000&frame=16384&promise=false`; the faults are those
//! of `tests/support/script.rs`. With `&keep=3600` caches may keep the answer for so many seconds; with `&page=shared` it is a
//! page, with `&page=private` one that no cache may reuse. The routes of the
//! examples `sse`, `ndjson` and `html` are there too. Records go to standard output as JSON.

#[path = "../tests/support/script.rs"]
mod script;

#[path = "../tests/support/certificate.rs"]
mod certificate;

#[allow(dead_code, unreachable_pub)]
#[path = "sse.rs"]
mod sse;

#[allow(dead_code, unreachable_pub)]
#[path = "ndjson.rs"]
mod ndjson;

#[allow(dead_code, unreachable_pub)]
#[path = "html.rs"]
mod html;

use std::future::IntoFuture;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use endwell::{Format, Log, Policy};

/// The scripts, with the fields that a request asks for; and the examples whose bodies have a tail.
fn app() -> Router {
    script::app()
        .layer(from_fn(fields))
        .merge(sse::app())
        .merge(ndjson::app())
        .merge(html::app())
}

async fn fields(request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let asked = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name));
    let page = asked("page=").map(|reuse| reuse == "private");
    let control = match (page, asked("keep=")) {
        (Some(true), _) => Some(HeaderValue::from_static("no-store")),
        (_, seconds) => seconds.and_then(|seconds| format!("max-age={seconds}").parse().ok()),
    };
    let mut response = next.run(request).await;
    if let Some(control) = control {
        response.headers_mut().insert(CACHE_CONTROL, control);
    }
    if page.is_some() {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
    }
    response
}

/// A TCP port whose number is free for UDP, too.
async fn both() -> std::io::Result<(tokio::net::TcpListener, std::net::UdpSocket)> {
    loop {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        match std::net::UdpSocket::bind(tcp.local_addr()?) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            udp => return Ok((tcp, udp?)),
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut policy = Policy {
        idle_deadline: Some(Duration::from_secs(2)),
        ..Policy::default()
    };
    policy.http10_hold.octets = 1;
    let log = Log::new(Format::Json, std::io::stdout())?;
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let (tls, udp) = both().await?;
    eprintln!("listening on http://{}", plain.local_addr()?);
    eprintln!("listening on https://{}", tls.local_addr()?);
    let plain = endwell::serve(endwell::listen(plain), app())
        .policy(policy.clone())
        .observer(log.clone());
    let switch = endwell::TlsSwitch::new(certificate::server_config());
    let listener = endwell::listen(tls).tls_switch(&switch);
    let tls = endwell::serve(listener, app())
        .quic(endwell::listen_quic(udp, switch)?)
        .policy(policy)
        .observer(log);
    tokio::try_join!(plain.into_future(), tls.into_future())?;
    Ok(())
}
