//! What one principal uses, by door; and whether that leaves room in a quota.

use std::{collections::BTreeSet, time::Duration};

use lictor_core::{
    clock::Timestamp,
    error::{ErrorCode, Failure},
    name::RuleId,
    principal::{Principal, Via},
};
use lictor_policy::{PolicySet, Quota, QuotaBound};
use lictor_runtime::human::HumanDuration;

use super::{
    Asked, UsedUp,
    history::{Entry, History},
};

/// Every door.
const DOORS: [Via; 3] = [Via::Cli, Via::Mcp, Via::Api];

/// What one principal uses.
#[derive(Debug, Default)]
pub(super) struct Usage {
    cli: DoorUsage,
    mcp: DoorUsage,
    api: DoorUsage,
}

/// What one principal uses by one door.
#[derive(Debug, Default)]
struct DoorUsage {
    history: History,
    running: u64,
}

/// By which doors each quota counts what one principal asks for.
#[derive(Debug)]
pub(super) struct Doors(BTreeSet<(RuleId, Via)>);

// === impl Doors ===

impl Doors {
    pub(super) fn new(set: &PolicySet, principal: &Principal) -> Self {
        let of_door = |via: Via| set.quotas(principal, via).map(move |quota| (quota.id().clone(), via));
        Self(DOORS.into_iter().flat_map(of_door).collect())
    }

    fn counted(&self, quota: &Quota, via: Via) -> bool {
        self.0.contains(&(quota.id().clone(), via))
    }
}

// === impl Usage ===

impl Usage {
    /// Whether `quota` has room for what is asked.
    pub(super) fn check(
        &self,
        quota: &Quota,
        doors: &Doors,
        asked: Asked,
        now: Timestamp,
    ) -> Result<(), UsedUp> {
        let used = self.used(quota, doors, now);
        match quota.bound() {
            QuotaBound::Rate { invocations, per } => {
                let (limit, more) = (u64::from(invocations), asked.invocations as u64);
                if used.saturating_add(more) <= limit {
                    return Ok(());
                }
                let over = used.saturating_add(more) - limit;
                let wait = if more > limit { None } else { self.frees(over, quota, doors, per, now) };
                Err(rate_used_up(quota, &Rate { limit, per, used, more, wait }))
            }
            QuotaBound::Running(most) => {
                let (limit, more) = (u64::from(most), asked.running as u64);
                if used.saturating_add(more) <= limit {
                    Ok(())
                } else {
                    Err(running_used_up(quota, limit, used, more))
                }
            }
        }
    }

    /// What counts now.
    pub(super) fn used(&self, quota: &Quota, doors: &Doors, now: Timestamp) -> u64 {
        match quota.bound() {
            QuotaBound::Rate { per, .. } => self.within(quota, doors, per, now).map(|e| e.invocations).sum(),
            QuotaBound::Running(_) => self.counted(quota, doors).map(|door| door.running).sum(),
        }
    }

    /// Counts what is asked; answers the time under which it is counted.
    pub(super) fn add(&mut self, via: Via, asked: Asked, now: Timestamp) -> Timestamp {
        let door = self.door(via);
        door.running = door.running.saturating_add(asked.running as u64);
        door.history.add(asked.invocations as u64, now)
    }

    /// Takes back what was counted under `at`.
    pub(super) fn give_back(&mut self, via: Via, asked: Asked, at: Timestamp) {
        let door = self.door(via);
        door.running = door.running.saturating_sub(asked.running as u64);
        door.history.give_back(asked.invocations as u64, at);
    }

    /// Frees what is no longer under way.
    pub(super) fn ended(&mut self, via: Via, invocations: usize) {
        let door = self.door(via);
        door.running = door.running.saturating_sub(invocations as u64);
    }

    /// Whether any of it can still count.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        [&self.cli, &self.mcp, &self.api].into_iter().any(|door| door.running > 0 || door.history.counts(now))
    }

    /// In how long `over` of what counts no longer does.
    fn frees(
        &self,
        over: u64,
        quota: &Quota,
        doors: &Doors,
        per: Duration,
        now: Timestamp,
    ) -> Option<Duration> {
        let mut entries: Vec<Entry> = self.within(quota, doors, per, now).collect();
        entries.sort_by_key(|entry| entry.at);
        let mut freed = 0_u64;
        let last = entries.iter().find(|entry| {
            freed = freed.saturating_add(entry.invocations);
            freed >= over
        })?;
        Some(last.at.plus(per).since(now))
    }

    fn within(
        &self,
        quota: &Quota,
        doors: &Doors,
        per: Duration,
        now: Timestamp,
    ) -> impl Iterator<Item = Entry> {
        self.counted(quota, doors).flat_map(move |door| door.history.within(per, now))
    }

    fn counted(&self, quota: &Quota, doors: &Doors) -> impl Iterator<Item = &DoorUsage> {
        let usage = [(Via::Cli, &self.cli), (Via::Mcp, &self.mcp), (Via::Api, &self.api)];
        let counted = usage.map(|(via, usage)| doors.counted(quota, via).then_some(usage));
        counted.into_iter().flatten()
    }

    const fn door(&mut self, via: Via) -> &mut DoorUsage {
        match via {
            Via::Cli => &mut self.cli,
            Via::Mcp => &mut self.mcp,
            Via::Api => &mut self.api,
        }
    }
}

/// A rate that leaves no room.
struct Rate {
    limit: u64,
    per: Duration,
    used: u64,
    more: u64,
    /// Until it has room; `None`: it never has.
    wait: Option<Duration>,
}

fn rate_used_up(quota: &Quota, rate: &Rate) -> UsedUp {
    let Rate { limit, per, used, more, wait } = rate;
    let per = HumanDuration::new(*per);
    let message = format!(
        "quota `{}` lets you ask for {limit} invocations in {per}; {used} were asked for, and this would be {more} more",
        quota.id()
    );
    // Whole seconds, rounded up: who waits that long finds room.
    let seconds = wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    let next_step = match seconds {
        Some(seconds) => {
            format!("ask again in {}, or for fewer hosts", HumanDuration::new(Duration::from_secs(seconds)))
        }
        None => "ask for fewer hosts at a time; this quota never has room for so many".into(),
    };
    let failure = refused(quota, message, next_step, *limit, *used);
    let failure = match seconds {
        Some(seconds) => failure.with("retry_after_seconds", seconds.to_string()),
        None => failure,
    };
    UsedUp { quota: Some(quota.id().clone()), failure }
}

fn running_used_up(quota: &Quota, limit: u64, used: u64, more: u64) -> UsedUp {
    let message = format!(
        "quota `{}` lets you have {limit} invocations under way at once; {used} are, and this would be {more} more",
        quota.id()
    );
    let next_step = if more > limit {
        "ask for fewer hosts at a time; this quota never has room for so many"
    } else {
        "wait until some have ended, or cancel some (lictor jobs)"
    };
    let failure = refused(quota, message, next_step.into(), limit, used);
    UsedUp { quota: Some(quota.id().clone()), failure }
}

fn refused(quota: &Quota, message: String, next_step: String, limit: u64, used: u64) -> Failure {
    Failure::new(ErrorCode::LimitExceeded, message, next_step)
        .with("quota", quota.id().as_str())
        .with("limit", limit.to_string())
        .with("used", used.to_string())
}
