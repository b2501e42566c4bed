//! The listener's certificate, following its files: a renewed one is used by the next connection.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use lictor_runtime::panics::Interrupted;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::TLS13,
};

use super::config::TlsFiles;
use crate::private_file;

/// How often the files are read; certificates are renewed days before they end.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Longest file of a key: the longest of RSA's take a few KiB.
const MAX_KEY_BYTES: u64 = 64 * 1024;

/// A certificate that follows its files.
pub(super) struct LiveCertificate {
    files: TlsFiles,
    key: ArcSwap<CertifiedKey>,
}

// === impl LiveCertificate ===

impl LiveCertificate {
    /// Reads the files.
    pub(super) fn load(files: TlsFiles) -> anyhow::Result<Arc<Self>> {
        let key = ArcSwap::from(read(&files)?);
        Ok(Arc::new(Self { files, key }))
    }

    /// TLS 1.3 with this certificate, for HTTP/2 and HTTP/1.1.
    pub(super) fn config(self: &Arc<Self>) -> anyhow::Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Reads the files again and again; never returns. Files that do not fit together change nothing.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let this = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || read(&this.files)).await.map_err(Interrupted::from) {
                Ok(Ok(key)) => {
                    if key.cert != self.key.load().cert {
                        tracing::info!("the listener has a new certificate");
                        self.key.store(key);
                    }
                }
                Ok(Err(error)) => tracing::warn!(error = %format!("{error:#}"), "the old certificate stays"),
                Err(error) => tracing::error!(%error, "the certificate could not be read"),
            }
        }
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl fmt::Debug for LiveCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCertificate").field("files", &self.files).finish_non_exhaustive()
    }
}

fn read(files: &TlsFiles) -> anyhow::Result<Arc<CertifiedKey>> {
    let place = |path: &Path| format!("http.tls: cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| place(&files.certificate))?;
    let pem = private_file::read(&files.key, MAX_KEY_BYTES).context("http.tls: cannot read the key")?;
    let key = PrivateKeyDer::from_pem_slice(&pem).with_context(|| place(&files.key))?;
    let key = CertifiedKey::from_der(chain, key, &default_provider()).context(
        "http.tls: certificate and key do not belong together, or there is no certificate in the file",
    )?;
    Ok(Arc::new(key))
}
