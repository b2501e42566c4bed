//! Signed heads in the tree, thinned out to the newest and the last of each hour.
//!
//! They are written beside the journal: a head is signed only once what it covers is durable, and one that a crash
//! takes away is signed again.

use super::{batch, keys};
use crate::{
    KeptCheckpoint, MAX_CHECKPOINTS, StoreError, hour_of,
    record::{CheckpointRecord, corrupt, decode, encode},
};

/// Version of what is replaced whatever it was.
const UNVERSIONED: u64 = 0;

/// Keeps `checkpoint`; the one before goes if it is of the same hour, and the oldest if there are too many.
pub(super) fn keep(tree: &sled::Tree, checkpoint: &KeptCheckpoint) -> Result<(), StoreError> {
    let key = keys::checkpoint(checkpoint.size);
    let mut batch = sled::Batch::default();
    if let Some(before) = tree.range(keys::CHECKPOINT..key.as_slice()).next_back() {
        let (before_key, value) = before.map_err(corrupt)?;
        if hour_of(read(&value)?.at) == hour_of(checkpoint.at) {
            batch.remove(before_key);
        } else if tree.scan_prefix(keys::CHECKPOINT).count() >= MAX_CHECKPOINTS
            && let Some(oldest) = tree.scan_prefix(keys::CHECKPOINT).keys().next()
        {
            batch.remove(oldest.map_err(corrupt)?);
        }
    }
    batch.insert(key, batch::value(UNVERSIONED, &encode(&CheckpointRecord::from(checkpoint))?));
    tree.apply_batch(batch).map_err(corrupt)
}

/// At most `limit`, newest first.
pub(super) fn newest(tree: &sled::Tree, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
    let values = tree.scan_prefix(keys::CHECKPOINT).values().rev().take(limit);
    values.map(|value| read(&value.map_err(corrupt)?)).collect()
}

fn read(value: &[u8]) -> Result<KeptCheckpoint, StoreError> {
    decode::<CheckpointRecord>(batch::record_of(value)?).map(Into::into)
}
