//! Hosts and the way to them fail while a command runs, or before it does.

use lictor_cli::demo::processes;
use lictor_tests::{
    links::Links,
    proxy::Flow,
    signals::{self, Signal},
};

use super::*;

fn lost() -> Tally {
    tally(&Outcome::Unknown(Unknown::ConnectionLost))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_link_that_drops_mid_command_makes_it_unknown_and_the_next_one_works() {
    let (world, links) = World::start_with_links(&["web-1"]).await.unwrap();
    let (job, id, go) = running(&world, "web-1").await;
    links.host("web-1").unwrap().cut();
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), lost());
    // It may well go on there: that is why nobody can say.
    finish(&world, &id, &go).await;
    assert_eq!(look(&world, job).await.outcome, Some(Outcome::Unknown(Unknown::ConnectionLost)));
    works(&world, "web-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ssh_link_that_falls_silent_is_given_up_in_bounded_time() {
    let world = World::prepare(&["web-1"]).unwrap();
    let links = Links::lay(&world).await.unwrap();
    world.allow_ten_minutes().unwrap();
    let world = world.set_up().await.unwrap();
    let go = world.file("never");
    let job = submit_for(&world, &["web-1"], &effect_until(&go), Duration::from_secs(600)).await;
    eventually("it runs", async || look(&world, job).await.phase == Phase::Running).await.unwrap();
    let id = look(&world, job).await.id.to_string();
    eventually("it begins", async || world.seen_of(&id).begun == 1).await.unwrap();
    links.host("web-1").unwrap().set(Flow::None);
    // The keep-alive's minute, not the ten of the timeout.
    assert_eq!(world.settle(&[job], LONG).await.unwrap(), lost());
    links.host("web-1").unwrap().set(Flow::Both);
    works(&world, "web-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_reached_before_the_command_is_sent_is_unreachable() {
    let (world, links) = World::start_with_links(&["down", "silent"]).await.unwrap();
    links.host("down").unwrap().down();
    // Takes the connection and never answers.
    links.host("silent").unwrap().set(Flow::ToServer);
    let job = submit(&world, &["down", "silent"], &effect(":")).await;
    let ended = world.settle(&[job], PATIENCE).await.unwrap();
    assert_eq!(ended.values().sum::<usize>(), 2);
    let page = world.client().unwrap().get_job(job, 0, None).await.unwrap();
    for invocation in page.invocations {
        let outcome = invocation.outcome.unwrap();
        let reached = matches!(&outcome, Outcome::Unreachable { reason: Unreachable::ConnectFailed, .. });
        assert!(reached, "{}: {outcome}", invocation.host);
        assert_eq!(invocation.started_at, None);
    }
    for host in ["down", "silent"] {
        links.host(host).unwrap().set(Flow::Both);
        works(&world, host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reboots_under_the_command_makes_it_unknown() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let (job, id, _go) = running(&world, "web-1").await;
    world.hosts[0].power_off();
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), lost());
    assert_eq!((world.seen_of(&id).begun, world.seen_of(&id).done), (1, 0));
    let (key, login) = (world.hosts[0].key.clone(), world.login.public_key().clone());
    world.hosts[0].restart(key, &login).unwrap();
    works(&world, "web-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_stopped_on_its_host_is_killed_when_its_time_is_up_or_goes_on_when_continued() {
    let world = World::start(&["web-1"]).await.unwrap();
    let processes_of = |id: &str| -> Vec<u32> {
        let found = processes::with_environment(&format!("LICTOR_INVOCATION={id}"));
        found.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect()
    };
    let begun = async |job| {
        let id = look(&world, job).await.id.to_string();
        eventually("it begins", async || world.seen_of(&id).begun == 1).await.unwrap();
        processes_of(&id).into_iter().for_each(|pid| signals::send(pid, Signal::STOP));
        id
    };
    let never = effect_until(&world.file("never"));
    let dies = submit_for(&world, &["web-1"], &never, Duration::from_secs(3)).await;
    let dying = begun(dies).await;
    let go = world.file("go");
    let lives = submit(&world, &["web-1"], &effect_until(&go)).await;
    let living = begun(lives).await;
    let ended = world.settle(&[dies], LONG).await.unwrap();
    assert_eq!(ended, tally(&Outcome::TimedOut), "{}", world.logs());
    assert!(processes_of(&dying).is_empty());
    processes_of(&living).into_iter().for_each(|pid| signals::send(pid, Signal::CONT));
    finish(&world, &living, &go).await;
    assert_eq!(world.settle(&[lives], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
}
