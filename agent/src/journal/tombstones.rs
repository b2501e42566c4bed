//! Identifiers that are settled and must never start again, for as long as a replay could matter. Pure.

use std::collections::{HashMap, VecDeque};

use lictor_core::{clock::Timestamp, id::InvocationId, limits::REPLAY_WINDOW};

/// Most that are kept: beyond this the oldest go. A grant lives a minute, so these cover every grant that is still valid.
const MAX_TOMBSTONES: usize = 1_000_000;

/// Settled identifiers, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tombstones {
    at: HashMap<InvocationId, Timestamp>,
    oldest_first: VecDeque<InvocationId>,
}

impl Tombstones {
    /// Adds `id`, settled at `at`.
    pub(crate) fn bury(&mut self, id: InvocationId, at: Timestamp) {
        if self.at.insert(id, at).is_none() {
            self.oldest_first.push_back(id);
        }
        while self.oldest_first.len() > MAX_TOMBSTONES {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.at.remove(&oldest);
            }
        }
    }
    /// Drops those older than the replay window.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let keep_from = now.minus(REPLAY_WINDOW);
        while let Some(oldest) = self.oldest_first.front() {
            if self.at.get(oldest).is_some_and(|at| *at >= keep_from) {
                break;
            }
            self.at.remove(oldest);
            self.oldest_first.pop_front();
        }
    }
    /// Whether `id` is settled.
    pub(crate) fn contains(&self, id: InvocationId) -> bool {
        self.at.contains_key(&id)
    }
    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (InvocationId, Timestamp)> {
        self.oldest_first.iter().map(|id| (*id, self.at.get(id).copied().unwrap_or_default()))
    }
}
