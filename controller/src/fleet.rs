//! The hosts that sites have reported, as one snapshot that readers share.

mod expression;

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use lictor_core::{
    error::{ErrorCode, Failure},
    job::Target,
    limits::MAX_HOSTS_PER_JOB,
    name::HostAlias,
};
use lictor_store::{KeptHost, Store, StoreError};

/// A snapshot of all hosts.
#[derive(Debug, Default)]
pub struct Fleet {
    hosts: BTreeMap<HostAlias, Arc<KeptHost>>,
}

/// The newest snapshot.
#[derive(Debug, Default)]
pub struct LiveFleet(ArcSwap<Fleet>);

// === impl Fleet ===

impl Fleet {
    /// Every host, by alias.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<KeptHost>> {
        self.hosts.values()
    }
    /// The host with this alias.
    pub fn host(&self, alias: &HostAlias) -> Option<&Arc<KeptHost>> {
        self.hosts.get(alias)
    }

    /// The hosts that a target means, as a fixed list.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an alias, a tag or a term that no host has, or an expression that means none;
    /// [`ErrorCode::LimitExceeded`] for too many hosts.
    pub fn resolve(&self, target: &Target) -> Result<Vec<Arc<KeptHost>>, Failure> {
        let list = "list the hosts that there are (lictor hosts, or the tool ssh_list_hosts)";
        let found: Vec<_> = match target {
            Target::Hosts(aliases) => aliases
                .iter()
                .map(|alias| {
                    self.hosts.get(alias).cloned().ok_or_else(|| {
                        Failure::new(ErrorCode::NotFound, format!("there is no host {alias}"), list)
                            .with("host", alias.as_str())
                    })
                })
                .collect::<Result<_, _>>()?,
            Target::Tag(tag) => self.hosts.values().filter(|h| h.tags.contains(tag)).cloned().collect(),
            Target::Expression(wanted) => {
                expression::resolve(&self.hosts, wanted).map_err(|e| e.into_failure(list))?
            }
        };
        if let (Target::Tag(tag), true) = (target, found.is_empty()) {
            return Err(Failure::new(ErrorCode::NotFound, format!("no host has the tag {tag}"), list)
                .with("tag", tag.as_str()));
        }
        if found.len() > MAX_HOSTS_PER_JOB {
            let message = format!("that means {} hosts; a job may have {MAX_HOSTS_PER_JOB}", found.len());
            return Err(Failure::new(ErrorCode::LimitExceeded, message, "choose fewer hosts"));
        }
        Ok(found)
    }
}

// === impl LiveFleet ===

impl LiveFleet {
    /// The snapshot as it is now.
    pub fn now(&self) -> Arc<Fleet> {
        self.0.load_full()
    }

    /// Takes a new snapshot from the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let hosts = store.hosts().await?.into_iter().map(|h| (h.alias.clone(), Arc::new(h))).collect();
        self.0.store(Arc::new(Fleet { hosts }));
        Ok(())
    }
}
