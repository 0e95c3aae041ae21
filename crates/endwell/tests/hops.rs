//! `Ending` across proxies: what a client that asked may conclude behind two honest hops, and
//! behind one that drops trailers.

mod support;

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONNECTION, HOST, HeaderName, TE, TRANSFER_ENCODING};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use endwell::core::{Confirmation, Evidence, Verdict, verdict};
use endwell::{Abort, BoxError, Cause, Policy, Signal};
use endwell_lab::observe::{Pace, Seen, http1, http2};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use support::{Server, Setup};

const WANT_ENDING: HeaderName = HeaderName::from_static("want-ending");

/// Says complete, degraded or failed; as soon as it is known, or after a while.
fn origin(policy: Policy) -> Server {
    async fn say(axum::extract::Path(how): axum::extract::Path<String>) -> Response {
        let body = endwell::stream(move |mut producer| async move {
            producer.send("first, ").await?;
            tokio::task::yield_now().await;
            producer.send("second").await?;
            match how.as_str() {
                "complete" => Ok(producer.finish()),
                "degraded" => {
                    producer.degrade("a part is out of date");
                    Ok(producer.finish())
                }
                _ => Err(Abort::from(Cause::producer("the disk failed"))),
            }
        });
        ([(CACHE_CONTROL, "no-store")], body).into_response()
    }
    let setup = Setup {
        policy,
        ..Setup::default()
    };
    setup.start(Router::new().route("/{how}", get(say)))
}

/// Asks the next hop what it was asked, and gives back what it gets: also trailers, also an abort.
async fn forward(next: SocketAddr, request: Request) -> Result<Response, BoxError> {
    let tcp = tokio::net::TcpStream::connect(next).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    let mut onward = axum::http::Request::get(request.uri().path()).header(HOST, "origin.test");
    // A hop that passes trailers on may say so for a client that takes them, and for no other.
    if let Some(te) = request.headers().get(TE) {
        onward = onward.header(TE, te).header(CONNECTION, "TE");
    }
    if let Some(want) = request.headers().get(WANT_ENDING) {
        onward = onward.header(WANT_ENDING, want);
    }
    let answer = sender
        .send_request(onward.body(Empty::<bytes::Bytes>::new())?)
        .await?;
    let mut answer = answer.map(AxumBody::new);
    answer.headers_mut().remove(CONNECTION);
    answer.headers_mut().remove(TRANSFER_ENCODING);
    Ok(answer)
}

async fn or_502(answer: Result<Response, BoxError>) -> Response {
    answer.unwrap_or_else(|error| {
        (axum::http::StatusCode::BAD_GATEWAY, error.to_string()).into_response()
    })
}

/// A proxy that passes endings on.
fn honest(next: SocketAddr, policy: Policy) -> Server {
    let hop = move |request: Request| async move { or_502(forward(next, request).await).await };
    let setup = Setup {
        policy,
        ..Setup::default()
    };
    setup.start(Router::new().fallback(hop))
}

/// A proxy on a stock server that passes an abort on, and drops trailers; with or without a word
/// of what it drops.
struct Dropper {
    addr: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn dropper(next: SocketAddr, silent: bool) -> Dropper {
    let hop = move |mut request: Request| async move {
        if silent {
            request.headers_mut().remove(TE);
        }
        let answer = forward(next, request).await;
        let answer = answer.map(|it| it.map(|body| AxumBody::from_stream(body.into_data_stream())));
        or_502(answer).await
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let tcp = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .expect("loopback has a free port");
    let addr = tcp.local_addr().expect("a bound socket has an address");
    runtime.spawn(async move { axum::serve(tcp, Router::new().fallback(hop)).await });
    Dropper {
        addr,
        _runtime: runtime,
    }
}

/// What a client that asks concludes, over HTTP/1.1 and HTTP/2.
fn verdicts(addr: SocketAddr, path: &str) -> [Verdict; 2] {
    let request = http1::Request::get11(path)
        .with("TE", "trailers")
        .with("Connection", "TE")
        .with("Want-Ending", "?1");
    let fields = [("te", "trailers"), ("want-ending", "?1")];
    let h1 = http1::observe(addr, None, &request, &Pace::fast());
    let h2 = http2::observe(addr, None, path, &fields, &Pace::fast());
    [h1, h2].map(|seen| {
        assert_eq!(seen.status, Some(200), "{}", seen.verdict_line());
        assert_eq!(seen.body, b"first, second", "{}", seen.verdict_line());
        judge(&seen)
    })
}

fn judge(seen: &Seen) -> Verdict {
    let announced = seen
        .header("trailer")
        .is_some_and(|names| names.split(',').any(|name| name.trim() == "ending"));
    let field = seen
        .trailers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("ending"));
    let lines: Vec<_> = field.map(|(_, value)| value.as_str()).collect();
    let field = (!lines.is_empty()).then(|| lines.join(", "));
    verdict(&Evidence {
        confirmation: Confirmation::of(announced, field.as_deref().map(str::as_bytes)),
        ..seen.evidence().expect("a framing was seen")
    })
}

fn telling() -> Policy {
    Policy {
        signal: Signal::Trailer,
        ..Policy::default()
    }
}

#[test]
fn two_honest_hops_confirm_what_is_complete_and_break_what_is_not() {
    let origin = origin(Policy::default());
    let first = honest(origin.addr, Policy::default());
    let second = honest(first.addr, Policy::default());
    assert_eq!(verdicts(second.addr, "/complete"), [Verdict::Complete; 2]);
    assert_eq!(verdicts(second.addr, "/failed"), [Verdict::Incomplete; 2]);
    assert_eq!(verdicts(second.addr, "/degraded"), [Verdict::Incomplete; 2]);
    for hop in [&first, &second] {
        let record = hop.record("/complete");
        assert_eq!(record.trailers_sent, ["ending"], "{}", record.json());
    }
}

#[test]
fn two_honest_hops_pass_on_what_is_declared_if_their_policy_lets_them() {
    let origin = origin(telling());
    let first = honest(origin.addr, telling());
    let second = honest(first.addr, telling());
    assert_eq!(verdicts(second.addr, "/complete"), [Verdict::Complete; 2]);
    assert_eq!(verdicts(second.addr, "/failed"), [Verdict::Declared; 2]);
    assert_eq!(verdicts(second.addr, "/degraded"), [Verdict::Declared; 2]);
    let record = second.record("/failed");
    assert_eq!(record.ending.as_str(), "failed", "{}", record.json());
    assert_eq!(record.ended_by().as_str(), "upstream");
    assert_eq!(record.error_type(), Some("producer_error"));

    let strict = honest(first.addr, Policy::default());
    assert_eq!(verdicts(strict.addr, "/failed"), [Verdict::Incomplete; 2]);
}

#[test]
fn behind_a_hop_that_drops_trailers_nothing_is_certain_but_a_failure() {
    let origin = origin(Policy::default());
    for silent in [false, true] {
        let honest_below = honest(origin.addr, Policy::default());
        let dropper = dropper(honest_below.addr, silent);
        let above = honest(dropper.addr, Policy::default());
        for addr in [dropper.addr, above.addr] {
            let complete = verdicts(addr, "/complete");
            assert_eq!(complete, [Verdict::Undetermined; 2], "silent: {silent}");
            assert_eq!(verdicts(addr, "/failed"), [Verdict::Incomplete; 2]);
        }
        let record = above.record("/complete");
        assert_eq!(record.said_by.as_str(), "source", "{}", record.json());
    }
}

#[test]
fn what_was_declared_and_dropped_is_never_taken_for_complete() {
    let origin = origin(telling());
    let dropper = dropper(origin.addr, false);
    let above = honest(dropper.addr, telling());
    for addr in [dropper.addr, above.addr] {
        assert_eq!(verdicts(addr, "/failed"), [Verdict::Undetermined; 2]);
        assert_eq!(verdicts(addr, "/complete"), [Verdict::Undetermined; 2]);
    }
}
