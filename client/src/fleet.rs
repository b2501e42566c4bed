//! Calls about the fleet that everybody may make: sites and hosts.

use lictor_core::{
    error::Failure,
    label::Labels,
    name::{HostAlias, SiteName, Tag},
    target::TargetExpression,
};
use lictor_proto::{
    convert::{Invalid, parse},
    limits::MAX_PAGE,
    pb,
};

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
};

/// Most pages of hosts that are asked for: ten sites of the largest size, in pages that long descriptions make short.
const MAX_HOST_PAGES: usize = 1000;

/// A site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteView {
    /// Its name.
    pub name: SiteName,
    /// How many hosts it has.
    pub hosts: u32,
    /// How many of its agents are connected.
    pub agents_connected: u32,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its alias.
    pub alias: HostAlias,
    /// Its site.
    pub site: SiteName,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its labels.
    pub labels: Labels,
    /// What its site says of it.
    pub description: String,
    /// An agent of its site is connected.
    pub agent_connected: bool,
    /// A host key is pinned for it.
    pub host_key_pinned: bool,
    /// Name or address and port; told to operators only.
    pub address: Option<String>,
    /// The login; told to operators only.
    pub user: Option<String>,
    /// `SHA256:…` of each pinned key; told to operators only.
    pub host_key_fingerprints: Vec<String>,
}

// === impl Client ===

impl Client {
    /// Every site.
    ///
    /// # Errors
    /// When the controller refuses or cannot be reached.
    pub async fn sites(&self) -> Result<Vec<SiteView>, Failure> {
        let mut service = self.fleet_service();
        let answer = self.answer(CALL_DEADLINE, service.list_sites(pb::ListSitesRequest {})).await?;
        let sites = answer.sites.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
        sites.map_err(|e: Invalid| not_understood(&e))
    }

    /// Every host, or every host with `tag`; ordered by alias.
    ///
    /// # Errors
    /// When the controller refuses or cannot be reached.
    pub async fn hosts(&self, tag: Option<&Tag>) -> Result<Vec<HostView>, Failure> {
        let tag = tag.map(ToString::to_string).unwrap_or_default();
        self.every_page(pb::ListHostsRequest { tag, ..Default::default() }).await
    }

    /// The hosts that a job for `expression` would be for; ordered by alias.
    ///
    /// # Errors
    /// When the controller refuses, as it would refuse the job, or cannot be reached.
    pub async fn hosts_meant_by(&self, expression: &TargetExpression) -> Result<Vec<HostView>, Failure> {
        let expression = expression.to_string();
        self.every_page(pb::ListHostsRequest { expression, ..Default::default() }).await
    }

    async fn every_page(&self, wanted: pb::ListHostsRequest) -> Result<Vec<HostView>, Failure> {
        let mut hosts = Vec::new();
        let mut page_token = String::new();
        for _ in 0..MAX_HOST_PAGES {
            let request = pb::ListHostsRequest { page_size: MAX_PAGE, page_token, ..wanted.clone() };
            let answer = self.list_hosts(request).await?;
            hosts.extend(answer.0);
            page_token = answer.1;
            if page_token.is_empty() {
                return Ok(hosts);
            }
        }
        Err(not_understood(&Invalid::new("hosts", "there are more pages than a fleet can have")))
    }

    /// The host with this alias, if there is one.
    ///
    /// # Errors
    /// When the controller refuses or cannot be reached.
    pub async fn host(&self, alias: &HostAlias) -> Result<Option<HostView>, Failure> {
        let request = pb::ListHostsRequest { alias: alias.to_string(), page_size: 1, ..Default::default() };
        Ok(self.list_hosts(request).await?.0.into_iter().find(|host| host.alias == *alias))
    }

    async fn list_hosts(&self, request: pb::ListHostsRequest) -> Result<(Vec<HostView>, String), Failure> {
        let mut service = self.fleet_service();
        let answer = self.answer(CALL_DEADLINE, service.list_hosts(request)).await?;
        let hosts = answer.hosts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
        Ok((hosts.map_err(|e: Invalid| not_understood(&e))?, answer.next_page_token))
    }
}

// === conversions ===

impl TryFrom<pb::Site> for SiteView {
    type Error = Invalid;
    fn try_from(wire: pb::Site) -> Result<Self, Invalid> {
        let pb::Site { name, hosts, agents_connected } = wire;
        Ok(Self { name: parse("site.name", &name)?, hosts, agents_connected })
    }
}

impl TryFrom<pb::Host> for HostView {
    type Error = Invalid;
    fn try_from(wire: pb::Host) -> Result<Self, Invalid> {
        let pb::Host {
            alias,
            site,
            tags,
            labels,
            description,
            agent_connected,
            host_key_pinned,
            address,
            user,
            host_key_fingerprints,
        } = wire;
        let told = |text: String| Some(text).filter(|t| !t.is_empty());
        Ok(Self {
            alias: parse("host.alias", &alias)?,
            site: parse("host.site", &site)?,
            tags: tags.iter().map(|tag| parse("host.tags", tag)).collect::<Result<_, _>>()?,
            labels: Labels::new(labels).map_err(|e| Invalid::new("host.labels", e))?,
            description,
            agent_connected,
            host_key_pinned,
            address: told(address),
            user: told(user),
            host_key_fingerprints,
        })
    }
}
