//! The limits of retention in force, and the wish for shorter ones, as they are stored.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    retention::{RetentionLimits, Shortening},
};
use serde::{Deserialize, Serialize};

use super::{job::PrincipalV1, parse};
use crate::{KeptRetention, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum RetentionRecord {
    #[serde(rename = "1")]
    V1(RetentionV1),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RetentionV1 {
    limits: LimitsV1,
    asked: Option<ShorteningV1>,
    version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LimitsV1 {
    output_age_ms: u64,
    output_bytes: u64,
    job_age_ms: u64,
    /// Absent: for ever, as before there was such a limit.
    payload_age_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ShorteningV1 {
    limits: LimitsV1,
    by: PrincipalV1,
    reason: String,
    at: u64,
}

// === impl LimitsV1 ===

impl From<&RetentionLimits> for LimitsV1 {
    fn from(limits: &RetentionLimits) -> Self {
        let RetentionLimits { output_age, output_bytes, job_age, payload_age } = limits;
        let millis = |age: &Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            output_age_ms: millis(output_age),
            output_bytes: *output_bytes,
            job_age_ms: millis(job_age),
            payload_age_ms: payload_age.as_ref().map(millis),
        }
    }
}

impl From<LimitsV1> for RetentionLimits {
    fn from(v1: LimitsV1) -> Self {
        let LimitsV1 { output_age_ms, output_bytes, job_age_ms, payload_age_ms } = v1;
        Self {
            output_age: Duration::from_millis(output_age_ms),
            output_bytes,
            job_age: Duration::from_millis(job_age_ms),
            payload_age: payload_age_ms.map(Duration::from_millis),
        }
    }
}

// === impl RetentionRecord ===

impl From<&KeptRetention> for RetentionRecord {
    fn from(kept: &KeptRetention) -> Self {
        let KeptRetention { limits, asked, version } = kept;
        let asked = asked.as_ref().map(|asked| ShorteningV1 {
            limits: (&asked.limits).into(),
            by: (&asked.by).into(),
            reason: asked.reason.to_string(),
            at: asked.at.as_micros(),
        });
        Self::V1(RetentionV1 { limits: limits.into(), asked, version: *version })
    }
}

impl TryFrom<RetentionRecord> for KeptRetention {
    type Error = StoreError;
    fn try_from(record: RetentionRecord) -> Result<Self, StoreError> {
        let RetentionRecord::V1(RetentionV1 { limits, asked, version }) = record;
        let asked = asked.map(|ShorteningV1 { limits, by, reason, at }| {
            Ok::<_, StoreError>(Shortening {
                limits: limits.into(),
                by: by.try_into()?,
                reason: parse(&reason)?,
                at: Timestamp::from_micros(at),
            })
        });
        Ok(Self { limits: limits.into(), asked: asked.transpose()?, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_say_nothing_of_payloads_keep_them_for_ever() {
        let text = r#"{"v":"1","limits":{"output_age_ms":1,"output_bytes":2,"job_age_ms":3},"asked":null,"version":4}"#;
        let kept: KeptRetention = serde_json::from_str::<RetentionRecord>(text).unwrap().try_into().unwrap();
        assert_eq!((kept.limits.payload_age, kept.version), (None, 4));
    }
}
