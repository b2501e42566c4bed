//! What a journal frame holds: puts and removals of keys, in order. And the shape of values: a version, then a record.

use lictor_core::{digest::Digest, merkle::Frontier};
use serde::Serialize;

use crate::{
    StoreError,
    record::{corrupt, encode_into},
};

/// One put, or a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) key: Vec<u8>,
    /// `None` removes the key.
    pub(super) value: Option<Vec<u8>>,
}

/// Most bytes of an operation besides its key and value: two lengths and a flag.
pub(super) const MAX_OP_OVERHEAD: usize = 9;

/// Room for a value: nearly all are shorter, so nothing is moved while they are encoded.
const USUAL_VALUE_BYTES: usize = 768;

/// Bytes that an operation takes in a frame, or a few more.
pub(super) fn bytes_of(op: &Op) -> usize {
    MAX_OP_OVERHEAD + op.key.len() + op.value.as_ref().map_or(0, Vec::len)
}

/// A value: version, then record.
pub(super) fn value(version: u64, record: &[u8]) -> Vec<u8> {
    let mut value = version.to_be_bytes().to_vec();
    value.extend_from_slice(record);
    value
}

/// The value of a record that is to be encoded: at once, without a copy.
pub(super) fn encode_value<R: Serialize>(version: u64, record: &R) -> Result<Vec<u8>, StoreError> {
    let mut value = Vec::with_capacity(USUAL_VALUE_BYTES);
    value.extend_from_slice(&version.to_be_bytes());
    encode_into(record, &mut value)?;
    Ok(value)
}

/// The version of a value.
pub(super) fn version_of(value: &[u8]) -> Result<u64, StoreError> {
    let (version, _) = value.split_first_chunk::<8>().ok_or_else(|| corrupt("a value without version"))?;
    Ok(u64::from_be_bytes(*version))
}

/// The record of a value.
pub(super) fn record_of(value: &[u8]) -> Result<&[u8], StoreError> {
    value.get(8..).ok_or_else(|| corrupt("a value without record"))
}

/// The payload of a frame.
pub(super) fn encode(ops: &[Op]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ops.iter().map(bytes_of).sum());
    for op in ops {
        put_bytes(&op.key, &mut out);
        match &op.value {
            Some(value) => {
                out.push(1);
                put_bytes(value, &mut out);
            }
            None => out.push(0),
        }
    }
    out
}

/// The operations of a frame's payload.
pub(super) fn decode(mut payload: &[u8]) -> Result<Vec<Op>, StoreError> {
    let mut ops = Vec::new();
    while !payload.is_empty() {
        let key = take_bytes(&mut payload)?;
        let (flag, rest) = payload.split_first().ok_or_else(too_short)?;
        payload = rest;
        let value = match flag {
            0 => None,
            1 => Some(take_bytes(&mut payload)?),
            _ => return Err(corrupt("a journal frame with an unknown operation")),
        };
        ops.push(Op { key, value });
    }
    Ok(ops)
}

/// The frontier as it is kept.
pub(super) fn encode_frontier(frontier: &Frontier) -> Vec<u8> {
    let mut out = frontier.size().to_be_bytes().to_vec();
    for hash in frontier.edge() {
        out.extend_from_slice(hash.as_bytes());
    }
    out
}

/// The frontier that was kept.
pub(super) fn decode_frontier(bytes: &[u8]) -> Result<Frontier, StoreError> {
    let (size, hashes) = bytes.split_first_chunk::<8>().ok_or_else(too_short)?;
    let (hashes, rest) = hashes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(too_short());
    }
    let edge = hashes.iter().map(|h| Digest::from_bytes(*h)).collect();
    Frontier::from_parts(u64::from_be_bytes(*size), edge).map_err(corrupt)
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take_bytes(payload: &mut &[u8]) -> Result<Vec<u8>, StoreError> {
    let (length, rest) = payload.split_first_chunk::<4>().ok_or_else(too_short)?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(too_short)?;
    *payload = rest;
    Ok(bytes.to_vec())
}

fn too_short() -> StoreError {
    corrupt("a journal frame that ends early")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn operations_survive_their_encoding(ops in proptest::collection::vec((any::<Vec<u8>>(), any::<Option<Vec<u8>>>()), 0..20)) {
            let ops: Vec<Op> = ops.into_iter().map(|(key, value)| Op { key, value }).collect();
            prop_assert_eq!(decode(&encode(&ops)).unwrap(), ops);
        }

        #[test]
        fn damaged_frames_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
            let _ = decode_frontier(&bytes);
        }
    }
}
