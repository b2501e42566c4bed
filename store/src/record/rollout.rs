//! How a job goes out and how far it is, as it is stored with the job.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    job::CommandInput,
    rollout::{Halt, Progress, Rollout, Share},
};
use serde::{Deserialize, Serialize};

use super::{corrupt, job::PrincipalV1, parse};
use crate::StoreError;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RolloutV1 {
    waves: Vec<String>,
    soak_ms: u64,
    health_check: Option<CommandInputV1>,
    max_concurrency: Option<String>,
    max_errors: Option<String>,
    max_unreachable: Option<String>,
    max_per_site: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CommandInputV1 {
    Argv(Vec<String>),
    Line(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProgressV1 {
    wave: u32,
    waves: u32,
    soak_until: Option<u64>,
    health_job: Option<String>,
    paused: Option<(PrincipalV1, u64)>,
    halted: Option<HaltV1>,
}

#[derive(Debug, Serialize, Deserialize)]
struct HaltV1 {
    reason: String,
    by: Option<PrincipalV1>,
    at: u64,
}

// === impl RolloutV1 ===

impl RolloutV1 {
    /// Nothing for what goes out at once, as every job did before.
    pub(super) fn new(rollout: &Rollout) -> Option<Self> {
        if rollout.is_immediate() {
            return None;
        }
        let share = |share: &Option<Share>| share.map(|share| share.to_string());
        Some(Self {
            waves: rollout.waves.iter().map(ToString::to_string).collect(),
            soak_ms: u64::try_from(rollout.soak.as_millis()).unwrap_or(u64::MAX),
            health_check: rollout.health_check.as_ref().map(|check| match check {
                CommandInput::Argv(words) => CommandInputV1::Argv(words.clone()),
                CommandInput::Line(line) => CommandInputV1::Line(line.clone()),
            }),
            max_concurrency: share(&rollout.max_concurrency),
            max_errors: share(&rollout.max_errors),
            max_unreachable: share(&rollout.max_unreachable),
            max_per_site: rollout.max_per_site,
        })
    }
}

impl TryFrom<RolloutV1> for Rollout {
    type Error = StoreError;
    fn try_from(v1: RolloutV1) -> Result<Self, StoreError> {
        let share =
            |text: Option<String>| text.map(|text| text.parse::<Share>().map_err(corrupt)).transpose();
        let rollout = Self {
            waves: v1.waves.iter().map(|wave| parse(wave)).collect::<Result<_, _>>()?,
            soak: Duration::from_millis(v1.soak_ms),
            health_check: v1.health_check.map(|check| match check {
                CommandInputV1::Argv(words) => CommandInput::Argv(words),
                CommandInputV1::Line(line) => CommandInput::Line(line),
            }),
            max_concurrency: share(v1.max_concurrency)?,
            max_errors: share(v1.max_errors)?,
            max_unreachable: share(v1.max_unreachable)?,
            max_per_site: v1.max_per_site,
        };
        rollout.check().map_err(corrupt)?;
        Ok(rollout)
    }
}

// === impl ProgressV1 ===

impl ProgressV1 {
    /// Nothing for a job that has gone no further than any job has at its start.
    pub(super) fn new(progress: &Progress) -> Option<Self> {
        if *progress == Progress::default() {
            return None;
        }
        Some(Self {
            wave: progress.wave,
            waves: progress.waves,
            soak_until: progress.soak_until.map(Timestamp::as_micros),
            health_job: progress.health_job.map(|job| job.to_string()),
            paused: progress.paused.as_ref().map(|(by, at)| (by.into(), at.as_micros())),
            halted: progress.halted.as_ref().map(|halt| HaltV1 {
                reason: halt.reason.as_str().into(),
                by: halt.by.as_ref().map(Into::into),
                at: halt.at.as_micros(),
            }),
        })
    }
}

impl TryFrom<ProgressV1> for Progress {
    type Error = StoreError;
    fn try_from(v1: ProgressV1) -> Result<Self, StoreError> {
        let halted = v1.halted.map(|halt| {
            Ok::<_, StoreError>(Halt {
                reason: parse(&halt.reason)?,
                by: halt.by.map(TryInto::try_into).transpose()?,
                at: Timestamp::from_micros(halt.at),
            })
        });
        let paused =
            v1.paused.map(|(by, at)| Ok::<_, StoreError>((by.try_into()?, Timestamp::from_micros(at))));
        Ok(Self {
            wave: v1.wave,
            waves: v1.waves,
            soak_until: v1.soak_until.map(Timestamp::from_micros),
            health_job: v1.health_job.as_deref().map(parse).transpose()?,
            paused: paused.transpose()?,
            halted: halted.transpose()?,
        })
    }
}
