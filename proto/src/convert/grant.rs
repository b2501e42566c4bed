//! Grants, both ways. The digest that travels beside the command must be the command's own.

use lictor_core::{
    clock::Timestamp,
    command::Command,
    grant::{Grant, GrantTarget},
    limits::MAX_TARGETS_PER_GRANT,
};

use super::{Invalid, at_most, context_from_wire, context_to_wire, digest, known, parse, required};
use crate::pb;

/// Most networks on one list of a target.
const MAX_NETWORKS: usize = 256;

impl From<&Grant> for pb::Grant {
    fn from(grant: &Grant) -> Self {
        let Grant {
            id,
            tenant,
            site,
            agent,
            epoch,
            job,
            principal,
            via,
            command,
            context,
            policy_version,
            not_before,
            not_after,
            targets,
            detached,
        } = grant;
        Self {
            id: id.to_string(),
            tenant: tenant.to_string(),
            site: site.to_string(),
            agent: agent.to_string(),
            epoch: *epoch,
            job_id: job.to_string(),
            principal: Some(principal.into()),
            via: pb::Via::from(*via).into(),
            command: Some(command.into()),
            policy_version: *policy_version,
            not_before: not_before.as_micros(),
            not_after: not_after.as_micros(),
            targets: targets.iter().map(Into::into).collect(),
            command_digest: context.bind(command.digest()).as_bytes().to_vec(),
            detached: *detached,
            context: context_to_wire(context),
        }
    }
}

impl TryFrom<pb::Grant> for Grant {
    type Error = Invalid;
    fn try_from(wire: pb::Grant) -> Result<Self, Invalid> {
        let pb::Grant {
            id,
            tenant,
            site,
            agent,
            epoch,
            job_id,
            principal,
            via,
            command,
            policy_version,
            not_before,
            not_after,
            targets,
            command_digest,
            detached,
            context,
        } = wire;
        at_most("grant.targets", &targets, MAX_TARGETS_PER_GRANT)?;
        let command: Command = required("grant.command", command)?.try_into()?;
        let context = context_from_wire(context)?;
        if digest("grant.command_digest", &command_digest)? != context.bind(command.digest()) {
            return Err(Invalid::new("grant.command_digest", "it is not the digest of the command"));
        }
        let via: pb::Via = known("grant.via", via)?;
        Ok(Self {
            id: parse("grant.id", &id)?,
            tenant: parse("grant.tenant", &tenant)?,
            site: parse("grant.site", &site)?,
            agent: parse("grant.agent", &agent)?,
            epoch,
            job: parse("grant.job_id", &job_id)?,
            principal: required("grant.principal", principal)?.try_into()?,
            via: via.try_into()?,
            command,
            context,
            policy_version,
            not_before: Timestamp::from_micros(not_before),
            not_after: Timestamp::from_micros(not_after),
            targets: targets.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            detached,
        })
    }
}

impl From<&GrantTarget> for pb::GrantTarget {
    fn from(target: &GrantTarget) -> Self {
        let GrantTarget { invocation, host, attempt, limits, networks_allowed, networks_denied } = target;
        Self {
            invocation_id: invocation.to_string(),
            host: host.to_string(),
            attempt: *attempt,
            limits: Some(limits.into()),
            networks_allowed: networks_allowed.clone(),
            networks_denied: networks_denied.clone(),
        }
    }
}

impl TryFrom<pb::GrantTarget> for GrantTarget {
    type Error = Invalid;
    fn try_from(wire: pb::GrantTarget) -> Result<Self, Invalid> {
        let pb::GrantTarget { invocation_id, host, attempt, limits, networks_allowed, networks_denied } =
            wire;
        at_most("grant.networks_allowed", &networks_allowed, MAX_NETWORKS)?;
        at_most("grant.networks_denied", &networks_denied, MAX_NETWORKS)?;
        Ok(Self {
            invocation: parse("grant.invocation_id", &invocation_id)?,
            host: parse("grant.host", &host)?,
            attempt,
            limits: required("grant.limits", limits)?.try_into()?,
            networks_allowed,
            networks_denied,
        })
    }
}
