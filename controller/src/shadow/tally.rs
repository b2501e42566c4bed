//! What a proposed policy would have decided otherwise: counts, and the newest differences.

use std::{collections::VecDeque, sync::Arc};

use lictor_core::{
    clock::Timestamp,
    name::{HostAlias, RuleId},
    principal::Principal,
};

/// Differences that are shown: enough to see a pattern, small enough for one message.
pub const MAX_DIFFERENCES: usize = 200;

/// What was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests judged by both policies.
    pub requests: u64,
    /// Hosts judged by both policies, over all requests.
    pub hosts: u64,
    /// Requests that were not judged because too many came at once.
    pub not_judged: u64,
    /// Hosts on which it would deny.
    pub would_deny: u64,
    /// Hosts on which it would allow.
    pub would_allow: u64,
    /// Hosts on which it would ask for consent.
    pub would_ask: u64,
    /// Hosts on which only the terms differ.
    pub other_limits: u64,
    /// The newest differences, oldest first.
    pub newest: VecDeque<Difference>,
}

/// How the proposed policy differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It would deny what the policy in force does not.
    WouldDeny,
    /// It would allow what the policy in force denies, or allows only with consent.
    WouldAllow,
    /// It would ask for consent to what the policy in force allows or denies.
    WouldAsk,
    /// The same effect, with other limits, networks, most hosts in a job or consent.
    OtherLimits,
}

/// One host of one request on which the policies differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub principal: Principal,
    /// For which host.
    pub host: HostAlias,
    /// The command, cut.
    pub command: Arc<str>,
    /// Code and rule of the policy in force.
    pub live: (String, Option<RuleId>),
    /// Code and rule of the proposed policy.
    pub shadow: (String, Option<RuleId>),
}

// === impl Tally ===

impl Tally {
    /// Adds what one request gave.
    pub(super) fn add(&mut self, hosts: usize, differences: Vec<Difference>) {
        self.requests += 1;
        self.hosts += hosts as u64;
        for difference in differences {
            let count = match difference.kind {
                Kind::WouldDeny => &mut self.would_deny,
                Kind::WouldAllow => &mut self.would_allow,
                Kind::WouldAsk => &mut self.would_ask,
                Kind::OtherLimits => &mut self.other_limits,
            };
            *count += 1;
            if self.newest.len() == MAX_DIFFERENCES {
                self.newest.pop_front();
            }
            self.newest.push_back(difference);
        }
    }
}
