//! Limits of retention as documents.

use std::time::Duration;

use lictor_core::retention::{RetentionLimits, RetentionStanding, Shortening};
use serde::Serialize;

/// How retention stands.
#[derive(Debug, Serialize)]
pub(crate) struct RetentionDocument {
    in_force: LimitsDocument,
    /// What the controller's file says.
    file: LimitsDocument,
    /// Who wants what the file says in force.
    asked: Option<ShorteningDocument>,
}

/// What became of asking for shorter limits.
#[derive(Debug, Serialize)]
pub(crate) struct ShortenedDocument {
    pub(crate) retention: RetentionDocument,
    /// False: it waits for another person.
    pub(crate) shortened: bool,
}

#[derive(Debug, Serialize)]
struct LimitsDocument {
    output_age_ms: u64,
    output_bytes: u64,
    job_age_ms: u64,
    /// `null`: for ever.
    payload_age_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ShorteningDocument {
    limits: LimitsDocument,
    by: String,
    reason: String,
    at: String,
    expires_at: String,
}

// === conversions ===

impl From<&RetentionLimits> for LimitsDocument {
    fn from(limits: &RetentionLimits) -> Self {
        let RetentionLimits { output_age, output_bytes, job_age, payload_age } = *limits;
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            output_age_ms: millis(output_age),
            output_bytes,
            job_age_ms: millis(job_age),
            payload_age_ms: payload_age.map(millis),
        }
    }
}

impl From<&Shortening> for ShorteningDocument {
    fn from(asked: &Shortening) -> Self {
        let Shortening { limits, by, reason, at } = asked;
        Self {
            limits: limits.into(),
            by: by.to_string(),
            reason: reason.to_string(),
            at: at.to_string(),
            expires_at: asked.expires_at().to_string(),
        }
    }
}

impl From<&RetentionStanding> for RetentionDocument {
    fn from(standing: &RetentionStanding) -> Self {
        let RetentionStanding { in_force, file, asked } = standing;
        Self { in_force: in_force.into(), file: file.into(), asked: asked.as_ref().map(Into::into) }
    }
}
