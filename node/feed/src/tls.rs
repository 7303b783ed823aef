//! TLS of the listeners: certificates from PEM files, and by default clients that show one too.
//!
//! ATNA (IHE ITI-19) is mutual TLS, and BCP 195 (RFC 9325) asks for TLS 1.2 at least; both ends of the
//! range are spoken. The provider is ring, which the peer-to-peer network brings already.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsSection;

const MAX_PEM: u64 = 1024 * 1024;

/// Why TLS is not set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{}: {cause}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// The parts do not fit.
    #[error("TLS: {0}")]
    Parts(String),
}

/// Reads the files of a section.
///
/// # Errors
/// [`TlsError`].
pub fn acceptor(section: &TlsSection) -> Result<TlsAcceptor, TlsError> {
    let parts = |error: &dyn std::fmt::Display| TlsError::Parts(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&section.cert)?;
    let pem = read(&section.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| TlsError::File { file: section.key.clone(), cause: error.to_string() })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| parts(&error))?;
    let builder = match &section.client_ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| TlsError::File { file: path.clone(), cause: error.to_string() })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| parts(&error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| parts(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = |cause: String| TlsError::File { file: path.into(), cause };
    let pem = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| file(error.to_string()))?;
    if found.is_empty() { Err(file("there is no certificate in it".into())) } else { Ok(found) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error: std::io::Error| TlsError::File { file: path.into(), cause: error.to_string() };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_PEM).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
