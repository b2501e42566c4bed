//! The default store: a synced journal in front of a sled tree. One process, no server to install.
//!
//! A commit is durable once its frame is in the journal and the journal is synced. Then readers see it, and it goes to
//! sled in good time. After a crash the tail of the journal is applied again, so sled never has to be trusted with the
//! last moments (its `flush` does not reach the device). `docs/decisions/` has the measurements.

mod batch;
mod checkpoints;
mod committer;
mod files;
mod index;
mod journal;
mod keys;
mod nodes;
mod open_error;
mod outputs;
mod payloads;
mod plan;
mod reserve;
mod room;
mod saved;
mod summaries;
mod table;

use std::{fs::File, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use lictor_core::{
    audit::query::Query,
    clock::Timestamp,
    digest::Digest,
    erasure::{Erasure, Hold},
    freeze::Freeze,
    id::{InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::IdempotencyKey,
    merkle::{Frontier, Node, TreeHead},
    name::{AgentName, HostAlias, SiteName},
    output::StreamName,
    principal::Principal,
};
use serde::de::DeserializeOwned;
use sled::IVec;
use tokio::sync::watch;

pub use self::open_error::OpenError;
use self::{
    batch::Op,
    committer::Committer,
    journal::{Journal, Position},
    open_error::open_error,
    outputs::OutputFiles,
    payloads::{End, PayloadFiles},
    plan::Planned,
    saved::save_tree,
    summaries::Summarizer,
    table::{Replayed, Table},
};
use crate::{
    AuditEntry, BoundKey, Change, EndedJob, IndexedInvocation, KeptAgent, KeptCheckpoint, KeptHost, KeptJob,
    KeptKey, KeptPolicy, KeptRetention, KeptSettings, KeptShadow, KeptToken, Outline, Recorded, Store,
    StoreError,
    record::{
        AgentRecord, ErasureRecord, FreezeRecord, HoldRecord, HostRecord, InvocationRecord, JobRecord,
        KeyRecord, PolicyRecord, RetentionRecord, SettingsRecord, ShadowRecord, TokenRecord, corrupt, decode,
    },
};

/// Memory for sled's cache. Identifiers of invocations are digests, so what a job on many hosts writes lies all over the tree:
/// this has the leaves of some ten thousand of them, which would else be read back from the disk one by one. sled's own default
/// of 1 GiB would be most of the process.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// How often sled writes back by itself, so that little is left to apply again after a crash.
const WRITE_BACK_MS: u64 = 500;

/// A store in a directory.
pub struct EmbeddedStore {
    // Ends before the table is closed.
    _summarizer: Summarizer,
    table: Arc<Table>,
    committer: Committer,
    outputs: Arc<OutputFiles>,
    head: Arc<watch::Sender<TreeHead>>,
    // Held for as long as the store is open, so that no second process opens it.
    _lock: File,
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in `dir`, or makes it; applies what a crash left in the journal.
    ///
    /// # Errors
    /// [`OpenError`] when the directory is in use, unreadable or damaged.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { path: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let lock = File::create(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|_| OpenError::InUse(dir.to_owned()))?;

        let sled_error = |source| OpenError::Sled { path: dir.to_owned(), source };
        let db = sled::Config::new()
            .path(dir.join("state"))
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(WRITE_BACK_MS))
            .open()
            .map_err(sled_error)?;
        let tree = db.open_tree("lictor").map_err(sled_error)?;

        let damaged = |source| open_error(dir, source);
        let applied = read_applied(&tree).map_err(damaged)?;
        let journal_dir = dir.join("journal");
        let payloads = read_payloads_end(&tree).and_then(|end| PayloadFiles::open(dir.join("payloads"), end));
        let payloads = payloads.map_err(damaged)?;
        let mut replayed = Replayed::new(&tree, &payloads);
        let replay = |frame: &[u8], position| replayed.take(batch::decode(frame)?, position);
        let end = Journal::replay(&journal_dir, applied, replay).map_err(damaged)?;
        let erases = replayed.finish().map_err(damaged)?;
        // Once the tree is safe, the files just read are not needed: a start that fails later leaves none behind.
        save_tree(&db, &tree, &dir.join("state")).map_err(damaged)?;
        let mut journal = Journal::start(&journal_dir, end).map_err(damaged)?;
        if erases || tree.contains_key(keys::FORGET).map_err(sled_error)? {
            // Ends what was interrupted: the journal still has what was erased.
            journal.forget().map_err(damaged)?;
            tree.remove(keys::FORGET).map_err(sled_error)?;
        }
        let frontier = read_frontier(&tree).map_err(damaged)?;
        let head = Arc::new(watch::Sender::new(frontier.head()));
        let outputs = Arc::new(OutputFiles::open(dir.join("output")).map_err(io)?);
        let table = Arc::new(Table::new(db, tree, dir.join("state"), payloads));
        nodes::complete(&table, frontier.size()).map_err(damaged)?;
        index::complete(&table, frontier.size()).map_err(damaged)?;
        let committer =
            Committer::start(Arc::clone(&table), &dir.join("state"), journal, frontier, Arc::clone(&head));
        let summarizer = Summarizer::start(Arc::clone(&table), head.subscribe());
        Ok(Self { _summarizer: summarizer, table, committer, outputs, head, _lock: lock })
    }

    /// Makes the summaries of all complete blocks of the audit log that have none, and says how many it made. A thread does
    /// this by itself while little is written; whoever wants figures need not wait for it.
    ///
    /// # Errors
    /// [`StoreError`] when records cannot be read, or the disk has no room.
    pub fn summarize(&self) -> Result<u64, StoreError> {
        let mut made = 0;
        while summaries::make_next(&self.table, self.head.borrow().size)? {
            made += 1;
        }
        Ok(made)
    }

    fn record<R: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<R>, StoreError> {
        let Some(value) = self.table.get(key)? else { return Ok(None) };
        decode(batch::record_of(&value)?).map(Some)
    }

    fn scan<R, T>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError>
    where
        R: DeserializeOwned,
        T: TryFrom<R, Error = StoreError>,
    {
        self.table
            .scan_prefix(prefix)
            .values()
            .map(|value| decode::<R>(batch::record_of(&value?)?)?.try_into())
            .collect()
    }
}

/// One record that cannot be read must not hide the others of a list. Whoever asks for it by itself is told.
fn readable<T>(record: &Result<T, StoreError>) -> bool {
    if let Err(error @ StoreError::Corrupt(_)) = record {
        tracing::error!(%error, "a record cannot be read; it is left out of a list, restore it from a backup");
        return false;
    }
    true
}

fn read_applied(tree: &sled::Tree) -> Result<Option<Position>, StoreError> {
    tree.get(keys::APPLIED).map_err(corrupt)?.map(|bytes| Position::decode(&bytes)).transpose()
}

fn read_payloads_end(tree: &sled::Tree) -> Result<End, StoreError> {
    tree.get(keys::PAYLOADS).map_err(corrupt)?.map_or_else(|| Ok(End::default()), |bytes| End::decode(&bytes))
}

fn read_frontier(tree: &sled::Tree) -> Result<Frontier, StoreError> {
    match tree.get(keys::FRONTIER).map_err(corrupt)? {
        Some(bytes) => batch::decode_frontier(&bytes),
        None => Ok(Frontier::default()),
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn commit(&self, change: Change) -> Result<Recorded, StoreError> {
        let let_go = self.files_let_go(&change)?;
        let mut planned = Planned::new(change)?;
        // Before its own writes, which may name the same files again.
        let removals = let_go.iter().filter_map(|(id, file)| file.use_of(*id));
        planned.ops.splice(0..0, removals.map(|key| Op { key, value: None }));
        if !planned.files.is_empty() {
            planned.claim = Some(self.outputs.claim(planned.files.keys().copied()));
        }
        for (digest, source) in std::mem::take(&mut planned.files) {
            self.outputs.write(digest, source).await?;
        }
        let recorded = self.committer.commit(planned).await?;
        if !let_go.is_empty() {
            self.remove_unused(let_go.into_iter().map(|(_, file)| file).collect()).await;
        }
        Ok(recorded)
    }

    async fn ended(&self) {
        self.committer.ended().await;
    }

    async fn job(&self, id: JobId) -> Result<Option<KeptJob>, StoreError> {
        self.record::<JobRecord>(&keys::job(id))?.map(TryInto::try_into).transpose()
    }

    async fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<KeptJob>, StoreError> {
        let end = before.map_or_else(|| keys::after_all_jobs().to_vec(), keys::job);
        self.table
            .range_back(keys::first_job().to_vec(), end)
            .values()
            .map(|value| decode::<JobRecord>(batch::record_of(&value?)?)?.try_into())
            .filter(readable)
            .take(limit)
            .collect()
    }

    async fn idempotency_key(
        &self,
        principal: &Principal,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptKey>, StoreError> {
        self.record::<KeyRecord>(&keys::idempotency(principal, key))?.map(TryInto::try_into).transpose()
    }

    async fn bound_keys(&self, after: Option<&BoundKey>, limit: usize) -> Result<Vec<BoundKey>, StoreError> {
        let first = after.map_or_else(|| keys::first_idempotency().to_vec(), keys::behind_bound);
        let bound = |entry: Result<(IVec, IVec), StoreError>| {
            let (key, value) = entry?;
            keys::bound_of(&key, Timestamp::from_micros(batch::version_of(&value)?))
        };
        let entries = self.table.range(first, keys::after_all_idempotency().to_vec());
        entries.map(bound).take(limit).collect()
    }

    async fn ended_jobs(&self, after: Option<JobId>, limit: usize) -> Result<Vec<EndedJob>, StoreError> {
        let first = after.map_or_else(|| keys::ENDED.to_vec(), keys::after_ended);
        let entries = self.table.range(first, keys::after_all_ended());
        entries
            .take(limit)
            .map(|entry| entry.and_then(|(key, value)| index::decode_entry(&key, &value)))
            .collect()
    }

    async fn ended_job(&self, id: JobId) -> Result<Option<EndedJob>, StoreError> {
        let (key, value) = (keys::ended(id), self.table.get(&keys::ended(id))?);
        value.map(|value| index::decode_entry(&key, &value)).transpose()
    }

    async fn remove_orphans(&self) -> Result<u64, StoreError> {
        let (outputs, table) = (Arc::clone(&self.outputs), Arc::clone(&self.table));
        let removed = tokio::task::spawn_blocking(move || outputs.remove_orphans(&table)).await;
        removed.map_err(outputs::interrupted)?
    }

    async fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, StoreError> {
        let mut failed = None;
        while let Some(record) = self.record::<InvocationRecord<'static>>(&keys::invocation(id))? {
            let place = record.place()?;
            match self.whole(id, &record).await {
                // Its file may have been removed since; then the record says something else by now.
                Err(StoreError::Corrupt(_)) if failed != Some(place) => failed = Some(place),
                done => return done.map(Some),
            }
        }
        Ok(None)
    }

    async fn outline(&self, id: InvocationId) -> Result<Option<Outline>, StoreError> {
        let Some(record) = self.record::<InvocationRecord<'static>>(&keys::invocation(id))? else {
            return Ok(None);
        };
        let kept = record.kept();
        Ok(Some(Outline { kept, ..Outline::of(record.to_invocation()?) }))
    }

    async fn output(
        &self,
        id: InvocationId,
        stream: StreamName,
        from: u64,
        to: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let mut failed = None;
        while let Some(record) = self.record::<InvocationRecord<'static>>(&keys::invocation(id))? {
            let place = record.place()?;
            match self.part(id, &record, stream, (from, to)).await {
                Err(StoreError::Corrupt(_)) if failed != Some(place) => failed = Some(place),
                // Of what was removed the record has nothing.
                Ok(bytes) if (bytes.len() as u64) < to.saturating_sub(from) => return Ok(None),
                done => return done.map(Some),
            }
        }
        Ok(None)
    }

    async fn indexed_invocations(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<IndexedInvocation>, StoreError> {
        let prefix = keys::of_job(job);
        let start = after.map_or_else(|| prefix.clone(), |host| keys::of_job_after(job, host));
        self.table
            .range(start, keys::after_job(job))
            .take(limit)
            .map(|entry| entry.and_then(|(key, id)| keys::indexed(&key, &id)))
            .collect()
    }

    async fn open_invocations(&self) -> Result<Vec<InvocationId>, StoreError> {
        let keys = self.table.scan_prefix(keys::OPEN).keys();
        keys.map(|key| keys::id_of(key?.get(1..).unwrap_or_default()).map(InvocationId::from_bytes)).collect()
    }

    async fn agents(&self) -> Result<Vec<KeptAgent>, StoreError> {
        self.scan::<AgentRecord, _>(keys::AGENT)
    }

    async fn agent(&self, site: &SiteName, name: &AgentName) -> Result<Option<KeptAgent>, StoreError> {
        self.record::<AgentRecord>(&keys::agent(site, name))?.map(TryInto::try_into).transpose()
    }

    async fn hosts(&self) -> Result<Vec<KeptHost>, StoreError> {
        self.scan::<HostRecord, _>(keys::HOST)
    }

    async fn token(&self, id: TokenId) -> Result<Option<KeptToken>, StoreError> {
        self.record::<TokenRecord>(&keys::token(id))?.map(TryInto::try_into).transpose()
    }

    async fn policy(&self, version: Option<u64>) -> Result<Option<KeptPolicy>, StoreError> {
        let newest = || -> Result<Option<Vec<u8>>, StoreError> {
            let last = self.table.scan_prefix_back(keys::POLICY).keys().next();
            Ok(last.transpose()?.map(|key| key.to_vec()))
        };
        let Some(key) = version.map_or_else(newest, |v| Ok(Some(keys::policy(v))))? else { return Ok(None) };
        self.record::<PolicyRecord>(&key)?.map(TryInto::try_into).transpose()
    }

    async fn shadow_policy(&self) -> Result<Option<KeptShadow>, StoreError> {
        self.record::<ShadowRecord>(keys::SHADOW)?.map(TryInto::try_into).transpose()
    }

    async fn settings(&self) -> Result<Option<KeptSettings>, StoreError> {
        self.record::<SettingsRecord>(keys::SETTINGS)?.map(TryInto::try_into).transpose()
    }

    async fn retention(&self) -> Result<Option<KeptRetention>, StoreError> {
        self.record::<RetentionRecord>(keys::RETENTION)?.map(TryInto::try_into).transpose()
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        self.scan::<FreezeRecord, _>(keys::FREEZE)
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.scan::<ErasureRecord, _>(keys::ERASURE)
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        self.scan::<HoldRecord, _>(keys::HOLD)
    }

    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        // Read first: every record below the head is in the table by now, and those that come meanwhile are above it.
        let head = self.audit_head().await?.size;
        let page = self.table.audit(from, limit)?;
        let next = from.saturating_add(page.len() as u64);
        if page.len() < limit && next < head {
            return Err(corrupt(format!("audit record {next} is missing")));
        }
        Ok(page)
    }

    async fn audit_may_match(&self, block: u64, query: &Query) -> Result<bool, StoreError> {
        Ok(summaries::get(&self.table, block)?.is_none_or(|summary| summary.may_match(query)))
    }

    async fn audit_head(&self) -> Result<TreeHead, StoreError> {
        Ok(*self.head.borrow())
    }

    fn audit_heads(&self) -> watch::Receiver<TreeHead> {
        self.head.subscribe()
    }

    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Digest>, StoreError> {
        nodes.iter().map(|node| nodes::hash(&self.table, *node)).collect()
    }

    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError> {
        checkpoints::keep(self.table.tree(), &checkpoint)
    }

    async fn checkpoints(&self, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        checkpoints::newest(self.table.tree(), limit)
    }
}

#[cfg(test)]
mod tests;
