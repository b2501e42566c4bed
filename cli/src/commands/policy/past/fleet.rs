//! Hosts with their tags and labels as they are now, from the controller or a file.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use lictor_core::{
    label::Labels,
    name::{HostAlias, SiteName, Tag},
    target::{TargetExpression, TargetFacts},
};
use lictor_policy::HostFacts;
use lictor_runtime::config::load_yaml;
use serde::Deserialize;

use crate::{context::Context, trouble::Trouble};

/// The site of a host that nothing is known of.
pub(super) const UNKNOWN_SITE: &str = "unknown";

/// The hosts with their tags and labels.
#[derive(Debug, Default)]
pub(super) struct Fleet(pub(super) HashMap<HostAlias, HostFacts>);

/// Host files are read for aliases, tags and labels alone; what else is in them is the agent's.
#[derive(Debug, Deserialize)]
struct HostsFile {
    hosts: Vec<HostEntry>,
}

#[derive(Debug, Deserialize)]
struct HostEntry {
    alias: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

// === impl Fleet ===

impl Fleet {
    pub(super) async fn of_controller(context: &Context) -> Result<Self, Trouble> {
        let hosts = context.connect()?.client().hosts(None).await?;
        let facts = hosts.into_iter().map(|host| HostFacts {
            alias: host.alias,
            site: host.site,
            tags: host.tags,
            labels: host.labels,
        });
        Ok(Self(facts.map(|host| (host.alias.clone(), host)).collect()))
    }

    pub(super) fn of_file(path: &Path) -> Result<Self, Trouble> {
        let wrong = |message: String| {
            Trouble::usage(
                format!("{}: {message}", path.display()),
                "write hosts: [{alias: web-1, tags: [web]}]",
            )
        };
        let file: HostsFile = load_yaml(path).map_err(|e| wrong(e.to_string()))?;
        let mut hosts = HashMap::new();
        for entry in file.hosts {
            let alias = HostAlias::new(&entry.alias).map_err(|e| wrong(e.to_string()))?;
            let tags = entry.tags.iter().map(|tag| Tag::new(tag)).collect::<Result<_, _>>();
            let site = SiteName::new(UNKNOWN_SITE).map_err(|e| wrong(e.to_string()))?;
            let facts = HostFacts {
                alias: alias.clone(),
                site,
                tags: tags.map_err(|e| wrong(e.to_string()))?,
                labels: Labels::new(entry.labels).map_err(|e| wrong(e.to_string()))?,
            };
            hosts.insert(alias, facts);
        }
        Ok(Self(hosts))
    }

    /// The host, at the site that the record says.
    pub(super) fn facts(&self, alias: &HostAlias, site: Option<SiteName>) -> Option<HostFacts> {
        let mut facts = self.0.get(alias).cloned()?;
        facts.site = site.unwrap_or(facts.site);
        Some(facts)
    }

    /// The hosts that the recorded target means now; a tag is recorded as an expression too.
    pub(super) fn meant_by(&self, target: &str) -> Vec<HostAlias> {
        let Ok(expression) = target.parse::<TargetExpression>() else { return Vec::new() };
        let means = |host: &&HostFacts| {
            let HostFacts { alias, site, tags, labels } = host;
            expression.matches(TargetFacts { alias, site, tags, labels })
        };
        let mut hosts: Vec<HostAlias> =
            self.0.values().filter(means).map(|host| host.alias.clone()).collect();
        hosts.sort();
        hosts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_target_means_the_hosts_that_fit_it_now() {
        let host = |alias: &str, tag: &str, env: &str| HostFacts {
            alias: HostAlias::new(alias).unwrap(),
            site: SiteName::new("eu").unwrap(),
            tags: vec![Tag::new(tag).unwrap()],
            labels: Labels::new([("env", env)]).unwrap(),
        };
        let hosts = [host("web-1", "web", "prod"), host("web-2", "web", "test"), host("db-1", "db", "prod")];
        let fleet = Fleet(hosts.map(|host| (host.alias.clone(), host)).into());
        for (target, expected) in [
            ("tag:web", &["web-1", "web-2"][..]),
            ("tag:web and not label:env=test", &["web-1"]),
            ("label:env=prod", &["db-1", "web-1"]),
            ("tag:gone", &[]),
        ] {
            let meant = fleet.meant_by(target);
            assert_eq!(meant.iter().map(HostAlias::as_str).collect::<Vec<_>>(), expected, "{target}");
        }
    }
}
