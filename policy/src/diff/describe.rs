//! A rule and its parts as lists of short texts, and what of two lists is only in one.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::principal::PrincipalKind;

use crate::{
    decision::ApprovalTerms,
    quota::QuotaBound,
    rule::{Commands, HostName, Hosts, Rule, When, Who},
    set::PolicySet,
};

/// A rule: what it does in a line, and each further key that it has in one more.
pub(super) fn rule(set: &PolicySet, rule: &Rule) -> String {
    let mut lines = vec![format!(
        "{} {} for {} on {}",
        rule.effect(),
        commands(rule).join(", "),
        who(&rule.who).join(", "),
        hosts(&rule.hosts).join(", ")
    )];
    let mut fact = |key: &str, value: Option<String>| {
        lines.extend(value.filter(|value| !value.is_empty()).map(|value| format!("{key}: {value}")));
    };
    fact("when", Some(when(set, &rule.when).join(", ")).filter(|when| when != "always"));
    fact("condition", rule.condition.as_ref().map(|condition| condition.as_str().trim_end().to_owned()));
    for (key, entries) in rule.context.keys() {
        fact(key, entries.map(|entries| entries.join(", ")));
    }
    fact("globs", rule.globs.then(|| "yes".to_owned()));
    fact("approve", rule.approval.as_ref().map(approval));
    fact("limits.timeout", rule.limits.timeout.map(duration));
    fact("limits.output", rule.limits.output_bytes.map(size));
    fact("network.allow", rule.network.allow.as_deref().map(|list| networks(list).join(", ")));
    fact("network.deny", Some(networks(&rule.network.deny).join(", ")));
    fact("max_hosts", rule.max_hosts.map(|most| most.to_string()));
    fact("exempt_from_freezes", rule.exempt_from_freezes.then(|| "yes".to_owned()));
    lines.join("\n")
}

/// For whom.
pub(super) fn who(who: &Who) -> Vec<String> {
    let mut items = principals(who);
    match &who.via {
        None => items.push("by any door".into()),
        Some(doors) => items.extend(doors.iter().map(|via| format!("by {}", via.as_str()))),
    }
    items
}

/// For whom, by whatever door.
pub(super) fn principals(who: &Who) -> Vec<String> {
    let mut items = Vec::new();
    match &who.principals {
        None => items.push("everybody".into()),
        Some(principals) => {
            items.extend(principals.named.iter().map(|(kind, name)| format!("{}:{name}", kind.as_str())));
            items.extend(principals.groups.iter().map(|group| format!("group:{group}")));
            items.extend(principals.kinds.iter().map(|kind| {
                match kind {
                    PrincipalKind::User => "every user",
                    PrincipalKind::Service => "every service",
                }
                .to_owned()
            }));
        }
    }
    items
}

/// Where.
pub(super) fn hosts(hosts: &Hosts) -> Vec<String> {
    let Hosts::Some { hosts, tags, sites, labels } = hosts else { return vec!["all".into()] };
    let names = hosts.iter().map(|host| match host {
        HostName::Alias(alias) => alias.to_string(),
        HostName::Pattern(texts) => texts.join("*"),
    });
    let tags = tags.iter().map(|tag| format!("tag:{tag}"));
    let sites = sites.iter().map(|site| format!("site:{site}"));
    names.chain(tags).chain(sites).chain(labels.describe()).collect()
}

/// Which commands.
pub(super) fn commands(rule: &Rule) -> Vec<String> {
    match &rule.commands {
        Commands::Any => vec!["any".into()],
        Commands::Patterns(patterns) => {
            let patterns = patterns.iter().map(|pattern| pattern.as_str().to_owned());
            patterns.chain(rule.classes().iter().map(|class| format!("class: {class}"))).collect()
        }
    }
}

/// When.
pub(super) fn when(set: &PolicySet, when: &When) -> Vec<String> {
    let name =
        |index: &usize| set.windows().nth(*index).map(|(name, _)| name.to_string()).unwrap_or_default();
    let mut items: Vec<String> = match &when.during {
        None => vec!["always".into()],
        Some(windows) => windows.iter().map(|index| format!("during {}", name(index))).collect(),
    };
    items.extend(when.not_during.iter().map(|index| format!("not during {}", name(index))));
    items
}

/// Networks; `None`: none listed.
pub(super) fn networks(list: &[IpNet]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Whose consent.
pub(super) fn approval(terms: &ApprovalTerms) -> String {
    let mfa = if terms.mfa { ", with a second factor" } else { "" };
    format!("{} of group {} within {}{mfa}", terms.approvals, terms.group, duration(terms.within))
}

/// A bound.
pub(super) fn quota(bound: QuotaBound) -> String {
    match bound {
        QuotaBound::Rate { invocations, per } => format!("{invocations} invocations per {}", duration(per)),
        QuotaBound::Running(most) => format!("{most} running"),
    }
}

/// As a policy file writes it.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let fits = units.iter().find(|(_, factor)| seconds >= *factor && seconds.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{seconds}s"), |(unit, factor)| format!("{}{unit}", seconds / factor))
}

/// As a policy file writes it.
pub(super) fn size(bytes: u64) -> String {
    let units = [("MiB", 1024 * 1024), ("KiB", 1024)];
    let fits = units.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

/// What is only in the first, and what is only in the second, each in a line; `None` when nothing is.
pub(super) fn only(old: &[String], new: &[String]) -> (Option<String>, Option<String>) {
    let missing = |from: &[String], other: &[String]| {
        let items: Vec<&str> = from.iter().filter(|item| !other.contains(item)).map(String::as_str).collect();
        Some(items.join("\n")).filter(|text| !text.is_empty())
    };
    (missing(old, new), missing(new, old))
}

/// Whether two lists have the same items.
pub(super) fn alike(old: &[String], new: &[String]) -> bool {
    only(old, new) == (None, None)
}
