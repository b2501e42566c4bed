//! What jobs leave is kept as long as said, and never of a job that has not ended.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::{sync::Arc, time::Duration};

use lictor_controller::{
    api::jobs::Jobs,
    erasures::Erasures,
    lifecycle::Submitted,
    retention::{Removed, Retention, RetentionLimits},
};
use lictor_core::{
    erasure::PayloadScope,
    id::{InvocationId, JobId},
    job::{IdempotencyKey, JobSpec},
    outcome::{Outcome, Unknown},
    output::Output,
    principal::Principal,
    retention::RetentionLimit,
};
use lictor_proto::{
    convert::summary_with_bytes,
    pb::{self, job_service_server::JobService as _},
};
use lictor_store::Store as _;
use world::{Agent, World, call, only, operator, result, spec};

const DAY: Duration = Duration::from_secs(86_400);
const LIMITS: RetentionLimits = RetentionLimits {
    output_age: Duration::from_secs(10 * 86_400),
    output_bytes: 1_000,
    job_age: Duration::from_secs(20 * 86_400),
};

fn erasures(world: &World) -> Arc<Erasures> {
    let ids = Arc::clone(&world.lifecycle.ids);
    Arc::new(Erasures::new(world.store.clone(), world.clock.clone(), ids))
}

fn retention(world: &World) -> Retention {
    Retention::new(world.store.clone(), world.clock.clone(), erasures(world), LIMITS)
}

async fn round(world: &World) -> Removed {
    retention(world).round().await.unwrap()
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
    let api = Jobs::new(Arc::clone(&world.lifecycle));
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
    let api = Jobs::new(Arc::clone(&world.lifecycle));
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
    world.store.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let retention = retention(&world);
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
    let person = |name: &str| Principal { name: name.parse().unwrap(), ..operator().principal().clone() };
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
