//! A grant: what the controller signed that one agent may start, on which hosts, until when.

use crate::{
    clock::Timestamp,
    command::Command,
    context::Context,
    id::{GrantId, InvocationId, JobId},
    job::Limits,
    name::{AgentName, HostAlias, SiteName, TenantName},
    principal::{Principal, Via},
};

/// The terms of one grant. An agent checks every one of them again before it starts anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its identifier.
    pub id: GrantId,
    /// The tenant.
    pub tenant: TenantName,
    /// The only site at which it holds.
    pub site: SiteName,
    /// The only agent for which it holds.
    pub agent: AgentName,
    /// The epoch of the session over which it was sent.
    pub epoch: u64,
    /// The job.
    pub job: JobId,
    /// Who asked, for the site's floor to judge.
    pub principal: Principal,
    /// By which door, for the site's floor to judge.
    pub via: Via,
    /// The judged command; the agent renders it, no text of it is sent.
    pub command: Command,
    /// In what it runs, for the site's floor to judge.
    pub context: Context,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// Not to be started before.
    pub not_before: Timestamp,
    /// Not to be started after.
    pub not_after: Timestamp,
    /// The hosts, each with its invocation.
    pub targets: Vec<GrantTarget>,
    /// Whether they are to be guarded on their hosts and to outlive connections and agent.
    pub detached: bool,
}

/// One host of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantTarget {
    /// The invocation to start, once.
    pub invocation: InvocationId,
    /// The host, by alias.
    pub host: HostAlias,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The limits decided for this host.
    pub limits: Limits,
    /// Networks in which the connected address must lie, as CIDR texts; empty: any.
    pub networks_allowed: Vec<String>,
    /// Networks in which the connected address must not lie, as CIDR texts.
    pub networks_denied: Vec<String>,
}
