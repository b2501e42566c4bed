//! How much each principal may run. Policy says the bounds; who counts is the controller.

use std::time::Duration;

use lictor_core::{
    name::RuleId,
    principal::{Principal, Via},
};

use crate::rule::Who;

/// A bound on what each principal may run.
#[derive(Debug, Clone)]
pub struct Quota {
    pub(crate) id: RuleId,
    pub(crate) who: Who,
    pub(crate) bound: QuotaBound,
}

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaBound {
    /// At most `invocations` (one host, one command) may be asked for in any span of `per`.
    Rate {
        /// How many.
        invocations: u32,
        /// In each span of this length.
        per: Duration,
    },
    /// At most so many invocations may be under way at once.
    Running(u32),
}

impl Quota {
    /// Its name.
    pub const fn id(&self) -> &RuleId {
        &self.id
    }
    /// What it bounds.
    pub const fn bound(&self) -> QuotaBound {
        self.bound
    }
    /// Whether it counts what this principal asks for by this door, given the groups the principal is in.
    pub(crate) fn counts(
        &self,
        principal: &Principal,
        via: Via,
        groups: &[&lictor_core::name::GroupName],
    ) -> bool {
        self.who.includes(principal, via, groups)
    }
}
