//! What a journal keeps of a detached invocation: enough to find it again after the agent was away.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::{clock::Timestamp, id::InvocationId, job::Limits, name::HostAlias};
use serde::{Deserialize, Serialize};

use super::record::Unreadable;
use crate::ssh::address::Networks;

/// A detached invocation that is about to start, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) invocation: InvocationId,
    /// When it was about to start; its time runs from here.
    pub(crate) at: Timestamp,
    pub(crate) host: HostAlias,
    pub(crate) limits: Limits,
    /// Where the host's address must lie, then as now.
    pub(crate) networks: Networks,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldV1 {
    invocation: String,
    at: u64,
    host: String,
    timeout_ms: u64,
    output_bytes: u64,
    /// Networks as texts; each list must contain the address.
    networks_allowed: Vec<Vec<String>>,
    networks_denied: Vec<String>,
}

impl From<&Held> for HeldV1 {
    fn from(held: &Held) -> Self {
        let texts = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (allowed, denied) = held.networks.lists();
        Self {
            invocation: held.invocation.to_string(),
            at: held.at.as_micros(),
            host: held.host.to_string(),
            timeout_ms: u64::try_from(held.limits.timeout.as_millis()).unwrap_or(u64::MAX),
            output_bytes: held.limits.output_bytes,
            networks_allowed: allowed.iter().map(|list| texts(list)).collect(),
            networks_denied: texts(denied),
        }
    }
}

impl TryFrom<HeldV1> for Held {
    type Error = Unreadable;
    fn try_from(stored: HeldV1) -> Result<Self, Unreadable> {
        let nets = |texts: &[String]| {
            texts
                .iter()
                .map(|text| text.parse::<IpNet>().map_err(|_| Unreadable))
                .collect::<Result<Vec<_>, _>>()
        };
        let mut networks = Networks::default();
        for list in &stored.networks_allowed {
            networks.restrict(nets(list)?, []);
        }
        networks.restrict(Vec::new(), nets(&stored.networks_denied)?);
        Ok(Self {
            invocation: stored.invocation.parse().map_err(|_| Unreadable)?,
            at: Timestamp::from_micros(stored.at),
            host: stored.host.parse().map_err(|_| Unreadable)?,
            limits: Limits {
                timeout: Duration::from_millis(stored.timeout_ms),
                output_bytes: stored.output_bytes,
            },
            networks,
        })
    }
}
