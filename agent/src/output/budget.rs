//! How much memory the output of all running commands may take together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Memory for output beyond what is free: with it an agent stays below 100 MiB whatever its commands print.
const BUDGET_BYTES: usize = 48 * 1024 * 1024;
/// What each command may keep without asking; most print less.
const FREE_BYTES: usize = 64 * 1024;
/// Memory is asked for in these steps, so that the shared counter is rarely touched.
const STEP_BYTES: usize = 64 * 1024;

/// The shared counter.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
}

/// One command's part; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    covered: usize,
    exhausted: bool,
}

impl Budget {
    /// A part of nothing yet.
    pub(crate) fn charge(self: &Arc<Self>) -> Charge {
        Charge { budget: Arc::clone(self), covered: FREE_BYTES, exhausted: false }
    }

    fn take(&self, bytes: usize) -> bool {
        let enough = |used: usize| (used + bytes <= BUDGET_BYTES).then_some(used + bytes);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }
}

impl Charge {
    /// Whether `bytes` may be kept; once it says no, it always does.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        while bytes > self.covered && !self.exhausted {
            if self.budget.take(STEP_BYTES) {
                self.covered += STEP_BYTES;
            } else {
                self.exhausted = true;
            }
        }
        !self.exhausted
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.covered - FREE_BYTES, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_never_exceeded_and_comes_back() {
        let budget = Arc::new(Budget::default());
        let mut greedy = budget.charge();
        assert!(greedy.cover(BUDGET_BYTES + FREE_BYTES));
        assert!(!greedy.cover(BUDGET_BYTES + FREE_BYTES + 1));
        let mut other = budget.charge();
        assert!(other.cover(FREE_BYTES));
        assert!(!other.cover(FREE_BYTES + 1));
        drop((greedy, other));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert!(budget.charge().cover(BUDGET_BYTES));
    }
}
