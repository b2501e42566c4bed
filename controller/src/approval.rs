//! Who else: from a [`Permit`] to [`Approved`].
//!
//! A permit that needs nobody's consent is approved by policy alone. One that needs the consent of others on any of its
//! hosts waits as a whole for all of it: [`Asking`] says for whose. What dispatches demands [`Approved`], so that consent
//! cannot be forgotten.

use std::{collections::BTreeSet, time::Duration};

use lictor_core::{
    approval::{Approval, MAX_APPROVAL_WAIT, Term, assign, may_consent, merge, words},
    clock::Timestamp,
    digest::Digest,
    error::{ErrorCode, Failure},
    job::{Job, JobSpec},
    name::{GroupName, PrincipalName},
    principal::{Principal, PrincipalKind},
};
use lictor_policy::{ApprovalTerms, Decision, PolicySet};
use lictor_runtime::human::HumanDuration;

use crate::authz::{DecidedHost, Permit, Refused, and_likewise};

/// Proof that everyone whose consent is needed has given it.
#[derive(Debug)]
pub struct Approved(Permit);

/// A permit for which others have to consent, and can.
#[derive(Debug)]
pub struct Asking {
    permit: Permit,
    plan: Digest,
    terms: Vec<Term>,
    within: Duration,
}

/// What a permit needs besides itself.
#[derive(Debug)]
pub enum Verdict {
    /// Nothing.
    Approved(Approved),
    /// The consent of others.
    Asks(Asking),
}

/// Who has given consent so far, by a policy.
#[derive(Debug)]
pub struct Standing {
    /// Those whose consent counts, each for one group.
    pub counted: Vec<(Principal, GroupName)>,
    /// What is missing.
    pub missing: Vec<Term>,
}

// === impl Verdict ===

impl Verdict {
    /// What `permit` needs, by the policy that permitted it.
    ///
    /// # Errors
    /// [`Refused`] when others have to consent in a way that nobody can.
    pub fn of(permit: Permit, set: &PolicySet) -> Result<Self, Box<Refused>> {
        if permit.asking().is_empty() {
            return Ok(Self::Approved(Approved(permit)));
        }
        let of_hosts = || permit.asking().iter().flat_map(|host| &host.decision.approvals);
        if of_hosts().any(|terms| terms.mfa) {
            let next_step = "this version of Lictor cannot collect consent with a second factor, so nothing of this is run on any \
                             host; ask whoever keeps the policy for a rule without `mfa`, or leave out the hosts that need it \
                             (lictor plan)";
            return Err(refused(&permit, next_step));
        }
        let terms = merge(of_hosts().map(|terms| (&terms.group, terms.approvals)));
        let plan = permit.plan_digest().filter(|_| can_be_met(&terms, permit.principal(), set));
        let Some(plan) = plan else {
            let next_step = "the groups have too few other people for that, so nothing of this is run on any host; ask whoever \
                             keeps the policy to add some, or leave out the hosts that need consent (lictor plan)";
            return Err(refused(&permit, next_step));
        };
        let within = of_hosts().map(|terms| terms.within).min().unwrap_or_default().min(MAX_APPROVAL_WAIT);
        Ok(Self::Asks(Asking { permit, plan, terms, within }))
    }

    /// What was permitted.
    pub const fn permit(&self) -> &Permit {
        match self {
            Self::Approved(approved) => &approved.0,
            Self::Asks(asking) => &asking.permit,
        }
    }
}

// === impl Approved ===

impl Approved {
    /// Approves what policy permits without asking anyone; for what cannot wait for consent.
    ///
    /// # Errors
    /// [`Refused`] when others have to consent on any of the hosts.
    pub fn by_policy(permit: Permit) -> Result<Self, Box<Refused>> {
        if permit.asking().is_empty() {
            return Ok(Self(permit));
        }
        let next_step = "a health check cannot wait for consent; ask whoever keeps the policy for a rule that allows it, or check \
                         with another command";
        Err(refused(&permit, next_step))
    }

    /// Approves what others have consented to, all of it, by the policy by which it was permitted again just now.
    ///
    /// # Errors
    /// What is missing.
    pub fn by_consent(permit: Permit, approval: &Approval, set: &PolicySet) -> Result<Self, Vec<Term>> {
        let needed = permit.asking().iter().flat_map(|host| &host.decision.approvals);
        meets(needed, approval, permit.principal(), set)?;
        Ok(Self(permit.with_consent()))
    }

    /// What was permitted.
    pub const fn permit(&self) -> &Permit {
        &self.0
    }
}

// === impl Asking ===

impl Asking {
    /// What was permitted, with consent.
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The approval that is asked for.
    pub fn approval(&self, spec: &JobSpec, now: Timestamp) -> Approval {
        let rules: BTreeSet<_> = self.permit.asking().iter().filter_map(DecidedHost::rule).collect();
        let first = self.permit.asking().first();
        Approval {
            plan: self.plan,
            terms: self.terms.clone(),
            rules: rules.into_iter().collect(),
            reason: first.map(|host| host.decision.reason.clone()).unwrap_or_default(),
            hosts: u32::try_from(self.permit.would_run_on()).unwrap_or(u32::MAX),
            timeout: spec.timeout,
            output_bytes: spec.output_bytes,
            expires_at: now.plus(self.within),
            consents: Vec::new(),
            state: lictor_core::approval::ApprovalState::Pending,
        }
    }

    /// How long consent can be given.
    pub const fn within(&self) -> Duration {
        self.within
    }
}

/// Who of those who have consented to a job counts by this policy. Whoever asked never does.
pub fn standing(terms: &[Term], approval: &Approval, requester: &Principal, set: &PolicySet) -> Standing {
    let people: Vec<&Principal> = approval.consents.iter().map(|consent| &consent.by).collect();
    let assignment =
        assign(terms, &people, |who, group| may_consent(who, requester) && is_in(who, group, set));
    let counted = people.into_iter().zip(assignment.counts_for);
    let counted = counted.filter_map(|(who, group)| Some((who.clone(), group?))).collect();
    Standing { counted, missing: assignment.missing }
}

/// Whether the consent that was given to a job covers what a policy asks of one of its hosts now.
pub(crate) fn covers(job: &Job, terms: &[ApprovalTerms], set: &PolicySet) -> bool {
    let Some(approval) = job.approval.as_ref().filter(|approval| approval.used_at().is_some()) else {
        return false;
    };
    meets(terms, approval, &job.principal, set).is_ok()
}

/// Whether the consent that was given meets all that is needed. Nobody consents with a second factor yet.
///
/// # Errors
/// What is missing.
fn meets<'a>(
    needed: impl IntoIterator<Item = &'a ApprovalTerms>,
    approval: &Approval,
    requester: &Principal,
    set: &PolicySet,
) -> Result<(), Vec<Term>> {
    let needed: Vec<&ApprovalTerms> = needed.into_iter().collect();
    let terms = merge(needed.iter().map(|terms| (&terms.group, terms.approvals)));
    let missing = standing(&terms, approval, requester, set).missing;
    match missing.is_empty() && !needed.iter().any(|terms| terms.mfa) {
        true => Ok(()),
        false => Err(missing),
    }
}

/// Whether a person is in a group.
pub(crate) fn is_in(who: &Principal, group: &GroupName, set: &PolicySet) -> bool {
    who.kind == PrincipalKind::User && set.people_in(group).any(|name| *name == who.name)
}

/// Whether there are enough other people in the groups. Of each group, as many as all terms need together are enough.
fn can_be_met(terms: &[Term], requester: &Principal, set: &PolicySet) -> bool {
    let needed: u32 = terms.iter().map(|term| term.approvals).sum();
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let person = |name: &PrincipalName| Principal {
        tenant: requester.tenant.clone(),
        kind: PrincipalKind::User,
        name: name.clone(),
    };
    let names: BTreeSet<&PrincipalName> = terms
        .iter()
        .flat_map(|term| set.people_in(&term.group).filter(|name| **name != requester.name).take(needed))
        .collect();
    let people: Vec<Principal> = names.into_iter().map(person).collect();
    assign(terms, &people.iter().collect::<Vec<_>>(), |who, group| is_in(who, group, set)).is_complete()
}

fn refused(permit: &Permit, next_step: &str) -> Box<Refused> {
    let asking = permit.asking();
    let command = permit.command().render();
    let Some(first) = asking.first() else {
        let failure = Failure::new(ErrorCode::PolicyDenied, "others have to consent", next_step);
        return Box::new(Refused { command, rule: None, code: failure.code.as_str().to_owned(), failure });
    };
    let Decision { code, rule, reason, approvals, .. } = first.decision.clone();
    let whom = approvals.iter().map(whom).collect::<Vec<_>>().join(", and ");
    let message = format!("{reason}{}: {whom} must consent", and_likewise(asking.len()));
    let mut failure = Failure::new(ErrorCode::PolicyDenied, message, next_step)
        .with("decision", code.as_str())
        .with("host", first.host.alias.as_str())
        .with("consent", whom);
    if let Some(rule) = &rule {
        failure = failure.with("rule", rule.as_str());
    }
    Box::new(Refused { command, rule, code: code.as_str().to_owned(), failure })
}

/// Whose consent, in words.
fn whom(terms: &ApprovalTerms) -> String {
    let ApprovalTerms { approvals, group, within, mfa } = terms;
    let term = Term { group: group.clone(), approvals: *approvals };
    let factor = if *mfa { ", each with a second factor" } else { "" };
    format!("{} within {}{factor}", words(&[term]), HumanDuration::new(*within))
}
