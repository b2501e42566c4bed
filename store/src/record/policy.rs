//! Policy versions as they are stored.

use lictor_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::parse;
use crate::{KeptPolicy, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum PolicyRecord {
    #[serde(rename = "1")]
    V1 { version: u64, digest: String, source: String, changed_by: String, changed_at: u64 },
}

impl From<&KeptPolicy> for PolicyRecord {
    fn from(policy: &KeptPolicy) -> Self {
        Self::V1 {
            version: policy.version,
            digest: policy.digest.to_string(),
            source: policy.source.clone(),
            changed_by: policy.changed_by.clone(),
            changed_at: policy.changed_at.as_micros(),
        }
    }
}

impl TryFrom<PolicyRecord> for KeptPolicy {
    type Error = StoreError;
    fn try_from(record: PolicyRecord) -> Result<Self, StoreError> {
        let PolicyRecord::V1 { version, digest, source, changed_by, changed_at } = record;
        Ok(Self {
            version,
            digest: parse(&digest)?,
            source,
            changed_by,
            changed_at: Timestamp::from_micros(changed_at),
        })
    }
}
