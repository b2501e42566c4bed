//! Which hosts lie behind which: no strangers, no circles, no long chains, and keys that cannot be mixed up.

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::name::HostAlias;

use crate::site::Host;

/// Jump hosts on the way to one host: each is one more handshake, and one more layer around every byte.
pub(super) const MAX_JUMPS: usize = 4;

/// What is wrong with the ways to `hosts`, each with the line that `line` knows for a host's `via`.
pub(super) fn check(
    hosts: &BTreeMap<HostAlias, Host>,
    line: impl Fn(&HostAlias) -> u64,
) -> Vec<(u64, String)> {
    let mut problems = Vec::new();
    let mut in_circle = BTreeSet::new();
    for host in hosts.values() {
        match way(hosts, host) {
            Way::Good => {}
            Way::Stranger(via) if host.via.as_ref() == Some(&via) => {
                problems.push((line(&host.alias), format!("via: there is no host {via}")));
            }
            // Said where it is written.
            Way::Stranger(_) => {}
            Way::Circle(circle) if circle.iter().all(|alias| in_circle.insert(alias.clone())) => {
                let names: Vec<_> = circle.iter().chain(circle.first()).map(HostAlias::as_str).collect();
                let at = circle.first().map_or(0, &line);
                problems.push((at, format!("via leads in a circle: {}", names.join(" → "))));
            }
            Way::Circle(_) => {}
            Way::TooLong => problems.push((
                line(&host.alias),
                format!("{} is behind more jump hosts than can be passed: at most {MAX_JUMPS}", host.alias),
            )),
        }
    }
    problems.extend(ambiguous(hosts, line));
    problems
}

enum Way {
    Good,
    Stranger(HostAlias),
    /// From the host that sorts first.
    Circle(Vec<HostAlias>),
    TooLong,
}

fn way(hosts: &BTreeMap<HostAlias, Host>, host: &Host) -> Way {
    let mut passed = vec![&host.alias];
    let mut here = host;
    while let Some(via) = &here.via {
        if let Some(start) = passed.iter().position(|alias| *alias == via) {
            let mut circle: Vec<_> = passed.iter().skip(start).map(|alias| (*alias).clone()).collect();
            let first = circle.iter().enumerate().min_by_key(|(_, alias)| *alias).map_or(0, |(at, _)| at);
            circle.rotate_left(first);
            return Way::Circle(circle);
        }
        match hosts.get(via) {
            None => return Way::Stranger(via.clone()),
            Some(next) => here = next,
        }
        passed.push(via);
    }
    if passed.len() > MAX_JUMPS + 1 { Way::TooLong } else { Way::Good }
}

/// Private addresses repeat: behind another jump host, the same address may be another machine. With one name for the
/// keys of both, either would be taken for the other.
fn ambiguous(hosts: &BTreeMap<HostAlias, Host>, line: impl Fn(&HostAlias) -> u64) -> Vec<(u64, String)> {
    let mut by_name: BTreeMap<String, &Host> = BTreeMap::new();
    let mut problems = Vec::new();
    for host in hosts.values() {
        let other = *by_name.entry(host.key_name()).or_insert(host);
        let said = host.host_key_alias.is_some() && other.host_key_alias.is_some();
        if other.via != host.via && !said {
            let message = format!(
                "{} and {} have the same address and port by different ways, so their host keys cannot be told apart; \
                 give each a host_key_alias (the same one if it is one machine)",
                other.alias, host.alias
            );
            problems.push((line(&host.alias), message));
        }
    }
    problems
}
