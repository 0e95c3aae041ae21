//! HTTP/3 beside HTTP/1 and 2: the same application, the same endings, one port number.
//!
//! `cargo run -p endwell --example http3 [ADDRESS]`, then with a curl that speaks it
//! `curl -k --http3 https://127.0.0.1:3443/fails`. The certificate is made on the spot: browsers want one that they
//! trust before they try HTTP/3.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use endwell::{Body, Cause, Format, Log, Observer, TlsSwitch};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

fn app() -> Router {
    Router::new()
        .route("/", get(|| async { "whole\n" }))
        .route("/fails", get(|| async { rows(3) }))
}

/// Four rows, unless the table has fewer.
fn rows(there: usize) -> Body {
    endwell::stream(move |mut producer| async move {
        for row in 0..4 {
            if row == there {
                return Err(Cause::producer("the table ends in row 3").into());
            }
            producer.send(format!("row {row}\n")).await?;
        }
        Ok(producer.finish())
    })
}

pub(crate) async fn run(
    tcp: TcpListener,
    tls: Arc<ServerConfig>,
    records: impl Observer,
) -> io::Result<()> {
    // One certificate, also when it is exchanged.
    let tls = TlsSwitch::new(tls);
    let udp = UdpSocket::bind(tcp.local_addr()?)?;
    endwell::serve(endwell::listen(tcp).tls_switch(&tls), app())
        .quic(endwell::listen_quic(udp, tls)?)
        .observer(records)
        .await
}

/// A certificate that nobody trusts yet.
fn self_signed() -> io::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            let config = config.with_no_client_auth();
            config.with_single_cert(vec![made.cert.der().clone()], key)
        })
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    Ok(Arc::new(config))
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let tcp = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3443")).await?;
    println!("listening on https://{}/fails", tcp.local_addr()?);
    let log = Log::new(Format::Combined, io::stdout())?;
    run(tcp, self_signed()?, log).await
}
