//! Hashes of complete subtrees of the audit log, so that a proof reads little: every eighth level is kept, the levels
//! between are computed.
//!
//! One hash is kept for 256 records (and one for 65,536, and so on), so commits hardly notice; a proof reads at most a
//! few hundred records and hashes. All of it follows from the records: what an older version did not write is added when
//! the store is opened.

use lictor_core::{
    digest::Digest,
    merkle::{Node, leaf_hash, node_hash},
};

use super::{keys, table::Table};
use crate::{StoreError, record::corrupt};

/// Of this many levels, one is kept.
const STEP: u32 = 8;

/// The key under which the hash of a node is kept; `None` if it is not.
pub(super) fn kept(node: Node) -> Option<Vec<u8>> {
    (node.level > 0 && node.level.is_multiple_of(STEP)).then(|| keys::node(node.level, node.index))
}

/// The hash of a node whose records are all there.
pub(super) fn hash(table: &Table, node: Node) -> Result<Digest, StoreError> {
    if let Some(key) = kept(node)
        && let Some(bytes) = table.get(&key)?
    {
        let bytes = bytes.as_ref().try_into().map_err(|_| corrupt("a hash of the wrong length"))?;
        return Ok(Digest::from_bytes(bytes));
    }
    compute(table, node)
}

/// The hash of a node from those below it.
fn compute(table: &Table, node: Node) -> Result<Digest, StoreError> {
    match node.halves() {
        Some([left, right]) if node.level > STEP => Ok(node_hash(&hash(table, left)?, &hash(table, right)?)),
        Some(_) | None => of_records(table, node),
    }
}

/// The hash of a node of a level below which no hashes are kept.
fn of_records(table: &Table, node: Node) -> Result<Digest, StoreError> {
    let (first, count) = (node.index << node.level, 1 << node.level);
    let records = table.audit_contents(first, count)?;
    let mut row: Vec<Digest> = records.iter().map(|record| leaf_hash(&record.content)).collect();
    if row.len() < count {
        return Err(corrupt(format!("audit record {} is missing", first + row.len() as u64)));
    }
    while row.len() > 1 {
        let (pairs, _) = row.as_chunks::<2>();
        row = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().ok_or_else(|| corrupt("a node of the audit log without records"))
}

/// Adds the hashes that are missing in a log of `size` records: they are written from the left to the right, so if the
/// last of a level is there, all are.
pub(super) fn complete(table: &Table, size: u64) -> Result<(), StoreError> {
    let mut level = STEP;
    while level < u64::BITS && size >> level > 0 {
        let count = size >> level;
        if table.get(&keys::node(level, count - 1))?.is_none() {
            tracing::info!(level, count, "computing hashes of the audit log, once");
            for index in 0..count {
                let hash = compute(table, Node { level, index })?;
                let key = keys::node(level, index);
                table.tree().insert(key, hash.as_bytes().as_slice()).map_err(corrupt)?;
            }
        }
        level += STEP;
    }
    Ok(())
}
