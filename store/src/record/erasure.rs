//! Erasures that wait for consent, and holds, as they are stored.

use lictor_core::{
    clock::Timestamp,
    erasure::{Erasure, Hold, LiftRequest, PayloadScope},
};
use serde::{Deserialize, Serialize};

use super::{corrupt, job::PrincipalV1, parse};
use crate::StoreError;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum ErasureRecord {
    #[serde(rename = "1")]
    V1(ErasureV1),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErasureV1 {
    id: String,
    scope: ScopeV1,
    reason: String,
    by: PrincipalV1,
    at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum HoldRecord {
    #[serde(rename = "1")]
    V1(HoldV1),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HoldV1 {
    id: String,
    scope: ScopeV1,
    reason: String,
    by: PrincipalV1,
    at: u64,
    lift: Option<LiftV1>,
    version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct LiftV1 {
    by: PrincipalV1,
    reason: String,
    at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScopeV1 {
    /// `user:NAME` or `service:NAME`.
    Subject(String),
    Job(String),
    /// From, to.
    Period(u64, u64),
}

// === impl ScopeV1 ===

impl From<&PayloadScope> for ScopeV1 {
    fn from(scope: &PayloadScope) -> Self {
        match scope {
            PayloadScope::Subject { .. } => Self::Subject(scope.to_string()),
            PayloadScope::Job(id) => Self::Job(id.to_string()),
            PayloadScope::Period { from, to } => Self::Period(from.as_micros(), to.as_micros()),
        }
    }
}

impl TryFrom<ScopeV1> for PayloadScope {
    type Error = StoreError;
    fn try_from(v1: ScopeV1) -> Result<Self, StoreError> {
        match v1 {
            ScopeV1::Subject(text) => Self::subject(&text).map_err(corrupt),
            ScopeV1::Job(id) => parse(&id).map(Self::Job),
            ScopeV1::Period(from, to) => {
                Self::period(Timestamp::from_micros(from), Timestamp::from_micros(to)).map_err(corrupt)
            }
        }
    }
}

// === impl ErasureRecord ===

impl From<&Erasure> for ErasureRecord {
    fn from(erasure: &Erasure) -> Self {
        let Erasure { id, scope, reason, by, at } = erasure;
        Self::V1(ErasureV1 {
            id: id.to_string(),
            scope: scope.into(),
            reason: reason.to_string(),
            by: by.into(),
            at: at.as_micros(),
        })
    }
}

impl TryFrom<ErasureRecord> for Erasure {
    type Error = StoreError;
    fn try_from(record: ErasureRecord) -> Result<Self, StoreError> {
        let ErasureRecord::V1(ErasureV1 { id, scope, reason, by, at }) = record;
        Ok(Self {
            id: parse(&id)?,
            scope: scope.try_into()?,
            reason: parse(&reason)?,
            by: by.try_into()?,
            at: Timestamp::from_micros(at),
        })
    }
}

// === impl HoldRecord ===

impl From<&Hold> for HoldRecord {
    fn from(hold: &Hold) -> Self {
        let Hold { id, scope, reason, by, at, lift, version } = hold;
        let lift = lift.as_ref().map(|lift| LiftV1 {
            by: (&lift.by).into(),
            reason: lift.reason.to_string(),
            at: lift.at.as_micros(),
        });
        Self::V1(HoldV1 {
            id: id.to_string(),
            scope: scope.into(),
            reason: reason.to_string(),
            by: by.into(),
            at: at.as_micros(),
            lift,
            version: *version,
        })
    }
}

impl TryFrom<HoldRecord> for Hold {
    type Error = StoreError;
    fn try_from(record: HoldRecord) -> Result<Self, StoreError> {
        let HoldRecord::V1(HoldV1 { id, scope, reason, by, at, lift, version }) = record;
        let lift = lift.map(|lift| {
            Ok::<_, StoreError>(LiftRequest {
                by: lift.by.try_into()?,
                reason: parse(&lift.reason)?,
                at: Timestamp::from_micros(lift.at),
            })
        });
        Ok(Self {
            id: parse(&id)?,
            scope: scope.try_into()?,
            reason: parse(&reason)?,
            by: by.try_into()?,
            at: Timestamp::from_micros(at),
            lift: lift.transpose()?,
            version,
        })
    }
}
