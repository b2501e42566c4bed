//! The failure table: each row is a test, with real processes, judged by what the hosts themselves recorded.

mod clocks;
mod detached;
mod disks;
mod downloads;
mod fan_out;
mod gone;
mod hosts;
mod journal;
mod links;
mod poison;
mod results;
mod stopped;
mod storm;
mod uploads;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lictor_client::{
    operator::AgentState,
    views::{InvocationView, Phase},
};
use lictor_core::{
    id::JobId,
    job::JobSpec,
    outcome::{Outcome, Unknown, Unreachable},
};
use lictor_tests::{
    World,
    journal::Line,
    process::{PATIENCE, eventually, within},
    record::{Tally, effect, effect_until},
    world::spec,
};

/// How long a job may wait for its agent: nothing here is about expiry.
const QUEUE_WAIT: Duration = Duration::from_secs(300);
/// For what a keep-alive has to notice: it takes up to a minute by itself.
const LONG: Duration = Duration::from_secs(150);

/// A job on these hosts that nothing ends but its own end.
async fn submit(world: &World, hosts: &[&str], argv: &[String]) -> JobId {
    submit_for(world, hosts, argv, PATIENCE).await
}

/// As [`submit`], with a timeout.
async fn submit_for(world: &World, hosts: &[&str], argv: &[String], timeout: Duration) -> JobId {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let spec =
        JobSpec { queue_wait: Some(QUEUE_WAIT), timeout: Some(timeout), ..spec(hosts, &argv).unwrap() };
    world.client().unwrap().submit(&spec).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs())).job.id
}

/// The first invocation of a job as it stands.
async fn look(world: &World, job: JobId) -> InvocationView {
    world.client().unwrap().get_job(job, 0, None).await.unwrap().invocations.remove(0)
}

/// A job on one host that runs until the file is there; answers once it has begun there and the controller knows.
async fn running(world: &World, host: &str) -> (JobId, String, PathBuf) {
    let go = world.file(&format!("go-{}", rand::random::<u32>()));
    let job = submit(world, &[host], &effect_until(&go)).await;
    let id = look(world, job).await.id.to_string();
    let begun = async || world.seen_of(&id).begun == 1 && look(world, job).await.phase == Phase::Running;
    eventually("it runs", begun).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    (job, id, go)
}

/// Lets what runs come to its end, and waits for its own word that it has.
async fn finish(world: &World, id: &str, go: &Path) {
    fs::write(go, "").unwrap();
    eventually("the command ends on its host", async || world.seen_of(id).done == 1).await.unwrap();
}

/// Waits until the agent has written this down of an invocation.
async fn journalled(world: &World, id: &str, line: Line) {
    eventually("the agent writes it down", async || world.journal_of(id).contains(&line))
        .await
        .unwrap_or_else(|e| panic!("{e}: {line:?}\n{}", world.logs()));
}

async fn agent_state(world: &World) -> AgentState {
    world.operator().unwrap().agents().await.unwrap()[0].state
}

fn tally(outcome: &Outcome) -> Tally {
    BTreeMap::from([(outcome.to_string(), 1)])
}

/// One quick command on this host works.
async fn works(world: &World, host: &str) {
    let job = submit(world, &[host], &effect(":")).await;
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded), "{}", world.logs());
}
