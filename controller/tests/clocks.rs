//! What waits is measured in time in which somebody could have been heard: neither a clock that is set nor a stall ends it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::time::Duration;

use lictor_core::{
    invocation::InvocationEvent,
    limits::AGENT_LOST_GRACE,
    outcome::{Outcome, Unknown},
};
use lictor_proto::pb;
use lictor_store::Store as _;
use world::{World, only, result, spec};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longer than any wait of the job below may last.
const LONG: Duration = Duration::from_secs(600);

/// One invocation that waits for an agent that is not there, or was given to one and runs.
async fn waiting(world: &World) -> lictor_core::id::InvocationId {
    only(&world.submit(&spec(&["web-2"], "uptime")).await.unwrap())
}

#[tokio::test]
async fn a_clock_that_is_set_forward_ends_nothing_that_runs_or_waits() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    job.observe(0, InvocationEvent::Start);
    world.disconnect(&agent);
    let waits = waiting(&world).await;
    world.set_forward(DAY);
    world.lifecycle.sweep().await;
    assert_eq!(world.state(only(&job)).await, "OFFERED", "its agent may still come back");
    assert_eq!(world.state(waits).await, "QUEUED");
    let agent = world.connect(&[(only(&job), pb::JournalPhase::Running)], false).await;
    assert_eq!(agent.offers(), [waits], "it is not too late");
    for id in [only(&job), waits] {
        let _ = world
            .lifecycle
            .take_results(&agent.session, vec![result(id, &Outcome::Succeeded)])
            .await
            .unwrap();
        assert_eq!(world.state(id).await, "SUCCEEDED");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_wait() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let runs = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.disconnect(&agent);
    let waits = waiting(&world).await;
    world.set_back(Duration::from_secs(900));
    world.pass(LONG);
    world.lifecycle.sweep().await;
    assert_eq!(world.state(runs).await, "UNKNOWN");
    assert_eq!(world.state(waits).await, "EXPIRED");
}

#[tokio::test]
async fn a_controller_that_stood_still_gives_agents_the_time_to_come_back() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let runs = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.disconnect(&agent);
    let waits = waiting(&world).await;
    world.stall(DAY);
    world.lifecycle.sweep().await;
    assert_eq!((world.state(runs).await, world.state(waits).await), ("OFFERED".into(), "QUEUED".into()));
    world.pass(LONG);
    world.lifecycle.sweep().await;
    assert_eq!((world.state(runs).await, world.state(waits).await), ("UNKNOWN".into(), "EXPIRED".into()));
}

#[tokio::test]
async fn an_agent_that_is_connected_is_asked_and_never_given_up() {
    let world = World::new().await;
    let mut agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    job.observe(0, InvocationEvent::Start);
    for _ in 0..3 {
        world.pass(LONG);
        world.lifecycle.sweep().await;
        assert_eq!(world.state(only(&job)).await, "OFFERED");
        // Its session ends, so that it says what it has.
        agent.session.fell_behind().await;
        world.disconnect(&agent);
        world.pass(AGENT_LOST_GRACE);
        world.lifecycle.sweep().await;
        assert_eq!(world.state(only(&job)).await, "OFFERED", "it has time to come back");
        agent = world.connect(&[(only(&job), pb::JournalPhase::Running)], false).await;
        world.pass(AGENT_LOST_GRACE * 2);
        world.lifecycle.sweep().await;
        assert_eq!(world.state(only(&job)).await, "OFFERED", "it says that it has it");
    }
    world.disconnect(&agent);
    world.pass(LONG);
    world.lifecycle.sweep().await;
    let kept = world.store.invocation(only(&job)).await.unwrap().unwrap();
    assert_eq!(kept.state.outcome(), Some(&Outcome::Unknown(Unknown::AgentLost)), "it never came back");
}
