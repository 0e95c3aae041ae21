//! A certificate made on the spot.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{DEFAULT_VERSIONS, ServerConfig, SupportedProtocolVersion};

/// A self-signed certificate for both protocols.
pub fn server_config() -> Arc<ServerConfig> {
    server_config_of(DEFAULT_VERSIONS)
}

/// The same for these versions of TLS.
pub fn server_config_of(versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])
        .expect("a certificate can be made");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("key and certificate match");
    // curl --http1.0 offers `http/1.0` alone: without it there is no handshake.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    Arc::new(config)
}
