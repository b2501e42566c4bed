//! What is kept, and the one verb that changes it: [`Store::commit`].
//!
//! A [`Change`] moves state and says so in the audit log, in one atomic step: it cannot be built without an audit
//! event, and nothing of it is visible before all of it is durable. [`memory`] is the simplest true implementation and
//! the oracle of the others; [`embedded`] keeps a synced journal and a sled tree. Both pass the suite in `conformance`.
//!
//! This crate knows neither wire types nor the policy language; it stores their texts and digests.

pub mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod embedded;
pub mod kept;
pub mod memory;
pub mod outline;
pub mod record;

use async_trait::async_trait;
use bytes::Bytes;
use lictor_core::{
    audit::query::Query,
    digest::Digest,
    erasure::{Erasure, Hold},
    freeze::Freeze,
    id::{InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::IdempotencyKey,
    merkle::{
        Node, TreeHead,
        proof::{Plan, plan_consistency, plan_inclusion, plan_root},
    },
    name::{AgentName, HostAlias, SiteName},
    output::StreamName,
    principal::Principal,
};
use tokio::sync::watch;

use self::record::{AuditFacts, Missing};
pub use self::{
    change::{Change, Recorded, Write},
    kept::{
        BoundKey, EndedJob, KeptAgent, KeptCheckpoint, KeptHost, KeptJob, KeptKey, KeptPolicy, KeptRetention,
        KeptSettings, KeptShadow, KeptToken,
    },
    outline::{IndexedInvocation, KeptOutput, KeptStream, Outline},
};

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its index, counted from 0 without gaps.
    pub index: u64,
    /// What was hashed: one JSON object.
    pub content: Bytes,
    /// What the record commits to: one JSON object. Empty: it commits to nothing, or its payload was erased.
    pub payload: Bytes,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// What the change expected is no longer so; nothing of it was done.
    #[error("{what} changed in the meantime")]
    Conflict {
        /// What changed.
        what: String,
    },
    /// The store cannot write; nothing of the change was acknowledged, and nothing may be started.
    #[error("the store cannot write: {0}")]
    Unavailable(String),
    /// What is kept cannot be read.
    #[error("the store holds something it cannot read: {0}")]
    Corrupt(String),
}

// === impl AuditEntry ===

impl AuditEntry {
    /// Whether the record may commit to a payload that is not there any more: a quick look, never wrong when it says no.
    pub fn may_be_erased(&self) -> bool {
        self.payload.is_empty() && record::mentions_payload(&self.content)
    }
    /// The record with its payload, as it is read.
    pub fn facts(&self) -> Option<AuditFacts> {
        AuditFacts::read_with(&self.content, &self.payload, Missing::Erased)
    }
}

/// What is kept. Reads see exactly the changes that were acknowledged.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug + 'static {
    /// Does all of `change` and makes it durable, or nothing.
    async fn commit(&self, change: Change) -> Result<Recorded, StoreError>;
    /// Waits until the store takes no change any more and only opening it again can help; for ever while that is not so.
    async fn ended(&self) {
        std::future::pending().await
    }

    /// A job.
    async fn job(&self, id: JobId) -> Result<Option<KeptJob>, StoreError>;
    /// At most `limit` jobs that are older than `before`, newest first.
    async fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<KeptJob>, StoreError>;
    /// The job that a principal asked for under a key.
    async fn idempotency_key(
        &self,
        principal: &Principal,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptKey>, StoreError>;

    /// At most `limit` idempotency keys behind `after`, in an order that stays.
    async fn bound_keys(&self, after: Option<&BoundKey>, limit: usize) -> Result<Vec<BoundKey>, StoreError>;
    /// At most `limit` jobs that have ended and are newer than `after`, oldest first.
    async fn ended_jobs(&self, after: Option<JobId>, limit: usize) -> Result<Vec<EndedJob>, StoreError>;
    /// A job that has ended.
    async fn ended_job(&self, id: JobId) -> Result<Option<EndedJob>, StoreError>;

    /// An invocation with its output.
    async fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, StoreError>;
    /// An invocation without the bytes that it printed.
    async fn outline(&self, id: InvocationId) -> Result<Option<Outline>, StoreError> {
        Ok(self.invocation(id).await?.map(Outline::of))
    }
    /// The kept bytes of a stream from `from` to `to`, a range as [`KeptStream::next`] gives it; `None` where not all of them
    /// are kept any more.
    async fn output(
        &self,
        id: InvocationId,
        stream: StreamName,
        from: u64,
        to: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.invocation(id).await?.map(|i| outline::slice(&i.output, stream, from, to));
        Ok(bytes.filter(|bytes| bytes.len() as u64 == to.saturating_sub(from)))
    }
    /// At most `limit` entries of the index of a job's invocations, ordered by host, on hosts after `after`.
    async fn indexed_invocations(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<IndexedInvocation>, StoreError>;
    /// At most `limit` invocations of a job, ordered by host, on hosts after `after`.
    async fn invocation_ids(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<InvocationId>, StoreError> {
        Ok(self.indexed_invocations(job, after, limit).await?.into_iter().map(|entry| entry.id).collect())
    }
    /// What [`invocation_ids`](Self::invocation_ids) names, without output. For a record that cannot be read stands
    /// [`Outline::unreadable`]: one of them hides none of the others, nor that there is one.
    async fn outlines(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<Outline>, StoreError> {
        let mut outlines = Vec::new();
        for entry in self.indexed_invocations(job, after, limit).await? {
            match self.outline(entry.id).await {
                Ok(Some(outline)) => outlines.push(outline),
                // It may have been removed with its job since.
                Ok(None) if self.indexed_invocations(job, after, 1).await?.is_empty() => {}
                Ok(None) => {
                    tracing::error!(invocation = %entry.id, host = %entry.host, "a record is missing; restore the store from a backup");
                    outlines.push(Outline::unreadable(job, entry)?);
                }
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(invocation = %entry.id, host = %entry.host, %why, "a record cannot be read; it is left alone, restore it from a backup");
                    outlines.push(Outline::unreadable(job, entry)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outlines)
    }
    /// Every invocation that has not ended.
    async fn open_invocations(&self) -> Result<Vec<InvocationId>, StoreError>;

    /// Removes what a crash left behind and nothing refers to; answers how many files.
    async fn remove_orphans(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Every agent that has joined.
    async fn agents(&self) -> Result<Vec<KeptAgent>, StoreError>;
    /// One agent.
    async fn agent(&self, site: &SiteName, name: &AgentName) -> Result<Option<KeptAgent>, StoreError>;
    /// Every host that a site has reported.
    async fn hosts(&self) -> Result<Vec<KeptHost>, StoreError>;
    /// A join token.
    async fn token(&self, id: TokenId) -> Result<Option<KeptToken>, StoreError>;
    /// A version of the policy; `None` asks for the newest.
    async fn policy(&self, version: Option<u64>) -> Result<Option<KeptPolicy>, StoreError>;
    /// The policy that is proposed, if one is.
    async fn shadow_policy(&self) -> Result<Option<KeptShadow>, StoreError>;
    /// The settings with which a controller last started.
    async fn settings(&self) -> Result<Option<KeptSettings>, StoreError>;
    /// The limits of retention in force; `None` before the first start that knew of them.
    async fn retention(&self) -> Result<Option<KeptRetention>, StoreError>;
    /// Every freeze that was not lifted.
    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError>;
    /// Every erasure that was neither done nor ended, by identifier.
    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError>;
    /// Every hold that was not lifted, by identifier.
    async fn holds(&self) -> Result<Vec<Hold>, StoreError>;

    /// At most `limit` audit records from index `from` on.
    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;
    /// Whether a record of the block with this number, of [`BLOCK`](record::summary::BLOCK) records, may fit `query`: `false`
    /// is certain. A store that has no summaries always says so.
    async fn audit_may_match(&self, _block: u64, _query: &Query) -> Result<bool, StoreError> {
        Ok(true)
    }
    /// Size and root of the audit log.
    async fn audit_head(&self) -> Result<TreeHead, StoreError>;
    /// Size and root of the audit log, as they change.
    fn audit_heads(&self) -> watch::Receiver<TreeHead>;
    /// The hashes of complete subtrees of the audit log, in the order asked for.
    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Digest>, StoreError>;

    /// The head that the audit log had with `size` records; `None` if it never had so many.
    async fn audit_head_at(&self, size: u64) -> Result<Option<TreeHead>, StoreError> {
        if size > self.audit_head().await?.size {
            return Ok(None);
        }
        let root = self.audit_proof(&plan_root(size)).await?.first().copied();
        Ok(root.map(|root| TreeHead { size, root }))
    }
    /// The proof that the audit log of `size` records begins with that of `old` (RFC 9162 §2.1.4); `None` if it never had
    /// so many, or `old` is more.
    async fn consistency_proof(&self, old: u64, size: u64) -> Result<Option<Vec<Digest>>, StoreError> {
        match plan_consistency(old, size).filter(|_| size <= self.audit_heads().borrow().size) {
            Some(plan) => self.audit_proof(&plan).await.map(Some),
            None => Ok(None),
        }
    }
    /// The proof that the record `index` is in the audit log of `size` records (RFC 9162 §2.1.3); `None` if it is not.
    async fn inclusion_proof(&self, index: u64, size: u64) -> Result<Option<Vec<Digest>>, StoreError> {
        match plan_inclusion(index, size).filter(|_| size <= self.audit_heads().borrow().size) {
            Some(plan) => self.audit_proof(&plan).await.map(Some),
            None => Ok(None),
        }
    }
    /// The hashes of a proof that was planned over records that are there.
    async fn audit_proof(&self, plan: &Plan) -> Result<Vec<Digest>, StoreError> {
        let hashes = self.audit_nodes(&plan.nodes()).await?;
        plan.fold(&hashes).ok_or_else(|| StoreError::Corrupt("a hash of the audit log is missing".into()))
    }

    /// Keeps a signed head: the newest, and the last of each hour before, at most [`MAX_CHECKPOINTS`]. The one write that
    /// is no [`Change`]: it says nothing that the log does not say, and what is lost of it in a crash is signed again.
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError>;
    /// At most `limit` signed heads, newest first.
    async fn checkpoints(&self, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError>;
}

/// Most signed heads that are kept: a year of hours.
pub const MAX_CHECKPOINTS: usize = 366 * 24;

/// The hour in which something was, counted from 1970.
pub(crate) const fn hour_of(at: lictor_core::clock::Timestamp) -> u64 {
    at.as_micros() / (3600 * 1_000_000)
}
