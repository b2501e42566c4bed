//! A command as somebody wrote it, judged in one step: refused before any rule is asked, or decided by the rules.

use lictor_core::{
    clock::Timestamp,
    command::Command,
    context::Context,
    job::CommandInput,
    name::{PrincipalName, RuleId, TenantName},
    principal::{Principal, PrincipalKind, Via},
};

use crate::{
    decision::Effect,
    evaluate::evaluate,
    refusal::Refusal,
    request::{HostFacts, Request, RequestedLimits},
    set::PolicySet,
};

/// Who asks for something, by which door, where and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circumstances {
    /// Who.
    pub principal: Principal,
    /// By which door.
    pub via: Via,
    /// Where.
    pub host: HostFacts,
    /// In what.
    pub context: Context,
    /// When.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The command, where the text is one.
    pub command: Option<Command>,
    /// Allowed, allowed with consent, or denied; what is not a command is denied.
    pub effect: Effect,
    /// `POLICY_…`, or the `E_…` of the refusal.
    pub code: &'static str,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// One sentence for people.
    pub reason: String,
    /// What to do next; empty when allowed.
    pub hint: String,
}

/// Judges `input` by `set`.
pub fn judge(set: &PolicySet, input: &CommandInput, circumstances: &Circumstances) -> Verdict {
    match set.parse_command(input) {
        Ok(command) => judge_command(set, command, circumstances),
        Err(refusal) => refusal.into(),
    }
}

/// Judges a command that was parsed already.
pub fn judge_command(set: &PolicySet, command: Command, circumstances: &Circumstances) -> Verdict {
    let decision = evaluate(set, &circumstances.request(&command));
    Verdict {
        command: Some(command),
        effect: decision.effect,
        code: decision.code.as_str(),
        rule: decision.rule,
        reason: decision.reason,
        hint: decision.hint,
    }
}

/// Reads `user:alice` or `service:ci`.
///
/// # Errors
/// When it is neither.
pub fn principal(tenant: &TenantName, text: &str) -> Result<Principal, String> {
    let kinds = [PrincipalKind::User, PrincipalKind::Service];
    let (kind, name) = text
        .split_once(':')
        .and_then(|(kind, name)| Some((kinds.into_iter().find(|k| k.as_str() == kind)?, name)))
        .ok_or_else(|| format!("`{text}` is nobody; write `user:NAME` or `service:NAME`"))?;
    let name = PrincipalName::new(name).map_err(|e| format!("`{text}`: {e}"))?;
    Ok(Principal { tenant: tenant.clone(), kind, name })
}

// === impl Circumstances ===

impl Circumstances {
    /// The request for `command`, with the limits left to the policy.
    pub fn request<'a>(&'a self, command: &'a Command) -> Request<'a> {
        Request {
            principal: &self.principal,
            via: self.via,
            host: &self.host,
            command,
            context: &self.context,
            requested: RequestedLimits::default(),
            at: self.at,
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self {
            command: None,
            effect: Effect::Deny,
            code: refusal.code.as_str(),
            rule: None,
            reason: refusal.message,
            hint: refusal.hint,
        }
    }
}
