//! A digest behind the body: made while it is sent, and sent only when it ended well, so that who compares it knows.
//!
//! `cargo run -p endwell --example digest [ADDRESS]`, then
//! `curl -sS -D- -H 'TE: trailers' http://127.0.0.1:3000/numbers -o numbers`: `Repr-Digest` (RFC 9530) comes last. `tests/examples.rs`
//! has a client that verifies it.

use std::io;

use axum::Router;
use axum::http::HeaderName;
use axum::routing::get;
use endwell::core::fields::{Digest, DigestAlgorithm};
use endwell::{Body, Format, Log, Observer, Trailers};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// So many numbers, if it gets so far.
fn numbers(reaches: u32) -> Body {
    let body = endwell::stream(move |mut producer| async move {
        let mut sha256 = Sha256::new();
        for number in 0..10_000 {
            if number == reaches {
                return Err("the numbers ran out".into());
            }
            let line = format!("{number}\n");
            sha256.update(&line);
            producer.send(line).await?;
        }
        let digest = Digest::new(DigestAlgorithm::Sha256, sha256.finalize().to_vec())
            .ok_or("a digest of another length")?;
        producer.trailers(Trailers::new().repr_digest(&digest));
        Ok(producer.finish())
    });
    // HTTP/1.1 sends what was announced.
    body.may_trail([REPR_DIGEST])
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    let app = Router::new()
        .route("/numbers", get(|| async { numbers(u32::MAX) }))
        .route("/broken", get(|| async { numbers(5_000) }));
    endwell::serve(tcp, app).observer(records).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    run(tcp, Log::new(Format::Combined, io::stdout())?).await
}
