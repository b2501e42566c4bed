//! A change made ready outside the committer: expectations and operations on keys, encoded and hashed.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::PathBuf,
};

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    id::{InvocationId, JobId},
    invocation::Invocation,
    merkle::leaf_hash,
};

use super::{
    batch::{self, Op, value},
    index, keys,
    outputs::{Claim, Source},
    table::entry,
};
use crate::{
    Change, KeptKey, StoreError, Write,
    record::{
        AgentRecord, ErasureRecord, FreezeRecord, HoldRecord, HostRecord, InvocationRecord, JobRecord,
        KeyRecord, OutputPlace, PolicyRecord, RetentionRecord, SettingsRecord, ShadowRecord, TokenRecord,
        corrupt, encode, outputs_bytes, outputs_to_bytes, seal_event,
    },
};

/// Output up to this size is kept in the record. Larger records would leave sled's log for files that it never syncs
/// (it moves whole leaves of up to 16 records above 128 KiB).
const INLINE_OUTPUT_BYTES: usize = 2 * 1024;

/// What must be so for a change to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Absent,
    Version(u64),
    AbsentOrVersion(u64),
    /// Absent, or of a version below this one.
    Below(u64),
}

#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) key: Vec<u8>,
    pub(super) expected: Expected,
    pub(super) what: What,
}

/// What is named when an expectation does not hold; its text is made only then.
#[derive(Debug)]
pub(super) enum What {
    Job(JobId),
    /// The end of a job.
    End(JobId),
    Invocation(InvocationId),
    /// What no job has thousands of, in words.
    Other(String),
}

#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) expectations: Vec<Expectation>,
    pub(super) ops: Vec<Op>,
    /// Payloads are erased: the change is written by itself, and nothing older is left in the journal behind it.
    pub(super) erases: bool,
    /// Values of audit records with their leaf hashes; their indices are the committer's to give.
    pub(super) leaves: Vec<(Vec<u8>, Digest)>,
    /// Kept output that goes to files before the commit.
    pub(super) files: HashMap<Digest, Source>,
    /// Keeps those files from being removed until the records that name them can be seen.
    pub(super) claim: Option<Claim>,
    /// Keys that this change removes: they are absent for its later writes.
    removed: HashSet<Vec<u8>>,
}

// === impl What ===

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => write!(f, "job {id}"),
            Self::End(id) => write!(f, "the end of job {id}"),
            Self::Invocation(id) => write!(f, "invocation {id}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

// === impl Planned ===

impl Planned {
    pub(super) fn new(change: Change) -> Result<Self, StoreError> {
        let mut planned = Self::default();
        for write in change.writes {
            planned.write(write, change.at)?;
        }
        for event in &change.events {
            let sealed = seal_event(change.at, event, rand::random());
            let hash = leaf_hash(&sealed.content);
            planned.leaves.push((entry::encode(sealed.content, &sealed.payload), hash));
        }
        Ok(planned)
    }

    /// Bytes that the change takes in a frame, or a few more.
    pub(super) fn bytes(&self) -> usize {
        let ops: usize = self.ops.iter().map(batch::bytes_of).sum();
        let leaf =
            |(content, _): &(Vec<u8>, Digest)| batch::MAX_OP_OVERHEAD + keys::AUDIT_BYTES + content.len();
        ops + self.leaves.iter().map(leaf).sum::<usize>()
    }

    fn write(&mut self, write: Write, at: Timestamp) -> Result<(), StoreError> {
        match write {
            Write::CreateJob(job) => {
                let record = JobRecord::new(&job, None, 1);
                self.put(keys::job(job.id), Expected::Absent, 1, &record, What::Job(job.id))
            }
            Write::UpdateJob { job, counts, version } => {
                let record = JobRecord::new(&job, counts.as_ref(), version);
                self.put(keys::job(job.id), replaces(version), version, &record, What::Job(job.id))
            }
            Write::BindKey { principal, key, job, request_digest, expires_at } => {
                let record = KeyRecord::from(&KeptKey { job, request_digest, expires_at });
                let expected = Expected::Below(at.as_micros());
                let what = What::Other(format!("idempotency key {}", key.as_str()));
                self.put(keys::idempotency(&principal, &key), expected, expires_at.as_micros(), &record, what)
            }
            Write::CreateInvocation(invocation) => {
                let index = keys::of_job_host(invocation.job, &invocation.host, invocation.attempt);
                self.ops.push(Op { key: index, value: Some(invocation.id.as_bytes().to_vec()) });
                self.invocation(&invocation, Expected::Absent)
            }
            Write::UpdateInvocation(invocation) => self.invocation(&invocation, replaces(invocation.version)),
            Write::UpdateInvocationWithFile { invocation, file } => self.with_file(&invocation, file),
            Write::PutEnded(ended) => {
                let expected = if ended.version == 1 { Expected::Absent } else { replaces(ended.version) };
                self.expect(keys::ended(ended.job), expected, What::End(ended.job));
                self.ops.push(Op { key: keys::ended(ended.job), value: Some(index::encode(&ended)) });
                Ok(())
            }
            Write::RemoveJob { ended, version } => {
                self.remove(keys::job(ended.job), version, What::Job(ended.job));
                self.remove(keys::ended(ended.job), ended.version, What::End(ended.job));
                Ok(())
            }
            Write::RemoveInvocation { id, job, host, attempt, version } => {
                self.remove(keys::invocation(id), version, What::Invocation(id));
                self.ops.push(Op { key: keys::of_job_host(job, &host, attempt), value: None });
                self.ops.push(Op { key: keys::open(id), value: None });
                Ok(())
            }
            Write::RemoveKey(bound) => {
                let what = What::Other(format!("idempotency key {}", bound.key.as_str()));
                self.remove(keys::bound(&bound), bound.expires_at.as_micros(), what);
                Ok(())
            }
            Write::PutAgent(agent) => {
                let expected = if agent.version == 1 { Expected::Absent } else { replaces(agent.version) };
                let what = What::Other(format!("agent {}/{}", agent.site, agent.name));
                self.put(
                    keys::agent(&agent.site, &agent.name),
                    expected,
                    agent.version,
                    &AgentRecord::from(&agent),
                    what,
                )
            }
            Write::PutHost(host) => {
                let site = site_version(host.site.as_str());
                let what = What::Other(format!("host {}", host.alias));
                self.put(
                    keys::host(&host.alias),
                    Expected::AbsentOrVersion(site),
                    site,
                    &HostRecord::from(&host),
                    what,
                )
            }
            Write::RemoveHost(alias) => {
                self.removed.insert(keys::host(&alias));
                self.ops.push(Op { key: keys::host(&alias), value: None });
                Ok(())
            }
            Write::CreateToken(token) => {
                let what = What::Other(format!("token {}", token.id));
                self.put(keys::token(token.id), Expected::Absent, UNSPENT, &TokenRecord::from(&token), what)
            }
            Write::SpendToken(token) => {
                let what = What::Other(format!("token {}", token.id));
                self.put(
                    keys::token(token.id),
                    Expected::Version(UNSPENT),
                    SPENT,
                    &TokenRecord::from(&token),
                    what,
                )
            }
            Write::PutPolicy(policy) => {
                let what = What::Other(format!("policy version {}", policy.version));
                self.put(
                    keys::policy(policy.version),
                    Expected::Absent,
                    policy.version,
                    &PolicyRecord::from(&policy),
                    what,
                )
            }
            Write::PutShadow(shadow) => {
                let record = encode(&ShadowRecord::from(&shadow))?;
                self.ops.push(Op { key: keys::SHADOW.to_vec(), value: Some(value(UNVERSIONED, &record)) });
                Ok(())
            }
            Write::PutSettings(settings) => {
                let record = encode(&SettingsRecord::from(&settings))?;
                self.ops.push(Op { key: keys::SETTINGS.to_vec(), value: Some(value(UNVERSIONED, &record)) });
                Ok(())
            }
            Write::PutRetention(retention) => {
                let version = retention.version;
                let expected = if version == 1 { Expected::Absent } else { replaces(version) };
                let (key, record) = (keys::RETENTION.to_vec(), RetentionRecord::from(&retention));
                self.put(key, expected, version, &record, What::Other("the limits of retention".to_owned()))
            }
            Write::RemoveShadow => {
                self.ops.push(Op { key: keys::SHADOW.to_vec(), value: None });
                Ok(())
            }
            Write::PutFreeze(freeze) => {
                let (key, record) = (keys::freeze(freeze.id), FreezeRecord::from(&freeze));
                self.put(
                    key,
                    Expected::Absent,
                    IN_FORCE,
                    &record,
                    What::Other(format!("freeze {}", freeze.id)),
                )
            }
            Write::RemoveFreeze(id) => {
                self.remove(keys::freeze(id), IN_FORCE, What::Other(format!("freeze {id}")));
                Ok(())
            }
            Write::PutErasure(erasure) => {
                let (key, record) = (keys::erasure(erasure.id), ErasureRecord::from(&erasure));
                self.put(
                    key,
                    Expected::Absent,
                    IN_FORCE,
                    &record,
                    What::Other(format!("erasure {}", erasure.id)),
                )
            }
            Write::RemoveErasure(id) => {
                self.remove(keys::erasure(id), IN_FORCE, What::Other(format!("erasure {id}")));
                Ok(())
            }
            Write::PutHold(hold) => {
                let expected = if hold.version == 1 { Expected::Absent } else { replaces(hold.version) };
                let (key, record) = (keys::hold(hold.id), HoldRecord::from(&hold));
                self.put(key, expected, hold.version, &record, What::Other(format!("hold {}", hold.id)))
            }
            Write::RemoveHold(hold) => {
                self.remove(keys::hold(hold.id), hold.version, What::Other(format!("hold {}", hold.id)));
                Ok(())
            }
            Write::ErasePayloads(ranges) => {
                self.erases = true;
                let op = |(from, to): (u64, u64)| Op {
                    key: keys::erased(from),
                    value: Some(to.to_be_bytes().to_vec()),
                };
                self.ops.extend(ranges.into_iter().map(op));
                Ok(())
            }
        }
    }

    fn invocation(&mut self, invocation: &Invocation, expected: Expected) -> Result<(), StoreError> {
        let open = invocation.state.outcome().is_none();
        self.ops.push(Op { key: keys::open(invocation.id), value: open.then(Vec::new) });
        let place = if outputs_bytes(&invocation.output) <= INLINE_OUTPUT_BYTES {
            OutputPlace::Record
        } else {
            let kept = outputs_to_bytes(&invocation.output);
            let digest = Digest::of(&kept);
            self.files.insert(digest, Source::Bytes(kept));
            self.ops.push(Op { key: keys::file_use(digest, invocation.id), value: Some(Vec::new()) });
            OutputPlace::SharedFile(digest)
        };
        self.put_record(invocation, expected, &InvocationRecord::new(invocation, place))
    }

    fn with_file(&mut self, invocation: &Invocation, file: PathBuf) -> Result<(), StoreError> {
        let stdout = &invocation.output.stdout;
        let digest = stdout.digest.ok_or_else(|| corrupt("a file of output without its digest"))?;
        let open = invocation.state.outcome().is_none();
        self.ops.push(Op { key: keys::open(invocation.id), value: open.then(Vec::new) });
        self.files.insert(digest, Source::File { path: file, bytes: stdout.bytes_total });
        self.ops.push(Op { key: keys::file_use(digest, invocation.id), value: Some(Vec::new()) });
        let record = InvocationRecord::with_file(invocation, digest);
        self.put_record(invocation, replaces(invocation.version), &record)
    }

    fn put_record(
        &mut self,
        invocation: &Invocation,
        expected: Expected,
        record: &InvocationRecord<'_>,
    ) -> Result<(), StoreError> {
        let (key, what) = (keys::invocation(invocation.id), What::Invocation(invocation.id));
        self.put(key, expected, invocation.version, record, what)
    }

    fn expect(&mut self, key: Vec<u8>, expected: Expected, what: What) {
        self.expectations.push(Expectation { key, expected, what });
    }

    /// Removes what has this version.
    fn remove(&mut self, key: Vec<u8>, version: u64, what: What) {
        self.expect(key.clone(), Expected::Version(version), what);
        self.ops.push(Op { key, value: None });
    }

    fn put<R: serde::Serialize>(
        &mut self,
        key: Vec<u8>,
        expected: Expected,
        version: u64,
        record: &R,
        what: What,
    ) -> Result<(), StoreError> {
        if !self.removed.remove(&key) {
            self.expect(key.clone(), expected, what);
        }
        self.ops.push(Op { key, value: Some(batch::encode_value(version, record)?) });
        Ok(())
    }
}

/// Version of what is replaced whatever it was.
const UNVERSIONED: u64 = 0;
/// Version of a token that nobody has spent.
const UNSPENT: u64 = 1;
/// Version of a freeze or an erasure; it never changes.
const IN_FORCE: u64 = 1;
/// Version of a token that has been spent.
const SPENT: u64 = 2;

const fn replaces(version: u64) -> Expected {
    Expected::Version(version.saturating_sub(1))
}

/// A version by which hosts of different sites differ.
fn site_version(site: &str) -> u64 {
    let digest = Digest::of(site.as_bytes());
    digest.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
