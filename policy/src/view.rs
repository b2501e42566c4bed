//! Which hosts a principal is told of. Whether anything may run on them is for the rules.

use lictor_core::principal::Principal;

use crate::{
    request::HostFacts,
    rule::{Hosts, Who},
    set::PolicySet,
};

/// Hosts, and who is told of them.
#[derive(Debug, Clone)]
pub(crate) struct Visible {
    pub(crate) who: Who,
    pub(crate) hosts: Hosts,
}

/// The hosts that somebody is told of; any other does not exist for them.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Any of these; `None`: every host.
    hosts: Option<Vec<&'a Hosts>>,
}

// === impl View ===

impl<'a> View<'a> {
    /// Every host.
    pub const fn everything() -> Self {
        Self { hosts: None }
    }
    /// What `set` tells `principal` of: all, unless it says who is told of what.
    pub(crate) fn of(set: &'a PolicySet, principal: &Principal) -> Self {
        let groups = set.groups_of(principal);
        let theirs = |entry: &&Visible| {
            entry.who.principals.as_ref().is_none_or(|principals| principals.include(principal, &groups))
        };
        let hosts = set.visible().map(|all| all.iter().filter(theirs).map(|entry| &entry.hosts).collect());
        Self { hosts }
    }
    /// Whether it leaves nothing out, whatever hosts there are.
    pub fn is_everything(&self) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|hosts| matches!(hosts, Hosts::All)))
    }
    /// Whether the host is in it.
    pub fn shows(&self, host: &HostFacts) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|hosts| hosts.include(host)))
    }
}
