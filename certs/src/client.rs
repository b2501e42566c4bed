//! The caller's end of mutual TLS: it trusts its pinned roots alone, and of those only a controller of its own domain.

use std::{io, sync::Arc, time::Duration};

use lictor_core::principal::Role;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    sign::SingleCertAndKey,
    version::TLS13,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    files::LoadedIdentity,
    identity::TrustDomain,
    live::{Live, TlsEnd},
    peer::{Peer, PeerError},
    provider::{ALPN, provider},
};

/// Time for name lookup, connection and handshake together; longer means that nobody is there.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The caller's end of mutual TLS; see [`LiveClientTls`].
#[derive(Debug)]
pub enum MutualClient {}

/// The caller's configuration, following its files.
pub type LiveClientTls = Live<MutualClient>;

/// A connection to a controller.
pub type ControllerStream = TlsStream<TcpStream>;

/// Connects to the controller at `addr` (`host:port`).
///
/// With TLS 1.3, a caller whose certificate the controller refuses learns so only when it first reads.
///
/// # Errors
/// When nobody answers in [`CONNECT_TIMEOUT`]; of the kind `InvalidData` when who answers is not a controller of our
/// domain under our root.
pub async fn connect(addr: &str, tls: &LiveClientTls) -> io::Result<ControllerStream> {
    connect_with(addr, tls.config()).await
}

pub(crate) async fn connect_with(addr: &str, config: Arc<ClientConfig>) -> io::Result<ControllerStream> {
    let work = async {
        let tcp = TcpStream::connect(addr).await?;
        tcp.set_nodelay(true)?;
        // Never sent (SNI is off) and never compared: the identity is the URI in the certificate.
        let name = ServerName::try_from("controller.invalid").map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, tcp).await
    };
    match timeout(CONNECT_TIMEOUT, work).await {
        Ok(done) => done.map_err(readable),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{addr} did not answer in time"))),
    }
}

/// Says in words which server was refused and why, where rustls would print its own names.
fn readable(error: io::Error) -> io::Error {
    let words = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Other(why))) => why.0.to_string(),
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "the server's certificate does not come from the pinned root".to_owned()
        }
        _ => return error,
    };
    io::Error::new(io::ErrorKind::InvalidData, words)
}

// === impl MutualClient ===

impl TlsEnd for MutualClient {
    type Config = ClientConfig;
    const NAME: &'static str = "client";

    fn build(identity: &LoadedIdentity) -> Result<Arc<ClientConfig>, Error> {
        let verifier = ControllerOnly {
            roots: identity.root_store()?,
            domain: identity.domain().clone(),
            algorithms: provider().signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key())));
        Ok(harden(config))
    }
}

pub(crate) fn harden(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

// === impl ControllerOnly ===

/// Chain, validity and usage by webpki; the name by URI instead of DNS.
#[derive(Debug)]
struct ControllerOnly {
    roots: Arc<RootCertStore>,
    domain: TrustDomain,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ControllerOnly {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_chain(leaf, intermediates, &self.roots, now, &self.algorithms)?;
        let peer = Peer::from_certificate(leaf, &self.domain).map_err(refused)?;
        require_controller(&peer)
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The server is somebody else than a controller.
#[derive(Debug, thiserror::Error)]
#[error("the server is not a controller but {0}")]
struct NotAController(String);

pub(crate) fn verify_chain(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let leaf = ParsedCertificate::try_from(leaf)?;
    verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms.all)
}

pub(crate) fn require_controller(peer: &Peer) -> Result<ServerCertVerified, Error> {
    if peer.identity.role() == Role::Controller {
        Ok(ServerCertVerified::assertion())
    } else {
        Err(other(NotAController(peer.identity.to_string())))
    }
}

pub(crate) fn refused(error: PeerError) -> Error {
    other(error)
}

pub(crate) fn only_tls13() -> Error {
    Error::General("only TLS 1.3 is spoken here".to_owned())
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}
