//! How far the clocks of controller and agent are apart. Pure, but for the passing of time.

use std::time::{Duration, Instant};

use lictor_core::{clock::Timestamp, limits::MAX_CLOCK_SKEW, outcome::Outcome};

use crate::admit::denied;

/// The controller's clock as its welcome told it, and between which moments here it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    asked: Instant,
    answered: Instant,
    theirs: Timestamp,
}

impl Clocks {
    /// What a welcome tells that has just come and was asked for at `asked`.
    pub(crate) fn compare(asked: Instant, theirs: Timestamp) -> Self {
        Self { asked, answered: Instant::now(), theirs }
    }

    /// How far they are certainly apart when it is `ours` here: what the answer was on its way is not counted. A clock
    /// that was set during the session shows, too, because the time in between is not measured by it.
    fn apart(&self, ours: Timestamp) -> Duration {
        let earliest = self.theirs.plus(self.answered.elapsed());
        let latest = self.theirs.plus(self.asked.elapsed());
        earliest.since(ours).max(ours.since(latest))
    }

    /// The refusal of everything that is offered while they are too far apart: neither the validity of a grant nor a
    /// window of the floor means anything then.
    pub(crate) fn refusal(&self, ours: Timestamp) -> Option<Outcome> {
        let apart = self.apart(ours);
        (apart > MAX_CLOCK_SKEW).then(|| {
            let (apart, most) = (apart.as_secs(), MAX_CLOCK_SKEW.as_secs());
            denied(
                "AGENT_CLOCK_SKEW",
                format!("the clocks of controller and agent are {apart} s apart and may be {most}; set them right (NTP)"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_above_the_bound_is_refused_either_way_and_a_slow_answer_is_no_difference() {
        let now = Timestamp::from_micros(1_000_000_000_000);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(40)).unwrap();
        let refused = |asked, theirs: Timestamp| Clocks::compare(asked, theirs).refusal(now).is_some();
        for (seconds, wrong) in [(0, false), (29, false), (35, true), (3600, true)] {
            let by = Duration::from_secs(seconds);
            assert_eq!(refused(Instant::now(), now.minus(by)), wrong, "{seconds} s ahead");
            assert_eq!(refused(Instant::now(), now.plus(by)), wrong, "{seconds} s behind");
        }
        assert!(!refused(long_ago, now.minus(Duration::from_secs(40))));
        assert!(refused(long_ago, now.plus(Duration::from_secs(35))));
        let early =
            Clocks { asked: long_ago, answered: long_ago, theirs: now.minus(Duration::from_secs(40)) };
        assert!(early.refusal(now).is_none() && early.refusal(now.plus(Duration::from_secs(35))).is_some());
    }
}
