//! The listener for agents that have no certificate yet, and the agent's end of it, which pins the root by fingerprint.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use lictor_core::digest::Digest;
use pkcs8::{Document, LineEnding};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;

use crate::{
    accept::{self, Connection},
    client::{self, ControllerStream},
    files::LoadedIdentity,
    identity::TrustDomain,
    live::{Live, TlsEnd},
    peer::Peer,
    provider::provider,
    server,
};

/// The server's end of enrolment; see [`LiveEnrolmentTls`].
#[derive(Debug)]
pub enum EnrolmentServer {}

/// The configuration of the enrolment listener, following its files. It asks for no certificate and shows its own
/// chain up to the root.
pub type LiveEnrolmentTls = Live<EnrolmentServer>;

/// A connection of somebody who has proved nothing yet.
pub type EnrolmentConnection = Connection<()>;

/// The agent's connection for enrolment: the other end is a controller under the pinned root.
#[derive(Debug)]
pub struct PinnedStream {
    /// The controller.
    pub controller: Peer,
    /// Its trust domain, henceforth the agent's.
    pub domain: TrustDomain,
    /// The root that was pinned, in PEM, as it goes into the agent's `root.pem`.
    pub root_pem: String,
    io: ControllerStream,
}

/// Accepts connections for enrolment until `cancel`; otherwise as [`server::accept_loop`].
pub fn accept_enrolment(
    listener: TcpListener,
    tls: Arc<LiveEnrolmentTls>,
    cancel: CancellationToken,
) -> impl Stream<Item = io::Result<EnrolmentConnection>> + Send + Unpin + use<> {
    accept::accept(listener, tls, cancel, |_| Ok(()))
}

/// Connects to the enrolment listener at `addr` (`host:port`), trusting only the root with this fingerprint.
///
/// # Errors
/// When nobody answers in time, the chain shown does not end in the pinned root, or its leaf is not a controller's.
pub async fn connect_pinned(addr: &str, root: Digest) -> io::Result<PinnedStream> {
    let verifier = PinnedRoot { root, algorithms: provider().signature_verification_algorithms };
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let io = client::connect_with(addr, client::harden(config)).await?;
    // The handshake is done, so this chain has been verified.
    let (leaf, rest) =
        io.get_ref().1.peer_certificates().and_then(<[_]>::split_first).ok_or_else(no_chain)?;
    let (domain, controller) = Peer::from_certificate_of_any_domain(leaf).map_err(io::Error::other)?;
    let root_pem = pem(pinned(rest, root).ok_or_else(no_chain)?).map_err(io::Error::other)?;
    Ok(PinnedStream { controller, domain, root_pem, io })
}

fn pem(certificate: &[u8]) -> Result<String, pkcs8::der::Error> {
    Document::try_from(certificate)?.to_pem("CERTIFICATE", LineEnding::LF)
}

fn pinned<'a, 'c>(chain: &'a [CertificateDer<'c>], root: Digest) -> Option<&'a CertificateDer<'c>> {
    chain.iter().find(|certificate| Digest::of(certificate) == root)
}

fn no_chain() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the controller showed no chain")
}

// === impl EnrolmentServer ===

impl TlsEnd for EnrolmentServer {
    type Config = ServerConfig;
    const NAME: &'static str = "enrolment";

    fn build(identity: &LoadedIdentity) -> Result<Arc<ServerConfig>, Error> {
        server::without_client_certificates(identity.key_with_roots())
    }
}

// === impl PinnedRoot ===

#[derive(Debug)]
struct PinnedRoot {
    root: Digest,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = pinned(rest, self.root).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        client::verify_chain(leaf, rest, &roots, now, &self.algorithms)?;
        let (_, peer) = Peer::from_certificate_of_any_domain(leaf).map_err(client::refused)?;
        client::require_controller(&peer)
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(client::only_tls13())
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

// === impl PinnedStream ===

impl AsyncRead for PinnedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for PinnedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
