//! `ssh_ping`: whether the controller answers this bridge.

use std::time::Instant;

use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::answer::Answer;

/// The tool.
#[derive(Debug)]
pub(super) enum Ping {}

/// None.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {}

/// The controller answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pong {
    /// Always "pong".
    status: &'static str,
    /// Version of this bridge.
    bridge_version: &'static str,
    /// Version of the API that the controller answered in.
    api_version: &'static str,
    /// Microseconds that the controller's answer took.
    round_trip_us: u64,
    /// Every site, with its hosts and connected agents counted.
    sites: Vec<Site>,
}

/// A site.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Site {
    /// Its name.
    name: String,
    /// How many hosts it has.
    hosts: u32,
    /// How many of its agents are connected; with none, nothing can run there.
    agents_connected: u32,
}

impl BridgeTool for Ping {
    const NAME: &'static str = "ssh_ping";
    const TITLE: &'static str = "Check the connection";
    const DESCRIPTION: &'static str =
        "Checks that the controller answers; tells versions and sites. Contacts no host.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Pong;

    async fn call(call: &Call<'_>, _: Parameters) -> Result<Answer<Pong>, Failure> {
        let asked = Instant::now();
        let sites = call.client.sites().await?;
        let round_trip_us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        let sites = sites.into_iter();
        Ok(Answer::done(Pong {
            status: "pong",
            bridge_version: env!("CARGO_PKG_VERSION"),
            api_version: "lictor.v1",
            round_trip_us,
            sites: sites
                .map(|site| Site {
                    name: site.name.to_string(),
                    hosts: site.hosts,
                    agents_connected: site.agents_connected,
                })
                .collect(),
        }))
    }
}
