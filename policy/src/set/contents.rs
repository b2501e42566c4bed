//! What a checked policy holds, arranged for judging.

use std::collections::HashMap;

use lictor_core::{
    job::Limits,
    name::{GroupName, PrincipalName, RuleId, WindowName},
    principal::PrincipalKind,
};

use crate::{
    decision::Effect,
    imported::Imported,
    quota::Quota,
    rule::{Hosts, Network, PartialLimits, Rule},
    time::{Once, Window},
    view::Visible,
};

/// A checked policy.
#[derive(Debug)]
pub(crate) struct Contents {
    /// In the order of the file.
    pub(crate) rules: Vec<Rule>,
    /// Indices of the rules that deny.
    pub(crate) denying: Vec<usize>,
    /// Indices of the other rules, by each program that they spell out.
    pub(crate) by_program: HashMap<String, Vec<usize>>,
    pub(crate) limits: Limits,
    pub(crate) network: Network,
    /// The groups of each principal that is in one.
    pub(crate) memberships: HashMap<(PrincipalKind, PrincipalName), Vec<GroupName>>,
    pub(crate) windows: Vec<(WindowName, Window)>,
    /// By id.
    pub(crate) freezes: Vec<Freeze>,
    pub(crate) overrides: Vec<Override>,
    pub(crate) quotas: Vec<Quota>,
    /// `None`: everybody is told of every host.
    pub(crate) visible: Option<Vec<Visible>>,
    pub(crate) imported: Option<Imported>,
}

/// A span of time in which only exempt rules allow.
#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub(crate) id: RuleId,
    pub(crate) reason: String,
    pub(crate) hosts: Hosts,
    pub(crate) span: Once,
}

/// The limits of some hosts.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    pub(crate) hosts: Hosts,
    pub(crate) limits: PartialLimits,
}

/// Which rules deny, and which allow commands of each program.
pub(crate) fn index(rules: &[Rule]) -> (Vec<usize>, HashMap<String, Vec<usize>>) {
    let (mut denying, mut by_program) = (Vec::new(), HashMap::<String, Vec<usize>>::new());
    for (index, rule) in rules.iter().enumerate() {
        if rule.effect() == Effect::Deny {
            denying.push(index);
            continue;
        }
        for program in rule.programs() {
            let indices = by_program.entry(program).or_default();
            if indices.last() != Some(&index) {
                indices.push(index);
            }
        }
    }
    (denying, by_program)
}
