//! Stored types: versioned JSON, apart from the nouns they hold. What was written by an older version stays readable.

mod actor;
mod approval;
mod audit;
mod checkpoint;
mod context;
mod erasure;
mod facts;
mod fleet;
mod freeze;
mod invocation;
mod job;
pub mod json;
mod limits;
mod payload;
mod policy;
mod retention;
mod rollout;
mod settings;
pub mod summary;

use std::fmt::Display;

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    audit::{MAX_RECORD_BYTES, SealedEvent, seal_event},
    facts::AuditFacts,
    payload::{Commitment, Missing, SALT_BYTES, reveal},
};
pub(crate) use self::{
    checkpoint::CheckpointRecord,
    erasure::{ErasureRecord, HoldRecord},
    fleet::{AgentRecord, HostRecord, TokenRecord},
    freeze::FreezeRecord,
    invocation::{InvocationRecord, OutputPlace, outputs_bytes, outputs_from_bytes, outputs_to_bytes},
    job::{JobRecord, KeyRecord},
    limits::RetentionRecord,
    payload::mentions_payload,
    policy::{PolicyRecord, ShadowRecord},
    settings::SettingsRecord,
};
use crate::StoreError;

/// The stored bytes of a record.
pub(crate) fn encode<R: Serialize>(record: &R) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(corrupt)
}

/// Appends the stored bytes of a record.
pub(crate) fn encode_into<R: Serialize>(record: &R, out: &mut Vec<u8>) -> Result<(), StoreError> {
    serde_json::to_writer(out, record).map_err(corrupt)
}

/// The record that was stored as `bytes`.
pub(crate) fn decode<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(bytes).map_err(corrupt)
}

/// An error for whatever stored text does not parse.
pub(crate) fn corrupt(error: impl Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// Parses a stored text.
pub(crate) fn parse<T>(text: &str) -> Result<T, StoreError>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    text.parse().map_err(corrupt)
}
