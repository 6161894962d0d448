//! Which servers are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// TLS as all sources of a host share it: the system's roots, and extra ones. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ClientConfig>);

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The extra roots cannot be read.
    #[error("cannot read the certificates in {}: {reason}", path.display())]
    Roots {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has none.
    #[error("the system's root certificates cannot be used: {0}")]
    System(rustls::Error),
}

impl TlsError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Roots { .. } => {
                "`ca_file` under [host] names a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)"
            }
            Self::System(_) => {
                "install the package ca-certificates, or name a file of roots with `ca_file` under [host]"
            }
        }
    }
}

impl Tls {
    /// The system's roots and those in this PEM file.
    ///
    /// # Errors
    ///
    /// The file holds no certificate, or the system has no roots.
    pub fn new(extra_roots: Option<&Path>) -> Result<Self, TlsError> {
        let extra = match extra_roots {
            Some(path) => read_roots(path)?,
            None => Vec::new(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(TlsError::System)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::System)?
            // The name is another library's: the verifier is the platform's own.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let problem = |reason: String| TlsError::Roots { path: path.to_owned(), reason };
    let roots = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| problem(error.to_string()))?;
    if roots.is_empty() { Err(problem("there are none in it".to_owned())) } else { Ok(roots) }
}
