//! Jobs and idempotency keys as they are stored.

use std::{collections::BTreeMap, time::Duration};

use lictor_core::{
    clock::Timestamp,
    command::{Command, Joiner, Pipeline, Simple, Word},
    job::{Counts, Job, Origin, Target},
    principal::{Principal, PrincipalKind, Via},
};
use serde::{Deserialize, Serialize};

use super::{
    actor::ActorV1,
    approval::ApprovalV1,
    context::ContextV1,
    corrupt, parse,
    rollout::{ProgressV1, RolloutV1},
};
use crate::{KeptJob, KeptKey, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum JobRecord {
    #[serde(rename = "1")]
    V1(JobV1),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobV1 {
    id: String,
    principal: PrincipalV1,
    via: String,
    client: String,
    /// Absent where the principal itself called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<ActorV1>,
    target: TargetV1,
    command: Vec<PartV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<ContextV1>,
    policy_version: u64,
    created_at: u64,
    queue_until: u64,
    cancel: Option<(PrincipalV1, u64)>,
    invocations: u32,
    counts: Option<[u32; 7]>,
    version: u64,
    /// Absent: what policy says; or it was written when that was not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_us: Option<u64>,
    /// Absent: likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    /// Absent for what goes out at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressV1>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    detached: bool,
    /// Absent for what needs no consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalV1>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PrincipalV1 {
    tenant: String,
    kind: String,
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TargetV1 {
    Hosts(Vec<String>),
    Tag(String),
    /// In its canonical form.
    Expression(String),
}

/// One simple command and what joins it to the one before (`""` for the first).
#[derive(Debug, Serialize, Deserialize)]
struct PartV1 {
    joiner: String,
    words: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stderr_to_stdout: bool,
    /// Where globs begin, by index of the word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    globs: BTreeMap<usize, Vec<usize>>,
}

/// An idempotency key as it is stored; its expiry is the version beside it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum KeyRecord {
    #[serde(rename = "1")]
    V1 { job: String, request_digest: String, expires_at: u64 },
}

// === impl JobRecord ===

impl JobRecord {
    pub(crate) fn new(job: &Job, counts: Option<&Counts>, version: u64) -> Self {
        Self::V1(JobV1 {
            id: job.id.to_string(),
            principal: (&job.principal).into(),
            via: job.origin.via.as_str().into(),
            client: job.origin.client.clone(),
            actor: job.origin.actor.as_ref().map(ActorV1::new),
            target: match &job.target {
                Target::Hosts(hosts) => TargetV1::Hosts(hosts.iter().map(ToString::to_string).collect()),
                Target::Tag(tag) => TargetV1::Tag(tag.to_string()),
                Target::Expression(expression) => TargetV1::Expression(expression.to_string()),
            },
            command: parts(&job.command),
            context: ContextV1::of(&job.context),
            policy_version: job.policy_version,
            created_at: job.created_at.as_micros(),
            queue_until: job.queue_until.as_micros(),
            cancel: job.cancel_requested.as_ref().map(|(by, at)| (by.into(), at.as_micros())),
            invocations: job.invocations,
            counts: counts
                .map(|c| [c.queued, c.active, c.succeeded, c.failed, c.not_run, c.cancelled, c.unknown]),
            version,
            timeout_us: job.timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX)),
            output_bytes: job.output_bytes,
            rollout: RolloutV1::new(&job.rollout),
            progress: ProgressV1::new(&job.progress),
            detached: job.detached,
            approval: job.approval.as_ref().map(Into::into),
        })
    }
}

impl TryFrom<JobRecord> for KeptJob {
    type Error = StoreError;
    fn try_from(record: JobRecord) -> Result<Self, StoreError> {
        let JobRecord::V1(v1) = record;
        let target = match v1.target {
            TargetV1::Hosts(hosts) => {
                Target::Hosts(hosts.iter().map(|h| parse(h)).collect::<Result<_, _>>()?)
            }
            TargetV1::Tag(tag) => Target::Tag(parse(&tag)?),
            TargetV1::Expression(text) => Target::Expression(parse(&text)?),
        };
        let job = Job {
            id: parse(&v1.id)?,
            principal: v1.principal.try_into()?,
            origin: Origin {
                actor: v1.actor.map(TryInto::try_into).transpose()?,
                ..Origin::new(Via::parse(&v1.via).ok_or_else(|| corrupt("unknown door"))?, &v1.client)
            },
            target,
            command: command(v1.command)?,
            context: v1.context.unwrap_or_default().try_into()?,
            policy_version: v1.policy_version,
            created_at: Timestamp::from_micros(v1.created_at),
            queue_until: Timestamp::from_micros(v1.queue_until),
            cancel_requested: match v1.cancel {
                Some((by, at)) => Some((by.try_into()?, Timestamp::from_micros(at))),
                None => None,
            },
            invocations: v1.invocations,
            timeout: v1.timeout_us.map(Duration::from_micros),
            output_bytes: v1.output_bytes,
            rollout: v1.rollout.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            progress: v1.progress.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            detached: v1.detached,
            approval: v1.approval.map(TryInto::try_into).transpose()?,
        };
        let counts = v1.counts.map(|[queued, active, succeeded, failed, not_run, cancelled, unknown]| {
            Counts { queued, active, succeeded, failed, not_run, cancelled, unknown }
        });
        Ok(Self { job, counts, version: v1.version })
    }
}

// === impl PrincipalV1 ===

impl From<&Principal> for PrincipalV1 {
    fn from(principal: &Principal) -> Self {
        Self {
            tenant: principal.tenant.to_string(),
            kind: principal.kind.as_str().into(),
            name: principal.name.to_string(),
        }
    }
}

impl TryFrom<PrincipalV1> for Principal {
    type Error = StoreError;
    fn try_from(v1: PrincipalV1) -> Result<Self, StoreError> {
        let kind = [PrincipalKind::User, PrincipalKind::Service].into_iter().find(|k| k.as_str() == v1.kind);
        Ok(Self {
            tenant: parse(&v1.tenant)?,
            kind: kind.ok_or_else(|| corrupt("unknown kind of principal"))?,
            name: parse(&v1.name)?,
        })
    }
}

// === commands ===

const PIPE: &str = "|";

fn parts(command: &Command) -> Vec<PartV1> {
    let mut parts = Vec::new();
    let pipelines = std::iter::once(("", command.first()))
        .chain(command.rest().iter().map(|(joiner, p)| (joiner.as_str(), p)));
    for (joiner, pipeline) in pipelines {
        for (stage, simple) in pipeline.stages().iter().enumerate() {
            parts.push(PartV1 {
                joiner: if stage == 0 { joiner } else { PIPE }.into(),
                words: simple.words().iter().map(|w| w.as_str().into()).collect(),
                stderr_to_stdout: simple.stderr_to_stdout(),
                globs: globs(simple),
            });
        }
    }
    parts
}

/// Where the globs of each word begin that has some.
fn globs(simple: &Simple) -> BTreeMap<usize, Vec<usize>> {
    let with_globs = simple.words().iter().enumerate().filter(|(_, word)| word.literal().is_none());
    with_globs.map(|(index, word)| (index, word.globs().to_vec())).collect()
}

fn command(parts: Vec<PartV1>) -> Result<Command, StoreError> {
    let mut pipelines: Vec<(String, Vec<Simple>)> = Vec::new();
    for part in parts {
        let at = |index: usize| part.globs.get(&index).map(Vec::as_slice).unwrap_or_default();
        let words = part.words.iter().enumerate().map(|(index, word)| Word::with_globs(word, at(index)));
        let words = words.collect::<Result<_, _>>().map_err(corrupt)?;
        let simple = Simple::new(words, part.stderr_to_stdout).map_err(corrupt)?;
        match pipelines.last_mut() {
            Some((_, stages)) if part.joiner == PIPE => stages.push(simple),
            _ => pipelines.push((part.joiner, vec![simple])),
        }
    }
    let mut pipelines = pipelines.into_iter();
    let (_, first) = pipelines.next().ok_or_else(|| corrupt("a command without parts"))?;
    let rest = pipelines
        .map(|(joiner, stages)| {
            let joiner = [Joiner::And, Joiner::Or, Joiner::Then].into_iter().find(|j| j.as_str() == joiner);
            Ok((joiner.ok_or_else(|| corrupt("unknown joiner"))?, Pipeline::new(stages).map_err(corrupt)?))
        })
        .collect::<Result<_, StoreError>>()?;
    Command::new(Pipeline::new(first).map_err(corrupt)?, rest).map_err(corrupt)
}

// === impl KeyRecord ===

impl From<&KeptKey> for KeyRecord {
    fn from(key: &KeptKey) -> Self {
        Self::V1 {
            job: key.job.to_string(),
            request_digest: key.request_digest.to_string(),
            expires_at: key.expires_at.as_micros(),
        }
    }
}

impl TryFrom<KeyRecord> for KeptKey {
    type Error = StoreError;
    fn try_from(record: KeyRecord) -> Result<Self, StoreError> {
        let KeyRecord::V1 { job, request_digest, expires_at } = record;
        Ok(Self {
            job: parse(&job)?,
            request_digest: parse(&request_digest)?,
            expires_at: Timestamp::from_micros(expires_at),
        })
    }
}
