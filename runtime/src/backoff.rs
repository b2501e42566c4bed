//! Waits between attempts: doubling, bounded, and jittered so that a fleet does not come back in step.

use std::time::Duration;

/// Waits that grow from `min` to `max`.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

// === impl Backoff ===

impl Backoff {
    /// Waits of about `min` at first, then twice as long each time, `max` at most.
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// How long to wait now: between half of the current step and all of it.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.next.min(self.max);
        self.next = step.saturating_mul(2).min(self.max);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Starts over; to be called when an attempt has lasted.
    pub const fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for _ in 0..2 {
            for step in [100, 200, 400, 800, 1000, 1000, 1000] {
                let (half, whole) = (Duration::from_millis(step / 2), Duration::from_millis(step));
                let delay = backoff.next_delay();
                assert!((half..=whole).contains(&delay), "{delay:?} is not within {half:?} to {whole:?}");
            }
            backoff.reset();
        }
    }
}
