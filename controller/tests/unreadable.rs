//! Records that cannot be read: whose they are is known, so their jobs end with the truth, and nothing else is hidden.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::sync::Arc;

use lictor_controller::{
    api::{audit::Reads, jobs::Jobs},
    live::{View, replay},
};
use lictor_core::{
    id::{InvocationId, JobId},
    job::{Counts, JobState, Limits},
    outcome::{Outcome, Unknown},
};
use lictor_proto::pb::{self, job_service_server::JobService as _};
use lictor_store::Store as _;
use tokio_stream::StreamExt as _;
use world::{World, call, result, spec};

/// A job on these hosts that was offered to an agent, and its invocations.
async fn offered(world: &World, hosts: &[&str]) -> (JobId, Vec<InvocationId>) {
    let job = world.submit(&spec(hosts, "uptime")).await.unwrap();
    (job.id(), job.index().into_iter().map(|(_, id, _)| id).collect())
}

fn poison(world: &World, ids: &[InvocationId]) {
    world.store.poisoned.lock().unwrap().extend(ids);
}

async fn counts(world: &World, job: JobId) -> Option<Counts> {
    world.store.job(job).await.unwrap().unwrap().counts
}

async fn ends(world: &World, id: InvocationId) -> usize {
    let ended = |e: &&serde_json::Value| e["kind"] == "invocation_ended" && e["invocation"] == id.to_string();
    world.audit().await.iter().filter(ended).count()
}

async fn shown(world: &World, job: JobId) -> pb::GetResponse {
    let reads = Arc::new(Reads::new(world.store.clone(), world.clock.clone()));
    let jobs = Jobs::new(world.lifecycle.clone(), reads).unwrap();
    let request = pb::GetRequest { job_id: job.to_string(), ..Default::default() };
    jobs.get(call(request)).await.unwrap().into_inner()
}

fn reasons(shown: &pb::GetResponse) -> Vec<(String, String)> {
    let reason = |i: &pb::Invocation| {
        (i.host.clone(), i.outcome.as_ref().map(|o| o.reason.clone()).unwrap_or_default())
    };
    shown.invocations.iter().map(reason).collect()
}

#[tokio::test]
async fn a_job_of_which_one_record_cannot_be_read_never_ends_as_if_it_had_no_such_host() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    let (job, ids) = offered(&world, &["web-1", "web-2"]).await;
    poison(&world, &ids[1..]);
    let world = world.restarted().await;
    let journal: Vec<_> = ids.iter().map(|id| (*id, pb::JournalPhase::Running)).collect();
    let agent = world.connect(&journal, false).await;

    let before = shown(&world, job).await;
    assert_eq!(reasons(&before)[1], ("web-2".into(), "record_unreadable".into()));
    let record = world.audit().await.into_iter().find(|e| e["kind"] == "records_unreadable").unwrap();
    assert_eq!((&record["job"], &record["count"]), (&job.to_string().into(), &1.into()));
    assert_eq!(record["invocations"][0], ids[1].to_string());

    let _ = world
        .lifecycle
        .take_results(&agent.session, vec![result(ids[0], &Outcome::Succeeded)])
        .await
        .unwrap();
    let ended = counts(&world, job).await.unwrap();
    assert_eq!((ended.total(), ended.succeeded, ended.unknown), (2, 1, 1));
    assert_eq!(ended.state(), JobState::Partial, "one of two is not success");
    let after = shown(&world, job).await;
    assert_eq!(
        reasons(&after),
        [("web-1".into(), String::new()), ("web-2".into(), "record_unreadable".into())]
    );
    assert_eq!(after.invocations[1].outcome.as_ref().unwrap().ran, pb::Ran::MayHaveRun as i32);
    for id in &ids {
        assert_eq!(ends(&world, *id).await, 1, "an intent has one end in the log");
    }
    let kept = world.store.job(job).await.unwrap().unwrap();
    let view = View { addresses: false, replayed: false, live: false };
    let told: Vec<_> = replay(kept, world.store.clone(), view).collect().await;
    assert!(told.iter().all(Result::is_ok), "who watches it later is told all of it: {told:?}");
}

#[tokio::test]
async fn a_job_of_which_no_record_can_be_read_ends_and_says_that_nobody_knows() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    let (job, ids) = offered(&world, &["web-1", "web-2"]).await;
    poison(&world, &ids);
    let world = world.restarted().await;
    let ended = counts(&world, job).await.unwrap();
    assert_eq!((ended.total(), ended.state()), (2, JobState::Unknown));
    assert!(world.lifecycle.jobs.jobs().is_empty());
    let stubs = shown(&world, job).await.invocations;
    assert_eq!(stubs.len(), 2);
    let understood = |stub: pb::Invocation| Limits::try_from(stub.limits.unwrap()).is_ok();
    assert!(stubs.into_iter().all(understood), "clients take only limits that can be");

    // Whoever restores the records gets them back, and they are not begun by it.
    world.store.poisoned.lock().unwrap().clear();
    let world = world.restarted().await;
    let agent = world.connect(&[], false).await;
    assert!(agent.offers().is_empty(), "an ended job begins nothing");
    for id in ids {
        let state = world.store.invocation(id).await.unwrap().unwrap().state;
        assert_eq!(state.outcome(), Some(&Outcome::Unknown(Unknown::RecordUnreadable)));
        assert_eq!(ends(&world, id).await, 1, "an intent has one end in the log");
    }
    assert_eq!(counts(&world, job).await, Some(ended), "an ended job never changes");
}
