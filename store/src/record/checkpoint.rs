//! Signed heads of the audit log as they are stored.

use lictor_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

use crate::KeptCheckpoint;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum CheckpointRecord {
    #[serde(rename = "1")]
    V1 { size: u64, note: String, at: u64 },
}

impl From<&KeptCheckpoint> for CheckpointRecord {
    fn from(checkpoint: &KeptCheckpoint) -> Self {
        let KeptCheckpoint { size, note, at } = checkpoint;
        Self::V1 { size: *size, note: note.clone(), at: at.as_micros() }
    }
}

impl From<CheckpointRecord> for KeptCheckpoint {
    fn from(record: CheckpointRecord) -> Self {
        let CheckpointRecord::V1 { size, note, at } = record;
        Self { size, note, at: Timestamp::from_micros(at) }
    }
}
