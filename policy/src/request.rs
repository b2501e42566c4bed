//! What is judged: one command, for one principal, on one host.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    command::Command,
    context::Context,
    label::Labels,
    name::{HostAlias, SiteName, Tag},
    principal::{Principal, Via},
};

/// What rules may know of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Its alias.
    pub alias: HostAlias,
    /// Its site.
    pub site: SiteName,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its labels.
    pub labels: Labels,
}

/// Limits that the caller asks for; a rule may lower them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestedLimits {
    /// Longest runtime. `None`: what policy says.
    pub timeout: Option<Duration>,
    /// Most output kept, in bytes. `None`: what policy says.
    pub output_bytes: Option<u64>,
}

/// A request as it is judged.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// By which door.
    pub via: Via,
    /// Where.
    pub host: &'a HostFacts,
    /// What.
    pub command: &'a Command,
    /// In what.
    pub context: &'a Context,
    /// Within which limits.
    pub requested: RequestedLimits,
    /// When.
    pub at: Timestamp,
}
