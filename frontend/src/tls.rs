//! TLS for who connects: the certificate and its key, read again when their files change. Owns no connection.

#[cfg(test)]
mod tests;

use crate::stamp::Stamp;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// `[tls]`: the service's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file of the certificate and those it was signed with; none: no TLS.
    pub certificate: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

impl TlsConfig {
    /// Whether clients speak TLS with the service.
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Only one of the two files is named.
    #[error("tls.{0}: certificate and key go together; this one is missing")]
    Half(&'static str),
    /// A file cannot be used.
    #[error("tls.{what}: {path}: {why}")]
    File {
        /// The key of the configuration.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong; nothing of the file.
        why: String,
    },
}

/// Who the service is to its clients, as the files say now.
pub struct Tls {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
    seen: Mutex<Stamps>,
}

type Stamps = [Option<Stamp>; 2];

impl Tls {
    /// Reads both files; `None` when neither is named.
    ///
    /// # Errors
    /// When a file is missing, unreadable, or does not belong to the other.
    pub fn new(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        match (config.certificate.as_os_str().is_empty(), config.key.as_os_str().is_empty()) {
            (true, true) => return Ok(None),
            (true, false) => return Err(TlsError::Half("certificate")),
            (false, true) => return Err(TlsError::Half("key")),
            (false, false) => {}
        }
        // Looked at first: a file that changes in between is read once more.
        let seen = Mutex::new(stamps(config));
        Ok(Some(Self { config: config.clone(), current: ArcSwap::new(read(config)?), seen }))
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Takes up files that were changed. What cannot be used, such as a certificate whose key has not come yet, leaves those
    /// before in force.
    pub(crate) fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.config);
        if *seen == now {
            return;
        }
        *seen = now;
        match read(&self.config) {
            Ok(config) => {
                self.current.store(config);
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the certificate before stays in force"),
        }
    }
}

fn stamps(config: &TlsConfig) -> Stamps {
    [&config.certificate, &config.key].map(|path| Stamp::of(path))
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let fault = |what, path: &Path, why: String| TlsError::File { what, path: path.to_owned(), why };
    let bad = |why: String| fault("certificate", &config.certificate, why);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(error.to_string()))?;
    if chain.is_empty() {
        return Err(bad("holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| fault("key", &config.key, error.to_string()))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(error.to_string()))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
