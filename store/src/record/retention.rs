//! That output was removed, as it is stored with its invocation.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    retention::{OutputRemoved, RetentionLimit},
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OutputRemovedV1 {
    at: u64,
    limit: LimitV1,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitV1 {
    AgeMs(u64),
    Bytes(u64),
}

// === impl OutputRemovedV1 ===

impl From<&OutputRemoved> for OutputRemovedV1 {
    fn from(removed: &OutputRemoved) -> Self {
        let limit = match removed.limit {
            RetentionLimit::Age(age) => LimitV1::AgeMs(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            RetentionLimit::Bytes(bytes) => LimitV1::Bytes(bytes),
        };
        Self { at: removed.at.as_micros(), limit }
    }
}

impl From<&OutputRemovedV1> for OutputRemoved {
    fn from(v1: &OutputRemovedV1) -> Self {
        let limit = match v1.limit {
            LimitV1::AgeMs(ms) => RetentionLimit::Age(Duration::from_millis(ms)),
            LimitV1::Bytes(bytes) => RetentionLimit::Bytes(bytes),
        };
        Self { at: Timestamp::from_micros(v1.at), limit }
    }
}
