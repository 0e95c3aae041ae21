//! A client that keeps its connection although the answer failed: it asks for the ending, and the server tells it in a trailer.
//!
//! `cargo run -p endwell --example trailer [ADDRESS]`, then compare
//!
//! ```text
//! curl -sS -D- -H 'TE: trailers' -H 'Want-Ending: ?1' http://127.0.0.1:3000/report   # Ending: failed;...
//! curl -sS -D- http://127.0.0.1:3000/report                                          # curl: (18), it did not ask
//! ```
//!
//! A client that does not know `Ending` would take such an answer for whole. So only who asks gets it, and only where no cache
//! may keep it.

use std::io;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::routing::get;
use endwell::{Body, Format, Log, Observer, Policy, Signal};
use tokio::net::TcpListener;

async fn report() -> Body {
    let body = endwell::stream(|mut producer| async move {
        producer.send("one of two parts\n").await?;
        Err("the second part is not there".into())
    });
    body.header(CACHE_CONTROL, "no-store")
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    let policy = Policy {
        signal: Signal::Trailer,
        ..Policy::default()
    };
    let app = Router::new()
        .route("/report", get(report))
        .route("/", get(|| async { "hello\n" }));
    endwell::serve(tcp, app)
        .policy(policy)
        .observer(records)
        .await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    run(tcp, Log::new(Format::Combined, io::stdout())?).await
}
