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

use super::keys;
use crate::{StoreError, record::corrupt};

/// Of this many levels, one is kept.
const STEP: u32 = 8;

/// The key under which the hash of a node is kept; `None` if it is not.
pub(super) fn kept(node: Node) -> Option<Vec<u8>> {
    (node.level > 0 && node.level.is_multiple_of(STEP)).then(|| keys::node(node.level, node.index))
}

/// The hash of a node whose records are all there.
pub(super) fn hash(tree: &sled::Tree, node: Node) -> Result<Digest, StoreError> {
    if let Some(key) = kept(node)
        && let Some(bytes) = tree.get(key).map_err(corrupt)?
    {
        let bytes = bytes.as_ref().try_into().map_err(|_| corrupt("a hash of the wrong length"))?;
        return Ok(Digest::from_bytes(bytes));
    }
    compute(tree, node)
}

/// The hash of a node from those below it.
fn compute(tree: &sled::Tree, node: Node) -> Result<Digest, StoreError> {
    match node.halves() {
        Some([left, right]) => Ok(node_hash(&hash(tree, left)?, &hash(tree, right)?)),
        None => {
            let content = tree.get(keys::audit(node.index)).map_err(corrupt)?;
            let content =
                content.ok_or_else(|| corrupt(format!("audit record {} is missing", node.index)))?;
            Ok(leaf_hash(&content))
        }
    }
}

/// Adds the hashes that are missing in a log of `size` records: they are written from the left to the right, so if the
/// last of a level is there, all are.
pub(super) fn complete(tree: &sled::Tree, size: u64) -> Result<(), StoreError> {
    let mut level = STEP;
    while level < u64::BITS && size >> level > 0 {
        let count = size >> level;
        if tree.get(keys::node(level, count - 1)).map_err(corrupt)?.is_none() {
            tracing::info!(level, count, "computing hashes of the audit log, once");
            for index in 0..count {
                let node = Node { level, index };
                let hash = compute(tree, node)?;
                tree.insert(keys::node(level, index), hash.as_bytes().as_slice()).map_err(corrupt)?;
            }
        }
        level += STEP;
    }
    Ok(())
}
