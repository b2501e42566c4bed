//! How long what a job printed is kept, and what is said in its place once it was removed.

mod limits;

use std::{fmt, time::Duration};

pub use self::limits::{FOR_EVER, RetentionLimits, RetentionStanding, Shortening};
use crate::clock::Timestamp;

/// The limit by which something was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionLimit {
    /// It is kept for so long after its job ended.
    Age(Duration),
    /// So many bytes are kept in all; the oldest jobs give way first.
    Bytes(u64),
}

/// The kept bytes of an invocation were removed. Its counts and digests stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputRemoved {
    /// When.
    pub at: Timestamp,
    /// By which limit.
    pub limit: RetentionLimit,
}

/// Units of a duration in seconds, from large to small.
const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
/// Units of a size, from large to small.
const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// Characters of a moment that are its date.
const DATE_CHARS: usize = 10;

// === impl RetentionLimit ===

impl RetentionLimit {
    /// What is limited, as records and interfaces name it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Age(_) => "age",
            Self::Bytes(_) => "bytes",
        }
    }
    /// To what it is limited, as files write it: `30d`, `20GiB`.
    pub fn amount(&self) -> String {
        let (number, units) = match self {
            Self::Age(age) => (age.as_secs(), &TIME_UNITS),
            Self::Bytes(bytes) => (*bytes, &BYTE_UNITS),
        };
        let whole = units.iter().find(|(_, size)| number > 0 && number.is_multiple_of(*size));
        let (unit, size) = whole.or(units.last()).copied().unwrap_or(("", 1));
        format!("{}{unit}", number / size)
    }
}

impl fmt::Display for RetentionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.as_str(), self.amount())
    }
}

// === impl OutputRemoved ===

impl fmt::Display for OutputRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_string();
        let date = at.get(..DATE_CHARS).unwrap_or(&at);
        write!(f, "removed on {date} by retention ({}); its digest and byte counts stay", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_says_when_and_by_which_limit() {
        let day = Duration::from_secs(86_400);
        let removed = |limit| OutputRemoved { at: Timestamp::from_micros(1_795_353_684_000_000), limit };
        assert_eq!(
            removed(RetentionLimit::Age(day * 30)).to_string(),
            "removed on 2026-11-22 by retention (age 30d); its digest and byte counts stay"
        );
        for (limit, text) in [
            (RetentionLimit::Age(day + Duration::from_secs(3600)), "age 25h"),
            (RetentionLimit::Age(Duration::from_secs(90)), "age 90s"),
            (RetentionLimit::Age(Duration::ZERO), "age 0s"),
            (RetentionLimit::Bytes(20 << 30), "bytes 20GiB"),
            (RetentionLimit::Bytes(1500), "bytes 1500B"),
        ] {
            assert_eq!(limit.to_string(), text);
        }
    }
}
