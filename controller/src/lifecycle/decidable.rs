//! Whether an approval can still be decided, by whom, and what a consent adds. Nothing here changes anything.

use lictor_core::{
    approval::{Approval, ApprovalState, Consent, Note, may_consent, same_person, words},
    clock::Timestamp,
    error::{ErrorCode, Failure},
    id::JobId,
    job::Job,
    name::GroupName,
    principal::Principal,
};

use crate::{
    approval::{is_in, standing},
    policies::VersionedPolicy,
};

/// The approval of a job that waits for consent and still may get it.
pub(super) fn pending(job: &Job, now: Timestamp) -> Result<&Approval, Failure> {
    let approval = job.approval.as_ref().ok_or_else(|| no_approval(job.id))?;
    let stopped = job.is_stopped();
    if !approval.is_pending() || stopped || now > approval.expires_at {
        return Err(no_longer(job));
    }
    Ok(approval)
}

/// The groups by which `who` may decide it.
pub(super) fn may_decide(
    job: &Job,
    approval: &Approval,
    who: &Principal,
    policy: &VersionedPolicy,
) -> Result<Vec<GroupName>, Failure> {
    if !may_consent(who, &job.principal) {
        let (message, next_step) = if same_person(who, &job.principal) {
            (
                "nobody decides what they have asked for themselves",
                "ask another person, or cancel it (lictor cancel)",
            )
        } else {
            ("only people of its tenant may decide it", "ask one of them")
        };
        return Err(Failure::new(ErrorCode::Forbidden, message, next_step));
    }
    let groups = approval.terms.iter().filter(|term| is_in(who, &term.group, &policy.set));
    let groups: Vec<GroupName> = groups.map(|term| term.group.clone()).collect();
    if groups.is_empty() {
        let message =
            format!("you are in none of the groups that decide it: {} must consent", words(&approval.terms));
        return Err(Failure::new(ErrorCode::Forbidden, message, "ask somebody of these groups"));
    }
    Ok(groups)
}

/// The approval with the consent of `who`.
pub(super) fn adds(
    job: &Job,
    approval: &Approval,
    who: &Principal,
    note: Option<Note>,
    now: Timestamp,
    policy: &VersionedPolicy,
) -> Result<Approval, Failure> {
    if approval.consents.iter().any(|consent| same_person(&consent.by, who)) {
        let missing = words(&standing(&approval.terms, approval, &job.principal, &policy.set).missing);
        let message = format!("you have consented already, and nobody counts twice; missing: {missing}");
        return Err(Failure::new(ErrorCode::AlreadyExists, message, "ask another person"));
    }
    let before = standing(&approval.terms, approval, &job.principal, &policy.set);
    let mut with_it = approval.clone();
    with_it.consents.push(Consent { by: who.clone(), at: now, note });
    let after = standing(&approval.terms, &with_it, &job.principal, &policy.set);
    if after.counted.len() <= before.counted.len() {
        let message =
            format!("enough people of your groups have consented; missing: {}", words(&after.missing));
        return Err(Failure::new(ErrorCode::Conflict, message, "ask somebody of these groups"));
    }
    Ok(with_it)
}

pub(super) fn no_approval(id: JobId) -> Failure {
    let message = format!("{id} needs nobody's consent");
    Failure::new(ErrorCode::NotFound, message, "see what does (lictor approvals)")
}

/// Why nothing can be decided of it any more.
pub(super) fn no_longer(job: &Job) -> Failure {
    let Some(approval) = &job.approval else { return no_approval(job.id) };
    let why = match &approval.state {
        ApprovalState::Pending if job.cancel_requested.is_some() => "its job was cancelled".to_owned(),
        ApprovalState::Pending if job.progress.halted.is_some() => "its job was halted".to_owned(),
        ApprovalState::Pending | ApprovalState::Expired { .. } => {
            format!("consent could be given until {}", approval.expires_at)
        }
        ApprovalState::Used { .. } => "everybody has consented, and it was used".to_owned(),
        ApprovalState::Denied { by, .. } => format!("{by} refused it"),
        ApprovalState::Voided { reason, .. } => reason.clone(),
    };
    let message = format!("{} does not wait for consent any more: {why}", job.id);
    let next_step = format!("see what became of it: lictor jobs {}", job.id);
    Failure::new(ErrorCode::Conflict, message, next_step).with("reason", "not_pending")
}
