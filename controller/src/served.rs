//! Served time: how long the controller has been able to hear anybody. Waits are measured in it.
//!
//! The time of day is set by others, and goes on while the machine sleeps or the process is stopped; an agent could not
//! have been heard then. Served time grows by what passed since the last look, and by no more than [`MAX_STEP`] for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::clock::{Clock, Timestamp};

/// Most that counts of the time between two looks, which come each second: what is longer was a stall. A wait of a few
/// seconds is then not over by a stall alone.
pub const MAX_STEP: Duration = Duration::from_secs(5);

/// A moment in served time. It means nothing to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time of day: for what is recorded and told.
    pub time: Timestamp,
    /// Served time: for what waits.
    pub served: Moment,
}

/// Measures served time.
#[derive(Debug)]
pub struct ServedTime {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    served: Duration,
    /// The clock's uptime at the last look.
    looked_at: Duration,
}

// === impl Moment ===

impl Moment {
    /// This moment plus `duration`.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
    /// Served time since `earlier`; zero if that is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

// === impl Now ===

impl Now {
    /// The moment at which the time of day will be `until`, if nobody sets it; at most `most` from now.
    pub fn until(self, until: Timestamp, most: Duration) -> Moment {
        self.served.plus(until.since(self.time).min(most))
    }
}

// === impl ServedTime ===

impl ServedTime {
    /// Measured by this clock, from now on.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let looked_at = clock.uptime();
        Self { clock, state: Mutex::new(State { served: Duration::ZERO, looked_at }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    pub fn now(&self) -> Now {
        let state = self.state();
        let step = self.clock.uptime().saturating_sub(state.looked_at).min(MAX_STEP);
        Now { time: self.clock.now(), served: Moment(state.served.saturating_add(step)) }
    }

    /// Somebody looks, as somebody must each second: what passed since the last time counts, up to its bound.
    pub fn look(&self) {
        let mut state = self.state();
        let uptime = self.clock.uptime();
        let passed = uptime.saturating_sub(state.looked_at);
        if passed > MAX_STEP {
            tracing::warn!(?passed, "the controller stood still; what waits is given that time");
        }
        state.served = state.served.saturating_add(passed.min(MAX_STEP));
        state.looked_at = uptime;
    }
}
