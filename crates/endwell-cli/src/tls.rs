//! Certificates and keys.
//!
//! Reads: two PEM files, or nothing. Gives: a TLS configuration with ring as its provider, for
//! HTTP/2 and HTTP/1.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// `http/1.0` because `curl --http1.0` offers it alone.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];

/// The configuration for a certificate with its chain, and the key that belongs to it.
pub(crate) fn from_files(certificate: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let chain = chain(certificate)?;
    let private = private_key(key)?;
    configuration(chain, private).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => anyhow!(
                "the key in {key} does not belong to the certificate in {certificate}; give --tls-key the one that it was made with"
            ),
            error => anyhow!(
                "{certificate} and {key} cannot be used ({error}); give --tls-cert and --tls-key another pair"
            ),
        }
    })
}

/// The configuration for a certificate that is made now and trusted by nobody.
pub(crate) fn self_signed(names: Vec<String>) -> anyhow::Result<Arc<ServerConfig>> {
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| anyhow!("cannot make a certificate ({error}); use --tls-cert"))?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    configuration(vec![made.cert.der().clone()], key)
        .map_err(|error| anyhow!("cannot use the certificate made ({error}); use --tls-cert"))
}

fn configuration(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

fn chain(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let way_out = "give --tls-cert a PEM file with a certificate";
    let octets = read(file, way_out)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(anyhow!(
            "{} holds no certificate; {way_out}",
            file.display()
        )),
        Ok(chain) => Ok(chain),
        Err(error) => Err(anyhow!(
            "{} is damaged ({error}); {way_out}",
            file.display()
        )),
    }
}

fn private_key(file: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let way_out = "give --tls-key a PEM file with an unencrypted private key";
    let octets = read(file, way_out)?;
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            anyhow!("{} holds no private key; {way_out}", file.display())
        }
        error => anyhow!("{} is damaged ({error}); {way_out}", file.display()),
    })
}

fn read(file: &Path, way_out: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file)
        .map_err(|error| anyhow!("cannot read {} ({error}); {way_out}", file.display()))
}
