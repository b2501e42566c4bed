//! The mutual listener: every caller shows a certificate of our root, and is known by its URI before a byte is read.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;

pub use crate::accept::{Connection, HANDSHAKE_TIMEOUT, MAX_HANDSHAKES};
use crate::{
    accept,
    files::LoadedIdentity,
    identity::TrustDomain,
    live::{Live, TlsEnd},
    peer::Peer,
    provider::{ALPN, provider},
};

/// The server's end of mutual TLS; see [`LiveServerTls`].
#[derive(Debug)]
pub enum MutualServer {}

/// The server's configuration, following its files.
pub type LiveServerTls = Live<MutualServer>;

/// An accepted connection of a caller that proved its identity.
pub type TlsConnection = Connection<Peer>;

/// Accepts connections of `domain` until `cancel`, or until the stream is dropped. Callers that cannot prove an
/// identity of `domain` are logged and dropped; the stream itself never yields an error.
///
/// Must be called within a tokio runtime.
pub fn accept_loop(
    listener: TcpListener,
    tls: Arc<LiveServerTls>,
    domain: TrustDomain,
    cancel: CancellationToken,
) -> impl Stream<Item = io::Result<TlsConnection>> + Send + Unpin + use<> {
    accept::accept(listener, tls, cancel, move |io| {
        let certificate = io.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.ok_or("the caller shows no certificate")?;
        Peer::from_certificate(certificate, &domain).map_err(|error| error.to_string())
    })
}

// === impl MutualServer ===

impl TlsEnd for MutualServer {
    type Config = ServerConfig;
    const NAME: &'static str = "server";

    fn build(identity: &LoadedIdentity) -> Result<Arc<ServerConfig>, rustls::Error> {
        let verifier = WebPkiClientVerifier::builder_with_provider(identity.root_store()?, provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key())));
        Ok(harden(config))
    }
}

/// The configuration of a listener that asks for no certificate.
pub(crate) fn without_client_certificates(
    key: Arc<CertifiedKey>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    Ok(harden(config))
}

/// No resumption: a caller whose certificate was revoked must not get in by an old ticket.
fn harden(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Arc::new(config)
}
