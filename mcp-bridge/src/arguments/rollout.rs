//! How a job is to go out over its hosts, as tools take it: waves, limits, and what stands between waves.

use std::time::Duration;

use lictor_core::{
    error::Failure,
    job::CommandInput,
    rollout::{Rollout, Share},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{parse, refused};

/// Step by step. A share is a number of hosts ("5") or a percentage ("10%").
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct RolloutArguments {
    /// Rising shares; a wave starts when the one before ended well. What is left is the last wave.
    #[serde(default)]
    waves: Vec<String>,
    /// Rest after each wave.
    #[serde(default)]
    soak_seconds: u64,
    /// Command that must succeed on every host of a wave before the next.
    #[serde(default)]
    health_check: Option<String>,
    /// Most hosts at once.
    #[serde(default)]
    max_concurrency: Option<String>,
    /// Failures borne; one more halts the job.
    #[serde(default)]
    max_errors: Option<String>,
    /// Unreachable hosts borne.
    #[serde(default)]
    max_unreachable: Option<String>,
}

/// What is asked for; everything at once where nothing is.
pub(super) fn rollout(asked: Option<RolloutArguments>) -> Result<Rollout, Failure> {
    let RolloutArguments { waves, soak_seconds, health_check, max_concurrency, max_errors, max_unreachable } =
        asked.unwrap_or_default();
    let share = |name, text: Option<String>| text.map(|text| parse::<Share>(name, &text)).transpose();
    let rollout = Rollout {
        waves: waves.iter().map(|text| parse("rollout.waves", text)).collect::<Result<_, _>>()?,
        soak: Duration::from_secs(soak_seconds),
        health_check: health_check.map(CommandInput::Line),
        max_concurrency: share("rollout.max_concurrency", max_concurrency)?,
        max_errors: share("rollout.max_errors", max_errors)?,
        max_unreachable: share("rollout.max_unreachable", max_unreachable)?,
        max_per_site: None,
    };
    rollout.check().map_err(|error| refused("rollout", error))?;
    Ok(rollout)
}
