//! The agent is killed (`SIGKILL`) before and after each line of its journal. Where it stood is read from the journal.

use lictor_tests::{
    links::Links,
    proxy::Flow,
    signals::{self, Signal, Stopped},
};
use rand::RngExt as _;

use super::*;

/// Rounds of killing as soon as a line shows.
const ROUNDS: usize = 6;

/// A system whose agent runs one command at a time, so that the next one is accepted and waits.
async fn one_at_a_time() -> (World, Links) {
    let world = World::prepare(&["web-1"]).unwrap();
    let links = Links::lay(&world).await.unwrap();
    world.set_agent("max_concurrency", "1").unwrap();
    (world.set_up().await.unwrap(), links)
}

/// Kills the agent; answers what its journal says of the invocation.
fn kill(world: &mut World, id: &str) -> Vec<Line> {
    world.agent.as_mut().unwrap().kill();
    world.journal_of(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_before_accepted_is_offered_it_again_and_runs_it_once() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let stopped = Stopped::new(world.agent.as_ref().unwrap().id());
    let job = submit(&world, &["web-1"], &effect(":")).await;
    let id = look(&world, job).await.id.to_string();
    assert_eq!(look(&world, job).await.phase, Phase::Offered);
    assert_eq!(kill(&mut world, &id), []);
    drop(stopped);
    world.start_agent().await.unwrap();
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    let audit = world.audit().await.unwrap();
    let returned =
        audit.iter().filter(|r| r["kind"] == "invocation_returned" && r["invocation"] == id.as_str());
    assert_eq!(returned.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_accepted_and_before_starting_says_that_it_did_not_run() {
    let (mut world, _links) = one_at_a_time().await;
    let (first, holds, _go) = running(&world, "web-1").await;
    let waits = submit(&world, &["web-1"], &effect(":")).await;
    let id = look(&world, waits).await.id.to_string();
    journalled(&world, &id, Line::Accepted).await;
    eventually("the controller knows", async || look(&world, waits).await.phase == Phase::Accepted)
        .await
        .unwrap();
    assert_eq!(kill(&mut world, &id), [Line::Accepted]);
    world.start_agent().await.unwrap();
    let ended = world.settle(&[first, waits], PATIENCE).await.unwrap();
    assert_eq!(ended.len(), 2, "{ended:?}");
    assert_eq!(look(&world, first).await.outcome, Some(Outcome::Unknown(Unknown::AgentRestarted)));
    let outcome = look(&world, waits).await.outcome.unwrap();
    assert_eq!(outcome.reason_code(), Some("AGENT_RESTARTED"), "{outcome}");
    assert_eq!((world.seen_of(&holds).starts, world.seen_of(&id).starts), (1, 0));
    // As the failure table advises.
    let again = world.lictor(&["--output", "json", "retry", &waits.to_string()]).unwrap();
    lictor_tests::world::expect(&again).unwrap();
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    let again = look(&world, again["job"]["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(again.outcome, Some(Outcome::Succeeded));
    assert_eq!(again.limits.timeout, PATIENCE, "it may take as long as it might before");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_starting_and_before_done_says_unknown_though_the_command_came_to_its_end() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    let stopped = Stopped::new(world.agent.as_ref().unwrap().id());
    finish(&world, &id, &go).await;
    assert_eq!(kill(&mut world, &id), [Line::Starting]);
    drop(stopped);
    world.start_agent().await.unwrap();
    let unknown = tally(&Outcome::Unknown(Unknown::AgentRestarted));
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_done_and_before_the_report_reports_it_from_its_journal() {
    let (mut world, links) = World::start_with_links(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    links.controller.down();
    finish(&world, &id, &go).await;
    journalled(&world, &id, Line::Done).await;
    assert_eq!(kill(&mut world, &id), [Line::Starting, Line::Done]);
    assert_eq!(look(&world, job).await.phase, Phase::Running);
    links.controller.set(Flow::Both);
    world.start_agent().await.unwrap();
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_the_report_and_before_it_is_forgotten_reports_it_again_and_it_counts_once() {
    let (mut world, links) = World::start_with_links(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    // Its report arrives; that it is committed does not come back.
    links.controller.set(Flow::ToServer);
    finish(&world, &id, &go).await;
    eventually("it is recorded", async || look(&world, job).await.outcome.is_some()).await.unwrap();
    assert_eq!(kill(&mut world, &id), [Line::Starting, Line::Done]);
    links.controller.set(Flow::Both);
    world.start_agent().await.unwrap();
    works(&world, "web-1").await;
    journalled(&world, &id, Line::Forgotten).await;
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    let audit = world.audit().await.unwrap();
    assert!(!audit.iter().any(|r| r["kind"] == "result_conflict"), "the same again is no conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_after_it_has_forgotten_an_end_never_tells_it_again() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let job = submit(&world, &["web-1"], &effect(":")).await;
    let id = look(&world, job).await.id.to_string();
    world.settle(&[job], PATIENCE).await.unwrap();
    // That it may be forgotten goes with the next line.
    works(&world, "web-1").await;
    works(&world, "web-1").await;
    journalled(&world, &id, Line::Forgotten).await;
    assert_eq!(kill(&mut world, &id), [Line::Starting, Line::Done, Line::Forgotten]);
    world.start_agent().await.unwrap();
    works(&world, "web-1").await;
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_the_moment_a_line_is_written_runs_nothing_twice() {
    let (mut world, _links) = one_at_a_time().await;
    let mut jobs = Vec::new();
    let mut stood: BTreeMap<Vec<Line>, usize> = BTreeMap::new();
    for line in [Line::Accepted, Line::Starting, Line::Done, Line::Forgotten] {
        for _ in 0..ROUNDS {
            let agent = world.agent.as_ref().unwrap().id();
            let before = lines(&world, line);
            for _ in 0..3 {
                let body = format!("sleep 0.{}", rand::rng().random_range(0..9));
                jobs.push(submit(&world, &["web-1"], &effect(&body)).await);
            }
            eventually("the line is written", async || lines(&world, line) > before).await.unwrap();
            signals::send(agent, Signal::KILL);
            world.agent.as_mut().unwrap().kill();
            let mut last: BTreeMap<String, Vec<Line>> = BTreeMap::new();
            for entry in world.agent_journal() {
                last.entry(entry.invocation).or_default().push(entry.line);
            }
            last.into_values().for_each(|lines| *stood.entry(lines).or_default() += 1);
            world.start_agent().await.unwrap();
        }
    }
    eprintln!("where invocations stood at the kills: {stood:?}");
    for line in [Line::Accepted, Line::Starting, Line::Done, Line::Forgotten] {
        assert!(
            stood.keys().any(|lines| lines.last() == Some(&line)),
            "never killed after {line:?}: {stood:?}"
        );
    }
    let ended = world.settle(&jobs, LONG).await.unwrap();
    eprintln!("{ended:?}");
}

fn lines(world: &World, line: Line) -> usize {
    world.agent_journal().iter().filter(|entry| entry.line == line).count()
}
