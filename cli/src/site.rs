//! Joining a site's agent: spending a token from wherever it came.

use std::path::Path;

use lictor_agent::{
    AgentConfig,
    enroll::{self, IDENTITY_STEM, JoinError},
};
use lictor_certs::{files::IdentityFiles, token::JoinToken};
use lictor_core::{error::ErrorCode, principal::Identity, secret::Secret};
use lictor_runtime::exit::Exit;

use crate::{commands::serve::chain, trouble::Trouble};

/// Who an agent is after it joined, and where it connects to.
#[derive(Debug)]
pub(crate) struct JoinedAs {
    pub(crate) identity: Identity,
    pub(crate) controller: String,
}

/// Whether the agent has a certificate.
pub(crate) fn has_joined(config: &AgentConfig) -> bool {
    IdentityFiles::in_dir(&config.identity_dir, IDENTITY_STEM).chain.exists()
}

/// The token in `text`.
pub(crate) fn parse_token(text: &Secret) -> Result<JoinToken, Trouble> {
    let token = text.expose_str().and_then(|text| text.trim().parse().ok());
    token.ok_or_else(|| {
        Trouble::usage(
            "this is not a join token, or it was changed or cut",
            "copy it again, from lictor-join-1. to its end",
        )
    })
}

/// Spends the token in `text` and writes the identity into `identity_dir`.
pub(crate) async fn join(text: &Secret, identity_dir: &Path) -> Result<JoinedAs, Trouble> {
    let token = parse_token(text)?;
    let joined = enroll::join(&token, identity_dir).await.map_err(|error| match &error {
        JoinError::Connect { .. } => Trouble::new(
            Exit::Unreachable,
            ErrorCode::Unavailable,
            chain(&error),
            "check that the controller runs and that this machine reaches it",
        ),
        JoinError::Refused(_) => Trouble::new(
            Exit::Refused,
            ErrorCode::Unauthenticated,
            chain(&error),
            "a token is good once and for 15 minutes; make a new one: lictor agent token --site SITE --name NAME",
        ),
        _ => Trouble::usage(chain(&error), "check the directory and its owner"),
    })?;
    Ok(JoinedAs { identity: joined.identity, controller: joined.controller_address })
}
