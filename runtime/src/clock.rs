//! The system's clock: the only place where a long-running process reads the time of day.

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lictor_core::clock::{Clock, Timestamp};

/// The time of day as the system has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

// === impl SystemClock ===

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is wrong anyway; every validity check then fails closed.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn uptime(&self) -> Duration {
        static FIRST_READ: OnceLock<Instant> = OnceLock::new();
        FIRST_READ.get_or_init(Instant::now).elapsed()
    }
}
