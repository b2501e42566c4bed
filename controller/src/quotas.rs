//! How much each principal has asked for and has under way, and whether a quota leaves room for more.
//!
//! Counted by principal and door whatever the policy is, so that a quota that comes with another policy counts what was
//! asked for before it. Checking and counting are one step under one lock: no two requests take the same last place.

mod history;
mod usage;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::{
    clock::Timestamp,
    error::{ErrorCode, Failure},
    name::RuleId,
    principal::{Principal, Via},
};
use lictor_policy::{PolicySet, Quota, QuotaBound};

pub use self::history::KEPT_FOR;
use self::usage::{Doors, Usage};

/// Principals that are counted at once, each with at most a few KiB: many more than a fleet has identities.
pub const MAX_PRINCIPALS: usize = 10_000;
/// What is counted.
#[derive(Debug, Default)]
pub struct Quotas {
    table: Mutex<HashMap<Principal, Usage>>,
}

/// Places that were taken; given back unless they are kept.
#[derive(Debug)]
#[must_use = "places that are not kept are given back"]
pub struct Places {
    quotas: Arc<Quotas>,
    taken: Option<Taken>,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Invocations that are recorded.
    pub invocations: usize,
    /// Those of them that are to run.
    pub running: usize,
}

/// How much of a quota is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaState {
    /// Its name.
    pub id: RuleId,
    /// Most invocations.
    pub limit: u32,
    /// Invocations that count now.
    pub used: u64,
    /// In any span of this length; `None`: under way at once.
    pub per: Option<Duration>,
}

/// A quota leaves no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// The quota; `None`: nobody more can be counted.
    pub quota: Option<RuleId>,
    /// What the caller sees.
    pub failure: Failure,
}

/// What was asked for earlier, as the store has it.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Who asked.
    pub principal: Principal,
    /// By which door.
    pub via: Via,
    /// When.
    pub at: Timestamp,
    /// For how much, and how much of it is still under way.
    pub asked: Asked,
}

#[derive(Debug)]
struct Taken {
    principal: Principal,
    via: Via,
    at: Timestamp,
    asked: Asked,
}

// === impl Quotas ===

impl Quotas {
    /// Takes places for a request in every quota that counts it, or in none.
    ///
    /// # Errors
    /// [`UsedUp`] by the first quota, by name, that leaves no room.
    pub fn take(
        self: &Arc<Self>,
        set: &PolicySet,
        principal: &Principal,
        via: Via,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Places, UsedUp> {
        let quotas = by_name(set, principal, via);
        let doors = Doors::new(set, principal);
        let mut table = self.table();
        if table.len() >= MAX_PRINCIPALS && !table.contains_key(principal) {
            table.retain(|_, usage| usage.counts(now));
            if table.len() >= MAX_PRINCIPALS {
                // Whom no quota bounds need not be counted; whom one does must not run uncounted.
                return if quotas.is_empty() { Ok(self.places(None)) } else { Err(too_many_principals()) };
            }
        }
        let usage = table.entry(principal.clone()).or_default();
        for quota in quotas {
            usage.check(quota, &doors, asked, now)?;
        }
        let at = usage.add(via, asked, now);
        drop(table);
        Ok(self.places(Some(Taken { principal: principal.clone(), via, at, asked })))
    }

    /// Frees what is no longer under way.
    pub fn ended(&self, principal: &Principal, via: Via, invocations: usize) {
        if let Some(usage) = self.table().get_mut(principal) {
            usage.ended(via, invocations);
        }
    }

    /// Every quota that counts what `principal` asks for by this door, by name.
    pub fn states(
        &self,
        set: &PolicySet,
        principal: &Principal,
        via: Via,
        now: Timestamp,
    ) -> Vec<QuotaState> {
        let doors = Doors::new(set, principal);
        let table = self.table();
        let usage = table.get(principal);
        let state = |quota: &Quota| {
            let (limit, per) = match quota.bound() {
                QuotaBound::Rate { invocations, per } => (invocations, Some(per)),
                QuotaBound::Running(most) => (most, None),
            };
            let used = usage.map_or(0, |usage| usage.used(quota, &doors, now));
            QuotaState { id: quota.id().clone(), limit, used, per }
        };
        by_name(set, principal, via).into_iter().map(state).collect()
    }

    /// Counts anew from what was asked for earlier, oldest first.
    pub fn recount(&self, earlier: impl IntoIterator<Item = Earlier>) {
        let mut table = self.table();
        table.clear();
        for Earlier { principal, via, at, asked } in earlier {
            if table.len() < MAX_PRINCIPALS || table.contains_key(&principal) {
                table.entry(principal).or_default().add(via, asked, at);
            }
        }
    }

    fn give_back(&self, taken: &Taken) {
        if let Some(usage) = self.table().get_mut(&taken.principal) {
            usage.give_back(taken.via, taken.asked, taken.at);
        }
    }

    fn places(self: &Arc<Self>, taken: Option<Taken>) -> Places {
        Places { quotas: Arc::clone(self), taken }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Principal, Usage>> {
        // Every change is whole before the lock is let go.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn by_name<'a>(set: &'a PolicySet, principal: &'a Principal, via: Via) -> Vec<&'a Quota> {
    let mut quotas: Vec<&Quota> = set.quotas(principal, via).collect();
    quotas.sort_by(|a, b| a.id().cmp(b.id()));
    quotas
}

fn too_many_principals() -> UsedUp {
    let message = format!("{MAX_PRINCIPALS} others are counted already, and a quota counts what you ask for");
    let next_step = "try again later; if it goes on, ask whoever keeps the controller";
    UsedUp { quota: None, failure: Failure::new(ErrorCode::LimitExceeded, message, next_step) }
}

// === impl Places ===

impl Places {
    /// Keeps them: what they were taken for is recorded.
    pub fn keep(mut self) {
        self.taken = None;
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.quotas.give_back(&taken);
        }
    }
}
