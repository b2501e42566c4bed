//! Keys of the one tree: a letter for the kind, then what identifies the thing. One tree, so one batch is atomic.

use lictor_core::{
    id::{ErasureId, FreezeId, HoldId, InvocationId, JobId, TokenId},
    job::IdempotencyKey,
    name::{AgentName, HostAlias, SiteName},
    principal::Principal,
};

use crate::{StoreError, memory::key_owner, record::corrupt};

/// How far the journal has been applied.
pub(super) const APPLIED: &[u8] = b"m/applied";
/// The edge of the audit tree.
pub(super) const FRONTIER: &[u8] = b"m/frontier";
/// How far the files of payloads were written.
pub(super) const PAYLOADS: &[u8] = b"m/payloads";
/// Payloads that are to be erased; passes through the journal and is not kept.
pub(super) const ERASED: &[u8] = b"x";
/// The policy that is proposed.
pub(super) const SHADOW: &[u8] = b"m/shadow";
pub(super) const AUDIT: &[u8] = b"a";
/// Checkpoints of the audit log, by size.
pub(super) const CHECKPOINT: &[u8] = b"C";
pub(super) const AGENT: &[u8] = b"g";
pub(super) const ERASURE: &[u8] = b"e";
pub(super) const FREEZE: &[u8] = b"f";
pub(super) const HOLD: &[u8] = b"l";
pub(super) const HOST: &[u8] = b"h";
pub(super) const OPEN: &[u8] = b"o";
pub(super) const POLICY: &[u8] = b"p";
/// Summaries of blocks of the audit log, by number.
pub(super) const SUMMARY: &[u8] = b"S";

/// Length of the key of an audit record.
pub(super) const AUDIT_BYTES: usize = 9;

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push(0);
        }
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn job(id: JobId) -> Vec<u8> {
    key(b'j', &[id.as_bytes()])
}
pub(super) const fn first_job() -> &'static [u8] {
    b"j"
}
pub(super) const fn after_all_jobs() -> &'static [u8] {
    b"k"
}
pub(super) fn idempotency(principal: &Principal, idempotency_key: &IdempotencyKey) -> Vec<u8> {
    key(b'k', &[key_owner(principal).as_bytes(), idempotency_key.as_str().as_bytes()])
}
pub(super) fn invocation(id: InvocationId) -> Vec<u8> {
    key(b'i', &[id.as_bytes()])
}
pub(super) fn open(id: InvocationId) -> Vec<u8> {
    key(b'o', &[id.as_bytes()])
}
pub(super) fn of_job(job: JobId) -> Vec<u8> {
    key(b'b', &[job.as_bytes(), b""])
}
/// Past every invocation of the job.
pub(super) fn after_job(job: JobId) -> Vec<u8> {
    let mut after = key(b'b', &[job.as_bytes()]);
    after.push(1);
    after
}
pub(super) fn of_job_host(job: JobId, host: &HostAlias, attempt: u32) -> Vec<u8> {
    key(b'b', &[job.as_bytes(), host.as_str().as_bytes(), &attempt.to_be_bytes()])
}
/// Past every attempt on `host`: names have no byte 1, and 0 ends them.
pub(super) fn of_job_after(job: JobId, host: &HostAlias) -> Vec<u8> {
    let mut after = key(b'b', &[job.as_bytes(), host.as_str().as_bytes()]);
    after.push(1);
    after
}
pub(super) fn agent(site: &SiteName, name: &AgentName) -> Vec<u8> {
    key(b'g', &[site.as_str().as_bytes(), name.as_str().as_bytes()])
}
pub(super) fn host(alias: &HostAlias) -> Vec<u8> {
    key(b'h', &[alias.as_str().as_bytes()])
}
pub(super) fn erasure(id: ErasureId) -> Vec<u8> {
    key(b'e', &[id.as_bytes()])
}
pub(super) fn hold(id: HoldId) -> Vec<u8> {
    key(b'l', &[id.as_bytes()])
}
pub(super) fn freeze(id: FreezeId) -> Vec<u8> {
    key(b'f', &[id.as_bytes()])
}
pub(super) fn token(id: TokenId) -> Vec<u8> {
    key(b't', &[id.as_bytes()])
}
pub(super) fn policy(version: u64) -> Vec<u8> {
    key(b'p', &[&version.to_be_bytes()])
}
pub(super) fn audit(index: u64) -> Vec<u8> {
    key(b'a', &[&index.to_be_bytes()])
}
/// The index in the key of an audit record.
pub(super) fn audit_index(key: &[u8]) -> Result<u64, StoreError> {
    let index = key.get(1..).and_then(|bytes| bytes.try_into().ok());
    index.map(u64::from_be_bytes).ok_or_else(|| corrupt("an audit key of the wrong length"))
}
/// Erases payloads of audit records from this index on.
pub(super) fn erased(from: u64) -> Vec<u8> {
    [ERASED, &from.to_be_bytes()].concat()
}
/// From which index to before which payloads are erased.
pub(super) fn erased_range(key: &[u8], to: &[u8]) -> Result<(u64, u64), StoreError> {
    let to = to.try_into().map_err(|_| corrupt("an erasure without an end"))?;
    Ok((audit_index(key)?, u64::from_be_bytes(to)))
}
pub(super) fn node(level: u32, index: u64) -> Vec<u8> {
    [b"N".as_slice(), &level.to_be_bytes(), &index.to_be_bytes()].concat()
}
pub(super) fn checkpoint(size: u64) -> Vec<u8> {
    [CHECKPOINT, &size.to_be_bytes()].concat()
}
pub(super) fn summary(block: u64) -> Vec<u8> {
    [SUMMARY, &block.to_be_bytes()].concat()
}
/// The number in the key of a summary.
pub(super) fn summary_block(key: &[u8]) -> Result<u64, StoreError> {
    audit_index(key)
}
pub(super) fn after_audit() -> Vec<u8> {
    vec![b'b']
}

/// The sixteen bytes of an identifier.
pub(super) fn id_of(bytes: &[u8]) -> Result<[u8; 16], StoreError> {
    bytes.try_into().map_err(|_| corrupt("an identifier of the wrong length"))
}
