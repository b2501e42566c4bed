//! What jobs leave is kept as long as said, and never of a job that has not ended.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::{sync::Arc, time::Duration};

use lictor_controller::{
    api::{audit::Reads, jobs::Jobs},
    erasures::Erasures,
    lifecycle::Submitted,
    live::{View, replay, watch},
    retention::{LimitsInForce, Removed, Retention, Shorten},
};
use lictor_core::{
    audit::{AuditEvent, RetentionEvent},
    clock::Clock as _,
    erasure::PayloadScope,
    error::{ErrorCode, Failure},
    id::{InvocationId, JobId},
    invocation::Invocation,
    job::{IdempotencyKey, JobSpec},
    outcome::{Outcome, Unknown},
    output::Output,
    principal::{Principal, PrincipalKind},
    retention::{OutputRemoved, RetentionLimit, RetentionLimits, RetentionStanding},
};
use lictor_proto::{
    convert::summary_with_bytes,
    pb::{self, job_service_server::JobService as _},
};
use lictor_store::{Change, Store as _, Write};
use tokio_stream::StreamExt as _;
use world::{Agent, World, call, only, operator, result, spec};

const DAY: Duration = Duration::from_secs(86_400);
const LIMITS: RetentionLimits = RetentionLimits {
    output_age: Duration::from_secs(10 * 86_400),
    output_bytes: 1_000,
    job_age: Duration::from_secs(20 * 86_400),
    payload_age: None,
};

fn erasures(world: &World) -> Arc<Erasures> {
    let ids = Arc::clone(&world.lifecycle.ids);
    Arc::new(Erasures::new(world.store.clone(), world.clock.clone(), ids))
}

fn reads(world: &World) -> Arc<Reads> {
    Arc::new(Reads::new(world.store.clone(), world.clock.clone()))
}

/// The limits in force after a start with a file that says these.
async fn limits(world: &World, file: RetentionLimits) -> Arc<LimitsInForce> {
    Arc::new(LimitsInForce::take_up(world.store.clone(), world.clock.clone(), file, 0).await.unwrap())
}

/// Consents to what is wanted, as somebody who has looked at it.
async fn consent(limits: &LimitsInForce, who: &Principal) -> Result<Shorten, Failure> {
    let seen = limits.standing().await.unwrap().file.to_string();
    limits.shorten(None, &seen, who).await
}

fn retention_within(world: &World, limits: &Arc<LimitsInForce>) -> Retention {
    Retention::new(world.store.clone(), world.clock.clone(), erasures(world), Arc::clone(limits))
}

async fn retention(world: &World) -> Retention {
    retention_within(world, &limits(world, LIMITS).await)
}

async fn round(world: &World) -> Removed {
    retention(world).await.round().await.unwrap()
}

fn person(name: &str) -> Principal {
    Principal { name: name.parse().unwrap(), ..operator().principal().clone() }
}

/// A result with so many bytes of output.
fn printed(id: InvocationId, outcome: &Outcome, bytes: usize) -> pb::InvocationResult {
    let mut output = Output::default();
    output.stdout.head = vec![b'x'; bytes];
    output.stdout.bytes_total = bytes as u64;
    output.stdout.digest = Some(lictor_core::digest::Digest::of(&output.stdout.head));
    pb::InvocationResult { output: Some(summary_with_bytes(&output)), ..result(id, outcome) }
}

/// A job on web-1 that has ended and printed so much.
async fn ended(world: &World, agent: &Agent, bytes: usize) -> (JobId, InvocationId) {
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let id = only(&job);
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    let results = vec![printed(id, &Outcome::Succeeded, bytes)];
    assert_eq!(world.lifecycle.take_results(&agent.session, results).await.unwrap(), [id.to_string()]);
    assert!(job.has_ended());
    (job.id(), id)
}

async fn kept_bytes(world: &World, id: InvocationId) -> Option<u64> {
    Some(world.store.outline(id).await.unwrap()?.kept.bytes())
}

async fn last_recorded(world: &World) -> serde_json::Value {
    world.audit().await.pop().unwrap()
}

#[tokio::test]
async fn outputs_are_removed_by_age_and_what_was_printed_stays_counted() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (job, id) = ended(&world, &agent, 300).await;
    let before = world.store.invocation(id).await.unwrap().unwrap();
    world.pass(DAY * 10);
    assert_eq!(round(&world).await, Removed::default(), "they are kept as long as said");
    world.pass(Duration::from_secs(1));
    assert_eq!(round(&world).await, Removed { outputs: 1, ..Removed::default() });
    assert_eq!(round(&world).await, Removed::default(), "once");

    let after = world.store.invocation(id).await.unwrap().unwrap();
    assert_eq!((after.output.stdout.bytes_total, after.output.stdout.bytes_kept()), (300, 0));
    assert_eq!(after.output.stdout.digest, before.output.stdout.digest);
    assert_eq!(after.state, before.state);
    let removed = after.output_removed.unwrap();
    assert_eq!(removed.limit, RetentionLimit::Age(DAY * 10));
    let recorded = last_recorded(&world).await;
    let fields = ["kind", "job", "count", "bytes", "why", "limit"].map(|name| recorded[name].clone());
    let expected: [serde_json::Value; 6] =
        ["outputs_removed".into(), job.to_string().into(), 1.into(), 300.into(), "age".into(), "10d".into()];
    assert_eq!(fields, expected);

    // Whoever asks is told.
    let api = Jobs::new(Arc::clone(&world.lifecycle), reads(&world)).unwrap();
    let request = pb::ReadOutputRequest {
        invocation_id: id.to_string(),
        stream: pb::StreamName::Stdout.into(),
        ..Default::default()
    };
    let answer = api.read_output(call(request)).await.unwrap().into_inner();
    assert!(answer.chunk.unwrap().data.is_empty());
    assert_eq!((answer.bytes_total, answer.removed), (300, Some((&removed).into())));
    let request = pb::GetRequest { job_id: job.to_string(), ..Default::default() };
    let told = api.get(call(request)).await.unwrap().into_inner().invocations.pop().unwrap();
    assert_eq!(told.output_removed, Some((&removed).into()));
}

/// The change by which retention removes what an invocation printed.
async fn removal(world: &World, id: InvocationId) -> (Change, pb::OutputRemoved) {
    let kept = world.store.outline(id).await.unwrap().unwrap().invocation;
    let removed = OutputRemoved { at: world.clock.now(), limit: RetentionLimit::Age(DAY) };
    let event = RetentionEvent::OutputsRemoved { job: kept.job, count: 1, bytes: 1, limit: removed.limit };
    let version = kept.version + 1;
    let write = Write::UpdateInvocation(Invocation { version, output_removed: Some(removed), ..kept }.into());
    (Change::new(removed.at, AuditEvent::Retention(Box::new(event))).write(write), (&removed).into())
}

#[tokio::test]
async fn output_that_is_removed_while_it_is_read_is_said_to_be_removed_and_never_just_shorter() {
    /// More than stays in memory.
    const BYTES: usize = 20_000;
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let removes = async |id| {
        let (change, removed) = removal(&world, id).await;
        *world.store.before_output.lock().unwrap() = Some(change);
        removed
    };

    let (_, id) = ended(&world, &agent, BYTES).await;
    let removed = removes(id).await;
    let api = Jobs::new(Arc::clone(&world.lifecycle), reads(&world)).unwrap();
    let stream = pb::StreamName::Stdout.into();
    let request = pb::ReadOutputRequest { invocation_id: id.to_string(), stream, ..Default::default() };
    let answer = api.read_output(call(request)).await.unwrap().into_inner();
    assert!(answer.chunk.unwrap().data.is_empty());
    assert_eq!((answer.bytes_total, answer.removed), (BYTES as u64, Some(removed)));

    // Who watches a job that has ended, and who was late for the end of one that was live.
    let view = View { addresses: false, replayed: false, live: false };
    let (job, id) = ended(&world, &agent, BYTES).await;
    let removed = removes(id).await;
    let kept = world.store.job(job).await.unwrap().unwrap();
    let told = replay(kept, world.store.clone(), view).collect::<Vec<_>>().await;
    assert_eq!(said(told), (0, Some(removed)));

    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let results = vec![printed(only(&job), &Outcome::Succeeded, BYTES)];
    world.lifecycle.take_results(&agent.session, results).await.unwrap();
    let removed = removes(only(&job)).await;
    let told = watch(job, world.store.clone(), view).collect::<Vec<_>>().await;
    assert_eq!(said(told), (0, Some(removed)));
}

/// How many bytes of output a watcher was told, and what was said of their removal with the end.
fn said(told: Vec<Result<pb::JobEvent, tonic::Status>>) -> (usize, Option<pb::OutputRemoved>) {
    let (mut bytes, mut removed) = (0, None);
    for event in told {
        match event.unwrap().event.unwrap() {
            pb::job_event::Event::Output(chunk) => bytes += chunk.data.len(),
            pb::job_event::Event::Invocation(invocation) => removed = invocation.output_removed,
            _ => {}
        }
    }
    (bytes, removed)
}

#[tokio::test]
async fn the_oldest_outputs_give_way_beyond_the_bytes() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let mut ids = Vec::new();
    for bytes in [400, 400, 400, 300] {
        ids.push(ended(&world, &agent, bytes).await.1);
        world.pass(DAY);
    }
    assert_eq!(round(&world).await, Removed { outputs: 2, ..Removed::default() });
    let mut left = Vec::new();
    for id in &ids {
        left.push(kept_bytes(&world, *id).await.unwrap());
    }
    assert_eq!(left, [0, 0, 400, 300], "no more than necessary");
    let recorded = last_recorded(&world).await;
    assert_eq!((&recorded["why"], &recorded["limit"]), (&"bytes".into(), &"1000B".into()));
    assert_eq!(round(&world).await, Removed::default());
}

#[tokio::test]
async fn of_a_job_that_has_not_ended_nothing_is_removed() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1", "web-2"], "uptime")).await.unwrap();
    let (first, second) = (job.index()[0].1, job.index()[1].1);
    let results = vec![printed(first, &Outcome::Succeeded, 5_000)];
    world.lifecycle.take_results(&agent.session, results).await.unwrap();
    world.pass(DAY * 100);
    assert_eq!(round(&world).await, Removed::default());
    assert_eq!(kept_bytes(&world, first).await, Some(5_000));
    // From its end on, its time runs.
    let results = vec![printed(second, &Outcome::Succeeded, 100)];
    world.lifecycle.take_results(&agent.session, results).await.unwrap();
    assert!(job.has_ended());
    assert_eq!(round(&world).await, Removed { outputs: 1, ..Removed::default() }, "it is beyond the bytes");
    let recorded = last_recorded(&world).await;
    assert_eq!((&recorded["count"], &recorded["bytes"]), (&2.into(), &5_100.into()));
    assert!(world.store.job(job.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn jobs_are_removed_as_a_whole_and_the_log_keeps_what_was_run() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (old, id) = ended(&world, &agent, 10).await;
    let (empty, _) = ended(&world, &agent, 0).await;
    world.pass(DAY * 15);
    let (new, _) = ended(&world, &agent, 10).await;
    world.pass(DAY * 5 + Duration::from_secs(1));
    assert_eq!(round(&world).await, Removed { jobs: 2, ..Removed::default() });
    assert_eq!((world.store.job(old).await.unwrap(), kept_bytes(&world, id).await), (None, None));
    assert!(world.store.job(new).await.unwrap().is_some());
    let recorded = last_recorded(&world).await;
    assert_eq!(recorded["jobs"], serde_json::json!([old.to_string(), empty.to_string()]));
    assert_eq!((&recorded["invocations"], &recorded["limit"]), (&2.into(), &"20d".into()));
    assert!(world.audit().await.iter().any(|record| record["job"] == old.to_string().as_str()));
    let api = Jobs::new(Arc::clone(&world.lifecycle), reads(&world)).unwrap();
    let listed = api.list(call(pb::ListRequest::default())).await.unwrap().into_inner().jobs;
    assert_eq!(listed.iter().map(|job| job.id.clone()).collect::<Vec<_>>(), [new.to_string()]);
    // It says so of what comes for it afterwards, and goes on.
    let late = vec![printed(id, &Outcome::Succeeded, 10)];
    assert_eq!(world.lifecycle.take_results(&agent.session, late).await.unwrap(), [id.to_string()]);
    assert_eq!(last_recorded(&world).await["kind"], "result_conflict");
}

#[tokio::test]
async fn a_key_finds_its_job_for_its_time_and_is_then_removed() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let spec =
        JobSpec { idempotency_key: Some(IdempotencyKey::new("k").unwrap()), ..spec(&["web-1"], "uptime") };
    let job = world.submit(&spec).await.unwrap();
    let results = vec![printed(only(&job), &Outcome::Succeeded, 10)];
    world.lifecycle.take_results(&agent.session, results).await.unwrap();
    world.pass(DAY * 7);
    assert_eq!(round(&world).await, Removed::default());
    let again = world.lifecycle.submit(&operator(), &spec).await.unwrap();
    assert!(matches!(again, Submitted::Ended(kept) if kept.job.id == job.id()));
    world.pass(Duration::from_secs(1));
    assert_eq!(round(&world).await, Removed { keys: 1, ..Removed::default() });
    assert_eq!(last_recorded(&world).await["kind"], "keys_removed");
    let anew = world.lifecycle.submit(&operator(), &spec).await.unwrap();
    assert!(matches!(anew, Submitted::Live { replayed: false, .. }));
}

#[tokio::test]
async fn evidence_that_comes_after_the_end_is_kept_and_counted_as_long_as_said() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let id = only(&job);
    assert_eq!(agent.offers(), [id]);
    world.disconnect(&agent);
    world.pass(DAY);
    world.lifecycle.sweep().await;
    assert_eq!(world.state(id).await, Outcome::Unknown(Unknown::AgentLost).name());
    let late = vec![printed(id, &Outcome::Succeeded, 2_000)];
    world.lifecycle.take_results(&agent.session, late).await.unwrap();
    assert_eq!(kept_bytes(&world, id).await, Some(2_000));
    assert_eq!(world.store.ended_job(job.id()).await.unwrap().unwrap().output_bytes, 2_000);
    assert_eq!(round(&world).await, Removed { outputs: 1, ..Removed::default() });
    assert_eq!(kept_bytes(&world, id).await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_removed() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (_, id) = ended(&world, &agent, 300).await;
    world.pass(DAY * 11);
    let retention = retention(&world).await;
    world.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(retention.round().await.is_err());
    assert_eq!(kept_bytes(&world, id).await, Some(300));
    world.store.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(retention.round().await.unwrap().outputs, 1);
}

#[tokio::test]
async fn what_a_hold_covers_is_kept_until_two_people_have_lifted_it() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let ((held, kept), (_, gone)) = (ended(&world, &agent, 300).await, ended(&world, &agent, 300).await);
    let erasures = erasures(&world);
    let note = || "case 12".parse().unwrap();
    let hold = erasures.hold(PayloadScope::Job(held), note(), &person("ada")).await.unwrap();
    world.pass(DAY * 11);
    assert_eq!(round(&world).await, Removed { outputs: 1, ..Removed::default() });
    assert_eq!((kept_bytes(&world, kept).await, kept_bytes(&world, gone).await), (Some(300), Some(0)));
    world.pass(DAY * 10);
    assert_eq!(round(&world).await, Removed { jobs: 1, ..Removed::default() });
    assert!(world.store.job(held).await.unwrap().is_some());

    erasures.lift(hold.id, Some(note()), &person("ada")).await.unwrap();
    assert_eq!(round(&world).await, Removed::default(), "one person alone does not lift it");
    erasures.lift(hold.id, None, &person("ben")).await.unwrap();
    assert_eq!(round(&world).await, Removed { jobs: 1, ..Removed::default() });
    assert!(world.store.job(held).await.unwrap().is_none());
}

/// Half of what is in force.
fn shorter() -> RetentionLimits {
    RetentionLimits { output_age: LIMITS.output_age / 2, job_age: LIMITS.job_age / 2, ..LIMITS }
}

#[tokio::test]
async fn a_file_that_says_less_removes_nothing_sooner_until_two_people_want_it() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    assert_eq!(limits(&world, LIMITS).await.now(), LIMITS);
    let (_, id) = ended(&world, &agent, 300).await;
    world.pass(DAY * 6);

    let limits = limits(&world, shorter()).await;
    let retention = retention_within(&world, &limits);
    assert_eq!(limits.now(), LIMITS);
    assert_eq!(retention.round().await.unwrap(), Removed::default());
    let refused = consent(&limits, &person("ada")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument, "whoever asks first says why");
    let asked = limits.shorten(Some("it is full".parse().unwrap()), "", &person("ada")).await.unwrap();
    let Shorten::Waits(standing) = asked else { panic!("one person is enough") };
    assert_eq!((standing.in_force, standing.file), (LIMITS, shorter()));
    assert_eq!(standing.asked.as_ref().map(|asked| asked.limits), Some(shorter()));
    for own in ["ada", "Ada"] {
        let refused = limits.shorten(Some("again".parse().unwrap()), "", &person(own)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden, "{own} is the same person");
    }
    let machine = Principal { kind: PrincipalKind::Service, ..person("ci") };
    assert_eq!(consent(&limits, &machine).await.unwrap_err().code, ErrorCode::Forbidden);
    assert_eq!(retention.round().await.unwrap(), Removed::default());
    assert_eq!(kept_bytes(&world, id).await, Some(300));

    // Who asks as well, or names other limits, has not looked, and consents to nothing.
    for (reason, seen) in [(Some("likewise".parse().unwrap()), ""), (None, ""), (None, "outputs.age=1d")] {
        let unseen = limits.shorten(reason, seen, &person("ben")).await.unwrap_err();
        assert!(unseen.code == ErrorCode::Conflict && unseen.message.contains("user:ada asked"), "{unseen}");
    }
    let done = consent(&limits, &person("ben")).await.unwrap();
    let standing = RetentionStanding { in_force: shorter(), file: shorter(), asked: None };
    assert_eq!(done, Shorten::Done(standing.clone()));
    assert_eq!(limits.standing().await.unwrap(), standing);
    let recorded = last_recorded(&world).await;
    let fields = ["kind", "by", "consented_by", "reason"].map(|name| recorded[name].clone());
    let expected: [serde_json::Value; 4] =
        ["retention_shortened".into(), "user:ada".into(), "user:ben".into(), "it is full".into()];
    assert_eq!(fields, expected);
    let named = |age: &str, jobs: &str| {
        serde_json::json!([age, "outputs.bytes=1000B", jobs, "payloads.age=for ever"])
    };
    assert_eq!(recorded["limits"], named("outputs.age=5d", "jobs.age=10d"));
    assert_eq!(recorded["before"], named("outputs.age=10d", "jobs.age=20d"));
    assert_eq!(retention.round().await.unwrap(), Removed { outputs: 1, ..Removed::default() });
    assert_eq!(kept_bytes(&world, id).await, Some(0));
    let over = consent(&limits, &person("ben")).await.unwrap_err();
    assert_eq!(over.code, ErrorCode::Conflict, "the file says nothing shorter any more");
}

#[tokio::test]
async fn shorter_limits_that_two_people_wanted_are_used_without_a_restart() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (_, old) = ended(&world, &agent, 300).await;
    world.pass(DAY * 5);
    let (_, id) = ended(&world, &agent, 300).await;
    world.pass(DAY * 6);
    limits(&world, LIMITS).await;
    let limits = limits(&world, shorter()).await;
    let removed = async |id| {
        while kept_bytes(&world, id).await != Some(0) {
            tokio::task::yield_now().await;
        }
    };
    let running = tokio::spawn(retention_within(&world, &limits).keep_for_ever());
    // The first round is over; the next one would come in ten minutes.
    tokio::time::timeout(Duration::from_secs(60), removed(old)).await.unwrap();
    limits.shorten(Some("it is full".parse().unwrap()), "", &person("ada")).await.unwrap();
    assert_eq!(kept_bytes(&world, id).await, Some(300));
    consent(&limits, &person("ben")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), removed(id)).await.unwrap();
    running.abort();
}

#[tokio::test]
async fn longer_limits_are_in_force_at_once_and_each_limit_counts_for_itself() {
    let world = World::new().await;
    limits(&world, LIMITS).await;
    let recorded = last_recorded(&world).await;
    assert_eq!((&recorded["kind"], &recorded["before"]), (&"retention_set".into(), &serde_json::Value::Null));
    let records = world.audit().await.len();
    limits(&world, LIMITS).await;
    assert_eq!(world.audit().await.len(), records, "nothing is recorded where nothing changed");

    let file = RetentionLimits { job_age: LIMITS.job_age * 2, output_bytes: 10, ..LIMITS };
    let in_force = RetentionLimits { job_age: LIMITS.job_age * 2, ..LIMITS };
    let longer = limits(&world, file).await;
    assert_eq!(longer.now(), in_force);
    let recorded = last_recorded(&world).await;
    assert_eq!(recorded["kind"], "retention_set");
    assert_eq!(
        (&recorded["limits"][2], &recorded["before"][2]),
        (&"jobs.age=40d".into(), &"jobs.age=20d".into())
    );
    assert_eq!(recorded["limits"][1], "outputs.bytes=1000B");
    // The way back takes two, and outlasts a start.
    assert_eq!(limits(&world, LIMITS).await.now(), in_force);
}

#[tokio::test]
async fn a_wish_is_for_one_file_and_for_its_time() {
    let world = World::new().await;
    limits(&world, LIMITS).await;
    let note = || Some("it is full".parse().unwrap());
    let other = RetentionLimits { output_bytes: 10, ..LIMITS };
    let first = limits(&world, shorter()).await;
    first.shorten(note(), "", &person("ada")).await.unwrap();
    assert!(limits(&world, shorter()).await.standing().await.unwrap().asked.is_some(), "it outlasts a start");

    // Another file voids it, for good.
    let second = limits(&world, other).await;
    let recorded = last_recorded(&world).await;
    assert_eq!(
        (&recorded["kind"], &recorded["requester"]),
        (&"retention_shortening_voided".into(), &"user:ada".into())
    );
    assert_eq!(consent(&second, &person("ben")).await.unwrap_err().code, ErrorCode::InvalidArgument);
    let back = limits(&world, shorter()).await;
    assert_eq!(consent(&back, &person("ben")).await.unwrap_err().code, ErrorCode::InvalidArgument);

    // Nobody consents after its time.
    back.shorten(note(), "", &person("ada")).await.unwrap();
    world.set_forward(DAY * 7);
    assert_eq!(back.standing().await.unwrap().asked, None);
    assert_eq!(consent(&back, &person("ben")).await.unwrap_err().code, ErrorCode::InvalidArgument);
    assert!(matches!(back.shorten(note(), "", &person("ben")).await.unwrap(), Shorten::Waits(_)));
    assert!(matches!(consent(&back, &person("ada")).await.unwrap(), Shorten::Done(_)));
    assert_eq!(limits(&world, shorter()).await.now(), shorter());
}

#[tokio::test]
async fn a_log_from_before_there_were_such_limits_keeps_its_payloads_for_ever() {
    let world = World::new().await;
    let file = RetentionLimits { payload_age: Some(DAY), ..LIMITS };
    let begin = async |log_size| {
        let (store, clock) = (world.store.clone(), world.clock.clone());
        LimitsInForce::take_up(store, clock, file, log_size).await.unwrap().now()
    };
    let kept = RetentionLimits { payload_age: None, ..file };
    assert_eq!((begin(1).await, begin(0).await), (kept, kept), "once recorded, it takes two people");
}

#[tokio::test]
async fn what_cannot_be_recorded_shortens_nothing() {
    let world = World::new().await;
    limits(&world, LIMITS).await;
    let limits = limits(&world, shorter()).await;
    limits.shorten(Some("it is full".parse().unwrap()), "", &person("ada")).await.unwrap();
    world.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(consent(&limits, &person("ben")).await.unwrap_err().code, ErrorCode::AuditUnavailable);
    assert_eq!(limits.now(), LIMITS);
}

/// Limits by which payloads of the log go after two days.
const TWO_DAYS: RetentionLimits =
    RetentionLimits { payload_age: Some(Duration::from_secs(2 * 86_400)), ..LIMITS };

/// The records whose payload is there.
async fn with_payload(world: &World) -> Vec<u64> {
    let entries = world.store.audit(0, 10_000).await.unwrap();
    entries.iter().filter(|entry| !entry.payload.is_empty()).map(|entry| entry.index).collect()
}

/// The records that a record's ranges mean.
fn indices(ranges: &serde_json::Value) -> Vec<u64> {
    let range = |text: &str| {
        let (from, last) = text.split_once('-').unwrap_or((text, text));
        from.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap()
    };
    ranges.as_array().unwrap().iter().flat_map(|text| range(text.as_str().unwrap())).collect()
}

fn of_payloads(records: &[u64]) -> Removed {
    Removed { payloads: records.len() as u64, ..Removed::default() }
}

#[tokio::test]
async fn payloads_go_when_they_were_kept_as_long_as_said_and_the_log_stays_what_it_was() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let retention = retention_within(&world, &limits(&world, TWO_DAYS).await);
    ended(&world, &agent, 0).await;
    let old = with_payload(&world).await;
    world.pass(DAY);
    ended(&world, &agent, 0).await;
    let young = with_payload(&world).await.split_off(old.len());
    assert!(!old.is_empty() && !young.is_empty());
    let before = world.store.audit_head().await.unwrap();
    world.pass(DAY);
    assert_eq!(retention.round().await.unwrap(), Removed::default(), "two days are kept, not less");

    world.pass(DAY / 24);
    world.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(retention.round().await.is_err());
    world.store.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        with_payload(&world).await,
        [&*old, &*young].concat(),
        "what cannot be recorded is not erased"
    );
    assert_eq!(retention.round().await.unwrap(), of_payloads(&old));
    assert_eq!(with_payload(&world).await, young);
    let recorded = last_recorded(&world).await;
    let fields = ["kind", "records", "why", "limit"].map(|name| recorded[name].clone());
    let expected: [serde_json::Value; 4] =
        ["payloads_removed".into(), old.len().into(), "age".into(), "2d".into()];
    assert_eq!((fields, indices(&recorded["ranges"])), (expected, old));
    assert_eq!(world.store.audit_head_at(before.size).await.unwrap(), Some(before), "the tree is as it was");
    assert_eq!(retention.round().await.unwrap(), Removed::default(), "once");

    world.pass(DAY);
    assert_eq!(retention.round().await.unwrap(), of_payloads(&young));
    assert_eq!(indices(&last_recorded(&world).await["ranges"]), young);
    assert!(with_payload(&world).await.is_empty());
}

#[tokio::test]
async fn payloads_are_kept_for_ever_until_two_people_want_less() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    limits(&world, LIMITS).await;
    ended(&world, &agent, 0).await;
    let old = with_payload(&world).await;
    world.pass(DAY * 5);
    let limits = limits(&world, TWO_DAYS).await;
    let retention = retention_within(&world, &limits);
    assert_eq!((limits.now(), retention.round().await.unwrap()), (LIMITS, Removed::default()));
    limits.shorten(Some("request 4711".parse().unwrap()), "", &person("ada")).await.unwrap();
    assert_eq!(retention.round().await.unwrap(), Removed::default());
    consent(&limits, &person("ben")).await.unwrap();
    assert_eq!(retention.round().await.unwrap(), of_payloads(&old));
    assert_eq!(indices(&last_recorded(&world).await["ranges"]), old);
}

#[tokio::test]
async fn payloads_that_a_hold_covers_stay_until_two_people_have_lifted_it() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let retention = retention_within(&world, &limits(&world, TWO_DAYS).await);
    let ((job, _), _) = (ended(&world, &agent, 0).await, ended(&world, &agent, 0).await);
    let erasures = erasures(&world);
    let note = || "case 12".parse().unwrap();
    let hold = erasures.hold(PayloadScope::Job(job), note(), &person("ada")).await.unwrap();
    let records = world.audit().await;
    let is_held = |index: &u64| records[usize::try_from(*index).unwrap()]["job"] == job.to_string().as_str();
    let (held, free): (Vec<u64>, Vec<u64>) = with_payload(&world).await.into_iter().partition(is_held);
    assert!(!held.is_empty() && !free.is_empty());

    world.pass(DAY * 3);
    assert_eq!(retention.round().await.unwrap(), of_payloads(&free));
    assert_eq!(with_payload(&world).await, held);
    assert_eq!(retention.round().await.unwrap(), Removed::default());
    erasures.lift(hold.id, Some(note()), &person("ada")).await.unwrap();
    assert_eq!(retention.round().await.unwrap(), Removed::default(), "one person alone does not lift it");
    erasures.lift(hold.id, None, &person("ben")).await.unwrap();
    assert_eq!(retention.round().await.unwrap(), of_payloads(&held));
    assert_eq!(indices(&last_recorded(&world).await["ranges"]), held);
}

#[tokio::test]
async fn evidence_that_comes_while_its_job_runs_is_counted_with_it_and_shown() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1", "web-2"], "uptime")).await.unwrap();
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    let ids: Vec<InvocationId> = job.index().into_iter().map(|(_, id, _)| id).collect();
    let tell = async |id: InvocationId, reported| {
        let results = vec![reported];
        let durable = world.lifecycle.take_results(&agent.session, results).await.unwrap();
        assert_eq!(durable, [id.to_string()]);
    };
    tell(ids[0], result(ids[0], &Outcome::Unknown(Unknown::ConnectionLost))).await;
    tell(ids[0], printed(ids[0], &Outcome::Succeeded, 20_000)).await;
    tell(ids[1], printed(ids[1], &Outcome::Succeeded, 300)).await;
    assert!(job.has_ended());
    let ended = world.store.ended_jobs(None, 10).await.unwrap();
    assert_eq!(ended.iter().map(|ended| ended.output_bytes).sum::<u64>(), 20_300);
    let view = View { addresses: false, replayed: false, live: false };
    let mut events = Box::pin(watch(Arc::clone(&job), world.store.clone(), view));
    let mut told = 0;
    while let Some(event) = events.next().await {
        if let Some(pb::job_event::Event::Output(chunk)) = event.unwrap().event {
            told += chunk.data.len();
        }
    }
    assert_eq!(told, 20_300);
}
