//! hyper without axum: a function from hyper's requests to responses, on our listener.
//!
//! `cargo run -p endwell --example plain_hyper [ADDRESS]`, then `curl http://127.0.0.1:3000/count`. Of the crate's features it needs
//! `listen` alone.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use endwell::{Body, Format, Log, Observer};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(match request.uri().path() {
        "/count" => count(10).into_http(),
        "/broken" => count(3).into_http(),
        _ => {
            let mut response = Body::full("not here\n").into_http();
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

/// Counts to ten, if it gets so far.
fn count(reaches: u32) -> Body {
    endwell::stream(move |mut producer| async move {
        for number in 1..=10 {
            if number > reaches {
                return Err("the counter broke".into());
            }
            producer.send(format!("{number}\n")).await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(producer.finish())
    })
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    endwell::serve(tcp, tower::service_fn(answer))
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
