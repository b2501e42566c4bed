//! How fast a live job goes out: what may begin now, and what has come of each wave.

use std::collections::BTreeMap;

use lictor_core::{
    approval::Approval,
    clock::Timestamp,
    id::JobId,
    invocation::Invocation,
    name::{HostAlias, SiteName},
    outcome::Outcome,
    rollout::{Health, Next, Tally, WaveTally},
};

use super::{
    invocation::LiveInvocation,
    job::{LiveJob, State},
};
use crate::served::Moment;

impl LiveJob {
    /// Whether it goes out in steps.
    pub fn has_rollout(&self) -> bool {
        !self.state().job.rollout.is_immediate()
    }

    /// Whether it waits for the consent of others.
    pub fn awaits_approval(&self) -> bool {
        self.state().job.awaits_approval()
    }

    /// Whether it waits for consent whose time is up, and nobody has stopped it.
    pub fn approval_is_over(&self, now: Timestamp) -> bool {
        let state = self.state();
        let job = &state.job;
        let stopped = job.is_stopped();
        let over = |approval: &Approval| now > approval.expires_at;
        !stopped && job.awaits_approval() && job.approval.as_ref().is_some_and(over)
    }

    /// The job that checks the health of the wave under way.
    pub fn health_job(&self) -> Option<JobId> {
        self.state().job.progress.health_job
    }

    /// Whether a health check may be begun: not soon after one that could not be.
    pub fn may_check(&self, now: Timestamp) -> bool {
        self.state().check_after.is_none_or(|after| now >= after)
    }

    /// Leaves the health check alone until then.
    pub fn check_again_at(&self, after: Timestamp) {
        self.state().check_after = Some(after);
    }

    /// What is to be done next, with this health of the wave under way.
    pub fn next(&self, health: Option<Health>, now: Timestamp) -> Next {
        let state = self.state();
        if state.job.rollout.is_immediate() || state.counts.ended() || state.job.cancel_requested.is_some() {
            return Next::Wait;
        }
        state.job.rollout.next(state.hosts, &state.job.progress, &state.tally, health, now)
    }

    /// The hosts of a wave on which it succeeded.
    pub fn succeeded_in(&self, wave: u32) -> Vec<HostAlias> {
        let good =
            |i: &&LiveInvocation| i.kept.wave == wave && i.kept.state.outcome() == Some(&Outcome::Succeeded);
        self.state().invocations.iter().filter(good).map(|i| i.kept.host.clone()).collect()
    }

    /// Lets what may begin now begin: it waits for its agent from now on. Answers which, with their sites.
    pub fn release(&self, now: Moment) -> Vec<(usize, SiteName)> {
        let mut state = self.state();
        let State { job, hosts, tally, held, invocations, .. } = &mut *state;
        let stopped = job.progress.paused.is_some() || job.is_stopped();
        let stopped = stopped || job.awaits_approval();
        if stopped || held.count() == 0 {
            return Vec::new();
        }
        let ended: u32 = tally.waves.iter().map(|wave| wave.ended).sum();
        let under_way = hosts.saturating_sub(held.count()).saturating_sub(ended);
        let room = job.rollout.room(*hosts, under_way, tally);
        let mut at_site = job.rollout.max_per_site.map(|most| (most, under_way_by_site(invocations)));
        let released = held.release(room, job.progress.wave, |site| {
            let Some((most, counts)) = &mut at_site else { return true };
            let count = counts.entry(site.clone()).or_default();
            let may = *count < *most;
            *count += u32::from(may);
            may
        });
        let until = now.plus(job.queue_wait());
        released
            .into_iter()
            .filter_map(|index| {
                let invocation = invocations.get_mut(index)?;
                (invocation.held, invocation.wait_until) = (false, until);
                Some((index, invocation.kept.site.clone()))
            })
            .collect()
    }
}

/// Counts an invocation among those of its wave, and its end if it has one.
pub(super) fn count(tally: &mut Tally, kept: &Invocation) {
    let Some(wave) = (kept.wave as usize).checked_sub(1) else { return };
    if tally.waves.len() <= wave {
        tally.waves.resize(wave + 1, WaveTally::default());
    }
    if let Some(wave) = tally.waves.get_mut(wave) {
        wave.hosts += 1;
    }
    note_end(tally, kept);
}

/// Counts the end of an invocation, if it has one.
pub(super) fn note_end(tally: &mut Tally, kept: &Invocation) {
    let Some(outcome) = kept.state.outcome() else { return };
    match outcome {
        Outcome::Failed(_) | Outcome::TimedOut | Outcome::Unknown(_) => tally.errors += 1,
        Outcome::Unreachable { .. } | Outcome::Expired => tally.unreachable += 1,
        Outcome::Succeeded
        | Outcome::Denied { .. }
        | Outcome::Skipped
        | Outcome::Cancelled
        | Outcome::Killed => {}
    }
    let wave = (kept.wave as usize).checked_sub(1).and_then(|wave| tally.waves.get_mut(wave));
    if let Some(wave) = wave {
        wave.ended += 1;
        wave.succeeded += u32::from(*outcome == Outcome::Succeeded);
    }
}

/// How many invocations are under way at each site.
fn under_way_by_site(invocations: &[LiveInvocation]) -> BTreeMap<SiteName, u32> {
    let mut counts = BTreeMap::new();
    for invocation in invocations {
        if !invocation.held && invocation.kept.state.outcome().is_none() {
            *counts.entry(invocation.kept.site.clone()).or_default() += 1;
        }
    }
    counts
}
