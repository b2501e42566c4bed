//! What is kept besides jobs and invocations: agents, hosts, tokens, policies, a proposed one, idempotency keys, and which
//! jobs have ended.

use std::collections::BTreeMap;

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    id::{JobId, TokenId},
    job::{Counts, IdempotencyKey, Job},
    label::Labels,
    name::{AgentName, HostAlias, SiteName, Tag, TenantName},
    retention::{RetentionLimits, Shortening},
    revocation::Revocation,
};

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptJob {
    /// The job.
    pub job: Job,
    /// Its counts once it has ended; before that they follow from its invocations.
    pub counts: Option<Counts>,
    /// Grows by one with each change.
    pub version: u64,
}

/// What an idempotency key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptKey {
    /// The job.
    pub job: JobId,
    /// Digest of the request that made it.
    pub request_digest: Digest,
    /// Until when the key is kept.
    pub expires_at: Timestamp,
}

/// An idempotency key by itself: whose it is, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundKey {
    /// Whose: tenant, kind and name of the principal.
    pub(crate) owner: String,
    /// The key.
    pub(crate) key: IdempotencyKey,
    /// Until when it is kept.
    pub expires_at: Timestamp,
}

/// A job that has ended, as far as it matters for how long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedJob {
    /// The job.
    pub job: JobId,
    /// When its end was recorded.
    pub ended_at: Timestamp,
    /// Bytes of output that are kept of all its invocations. What several printed alike is counted for each.
    pub output_bytes: u64,
    /// Grows by one with each change.
    pub version: u64,
}

/// An agent that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAgent {
    /// Its tenant.
    pub tenant: TenantName,
    /// Its site.
    pub site: SiteName,
    /// Its name.
    pub name: AgentName,
    /// Grows with each session.
    pub epoch: u64,
    /// When it joined.
    pub enrolled_at: Timestamp,
    /// Serial number of the newest certificate, hexadecimal.
    pub serial: String,
    /// The journal it had in its last session; empty before the first.
    pub journal_id: String,
    /// The key with which it cosigns checkpoints, as `NAME+ID+KEY`; empty before it first said one.
    pub witness_key: String,
    /// Grows with each revocation: after the first, only certificates that were issued in this generation count.
    pub generation: u32,
    /// Its revocation, until it joins anew.
    pub revoked: Option<Revocation>,
    /// Grows by one with each change.
    pub version: u64,
}

/// A host as its site reports it. No secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHost {
    /// Its alias, unique.
    pub alias: HostAlias,
    /// Its site.
    pub site: SiteName,
    /// Its tags, sorted.
    pub tags: Vec<Tag>,
    /// Its labels.
    pub labels: Labels,
    /// Free text.
    pub description: String,
    /// `address:port`.
    pub address: String,
    /// The login.
    pub user: String,
    /// `SHA256:…` of each pinned key.
    pub host_key_fingerprints: Vec<String>,
}

/// A join token; its secret only as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// The token.
    pub id: TokenId,
    /// Digest of the secret.
    pub secret_digest: Digest,
    /// The tenant of the agent that may use it.
    pub tenant: TenantName,
    /// Its site.
    pub site: SiteName,
    /// Its name.
    pub agent: AgentName,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was spent.
    pub spent_at: Option<Timestamp>,
    /// The generation of the agent when it was made: a revocation makes it void.
    pub generation: u32,
}

/// A version of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPolicy {
    /// Counted from 1.
    pub version: u64,
    /// Digest of the text.
    pub digest: Digest,
    /// The YAML text.
    pub source: String,
    /// Who put it.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// What whoever put it says of the change; may be empty.
    pub note: String,
}

/// A policy that is proposed: judged beside the one in force, and without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptShadow {
    /// Digest of the text.
    pub digest: Digest,
    /// The YAML text.
    pub source: String,
    /// Who proposed it.
    pub put_by: String,
    /// When.
    pub put_at: Timestamp,
}

/// The settings with which a controller last started, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptSettings {
    /// Values as text.
    pub values: BTreeMap<String, String>,
}

/// The limits of retention in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRetention {
    /// The limits.
    pub limits: RetentionLimits,
    /// Who wants shorter ones; another person has to consent.
    pub asked: Option<Shortening>,
    /// Grows by one with each change, from 1.
    pub version: u64,
}

/// A signed head of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// How many records it covers.
    pub size: u64,
    /// The signed note, with the cosignatures that had come.
    pub note: String,
    /// When it was signed.
    pub at: Timestamp,
}
