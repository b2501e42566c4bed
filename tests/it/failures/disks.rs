//! Disks run full: the controller's, and the agent's.

use lictor_core::error::ErrorCode;
use lictor_tests::{binaries, disk::SmallDisk};

use super::*;

/// Room for the journal, the tree, and what must be free for a commit.
const CONTROLLER_DISK: u64 = 192 * 1024 * 1024;
/// Moments at which the disk becomes full while the controller is busy.
const MOMENTS: usize = 8;
/// Room for the journal and the reserve.
const AGENT_DISK: u64 = 12 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_room_starts_nothing_and_goes_on_by_itself_when_there_is_room() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    let disk = SmallDisk::mount(&world.home().join("state/controller"), CONTROLLER_DISK).unwrap();
    world.scan().unwrap();
    let config = world.home().join("controller.yml").display().to_string();
    let program = binaries::path("lictor-controller").unwrap();
    let log = world.file("controller.log");
    world.controller = Some(disk.start(&program, &["--config", &config], &log).unwrap());
    world.controller_answers().await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    world.join().unwrap();
    world.start_agent().await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;

    let filling = disk.fill().unwrap();
    let before = world.host("web-1").exec_log();
    for _ in 0..3 {
        let refused =
            world.client().unwrap().submit(&spec(&["web-1"], &["true"]).unwrap()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::AuditUnavailable, "{refused}");
        assert!(refused.next_step.contains("disk"), "{refused}");
    }
    assert_eq!(world.host("web-1").exec_log(), before);
    finish(&world, &id, &go).await;
    journalled(&world, &id, Line::Done).await;
    let view = look(&world, job).await;
    assert_eq!((view.phase, view.outcome), (Phase::Running, None), "what cannot be recorded is not said");
    assert!(world.controller.as_ref().unwrap().log().contains("the disk is nearly full"));

    drop(filling);
    let ended = world.settle(&[job], PATIENCE).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    assert_eq!(ended, tally(&Outcome::Succeeded));
    world.agent_connected().await.unwrap();
    works(&world, "web-1").await;
    assert!(world.controller.as_ref().unwrap().log().contains("there is room on the disk again"));

    // Whatever is on its way into the state when the disk becomes full gets there once there is room.
    for _ in 0..MOMENTS {
        let (job, id, go) = running(&world, "web-1").await;
        let filling = disk.fill().unwrap();
        finish(&world, &id, &go).await;
        journalled(&world, &id, Line::Done).await;
        drop(filling);
        let ended = world.settle(&[job], PATIENCE).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
        assert_eq!(ended, tally(&Outcome::Succeeded));
        world.agent_connected().await.unwrap();
        works(&world, "web-1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_disk_is_full_accepts_nothing_and_ends_what_runs_with_the_truth() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    let disk = SmallDisk::mount(&world.agent_state(), AGENT_DISK).unwrap();
    let config = world.home().join("agent.yml").display().to_string();
    let program = binaries::path("lictor-agent").unwrap();
    let start = |world: &World| {
        disk.start(&program, &["run", "--config", &config], &world.file("agent.log")).unwrap()
    };
    world.agent = Some(start(&world));
    world.agent_connected().await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;

    let filling = disk.fill().unwrap();
    let mut jobs = Vec::new();
    // What is left of the last page holds a few lines; what is written there runs and ends as ever.
    eventually("it accepts nothing new", async || {
        let one = submit(&world, &["web-1"], &effect(":")).await;
        jobs.push(one);
        eventually("it ends", async || look(&world, one).await.outcome.is_some()).await.unwrap();
        look(&world, one).await.outcome.unwrap().reason_code() == Some("AGENT_JOURNAL_UNAVAILABLE")
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    let before = world.host("web-1").exec_log();
    jobs.push(submit(&world, &["web-1"], &effect(":")).await);
    finish(&world, &id, &go).await;
    jobs.push(job);
    let ended = world.settle(&jobs, PATIENCE).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    assert_eq!(look(&world, job).await.outcome, Some(Outcome::Succeeded), "what ran ended with the truth");
    assert_eq!(ended.get(&Outcome::Succeeded.to_string()), Some(&(jobs.len() - 2)), "{ended:?}");
    assert_eq!(world.host("web-1").exec_log(), before, "nothing was started any more");

    drop(filling);
    world.agent.as_mut().unwrap().kill();
    world.agent = Some(start(&world));
    world.agent_connected().await.unwrap();
    works(&world, "web-1").await;
}
