//! Who else: from a [`Permit`] to [`Approved`].
//!
//! Consent cannot be collected yet. So a permit that needs none is approved by policy alone, and one that needs the
//! consent of others on any of its hosts is refused as a whole: nothing of it is run. What dispatches demands
//! [`Approved`], so that consent cannot be forgotten.

use lictor_core::error::{ErrorCode, Failure};
use lictor_policy::{ApprovalTerms, Decision};
use lictor_runtime::human::HumanDuration;

use crate::authz::{Permit, Refused, and_likewise};

/// Proof that everyone whose consent is needed has given it.
#[derive(Debug)]
pub struct Approved(Permit);

impl Approved {
    /// Approves what policy permits without asking anyone.
    ///
    /// # Errors
    /// [`Refused`] when others have to consent on any of the hosts.
    pub fn by_policy(permit: Permit) -> Result<Self, Box<Refused>> {
        let asking = permit.asking();
        let Some(first) = asking.first() else { return Ok(Self(permit)) };
        let Decision { code, rule, reason, approvals, .. } = first.decision.clone();
        let whom = approvals.iter().map(whom).collect::<Vec<_>>().join(", and ");
        let message = format!("{reason}{}: {whom} must consent", and_likewise(asking.len()));
        let next_step = "this version of Lictor cannot collect consent, so nothing of this is run on any host; ask whoever keeps \
                         the policy for a rule that allows it, or leave out the hosts that need consent (lictor plan)";
        let mut failure = Failure::new(ErrorCode::PolicyDenied, message, next_step)
            .with("decision", code.as_str())
            .with("host", first.host.alias.as_str())
            .with("consent", whom);
        if let Some(rule) = &rule {
            failure = failure.with("rule", rule.as_str());
        }
        let command = permit.command().render();
        Err(Box::new(Refused { command, rule, code: code.as_str().to_owned(), failure }))
    }
    /// What was permitted.
    pub const fn permit(&self) -> &Permit {
        &self.0
    }
}

/// Whose consent, in words.
fn whom(terms: &ApprovalTerms) -> String {
    let ApprovalTerms { approvals, group, within, mfa } = terms;
    let people = if *approvals == 1 { "person" } else { "people" };
    let factor = if *mfa { ", each with a second factor" } else { "" };
    format!("{approvals} other {people} of group `{group}` within {}{factor}", HumanDuration::new(*within))
}
