//! Controller and agent are stopped (`SIGSTOP`) for longer than a session lives without a word.

use lictor_tests::signals::Stopped;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stands_still_is_suspect_and_changes_nothing_until_it_goes_on() {
    let world = World::start(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    let stopped = Stopped::new(world.agent.as_ref().unwrap().id());
    let silent = async || agent_state(&world).await != AgentState::Connected;
    eventually("the silence is noticed", silent).await.unwrap();
    let view = look(&world, job).await;
    assert_eq!((view.phase, view.outcome), (Phase::Running, None));
    finish(&world, &id, &go).await;
    let waits = submit(&world, &["web-1"], &effect(":")).await;
    assert_eq!(look(&world, waits).await.phase, Phase::Queued, "a suspect agent is offered nothing new");
    drop(stopped);
    let ended = world.settle(&[job, waits], PATIENCE).await.unwrap();
    assert_eq!(ended, BTreeMap::from([(Outcome::Succeeded.to_string(), 2)]), "{}", world.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_stands_still_gets_each_result_once_when_it_goes_on() {
    let world = World::start(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    let stopped = Stopped::new(world.controller.as_ref().unwrap().id());
    let gives_up = async || world.agent.as_ref().unwrap().log().contains("no session with the controller");
    within(LONG, "the agent notices", gives_up).await.unwrap();
    finish(&world, &id, &go).await;
    journalled(&world, &id, Line::Done).await;
    drop(stopped);
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    works(&world, "web-1").await;
}
