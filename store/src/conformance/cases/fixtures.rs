//! What the cases write: one of each kind.

use std::time::Duration;

use lictor_core::{
    audit::AuditEvent,
    command::Command,
    context::{Context, Environment},
    digest::Digest,
    guard::Guard,
    id::{InvocationId, JobId, TokenId},
    invocation::{Invocation, InvocationState},
    job::{CommandInput, Job, Limits, Origin, Target},
    label::Labels,
    name::{AgentName, HostAlias, PrincipalName, SiteName, Tag, TenantName},
    output::Output,
    principal::{Principal, PrincipalKind, Via},
    rollout::{Halt, HaltReason, Progress, Rollout, Share},
};

use super::AT;
use crate::{Change, KeptHost, KeptToken, StoreError};

pub(super) fn principal() -> Principal {
    Principal {
        tenant: TenantName::new("default").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops").unwrap(),
    }
}

/// Every other job has one.
pub(super) fn context(n: u8) -> Context {
    if n.is_multiple_of(2) {
        return Context::default();
    }
    Context {
        environment: Environment::from_pairs([("LANG", "C"), ("APP_ENV", "it's")]).unwrap(),
        working_directory: Some("/srv/app".parse().unwrap()),
        run_as: Some("deploy".parse().unwrap()),
        stdin: Some(lictor_core::content::Content::of(b"in").unwrap()),
    }
}

pub(super) fn job(n: u8) -> Job {
    Job {
        id: JobId::from_bytes([n; 16]),
        principal: principal(),
        origin: Origin::new(Via::Cli, "test 1"),
        target: Target::Tag(Tag::new("web").unwrap()),
        command: Command::from_argv(&["echo", "it's", ""]).unwrap(),
        context: context(n),
        policy_version: 3,
        created_at: AT,
        queue_until: AT.plus(Duration::from_secs(30)),
        cancel_requested: None,
        invocations: 1,
        timeout: Some(Duration::from_micros(1_500)),
        output_bytes: Some(77),
        rollout: Rollout {
            waves: vec![Share::Count(1), Share::Percent(50)],
            soak: Duration::from_secs(1),
            health_check: Some(CommandInput::Line("true".into())),
            max_concurrency: Some(Share::Count(3)),
            max_errors: Some(Share::Percent(0)),
            max_unreachable: Some(Share::Count(0)),
            max_per_site: Some(2),
        },
        progress: Progress {
            wave: 2,
            waves: 3,
            soak_until: Some(AT),
            health_job: Some(JobId::from_bytes([9; 16])),
            paused: Some((principal(), AT)),
            halted: Some(Halt { reason: HaltReason::Aborted, by: Some(principal()), at: AT }),
        },
        detached: true,
        approval: None,
    }
}

pub(super) fn invocation(job: &Job, host: &str) -> Invocation {
    Invocation {
        id: InvocationId::derive(job.id, host, 1),
        job: job.id,
        host: HostAlias::new(host).unwrap(),
        site: SiteName::new("eu").unwrap(),
        attempt: 1,
        state: InvocationState::Queued,
        version: 1,
        limits: Limits { timeout: Duration::from_secs(5), output_bytes: 1000 },
        rule: None,
        started_at: None,
        ended_at: None,
        address: None,
        output: Output::default(),
        resolution: None,
        output_removed: None,
        last_agent: None,
        wave: 2,
        guard: Guard::Host,
        redactions: 3,
    }
}

pub(super) fn event() -> AuditEvent {
    AuditEvent::ControllerStarted { name: "c".into() }
}

pub(super) fn change() -> Change {
    Change::new(AT, event())
}

pub(super) fn token() -> KeptToken {
    KeptToken {
        id: TokenId::from_bytes([9; 16]),
        secret_digest: Digest::of(b"s"),
        tenant: TenantName::new("default").unwrap(),
        site: SiteName::new("eu").unwrap(),
        agent: AgentName::new("a").unwrap(),
        expires_at: AT,
        spent_at: None,
        generation: 3,
    }
}

pub(super) fn host(alias: &str, site: &str) -> KeptHost {
    KeptHost {
        alias: HostAlias::new(alias).unwrap(),
        site: SiteName::new(site).unwrap(),
        tags: vec![Tag::new("web").unwrap()],
        labels: Labels::new([("env", "prod")]).unwrap(),
        description: "d".into(),
        address: "10.0.0.1:22".into(),
        user: "root".into(),
        host_key_fingerprints: vec!["SHA256:x".into()],
    }
}

pub(super) fn is_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict { .. }))
}
