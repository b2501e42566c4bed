//! What a configuration file says of tokens; the controller's and the bridge's say it alike.

use std::{path::Path, sync::Arc};

use serde::Deserialize;

use crate::{
    fetch::{InvalidUrl, KeysUrl},
    source::{KeySource, LiveKeys, SourceError},
    verify::Verifier,
};

/// The claim that names the user when the file does not say.
const DEFAULT_USER_CLAIM: &str = "sub";

/// Whose tokens are accepted, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensFile {
    /// The `iss` of the tokens, to the letter.
    pub issuer: String,
    /// The `aud` that a token has to have: the resource identifier, which is the public URL of the bridge.
    pub audience: String,
    /// The issuer's keys: an https:// URL, or a file with a JSON Web Key Set.
    pub keys: String,
    /// The authorities that may vouch for that URL, instead of the system's.
    pub ca_file: Option<String>,
    /// The claim that names the user; `sub` when left out.
    pub user_claim: Option<String>,
}

/// Tokens, checked.
#[derive(Debug, Clone)]
pub struct TokensConfig {
    issuer: String,
    audience: String,
    source: KeySource,
    user_claim: String,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokens {
    /// An empty value.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// The keys.
    #[error("keys: {0}")]
    Keys(#[from] InvalidUrl),
}

// === impl TokensConfig ===

impl TokensConfig {
    /// Checks what the file says; relative paths in it are relative to `base`.
    ///
    /// # Errors
    /// [`InvalidTokens`].
    pub fn new(file: &TokensFile, base: &Path) -> Result<Self, InvalidTokens> {
        let user_claim = file.user_claim.as_deref().unwrap_or(DEFAULT_USER_CLAIM);
        for (name, value) in [
            ("issuer", file.issuer.as_str()),
            ("audience", &file.audience),
            ("keys", &file.keys),
            ("user_claim", user_claim),
        ] {
            if value.is_empty() {
                return Err(InvalidTokens::Empty(name));
            }
        }
        let source = if file.keys.contains("://") {
            let ca_file = file.ca_file.as_ref().map(|path| base.join(path));
            KeySource::Url(KeysUrl::new(&file.keys, ca_file.as_deref())?)
        } else {
            KeySource::File(base.join(&file.keys))
        };
        let (issuer, audience) = (file.issuer.clone(), file.audience.clone());
        Ok(Self { issuer, audience, source, user_claim: user_claim.to_owned() })
    }

    /// The issuer: the authorization server that clients are sent to.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
    /// The resource that tokens have to be for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Reads the keys once, for whoever wants to know whether that is possible.
    ///
    /// # Errors
    /// [`SourceError`] when they cannot be read.
    pub async fn check(&self) -> Result<(), SourceError> {
        crate::source::read(&self.source).await.map(drop)
    }

    /// Loads the keys and makes the verifier; [`LiveKeys::follow`] has to run beside it.
    ///
    /// # Errors
    /// [`SourceError`] when a file of keys cannot be read.
    pub async fn verifier(&self) -> Result<(Arc<Verifier>, Arc<LiveKeys>), SourceError> {
        let keys = LiveKeys::load(self.source.clone()).await?;
        let verifier = Verifier::new(&self.issuer, &self.audience, &self.user_claim, Arc::clone(&keys));
        Ok((Arc::new(verifier), keys))
    }
}
