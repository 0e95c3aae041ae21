//! Certificates and keys.
//!
//! Reads: two PEM files, or nothing. Gives: a TLS configuration with ring as its provider, for
//! HTTP/2 and HTTP/1; and whether the files have changed since.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Unusable;
use crate::limited;

/// `http/1.0` because `curl --http1.0` offers it alone.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];
/// The largest PEM file, in octets: a chain is a few thousand, and a device that never ends is
/// noticed.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A certificate with its chain, and the key that belongs to it: two PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What two files were when they were looked at; as long as it is the same, so are they.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([Option<Facts>; 2]);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    octets: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: [i64; 4],
}

impl Pair {
    /// Reads both files, or says what is wrong with each.
    pub(super) fn load(&self) -> Result<Arc<ServerConfig>, Vec<Unusable>> {
        let (chain, private) = match (chain(&self.certificate), private_key(&self.key)) {
            (Ok(chain), Ok(private)) => (chain, private),
            (chain, private) => return Err(chain.err().into_iter().chain(private.err()).collect()),
        };
        let unusable = |error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Unusable::new(
                    "tls-key",
                    format!(
                        "the key in {key} does not belong to the certificate in {certificate}; give --tls-key the one that it was made with"
                    ),
                ),
                error => Unusable::new(
                    "tls-cert",
                    format!(
                        "{certificate} and {key} cannot be used ({error}); give --tls-cert and --tls-key another pair"
                    ),
                ),
            }
        };
        configuration(chain, private).map_err(|error| vec![unusable(error)])
    }

    /// Looks at both files without reading them.
    pub(super) fn look(&self) -> Stamp {
        let facts = |file: &Path| file.metadata().ok().map(|data| Facts::of(&data));
        Stamp([facts(&self.certificate), facts(&self.key)])
    }
}

impl Facts {
    fn of(data: &Metadata) -> Self {
        Self {
            octets: data.len(),
            modified: data.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt;
                let inode = i64::from_ne_bytes(data.ino().to_ne_bytes());
                let device = i64::from_ne_bytes(data.dev().to_ne_bytes());
                [device, inode, data.ctime(), data.ctime_nsec()]
            },
        }
    }
}

/// The configuration for a certificate that is made now and trusted by nobody.
pub(super) fn self_signed(names: Vec<String>) -> Result<Arc<ServerConfig>, Unusable> {
    let unusable = |what: &str, error: &dyn std::fmt::Display| {
        Unusable::new(
            "tls-self-signed",
            format!("cannot {what} ({error}); use --tls-cert"),
        )
    };
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| unusable("make a certificate", &error))?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    configuration(vec![made.cert.der().clone()], key)
        .map_err(|error| unusable("use the certificate made", &error))
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

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let (key, way_out) = ("tls-cert", "give --tls-cert a PEM file with a certificate");
    let octets = read(file, key, way_out)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    let file = file.display();
    let why = match chain {
        Ok(chain) if chain.is_empty() => format!("{file} holds no certificate; {way_out}"),
        Ok(chain) => return Ok(chain),
        Err(error) => format!("{file} is damaged ({error}); {way_out}"),
    };
    Err(Unusable::new(key, why))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Unusable> {
    let (key, way_out) = (
        "tls-key",
        "give --tls-key a PEM file with an unencrypted private key",
    );
    let octets = read(file, key, way_out)?;
    PrivateKeyDer::from_pem_slice(&octets).map_err(|error| {
        let file = file.display();
        let why = match error {
            pem::Error::NoItemsFound => format!("{file} holds no private key; {way_out}"),
            error => format!("{file} is damaged ({error}); {way_out}"),
        };
        Unusable::new(key, why)
    })
}

fn read(file: &Path, key: &'static str, way_out: &str) -> Result<Vec<u8>, Unusable> {
    limited::read(file, LARGEST).map_err(|error| {
        let why = format!("cannot read {} ({error}); {way_out}", file.display());
        Unusable::new(key, why)
    })
}
