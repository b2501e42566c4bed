//! What a plan digest covers: everything by which the same request could come to run otherwise.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::{
    context::Context,
    digest::{Digest, Sha256Builder},
    freeze::FROZEN,
    principal::{Principal, Via},
    rollout::Rollout,
};
use lictor_policy::{ApprovalTerms, Decision, Effect, RequestedLimits};
use lictor_store::KeptHost;

use super::Decided;

/// For whom and by what a plan was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) principal: &'a Principal,
    pub(super) via: Via,
    /// In what the command would run.
    pub(super) context: &'a Context,
    pub(super) requested: RequestedLimits,
    pub(super) detached: bool,
    /// In which waves, how many at a time, and what stops it.
    pub(super) rollout: &'a Rollout,
    /// The digest of the policy's text.
    pub(super) policy: Digest,
}

/// The digest of what was decided for a request.
pub(super) fn digest(terms: Terms<'_>, decided: &Decided) -> Digest {
    let Principal { tenant, kind, name } = terms.principal;
    let head = Sha256Builder::new("lictor plan v1")
        .part(tenant.as_str().as_bytes())
        .part(kind.as_str().as_bytes())
        .part(name.as_str().as_bytes())
        .part(terms.via.as_str().as_bytes())
        .part(terms.context.bind(decided.command.digest()).as_bytes())
        .part(&optional(terms.requested.timeout.map(micros)))
        .part(&optional(terms.requested.output_bytes))
        .part(terms.policy.as_bytes());
    let head = if terms.detached { head.part(b"detached") } else { head };
    let immediate = terms.rollout.is_immediate();
    let head = if immediate { head } else { terms.rollout.digest_into(head.part(b"rollout")) };
    let hosts = &decided.hosts;
    hosts
        .iter()
        .fold(count(head, hosts.len()), |builder, (host, decision)| {
            let verdict = match decided.freeze(&host.alias) {
                Some(_) => (Effect::Deny.as_str(), FROZEN),
                None => (decision.effect.as_str(), decision.code.as_str()),
            };
            one(builder, host, decision, verdict)
        })
        .finish()
}

/// One host: as rules know it, and what was decided for it. Lists come with their length, so that no two lists of
/// parts are the same.
fn one(
    builder: Sha256Builder,
    host: &KeptHost,
    decision: &Decision,
    (effect, code): (&str, &str),
) -> Sha256Builder {
    let builder = builder.part(host.alias.as_str().as_bytes()).part(host.site.as_str().as_bytes());
    let builder = count(builder, host.tags.len());
    let builder = host.tags.iter().fold(builder, |builder, tag| builder.part(tag.as_str().as_bytes()));
    let builder = count(builder, host.labels.iter().len());
    let builder = host.labels.iter().fold(builder, |builder, (key, value)| {
        builder.part(key.as_str().as_bytes()).part(value.as_str().as_bytes())
    });
    let builder = builder
        .part(effect.as_bytes())
        .part(code.as_bytes())
        .part(decision.rule.as_ref().map(|rule| rule.as_str().as_bytes()).unwrap_or_default())
        .part(&micros(decision.limits.timeout).to_be_bytes())
        .part(&decision.limits.output_bytes.to_be_bytes())
        .part(&optional(decision.max_hosts.map(u64::from)));
    let builder = networks(builder, &decision.networks_allowed);
    let builder = networks(builder, &decision.networks_denied);
    let builder = count(builder, decision.approvals.len());
    decision.approvals.iter().fold(builder, consent)
}

fn consent(builder: Sha256Builder, terms: &ApprovalTerms) -> Sha256Builder {
    let ApprovalTerms { approvals, group, within, mfa } = terms;
    builder
        .part(&approvals.to_be_bytes())
        .part(group.as_str().as_bytes())
        .part(&micros(*within).to_be_bytes())
        .part(&[u8::from(*mfa)])
}

fn networks(builder: Sha256Builder, list: &[IpNet]) -> Sha256Builder {
    list.iter().fold(count(builder, list.len()), |builder, net| builder.part(net.to_string().as_bytes()))
}

fn count(builder: Sha256Builder, length: usize) -> Sha256Builder {
    builder.part(&(length as u64).to_be_bytes())
}

/// Nothing is an empty part; a number has eight bytes.
fn optional(number: Option<u64>) -> Vec<u8> {
    number.map(|n| n.to_be_bytes().to_vec()).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lictor_core::{
        clock::Timestamp,
        command::Command,
        freeze::{Freeze, FreezeScope, FreezeSet},
        id::FreezeId,
        job::Limits,
        label::Labels,
        name::{GroupName, HostAlias, PrincipalName, RuleId, SiteName, Tag, TenantName},
        principal::PrincipalKind,
    };
    use lictor_policy::DecisionCode;

    use super::*;

    fn host() -> KeptHost {
        KeptHost {
            alias: HostAlias::new("web-1").unwrap(),
            site: SiteName::new("eu").unwrap(),
            tags: vec![Tag::new("web").unwrap()],
            labels: Labels::new([("env", "prod")]).unwrap(),
            description: "d".into(),
            address: "10.0.0.1:22".into(),
            user: "ops".into(),
            host_key_fingerprints: Vec::new(),
        }
    }

    fn decision() -> Decision {
        Decision {
            effect: Effect::Allow,
            code: DecisionCode::Allowed,
            rule: Some(RuleId::new("r").unwrap()),
            reason: "because".into(),
            hint: String::new(),
            part: None,
            pattern: None,
            word: None,
            limits: Limits { timeout: Duration::from_secs(1), output_bytes: 1 },
            networks_allowed: Vec::new(),
            networks_denied: Vec::new(),
            max_hosts: None,
            approvals: Vec::new(),
        }
    }

    fn frozen() -> FreezeSet {
        let (id, at) = (FreezeId::from_bytes([1; 16]), Timestamp::from_micros(1));
        let reason = "r".parse().unwrap();
        let freeze = Freeze { id, scope: FreezeScope::Everything, reason, by: principal("ops"), at };
        [Arc::new(freeze)].into_iter().collect()
    }

    fn principal(name: &str) -> Principal {
        Principal {
            tenant: TenantName::new("default").unwrap(),
            kind: PrincipalKind::User,
            name: PrincipalName::new(name).unwrap(),
        }
    }

    fn of(
        principal: &Principal,
        via: Via,
        requested: RequestedLimits,
        policy: &[u8],
        decided: &Decided,
    ) -> Digest {
        let (context, detached, rollout) = (Context::none(), false, &Rollout::default());
        let policy = Digest::of(policy);
        digest(Terms { principal, via, context, requested, detached, rollout, policy }, decided)
    }

    fn plain(decided: &Decided) -> Digest {
        of(&principal("ops"), Via::Cli, RequestedLimits::default(), b"p", decided)
    }

    fn decided(host: KeptHost, decision: Decision) -> Decided {
        let command = Command::from_argv(&["uptime"]).unwrap();
        Decided { command, hosts: vec![(Arc::new(host), decision)], frozen: Default::default() }
    }

    #[test]
    fn whatever_could_come_to_run_otherwise_changes_the_digest_of_a_plan() {
        let base = decided(host(), decision());
        let terms = ApprovalTerms {
            approvals: 2,
            group: GroupName::new("g").unwrap(),
            within: Duration::from_secs(60),
            mfa: false,
        };
        let net: IpNet = "10.0.0.0/8".parse().unwrap();
        let limits = decision().limits;
        let others = [
            decided(KeptHost { alias: HostAlias::new("web-2").unwrap(), ..host() }, decision()),
            decided(KeptHost { site: SiteName::new("us").unwrap(), ..host() }, decision()),
            decided(KeptHost { tags: vec![], ..host() }, decision()),
            decided(KeptHost { labels: Labels::default(), ..host() }, decision()),
            decided(KeptHost { labels: Labels::new([("env", "test")]).unwrap(), ..host() }, decision()),
            decided(KeptHost { labels: Labels::new([("envp", "rod")]).unwrap(), ..host() }, decision()),
            decided(host(), Decision { effect: Effect::Deny, ..decision() }),
            decided(host(), Decision { code: DecisionCode::Frozen, ..decision() }),
            decided(host(), decision()).under(&frozen()),
            decided(host(), Decision { rule: None, ..decision() }),
            decided(
                host(),
                Decision { limits: Limits { timeout: Duration::from_secs(2), ..limits }, ..decision() },
            ),
            decided(host(), Decision { limits: Limits { output_bytes: 2, ..limits }, ..decision() }),
            decided(host(), Decision { networks_allowed: vec![net], ..decision() }),
            decided(host(), Decision { networks_denied: vec![net], ..decision() }),
            decided(host(), Decision { max_hosts: Some(1), ..decision() }),
            decided(host(), Decision { approvals: vec![terms.clone()], ..decision() }),
            decided(host(), Decision { approvals: vec![ApprovalTerms { mfa: true, ..terms }], ..decision() }),
            Decided { command: Command::from_argv(&["id"]).unwrap(), ..decided(host(), decision()) },
            Decided { hosts: vec![], ..decided(host(), decision()) },
        ];
        let asked = RequestedLimits { timeout: Some(Duration::from_secs(1)), output_bytes: None };
        let none = RequestedLimits::default();
        let mut digests: Vec<Digest> = others.iter().map(plain).collect();
        digests.extend([
            plain(&base),
            of(&principal("eve"), Via::Cli, none, b"p", &base),
            of(&principal("ops"), Via::Mcp, none, b"p", &base),
            of(&principal("ops"), Via::Cli, asked, b"p", &base),
            of(&principal("ops"), Via::Cli, none, b"q", &base),
            digest(
                Terms {
                    principal: &principal("ops"),
                    via: Via::Cli,
                    context: Context::none(),
                    requested: none,
                    detached: true,
                    rollout: &Rollout::default(),
                    policy: Digest::of(b"p"),
                },
                &base,
            ),
        ]);
        for login in ["deploy", "root"] {
            let context = Context { run_as: Some(login.parse().unwrap()), ..Context::default() };
            let principal = &principal("ops");
            let policy = Digest::of(b"p");
            digests.push(digest(
                Terms {
                    principal,
                    via: Via::Cli,
                    context: &context,
                    requested: none,
                    detached: false,
                    rollout: &Rollout::default(),
                    policy,
                },
                &base,
            ));
        }
        let all = digests.len();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), all, "two different plans have one digest");
    }

    #[test]
    fn what_is_only_said_of_a_decision_does_not_change_the_digest_of_a_plan() {
        let base = plain(&decided(host(), decision()));
        let said = Decision { reason: "x".into(), hint: "y".into(), part: Some("z".into()), ..decision() };
        assert_eq!(plain(&decided(host(), said)), base);
        assert_eq!(plain(&decided(KeptHost { description: "x".into(), ..host() }, decision())), base);
    }
}
