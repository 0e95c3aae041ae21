//! A TLS configuration that is exchanged while the listener runs.
#![allow(missing_docs)]

#[path = "support/certificate.rs"]
mod certificate;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, routing::get};
use endwell::TlsSwitch;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned,
};

const DEADLINE: Duration = Duration::from_secs(15);

type Client = StreamOwned<ClientConnection, TcpStream>;

fn connect(addr: SocketAddr, config: &Arc<ClientConfig>) -> Client {
    let socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    StreamOwned::new(connection, socket)
}

/// Asks and reads the short answer; the connection stays open.
fn ask(client: &mut Client) {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).unwrap();
    let mut seen = Vec::new();
    let mut octet = [0];
    while !seen.ends_with(b"\r\n\r\nwhole") {
        client.read_exact(&mut octet).unwrap();
        seen.push(octet[0]);
    }
    assert!(seen.starts_with(b"HTTP/1.1 200 "));
}

fn certificate(client: &Client) -> CertificateDer<'static> {
    client.conn.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[test]
fn h11_tls_a_new_certificate_is_for_new_connections_and_old_ones_live_on() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let switch = TlsSwitch::new(certificate::server_config());
    let tcp = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = endwell::listen(tcp).tls_switch(&switch);
    assert!(listener.is_tls());
    let app = Router::new().route("/", get(|| async { "whole" }));
    runtime.spawn(endwell::serve(listener, app).into_future());

    let config = client();
    let mut old = connect(addr, &config);
    ask(&mut old);
    let mut resumed = connect(addr, &config);
    ask(&mut resumed);
    assert_eq!(resumed.conn.handshake_kind(), Some(HandshakeKind::Resumed));

    switch.set(certificate::server_config());
    ask(&mut old);
    let mut new = connect(addr, &config);
    ask(&mut new);
    assert_eq!(new.conn.handshake_kind(), Some(HandshakeKind::Full));
    assert_ne!(certificate(&old), certificate(&new));
    ask(&mut old);
}

fn client() -> Arc<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// Any certificate: this test looks at which one comes.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
