//! That output was removed, both ways.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    retention::{OutputRemoved, RetentionLimit},
};

use super::{Invalid, required};
use crate::pb::{self, output_removed::Limit};

impl From<&OutputRemoved> for pb::OutputRemoved {
    fn from(removed: &OutputRemoved) -> Self {
        let limit = match removed.limit {
            RetentionLimit::Age(age) => Limit::AgeMs(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            RetentionLimit::Bytes(bytes) => Limit::Bytes(bytes),
        };
        Self { at: removed.at.as_micros(), limit: Some(limit) }
    }
}

impl TryFrom<pb::OutputRemoved> for OutputRemoved {
    type Error = Invalid;
    fn try_from(wire: pb::OutputRemoved) -> Result<Self, Invalid> {
        let limit = match required("output_removed.limit", wire.limit)? {
            Limit::AgeMs(ms) => RetentionLimit::Age(Duration::from_millis(ms)),
            Limit::Bytes(bytes) => RetentionLimit::Bytes(bytes),
        };
        Ok(Self { at: Timestamp::from_micros(wire.at), limit })
    }
}
