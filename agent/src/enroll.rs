//! An agent's first certificate: a key made here, a request for it, and a join token that is spent once.

use std::{fs, io, path::Path, sync::Mutex};

use hyper_util::rt::TokioIo;
use lictor_certs::{
    csr,
    enrolment::connect_pinned,
    files::{FilesError, IdentityFiles},
    signer::PublicKey,
    token::JoinToken,
};
use lictor_core::principal::Identity;
use lictor_proto::pb::{self, enroll_service_client::EnrollServiceClient};
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::ssh::host_key::write_atomic;

/// The name of an agent's certificate and key files.
pub const IDENTITY_STEM: &str = "agent";
/// The file with the key that signs grants, in base64.
pub const GRANT_KEY_FILE: &str = "controller-grant.pub";
/// The file with the trust domain.
pub const TRUST_DOMAIN_FILE: &str = "trust-domain";

/// Where an answer is looked at before it replaces anything.
const EXAMINED_DIR: &str = ".joining";

/// What an enrolment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Who this agent is now.
    pub identity: Identity,
    /// Where the agent connects to from now on.
    pub controller_address: String,
}

/// An enrolment that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No connection, or not to the controller that made the token.
    #[error("{address} cannot be reached, or is not the controller that made this token")]
    Connect {
        /// Where.
        address: String,
        /// What went wrong.
        source: io::Error,
    },
    /// gRPC could not be set up.
    #[error("the connection failed")]
    Transport(#[from] tonic::transport::Error),
    /// The controller refused.
    #[error(
        "the controller refused the token: {0}; tokens are used once and last 15 minutes: make a new one with `lictor agent token --site SITE --name NAME`"
    )]
    Refused(String),
    /// What it answered does not fit.
    #[error("the controller's answer does not fit the token: {0}")]
    Answer(String),
    /// Files.
    #[error("the identity could not be kept")]
    Files(#[from] FilesError),
    /// Files.
    #[error("{path}")]
    Io {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// No key.
    #[error(transparent)]
    Key(#[from] csr::KeyRequestError),
}

/// Spends `token` and writes the identity into `identity_dir`, replacing one that is there.
///
/// # Errors
/// When the controller is not the one that made the token, refuses it, or files cannot be written.
pub async fn join(token: &JoinToken, identity_dir: &Path) -> Result<Joined, JoinError> {
    let connect_error = |source| JoinError::Connect { address: token.address.clone(), source };
    let stream = connect_pinned(&token.address, token.root).await.map_err(connect_error)?;
    let (root_pem, domain) = (stream.root_pem.clone(), stream.domain.clone());
    let once = Mutex::new(Some(stream));
    let connector = service_fn(move |_: http::Uri| {
        let stream = once.lock().ok().and_then(|mut slot| slot.take());
        async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::other("the connection was used up")) }
    });
    let channel =
        Endpoint::from_static("http://controller.invalid").connect_with_connector(connector).await?;
    let request = csr::new_key_request()?;
    let enroll = pb::EnrollRequest {
        token_id: token.id.to_string(),
        token_secret: token.secret.expose().to_vec(),
        csr_pem: request.csr_pem.clone(),
    };
    let answer = EnrollServiceClient::new(channel).enroll(enroll).await;
    let answer = answer.map_err(|status| JoinError::Refused(status.message().to_owned()))?.into_inner();
    if answer.trust_domain != domain.as_str() {
        return Err(JoinError::Answer(format!("trust domain {}", answer.trust_domain)));
    }
    let grant_key: [u8; 32] = answer
        .grant_public_key
        .as_slice()
        .try_into()
        .map_err(|_| JoinError::Answer("its grant key does not have 32 bytes".into()))?;
    create_private(identity_dir)?;
    // The root is the one that the token pins, not the one that the answer claims.
    let identity = examine(token, identity_dir, [&answer.chain_pem, &request.key_pem, &root_pem])?;
    let files = IdentityFiles::in_dir(identity_dir, IDENTITY_STEM);
    files.write(&answer.chain_pem, &request.key_pem, &root_pem)?;
    keep(identity_dir, GRANT_KEY_FILE, &PublicKey::from_bytes(grant_key).to_string())?;
    keep(identity_dir, TRUST_DOMAIN_FILE, domain.as_str())?;
    Ok(Joined { identity, controller_address: answer.controller_address })
}

/// Reads what was answered in a directory of its own, so that an identity that is there is only replaced by a good one.
fn examine(
    token: &JoinToken,
    identity_dir: &Path,
    [chain, key, root]: [&str; 3],
) -> Result<Identity, JoinError> {
    let aside = identity_dir.join(EXAMINED_DIR);
    create_private(&aside)?;
    let files = IdentityFiles::in_dir(&aside, IDENTITY_STEM);
    let loaded = files.write(chain, key, root).and_then(|()| files.load());
    // It holds a copy of the key.
    fs::remove_dir_all(&aside)
        .map_err(|source| JoinError::Io { path: aside.display().to_string(), source })?;
    let identity = loaded?.peer().identity.clone();
    let expected =
        Identity::Agent { tenant: token.tenant.clone(), site: token.site.clone(), name: token.agent.clone() };
    if identity != expected {
        return Err(JoinError::Answer(format!("it certified {identity}")));
    }
    Ok(identity)
}

fn create_private(directory: &Path) -> Result<(), JoinError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| JoinError::Io { path: directory.display().to_string(), source })
}

fn keep(directory: &Path, name: &str, text: &str) -> Result<(), JoinError> {
    let path = directory.join(name);
    write_atomic(&path, format!("{text}\n").as_bytes())
        .map_err(|source| JoinError::Io { path: path.display().to_string(), source })
}

/// Reads the pinned key that signs grants.
pub(crate) fn grant_key(identity_dir: &Path) -> Result<PublicKey, String> {
    let path = identity_dir.join(GRANT_KEY_FILE);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.trim().parse().map_err(|e| format!("{}: {e}", path.display()))
}
