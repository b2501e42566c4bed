//! Policy versions and the proposed policy as they are stored.

use lictor_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::parse;
use crate::{KeptPolicy, KeptShadow, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum PolicyRecord {
    #[serde(rename = "1")]
    V1 {
        version: u64,
        digest: String,
        source: String,
        changed_by: String,
        changed_at: u64,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum ShadowRecord {
    #[serde(rename = "1")]
    V1 { digest: String, source: String, put_by: String, put_at: u64 },
}

impl From<&KeptPolicy> for PolicyRecord {
    fn from(policy: &KeptPolicy) -> Self {
        Self::V1 {
            version: policy.version,
            digest: policy.digest.to_string(),
            source: policy.source.clone(),
            changed_by: policy.changed_by.clone(),
            changed_at: policy.changed_at.as_micros(),
            note: policy.note.clone(),
        }
    }
}

impl TryFrom<PolicyRecord> for KeptPolicy {
    type Error = StoreError;
    fn try_from(record: PolicyRecord) -> Result<Self, StoreError> {
        let PolicyRecord::V1 { version, digest, source, changed_by, changed_at, note } = record;
        Ok(Self {
            version,
            digest: parse(&digest)?,
            source,
            changed_by,
            changed_at: Timestamp::from_micros(changed_at),
            note,
        })
    }
}

impl From<&KeptShadow> for ShadowRecord {
    fn from(shadow: &KeptShadow) -> Self {
        Self::V1 {
            digest: shadow.digest.to_string(),
            source: shadow.source.clone(),
            put_by: shadow.put_by.clone(),
            put_at: shadow.put_at.as_micros(),
        }
    }
}

impl TryFrom<ShadowRecord> for KeptShadow {
    type Error = StoreError;
    fn try_from(record: ShadowRecord) -> Result<Self, StoreError> {
        let ShadowRecord::V1 { digest, source, put_by, put_at } = record;
        Ok(Self { digest: parse(&digest)?, source, put_by, put_at: Timestamp::from_micros(put_at) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{decode, encode};

    #[test]
    fn a_version_that_was_stored_before_there_were_notes_is_still_read() {
        let digest = "0".repeat(64);
        let stored = format!(
            r#"{{"v":"1","version":3,"digest":"{digest}","source":"x","changed_by":"file","changed_at":7}}"#
        );
        let kept: KeptPolicy = decode::<PolicyRecord>(stored.as_bytes()).unwrap().try_into().unwrap();
        assert_eq!((kept.version, kept.note.as_str()), (3, ""));
        assert_eq!(encode(&PolicyRecord::from(&kept)).unwrap(), stored.as_bytes());
    }
}
