//! A plain tower service in a server loop of its own: what [`endwell::layer`] gives where the listener cannot be changed.
//!
//! `cargo run -p endwell --example plain_tower [ADDRESS]`, then `curl http://127.0.0.1:3000/early` and `/late`. Early failures are
//! a 500, every response is recorded, panics are caught. But what hyper had not sent when a body broke is lost, and over
//! HTTP/1.0 a body waits until it is known to be good.

use std::convert::Infallible;
use std::io;
use std::pin::pin;

use endwell::{Body, Format, Log, Observer};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let late = request.uri().path() == "/late";
    let early = request.uri().path() == "/early";
    let body = endwell::stream(move |mut producer| async move {
        if early {
            return Err("nothing was there".into());
        }
        producer.send("a line\n").await?;
        if late {
            return Err("there was no other line".into());
        }
        Ok(producer.finish())
    });
    Ok(body.into_http())
}

pub(crate) async fn run(tcp: TcpListener, records: impl Observer) -> io::Result<()> {
    let service = ServiceBuilder::new()
        .layer(endwell::layer().observer(records))
        .service(service_fn(answer));
    loop {
        let (socket, _) = tcp.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
            // Its errors are in the records. And never poll it again after one: it would write a last chunk.
            let _ = connection.await;
        });
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    run(tcp, Log::new(Format::Combined, io::stdout())?).await
}
