//! tonic beside axum, on one port: gRPC passes untouched, and a call that fails is recorded as failed.
//!
//! `cargo run -p endwell --example grpc [ADDRESS]`, then `curl http://127.0.0.1:3000/report`, and any gRPC client for
//! `grpc.health.v1.Health`.

use std::io;

use axum::Router;
use axum::routing::get;
use endwell::{Body, Format, Log, Observer};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::ServingStatus;

/// A page of the ordinary kind beside the calls.
async fn report() -> Body {
    endwell::stream(|mut producer| async move {
        for line in ["all", "is", "well"] {
            producer.send(format!("{line}\n")).await?;
        }
        Ok(producer.finish())
    })
}

async fn app() -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("shop", ServingStatus::Serving)
        .await;
    Routes::new(health)
        .prepare()
        .into_axum_router()
        .route("/report", get(report))
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    endwell::serve(tcp, app().await).observer(records).await
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    run(tcp, Log::new(Format::Combined, io::stdout())?).await
}
