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
use lictor_policy::{HostFacts, View};
use lictor_store::{KeptHost, Store, StoreError};

/// A snapshot of all hosts.
#[derive(Debug, Default)]
pub struct Fleet {
    hosts: BTreeMap<HostAlias, Arc<KeptHost>>,
}

/// The hosts of a snapshot that somebody is told of.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    fleet: &'a Fleet,
    view: View<'a>,
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

    /// The hosts that a view shows.
    pub const fn seen<'a>(&'a self, view: View<'a>) -> Seen<'a> {
        Seen { fleet: self, view }
    }
}

// === impl Seen ===

impl<'a> Seen<'a> {
    /// Every host, by alias.
    pub fn hosts(&self) -> impl Iterator<Item = &'a Arc<KeptHost>> {
        self.fleet.hosts().filter(|host| self.shows(host))
    }
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        self.view.is_everything()
    }
    fn host(&self, alias: &HostAlias) -> Option<&'a Arc<KeptHost>> {
        self.fleet.host(alias).filter(|host| self.shows(host))
    }
    fn shows(&self, host: &KeptHost) -> bool {
        self.is_everything() || self.view.shows(&facts(host))
    }

    /// The hosts that a target means, as a fixed list. Hosts that are not shown are as absent as those that there are not,
    /// also for what was perhaps meant.
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
                    self.host(alias).cloned().ok_or_else(|| {
                        Failure::new(ErrorCode::NotFound, format!("there is no host {alias}"), list)
                            .with("host", alias.as_str())
                    })
                })
                .collect::<Result<_, _>>()?,
            Target::Tag(tag) => {
                let tagged = self.fleet.hosts().filter(|host| host.tags.contains(tag));
                tagged.filter(|host| self.shows(host)).cloned().collect()
            }
            Target::Expression(wanted) => {
                let hosts: Vec<_> = self.hosts().collect();
                expression::resolve(&hosts, wanted).map_err(|e| e.into_failure(list))?
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

/// What rules may know of a host.
pub(crate) fn facts(host: &KeptHost) -> HostFacts {
    HostFacts {
        alias: host.alias.clone(),
        site: host.site.clone(),
        tags: host.tags.clone(),
        labels: host.labels.clone(),
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
