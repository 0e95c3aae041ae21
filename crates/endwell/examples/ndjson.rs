//! Rows as lines of JSON; the database dies in the middle of one.
//!
//! `cargo run -p endwell --example ndjson`, then:
//!
//! ```text
//! curl -sS http://127.0.0.1:3000/rows | tail -n 2
//! ```

use axum::Router;
use axum::routing::get;
use endwell::{Abort, Retry, Tail};

const ROWS: u32 = 1000;

/// Half a row, then nothing: a driver that hands on what it has.
async fn rows() -> endwell::Body {
    let body = endwell::stream(|mut producer| async move {
        for row in 0..ROWS {
            producer
                .send(format!("{{\"row\":{row},\"text\":\"some text\"}}\n"))
                .await?;
        }
        producer.send(format!("{{\"row\":{ROWS},\"te")).await?;
        let cause = endwell::Cause::producer("connection to 10.0.0.5 lost").with_retry(Retry::Safe);
        Err::<endwell::Finished, _>(Abort::from(cause))
    });
    let tail = Tail::ndjson().detail(|cause| Some(format!("ask again: {:?}", cause.retry)));
    body.content_type("application/x-ndjson").tail(tail)
}

/// The application.
pub fn app() -> Router {
    Router::new().route("/rows", get(rows))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    eprintln!("listening on http://{}", tcp.local_addr()?);
    let log = endwell::Log::new(endwell::Format::Combined, std::io::stdout())?;
    endwell::serve(endwell::listen(tcp), app())
        .observer(log)
        .await
}
