//! What the log keeps of the consent of others: enough to check, without the controller, that it preceded what it allowed.

use super::{
    Field, Fields,
    fields::{millis, optional, text},
};
use crate::{
    approval::{Note, Term},
    clock::Timestamp,
    digest::Digest,
    id::JobId,
    name::{GroupName, RuleId},
    principal::Principal,
};

/// What happened to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalEvent {
    /// The job.
    pub job: JobId,
    /// Digest of the plan that is consented to.
    pub plan: Digest,
    /// What.
    pub what: ApprovalChange,
}

/// What can happen to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalChange {
    /// A job was recorded that may begin only with consent. In the commit of the job.
    Requested {
        /// Who asked for the job.
        requester: Principal,
        /// Whose consent is needed.
        terms: Vec<Term>,
        /// The rules that ask for it.
        rules: Vec<RuleId>,
        /// How long consent can be given.
        within: std::time::Duration,
        /// On how many hosts the job would run.
        hosts: u32,
    },
    /// Somebody consented.
    Given {
        /// Who.
        by: Principal,
        /// The groups of the terms that they are in.
        groups: Vec<GroupName>,
        /// What they say of it.
        note: Option<Note>,
    },
    /// Somebody refused.
    Denied {
        /// Who.
        by: Principal,
        /// Why.
        note: Note,
    },
    /// It was not complete in time.
    Expired {
        /// Until when it could have been.
        expired_at: Timestamp,
    },
    /// What would have been decided was no longer what was consented to.
    Voided {
        /// A code, e.g. `PLAN_STALE`.
        code: String,
        /// The reason for people.
        reason: String,
    },
    /// It was complete and was used: the intents of the job follow in the same commit.
    Used {
        /// Who counted, each for one group.
        consents: Vec<(Principal, GroupName)>,
        /// The version of the policy by which it was judged again.
        policy_version: u64,
    },
}

// === impl ApprovalEvent ===

impl ApprovalEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self.what {
            ApprovalChange::Requested { .. } => "approval_requested",
            ApprovalChange::Given { .. } => "approval_given",
            ApprovalChange::Denied { .. } => "approval_denied",
            ApprovalChange::Expired { .. } => "approval_expired",
            ApprovalChange::Voided { .. } => "approval_voided",
            ApprovalChange::Used { .. } => "approval_used",
        }
    }

    pub(super) fn fields(&self) -> Fields {
        let mut fields = vec![("job", text(self.job)), ("plan_digest", text(self.plan))];
        fields.extend(match &self.what {
            ApprovalChange::Requested { requester, terms, rules, within, hosts } => vec![
                ("requester", text(requester)),
                ("terms", list(terms.iter().map(|term| format!("{} of {}", term.approvals, term.group)))),
                ("rules", list(rules)),
                ("within_ms", Field::Number(millis(*within))),
                ("hosts", Field::Number((*hosts).into())),
            ],
            ApprovalChange::Given { by, groups, note } => {
                vec![("by", text(by)), ("groups", list(groups)), ("note", optional(note.as_ref()))]
            }
            ApprovalChange::Denied { by, note } => vec![("by", text(by)), ("note", text(note))],
            ApprovalChange::Expired { expired_at } => vec![("expired_at", text(expired_at))],
            ApprovalChange::Voided { code, reason } => vec![("code", text(code)), ("reason", text(reason))],
            ApprovalChange::Used { consents, policy_version } => vec![
                ("consents", list(consents.iter().map(|(by, group)| format!("{by} for {group}")))),
                ("policy_version", Field::Number(*policy_version)),
            ],
        });
        fields
    }
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> Field {
    Field::List(items.into_iter().map(|item| item.to_string()).collect())
}
