//! One event of every kind, with every field that it can have.

use std::time::Duration;

use lictor_certs::{cosignature::WitnessKey, signer::SigningKey};
use lictor_core::{
    actor::Actor,
    approval::Term,
    audit::{
        AccessEvent, ApprovalChange, ApprovalEvent, AuditEvent, BadEvidence, ErasureEvent, JoinRefusal,
        RetentionEvent, SignedRefusal, WitnessEvent,
    },
    clock::Timestamp,
    content::Content,
    context::{Context, Environment},
    digest::Digest,
    erasure::{Erasure, Hold, PayloadScope},
    error::ErrorCode,
    freeze::Freeze,
    guard::Guard,
    id::{ErasureId, FreezeId, HoldId, InvocationId, JobId, TokenId},
    invocation::{Invocation, InvocationState},
    job::{CommandInput, Limits, Origin, Target},
    merkle::TreeHead,
    name::{AgentName, GroupName, HostAlias, PrincipalName, SiteName, TenantName},
    outcome::Outcome,
    output::Output,
    principal::{Identity, Principal, PrincipalKind, Via},
    retention::{RetentionLimit, RetentionLimits, Shortening},
    revocation::Revocation,
    rollout::{HaltReason, Rollout},
};

const AT: Timestamp = Timestamp::from_micros(1_795_353_684_000_000);
const JOB: JobId = JobId::from_bytes([1; 16]);
const INVOCATION: InvocationId = InvocationId::from_bytes([2; 16]);

fn principal() -> Principal {
    Principal {
        tenant: TenantName::new("default").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops").unwrap(),
    }
}

fn host() -> HostAlias {
    HostAlias::new("web-1").unwrap()
}
fn site() -> SiteName {
    SiteName::new("berlin").unwrap()
}
fn agent() -> AgentName {
    AgentName::new("a-1").unwrap()
}
fn actor() -> Option<Actor> {
    Some(Actor { service: PrincipalName::new("mcp").unwrap(), token: "t-1".into() })
}
fn origin() -> Origin {
    Origin { actor: actor(), ..Origin::new(Via::Mcp, "test 1") }
}

fn invocation() -> Invocation {
    Invocation {
        id: INVOCATION,
        job: JOB,
        host: host(),
        site: site(),
        attempt: 1,
        state: InvocationState::Ended(Outcome::Succeeded),
        version: 1,
        limits: limits(),
        rule: None,
        started_at: Some(AT),
        ended_at: Some(AT),
        address: None,
        output: Output::default(),
        resolution: None,
        output_removed: None,
        last_agent: None,
        wave: 1,
        guard: Guard::default(),
        redactions: 2,
    }
}

fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(60), output_bytes: 1 << 20 }
}

fn freeze() -> Freeze {
    Freeze {
        id: FreezeId::from_bytes([3; 16]),
        scope: "all".parse().unwrap(),
        reason: "the migration went wrong".parse().unwrap(),
        by: principal(),
        at: AT,
    }
}

/// A job in waves, and a refused request: with everything that can be asked for.
fn asked() -> [AuditEvent; 2] {
    let command = lictor_policy::parse_command(&CommandInput::Line("df -h".into())).unwrap();
    let rollout = Rollout {
        waves: vec!["1".parse().unwrap()],
        health_check: Some(CommandInput::Line("true".into())),
        max_concurrency: Some("2".parse().unwrap()),
        max_errors: Some("2".parse().unwrap()),
        max_unreachable: Some("2".parse().unwrap()),
        max_per_site: Some(1),
        ..Rollout::default()
    };
    let mut environment = Environment::default();
    environment.insert("LANG".parse().unwrap(), "C".parse().unwrap()).unwrap();
    let context = Context {
        environment,
        working_directory: Some("/srv".parse().unwrap()),
        run_as: Some("app".parse().unwrap()),
        stdin: Some(Content::of(b"").unwrap()),
    };
    [
        AuditEvent::JobSubmitted {
            job: JOB,
            principal: principal(),
            origin: origin(),
            target: Target::Hosts(vec![host()]),
            command,
            context: context.clone(),
            request_digest: Digest::of(b""),
            policy_version: 1,
            rollout,
        },
        AuditEvent::RequestDenied {
            principal: principal(),
            origin: origin(),
            target: Target::Hosts(vec![host()]),
            command: "rm".into(),
            context,
            request_digest: Digest::of(b""),
            code: "POLICY_DENIED".into(),
            reason: "no".into(),
            rule: None,
            policy_version: 1,
        },
    ]
}

fn of_invocations() -> Vec<AuditEvent> {
    vec![
        AuditEvent::InvocationIntended {
            invocation: INVOCATION,
            job: JOB,
            host: host(),
            site: site(),
            rule: None,
            limits: limits(),
            offered: Some((agent(), 1)),
        },
        AuditEvent::InvocationOffered { invocation: INVOCATION, agent: agent(), epoch: 1 },
        AuditEvent::InvocationReturned { invocation: INVOCATION, agent: agent() },
        AuditEvent::InvocationEnded { invocation: invocation().into(), agent: Some(agent()) },
        AuditEvent::InvocationResolved {
            invocation: INVOCATION,
            agent: agent(),
            outcome: Outcome::Succeeded,
        },
        AuditEvent::ResultConflict {
            invocation: INVOCATION,
            agent: "a-1".into(),
            recorded: "SUCCEEDED".into(),
            reported: "FAILED".into(),
        },
        AuditEvent::RecordsUnreadable { job: JOB, count: 1, invocations: vec![INVOCATION] },
        AuditEvent::GrantRefused(Box::new(SignedRefusal {
            invocation: INVOCATION,
            site: site(),
            agent: agent(),
            code: "FLOOR_DENIED".into(),
            floor_digest: None,
            grant_digest: Digest::of(b""),
            statement: "AA==".into(),
            signature: "AA==".into(),
            agent_certificate: Digest::of(b""),
            agent_key: "AA==".into(),
        })),
        AuditEvent::EvidenceInvalid(Box::new(BadEvidence {
            invocation: INVOCATION,
            site: site(),
            agent: agent(),
            why: "it is missing".into(),
            statement: None,
            signature: None,
            agent_certificate: None,
        })),
    ]
}

fn of_jobs() -> Vec<AuditEvent> {
    vec![
        AuditEvent::CancelRequested { job: JOB, by: principal(), actor: actor() },
        AuditEvent::JobPaused { job: JOB, by: principal(), actor: actor() },
        AuditEvent::JobResumed { job: JOB, by: principal(), actor: actor() },
        AuditEvent::JobHalted { job: JOB, reason: HaltReason::Aborted, by: None, actor: actor() },
        AuditEvent::WaveEnded { job: JOB, wave: 1, soak_until: AT },
        AuditEvent::HealthCheckStarted { job: JOB, wave: 1, check: JOB },
        AuditEvent::WaveBegun { job: JOB, wave: 2 },
    ]
}

fn of_the_fleet() -> Vec<AuditEvent> {
    let token = TokenId::from_bytes([4; 16]);
    let identity = Identity::User { tenant: principal().tenant, name: principal().name };
    vec![
        AuditEvent::ControllerStarted { name: "c".into() },
        AuditEvent::PolicyChanged { version: 1, digest: Digest::of(b""), by: "file".into(), note: None },
        AuditEvent::ShadowPolicySet { digest: Digest::of(b""), by: principal() },
        AuditEvent::ShadowPolicyCleared { by: principal() },
        AuditEvent::FreezeSet(freeze()),
        AuditEvent::FreezeLifted { freeze: freeze(), by: principal() },
        AuditEvent::JoinTokenIssued { token, site: site(), agent: agent(), by: principal(), expires_at: AT },
        AuditEvent::AgentEnrolled { token, site: site(), agent: agent(), serial: "01".into() },
        AuditEvent::CertificateRenewed { identity, serial: "02".into() },
        AuditEvent::AgentRevoked {
            site: site(),
            agent: agent(),
            serial: "02".into(),
            revocation: Revocation { by: principal(), at: AT, reason: "lost".parse().unwrap() },
        },
        AuditEvent::AgentConnected { site: site(), agent: agent(), epoch: 1, address: "10.0.0.1:1".into() },
        AuditEvent::HostsReported { site: site(), agent: agent(), hosts: 1, changes: vec!["+ web-1".into()] },
        AuditEvent::AuditRead { by: principal(), from: 0, count: 1, query: Some("kind:x".into()) },
    ]
}

fn of_access() -> Vec<AuditEvent> {
    let identity = Identity::User { tenant: principal().tenant, name: principal().name };
    let address = std::net::IpAddr::from([10, 0, 0, 1]);
    let events = [
        AccessEvent::LoggedIn {
            identity: identity.clone(),
            serial: "01".into(),
            user: Some((principal(), "t-1".into())),
            address,
        },
        AccessEvent::CallRefused {
            identity: None,
            user: Some(principal()),
            method: "/x".into(),
            code: ErrorCode::Forbidden,
            count: 1,
        },
        AccessEvent::EnrolmentRefused {
            token: None,
            agent: None,
            code: JoinRefusal::UnknownToken,
            address: None,
            count: 1,
        },
        AccessEvent::ConfigurationLoaded {
            name: "c".into(),
            digest: Digest::of(b""),
            settings: vec!["listen=127.0.0.1:7443".into()],
            changed: None,
        },
    ];
    events.into_iter().map(|event| AuditEvent::Access(Box::new(event))).collect()
}

fn of_approvals() -> Vec<AuditEvent> {
    let group = GroupName::new("dba").unwrap();
    let changes = [
        ApprovalChange::Requested {
            requester: principal(),
            terms: vec![Term { group: group.clone(), approvals: 1 }],
            rules: vec!["r".parse().unwrap()],
            within: Duration::from_secs(60),
            hosts: 1,
        },
        ApprovalChange::Given { by: principal(), groups: vec![group.clone()], note: None },
        ApprovalChange::Denied { by: principal(), note: "not tonight".parse().unwrap() },
        ApprovalChange::Expired { expired_at: AT },
        ApprovalChange::Voided { code: "PLAN_STALE".into(), reason: "it changed".into() },
        ApprovalChange::Used { consents: vec![(principal(), group)], policy_version: 1 },
    ];
    let plan = Digest::of(b"");
    changes
        .into_iter()
        .map(|what| AuditEvent::Approval(Box::new(ApprovalEvent { job: JOB, plan, what })))
        .collect()
}

fn of_witnesses() -> Vec<AuditEvent> {
    let head = TreeHead { size: 1, root: Digest::of(b"") };
    let key = SigningKey::generate().unwrap().public_key();
    let name = lictor_certs::checkpoint::Origin::new("fleet.example/witness/default/berlin/a-1").unwrap();
    let witness = WitnessKey { name, key };
    let events = [
        WitnessEvent::Enrolled { site: site(), agent: agent(), key: witness.to_string(), replaces: None },
        WitnessEvent::Refused {
            site: site(),
            agent: agent(),
            known: head,
            shown: head,
            reason: "it is smaller".into(),
        },
        WitnessEvent::Resolved {
            site: site(),
            agent: agent(),
            known: head,
            accepted: head,
            by: "root".into(),
        },
        WitnessEvent::KeyRotated {
            old_key: key.to_string(),
            new_key: key.to_string(),
            statement: "s".into(),
        },
    ];
    events.into_iter().map(|event| AuditEvent::Witness(Box::new(event))).collect()
}

fn of_payloads() -> Vec<AuditEvent> {
    let note = || "as the law wants".parse().unwrap();
    let scope = PayloadScope::Job(JOB);
    let erasure = Erasure {
        id: ErasureId::from_bytes([5; 16]),
        scope: scope.clone(),
        reason: note(),
        by: principal(),
        at: AT,
    };
    let another = Principal { name: PrincipalName::new("sec").unwrap(), ..principal() };
    let hold = Hold {
        id: HoldId::from_bytes([6; 16]),
        scope,
        reason: note(),
        by: principal(),
        at: AT,
        lift: None,
        version: 1,
    };
    let events = [
        ErasureEvent::Requested(erasure.clone()),
        ErasureEvent::Ended { erasure: erasure.clone(), by: None },
        ErasureEvent::Done { erasure, consented_by: another.clone(), ranges: vec![(0, 1), (2, 4)] },
        ErasureEvent::HoldSet(hold.clone()),
        ErasureEvent::HoldLiftRequested { hold: hold.clone(), by: principal(), reason: note() },
        ErasureEvent::HoldLifted { hold, by: principal(), consented_by: another, reason: note() },
    ];
    events.into_iter().map(|event| AuditEvent::Erasure(Box::new(event))).collect()
}

fn of_retention() -> Vec<AuditEvent> {
    let limit = RetentionLimit::Age(Duration::from_secs(30 * 86_400));
    let before = RetentionLimits::default();
    let limits = RetentionLimits { output_bytes: 1 << 30, ..before };
    let reason = "the disk is full".parse().unwrap();
    let asked = Shortening { limits, by: principal(), reason, at: AT };
    let another = Principal { name: PrincipalName::new("sec").unwrap(), ..principal() };
    let events = [
        RetentionEvent::OutputsRemoved { job: JOB, count: 1, bytes: 1, limit },
        RetentionEvent::JobsRemoved { jobs: vec![JOB], invocations: 1, limit },
        RetentionEvent::KeysRemoved { count: 1 },
        RetentionEvent::PayloadsRemoved { ranges: vec![(0, 1), (2, 4)], limit },
        RetentionEvent::LimitsSet { limits: before, before: None },
        RetentionEvent::ShorteningRequested { asked: asked.clone(), before },
        RetentionEvent::ShorteningVoided(asked.clone()),
        RetentionEvent::Shortened { asked, before, consented_by: another },
    ];
    events.into_iter().map(|event| AuditEvent::Retention(Box::new(event))).collect()
}

/// One event of every kind.
pub(super) fn every_kind() -> Vec<AuditEvent> {
    [
        asked().to_vec(),
        of_invocations(),
        of_jobs(),
        of_the_fleet(),
        of_access(),
        of_approvals(),
        of_payloads(),
        of_witnesses(),
        of_retention(),
    ]
    .concat()
}
