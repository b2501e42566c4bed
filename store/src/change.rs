//! A change: what is expected, what is written, and at least one audit event. And the proof that it is durable.

use std::{path::PathBuf, sync::Arc};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    erasure::{Erasure, Hold},
    freeze::Freeze,
    id::{ErasureId, FreezeId, InvocationId, JobId},
    invocation::Invocation,
    job::{Counts, IdempotencyKey, Job},
    name::HostAlias,
    principal::Principal,
};

use crate::kept::{
    BoundKey, EndedJob, KeptAgent, KeptHost, KeptPolicy, KeptRetention, KeptSettings, KeptShadow, KeptToken,
};

/// State to be written and the audit events that say so.
#[derive(Debug, Clone)]
#[must_use = "a change does nothing until it is committed"]
pub struct Change {
    pub(crate) at: Timestamp,
    pub(crate) writes: Vec<Write>,
    pub(crate) events: Vec<AuditEvent>,
}

/// One piece of state, with what it replaces.
#[derive(Debug, Clone)]
pub enum Write {
    /// A job that must not exist.
    CreateJob(Job),
    /// A job whose kept version is `version - 1`.
    UpdateJob {
        /// The job.
        job: Job,
        /// Its counts once it has ended.
        counts: Option<Counts>,
        /// The version it gets.
        version: u64,
    },
    /// An idempotency key that is unknown or whose time is over.
    BindKey {
        /// Whose key.
        principal: Principal,
        /// The key.
        key: IdempotencyKey,
        /// What it stands for.
        job: JobId,
        /// Digest of the request.
        request_digest: lictor_core::digest::Digest,
        /// Until when it is kept.
        expires_at: Timestamp,
    },
    /// An invocation that must not exist; its version is 1.
    CreateInvocation(Invocation),
    /// An invocation whose kept version is one less than its own.
    UpdateInvocation(Arc<Invocation>),
    /// As [`Write::UpdateInvocation`], of one whose whole standard output lies in a file: its output has counts and digests,
    /// no bytes, and nothing of standard error.
    UpdateInvocationWithFile {
        /// The invocation.
        invocation: Invocation,
        /// The file. It has the digest that standard output says, stays as it is until the change is done, and is then the
        /// caller's to remove.
        file: PathBuf,
    },
    /// That a job has ended, and how much is kept of it; the kept version is one less, and version 1 must not exist.
    PutEnded(EndedJob),
    /// A job of this version that has ended, and is forgotten. Its invocations go in the same change.
    RemoveJob {
        /// Which, as it was last recorded to have ended.
        ended: EndedJob,
        /// Its kept version.
        version: u64,
    },
    /// An invocation of a job that is forgotten.
    RemoveInvocation {
        /// Which.
        id: InvocationId,
        /// Its job.
        job: JobId,
        /// Its host.
        host: HostAlias,
        /// Its attempt.
        attempt: u32,
        /// Its kept version.
        version: u64,
    },
    /// An idempotency key that still has the same time.
    RemoveKey(BoundKey),
    /// An agent whose kept version is one less than its own; version 1 must not exist.
    PutAgent(KeptAgent),
    /// A host that is unknown or belongs to the same site.
    PutHost(KeptHost),
    /// A host that is no longer there.
    RemoveHost(HostAlias),
    /// A join token that must not exist.
    CreateToken(KeptToken),
    /// A join token, now spent, that must not have been spent before.
    SpendToken(KeptToken),
    /// A policy version that must not exist.
    PutPolicy(KeptPolicy),
    /// The policy that is proposed; it replaces the one before.
    PutShadow(KeptShadow),
    /// No policy is proposed any more.
    RemoveShadow,
    /// The settings with which a controller starts; they replace those before.
    PutSettings(KeptSettings),
    /// The limits of retention, whose kept version is one less than their own; version 1 must not exist.
    PutRetention(KeptRetention),
    /// A freeze that must not exist.
    PutFreeze(Freeze),
    /// A freeze that must exist.
    RemoveFreeze(FreezeId),
    /// An erasure that must not exist.
    PutErasure(Erasure),
    /// An erasure that must exist.
    RemoveErasure(ErasureId),
    /// A hold whose kept version is one less than its own; version 1 must not exist.
    PutHold(Hold),
    /// A hold that must exist in this version.
    RemoveHold(Hold),
    /// The payloads of the audit records in these ranges of indices, each from the first to before the second: they are
    /// gone for good once the change is acknowledged.
    ErasePayloads(Vec<(u64, u64)>),
}

/// Proof that a change is durable. Only a store can make one, and only after its sync returned.
#[derive(Debug)]
#[must_use = "what was recorded should be acted on"]
pub struct Recorded {
    first_index: u64,
    events: u64,
}

// === impl Change ===

impl Change {
    /// A change at `at` that says `event`.
    pub fn new(at: Timestamp, event: AuditEvent) -> Self {
        Self { at, writes: Vec::new(), events: vec![event] }
    }
    /// Says one more event.
    pub fn event(mut self, event: AuditEvent) -> Self {
        self.events.push(event);
        self
    }
    /// Writes one more piece of state.
    pub fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }
}

// === impl Recorded ===

impl Recorded {
    pub(crate) const fn new(first_index: u64, events: u64) -> Self {
        Self { first_index, events }
    }
    /// Index of the first audit record of the change.
    pub const fn first_index(&self) -> u64 {
        self.first_index
    }
    /// Number of audit records of the change.
    pub const fn events(&self) -> u64 {
        self.events
    }
}
