//! The model: everything in maps behind one lock. The oracle of the other backends; nothing survives the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    erasure::{Erasure, Hold},
    freeze::Freeze,
    id::{ErasureId, FreezeId, HoldId, InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::IdempotencyKey,
    merkle::{Frontier, Node, TreeHead, leaf_hash},
    name::{AgentName, HostAlias, SiteName},
    principal::Principal,
};

use tokio::sync::watch;

use crate::{
    AuditEntry, BoundKey, Change, EndedJob, IndexedInvocation, KeptAgent, KeptCheckpoint, KeptHost, KeptJob,
    KeptKey, KeptPolicy, KeptRetention, KeptSettings, KeptShadow, KeptToken, MAX_CHECKPOINTS, Recorded,
    Store, StoreError, Write, hour_of,
    record::{SealedEvent, seal_event},
};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    head: watch::Sender<TreeHead>,
}

#[derive(Debug, Clone, Default)]
struct State {
    jobs: BTreeMap<JobId, KeptJob>,
    keys: BTreeMap<(String, IdempotencyKey), KeptKey>,
    invocations: BTreeMap<InvocationId, Invocation>,
    by_job: BTreeMap<(JobId, HostAlias, u32), InvocationId>,
    open: BTreeSet<InvocationId>,
    ended: BTreeMap<JobId, EndedJob>,
    agents: BTreeMap<(SiteName, AgentName), KeptAgent>,
    hosts: BTreeMap<HostAlias, KeptHost>,
    tokens: BTreeMap<TokenId, KeptToken>,
    policies: BTreeMap<u64, KeptPolicy>,
    shadow: Option<KeptShadow>,
    settings: Option<KeptSettings>,
    retention: Option<KeptRetention>,
    freezes: BTreeMap<FreezeId, Freeze>,
    erasures: BTreeMap<ErasureId, Erasure>,
    holds: BTreeMap<HoldId, Hold>,
    audit: Vec<SealedEvent>,
    frontier: Frontier,
    checkpoints: BTreeMap<u64, KeptCheckpoint>,
}

// === impl MemoryStore ===

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Mutex::default(), head: watch::Sender::new(Frontier::default().head()) }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A change is applied to a copy, so a panic elsewhere never leaves half of one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn apply(&mut self, write: Write, at: Timestamp) -> Result<(), StoreError> {
        match write {
            Write::CreateJob(job) => {
                expect(!self.jobs.contains_key(&job.id), || format!("job {}", job.id))?;
                self.jobs.insert(job.id, KeptJob { job, counts: None, version: 1 });
            }
            Write::UpdateJob { job, counts, version } => {
                let kept = self.jobs.get(&job.id).map(|j| j.version);
                expect(kept.map(|v| v + 1) == Some(version), || format!("job {}", job.id))?;
                self.jobs.insert(job.id, KeptJob { job, counts, version });
            }
            Write::BindKey { principal, key, job, request_digest, expires_at } => {
                let slot = (key_owner(&principal), key);
                let free = self.keys.get(&slot).is_none_or(|k| k.expires_at < at);
                expect(free, || format!("idempotency key {}", slot.1.as_str()))?;
                self.keys.insert(slot, KeptKey { job, request_digest, expires_at });
            }
            Write::CreateInvocation(invocation) => {
                let free = !self.invocations.contains_key(&invocation.id) && invocation.version == 1;
                expect(free, || format!("invocation {}", invocation.id))?;
                self.by_job
                    .insert((invocation.job, invocation.host.clone(), invocation.attempt), invocation.id);
                self.put_invocation(invocation);
            }
            Write::UpdateInvocation(invocation) => {
                let kept = self.invocations.get(&invocation.id).map(|i| i.version);
                expect(kept.map(|v| v + 1) == Some(invocation.version), || {
                    format!("invocation {}", invocation.id)
                })?;
                self.put_invocation(Arc::unwrap_or_clone(invocation));
            }
            Write::UpdateInvocationWithFile { mut invocation, file } => {
                invocation.output.stdout.head =
                    std::fs::read(file).map_err(|e| StoreError::Unavailable(e.to_string()))?;
                self.apply(Write::UpdateInvocation(invocation.into()), at)?;
            }
            Write::PutEnded(ended) => {
                let kept = self.ended.get(&ended.job).map_or(0, |e| e.version);
                expect(kept + 1 == ended.version, || format!("the end of job {}", ended.job))?;
                self.ended.insert(ended.job, ended);
            }
            Write::RemoveJob { ended, version } => {
                let kept = self.jobs.remove(&ended.job).map(|j| j.version);
                expect(kept == Some(version), || format!("job {}", ended.job))?;
                let kept = self.ended.remove(&ended.job).map(|e| e.version);
                expect(kept == Some(ended.version), || format!("the end of job {}", ended.job))?;
            }
            Write::RemoveInvocation { id, job, host, attempt, version } => {
                let kept = self.invocations.remove(&id).map(|i| i.version);
                expect(kept == Some(version), || format!("invocation {id}"))?;
                self.by_job.remove(&(job, host, attempt));
                self.open.remove(&id);
            }
            Write::RemoveKey(BoundKey { owner, key, expires_at }) => {
                let kept = self.keys.remove(&(owner, key.clone())).map(|k| k.expires_at);
                expect(kept == Some(expires_at), || format!("idempotency key {}", key.as_str()))?;
            }
            Write::PutAgent(agent) => {
                let slot = (agent.site.clone(), agent.name.clone());
                let kept = self.agents.get(&slot).map_or(0, |a| a.version);
                expect(kept + 1 == agent.version, || format!("agent {}/{}", agent.site, agent.name))?;
                self.agents.insert(slot, agent);
            }
            Write::PutHost(host) => {
                let ours = self.hosts.get(&host.alias).is_none_or(|h| h.site == host.site);
                expect(ours, || format!("host {}", host.alias))?;
                self.hosts.insert(host.alias.clone(), host);
            }
            Write::RemoveHost(alias) => {
                self.hosts.remove(&alias);
            }
            Write::CreateToken(token) => {
                expect(!self.tokens.contains_key(&token.id), || format!("token {}", token.id))?;
                self.tokens.insert(token.id, token);
            }
            Write::SpendToken(token) => {
                let unspent = self.tokens.get(&token.id).is_some_and(|t| t.spent_at.is_none());
                expect(unspent, || format!("token {}", token.id))?;
                self.tokens.insert(token.id, token);
            }
            Write::PutPolicy(policy) => {
                expect(!self.policies.contains_key(&policy.version), || {
                    format!("policy version {}", policy.version)
                })?;
                self.policies.insert(policy.version, policy);
            }
            Write::PutShadow(shadow) => self.shadow = Some(shadow),
            Write::RemoveShadow => self.shadow = None,
            Write::PutSettings(settings) => self.settings = Some(settings),
            Write::PutRetention(retention) => {
                let kept = self.retention.as_ref().map_or(0, |kept| kept.version);
                expect(kept + 1 == retention.version, || "the limits of retention".to_owned())?;
                self.retention = Some(retention);
            }
            Write::PutFreeze(freeze) => {
                expect(!self.freezes.contains_key(&freeze.id), || format!("freeze {}", freeze.id))?;
                self.freezes.insert(freeze.id, freeze);
            }
            Write::RemoveFreeze(id) => {
                expect(self.freezes.remove(&id).is_some(), || format!("freeze {id}"))?;
            }
            Write::PutErasure(erasure) => {
                expect(!self.erasures.contains_key(&erasure.id), || format!("erasure {}", erasure.id))?;
                self.erasures.insert(erasure.id, erasure);
            }
            Write::RemoveErasure(id) => {
                expect(self.erasures.remove(&id).is_some(), || format!("erasure {id}"))?;
            }
            Write::PutHold(hold) => {
                let kept = self.holds.get(&hold.id).map_or(0, |kept| kept.version);
                expect(kept + 1 == hold.version, || format!("hold {}", hold.id))?;
                self.holds.insert(hold.id, hold);
            }
            Write::RemoveHold(hold) => {
                let kept = self.holds.remove(&hold.id).map(|kept| kept.version);
                expect(kept == Some(hold.version), || format!("hold {}", hold.id))?;
            }
            Write::ErasePayloads(ranges) => {
                for (from, to) in ranges {
                    let place = |index| usize::try_from(index).unwrap_or(usize::MAX).min(self.audit.len());
                    let (from, to) = (place(from), place(to));
                    for record in self.audit.get_mut(from..to).unwrap_or_default() {
                        record.payload = Vec::new();
                    }
                }
            }
        }
        Ok(())
    }

    fn put_invocation(&mut self, invocation: Invocation) {
        if invocation.state.outcome().is_some() {
            self.open.remove(&invocation.id);
        } else {
            self.open.insert(invocation.id);
        }
        self.invocations.insert(invocation.id, invocation);
    }
}

fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), StoreError> {
    if holds { Ok(()) } else { Err(StoreError::Conflict { what: what() }) }
}

/// Whose keys: principals of different kinds and tenants never share one.
pub(crate) fn key_owner(principal: &Principal) -> String {
    format!("{}/{}/{}", principal.tenant, principal.kind.as_str(), principal.name)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, change: Change) -> Result<Recorded, StoreError> {
        let mut state = self.state();
        let mut next = state.clone();
        let at = change.at;
        for write in change.writes {
            next.apply(write, at)?;
        }
        let first = next.frontier.size();
        let events = change.events.len() as u64;
        for event in &change.events {
            let sealed = seal_event(at, event, rand::random());
            next.frontier.push(leaf_hash(&sealed.content));
            next.audit.push(sealed);
        }
        *state = next;
        self.head.send_replace(state.frontier.head());
        Ok(Recorded::new(first, events))
    }

    async fn job(&self, id: JobId) -> Result<Option<KeptJob>, StoreError> {
        Ok(self.state().jobs.get(&id).cloned())
    }

    async fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<KeptJob>, StoreError> {
        let state = self.state();
        let older = state.jobs.iter().rev().filter(|(id, _)| before.is_none_or(|b| **id < b));
        Ok(older.take(limit).map(|(_, job)| job.clone()).collect())
    }

    async fn idempotency_key(
        &self,
        principal: &Principal,
        key: &IdempotencyKey,
    ) -> Result<Option<KeptKey>, StoreError> {
        Ok(self.state().keys.get(&(key_owner(principal), key.clone())).copied())
    }

    async fn bound_keys(&self, after: Option<&BoundKey>, limit: usize) -> Result<Vec<BoundKey>, StoreError> {
        let state = self.state();
        let behind = |(owner, key): &(String, IdempotencyKey)| {
            after.is_none_or(|a| (owner.as_str(), key) > (a.owner.as_str(), &a.key))
        };
        let bound = |((owner, key), kept): (&(String, IdempotencyKey), &KeptKey)| BoundKey {
            owner: owner.clone(),
            key: key.clone(),
            expires_at: kept.expires_at,
        };
        Ok(state.keys.iter().filter(|(slot, _)| behind(slot)).take(limit).map(bound).collect())
    }

    async fn ended_jobs(&self, after: Option<JobId>, limit: usize) -> Result<Vec<EndedJob>, StoreError> {
        let state = self.state();
        let newer = state.ended.values().filter(|ended| after.is_none_or(|a| ended.job > a));
        Ok(newer.take(limit).copied().collect())
    }

    async fn ended_job(&self, id: JobId) -> Result<Option<EndedJob>, StoreError> {
        Ok(self.state().ended.get(&id).copied())
    }

    async fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, StoreError> {
        Ok(self.state().invocations.get(&id).cloned())
    }

    async fn indexed_invocations(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<IndexedInvocation>, StoreError> {
        let state = self.state();
        let of_job =
            state.by_job.iter().filter(|((j, host, _), _)| *j == job && after.is_none_or(|a| host > a));
        let entry = |((_, host, attempt), id): (&(JobId, HostAlias, u32), &InvocationId)| IndexedInvocation {
            id: *id,
            host: host.clone(),
            attempt: *attempt,
        };
        Ok(of_job.take(limit).map(entry).collect())
    }

    async fn open_invocations(&self) -> Result<Vec<InvocationId>, StoreError> {
        Ok(self.state().open.iter().copied().collect())
    }

    async fn agents(&self) -> Result<Vec<KeptAgent>, StoreError> {
        Ok(self.state().agents.values().cloned().collect())
    }

    async fn agent(&self, site: &SiteName, name: &AgentName) -> Result<Option<KeptAgent>, StoreError> {
        Ok(self.state().agents.get(&(site.clone(), name.clone())).cloned())
    }

    async fn hosts(&self) -> Result<Vec<KeptHost>, StoreError> {
        Ok(self.state().hosts.values().cloned().collect())
    }

    async fn token(&self, id: TokenId) -> Result<Option<KeptToken>, StoreError> {
        Ok(self.state().tokens.get(&id).cloned())
    }

    async fn policy(&self, version: Option<u64>) -> Result<Option<KeptPolicy>, StoreError> {
        let state = self.state();
        Ok(match version {
            Some(version) => state.policies.get(&version).cloned(),
            None => state.policies.last_key_value().map(|(_, p)| p.clone()),
        })
    }

    async fn shadow_policy(&self) -> Result<Option<KeptShadow>, StoreError> {
        Ok(self.state().shadow.clone())
    }

    async fn settings(&self) -> Result<Option<KeptSettings>, StoreError> {
        Ok(self.state().settings.clone())
    }

    async fn retention(&self) -> Result<Option<KeptRetention>, StoreError> {
        Ok(self.state().retention.clone())
    }

    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        Ok(self.state().freezes.values().cloned().collect())
    }

    async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        Ok(self.state().erasures.values().cloned().collect())
    }

    async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        Ok(self.state().holds.values().cloned().collect())
    }

    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let state = self.state();
        let first = usize::try_from(from).unwrap_or(usize::MAX);
        let page = state.audit.iter().skip(first).take(limit);
        let entry = |(SealedEvent { content, payload }, index): (SealedEvent, u64)| AuditEntry {
            index,
            content: content.into(),
            payload: payload.into(),
        };
        Ok(page.cloned().zip(from..).map(entry).collect())
    }

    async fn audit_head(&self) -> Result<TreeHead, StoreError> {
        Ok(self.state().frontier.head())
    }

    fn audit_heads(&self) -> watch::Receiver<TreeHead> {
        self.head.subscribe()
    }

    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Digest>, StoreError> {
        let state = self.state();
        let hash = |node: &Node| {
            let records = 1 << node.level;
            let first = usize::try_from(node.index << node.level).unwrap_or(usize::MAX);
            let under = state.audit.get(first..).and_then(|rest| rest.get(..records));
            let under =
                under.ok_or_else(|| StoreError::Corrupt("a hash of records that are not there".into()))?;
            let mut subtree = Frontier::default();
            for record in under {
                subtree.push(leaf_hash(&record.content));
            }
            Ok(subtree.head().root)
        };
        nodes.iter().map(hash).collect()
    }

    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError> {
        let mut state = self.state();
        let before = state.checkpoints.range(..checkpoint.size).next_back();
        let replaced = before.filter(|(_, b)| hour_of(b.at) == hour_of(checkpoint.at)).map(|(size, _)| *size);
        if let Some(size) = replaced {
            state.checkpoints.remove(&size);
        }
        state.checkpoints.insert(checkpoint.size, checkpoint);
        if state.checkpoints.len() > MAX_CHECKPOINTS {
            state.checkpoints.pop_first();
        }
        Ok(())
    }

    async fn checkpoints(&self, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        Ok(self.state().checkpoints.values().rev().take(limit).cloned().collect())
    }
}
