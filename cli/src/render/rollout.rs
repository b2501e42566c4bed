//! How a job goes out and how far that is, in words.

use lictor_client::views::{JobView, ProgressView};
use lictor_core::{
    job::CommandInput,
    rollout::{HaltReason, Share},
};

use super::{bytes::one_line, time};

/// `wave 2 of 4`, where there are several.
pub(crate) fn wave(job: &JobView) -> Option<String> {
    let progress = job.progress.as_ref().filter(|progress| progress.waves > 1)?;
    Some(format!("wave {} of {}", progress.wave, progress.waves))
}

/// What has changed between two looks at a job, in a line.
pub(crate) fn news(before: &JobView, after: &JobView) -> Option<String> {
    if after.cancel_requested && !before.cancel_requested {
        return Some("cancelling".into());
    }
    let (old, new) = (before.progress.as_ref(), after.progress.as_ref()?);
    let changed = |look: fn(&ProgressView) -> bool| look(new) && !old.is_some_and(look);
    if changed(|progress| progress.halted.is_some()) {
        return new.halted.map(|reason| halted(reason, new));
    }
    if changed(|progress| progress.paused_by.is_some()) {
        let by = new.paused_by.as_ref().map(|by| format!(" by {by}"));
        return Some(format!("paused{}", by.unwrap_or_default()));
    }
    if new.paused_by.is_none() && old.is_some_and(|old| old.paused_by.is_some()) {
        return Some("resumed".into());
    }
    if changed(|progress| progress.health_job.is_some()) {
        let check = new.health_job.map(|job| job.to_string()).unwrap_or_default();
        return Some(format!("wave {}: checking its health with {check}", new.wave));
    }
    if changed(|progress| progress.soak_until.is_some()) {
        let until = new.soak_until.map(time::moment).unwrap_or_default();
        return Some(format!("wave {} has ended; resting until {until} UTC", new.wave));
    }
    let begun = old.is_none_or(|old| old.wave != new.wave);
    begun.then(|| format!("wave {} of {} begins", new.wave, new.waves))
}

/// The facts of a job that goes out in steps; none of one that does not.
pub(crate) fn facts(job: &JobView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let terms = terms(job);
    if !terms.is_empty() {
        facts.push(("rollout", terms.join(", ")));
    }
    if let Some(progress) = &job.progress {
        let mut stands: Vec<String> = wave(job).into_iter().collect();
        if let Some(until) = progress.soak_until {
            stands.push(format!("resting until {} UTC", time::moment(until)));
        }
        if let Some(check) = progress.health_job {
            stands.push(format!("health checked by {check}"));
        }
        if let Some(by) = &progress.paused_by {
            stands.push(format!("paused by {by}"));
        }
        stands.extend(progress.halted.map(|reason| halted(reason, progress)));
        if !stands.is_empty() {
            facts.push(("progress", stands.join(", ")));
        }
    }
    facts
}

fn terms(job: &JobView) -> Vec<String> {
    let rollout = &job.rollout;
    let mut terms = Vec::new();
    if !rollout.waves.is_empty() {
        let waves: Vec<String> = rollout.waves.iter().map(ToString::to_string).collect();
        terms.push(format!("waves {}", waves.join(" → ")));
    }
    if !rollout.soak.is_zero() {
        terms.push(format!("rest {}", time::duration(rollout.soak)));
    }
    match &rollout.health_check {
        Some(CommandInput::Line(line)) => terms.push(format!("health check `{}`", one_line(line))),
        Some(CommandInput::Argv(words)) => {
            terms.push(format!("health check `{}`", one_line(&words.join(" "))))
        }
        None => {}
    }
    let share = |name: &str, share: Option<Share>| share.map(|share| format!("{share} {name}"));
    terms.extend(share("at a time", rollout.max_concurrency));
    terms.extend(rollout.max_per_site.map(|most| format!("{most} at a time a site")));
    terms.extend(share("errors borne", rollout.max_errors));
    terms.extend(share("unreachable borne", rollout.max_unreachable));
    terms
}

fn halted(reason: HaltReason, progress: &ProgressView) -> String {
    let by = progress.halted_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = match reason {
        HaltReason::Aborted => "it was aborted",
        HaltReason::TooManyErrors => "more errors than are borne",
        HaltReason::TooManyUnreachable => "more unreachable hosts than are borne",
        HaltReason::WaveWithoutSuccess => "the wave had no success",
        HaltReason::HealthCheckFailed => "the health check did not succeed",
    };
    format!("halted: {why}{by}")
}
