//! An agent that never comes back: what it may have begun is UNKNOWN, what nobody has is EXPIRED, and nothing is run for it.

use std::process::Command;

use lictor_core::limits::{AGENT_LOST_GRACE, GRANT_VALIDITY, KILL_CONFIRM, TERM_GRACE};
use lictor_tests::{binaries, process::Process, record::Seen};

use super::*;

/// Of the commands: long enough to kill the agent in on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long what comes after the agent has gone waits for it.
const SHORT_WAIT: Duration = Duration::from_secs(3);

/// How much faster time goes by for the controller while it waits for the agent: what takes it minutes is not waited for.
const FASTER: &str = "+0s x8";

/// After which an agent is given up, and then a slow machine's patience.
fn given_up() -> Duration {
    GRANT_VALIDITY + TIMEOUT + TERM_GRACE + KILL_CONFIRM + AGENT_LOST_GRACE + PATIENCE
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_agent_that_never_comes_back_nothing_is_guessed_and_nothing_is_run_again() {
    let world = World::prepare(&["web-1"]).unwrap();
    // One at a time, so that the second is accepted and waits.
    world.set_agent("max_concurrency", "1").unwrap();
    let mut world = world.set_up().await.unwrap();
    let go = world.file("go");
    let runs = submit_for(&world, &["web-1"], &effect_until(&go), TIMEOUT).await;
    let running = look(&world, runs).await.id.to_string();
    let begun =
        async || world.seen_of(&running).begun == 1 && look(&world, runs).await.phase == Phase::Running;
    eventually("it runs", begun).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    let has = submit_for(&world, &["web-1"], &effect(":"), TIMEOUT).await;
    let accepted = look(&world, has).await.id.to_string();
    journalled(&world, &accepted, Line::Accepted).await;
    let told = async || look(&world, has).await.phase == Phase::Accepted;
    eventually("the controller knows", told).await.unwrap();

    world.agent.as_mut().unwrap().kill();
    let gone = async || agent_state(&world).await == AgentState::Disconnected;
    eventually("the operator sees that it is gone", gone).await.unwrap();
    let [shell, option, script] = effect(":");
    let late =
        JobSpec { queue_wait: Some(SHORT_WAIT), ..spec(&["web-1"], &[&shell, &option, &script]).unwrap() };
    let late = world.client().unwrap().submit(&late).await.unwrap().job.id;
    assert_eq!(world.settle(&[late], PATIENCE).await.unwrap(), tally(&Outcome::Expired));
    for (job, phase) in [(runs, Phase::Running), (has, Phase::Accepted)] {
        let view = look(&world, job).await;
        assert_eq!((view.phase, view.outcome), (phase, None), "that it is gone is not yet an end");
    }
    // The command itself has come to its end, and there is nobody to tell.
    finish(&world, &running, &go).await;

    world.controller.as_mut().unwrap().kill();
    let mut controller = Command::new(binaries::path("lictor-controller").unwrap());
    controller.arg("--config").arg(world.home().join("controller.yml"));
    controller.env("LD_PRELOAD", clocks::faketime()).env("FAKETIME", FASTER);
    world.controller = Some(Process::spawn(&mut controller, &world.file("controller.log")).unwrap());
    world.controller_answers().await.unwrap();
    let lost = Outcome::Unknown(Unknown::AgentLost);
    let ended = world.settle(&[runs, has], given_up()).await.unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(ended, BTreeMap::from([(lost.to_string(), 2)]), "{}", world.logs());
    for job in [runs, has] {
        let view = look(&world, job).await;
        assert_eq!((view.outcome, view.resolution), (Some(lost.clone()), None));
    }
    assert_eq!(agent_state(&world).await, AgentState::Disconnected);
    assert_eq!(world.seen_of(&running), Seen { starts: 1, begun: 1, done: 1 });
    assert_eq!(world.seen().len(), 1, "nothing else was ever asked of the host");
}
