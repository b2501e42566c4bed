//! Fetching a key set: one GET, without redirects, over verified TLS, bounded in time and size.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::keys::MAX_SET_BYTES;

/// Longest time for the whole of a fetch: name, connection, TLS, answer.
pub const FETCH_DEADLINE: Duration = Duration::from_secs(10);

/// Where keys are fetched from.
#[derive(Clone)]
pub struct KeysUrl {
    host: String,
    port: u16,
    path: String,
    tls: Option<Arc<ClientConfig>>,
}

/// A URL or a set of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    /// Not a URL of a kind that is allowed.
    #[error("{0:?} is not an https:// URL; http:// is allowed for loopback addresses alone")]
    NotAllowed(String),
    /// The authorities cannot be read.
    #[error("cannot read certificate authorities from {path}: {reason}")]
    Authorities {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The system has none.
    #[error("the system has no certificate authorities; install ca-certificates, or set `ca_file`")]
    NoAuthorities,
    /// TLS refuses the configuration.
    #[error("TLS")]
    Tls(#[from] rustls::Error),
}

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It took too long.
    #[error("no answer within {} s", FETCH_DEADLINE.as_secs())]
    TooSlow,
    /// The connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// HTTP.
    #[error("the answer is not HTTP")]
    Http(#[source] hyper::Error),
    /// Another status than 200; redirects are not followed.
    #[error("the answer has status {0}")]
    Status(StatusCode),
    /// The body broke off or is too long.
    #[error("the answer cannot be read or is longer than {MAX_SET_BYTES} bytes")]
    Body,
    /// The request cannot be made of the URL.
    #[error("the URL cannot be asked for")]
    Request,
}

// === impl KeysUrl ===

impl KeysUrl {
    /// Checks `url`; `ca_file` has the authorities that may vouch for the server, instead of the system's.
    ///
    /// # Errors
    /// [`InvalidUrl`].
    pub fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, InvalidUrl> {
        let refused = || InvalidUrl::NotAllowed(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let (tls, default_port) = match uri.scheme_str() {
            Some("https") => (Some(web_tls(ca_file)?), 443),
            Some("http") if is_loopback(&host) => (None, 80),
            _ => return Err(refused()),
        };
        Ok(Self { host, port: authority.port_u16().unwrap_or(default_port), path, tls })
    }

    /// Fetches what is there.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self) -> Result<Bytes, FetchError> {
        tokio::time::timeout(FETCH_DEADLINE, self.get()).await.map_err(|_| FetchError::TooSlow)?
    }

    async fn get(&self) -> Result<Bytes, FetchError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(FetchError::Connect)?;
        match &self.tls {
            None => self.ask(tcp).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|_| FetchError::Request)?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
                self.ask(stream.map_err(FetchError::Connect)?).await
            }
        }
    }

    async fn ask(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Bytes, FetchError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(FetchError::Http)?;
        let connection = tokio::spawn(connection);
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let request = Request::get(&self.path)
            .header(header::HOST, format!("{host}:{}", self.port))
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Request)?;
        let answer = sender.send_request(request).await.map_err(FetchError::Http);
        let read = async {
            let answer = answer?;
            if answer.status() != StatusCode::OK {
                return Err(FetchError::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_SET_BYTES).collect().await;
            body.map(|body| body.to_bytes()).map_err(|_| FetchError::Body)
        };
        let read = read.await;
        connection.abort();
        read
    }
}

impl fmt::Debug for KeysUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeysUrl").field("host", &self.host).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Whether `host` is this machine, by an address and not by what a resolver says of a name; `localhost` is as sure (RFC 6761).
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// TLS 1.3 towards servers of others: `ca_file` has the authorities that may vouch for them, instead of the system's.
///
/// # Errors
/// [`InvalidUrl`], when there are no authorities.
pub fn web_tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, InvalidUrl> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let unreadable =
            |reason: String| InvalidUrl::Authorities { path: path.display().to_string(), reason };
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("there is no certificate in it".to_owned()));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(InvalidUrl::NoAuthorities);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
