//! The policy in force, those before it, and the one that is proposed.

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    error::Failure,
    name::{HostAlias, RuleId},
    principal::Principal,
};
use lictor_proto::{
    convert::{Invalid, digest, known, parse, required},
    pb,
};

use super::Operator;
use crate::{connect::CALL_DEADLINE, failure::not_understood, jobs::page, views::optional};

/// A policy as it was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyView {
    /// Its version.
    pub version: u64,
    /// Digest of its text.
    pub digest: Digest,
    /// The YAML.
    pub source: String,
    /// Who put it.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// What whoever put it says of the change; may be empty.
    pub note: String,
}

/// A policy that is or was in force, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its version.
    pub version: u64,
    /// Digest of its text.
    pub digest: Digest,
    /// Who put it.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// What whoever put it says of the change; may be empty.
    pub note: String,
}

/// A page of versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersionsPage {
    /// The versions of this page.
    pub versions: Vec<PolicyVersion>,
    /// Ask for the next page with this; `None` on the last.
    pub next_page: Option<String>,
}

/// What came of putting a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPut {
    /// The version that is now in force.
    pub version: u64,
    /// A stable code, e.g. `file_not_written`: it is in force, but its file on the controller could not be written.
    pub warning: Option<String>,
}

/// A proposed policy, and how it differs from the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowView {
    /// Digest of its text.
    pub digest: Digest,
    /// Who proposed it.
    pub put_by: String,
    /// When.
    pub put_at: Timestamp,
    /// All counts are from here on: since it was put, or since the controller started if that was later.
    pub counted_since: Timestamp,
    /// Requests judged by both.
    pub requests: u64,
    /// Hosts judged by both, over all requests.
    pub hosts: u64,
    /// Requests that were not judged by it because too many came at once.
    pub not_judged: u64,
    /// Hosts on which it would deny what the one in force does not.
    pub would_deny: u64,
    /// Hosts on which it would allow what the one in force denies, or allows only with consent.
    pub would_allow: u64,
    /// Hosts on which it would ask for consent to what the one in force allows or denies.
    pub would_ask: u64,
    /// Hosts on which it has the same effect with other limits, networks, most hosts in a job or consent.
    pub other_limits: u64,
    /// The newest differences, newest first.
    pub differences: Vec<ShadowDifference>,
}

/// One host of one request on which a proposed policy differs from the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowDifference {
    /// How it differs.
    pub kind: DifferenceKind,
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub principal: Principal,
    /// For which host.
    pub host: HostAlias,
    /// The command; cut if it is long.
    pub command: String,
    /// The code of the decision in force.
    pub live_code: String,
    /// Its rule.
    pub live_rule: Option<RuleId>,
    /// The code of the proposed policy's decision.
    pub shadow_code: String,
    /// Its rule.
    pub shadow_rule: Option<RuleId>,
}

/// How a proposed policy differs from the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// It would deny.
    WouldDeny,
    /// It would allow.
    WouldAllow,
    /// It would ask for consent.
    WouldAsk,
    /// The same effect, otherwise bounded.
    OtherLimits,
}

// === impl Operator ===

impl Operator {
    /// The policy in force, or an earlier version.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn policy(&self, version: Option<u64>) -> Result<PolicyView, Failure> {
        let request = pb::GetPolicyRequest { version: version.unwrap_or_default() };
        let mut service = self.client.policy_service();
        let answer = self.client.answer(CALL_DEADLINE, service.get(request)).await?;
        PolicyView::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Puts another policy in force, if the one in force still has `expected_version`. `note` says why, in at most 256
    /// bytes; it may be empty.
    ///
    /// # Errors
    /// `CONFLICT` if it has not, `INVALID_ARGUMENT` if the policy is not valid, `FORBIDDEN` for others than operators.
    pub async fn put_policy(
        &self,
        source: &str,
        expected_version: u64,
        note: &str,
    ) -> Result<PolicyPut, Failure> {
        let (source, note) = (source.to_owned(), note.to_owned());
        let request = pb::PutPolicyRequest { source, expected_version, note };
        let mut service = self.client.policy_service();
        let pb::PutPolicyResponse { version, warning } =
            self.client.answer(CALL_DEADLINE, service.put(request)).await?;
        Ok(PolicyPut { version, warning: Some(warning).filter(|w| !w.is_empty()) })
    }

    /// The policies that have been in force, newest first, at most `page_size` (0: the controller's choice).
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn policy_history(
        &self,
        page_size: u32,
        page: Option<&str>,
    ) -> Result<PolicyVersionsPage, Failure> {
        let request = pb::HistoryRequest { page_size, page_token: page.unwrap_or_default().to_owned() };
        let mut service = self.client.policy_service();
        let answer = self.client.answer(CALL_DEADLINE, service.history(request)).await?;
        PolicyVersionsPage::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Proposes a policy, in place of the one that was proposed before; answers its digest.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the policy is not valid, `FORBIDDEN` for others than operators.
    pub async fn put_shadow_policy(&self, source: &str) -> Result<Digest, Failure> {
        let request = pb::PutShadowRequest { source: source.to_owned() };
        let mut service = self.client.policy_service();
        let answer = self.client.answer(CALL_DEADLINE, service.put_shadow(request)).await?;
        digest("shadow.digest", &answer.digest).map_err(|e| not_understood(&e))
    }

    /// Withdraws the proposed policy.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is none, `FORBIDDEN` for others than operators.
    pub async fn clear_shadow_policy(&self) -> Result<(), Failure> {
        let mut service = self.client.policy_service();
        self.client.answer(CALL_DEADLINE, service.clear_shadow(pb::ClearShadowRequest {})).await.map(drop)
    }

    /// The proposed policy, and how it differs from the one in force.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is none, `FORBIDDEN` for others than operators.
    pub async fn shadow_policy(&self) -> Result<ShadowView, Failure> {
        let mut service = self.client.policy_service();
        let answer = self.client.answer(CALL_DEADLINE, service.get_shadow(pb::GetShadowRequest {})).await?;
        ShadowView::try_from(answer).map_err(|e| not_understood(&e))
    }
}

// === impl DifferenceKind ===

impl DifferenceKind {
    /// The kind as every interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WouldDeny => "WOULD_DENY",
            Self::WouldAllow => "WOULD_ALLOW",
            Self::WouldAsk => "WOULD_ASK",
            Self::OtherLimits => "OTHER_LIMITS",
        }
    }
}

// === conversions ===

impl TryFrom<pb::Policy> for PolicyView {
    type Error = Invalid;
    fn try_from(wire: pb::Policy) -> Result<Self, Invalid> {
        let pb::Policy { version, digest: bytes, source, changed_by, changed_at, note } = wire;
        let (digest, changed_at) = (digest("policy.digest", &bytes)?, Timestamp::from_micros(changed_at));
        Ok(Self { version, digest, source, changed_by, changed_at, note })
    }
}

impl TryFrom<pb::PolicyVersion> for PolicyVersion {
    type Error = Invalid;
    fn try_from(wire: pb::PolicyVersion) -> Result<Self, Invalid> {
        let pb::PolicyVersion { version, digest: bytes, changed_by, changed_at, note } = wire;
        let (digest, changed_at) = (digest("policy.digest", &bytes)?, Timestamp::from_micros(changed_at));
        Ok(Self { version, digest, changed_by, changed_at, note })
    }
}

impl TryFrom<pb::HistoryResponse> for PolicyVersionsPage {
    type Error = Invalid;
    fn try_from(wire: pb::HistoryResponse) -> Result<Self, Invalid> {
        Ok(Self {
            versions: wire.versions.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            next_page: page(wire.next_page_token),
        })
    }
}

impl TryFrom<pb::ShadowPolicy> for ShadowView {
    type Error = Invalid;
    fn try_from(wire: pb::ShadowPolicy) -> Result<Self, Invalid> {
        let pb::ShadowPolicy {
            digest: bytes,
            put_by,
            put_at,
            counted_since,
            requests,
            hosts,
            not_judged,
            would_deny,
            would_allow,
            would_ask,
            other_limits,
            differences,
        } = wire;
        Ok(Self {
            digest: digest("shadow.digest", &bytes)?,
            put_by,
            put_at: Timestamp::from_micros(put_at),
            counted_since: Timestamp::from_micros(counted_since),
            requests,
            hosts,
            not_judged,
            would_deny,
            would_allow,
            would_ask,
            other_limits,
            differences: differences.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::ShadowDifference> for ShadowDifference {
    type Error = Invalid;
    fn try_from(wire: pb::ShadowDifference) -> Result<Self, Invalid> {
        use pb::ShadowDifferenceKind as Wire;
        let pb::ShadowDifference {
            kind,
            at,
            principal,
            host,
            command,
            live_code,
            live_rule,
            shadow_code,
            shadow_rule,
        } = wire;
        let kind = match known("shadow.kind", kind)? {
            Wire::Unspecified => return Err(Invalid::new("shadow.kind", "it is not set")),
            Wire::WouldDeny => DifferenceKind::WouldDeny,
            Wire::WouldAllow => DifferenceKind::WouldAllow,
            Wire::WouldAsk => DifferenceKind::WouldAsk,
            Wire::OtherLimits => DifferenceKind::OtherLimits,
        };
        Ok(Self {
            kind,
            at: Timestamp::from_micros(at),
            principal: required("shadow.principal", principal)?.try_into()?,
            host: parse("shadow.host", &host)?,
            command,
            live_code,
            live_rule: optional("shadow.live_rule", &live_rule)?,
            shadow_code,
            shadow_rule: optional("shadow.shadow_rule", &shadow_rule)?,
        })
    }
}
