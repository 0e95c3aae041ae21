//! Tails of bodies, however they are filled.

use std::io;
use std::pin::Pin;
use std::task::{Poll, Waker};

use futures_util::{FutureExt, StreamExt};
use http_body::Body as HttpBody;

use crate::{Body, Broken, Producer};

use super::*;

/// All that a body gives, and how it ended.
fn drain(mut body: Body) -> (Vec<u8>, Option<Broken>) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut all = Vec::new();
    for _ in 0..1000 {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => {}
            Poll::Ready(None) => return (all, None),
            Poll::Ready(Some(Err(broken))) => {
                let again = Pin::new(&mut body).poll_frame(&mut cx);
                assert!(matches!(again, Poll::Ready(None)), "an error is the last");
                return (all, Some(broken));
            }
            Poll::Ready(Some(Ok(frame))) => {
                all.extend_from_slice(&frame.into_data().unwrap_or_default());
            }
        }
    }
    panic!("the body does not end");
}

fn foreign(parts: Vec<io::Result<&'static str>>) -> Body {
    Body::from_stream(futures_util::stream::iter(parts))
}

async fn one_row(producer: &mut Producer) -> Result<(), crate::ClientGone> {
    producer.send("1\n").await
}

fn bodies() -> Vec<(&'static str, Body)> {
    let failing = || vec![Ok("1\n"), Err(io::Error::other("disk"))];
    let (mut producer, dropped) = crate::channel();
    let sent = one_row(&mut producer).now_or_never();
    assert_eq!(sent, Some(Ok(())));
    drop(producer);
    let panicking = futures_util::stream::iter([0, 1]).map(|at| match at {
        0 => Ok::<_, io::Error>("1\n"),
        _ => panic!("the stream panics"),
    });
    let closure = crate::stream(|mut producer| async move {
        one_row(&mut producer).await?;
        Err("disk".into())
    });
    let degraded = crate::stream(|mut producer| async move {
        one_row(&mut producer).await?;
        producer.degrade("a part");
        Ok(producer.finish())
    });
    let inner = crate::stream(|mut producer| async move {
        one_row(&mut producer).await?;
        producer.degrade("a part");
        Ok(producer.finish())
    });
    vec![
        ("producer_error", closure),
        ("producer_dropped", dropped),
        ("producer_error", foreign(failing())),
        ("producer_panicked", Body::from_stream(panicking)),
        ("producer_error", Body::from_body(foreign(failing()))),
        ("producer_error degraded", degraded),
        ("producer_error degraded", Body::from_body(inner)),
    ]
}

#[test]
fn every_body_ends_with_its_tail_and_then_its_error() {
    for (due, body) in bodies() {
        let (octets, broken) = drain(body.tail(Tail::ndjson()));
        let text = String::from_utf8(octets).expect("text");
        let line = text.strip_prefix("1\n").expect("the row").trim_end();
        let json: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let (error, ending) = due.split_once(' ').unwrap_or((due, "failed"));
        assert_eq!(
            (&json["error"], &json["ending"]),
            (&error.into(), &ending.into())
        );
        let broken = broken.expect("the abort follows the reason");
        assert_eq!(broken.ending().as_str(), ending);
    }
}

#[test]
fn a_complete_body_passes_unchanged() {
    for body in [foreign(vec![Ok("1\n"), Ok("2\n")]), Body::full("1\n2\n")] {
        let (octets, broken) = drain(body.tail(Tail::ndjson()));
        assert_eq!(octets, b"1\n2\n");
        assert!(broken.is_none());
    }
}

#[test]
fn an_error_before_the_first_octet_is_left_to_the_head() {
    let (octets, broken) = drain(foreign(vec![Err(io::Error::other("disk"))]).tail(Tail::sse()));
    assert!(octets.is_empty());
    assert!(broken.is_some());
}

#[test]
fn what_the_server_says_is_told_too() {
    let (mut producer, body) = crate::channel();
    let sent = one_row(&mut producer).now_or_never();
    assert_eq!(sent, Some(Ok(())));
    let mut body = body.tail(Tail::ndjson());
    let link = body.marker().tail.expect("a tail has a link");
    let mut cx = Context::from_waker(Waker::noop());
    let row = Pin::new(&mut body).poll_frame(&mut cx);
    assert!(matches!(row, Poll::Ready(Some(Ok(_)))));
    assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
    let cause = Cause::new(endwell_core::Kind::ServerShutdown, "stop");
    link.order(Ending::Failed(cause));
    let (octets, broken) = drain(body);
    let json: serde_json::Value = serde_json::from_slice(&octets).expect("a line of JSON");
    assert_eq!(json["error"], "server_shutdown");
    assert!(broken.is_some());
    drop(producer);
}
