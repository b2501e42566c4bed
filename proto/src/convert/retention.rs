//! Limits of retention and what was removed by them, both ways.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    retention::{OutputRemoved, RetentionLimit, RetentionLimits, RetentionStanding, Shortening},
};

use super::{Invalid, millis, parse, required};
use crate::pb::{self, output_removed::Limit};

impl From<&OutputRemoved> for pb::OutputRemoved {
    fn from(removed: &OutputRemoved) -> Self {
        let limit = match removed.limit {
            RetentionLimit::Age(age) => Limit::AgeMs(millis(age)),
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

impl From<&RetentionLimits> for pb::RetentionLimits {
    fn from(limits: &RetentionLimits) -> Self {
        let RetentionLimits { output_age, output_bytes, job_age, payload_age } = *limits;
        Self {
            output_age_ms: millis(output_age),
            output_bytes,
            job_age_ms: millis(job_age),
            payload_age_ms: payload_age.map(millis),
        }
    }
}

impl From<pb::RetentionLimits> for RetentionLimits {
    fn from(wire: pb::RetentionLimits) -> Self {
        let pb::RetentionLimits { output_age_ms, output_bytes, job_age_ms, payload_age_ms } = wire;
        Self {
            output_age: Duration::from_millis(output_age_ms),
            output_bytes,
            job_age: Duration::from_millis(job_age_ms),
            payload_age: payload_age_ms.map(Duration::from_millis),
        }
    }
}

impl From<&Shortening> for pb::RetentionShortening {
    fn from(asked: &Shortening) -> Self {
        let Shortening { limits, by, reason, at } = asked;
        Self {
            limits: Some(limits.into()),
            by: Some(by.into()),
            reason: reason.to_string(),
            at: at.as_micros(),
            expires_at: asked.expires_at().as_micros(),
        }
    }
}

impl TryFrom<pb::RetentionShortening> for Shortening {
    type Error = Invalid;
    fn try_from(wire: pb::RetentionShortening) -> Result<Self, Invalid> {
        let pb::RetentionShortening { limits, by, reason, at, expires_at: _ } = wire;
        Ok(Self {
            limits: required("retention.asked.limits", limits)?.into(),
            by: required("retention.asked.by", by)?.try_into()?,
            reason: parse("retention.asked.reason", &reason)?,
            at: Timestamp::from_micros(at),
        })
    }
}

impl From<&RetentionStanding> for pb::Retention {
    fn from(standing: &RetentionStanding) -> Self {
        let RetentionStanding { in_force, file, asked } = standing;
        Self {
            in_force: Some(in_force.into()),
            file: Some(file.into()),
            asked: asked.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<pb::Retention> for RetentionStanding {
    type Error = Invalid;
    fn try_from(wire: pb::Retention) -> Result<Self, Invalid> {
        let pb::Retention { in_force, file, asked } = wire;
        Ok(Self {
            in_force: required("retention.in_force", in_force)?.into(),
            file: required("retention.file", file)?.into(),
            asked: asked.map(TryInto::try_into).transpose()?,
        })
    }
}
