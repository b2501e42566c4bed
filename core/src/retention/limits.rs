//! The limits by which what jobs leave is removed, and the wish for shorter ones, which takes two people.

use std::{fmt, time::Duration};

use super::RetentionLimit;
use crate::{approval::Note, clock::Timestamp, erasure::CONSENT_WAIT, principal::Principal};

/// How long what a job printed is kept: a month of looking back at an incident.
const DEFAULT_OUTPUT_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How much of it is kept in all: some 80,000 outputs of the size that is kept when nothing says otherwise.
const DEFAULT_OUTPUT_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// How long a job is kept: a quarter of a year, within which people ask what was run. The audit log keeps it for good.
const DEFAULT_JOB_AGE: Duration = Duration::from_secs(90 * 24 * 3600);
/// What is said where nothing limits how long something is kept.
pub const FOR_EVER: &str = "for ever";

/// How long, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    /// How long what a job printed is kept after the job ended.
    pub output_age: Duration,
    /// How many bytes of that are kept in all.
    pub output_bytes: u64,
    /// How long a job is kept after it ended.
    pub job_age: Duration,
    /// How long the payload of an audit record is kept; `None`: for ever.
    pub payload_age: Option<Duration>,
}

/// Somebody wants less kept; another person has to consent to exactly that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortening {
    /// The limits that are wanted.
    pub limits: RetentionLimits,
    /// Who asks.
    pub by: Principal,
    /// Why.
    pub reason: Note,
    /// Since when.
    pub at: Timestamp,
}

/// How retention stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionStanding {
    /// The limits in force: those of the file, or longer ones.
    pub in_force: RetentionLimits,
    /// What the controller's file says.
    pub file: RetentionLimits,
    /// Who wants those of the file in force, while somebody else can consent.
    pub asked: Option<Shortening>,
}

// === impl RetentionLimits ===

impl RetentionLimits {
    /// Each limit, by its name in files and as files write it; [`FOR_EVER`] where there is none.
    pub fn named(&self) -> [(&'static str, String); 4] {
        let age = |age| RetentionLimit::Age(age).amount();
        [
            ("outputs.age", age(self.output_age)),
            ("outputs.bytes", RetentionLimit::Bytes(self.output_bytes).amount()),
            ("jobs.age", age(self.job_age)),
            ("payloads.age", self.payload_age.map_or_else(|| FOR_EVER.to_owned(), age)),
        ]
    }

    /// Of each limit the longer one.
    #[must_use]
    pub fn longest(self, other: Self) -> Self {
        Self {
            output_age: self.output_age.max(other.output_age),
            output_bytes: self.output_bytes.max(other.output_bytes),
            job_age: self.job_age.max(other.job_age),
            // For ever is longer than any time.
            payload_age: self.payload_age.zip(other.payload_age).map(|(one, other)| one.max(other)),
        }
    }
}

impl Default for RetentionLimits {
    fn default() -> Self {
        Self {
            output_age: DEFAULT_OUTPUT_AGE,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            job_age: DEFAULT_JOB_AGE,
            payload_age: None,
        }
    }
}

impl fmt::Display for RetentionLimits {
    /// `outputs.age=30d outputs.bytes=20GiB jobs.age=90d payloads.age=400d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, limit)) in self.named().into_iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{name}={limit}")?;
        }
        Ok(())
    }
}

// === impl Shortening ===

impl Shortening {
    /// Until when somebody can consent.
    pub fn expires_at(&self) -> Timestamp {
        self.at.plus(CONSENT_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_two_has_of_each_limit_the_longer_one() {
        let day = Duration::from_secs(86_400);
        let limits = |age: u32, output_bytes, payload_age| RetentionLimits {
            output_age: day * age,
            output_bytes,
            job_age: day * 20,
            payload_age,
        };
        let (one, other) = (limits(10, 5, Some(day * 7)), limits(3, 9, Some(day * 400)));
        let longest = limits(10, 9, Some(day * 400));
        assert_eq!((one.longest(other), other.longest(one)), (longest, longest));
        let for_ever = limits(10, 9, None);
        assert_eq!(for_ever.longest(other), for_ever, "nothing is longer than for ever");
        assert_eq!(other.longest(for_ever), for_ever);
        assert_eq!(other.named()[3], ("payloads.age", "400d".to_owned()));
        let text = "outputs.age=30d outputs.bytes=20GiB jobs.age=90d payloads.age=for ever";
        assert_eq!(RetentionLimits::default().to_string(), text);
    }
}
