//! A revocation: an operator's word that no certificate counts any more that an agent was given so far.
//!
//! It is not lifted. The agent joins anew with a fresh token, and what it is given then counts.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{clock::Timestamp, limits::MAX_NOTE_BYTES, principal::Principal};

/// The detail of every refusal because of a revocation, by which an agent knows that asking again is of no use.
pub const REVOKED: &str = "revoked";

/// The code of what an agent had accepted and does not start, because it was revoked.
pub const AGENT_REVOKED: &str = "AGENT_REVOKED";

/// An operator's word that an agent's certificates do not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Who.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// Why an agent is revoked: 1 to [`MAX_NOTE_BYTES`] bytes without control characters, and not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationReason(Arc<str>);

/// Text that is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidReason(&'static str);

// === impl Revocation ===

impl Revocation {
    /// Who revoked it, when and why, in a sentence without subject and full stop.
    pub fn sentence(&self) -> String {
        let Self { by, at, reason } = self;
        format!("revoked by {by} at {at}: {reason}")
    }
}

// === impl RevocationReason ===

impl RevocationReason {
    /// The reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RevocationReason {
    type Err = InvalidReason;
    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        if text.trim().is_empty() {
            Err(InvalidReason("a revocation needs a reason"))
        } else if text.len() > MAX_NOTE_BYTES {
            Err(InvalidReason("the reason is longer than 256 bytes"))
        } else if text.chars().any(char::is_control) {
            Err(InvalidReason("the reason has control characters"))
        } else {
            Ok(Self(text.into()))
        }
    }
}

// === impl InvalidReason ===

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
impl std::error::Error for InvalidReason {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_fits_one_line_of_a_record() {
        let longest = "x".repeat(MAX_NOTE_BYTES);
        for good in ["lost", "a laptop was stolen", longest.as_str()] {
            assert_eq!(good.parse::<RevocationReason>().unwrap().as_str(), good);
        }
        let long = "x".repeat(MAX_NOTE_BYTES + 1);
        for bad in ["", "  ", "a\nb", long.as_str()] {
            assert!(bad.parse::<RevocationReason>().is_err(), "{bad}");
        }
        assert!(
            long.parse::<RevocationReason>().unwrap_err().to_string().contains(&MAX_NOTE_BYTES.to_string())
        );
    }
}
