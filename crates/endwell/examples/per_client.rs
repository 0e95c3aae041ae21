//! Some clients and proxies take a signal for something else. For them alone the server speaks otherwise.
//!
//! `cargo run -p endwell --example per_client [ADDRESS]`, then compare
//!
//! ```text
//! curl http://127.0.0.1:3000/page                    # cut at its end: a part of it is missing
//! curl -A OldReader/2 http://127.0.0.1:3000/page     # whole: it would show nothing of a page that was cut
//! curl -H 'Via: 1.1 old-proxy' http://127.0.0.1:3000/stream
//! ```
//!
//! The record says for all of them that the response was degraded, or failed.

use std::io;

use axum::Router;
use axum::routing::get;
use endwell::core::OpenChunk;
use endwell::{Body, Format, Log, Observer, Override, Rule, Severity};
use tokio::net::TcpListener;

/// A page one of whose parts could not be made.
async fn page() -> Body {
    let body = endwell::stream(|mut producer| async move {
        producer
            .send("<h1>News</h1>\n<p>The weather is missing.</p>\n")
            .await?;
        producer.degrade("no answer from the weather service");
        Ok(producer.finish())
    });
    body.content_type("text/html; charset=utf-8")
}

async fn stream() -> Body {
    endwell::stream(|mut producer| async move {
        producer.send("a line\n").await?;
        Err("there was no other line".into())
    })
}

fn rules() -> [Rule; 2] {
    [
        // Degraded pages end clean for it; failed ones never do, for anybody.
        Rule::agent("OldReader/2", Override::new().tell(Severity::Fatal)),
        // It overlooks a missing last chunk, but not half a chunk.
        Rule::header(
            "via",
            "old-proxy",
            Override::new().open_chunk(OpenChunk::Always),
        ),
    ]
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    let app = Router::new()
        .route("/page", get(page))
        .route("/stream", get(stream));
    let mut server = endwell::serve(tcp, app).observer(records);
    for rule in rules() {
        server = server.rule(rule);
    }
    server.await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    run(tcp, Log::new(Format::Combined, io::stdout())?).await
}
