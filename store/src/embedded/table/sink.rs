//! A layer on its way into sled, and payloads of audit records into their files.

use super::{
    super::{
        batch::Op,
        journal::Position,
        keys,
        payloads::{PayloadFiles, Place},
    },
    Layer, SINK_BYTES, entry, pack,
};
use crate::{StoreError, record::corrupt};

/// What a crash left in the journal, on its way: frame after frame, many at a time.
pub(in crate::embedded) struct Replayed<'a> {
    tree: &'a sled::Tree,
    payloads: &'a PayloadFiles,
    layer: Layer,
    erases: bool,
}

// === impl Replayed ===

impl<'a> Replayed<'a> {
    pub(in crate::embedded) fn new(tree: &'a sled::Tree, payloads: &'a PayloadFiles) -> Self {
        Self { tree, payloads, layer: Layer::default(), erases: false }
    }

    /// Takes the changes of the next frame.
    pub(in crate::embedded) fn take(&mut self, ops: Vec<Op>, position: Position) -> Result<(), StoreError> {
        let erases = ops.iter().any(|op| op.key.starts_with(keys::ERASED));
        if erases {
            // What it erases is in its files then.
            self.sink()?;
        }
        self.erases |= erases;
        self.layer.put(ops, position);
        if erases || self.layer.bytes >= SINK_BYTES { self.sink() } else { Ok(()) }
    }

    /// Everything has been taken. Answers whether payloads were erased.
    pub(in crate::embedded) fn finish(mut self) -> Result<bool, StoreError> {
        self.sink()?;
        Ok(self.erases)
    }

    fn sink(&mut self) -> Result<(), StoreError> {
        let layer = std::mem::take(&mut self.layer);
        if layer.since.is_some() { layer.sink(self.tree, self.payloads) } else { Ok(()) }
    }
}

// === impl Layer ===

impl Layer {
    /// Brings everything to sled in one batch, together with how far the journal has been applied; and payloads of audit
    /// records to their files.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot take it.
    pub(super) fn sink(&self, tree: &sled::Tree, payloads: &PayloadFiles) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut packer = pack::Packer::default();
        let records = self.values.range(keys::AUDIT.to_vec()..keys::after_audit());
        let of_records: Vec<&[u8]> = records
            .filter_map(|(_, value)| Some(entry::split(value.as_deref()?).1))
            .filter(|payload| !payload.is_empty())
            .collect();
        let mut places = if of_records.is_empty() {
            Vec::new().into_iter()
        } else {
            let (places, end) = payloads.append(&of_records)?;
            batch.insert(keys::PAYLOADS, end.encode());
            places.into_iter()
        };
        for (key, value) in &self.values {
            match value {
                Some(value) if key.starts_with(keys::AUDIT) => {
                    let (content, payload) = entry::split(value);
                    let place = if payload.is_empty() { None } else { places.next() };
                    let place = place.map(|place| place.encode()).unwrap_or_default();
                    let kept = entry::encode(content.to_vec(), &place);
                    if let Some((key, pack)) = packer.add(keys::audit_index(key)?, &kept) {
                        batch.insert(key, pack);
                    }
                }
                Some(to) if key.starts_with(keys::ERASED) => {
                    payloads.erase(&places_of(tree, keys::erased_range(key, to)?)?)?;
                    batch.insert(keys::FORGET, b"");
                }
                Some(value) => batch.insert(key.as_slice(), value),
                // Most of what is removed came and went before sled ever had it, and looking is cheaper.
                None if tree.contains_key(key).map_err(corrupt)? => batch.remove(key.as_slice()),
                None => {}
            }
        }
        if let Some((key, pack)) = packer.finish() {
            batch.insert(key, pack);
        }
        batch.insert(keys::APPLIED, self.position.encode());
        tree.apply_batch(batch).map_err(corrupt)
    }
}

/// The key of the pack that may have this audit record: the last one that does not begin behind it.
pub(super) fn pack_with(tree: &sled::Tree, index: u64) -> Result<Vec<u8>, StoreError> {
    let before = tree.range(keys::audit(0)..=keys::audit(index)).next_back().transpose().map_err(corrupt)?;
    Ok(before.map_or_else(|| keys::audit(index), |(key, _)| key.to_vec()))
}

/// Where the payloads of these audit records stand, which are in sled.
fn places_of(tree: &sled::Tree, (from, to): (u64, u64)) -> Result<Vec<Place>, StoreError> {
    let mut places = Vec::new();
    for entry in tree.range(pack_with(tree, from)?..keys::audit(to)) {
        let (key, value) = entry.map_err(corrupt)?;
        for record in pack::records(keys::audit_index(&key)?, &value)? {
            let (index, value) = record?;
            if (from..to).contains(&index) {
                places.extend(entry::place(&value));
            }
        }
    }
    Ok(places)
}
