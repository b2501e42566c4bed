//! Benchmarks: what they share.

pub mod asyncssh;
pub mod audit;
pub mod bare;
pub mod fanout;
pub mod fleet;
pub mod freeze;
pub mod latency;
pub mod openssh;
pub mod options;
pub mod policy;
pub mod store;

use std::time::Duration;

/// Times of one thing, to be looked at by percentile.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }
    /// How many there are.
    pub const fn count(&self) -> usize {
        self.0.len()
    }
    /// The time that this share of all is below, in microseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(0.0, |t| t.as_secs_f64() * 1e6)
    }
    /// A line for people.
    pub fn line(&self, what: &str) -> String {
        format!(
            "{what:<58} p50 {:>8.0} µs   p99 {:>8.0} µs   n={}",
            self.percentile(50),
            self.percentile(99),
            self.0.len()
        )
    }
}
