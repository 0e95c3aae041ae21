//! Producers that end as they are told, and the octets they produce.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use endwell::{Abort, Cause, Producer};
use serde::Deserialize;

/// How a producer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It does not: the response is complete.
    None,
    /// The producer is dropped.
    Drop,
    /// The closure panics.
    Panic,
    /// The handler panics.
    HandlerPanic,
    /// An error before the first octet.
    First,
    /// An error after the head was let go, before the first octet.
    Committed,
    /// An error right after the data, with no pause.
    Mid,
    /// An error some time after the data.
    Pause,
    /// An error after the octet that would fulfil the promise.
    Last,
    /// The task that writes is aborted.
    Aborted,
    /// More octets than were promised.
    Over,
    /// It says complete below the promise.
    Short,
    /// It gives nothing more and never ends.
    Silent,
    /// Something in it is wrong, but it is whole.
    Degraded,
}

/// What a request asks the script for.
#[derive(Debug, Clone, Deserialize)]
pub struct Ask {
    pub fault: Fault,
    /// Octets in all, if nothing went wrong.
    pub size: usize,
    /// Octets before the fault.
    pub cut: usize,
    /// Octets a frame.
    pub frame: usize,
    /// Whether the size is promised.
    pub promise: bool,
    /// Tells requests apart.
    #[serde(default)]
    pub id: u64,
}

impl Ask {
    pub fn target(&self) -> String {
        let fault = format!("{:?}", self.fault);
        let mut name = String::new();
        for c in fault.chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        format!(
            "/script?fault={name}&size={}&cut={}&frame={}&promise={}&id={}",
            self.size, self.cut, self.frame, self.promise, self.id
        )
    }
}

/// The octets of a body: no run of them equals another run at another place nearby.
pub fn octets(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut octets = Vec::with_capacity(len);
    for _ in 0..len {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        octets.push(b'a' + (state % 26) as u8);
    }
    octets
}

/// An application that answers every script.
pub fn app() -> Router {
    Router::new()
        .route("/script", get(script))
        .route("/hello", get(|| async { "hello\n" }))
}

async fn script(Query(ask): Query<Ask>) -> Response {
    if ask.fault == Fault::HandlerPanic {
        panic!("the handler panics");
    }
    let promise = ask.promise.then_some(ask.size as u64);
    let body = if ask.fault == Fault::Aborted {
        aborted(ask)
    } else {
        endwell::stream(move |producer| run(ask, producer))
    };
    match promise {
        Some(octets) => body.promise(octets).into_response(),
        None => body.into_response(),
    }
}

async fn send(ask: &Ask, producer: &mut Producer, upto: usize) -> Result<(), Abort> {
    let all = Bytes::from(octets(upto));
    let mut at = 0;
    while at < upto {
        let end = (at + ask.frame).min(upto);
        producer.send(all.slice(at..end)).await?;
        at = end;
    }
    Ok(())
}

async fn run(ask: Ask, mut producer: Producer) -> Result<endwell::Finished, Abort> {
    match ask.fault {
        Fault::First => {}
        Fault::Committed => producer.commit().await?,
        Fault::None | Fault::Degraded | Fault::Last => send(&ask, &mut producer, ask.size).await?,
        Fault::Over => send(&ask, &mut producer, ask.size + 7).await?,
        Fault::Drop
        | Fault::Panic
        | Fault::HandlerPanic
        | Fault::Mid
        | Fault::Pause
        | Fault::Aborted
        | Fault::Short
        | Fault::Silent => send(&ask, &mut producer, ask.cut).await?,
    }
    match ask.fault {
        Fault::None | Fault::Short => Ok(producer.finish()),
        Fault::Degraded => {
            producer.degrade("a part of it is missing");
            Ok(producer.finish())
        }
        Fault::Drop => {
            drop(producer);
            std::future::pending::<()>().await;
            unreachable!("nobody wakes a pending future");
        }
        Fault::Panic | Fault::HandlerPanic => panic!("the closure panics"),
        Fault::Pause => {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err(Cause::producer("the disk failed").into())
        }
        Fault::Silent => {
            std::future::pending::<()>().await;
            Ok(producer.finish())
        }
        Fault::First
        | Fault::Committed
        | Fault::Mid
        | Fault::Last
        | Fault::Over
        | Fault::Aborted => Err(Cause::producer("the disk failed").into()),
    }
}

/// A body whose writer is a task that is aborted once it has written its octets.
fn aborted(ask: Ask) -> endwell::Body {
    let (mut producer, body) = endwell::channel();
    let (written, done) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let _ = send(&ask, &mut producer, ask.cut).await;
        let _ = written.send(());
        std::future::pending::<()>().await;
        drop(producer);
    });
    tokio::spawn(async move {
        let _ = done.await;
        writer.abort();
    });
    body
}
