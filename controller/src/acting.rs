//! Requests that a service brings for a user: the user's own token proves who asks; the service's word proves nothing.
//!
//! A service that acts for users has no authority beside theirs: without a token it may look after its health and stop
//! what it brought, and nothing else.

use std::{collections::BTreeSet, sync::Arc};

use http::{HeaderMap, header::AUTHORIZATION};
use lictor_core::{
    actor::Actor,
    error::{ErrorCode, Failure},
    job::Origin,
    name::{PrincipalName, TenantName},
    principal::{Identity, Principal, PrincipalKind, Via},
};
use lictor_oauth::{
    scope::Scopes,
    token::BearerToken,
    verify::{TokenError, Verifier},
};

use crate::authz::{needs_no_user, scope_needed};

/// Which services may act, and how the users' tokens are proved.
#[derive(Debug)]
pub struct Acting {
    services: BTreeSet<PrincipalName>,
    verifier: Arc<Verifier>,
}

/// A user for whom a service acts, proved.
#[derive(Debug, Clone)]
pub struct ActedFor {
    principal: Principal,
    actor: Actor,
}

// === impl Acting ===

impl Acting {
    /// These services may act for users whose tokens `verifier` proves.
    pub const fn new(services: BTreeSet<PrincipalName>, verifier: Arc<Verifier>) -> Self {
        Self { services, verifier }
    }

    async fn prove(
        &self,
        tenant: &TenantName,
        service: &PrincipalName,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<ActedFor, Failure> {
        let next_step = "sign in again at the identity provider and send its new access token";
        let refused =
            |error: String, next_step: &str| Failure::new(ErrorCode::Unauthenticated, error, next_step);
        let token = BearerToken::of(headers).map_err(|error| refused(error.to_string(), next_step))?;
        let verified = self.verifier.verify(&token).await.map_err(|error| match error {
            TokenError::NoKeys => Failure::new(
                ErrorCode::Unavailable,
                error.to_string(),
                "try again in a moment; an operator has to look if it stays so (`acting.tokens.keys`)",
            ),
            other => refused(other.to_string(), next_step),
        })?;
        permitted(path, verified.scopes)?;
        let principal = Principal { tenant: tenant.clone(), kind: PrincipalKind::User, name: verified.user };
        Ok(ActedFor { principal, actor: Actor { service: service.clone(), token: verified.token_id } })
    }
}

fn permitted(path: &str, scopes: Scopes) -> Result<(), Failure> {
    match scope_needed(path) {
        Some(scope) if scopes.has(scope) => Ok(()),
        Some(scope) => Err(Failure::new(
            ErrorCode::Forbidden,
            format!("the token has not the scope {scope}"),
            "let the user permit it at the identity provider, and send the new token",
        )),
        None => Err(Failure::new(
            ErrorCode::Forbidden,
            format!("{path} may not be called for a user"),
            "use an identity of your own for it",
        )),
    }
}

/// For whom a call is made, if a service makes it for somebody else.
///
/// # Errors
/// When there is a token that proves nobody or comes from a service that may not act; and when there is none and the service
/// has no authority of its own for this.
pub(crate) async fn acted_for(
    acting: Option<&Acting>,
    identity: &Identity,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<ActedFor>, Failure> {
    let has_token = headers.contains_key(AUTHORIZATION);
    let able = match (acting, identity) {
        (Some(acting), Identity::Service { tenant, name }) if acting.services.contains(name) => {
            Some((acting, tenant, name))
        }
        _ => None,
    };
    match (able, has_token) {
        (None, false) => Ok(None),
        (None, true) => Err(Failure::new(
            ErrorCode::Forbidden,
            format!("{identity} may not act for users"),
            "list the service in `acting.services` of the controller's file, or call without a token",
        )),
        (Some(_), false) if needs_no_user(path) => Ok(None),
        (Some(_), false) => Err(Failure::new(
            ErrorCode::Unauthenticated,
            format!("{identity} acts for users and this call names none"),
            "send the user's access token, or use an identity that is not in `acting.services`",
        )),
        (Some((acting, tenant, name)), true) => acting.prove(tenant, name, path, headers).await.map(Some),
    }
}

// === impl ActedFor ===

impl ActedFor {
    /// The user.
    pub(crate) const fn principal(&self) -> &Principal {
        &self.principal
    }
    /// The service that acts, and the token by which the user was proved.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
    }
    /// The origin of what is asked for: the service's door, whatever the request says, and who brought it.
    pub(crate) fn mark(&self, origin: &mut Origin) {
        origin.via = Via::Mcp;
        origin.actor = Some(self.actor.clone());
    }
}
