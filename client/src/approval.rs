//! What clients read of the consent that a job needs, and of what is to be consented to.

use lictor_core::{
    approval::{Consent, Term, words},
    clock::Timestamp,
    command::Command,
    context::Context,
    digest::Digest,
    id::JobId,
    job::Origin,
    name::RuleId,
    principal::Principal,
};
use lictor_proto::{
    convert::{Invalid, context_from_wire, digest, known, parse, required, terms_from_wire},
    pb,
};

/// The consent that a job needs, and how that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalView {
    /// How it stands.
    pub state: ApprovalState,
    /// Digest of the plan that is consented to.
    pub plan: Digest,
    /// Whose consent is needed, all of them.
    pub terms: Vec<Term>,
    /// Who has consented, in that order.
    pub consents: Vec<Consent>,
    /// Until when consent can be given.
    pub expires_at: Timestamp,
    /// The rules that ask for it.
    pub rules: Vec<RuleId>,
    /// Why policy asks for it.
    pub policy_reason: String,
    /// Who refused.
    pub denied_by: Option<Principal>,
    /// Why it was refused or is void; empty otherwise.
    pub reason: String,
    /// A code such as `PLAN_STALE` where it is void; empty otherwise.
    pub code: String,
    /// When it was used, refused, expired or void.
    pub decided_at: Option<Timestamp>,
}

/// How an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// It waits for consent.
    Pending,
    /// It was complete, and was used: once.
    Used,
    /// Somebody refused.
    Denied,
    /// It was not complete in time.
    Expired,
    /// The job would no longer have been what was consented to.
    Voided,
    /// The job was cancelled or aborted while it waited.
    Withdrawn,
}

/// An approval with what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequestView {
    /// The job; its identifier is the approval's.
    pub job: JobId,
    /// The consent that it needs.
    pub approval: ApprovalView,
    /// Who asked.
    pub requester: Principal,
    /// By which door.
    pub origin: Origin,
    /// The judged command.
    pub command: Command,
    /// In what it would run.
    pub context: Context,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The version of the policy that asked.
    pub policy_version: u64,
    /// Hosts on which it would run.
    pub hosts: u32,
    /// What is still missing, by the policy in force.
    pub missing: Vec<Term>,
    /// Why the caller's consent would not count now; `None`: it would.
    pub why_not: Option<String>,
    /// It outlives connections and agents.
    pub detached: bool,
}

// === impl ApprovalView ===

impl ApprovalView {
    /// Whether it waits for consent.
    pub fn is_pending(&self) -> bool {
        self.state == ApprovalState::Pending
    }
    /// Whose consent is needed, in words.
    pub fn whom(&self) -> String {
        words(&self.terms)
    }
}

// === impl ApprovalState ===

impl ApprovalState {
    /// The state in capitals, as every interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Used => "USED",
            Self::Denied => "DENIED",
            Self::Expired => "EXPIRED",
            Self::Voided => "VOIDED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }

    fn from_wire(wire: i32) -> Result<Self, Invalid> {
        match known("approval.state", wire)? {
            pb::ApprovalState::Unspecified => Err(Invalid::new("approval.state", "it is not set")),
            pb::ApprovalState::Pending => Ok(Self::Pending),
            pb::ApprovalState::Used => Ok(Self::Used),
            pb::ApprovalState::Denied => Ok(Self::Denied),
            pb::ApprovalState::Expired => Ok(Self::Expired),
            pb::ApprovalState::Voided => Ok(Self::Voided),
            pb::ApprovalState::Withdrawn => Ok(Self::Withdrawn),
        }
    }
}

// === conversions ===

impl TryFrom<pb::Approval> for ApprovalView {
    type Error = Invalid;
    fn try_from(wire: pb::Approval) -> Result<Self, Invalid> {
        let pb::Approval {
            state,
            plan_digest,
            terms,
            terms_text: _,
            consents,
            expires_at,
            rules,
            policy_reason,
            denied_by,
            reason,
            code,
            decided_at,
        } = wire;
        Ok(Self {
            state: ApprovalState::from_wire(state)?,
            plan: digest("approval.plan_digest", &plan_digest)?,
            terms: terms_from_wire(terms)?,
            consents: consents.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            expires_at: Timestamp::from_micros(expires_at),
            rules: rules.iter().map(|rule| parse("approval.rules", rule)).collect::<Result<_, _>>()?,
            policy_reason,
            denied_by: denied_by.map(TryInto::try_into).transpose()?,
            reason,
            code,
            decided_at: decided_at.map(Timestamp::from_micros),
        })
    }
}

impl TryFrom<pb::ApprovalRequest> for ApprovalRequestView {
    type Error = Invalid;
    fn try_from(wire: pb::ApprovalRequest) -> Result<Self, Invalid> {
        let pb::ApprovalRequest {
            job_id,
            approval,
            requester,
            origin,
            command,
            command_text: _,
            context,
            requested_at,
            policy_version,
            hosts,
            missing,
            may_decide,
            why_not,
            detached,
        } = wire;
        Ok(Self {
            job: parse("approval.job_id", &job_id)?,
            approval: required("approval", approval)?.try_into()?,
            requester: required("approval.requester", requester)?.try_into()?,
            origin: required("approval.origin", origin)?.try_into()?,
            command: required("approval.command", command)?.try_into()?,
            context: context_from_wire(context)?,
            requested_at: Timestamp::from_micros(requested_at),
            policy_version,
            hosts,
            missing: terms_from_wire(missing)?,
            why_not: (!may_decide).then_some(why_not),
            detached,
        })
    }
}
