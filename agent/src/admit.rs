//! The gate: from signed bytes to [`Admitted`], the only thing that can be started. Every term is checked here again.

use std::{fmt, sync::Arc};

#[cfg(test)]
mod tests;

use ipnet::IpNet;
use lictor_certs::signer::{PublicKey, Purpose};
use lictor_core::{
    clock::Timestamp,
    context::Context,
    digest::Digest,
    grant::{Grant, GrantTarget},
    id::InvocationId,
    job::Limits,
    limits::{MAX_CLOCK_SKEW, MAX_TIMEOUT},
    name::{AgentName, HostAlias, SiteName, TenantName},
    outcome::{Outcome, Unreachable},
    transfer::{Transfer, most_output},
};
use lictor_policy::{Effect, HostFacts, Request, RequestedLimits, check_command, evaluate};
use lictor_proto::pb;
use prost::Message as _;

use crate::{evidence::Basis, site::Site, ssh::address::Networks};

/// ★ One invocation that may be started, once. Made only by [`Gate::admit`]; not to be copied.
#[derive(Debug)]
pub struct Admitted {
    invocation: InvocationId,
    host: HostAlias,
    rendered: Arc<str>,
    limits: Limits,
    networks: Networks,
    start_by: Timestamp,
    /// What it was judged by, so that it can be judged again.
    grant: Arc<Grant>,
    target: GrantTarget,
    basis: Basis,
    generation: u64,
}

/// One invocation that must not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub invocation: InvocationId,
    /// What to report.
    pub outcome: Outcome,
    /// On what the refusal rests.
    pub basis: Basis,
}

/// Who this agent is and whose signature it obeys.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The key that signs grants, pinned when the agent was enrolled.
    pub key: PublicKey,
    /// Our tenant.
    pub tenant: TenantName,
    /// Our site.
    pub site: SiteName,
    /// Our name.
    pub agent: AgentName,
}

/// What became of an offer.
#[derive(Debug, Default)]
pub struct Verdict {
    /// May start.
    pub admitted: Vec<Admitted>,
    /// Must not start, with the reason to report.
    pub refused: Vec<Refused>,
}

/// An offer that cannot be attributed to anything: dropped, logged and counted, never answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forged {
    /// The signature is not the controller's.
    Signature,
    /// The signature is the controller's and the content is not a grant.
    Malformed(String),
}

// === impl Gate ===

impl Gate {
    /// Judges an offer that came over the session of `epoch`. `claim` takes an identifier for good and says whether it
    /// was free: one that is known already is neither admitted nor refused.
    ///
    /// # Errors
    /// [`Forged`] when nothing in the offer can be believed.
    pub fn admit(
        &self,
        offer: &pb::Offer,
        epoch: u64,
        now: Timestamp,
        site: &Site,
        mut claim: impl FnMut(InvocationId) -> bool,
    ) -> Result<Verdict, Forged> {
        // The exact bytes, before anything reads them.
        self.key.verify(Purpose::Grant, &offer.grant, &offer.signature).map_err(|_| Forged::Signature)?;
        let wire = pb::Grant::decode(&*offer.grant).map_err(|e| Forged::Malformed(e.to_string()))?;
        let grant = Arc::new(Grant::try_from(wire).map_err(|e| Forged::Malformed(e.to_string()))?);
        let whole = self.check_whole(&grant, epoch, now);
        let rendered: Arc<str> = grant.command.render().into();
        let basis = Basis::of(Digest::of(&offer.grant), site);
        let mut verdict = Verdict::default();
        for target in &grant.targets {
            if !claim(target.invocation) {
                continue;
            }
            match whole.clone().and_then(|()| check_target(&grant, target, site, &rendered, basis, now)) {
                Ok(admitted) => verdict.admitted.push(admitted),
                Err(outcome) => {
                    verdict.refused.push(Refused { invocation: target.invocation, outcome, basis });
                }
            }
        }
        Ok(verdict)
    }

    /// The terms that hold for every host of the grant.
    fn check_whole(&self, grant: &Grant, epoch: u64, now: Timestamp) -> Result<(), Outcome> {
        if grant.tenant != self.tenant || grant.principal.tenant != self.tenant {
            return Err(denied(
                "GRANT_TENANT",
                format!("the grant is for tenant {}, this agent serves {}", grant.tenant, self.tenant),
            ));
        }
        if grant.site != self.site {
            return Err(denied(
                "GRANT_SITE",
                format!("the grant is for site {}, this is {}", grant.site, self.site),
            ));
        }
        if grant.agent != self.agent {
            return Err(denied(
                "GRANT_AGENT",
                format!("the grant is for agent {}, this is {}", grant.agent, self.agent),
            ));
        }
        if grant.epoch != epoch {
            return Err(denied(
                "GRANT_EPOCH",
                format!("the grant is of epoch {}, the session of {epoch}", grant.epoch),
            ));
        }
        if now.plus(MAX_CLOCK_SKEW) < grant.not_before {
            return Err(denied(
                "GRANT_NOT_YET",
                format!("the grant begins at {}, here it is {now}; compare the clocks", grant.not_before),
            ));
        }
        if now > grant.not_after.plus(MAX_CLOCK_SKEW) {
            return Err(expired(grant.not_after, now));
        }
        // It would run as the site's own login, though the floor judges it as another.
        if grant.detached && grant.context.run_as.is_some() {
            return Err(denied(
                "GRANT_CONTEXT",
                "a detached command is not run as another login here: leave out one of the two".into(),
            ));
        }
        // What the controller should have refused is refused here, too.
        check_command(&grant.command)
            .map_err(|refusal| denied("GRANT_COMMAND", format!("{}: {}", refusal.code, refusal.message)))?;
        Transfer::check_command(&grant.command, &grant.context, grant.detached)
            .map_err(|invalid| denied("GRANT_TRANSFER", invalid.message))
    }
}

fn check_target(
    grant: &Arc<Grant>,
    target: &GrantTarget,
    site: &Site,
    rendered: &Arc<str>,
    basis: Basis,
    now: Timestamp,
) -> Result<Admitted, Outcome> {
    if target.invocation != InvocationId::derive(grant.job, target.host.as_str(), target.attempt) {
        return Err(denied(
            "GRANT_INVOCATION",
            "the identifier is not that of this job, host and attempt".into(),
        ));
    }
    let mut networks = Networks::default();
    networks.restrict(nets(&target.networks_allowed)?, nets(&target.networks_denied)?);
    let host = site.hosts.get(&target.host).ok_or_else(|| Outcome::Unreachable {
        reason: Unreachable::NoSuchHost,
        detail: format!("this site has no host {}", target.host),
    })?;
    let asked = Limits {
        timeout: target.limits.timeout.min(MAX_TIMEOUT),
        output_bytes: target.limits.output_bytes.min(most_output(&grant.command)),
    };
    let mut limits = asked;
    if let Some(floor) = &site.floor {
        let facts = HostFacts {
            alias: host.alias.clone(),
            site: grant.site.clone(),
            tags: host.tags.clone(),
            labels: host.labels.clone(),
        };
        let decision = evaluate(
            floor,
            &Request {
                principal: &grant.principal,
                via: grant.via,
                host: &facts,
                command: &grant.command,
                context: &grant.context,
                requested: RequestedLimits {
                    timeout: Some(asked.timeout),
                    output_bytes: Some(asked.output_bytes),
                },
                at: now,
            },
        );
        if decision.effect != Effect::Allow {
            return Err(denied(
                "FLOOR_DENIED",
                format!("the floor of site {} does not allow it: {}", grant.site, decision.reason),
            ));
        }
        limits.timeout = asked.timeout.min(decision.limits.timeout);
        limits.output_bytes = asked.output_bytes.min(decision.limits.output_bytes);
        networks.restrict(decision.networks_allowed, decision.networks_denied);
    }
    Ok(Admitted {
        invocation: target.invocation,
        host: target.host.clone(),
        rendered: Arc::clone(rendered),
        limits,
        networks,
        start_by: grant.not_after.plus(MAX_CLOCK_SKEW),
        grant: Arc::clone(grant),
        target: target.clone(),
        basis,
        generation: site.generation,
    })
}

/// A network that cannot be read may be the one that forbids the address: the whole target is refused.
fn nets(texts: &[String]) -> Result<Vec<IpNet>, Outcome> {
    let parse =
        |text: &String| text.parse().map_err(|_| denied("GRANT_NETWORK", format!("{text} is not a network")));
    texts.iter().map(parse).collect()
}

pub(crate) fn denied(code: &str, reason: String) -> Outcome {
    Outcome::Denied { code: code.to_owned(), reason }
}

pub(crate) fn expired(not_after: Timestamp, now: Timestamp) -> Outcome {
    denied("GRANT_EXPIRED", format!("the grant ended at {not_after}, here it is {now}"))
}

// === impl Admitted ===

impl Admitted {
    /// Its identifier.
    pub const fn invocation(&self) -> InvocationId {
        self.invocation
    }
    /// The host.
    pub const fn host(&self) -> &HostAlias {
        &self.host
    }
    /// The limits: the grant's, lowered to the floor's.
    pub const fn limits(&self) -> Limits {
        self.limits
    }
    /// Where the connected address must lie.
    pub const fn networks(&self) -> &Networks {
        &self.networks
    }
    /// The last moment at which it may start.
    pub const fn start_by(&self) -> Timestamp {
        self.start_by
    }
    /// What it was judged by.
    pub const fn basis(&self) -> Basis {
        self.basis
    }
    /// Judges it again: waiting may have taken minutes, the site's files may have changed and a window may have closed.
    ///
    /// # Errors
    /// The refusal to report: it must not start any more.
    pub(crate) fn judged_by(self, site: &Site, now: Timestamp) -> Result<Self, Box<Refused>> {
        if self.generation == site.generation && site.floor.is_none() {
            return Ok(self);
        }
        let basis = Basis::of(self.basis.grant, site);
        check_target(&self.grant, &self.target, site, &self.rendered, basis, now)
            .map_err(|outcome| Box::new(Refused { invocation: self.invocation, outcome, basis }))
    }
    /// Whether it is to be guarded on its host and to outlive the connection and this agent.
    pub(crate) fn detached(&self) -> bool {
        self.grant.detached
    }
    /// The transfer that it is; no shell reads its command then.
    pub(crate) fn transfer(&self) -> Option<Transfer> {
        // Admission refused what names one and is none.
        Transfer::of(&self.grant.command).ok().flatten()
    }
    /// The epoch of the session over which it was offered.
    pub(crate) fn epoch(&self) -> u64 {
        self.grant.epoch
    }
    /// In what it runs.
    pub(crate) fn context(&self) -> &Context {
        &self.grant.context
    }
    /// The judged command, rendered.
    pub(crate) fn rendered(&self) -> &str {
        &self.rendered
    }
}

// === impl Forged ===

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => f.write_str("the offer is not signed by the controller"),
            Self::Malformed(why) => write!(f, "the signed offer is not a grant: {why}"),
        }
    }
}
impl std::error::Error for Forged {}
