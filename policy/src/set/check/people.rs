//! Checking who and where: principals, groups and hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lictor_core::{
    glob::Glob,
    name::{GroupName, HostAlias, InvalidName, LabelKey, PrincipalName},
    principal::{PrincipalKind, Via},
};

use serde_saphyr::Spanned;

use super::{Problems, Scope, line_of};
use crate::{
    file::{GroupFile, HostsFile, KindFile, ViaFile, VisibleFile, VisibleWhoFile, WhereFile, WhoFile},
    labels::LabelPatterns,
    rule::{HostName, Hosts, Principals, Who},
    set::MAX_SECTION,
    view::Visible,
};

const EMPTY_WHO: &str = "`who` is empty; leave it out for everybody";

/// Principals as a file names them.
#[derive(Clone, Copy)]
struct Named<'a> {
    users: Option<&'a [String]>,
    services: Option<&'a [String]>,
    groups: Option<&'a [String]>,
    kinds: Option<&'a [KindFile]>,
}

/// The groups of a file.
pub(super) struct Groups {
    pub(super) names: BTreeSet<GroupName>,
    pub(super) memberships: HashMap<(PrincipalKind, PrincipalName), Vec<GroupName>>,
}

impl Named<'_> {
    const fn some(&self) -> bool {
        self.users.is_some() || self.services.is_some() || self.groups.is_some() || self.kinds.is_some()
    }
}

impl Problems {
    pub(super) fn groups(&mut self, files: &BTreeMap<String, GroupFile>) -> Groups {
        if files.len() > MAX_SECTION {
            self.add(format!("`groups` has more than {MAX_SECTION} entries"));
        }
        let mut groups = Groups { names: BTreeSet::new(), memberships: HashMap::new() };
        for (name, file) in files {
            let Some(name) = self.keep(GroupName::new(name)) else { continue };
            if file.users.is_none() && file.services.is_none() {
                self.add(format!("group `{name}` is empty; list `users` or `services`"));
            }
            for member in self.principals(file.users.as_deref(), file.services.as_deref()) {
                let of_member = groups.memberships.entry(member).or_default();
                if !of_member.contains(&name) {
                    of_member.push(name.clone());
                }
            }
            groups.names.insert(name);
        }
        groups
    }

    fn principals(
        &mut self,
        users: Option<&[String]>,
        services: Option<&[String]>,
    ) -> Vec<(PrincipalKind, PrincipalName)> {
        let users = self.names("users", users).unwrap_or_default();
        let services = self.names("services", services).unwrap_or_default();
        let users = users.into_iter().map(|name| (PrincipalKind::User, name));
        users.chain(services.into_iter().map(|name| (PrincipalKind::Service, name))).collect()
    }

    pub(super) fn who(&mut self, file: Option<&WhoFile>, scope: Scope<'_>) -> Who {
        let Some(file) = file else { return Who::default() };
        let named = Named {
            users: file.users.as_deref(),
            services: file.services.as_deref(),
            groups: file.groups.as_deref(),
            kinds: file.kinds.as_deref(),
        };
        if !named.some() && file.via.is_none() {
            self.add(EMPTY_WHO);
        }
        let principals = self.named(named, scope);
        if file.via.as_ref().is_some_and(Vec::is_empty) {
            self.add("`via` is empty; leave it out for every door");
        }
        let via = |via: &ViaFile| match via {
            ViaFile::Cli => Via::Cli,
            ViaFile::Mcp => Via::Mcp,
            ViaFile::Api => Via::Api,
        };
        Who {
            principals: named.some().then_some(principals),
            via: file.via.as_ref().map(|list| list.iter().map(via).collect()),
        }
    }

    /// Hosts with who is told of them. An empty list is refused, because readers differ on whether it shows all or none.
    pub(super) fn visible(&mut self, files: &[Spanned<VisibleFile>], scope: Scope<'_>) -> Vec<Visible> {
        self.bounded("visible", files.len());
        if files.len() > MAX_SECTION {
            self.add(format!("`visible` has more than {MAX_SECTION} entries"));
        }
        let entry = |spanned: &Spanned<VisibleFile>| {
            let VisibleFile { who, hosts } = &spanned.value;
            self.at(line_of(spanned), |p| {
                let principals = who.as_ref().map(|VisibleWhoFile { users, services, groups, kinds }| {
                    let named = Named {
                        users: users.as_deref(),
                        services: services.as_deref(),
                        groups: groups.as_deref(),
                        kinds: kinds.as_deref(),
                    };
                    if !named.some() {
                        p.add(EMPTY_WHO);
                    }
                    p.named(named, scope)
                });
                Visible { who: Who { principals, via: None }, hosts: p.hosts(hosts) }
            })
        };
        files.iter().map(entry).collect()
    }

    fn named(&mut self, file: Named<'_>, scope: Scope<'_>) -> Principals {
        let principals = Principals {
            named: self.principals(file.users, file.services),
            groups: self.names::<GroupName>("groups", file.groups).unwrap_or_default(),
            kinds: self.kinds(file.kinds),
        };
        for group in &principals.groups {
            self.group_exists(group, scope);
        }
        principals
    }

    fn kinds(&mut self, files: Option<&[KindFile]>) -> Vec<PrincipalKind> {
        let Some(files) = files else { return Vec::new() };
        self.bounded("kinds", files.len());
        let kind = |file: &KindFile| match file {
            KindFile::User => PrincipalKind::User,
            KindFile::Service => PrincipalKind::Service,
        };
        files.iter().map(kind).collect()
    }

    pub(super) fn group_exists(&mut self, group: &GroupName, scope: Scope<'_>) {
        if !scope.groups.contains(group) {
            self.add(format!("there is no group `{group}`; define it under `groups`"));
        }
    }

    pub(super) fn hosts(&mut self, file: &WhereFile) -> Hosts {
        let HostsFile { hosts, tags, sites, labels } = match file {
            WhereFile::All(_) => return Hosts::All,
            WhereFile::Some(some) => some,
        };
        if hosts.is_none() && tags.is_none() && sites.is_none() && labels.is_none() {
            self.add("`where` is empty; write `where: all` for every host");
        }
        Hosts::Some {
            hosts: self.host_names(hosts.as_deref()),
            tags: self.names("tags", tags.as_deref()).unwrap_or_default(),
            sites: self.names("sites", sites.as_deref()).unwrap_or_default(),
            labels: self.labels(labels.as_ref()),
        }
    }

    fn labels(&mut self, files: Option<&BTreeMap<String, String>>) -> LabelPatterns {
        let Some(files) = files else { return LabelPatterns::default() };
        self.bounded("labels", files.len());
        let label = |(key, value): (&String, &String)| {
            let wrong = |text: &str, e: &InvalidName| format!("`labels` has `{text}`: {e}");
            let key = LabelKey::new(key).map_err(|e| wrong(key, &e))?;
            let glob = Glob::new(value).map_err(|e| wrong(value, &e))?;
            Ok::<_, String>((key, glob))
        };
        LabelPatterns(files.iter().filter_map(|file| self.keep(label(file))).collect())
    }

    fn host_names(&mut self, list: Option<&[String]>) -> Vec<HostName> {
        let Some(list) = list else { return Vec::new() };
        self.bounded("hosts", list.len());
        list.iter().filter_map(|text| self.keep(host_name(text))).collect()
    }
}

/// An alias, or one with `*` for any characters.
fn host_name(text: &str) -> Result<HostName, String> {
    if !text.contains('*') {
        return HostAlias::new(text).map(HostName::Alias).map_err(|e| format!("`hosts` has `{text}`: {e}"));
    }
    if text.bytes().all(|b| b == b'*') {
        return Err("`hosts` has `*`; write `where: all` for every host".into());
    }
    // What stands for the stars must leave a name.
    HostAlias::new(&text.replace('*', "x")).map_err(|e| format!("`hosts` has `{text}`: {e}"))?;
    Ok(HostName::Pattern(text.split('*').map(str::to_owned).collect()))
}
