//! Within which limits and networks a command is allowed: the strictest that any rule which permits it gives.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use lictor_core::job::Limits;

use crate::{
    judging::Judging,
    rule::{Network, PartialLimits},
    set::PolicySet,
};

/// What follows from a rule for whatever it permits.
#[derive(Clone, Copy)]
pub(super) struct Terms<'r> {
    pub(super) limits: PartialLimits,
    pub(super) network: Option<&'r Network>,
}

/// The smallest of what is asked for, what each rule gives, and what the host's override gives at most.
pub(super) fn limits(judging: &Judging<'_>, terms: &[Terms<'_>]) -> Limits {
    let requested = judging.request.requested;
    let (default, most) = judging.set.limits_on(judging.request.host);
    let timeouts = terms.iter().map(|terms| terms.limits.timeout.unwrap_or(default.timeout));
    let outputs = terms.iter().map(|terms| terms.limits.output_bytes.unwrap_or(default.output_bytes));
    Limits {
        timeout: timeouts.chain(most.timeout).chain(requested.timeout).min().unwrap_or(default.timeout),
        output_bytes: outputs
            .chain(most.output_bytes)
            .chain(requested.output_bytes)
            .min()
            .unwrap_or(default.output_bytes),
    }
}

/// Addresses that every rule allows and none denies. When the rules have no address in common, everything is denied:
/// an empty list of allowed networks would mean "any".
pub(super) fn networks(set: &PolicySet, terms: &[Terms<'_>]) -> Network {
    let file = set.network();
    let mut deny = file.deny.clone();
    let mut allow: Option<Vec<IpNet>> = None;
    for terms in terms {
        deny.extend(terms.network.iter().flat_map(|network| &network.deny));
        let own = terms.network.and_then(|network| network.allow.as_ref());
        if let Some(list) = own.or(file.allow.as_ref()) {
            allow = Some(match allow {
                None => list.clone(),
                Some(before) => intersect(&before, list),
            });
        }
    }
    if allow.as_ref().is_some_and(Vec::is_empty) {
        deny.extend([IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]);
    }
    deny.sort_unstable();
    deny.dedup();
    if let Some(list) = allow.as_mut() {
        list.sort_unstable();
        list.dedup();
    }
    Network { allow, deny }
}

/// Two networks overlap only when one contains the other, and then in the smaller.
fn intersect(a: &[IpNet], b: &[IpNet]) -> Vec<IpNet> {
    let smaller = |x: &IpNet, y: &IpNet| if x.contains(y) { Some(*y) } else { y.contains(x).then_some(*x) };
    let mut both: Vec<IpNet> = a.iter().flat_map(|x| b.iter().filter_map(move |y| smaller(x, y))).collect();
    both.sort_unstable();
    both.dedup();
    both
}
