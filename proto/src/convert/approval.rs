//! The consent that a job needs: out with the job, and terms both ways.

use lictor_core::{
    approval::{ApprovalState, Consent, Term, words},
    job::Job,
};

use super::{Invalid, parse};
use crate::pb;

/// The consent that a job needs or needed, as the job stands.
pub fn approval_to_wire(job: &Job) -> Option<pb::Approval> {
    let approval = job.approval.as_ref()?;
    let mut wire = pb::Approval {
        state: state_to_wire(job, &approval.state).into(),
        plan_digest: approval.plan.as_bytes().to_vec(),
        terms: terms_to_wire(&approval.terms),
        terms_text: words(&approval.terms),
        consents: approval.consents.iter().map(Into::into).collect(),
        expires_at: approval.expires_at.as_micros(),
        rules: approval.rules.iter().map(ToString::to_string).collect(),
        policy_reason: approval.reason.clone(),
        ..pb::Approval::default()
    };
    match &approval.state {
        ApprovalState::Pending => {}
        ApprovalState::Used { at } | ApprovalState::Expired { at } => wire.decided_at = Some(at.as_micros()),
        ApprovalState::Denied { by, at, note } => {
            (wire.denied_by, wire.decided_at) = (Some(by.into()), Some(at.as_micros()));
            wire.reason = note.to_string();
        }
        ApprovalState::Voided { at, code, reason } => {
            wire.decided_at = Some(at.as_micros());
            (wire.code, wire.reason) = (code.clone(), reason.clone());
        }
    }
    Some(wire)
}

/// What waits in a job that was stopped no longer waits.
const fn state_to_wire(job: &Job, state: &ApprovalState) -> pb::ApprovalState {
    match state {
        ApprovalState::Pending if job.cancel_requested.is_some() || job.progress.halted.is_some() => {
            pb::ApprovalState::Withdrawn
        }
        ApprovalState::Pending => pb::ApprovalState::Pending,
        ApprovalState::Used { .. } => pb::ApprovalState::Used,
        ApprovalState::Denied { .. } => pb::ApprovalState::Denied,
        ApprovalState::Expired { .. } => pb::ApprovalState::Expired,
        ApprovalState::Voided { .. } => pb::ApprovalState::Voided,
    }
}

/// Terms as they travel.
pub fn terms_to_wire(terms: &[Term]) -> Vec<pb::ApprovalTerm> {
    let term = |term: &Term| pb::ApprovalTerm { group: term.group.to_string(), approvals: term.approvals };
    terms.iter().map(term).collect()
}

/// Terms as a client reads them.
///
/// # Errors
/// [`Invalid`] for what names no group.
pub fn terms_from_wire(terms: Vec<pb::ApprovalTerm>) -> Result<Vec<Term>, Invalid> {
    let term = |pb::ApprovalTerm { group, approvals }| {
        Ok(Term { group: parse("approval.terms.group", &group)?, approvals })
    };
    terms.into_iter().map(term).collect()
}

impl From<&Consent> for pb::Consent {
    fn from(consent: &Consent) -> Self {
        let Consent { by, at, note } = consent;
        let reason = note.as_ref().map(ToString::to_string).unwrap_or_default();
        Self { by: Some(by.into()), at: at.as_micros(), reason }
    }
}

impl TryFrom<pb::Consent> for Consent {
    type Error = Invalid;
    fn try_from(wire: pb::Consent) -> Result<Self, Invalid> {
        let pb::Consent { by, at, reason } = wire;
        let note = (!reason.is_empty()).then(|| parse("approval.consents.reason", &reason)).transpose()?;
        Ok(Self {
            by: super::required("approval.consents.by", by)?.try_into()?,
            at: lictor_core::clock::Timestamp::from_micros(at),
            note,
        })
    }
}
