//! What the tests of this crate share: a CA in a temporary directory, identities, and a listener.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use lictor_certs::{
    ca::{Authority, Issued},
    csr,
    files::IdentityFiles,
    identity::{self, TrustDomain},
    live::Live,
    server::{LiveServerTls, TlsConnection, accept_loop},
};
use lictor_core::{clock::Timestamp, principal::Identity, secret::Secret};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn now() -> Timestamp {
    let micros = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000;
    Timestamp::from_micros(u64::try_from(micros).unwrap())
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("fleet.example").unwrap()
}

pub(crate) fn who(path: &str) -> Identity {
    identity::parse_uri(&format!("spiffe://fleet.example/{path}"), &domain()).unwrap()
}

pub(crate) fn passphrase() -> Secret {
    Secret::new(b"correct horse battery".to_vec())
}

/// A CA and a directory for identities.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) ca: Authority,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of_domain(&domain())
    }
    pub(crate) fn of_domain(domain: &TrustDomain) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca");
        Authority::create(&path, domain, &passphrase(), now()).unwrap();
        let ca = Authority::load(&path, &passphrase()).unwrap();
        Self { dir, ca }
    }
    pub(crate) fn ca_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("ca")
    }
    pub(crate) fn issue(&self, stem: &str, identity: &Identity) -> (IdentityFiles, Issued) {
        self.issue_at(stem, identity, now())
    }
    pub(crate) fn issue_at(&self, stem: &str, identity: &Identity, at: Timestamp) -> (IdentityFiles, Issued) {
        let request = csr::new_key_request().unwrap();
        let issued = self.ca.issue(&request.csr_pem, identity, HOUR, at).unwrap();
        let files = self.files(stem);
        files.write(&issued.chain_pem, &request.key_pem, self.ca.root_pem()).unwrap();
        (files, issued)
    }
    /// Each identity has a directory of its own, with its own `root.pem`.
    pub(crate) fn files(&self, stem: &str) -> IdentityFiles {
        let dir = self.dir.path().join(stem);
        std::fs::create_dir_all(&dir).unwrap();
        IdentityFiles::in_dir(&dir, stem)
    }
    pub(crate) async fn listen(&self) -> Listening {
        let (files, _) = self.issue("controller", &who("controller/c1"));
        Listening::with(files).await
    }
}

/// A mutual listener whose admitted connections arrive at `admitted`.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Arc<LiveServerTls>,
    pub(crate) admitted: tokio::sync::mpsc::Receiver<TlsConnection>,
    pub(crate) cancel: CancellationToken,
}

impl Listening {
    pub(crate) async fn with(files: IdentityFiles) -> Self {
        let tls = Arc::new(Live::load(files).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let mut stream = accept_loop(listener, Arc::clone(&tls), domain(), cancel.clone());
        let (send, admitted) = tokio::sync::mpsc::channel(8);
        tokio::spawn(async move {
            while let Some(connection) = stream.next().await {
                send.send(connection.unwrap()).await.unwrap();
            }
        });
        Self { address, tls, admitted, cancel }
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
