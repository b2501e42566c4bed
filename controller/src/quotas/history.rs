//! What was asked for in the past day: exact while that is little, and coarser with age beyond that.

use std::{collections::VecDeque, time::Duration};

use lictor_core::{clock::Timestamp, limits::MAX_TIMEOUT};

/// How far back it is counted: the longest span that a quota can have.
pub const KEPT_FOR: Duration = MAX_TIMEOUT;
/// Most entries. Beyond, the two that are closest for their age become one at the time of the later: with so many, what
/// was asked for is forgotten at most about a twentieth of its age too late, and never too early.
const MAX_ENTRIES: usize = 256;

/// How much was asked for when, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) invocations: u64,
}

// === impl History ===

impl History {
    /// Counts `invocations`; answers the time under which they are counted.
    pub(super) fn add(&mut self, invocations: u64, now: Timestamp) -> Timestamp {
        self.forget(now);
        // A clock that was set back does not make what follows older than what was before.
        let at = self.entries.back().map_or(now, |last| last.at.max(now));
        match self.entries.back_mut() {
            Some(last) if last.at == at => last.invocations = last.invocations.saturating_add(invocations),
            _ => self.entries.push_back(Entry { at, invocations }),
        }
        if self.entries.len() > MAX_ENTRIES {
            self.coarsen(at);
        }
        at
    }

    /// Takes back what was counted under `at`.
    pub(super) fn give_back(&mut self, invocations: u64, at: Timestamp) {
        let Some(index) = self.entries.iter().position(|entry| entry.at >= at) else { return };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.invocations = entry.invocations.saturating_sub(invocations);
            if entry.invocations == 0 {
                self.entries.remove(index);
            }
        }
    }

    /// What still counts in a span of `per`, oldest first.
    pub(super) fn within(&self, per: Duration, now: Timestamp) -> impl Iterator<Item = Entry> {
        self.entries.iter().copied().filter(move |entry| entry.at.plus(per) > now)
    }

    /// Whether anything still counts.
    pub(super) fn counts(&self, now: Timestamp) -> bool {
        self.entries.back().is_some_and(|entry| entry.at.plus(KEPT_FOR) > now)
    }

    fn forget(&mut self, now: Timestamp) {
        while self.entries.front().is_some_and(|entry| entry.at.plus(KEPT_FOR) <= now) {
            self.entries.pop_front();
        }
    }

    /// Makes one entry of the two whose distance is the smallest part of their age.
    fn coarsen(&mut self, now: Timestamp) {
        let part = |(earlier, later): (&Entry, &Entry)| {
            let (gap, age) = (later.at.since(earlier.at), now.since(earlier.at));
            gap.as_secs_f64() / age.as_secs_f64().max(f64::MIN_POSITIVE)
        };
        let pairs = self.entries.iter().zip(self.entries.iter().skip(1)).map(part);
        let closest = pairs.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index);
        if let Some(index) = closest
            && let Some(earlier) = self.entries.remove(index)
            && let Some(later) = self.entries.get_mut(index)
        {
            later.invocations = later.invocations.saturating_add(earlier.invocations);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn total(history: &History, per: u64, now: u64) -> u64 {
        history.within(Duration::from_secs(per), at(now)).map(|entry| entry.invocations).sum()
    }

    #[test]
    fn what_was_asked_for_counts_until_its_span_is_over_and_not_longer() {
        let mut history = History::default();
        history.add(3, at(100));
        history.add(2, at(130));
        assert_eq!((total(&history, 60, 159), total(&history, 60, 160), total(&history, 60, 190)), (5, 2, 0));
        assert!(history.counts(at(86_400)) && !history.counts(at(90_000)));
        history.add(1, at(90_000));
        assert_eq!(history.entries.len(), 1, "what no quota can count is forgotten");
    }

    #[test]
    fn a_clock_that_is_set_back_frees_nothing() {
        let mut history = History::default();
        history.add(1, at(100));
        assert_eq!(history.add(1, at(50)), at(100));
        assert_eq!(total(&history, 60, 159), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn however_much_is_asked_for_it_stays_bounded_and_is_never_freed_early_nor_much_too_late(
            gaps in proptest::collection::vec(0_u64..400, 1..2000),
            spans in proptest::collection::vec(1_u64..86_400, 8),
        ) {
            let (mut history, mut exact, mut now) = (History::default(), Vec::new(), 1_000_000);
            for gap in gaps {
                now += gap;
                history.add(1, at(now));
                exact.push(now);
                prop_assert!(history.entries.len() <= MAX_ENTRIES);
            }
            for per in spans {
                let asked_within = |per: u64| exact.iter().filter(|at| **at + per > now).count() as u64;
                let told = total(&history, per, now);
                prop_assert!(told >= asked_within(per), "something was freed early");
                prop_assert!(told <= asked_within(per + per / 5 + 1), "something is freed much too late");
            }
        }

        #[test]
        fn what_is_given_back_no_longer_counts(counts in proptest::collection::vec((1_u64..5, 0_u64..50), 1..600), which in any::<prop::sample::Index>()) {
            let (mut history, mut now, mut all) = (History::default(), 1_000, Vec::new());
            for (count, gap) in counts {
                now += gap;
                all.push((count, history.add(count, at(now))));
            }
            let before = total(&history, 86_000, now);
            let (count, under) = all[which.index(all.len())];
            history.give_back(count, under);
            prop_assert_eq!(total(&history, 86_000, now), before - count);
        }
    }
}
