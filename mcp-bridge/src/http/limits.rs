//! How much one principal may have running at a time, and all of them together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Requests of one principal at a time, with the open streams of sessions: as many sessions as one may have, each with a
/// stream and a call; one user cannot take what the others need.
pub const MAX_REQUESTS_PER_PRINCIPAL: usize = 512;
/// Requests of everybody at a time.
pub const MAX_REQUESTS: usize = 4096;

/// Counts what runs.
#[derive(Debug)]
pub(crate) struct Limits {
    all: usize,
    each: usize,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    all: usize,
    by_principal: HashMap<Arc<str>, usize>,
}

/// A place among what may run; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    limits: Arc<Limits>,
    principal: Arc<str>,
}

// === impl Limits ===

impl Limits {
    /// At most `all` at a time, and `each` of a principal.
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, running: Mutex::default() })
    }

    /// A place for a request of `principal`, if there is one.
    pub(crate) fn take(self: &Arc<Self>, principal: &Arc<str>) -> Option<Slot> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = running.by_principal.get(principal).copied().unwrap_or(0);
        if running.all >= self.all || mine >= self.each {
            return None;
        }
        running.all += 1;
        running.by_principal.insert(Arc::clone(principal), mine + 1);
        Some(Slot { limits: Arc::clone(self), principal: Arc::clone(principal) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.limits.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.all = running.all.saturating_sub(1);
        match running.by_principal.get_mut(&self.principal) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                running.by_principal.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_principal_cannot_take_everything_and_what_ends_is_given_back() {
        let limits = Limits::new(MAX_REQUESTS, MAX_REQUESTS_PER_PRINCIPAL);
        let (greedy, other): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let held: Vec<Slot> = std::iter::from_fn(|| limits.take(&greedy)).collect();
        assert_eq!(held.len(), MAX_REQUESTS_PER_PRINCIPAL);
        assert!(limits.take(&other).is_some());
        drop(held);
        assert!(limits.take(&greedy).is_some());
        let many: Vec<Slot> = (0..)
            .map_while(|n: usize| limits.take(&Arc::from(n.to_string())))
            .take(MAX_REQUESTS + 1)
            .collect();
        assert_eq!(many.len(), MAX_REQUESTS);
        drop(many);
        assert!(limits.running.lock().unwrap().by_principal.is_empty());
    }
}
