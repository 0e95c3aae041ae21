//! An axum application as it is usually served. `after.rs` differs from it in one line.
//!
//! `cargo run -p endwell --example before [ADDRESS]`, then `curl http://127.0.0.1:3000/export`.

use std::io;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;

/// A query of 100 000 rows that loses its database at row 40 000.
fn rows() -> impl Stream<Item = io::Result<String>> {
    stream::iter(0..100_000_u32).map(|number| match number {
        40_000 => Err(io::Error::other("the database closed the connection")),
        _ => Ok(format!("{number},some text\n")),
    })
}

async fn bug() -> &'static str {
    panic!("a bug")
}

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/export", get(|| async { Body::from_stream(rows()) }))
        .route(
            "/nothing",
            get(|| async { Body::from_stream(rows().skip(40_000)) }),
        )
        .route("/bug", get(bug))
}

pub(crate) async fn serve(tcp: TcpListener) -> io::Result<()> {
    axum::serve(tcp, app()).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    serve(tcp).await
}
