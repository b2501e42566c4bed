//! Evidence of agents as it is recorded: beside the end that it proves if it holds, as a security event if it does not.

use lictor_certs::{
    ca::Authority,
    evidence::{Attested, Evidence, Signers, to_text},
};
use lictor_core::{
    audit::{AuditEvent, BadEvidence, SignedRefusal},
    digest::Digest,
    error::{ErrorCode, Failure},
    id::InvocationId,
    outcome::Outcome,
};
use lictor_proto::pb;

use super::Session;
use crate::authn::Caller;

/// Those whose evidence a session takes: the agent at its other end, with any certificate that we issued to it.
///
/// # Errors
/// [`Failure`] without a caller, or when our root cannot be read.
pub fn signers_of<T>(request: &tonic::Request<T>, authority: &Authority) -> Result<Signers, Failure> {
    let caller = request.extensions().get::<Caller>().ok_or_else(|| {
        let message = "this connection has no certificate that names a caller";
        Failure::new(ErrorCode::Unauthenticated, message, "connect with a certificate of this controller")
    })?;
    let signers = Signers::of(caller.peer.identity.clone(), authority.root_pem(), authority.domain().clone());
    signers.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string(), "restore the CA directory"))
}

/// What is to be recorded beside the end `outcome` of `id`: what `evidence` proves, or that it proves nothing, or that
/// it is missing where an agent has to prove. `None` for an end that needs no proof and came without.
pub(crate) fn beside(
    session: &Session,
    id: InvocationId,
    outcome: &Outcome,
    evidence: Option<&pb::Evidence>,
) -> Option<AuditEvent> {
    let (why, evidence) = match evidence {
        None if !outcome.refuses_grant() => return None,
        None => ("none came".to_owned(), None),
        Some(evidence) => match check(session, id, outcome, evidence) {
            Ok(attested) => return Some(refusal(session, attested, evidence)),
            Err(why) => (why, Some(evidence)),
        },
    };
    tracing::error!(security_event = "evidence_invalid", site = %session.site(), agent = %session.agent(), invocation = %id, why, "an agent's evidence does not hold; that nothing was started stands");
    Some(AuditEvent::EvidenceInvalid(Box::new(BadEvidence {
        invocation: id,
        site: session.site().clone(),
        agent: session.agent().clone(),
        why,
        statement: evidence.map(|e| to_text(&e.statement)),
        signature: evidence.map(|e| to_text(&e.signature)),
        agent_certificate: evidence.and_then(|e| e.certificates.first()).map(|der| Digest::of(der)),
    })))
}

fn check(
    session: &Session,
    id: InvocationId,
    outcome: &Outcome,
    evidence: &pb::Evidence,
) -> Result<Attested, String> {
    let signers = session.signers().ok_or("this session knows nobody who may sign")?;
    let pb::Evidence { statement, signature, certificates } = evidence.clone();
    let attested = signers
        .verify(&Evidence { statement, signature, certificates })
        .map_err(|error| error.to_string())?;
    let said = &attested.statement;
    if said.invocation != id {
        return Err(format!("it is about {}", said.invocation));
    }
    if !outcome.refuses_grant() {
        return Err(format!("it says {} of what is reported as {}", said.code, outcome.name()));
    }
    if outcome.reason_code() != Some(&said.code) || outcome.detail() != Some(&said.reason) {
        return Err(format!("it says another code or reason than what is reported: {}", said.code));
    }
    Ok(attested)
}

fn refusal(session: &Session, attested: Attested, evidence: &pb::Evidence) -> AuditEvent {
    let Attested { statement: said, certificate, public_key } = attested;
    AuditEvent::GrantRefused(Box::new(SignedRefusal {
        invocation: said.invocation,
        site: session.site().clone(),
        agent: session.agent().clone(),
        code: said.code,
        floor_digest: said.floor,
        grant_digest: said.grant,
        statement: to_text(&evidence.statement),
        signature: to_text(&evidence.signature),
        agent_certificate: certificate,
        agent_key: to_text(&public_key),
    }))
}

#[cfg(test)]
mod tests;
