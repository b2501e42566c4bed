//! How a job goes out over its hosts.

use std::time::Duration;

use lictor_core::{
    job::Job,
    rollout::{HaltReason, MAX_WAVES, Progress, Rollout, Share},
};

use super::{Invalid, at_most, known, millis, parse};
use crate::pb;

impl From<Share> for pb::Share {
    fn from(share: Share) -> Self {
        let amount = match share {
            Share::Count(count) => pb::share::Amount::Count(count),
            Share::Percent(percent) => pb::share::Amount::Percent(percent.into()),
        };
        Self { amount: Some(amount) }
    }
}

fn share(field: &'static str, wire: pb::Share) -> Result<Share, Invalid> {
    match wire.amount {
        Some(pb::share::Amount::Count(count)) => Ok(Share::Count(count)),
        Some(pb::share::Amount::Percent(percent)) => u8::try_from(percent)
            .ok()
            .filter(|percent| *percent <= 100)
            .map(Share::Percent)
            .ok_or_else(|| Invalid::new(field, "a percentage is above 100")),
        None => Err(Invalid::new(field, "neither a count nor a percentage")),
    }
}

/// The rollout on the wire; nothing when everything goes out at once.
pub fn rollout_to_wire(rollout: &Rollout) -> Option<pb::Rollout> {
    if rollout.is_immediate() {
        return None;
    }
    Some(pb::Rollout {
        waves: rollout.waves.iter().map(|wave| (*wave).into()).collect(),
        soak_ms: millis(rollout.soak),
        health_check: rollout.health_check.as_ref().map(Into::into),
        max_concurrency: rollout.max_concurrency.map(Into::into),
        max_errors: rollout.max_errors.map(Into::into),
        max_unreachable: rollout.max_unreachable.map(Into::into),
        max_per_site: rollout.max_per_site,
    })
}

/// The rollout that is asked for.
///
/// # Errors
/// [`Invalid`] for one that cannot be.
pub fn rollout_from_wire(wire: Option<pb::Rollout>) -> Result<Rollout, Invalid> {
    let Some(wire) = wire else { return Ok(Rollout::default()) };
    let pb::Rollout {
        waves,
        soak_ms,
        health_check,
        max_concurrency,
        max_errors,
        max_unreachable,
        max_per_site,
    } = wire;
    at_most("rollout.waves", &waves, MAX_WAVES)?;
    let optional = |field, wire: Option<pb::Share>| wire.map(|wire| share(field, wire)).transpose();
    let rollout = Rollout {
        waves: waves.into_iter().map(|wave| share("rollout.waves", wave)).collect::<Result<_, _>>()?,
        soak: Duration::from_millis(soak_ms),
        health_check: health_check.map(TryInto::try_into).transpose()?,
        max_concurrency: optional("rollout.max_concurrency", max_concurrency)?,
        max_errors: optional("rollout.max_errors", max_errors)?,
        max_unreachable: optional("rollout.max_unreachable", max_unreachable)?,
        max_per_site,
    };
    rollout.check().map_err(|invalid| Invalid::new("rollout", invalid))?;
    Ok(rollout)
}

/// How far a job is; nothing where there is nothing to say.
pub fn progress_to_wire(job: &Job) -> Option<pb::RolloutProgress> {
    let Progress { wave, waves, soak_until, health_job, paused, halted } = &job.progress;
    if job.rollout.is_immediate() && paused.is_none() && halted.is_none() {
        return None;
    }
    let reason = halted.as_ref().map_or(pb::HaltReason::Unspecified, |halt| reason_to_wire(halt.reason));
    Some(pb::RolloutProgress {
        wave: *wave,
        waves: *waves,
        soak_until: soak_until.map(|until| until.as_micros()),
        health_job: health_job.map(|job| job.to_string()).unwrap_or_default(),
        paused_by: paused.as_ref().map(|(by, _)| by.into()),
        halted: reason.into(),
        halted_by: halted.as_ref().and_then(|halt| halt.by.as_ref()).map(Into::into),
    })
}

/// The job that checks the health of a wave, as a client reads it.
///
/// # Errors
/// [`Invalid`] for what is not the identifier of a job.
pub fn health_job_from_wire(text: &str) -> Result<Option<lictor_core::id::JobId>, Invalid> {
    if text.is_empty() { Ok(None) } else { parse("job.progress.health_job", text).map(Some) }
}

const fn reason_to_wire(reason: HaltReason) -> pb::HaltReason {
    match reason {
        HaltReason::Aborted => pb::HaltReason::Aborted,
        HaltReason::TooManyErrors => pb::HaltReason::TooManyErrors,
        HaltReason::TooManyUnreachable => pb::HaltReason::TooManyUnreachable,
        HaltReason::WaveWithoutSuccess => pb::HaltReason::WaveWithoutSuccess,
        HaltReason::HealthCheckFailed => pb::HaltReason::HealthCheckFailed,
    }
}

/// Why a job was halted, as a client reads it.
///
/// # Errors
/// [`Invalid`] for a reason that this version does not know.
pub fn halt_reason_from_wire(wire: i32) -> Result<Option<HaltReason>, Invalid> {
    if wire == pb::HaltReason::Unspecified as i32 {
        return Ok(None);
    }
    Ok(match known("job.progress.halted", wire)? {
        pb::HaltReason::Unspecified => None,
        pb::HaltReason::Aborted => Some(HaltReason::Aborted),
        pb::HaltReason::TooManyErrors => Some(HaltReason::TooManyErrors),
        pb::HaltReason::TooManyUnreachable => Some(HaltReason::TooManyUnreachable),
        pb::HaltReason::WaveWithoutSuccess => Some(HaltReason::WaveWithoutSuccess),
        pb::HaltReason::HealthCheckFailed => Some(HaltReason::HealthCheckFailed),
    })
}

#[cfg(test)]
mod tests {
    use lictor_core::job::CommandInput;

    use super::*;

    #[test]
    fn a_rollout_survives_the_wire_and_one_that_cannot_be_is_refused() {
        let rollout = Rollout {
            waves: vec![Share::Count(1), Share::Percent(10)],
            soak: Duration::from_secs(5),
            health_check: Some(CommandInput::Line("true".into())),
            max_concurrency: Some(Share::Count(7)),
            max_errors: Some(Share::Percent(0)),
            max_unreachable: None,
            max_per_site: Some(3),
        };
        let wire = rollout_to_wire(&rollout).unwrap();
        assert_eq!(rollout_from_wire(Some(wire.clone())), Ok(rollout));
        assert_eq!(rollout_from_wire(None), Ok(Rollout::default()));
        let percent = |percent| pb::Share { amount: Some(pb::share::Amount::Percent(percent)) };
        for waves in [vec![pb::Share::default()], vec![percent(101)], vec![percent(9), percent(8)]] {
            assert!(rollout_from_wire(Some(pb::Rollout { waves, ..wire.clone() })).is_err());
        }
        assert_eq!(halt_reason_from_wire(0), Ok(None));
        for reason in HaltReason::ALL {
            assert_eq!(halt_reason_from_wire(reason_to_wire(reason).into()), Ok(Some(reason)));
        }
    }
}
