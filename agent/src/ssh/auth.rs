//! Logging in with the one credential that the site names for a host.

use std::time::Duration;

use lictor_core::outcome::Unreachable;
use russh::{
    client::{AuthResult, Handle, Handler},
    keys::{
        HashAlg,
        agent::{AgentIdentity, client::AgentClient},
        key::PrivateKeyWithHashAlg,
    },
};
use tokio::time::timeout;

use super::host_key::Refused;
use crate::{
    secrets::{Credential, SecretSource},
    site::Host,
};

/// Time for a login; PAM modules that ask other servers take seconds.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Keys of an ssh-agent that are tried; sshd closes after 6 attempts (MaxAuthTries).
const MAX_AGENT_KEYS: usize = 5;

/// Logs in as the host's user.
pub(crate) async fn login<H: Handler>(
    handle: &mut Handle<H>,
    host: &Host,
    secrets: &dyn SecretSource,
) -> Result<(), Refused> {
    let login = async {
        // A file on a share that hangs must not hang the login.
        let credential = secrets.credential(&host.credential).await.map_err(|e| missing(e.to_string()))?;
        attempt(handle, host, &credential).await
    };
    match timeout(LOGIN_TIMEOUT, login).await {
        Ok(result) => result,
        Err(_) => Err(failed(format!("{} did not finish the login in time", host.alias))),
    }
}

async fn attempt<H: Handler>(
    handle: &mut Handle<H>,
    host: &Host,
    credential: &Credential,
) -> Result<(), Refused> {
    let user = host.user.as_str();
    let result = match credential {
        Credential::Key(key) => {
            let key = PrivateKeyWithHashAlg::new(key.clone(), None);
            handle.authenticate_publickey(user, key).await.map_err(|e| failed(e.to_string()))?
        }
        Credential::Password(password) => {
            let text = password.expose_str().ok_or_else(|| missing("the password is not UTF-8".into()))?;
            handle.authenticate_password(user, text).await.map_err(|e| failed(e.to_string()))?
        }
        Credential::SshAgent(socket) => return with_agent(handle, host, socket).await,
    };
    judge(&result, host)
}

async fn with_agent<H: Handler>(
    handle: &mut Handle<H>,
    host: &Host,
    socket: &std::path::Path,
) -> Result<(), Refused> {
    let unusable = |e: &dyn std::fmt::Display| {
        missing(format!("the ssh-agent at {} cannot be used: {e}", socket.display()))
    };
    let mut agent = AgentClient::connect_uds(socket).await.map_err(|e| unusable(&e))?;
    let identities = agent.request_identities().await.map_err(|e| unusable(&e))?;
    let keys = identities.into_iter().filter_map(|identity| match identity {
        AgentIdentity::PublicKey { key, .. } => Some(key),
        AgentIdentity::Certificate { .. } => None,
    });
    let mut tried = 0;
    for key in keys.take(MAX_AGENT_KEYS) {
        tried += 1;
        let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
        let result = handle.authenticate_publickey_with(host.user.as_str(), key, hash, &mut agent).await;
        if result.map_err(|e| failed(format!("the ssh-agent did not sign: {e}")))?.success() {
            return Ok(());
        }
    }
    if tried == 0 {
        return Err(missing(format!("the ssh-agent at {} holds no key", socket.display())));
    }
    Err(rejected(host))
}

fn judge(result: &AuthResult, host: &Host) -> Result<(), Refused> {
    match result {
        AuthResult::Success => Ok(()),
        AuthResult::Failure { partial_success: true, .. } => Err(failed(format!(
            "{} asks for a second factor, which a credential here cannot give",
            host.alias
        ))),
        AuthResult::Failure { .. } => Err(rejected(host)),
    }
}

fn rejected(host: &Host) -> Refused {
    failed(format!("{} refused the credential {} for user {}", host.alias, host.credential, host.user))
}

fn failed(detail: String) -> Refused {
    Refused { reason: Unreachable::AuthenticationFailed, detail }
}

fn missing(detail: String) -> Refused {
    Refused { reason: Unreachable::CredentialMissing, detail }
}
