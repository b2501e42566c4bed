//! The value of an audit record: its content, and behind a line end its payload, or where that stands. JSON in one line has
//! no line end, so values as they were before payloads are read alike.

use bytes::Bytes;

use super::super::payloads::{PayloadFiles, Place};
use crate::{AuditEntry, StoreError, record::corrupt};

const LINE_END: u8 = b'\n';

/// A value.
pub(in crate::embedded) fn encode(content: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let mut value = content;
    if !payload.is_empty() {
        value.push(LINE_END);
        value.extend_from_slice(payload);
    }
    value
}

/// Content, and what is behind it; empty: nothing.
pub(super) fn split(value: &[u8]) -> (&[u8], &[u8]) {
    match value.iter().position(|b| *b == LINE_END) {
        Some(at) => (value.get(..at).unwrap_or_default(), value.get(at + 1..).unwrap_or_default()),
        None => (value, &[]),
    }
}

/// Where the payload of a value stands, if it stands in a file.
pub(super) fn place(value: &[u8]) -> Option<Place> {
    Place::decode(split(value).1)
}

/// The record of a value, without its payload.
pub(super) fn without_payload(index: u64, value: &Bytes) -> AuditEntry {
    AuditEntry { index, content: value.slice(..split(value).0.len()), payload: Bytes::new() }
}

/// The record of a value.
pub(super) fn whole(index: u64, value: &Bytes, files: &PayloadFiles) -> Result<AuditEntry, StoreError> {
    let behind = split(value).1;
    let payload = match Place::decode(behind) {
        Some(place) => files.read(place)?.unwrap_or_default(),
        None if behind.first().is_none_or(|b| *b == b'{') => value.slice(value.len() - behind.len()..),
        None => return Err(corrupt(format!("audit record {index} does not say where its payload is"))),
    };
    Ok(AuditEntry { payload, ..without_payload(index, value) })
}
