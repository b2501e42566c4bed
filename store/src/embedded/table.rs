//! What is kept by key: what was written lately in memory, everything else in sled.
//!
//! A frame is durable once the journal is synced, so sled may come later: a thread of its own brings whole layers of
//! changes to it. What was written several times meanwhile is written once, what came and went is not written at all, and
//! audit records go in packs, because sled's work is by key.

pub(super) mod entry;
mod merged;
mod pack;
mod sink;

use std::{
    collections::BTreeMap,
    ops::Bound,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sled::IVec;

pub(super) use self::sink::Replayed;
use self::{
    merged::{Fresh, Merged},
    sink::pack_with,
};
use super::{
    batch::Op,
    journal::{AppendError, Position},
    keys,
    payloads::PayloadFiles,
    reserve::Reserve,
    saved::save_tree,
};
use crate::{AuditEntry, StoreError, record::corrupt};

/// A layer is brought to sled this long after its first change, so that little is left to apply again after a crash …
const SINK_AFTER: Duration = Duration::from_millis(500);
/// … or once it has so many bytes.
const SINK_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the newest layer beyond which writing waits for sled: bounds memory, and what a start has to apply again.
const MAX_LAYER_BYTES: usize = 24 * 1024 * 1024;
/// How long sled waits on a full disk before it is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What an entry of a layer takes beside key and value: a guess that errs on the large side.
const ENTRY_OVERHEAD: usize = 64;

/// The keys and values of a store.
pub(super) struct Table {
    shared: Arc<Shared>,
    sinker: Option<JoinHandle<()>>,
}

struct Shared {
    db: sled::Db,
    tree: sled::Tree,
    state_dir: PathBuf,
    payloads: PayloadFiles,
    reserve: Reserve,
    layers: Mutex<Layers>,
    changed: Condvar,
}

#[derive(Default)]
struct Layers {
    /// What comes is put here.
    newest: Layer,
    /// What is on its way into sled.
    sinking: Option<Arc<Layer>>,
    /// Somebody waits until everything is in sled.
    hurry: bool,
    /// Why nothing goes to sled at present; the changes stay here, and in the journal, meanwhile.
    no_room: Option<StoreError>,
    failed: Option<StoreError>,
    closed: bool,
}

/// Changes that sled does not have yet, by key.
#[derive(Default)]
pub(super) struct Layer {
    values: BTreeMap<Vec<u8>, Option<IVec>>,
    bytes: usize,
    /// Behind the last frame of the layer.
    position: Position,
    since: Option<Instant>,
}

// === impl Layer ===

impl Layer {
    fn put(&mut self, ops: Vec<Op>, position: Position) {
        for Op { key, value } in ops {
            self.bytes += ENTRY_OVERHEAD + key.len() + value.as_ref().map_or(0, Vec::len);
            self.values.insert(key, value.map(IVec::from));
        }
        self.position = position;
        self.since.get_or_insert_with(Instant::now);
    }
}

// === impl Table ===

impl Table {
    /// The keys and values in `tree`, with what will be written.
    pub(super) fn new(db: sled::Db, tree: sled::Tree, state_dir: PathBuf, payloads: PayloadFiles) -> Self {
        let (reserve, layers, changed) = (Reserve::in_dir(&state_dir), Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { db, tree, state_dir, payloads, reserve, layers, changed });
        let sinker = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        });
        Self { shared, sinker: Some(sinker) }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`] when sled cannot be read.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        {
            let layers = self.shared.lock();
            if let Some(value) = layers.get(key) {
                return Ok(value);
            }
        }
        self.shared.tree.get(key).map_err(corrupt)
    }

    /// Every key with this prefix and its value, in order.
    pub(super) fn scan_prefix(&self, prefix: &[u8]) -> Merged {
        Merged::forward(self.shared.both(prefix.to_vec(), after_prefix(prefix)))
    }
    /// Every key from `start` on and before `end`, and its value, in order.
    pub(super) fn range(&self, start: Vec<u8>, end: Vec<u8>) -> Merged {
        Merged::forward(self.shared.both(start, Some(end)))
    }
    /// Every key from `start` on and before `end`, and its value, the last first.
    pub(super) fn range_back(&self, start: Vec<u8>, end: Vec<u8>) -> Merged {
        Merged::back(self.shared.both(start, Some(end)))
    }
    /// Every key with this prefix and its value, the last first.
    pub(super) fn scan_prefix_back(&self, prefix: &[u8]) -> Merged {
        Merged::back(self.shared.both(prefix.to_vec(), after_prefix(prefix)))
    }

    /// At most `limit` audit records from `from` on, without a gap: it ends before the first that is missing.
    ///
    /// # Errors
    /// [`StoreError`] when sled cannot be read, or what it has is damaged.
    pub(super) fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let values = self.audit_values(from, limit)?.into_iter().zip(from..);
        values.map(|(value, index)| entry::whole(index, &value, &self.shared.payloads)).collect()
    }

    /// As [`Table::audit`], without payloads.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn audit_contents(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let values = self.audit_values(from, limit)?.into_iter().zip(from..);
        Ok(values.map(|(value, index)| entry::without_payload(index, &value)).collect())
    }

    fn audit_values(&self, from: u64, limit: usize) -> Result<Vec<Bytes>, StoreError> {
        // The layers are read first: what they have now is in sled once it has left them.
        let fresh = self.shared.fresh(&keys::audit(from), Some(&keys::after_audit()), limit);
        let mut page = Vec::new();
        let mut expected = from;
        let mut take = |index: u64, value: Bytes| {
            if index == expected && page.len() < limit {
                page.push(value);
                expected += 1;
            }
            index < expected && page.len() < limit
        };
        let tree = &self.shared.tree;
        'sled: for entry in tree.range(pack_with(tree, from)?..keys::after_audit()) {
            let (key, value) = entry.map_err(corrupt)?;
            for record in pack::records(keys::audit_index(&key)?, &value)? {
                let (index, value) = record?;
                if index >= from && !take(index, value) {
                    break 'sled;
                }
            }
        }
        for (key, value) in fresh {
            let index = keys::audit_index(&key)?;
            if let Some(value) = value {
                take(index, Bytes::copy_from_slice(&value));
            }
        }
        Ok(page)
    }

    /// Waits while sled is far behind. To be asked before a frame is made durable, so that what is refused here is nowhere.
    ///
    /// # Errors
    /// [`AppendError`] when an earlier change could not be brought to sled, or too many wait for a disk that is full.
    pub(super) fn ready(&self) -> Result<(), AppendError> {
        let mut layers = self.shared.lock();
        while layers.newest.bytes > MAX_LAYER_BYTES {
            layers.can_go_on()?;
            layers = self.shared.wait(layers);
        }
        layers.failed.clone().map_or(Ok(()), |error| Err(AppendError::Failed(error)))
    }

    /// Takes over the changes of a frame that is durable; readers see them from here on, whatever becomes of sled.
    pub(super) fn put(&self, ops: Vec<Op>, position: Position) {
        let mut layers = self.shared.lock();
        let first = layers.newest.since.is_none();
        layers.newest.put(ops, position);
        if first || layers.newest.bytes >= SINK_BYTES {
            self.shared.changed.notify_all();
        }
    }

    /// Waits until sled has everything, then makes its files safe: sled's own flush does not reach the device.
    ///
    /// # Errors
    /// [`AppendError`] when that fails, or the disk is full.
    pub(super) fn save(&self) -> Result<(), AppendError> {
        let mut layers = self.shared.lock();
        layers.hurry = true;
        self.shared.changed.notify_all();
        let mut sunk = layers.can_go_on();
        while sunk.is_ok() && !layers.is_empty() {
            layers = self.shared.wait(layers);
            sunk = layers.can_go_on();
        }
        layers.hurry = false;
        drop(layers);
        sunk?;
        Ok(save_tree(&self.shared.db, &self.shared.tree, &self.shared.state_dir)?)
    }

    /// Writes what can be made again beside the journal, unless the disk has no room for it.
    ///
    /// # Errors
    /// [`StoreError`] when it has not, or sled cannot take it.
    pub(super) fn put_derived(&self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.shared.reserve.renew(key.len() + value.len())?;
        self.shared.tree.insert(key, value).map(drop).map_err(corrupt)
    }

    /// sled itself, for what is written beside the journal because it can be made again.
    pub(super) fn tree(&self) -> &sled::Tree {
        &self.shared.tree
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(sinker) = self.sinker.take() {
            // It ends at once; the journal has what it leaves behind. A panic there has been printed.
            let _ = sinker.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn wait<'a>(&self, layers: MutexGuard<'a, Layers>) -> MutexGuard<'a, Layers> {
        self.changed.wait(layers).unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings one layer after another to sled, until the table is closed or sled fails.
    fn run(&self) {
        let _guard = NotEnded(self);
        loop {
            let Some(layer) = self.next_layer() else { return };
            let sunk = layer.sink(&self.tree, &self.payloads);
            let mut layers = self.lock();
            match sunk {
                Ok(()) => layers.sinking = None,
                Err(error) => {
                    tracing::error!(%error, "the state cannot be written; nothing more is accepted until a restart");
                    // Whatever it is, it is not about one record: nothing more can be written.
                    layers.failed = Some(StoreError::Unavailable(error.to_string()));
                }
            }
            let failed = layers.failed.is_some();
            drop(layers);
            self.changed.notify_all();
            if failed {
                return;
            }
        }
    }

    /// Waits until there is a layer whose time has come; `None` once the table is closed.
    fn next_layer(&self) -> Option<Arc<Layer>> {
        let mut layers = self.lock();
        loop {
            if layers.closed {
                return None;
            }
            let Some(since) = layers.newest.since else {
                layers = self.wait(layers);
                continue;
            };
            let mut left = SINK_AFTER.saturating_sub(since.elapsed());
            if left.is_zero() || layers.hurry || layers.newest.bytes >= SINK_BYTES {
                if self.has_room(&mut layers) {
                    let layer = Arc::new(std::mem::take(&mut layers.newest));
                    layers.sinking = Some(Arc::clone(&layer));
                    return Some(layer);
                }
                left = LOOK_AGAIN_AFTER;
            }
            (layers, _) = self.changed.wait_timeout(layers, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there is room for the newest layer, wherever it goes; whoever waits is told when it has not.
    fn has_room(&self, layers: &mut Layers) -> bool {
        let bytes = layers.newest.bytes;
        let reserved = self.reserve.renew(bytes).and_then(|()| self.payloads.reserve(bytes));
        layers.no_room = reserved.err();
        if layers.no_room.is_some() {
            self.changed.notify_all();
        }
        layers.no_room.is_none()
    }

    /// What the layers say of the keys from `start` on and before `end`, in order; at most `limit`.
    fn fresh(&self, start: &[u8], end: Option<&[u8]>, limit: usize) -> Fresh {
        let layers = self.lock();
        let bounds = (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
        let of = |layer: &Layer| {
            let values = layer.values.range::<[u8], _>(bounds);
            values.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>()
        };
        let mut both = layers.sinking.as_deref().map(of).unwrap_or_default();
        both.append(&mut of(&layers.newest));
        both.into_iter().take(limit).collect()
    }

    /// What layers and sled have of the keys from `start` on and before `end`.
    fn both(&self, start: Vec<u8>, end: Option<Vec<u8>>) -> (Fresh, sled::Iter) {
        let fresh = self.fresh(&start, end.as_deref(), usize::MAX);
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        (fresh, self.tree.range::<Vec<u8>, _>((Bound::Included(start), end)))
    }
}

/// Whoever waits for the thread is told when it ends by a panic.
struct NotEnded<'a>(&'a Shared);

impl Drop for NotEnded<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let why = "the thread that writes the state has ended; see the log and restart the controller";
            self.0.lock().failed.get_or_insert(StoreError::Unavailable(why.into()));
            self.0.changed.notify_all();
        }
    }
}

// === impl Layers ===

impl Layers {
    /// What the layers say of `key`; `None`: nothing, sled knows.
    fn get(&self, key: &[u8]) -> Option<Option<IVec>> {
        let in_sinking = || self.sinking.as_ref().and_then(|layer| layer.values.get(key));
        self.newest.values.get(key).or_else(in_sinking).cloned()
    }
    /// Whether what waits here will go to sled, as far as is known.
    fn can_go_on(&self) -> Result<(), AppendError> {
        if let Some(error) = &self.failed {
            return Err(AppendError::Failed(error.clone()));
        }
        self.no_room.clone().map_or(Ok(()), |error| Err(AppendError::NoRoom(error)))
    }
    const fn is_empty(&self) -> bool {
        self.newest.since.is_none() && self.sinking.is_none()
    }
}

/// The first key behind all that begin with `prefix`; `None` if there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut after = prefix.to_vec();
    while let Some(last) = after.pop() {
        if let Some(next) = last.checked_add(1) {
            after.push(next);
            return Some(after);
        }
    }
    None
}

#[cfg(test)]
mod tests;
