//! `ssh_reload_config`: says that what is in force is current. Reloading is for operators, never for a model.

use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::answer::Answer;

/// The tool.
#[derive(Debug)]
pub(super) enum ReloadConfig {}

/// None.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {}

/// What is in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InForce {
    /// Always "current": changes come into force when their owners make them, and this tool changes nothing.
    status: &'static str,
    /// Hosts that the controller knows now.
    hosts_total: u32,
    /// Sites with a connected agent.
    sites_connected: usize,
    /// Sites.
    sites_total: usize,
}

impl BridgeTool for ReloadConfig {
    const NAME: &'static str = "ssh_reload_config";
    const TITLE: &'static str = "Check that configuration is current";
    const DESCRIPTION: &'static str = "Changes nothing: policy and hosts are in force once their owners change them. Counts hosts \
        and sites.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = InForce;

    async fn call(call: &Call<'_>, _: Parameters) -> Result<Answer<InForce>, Failure> {
        let sites = call.client.sites().await?;
        Ok(Answer::done(InForce {
            status: "current",
            hosts_total: sites.iter().map(|site| site.hosts).fold(0, u32::saturating_add),
            sites_connected: sites.iter().filter(|site| site.agents_connected > 0).count(),
            sites_total: sites.len(),
        }))
    }
}
