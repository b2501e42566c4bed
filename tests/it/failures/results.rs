//! Results that come twice or contradict each other, and controllers that do not know of each other.

use lictor_core::outcome::Exit;
use lictor_tests::{binaries, disk::copy, fake_agent::FakeAgent, process::Process};

use super::*;

/// A system whose agent has joined and is ours to play.
async fn without_agent() -> World {
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world
}

async fn audited(world: &World, kind: &str, id: &str) -> Vec<serde_json::Value> {
    let audit = world.audit().await.unwrap();
    audit.into_iter().filter(|r| r["kind"] == kind && r["invocation"] == id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_result_is_acknowledged_each_time_and_recorded_once() {
    let world = without_agent().await;
    let mut agent = FakeAgent::connect(&world, "j1").await.unwrap();
    eventually("its host is known", async || {
        world.client().unwrap().hosts(None).await.is_ok_and(|hosts| hosts.len() == 1)
    })
    .await
    .unwrap();
    let job = submit(&world, &["web-1"], &effect(":")).await;
    let id = agent.offered().await.unwrap().remove(0);
    agent.started(&id).await.unwrap();
    let failed = Outcome::Failed(Exit::Code(3));
    for _ in 0..3 {
        agent.report(&id, &failed).await.unwrap();
        agent.committed(&id).await.unwrap();
    }
    // And once more over the next session, as after a restart.
    drop(agent);
    let mut agent = FakeAgent::connect(&world, "j1").await.unwrap();
    agent.report(&id, &failed).await.unwrap();
    agent.committed(&id).await.unwrap();
    let page = world.client().unwrap().get_job(job, 0, None).await.unwrap();
    assert_eq!((page.job.counts.failed, page.job.counts.total()), (1, 1));
    assert_eq!(audited(&world, "invocation_ended", &id).await.len(), 1);
    assert!(audited(&world, "result_conflict", &id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_conflicting_results_the_first_stands_and_the_other_is_a_security_event() {
    let world = without_agent().await;
    let mut agent = FakeAgent::connect(&world, "j1").await.unwrap();
    eventually("its host is known", async || {
        world.client().unwrap().hosts(None).await.is_ok_and(|hosts| hosts.len() == 1)
    })
    .await
    .unwrap();
    let job = submit(&world, &["web-1"], &effect(":")).await;
    let id = agent.offered().await.unwrap().remove(0);
    let failed = Outcome::Failed(Exit::Code(3));
    agent.report(&id, &failed).await.unwrap();
    agent.committed(&id).await.unwrap();
    agent.report(&id, &Outcome::Succeeded).await.unwrap();
    agent.committed(&id).await.unwrap();
    assert_eq!(look(&world, job).await.outcome, Some(failed));
    assert_eq!(audited(&world, "invocation_ended", &id).await.len(), 1);
    let conflicts = audited(&world, "result_conflict", &id).await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(
        (&conflicts[0]["recorded"], &conflicts[0]["reported"]),
        (&"FAILED".into(), &"SUCCEEDED".into())
    );
    let page = world.client().unwrap().get_job(job, 0, None).await.unwrap();
    assert_eq!((page.job.counts.failed, page.job.counts.succeeded), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controllers_that_think_they_own_an_agent_the_one_with_the_lower_epoch_is_refused() {
    let (mut world, links) = World::start_with_links(&["web-1"]).await.unwrap();
    works(&world, "web-1").await;
    // An old copy, as after a restore: it knows the agent, at an earlier epoch.
    world.controller.as_mut().unwrap().kill();
    let old = world.file("old");
    copy(&world.home(), &old).unwrap();
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    for _ in 0..2 {
        let epoch = world.operator().unwrap().agents().await.unwrap()[0].epoch;
        links.controller.cut();
        let again =
            async || world.operator().unwrap().agents().await.is_ok_and(|agents| agents[0].epoch > epoch);
        eventually("it comes again", again).await.unwrap();
    }
    world.agent_connected().await.unwrap();

    let other = {
        let free = || lictor_cli::demo::ports::free_port().unwrap();
        let (listen, enroll) = (format!("127.0.0.1:{}", free()), format!("127.0.0.1:{}", free()));
        let file = old.join("controller.yml");
        let text = fs::read_to_string(&file).unwrap().replace(world.address(), &listen);
        let is_enroll = |line: &str| line.starts_with("enroll_listen:");
        let text: String = text
            .lines()
            .map(|l| if is_enroll(l) { format!("enroll_listen: {enroll}\n") } else { format!("{l}\n") })
            .collect();
        fs::write(&file, text).unwrap();
        listen
    };
    let log = world.file("old-controller.log");
    let config = old.join("controller.yml").display().to_string();
    let second =
        Process::start(&binaries::path("lictor-controller").unwrap(), &["--config", &config], &log).unwrap();
    let client = lictor_client::connect::Client::connect(lictor_client::connect::ClientConfig::in_dir(
        other.clone(),
        &old.join("identity"),
        "operator",
    ))
    .unwrap();
    eventually("it answers", async || client.list_jobs(1, None).await.is_ok())
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", second.log()));
    let before = world.host("web-1").exec_log();
    let wait = Duration::from_secs(5);
    let theirs = JobSpec { queue_wait: Some(wait), ..spec(&["web-1"], &["true"]).unwrap() };
    let theirs = client.submit(&theirs).await.unwrap().job.id;

    links.controller.lead_to(other.parse().unwrap());
    let refused =
        async || world.agent.as_ref().unwrap().log().contains("it may run on an old copy of its store");
    eventually("the agent refuses it", refused)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}\n{}", world.logs(), second.log()));
    let started = async || client.get_job(theirs, 0, None).await.unwrap().invocations[0].phase;
    assert!(!matches!(started().await, Phase::Running | Phase::Accepted));
    assert_eq!(world.host("web-1").exec_log(), before, "it starts nothing for it");

    links.controller.lead_to(world.address().parse().unwrap());
    works(&world, "web-1").await;
    let seen = world.seen();
    let page = client.get_job(theirs, 0, None).await.unwrap();
    assert!(!seen.contains_key(&page.invocations[0].id.to_string()));
}
