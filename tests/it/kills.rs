//! Processes that are killed (`SIGKILL`) at random moments in the middle of jobs on real hosts.
//!
//! Whatever is killed: no command runs twice, no job stays open, no acknowledged record is lost. The rounds are few by
//! default; `scripts/test --kills N` asks for more. A failure prints its seed; `LICTOR_KILL_SEED` repeats it.

use std::{collections::BTreeMap, time::Duration};

use lictor_client::connect::Client;
use lictor_core::{
    id::JobId,
    job::{IdempotencyKey, JobSpec},
    outcome::{Outcome, Ran},
};
use lictor_tests::{
    World,
    process::eventually,
    world::{expect, spec},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

/// Rounds when nothing else is asked for.
const ROUNDS: u64 = 4;

#[derive(Debug, Clone, Copy)]
enum Victim {
    Controller,
    Agent,
    Both,
}

fn rounds() -> u64 {
    std::env::var("LICTOR_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS)
}

fn seed() -> u64 {
    let seed =
        std::env::var("LICTOR_KILL_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(rand::random);
    eprintln!("LICTOR_KILL_SEED={seed}");
    seed
}

/// Submits until it is acknowledged, under a key, so that asking again is safe.
async fn submit(client: &Client, spec: &JobSpec) -> Option<JobId> {
    client.submit(spec).await.ok().map(|submitted| submitted.job.id)
}

async fn storm(victim: Victim) {
    let mut random = StdRng::seed_from_u64(seed());
    let mut world = World::start(&["web-1", "web-2"]).await.unwrap();
    let mut jobs: Vec<JobId> = Vec::new();
    for round in 0..rounds() {
        let client = world.client().unwrap();
        for n in 0..4 {
            let key = IdempotencyKey::new(&format!("{round}-{n}")).unwrap();
            let seconds = format!("{:.2}", random.random_range(0.0..0.4));
            let job = JobSpec {
                idempotency_key: Some(key),
                queue_wait: Some(Duration::from_secs(60)),
                ..spec(&["web-1", "web-2"], &["sleep", &seconds]).unwrap()
            };
            if let Some(id) = submit(&client, &job).await {
                jobs.push(id);
            }
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..250))).await;
        if matches!(victim, Victim::Controller | Victim::Both) {
            world.controller.as_mut().unwrap().kill();
        }
        if matches!(victim, Victim::Agent | Victim::Both) {
            world.agent.as_mut().unwrap().kill();
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..100))).await;
        if matches!(victim, Victim::Agent | Victim::Both) {
            world.spawn_agent().unwrap();
        }
        if matches!(victim, Victim::Controller | Victim::Both) {
            world.start_controller().await.unwrap();
        }
        world.agent_connected().await.unwrap();
    }
    settle(&world, &jobs).await;
}

/// Every acknowledged job ends, and what its invocations say is what the hosts saw.
async fn settle(world: &World, jobs: &[JobId]) {
    let client = world.client().unwrap();
    for id in jobs {
        let ended = async || client.get_job(*id, 0, None).await.is_ok_and(|page| page.job.state.ended());
        eventually("every job ends", ended).await.unwrap_or_else(|e| panic!("{e}: {id}\n{}", world.logs()));
        let page = client.get_job(*id, 0, None).await.unwrap();
        assert_eq!(page.invocations.len(), 2);
        for invocation in page.invocations {
            let starts = world.host(invocation.host.as_str()).starts_of(&invocation.id.to_string());
            let outcome = invocation.outcome.unwrap();
            assert!(starts <= 1, "{} was started {starts} times", invocation.id);
            match outcome.ran() {
                Ran::Ran => assert_eq!(starts, 1, "{} is {outcome} and was never started", invocation.id),
                Ran::NotRun => assert_eq!(starts, 0, "{} is {outcome} and was started", invocation.id),
                Ran::MayHaveRun => {}
            }
            assert!(
                matches!(outcome, Outcome::Succeeded | Outcome::Unknown(_)),
                "{} is {outcome}",
                invocation.id
            );
        }
    }
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
    let audit = world.audit().await.unwrap();
    let submitted = audit.iter().filter(|r| r["kind"] == "job_submitted");
    let submitted: Vec<&str> = submitted.filter_map(|r| r["job"].as_str()).collect();
    let mut last = None;
    for id in jobs {
        let id = id.to_string();
        assert_eq!(submitted.iter().filter(|job| **job == id).count(), 1, "{id}");
        // One was acknowledged before the next was asked for, so the log has them in this order.
        let at = submitted.iter().position(|job| *job == id);
        assert!(at > last, "{id} was acknowledged later than it is recorded");
        last = at;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_loses_nothing_and_runs_nothing_twice() {
    storm(Victim::Controller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_loses_nothing_and_runs_nothing_twice() {
    storm(Victim::Agent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_killed_at_once_lose_nothing_and_run_nothing_twice() {
    storm(Victim::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_bridge_leaves_no_job_open_and_runs_nothing_twice() {
    let mut random = StdRng::seed_from_u64(seed());
    let world = World::start(&["web-1"]).await.unwrap();
    for n in 0..rounds() {
        let mut mcp = world.mcp().await.unwrap();
        let arguments = json!({"alias": "web-1", "command": format!("sh -c 'sleep 0.3; echo {n}'"), "idempotency_key": format!("bridge-{n}")});
        mcp.begin("tools/call", json!({"name": "ssh_run", "arguments": arguments})).await.unwrap();
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        mcp.kill_bridge().await;
        let mut again = world.mcp().await.unwrap();
        let answer = again.call("ssh_run", arguments).await.unwrap();
        assert_eq!(answer["structuredContent"]["stdout"], format!("{n}\n"), "{answer}");
    }
    let client = world.client().unwrap();
    let jobs = client.list_jobs(100, None).await.unwrap().jobs;
    assert_eq!(jobs.len() as u64, rounds(), "asking again under the same key is the same job");
    let ids: BTreeMap<JobId, ()> = jobs.iter().map(|j| (j.id, ())).collect();
    for id in ids.keys() {
        let page = client.get_job(*id, 0, None).await.unwrap();
        let invocation = &page.invocations[0];
        assert_eq!(invocation.outcome, Some(Outcome::Succeeded));
        assert_eq!(world.host("web-1").starts_of(&invocation.id.to_string()), 1);
    }
}
