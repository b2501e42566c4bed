//! Audit records as sled has them: several that follow each other in one value, under the index of the first.
//!
//! A pack is [`MARK`], then for each record its length (`u32`, little-endian) and its bytes. A value that begins
//! otherwise is one record by itself, as all were kept before; records are JSON, so none begins with the mark.

use bytes::Bytes;
use sled::IVec;

use super::super::keys;
use crate::{StoreError, record::corrupt};

/// The first byte of a pack.
const MARK: u8 = 0;
/// A pack that has so many bytes is full: sixteen, as a leaf of sled has them, stay below what it keeps in files of
/// their own (128 KiB).
const FULL_BYTES: usize = 4 * 1024;

/// Makes packs of records that come in order.
#[derive(Default)]
pub(super) struct Packer {
    first: u64,
    count: u64,
    pack: Vec<u8>,
}

// === impl Packer ===

impl Packer {
    /// Adds a record. If it does not go with those before, these are given back with their key.
    pub(super) fn add(&mut self, index: u64, content: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let follows = self.count > 0 && index == self.first + self.count;
        let fits = self.pack.len() + content.len() <= FULL_BYTES;
        let full = if follows && fits { None } else { self.finish() };
        if self.count == 0 {
            self.first = index;
            self.pack.push(MARK);
        }
        self.count += 1;
        self.pack.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.pack.extend_from_slice(content);
        full
    }

    /// What is left, with its key.
    pub(super) fn finish(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let Self { first, count, pack } = std::mem::take(self);
        (count > 0).then(|| (keys::audit(first), pack))
    }
}

/// The records of a value, with their indices.
///
/// # Errors
/// [`StoreError`] when the value is empty; and at the record at which it is damaged.
pub(super) fn records(
    first: u64,
    value: &IVec,
) -> Result<impl Iterator<Item = Result<(u64, Bytes), StoreError>>, StoreError> {
    let (mark, rest) = value.split_first().ok_or_else(|| corrupt(damaged(first)))?;
    let (mut single, mut rest) =
        if *mark == MARK { (None, rest) } else { (Some(value.as_ref()), [].as_slice()) };
    let mut index = first;
    let mut broken = false;
    Ok(std::iter::from_fn(move || {
        let content = match single.take() {
            Some(content) => content,
            None if rest.is_empty() || broken => return None,
            None => match take(&mut rest) {
                Some(content) => content,
                None => {
                    broken = true;
                    return Some(Err(corrupt(damaged(index))));
                }
            },
        };
        index += 1;
        Some(Ok((index - 1, Bytes::copy_from_slice(content))))
    }))
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (content, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = behind;
    Some(content)
}

fn damaged(index: u64) -> String {
    format!("the pack of audit record {index} is damaged")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_come_back_with_their_indices(lengths in proptest::collection::vec((0usize..3000, 1u64..3), 1..40)) {
            let mut index = 0;
            let given: Vec<(u64, Vec<u8>)> = lengths
                .into_iter()
                .map(|(length, step)| {
                    index += step;
                    (index, vec![b'{'; length])
                })
                .collect();
            let mut packer = Packer::default();
            let mut packs: Vec<_> = given.iter().filter_map(|(index, content)| packer.add(*index, content)).collect();
            packs.extend(packer.finish());
            let mut back = Vec::new();
            for (key, pack) in packs {
                let pack = IVec::from(pack);
                for record in records(keys::audit_index(&key).unwrap(), &pack).unwrap() {
                    let (index, content) = record.unwrap();
                    back.push((index, content.to_vec()));
                }
            }
            prop_assert_eq!(back, given);
        }

        #[test]
        fn damaged_packs_never_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(records) = records(7, &IVec::from(bytes)) {
                let _ = records.count();
            }
        }
    }

    #[test]
    fn a_record_that_was_kept_alone_is_read() {
        let alone = IVec::from(b"{}".as_slice());
        let mut all = records(3, &alone).unwrap();
        assert_eq!(all.next().unwrap().unwrap(), (3, Bytes::from_static(b"{}")));
        assert!(all.next().is_none());
    }
}
