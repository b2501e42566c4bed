//! What a site says of its hosts: checked, compared with what is kept, recorded if it differs.

use std::collections::BTreeMap;

use lictor_core::{
    audit::AuditEvent,
    error::Failure,
    label::Labels,
    limits::{MAX_HOSTS_PER_SITE, MAX_NOTE_BYTES, MAX_TAGS_PER_HOST},
    name::HostAlias,
};
use lictor_proto::{
    convert::{Invalid, at_most, parse},
    pb,
};
use lictor_store::{Change, KeptHost, Write};

use crate::{failure::of_store, lifecycle::Lifecycle, session::Session};

/// Lines of change that one record names; the rest is counted.
const MAX_CHANGES: usize = 64;
/// Host keys of one host.
const MAX_KEYS: usize = 16;

/// Takes an inventory of the session's site. A host whose alias another site has is left out and said so.
///
/// # Errors
/// [`Failure`] when the inventory is malformed or cannot be recorded.
pub async fn take(lifecycle: &Lifecycle, session: &Session, inventory: pb::Inventory) -> Result<(), Failure> {
    let reported = convert(session, inventory)?;
    let fleet = lifecycle.fleet.now();
    let site = session.site();
    let (mut writes, mut changes) = (Vec::new(), Vec::new());
    for (alias, host) in &reported {
        match fleet.host(alias) {
            Some(kept) if kept.site != *site => {
                changes.push(format!("{alias}: left out, the alias belongs to site {}", kept.site));
                tracing::warn!(%alias, %site, owner = %kept.site, "a host's alias belongs to another site; rename it");
            }
            Some(kept) if **kept == *host => {}
            Some(kept) => {
                changes.push(format!("{alias}: {}", difference(kept, host)));
                writes.push(Write::PutHost(host.clone()));
            }
            None => {
                changes.push(format!("{alias}: added"));
                writes.push(Write::PutHost(host.clone()));
            }
        }
    }
    for kept in fleet.hosts().filter(|h| h.site == *site && !reported.contains_key(&h.alias)) {
        changes.push(format!("{}: removed", kept.alias));
        writes.push(Write::RemoveHost(kept.alias.clone()));
    }
    if writes.is_empty() {
        return Ok(());
    }
    let more = changes.len().saturating_sub(MAX_CHANGES);
    changes.truncate(MAX_CHANGES);
    if more > 0 {
        changes.push(format!("and {more} more"));
    }
    let event = AuditEvent::HostsReported {
        site: site.clone(),
        agent: session.agent().clone(),
        hosts: reported.len() as u64,
        changes,
    };
    let change = writes.into_iter().fold(Change::new(lifecycle.clock.now(), event), Change::write);
    let _recorded = lifecycle.store.commit(change).await.map_err(of_store)?;
    lifecycle.fleet.refresh(&*lifecycle.store).await.map_err(of_store)
}

fn convert(session: &Session, inventory: pb::Inventory) -> Result<BTreeMap<HostAlias, KeptHost>, Failure> {
    at_most("inventory.hosts", &inventory.hosts, MAX_HOSTS_PER_SITE)?;
    let mut hosts = BTreeMap::new();
    for wire in inventory.hosts {
        let pb::InventoryHost { alias, tags, labels, description, address, user, host_key_fingerprints } =
            wire;
        at_most("inventory.hosts.tags", &tags, MAX_TAGS_PER_HOST)?;
        at_most("inventory.hosts.host_key_fingerprints", &host_key_fingerprints, MAX_KEYS)?;
        if host_key_fingerprints.iter().any(|f| f.len() > MAX_NOTE_BYTES || f.chars().any(char::is_control)) {
            return Err(
                Invalid::new("inventory.hosts.host_key_fingerprints", "one is not a fingerprint").into()
            );
        }
        for (field, text) in [("description", &description), ("address", &address), ("user", &user)] {
            if text.len() > MAX_NOTE_BYTES || text.chars().any(char::is_control) {
                return Err(Invalid::new(
                    "inventory.hosts",
                    format_args!("the {field} of {alias:?} is too long or has control characters"),
                )
                .into());
            }
        }
        let alias: HostAlias = parse("inventory.hosts.alias", &alias)?;
        let mut tags =
            tags.iter().map(|t| parse("inventory.hosts.tags", t)).collect::<Result<Vec<_>, Invalid>>()?;
        tags.sort();
        tags.dedup();
        let labels = Labels::new(labels).map_err(|e| Invalid::new("inventory.hosts.labels", e))?;
        let site = session.site().clone();
        let host = KeptHost {
            alias: alias.clone(),
            site,
            tags,
            labels,
            description,
            address,
            user,
            host_key_fingerprints,
        };
        hosts.insert(alias, host);
    }
    Ok(hosts)
}

fn difference(old: &KeptHost, new: &KeptHost) -> String {
    let mut parts = Vec::new();
    if old.address != new.address {
        parts.push(format!("address {} → {}", old.address, new.address));
    }
    if old.user != new.user {
        parts.push(format!("user {} → {}", old.user, new.user));
    }
    if old.tags != new.tags {
        let list = |tags: &[lictor_core::name::Tag]| {
            tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        parts.push(format!("tags {} → {}", list(&old.tags), list(&new.tags)));
    }
    parts.extend(label_differences(&old.labels, &new.labels));
    if old.host_key_fingerprints != new.host_key_fingerprints {
        let (before, after) = (old.host_key_fingerprints.join(","), new.host_key_fingerprints.join(","));
        parts.push(format!("host keys {before} → {after}"));
    }
    if old.description != new.description {
        parts.push("description".into());
    }
    parts.join(", ")
}

/// Which labels changed, each with its value before and after.
fn label_differences(old: &Labels, new: &Labels) -> Vec<String> {
    let gone = old.iter().filter(|(key, _)| new.get(key).is_none());
    let gone = gone.map(|(key, value)| format!("label {key}={value} removed"));
    let others = new.iter().filter_map(|(key, value)| match old.get(key) {
        None => Some(format!("label {key}={value} added")),
        Some(before) if before != value => Some(format!("label {key} {before} → {value}")),
        Some(_) => None,
    });
    gone.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_inventory_says_which_labels_changed() {
        let old = Labels::new([("env", "prod"), ("role", "db"), ("tier", "1")]).unwrap();
        let new = Labels::new([("env", "staging"), ("role", "db"), ("zone", "a")]).unwrap();
        assert_eq!(
            label_differences(&old, &new),
            ["label tier=1 removed", "label env prod → staging", "label zone=a added"]
        );
    }
}
