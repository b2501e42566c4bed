//! EnrollService: a join token is spent for an agent's first certificate.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lictor_certs::{
    ca::{Authority, Issued},
    signer::PublicKey,
    token::secret_digest,
};
use lictor_core::{
    audit::{AuditEvent, JoinRefusal},
    error::{ErrorCode, Failure},
    id::TokenId,
    principal::Identity,
    secret::Secret,
};
use lictor_proto::{
    limits::MAX_CSR_BYTES,
    pb::{self, enroll_service_server::EnrollService},
};
use lictor_store::{Change, KeptAgent, KeptToken, StoreError, Write};
use tonic::{Request, Response, Status};

use super::{
    guard::{Refusal, Refusals},
    status,
};
use crate::{failure::of_store, lifecycle::Lifecycle};

/// Life of an agent's certificate; renewed at half of it.
pub const AGENT_CERTIFICATE_TTL: Duration = Duration::from_secs(24 * 3600);

/// The service.
#[derive(Debug)]
pub struct Enroll {
    lifecycle: Arc<Lifecycle>,
    authority: Arc<Authority>,
    grant_key: PublicKey,
    controller_address: String,
    refusals: Arc<Refusals>,
}

/// Whatever is wrong with a token, the answer is the same: it tells a thief nothing.
fn refused() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "the join token is not valid: unknown, spent, older than 15 minutes, or made before the agent was revoked",
        "make a new one (lictor agent token) and join with it at once",
    )
}

/// Signs a request for an agent's certificate of this generation.
///
/// # Errors
/// [`Failure`] when the request is not one.
pub fn issue(
    lifecycle: &Lifecycle,
    authority: &Authority,
    csr_pem: &str,
    identity: &Identity,
    generation: u32,
) -> Result<Issued, Failure> {
    let bad = |why: String| {
        Failure::new(
            ErrorCode::InvalidArgument,
            why,
            "send a PKCS#10 request in PEM for a P-256, P-384 or Ed25519 key",
        )
    };
    if csr_pem.len() > MAX_CSR_BYTES {
        return Err(bad(format!("the certificate request is longer than {MAX_CSR_BYTES} bytes")));
    }
    authority
        .issue_in_generation(csr_pem, identity, generation, AGENT_CERTIFICATE_TTL, lifecycle.clock.now())
        .map_err(|e| bad(e.to_string()))
}

impl Enroll {
    /// The service of this lifecycle; agents are told `controller_address` and `grant_key`, and who cannot join is counted in
    /// `refusals`.
    pub const fn new(
        lifecycle: Arc<Lifecycle>,
        authority: Arc<Authority>,
        grant_key: PublicKey,
        controller_address: String,
        refusals: Arc<Refusals>,
    ) -> Self {
        Self { lifecycle, authority, grant_key, controller_address, refusals }
    }

    fn refuse(&self, token: Option<&KeptToken>, code: JoinRefusal, address: Option<IpAddr>) {
        let token = token.map(|token| (token.id, token.site.clone(), token.agent.clone()));
        tracing::warn!(?token, code = code.as_str(), ?address, "an agent could not join");
        self.refusals.count(Refusal::Enrolment { token, code, address });
    }

    async fn redeem(
        &self,
        request: pb::EnrollRequest,
        from: Option<IpAddr>,
    ) -> Result<pb::EnrollResponse, Failure> {
        let refuse = |token: Option<&KeptToken>, code| {
            self.refuse(token, code, from);
            refused()
        };
        let unknown = || refuse(None, JoinRefusal::UnknownToken);
        let pb::EnrollRequest { token_id, token_secret, csr_pem } = request;
        let id: TokenId = token_id.parse().map_err(|_| unknown())?;
        let store = &self.lifecycle.store;
        let now = self.lifecycle.clock.now();
        let token = store.token(id).await.map_err(of_store)?.ok_or_else(unknown)?;
        let before = store.agent(&token.site, &token.agent).await.map_err(of_store)?;
        let generation = before.as_ref().map_or(0, |a| a.generation);
        // Looked at after the record was read. It voids the token, unless it cannot be recorded.
        let is_being_revoked = self.lifecycle.revocations.is_being_revoked(&token.site, &token.agent);
        // Digests are compared, so how long the comparison takes says nothing of the secret.
        let right = token.secret_digest == secret_digest(&Secret::new(token_secret));
        let wrong = [
            (!right, JoinRefusal::WrongSecret),
            (token.spent_at.is_some(), JoinRefusal::Spent),
            (now > token.expires_at, JoinRefusal::Expired),
            (token.generation != generation || is_being_revoked, JoinRefusal::Revoked),
        ];
        if let Some((_, code)) = wrong.into_iter().find(|(is_so, _)| *is_so) {
            return Err(refuse(Some(&token), code));
        }
        let KeptToken { tenant, site, agent, .. } = token.clone();
        let identity = Identity::Agent { tenant: tenant.clone(), site: site.clone(), name: agent.clone() };
        let issued = issue(&self.lifecycle, &self.authority, &csr_pem, &identity, generation)
            .inspect_err(|_| self.refuse(Some(&token), JoinRefusal::BadRequest, from))?;
        let kept = KeptAgent {
            tenant,
            site: site.clone(),
            name: agent.clone(),
            epoch: before.as_ref().map_or(0, |a| a.epoch),
            enrolled_at: now,
            serial: issued.serial.clone(),
            journal_id: before.as_ref().map_or_else(String::new, |a| a.journal_id.clone()),
            witness_key: before.as_ref().map_or_else(String::new, |a| a.witness_key.clone()),
            generation,
            revoked: None,
            version: before.as_ref().map_or(0, |a| a.version) + 1,
        };
        let event = AuditEvent::AgentEnrolled {
            token: id,
            site: site.clone(),
            agent: agent.clone(),
            serial: issued.serial.clone(),
        };
        let change = Change::new(now, event)
            .write(Write::SpendToken(KeptToken { spent_at: Some(now), ..token.clone() }))
            .write(Write::PutAgent(kept));
        match store.commit(change).await {
            Ok(_) => self.lifecycle.revocations.joined(&site, &agent, generation),
            Err(StoreError::Conflict { .. }) => return Err(refuse(Some(&token), JoinRefusal::Spent)),
            Err(error) => return Err(of_store(error)),
        }
        Ok(pb::EnrollResponse {
            chain_pem: issued.chain_pem,
            root_pem: self.authority.root_pem().to_owned(),
            grant_public_key: self.grant_key.as_bytes().to_vec(),
            trust_domain: self.authority.domain().as_str().to_owned(),
            controller_address: self.controller_address.clone(),
        })
    }
}

#[tonic::async_trait]
impl EnrollService for Enroll {
    async fn enroll(
        &self,
        request: Request<pb::EnrollRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        let from = request.extensions().get::<SocketAddr>().map(SocketAddr::ip);
        self.redeem(request.into_inner(), from).await.map(Response::new).map_err(status)
    }
}
