//! Hosts, sites and agents as documents.

use std::collections::BTreeMap;

use lictor_client::{
    fleet::{HostView, SiteView},
    operator::AgentView,
};
use lictor_core::revocation::Revocation;
use serde::Serialize;

/// A host.
#[derive(Debug, Serialize)]
pub(crate) struct HostDocument {
    alias: String,
    site: String,
    tags: Vec<String>,
    labels: BTreeMap<String, String>,
    description: String,
    agent_connected: bool,
    host_key_pinned: bool,
    address: Option<String>,
    user: Option<String>,
    host_key_fingerprints: Vec<String>,
}

/// A site.
#[derive(Debug, Serialize)]
pub(crate) struct SiteDocument {
    name: String,
    hosts: u32,
    agents_connected: u32,
}

/// An agent.
#[derive(Debug, Serialize)]
pub(crate) struct AgentDocument {
    site: String,
    name: String,
    state: &'static str,
    epoch: u64,
    version: String,
    last_seen: Option<String>,
    address: Option<String>,
    in_flight: u32,
    enrolled_at: String,
    cosigned_size: Option<u64>,
    witness_refusal: Option<String>,
    revocation: Option<RevocationDocument>,
}

/// A revocation.
#[derive(Debug, Serialize)]
pub(crate) struct RevocationDocument {
    by: String,
    at: String,
    reason: String,
}

// === conversions ===

impl From<&HostView> for HostDocument {
    fn from(host: &HostView) -> Self {
        Self {
            alias: host.alias.to_string(),
            site: host.site.to_string(),
            tags: host.tags.iter().map(ToString::to_string).collect(),
            labels: host.labels.to_texts(),
            description: host.description.clone(),
            agent_connected: host.agent_connected,
            host_key_pinned: host.host_key_pinned,
            address: host.address.clone(),
            user: host.user.clone(),
            host_key_fingerprints: host.host_key_fingerprints.clone(),
        }
    }
}

impl From<&SiteView> for SiteDocument {
    fn from(site: &SiteView) -> Self {
        Self { name: site.name.to_string(), hosts: site.hosts, agents_connected: site.agents_connected }
    }
}

impl From<&AgentView> for AgentDocument {
    fn from(agent: &AgentView) -> Self {
        Self {
            site: agent.site.to_string(),
            name: agent.name.to_string(),
            state: agent.state.as_str(),
            epoch: agent.epoch,
            version: agent.version.clone(),
            last_seen: agent.last_seen.map(|t| t.to_string()),
            address: agent.address.clone(),
            in_flight: agent.in_flight,
            enrolled_at: agent.enrolled_at.to_string(),
            cosigned_size: agent.cosigned_size,
            witness_refusal: agent.witness_refusal.clone(),
            revocation: agent.revocation.as_ref().map(Into::into),
        }
    }
}

impl From<&Revocation> for RevocationDocument {
    fn from(revocation: &Revocation) -> Self {
        let Revocation { by, at, reason } = revocation;
        Self { by: by.to_string(), at: at.to_string(), reason: reason.to_string() }
    }
}
