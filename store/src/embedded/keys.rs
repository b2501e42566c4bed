//! Keys of the one tree: a letter for the kind, then what identifies the thing. One tree, so one batch is atomic.

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    id::{ErasureId, FreezeId, HoldId, InvocationId, JobId, TokenId},
    job::IdempotencyKey,
    name::{AgentName, HostAlias, SiteName},
    principal::Principal,
};

use crate::{BoundKey, IndexedInvocation, StoreError, memory::key_owner, record::corrupt};

/// How far the journal has been applied.
pub(super) const APPLIED: &[u8] = b"m/applied";
/// The edge of the audit tree.
pub(super) const FRONTIER: &[u8] = b"m/frontier";
/// How far the files of payloads were written.
pub(super) const PAYLOADS: &[u8] = b"m/payloads";
/// The journal still has what was erased from everywhere else.
pub(super) const FORGET: &[u8] = b"m/forget";
/// A record could not be read when the uses of files were found out: nobody knows which file it names. Each start looks again.
pub(super) const UNREADABLE: &[u8] = b"m/unreadable";
/// Payloads that are to be erased; passes through the journal and is not kept.
pub(super) const ERASED: &[u8] = b"x";
/// Up to which size of the audit log everything is in the indexes of ended jobs and of files.
pub(super) const INDEXED: &[u8] = b"m/indexed";
/// Up to which of sled's own files all are safe on the device.
pub(super) const SAVED: &[u8] = b"m/saved";
/// The policy that is proposed.
pub(super) const SHADOW: &[u8] = b"m/shadow";
/// The settings of the last start.
pub(super) const SETTINGS: &[u8] = b"m/settings";
/// The limits of retention in force.
pub(super) const RETENTION: &[u8] = b"m/retention";
pub(super) const AUDIT: &[u8] = b"a";
/// Checkpoints of the audit log, by size.
pub(super) const CHECKPOINT: &[u8] = b"C";
pub(super) const AGENT: &[u8] = b"g";
pub(super) const ERASURE: &[u8] = b"e";
/// Jobs that have ended.
pub(super) const ENDED: &[u8] = b"y";
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
pub(super) const fn first_idempotency() -> &'static [u8] {
    b"k"
}
pub(super) const fn after_all_idempotency() -> &'static [u8] {
    b"l"
}
pub(super) fn bound(key: &BoundKey) -> Vec<u8> {
    self::key(b'k', &[key.owner.as_bytes(), key.key.as_str().as_bytes()])
}
/// The first key behind that of `bound`.
pub(super) fn behind_bound(bound: &BoundKey) -> Vec<u8> {
    let mut behind = self::bound(bound);
    behind.push(0);
    behind
}
/// The idempotency key that is kept under `key`.
pub(super) fn bound_of(key: &[u8], expires_at: Timestamp) -> Result<BoundKey, StoreError> {
    let text = std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(corrupt)?;
    let (owner, text) = text.split_once('\0').ok_or_else(|| corrupt("an idempotency key of nobody"))?;
    let key = match text.strip_prefix(' ') {
        Some(own) => IdempotencyKey::of_controller(own),
        None => IdempotencyKey::new(text).map_err(corrupt)?,
    };
    Ok(BoundKey { owner: owner.to_owned(), key, expires_at })
}
pub(super) fn ended(job: JobId) -> Vec<u8> {
    [ENDED, job.as_bytes()].concat()
}
/// The first key behind that of a job that has ended.
pub(super) fn after_ended(job: JobId) -> Vec<u8> {
    [ENDED, job.as_bytes(), &[0]].concat()
}
pub(super) fn after_all_ended() -> Vec<u8> {
    b"z".to_vec()
}
/// That an invocation's output is in the file named by that digest.
pub(super) fn file_use(file: Digest, id: InvocationId) -> Vec<u8> {
    [file_uses(file).as_slice(), id.as_bytes()].concat()
}
/// What the keys of everybody whose output is in that file begin with.
pub(super) fn file_uses(file: Digest) -> Vec<u8> {
    [b"u".as_slice(), file.as_bytes()].concat()
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
/// The invocation that the index of its job has under `key`.
pub(super) fn indexed(key: &[u8], id: &[u8]) -> Result<IndexedInvocation, StoreError> {
    let bad = || corrupt("a key of the wrong form in the index of a job");
    let rest = key.get(of_job(JobId::from_bytes([0; 16])).len()..).ok_or_else(bad)?;
    let (host, attempt) = rest.split_last_chunk::<4>().ok_or_else(bad)?;
    let host = std::str::from_utf8(host.strip_suffix(&[0]).ok_or_else(bad)?).map_err(corrupt)?;
    Ok(IndexedInvocation {
        id: InvocationId::from_bytes(id_of(id)?),
        host: HostAlias::new(host).map_err(corrupt)?,
        attempt: u32::from_be_bytes(*attempt),
    })
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
