//! The controller is killed in the middle of a fan-out.

use lictor_core::rollout::{Rollout, Share};
use lictor_tests::record::EFFECTS;

use super::*;

/// A system of four real hosts under so many names; the agent runs eight commands at a time.
async fn many_names(count: usize) -> (World, Vec<String>) {
    let mut world = World::prepare(&["web-1", "web-2", "web-3", "web-4"]).unwrap();
    world.scan().unwrap();
    let user = lictor_cli::demo::sshd::current_user().unwrap();
    let (mut names, mut text) = (Vec::new(), String::from("hosts:\n"));
    for number in 0..count {
        let port = world.hosts[number % world.hosts.len()].port();
        let name = format!("name-{number:03}");
        text += &format!(
            "  - {{ alias: {name}, address: 127.0.0.1, port: {port}, user: {user}, credential: login, tags: [all] }}\n"
        );
        names.push(name);
    }
    fs::write(world.home().join("hosts.yml"), text).unwrap();
    world.set_agent("max_concurrency", "8").unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    (world, names)
}

fn begun(world: &World) -> usize {
    world.seen().values().filter(|seen| seen.begun > 0).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_mid_fan_out_ends_every_invocation_and_starts_none_twice() {
    const NAMES: usize = 200;
    let (mut world, names) = many_names(NAMES).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The first few end at once, all others only after the controller was killed.
    let go = world.file("go");
    let wait = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let body = format!("test $(wc -l < $HOME/{EFFECTS}) -lt 12 || {wait}");
    let job = submit(&world, &names, &effect(&body)).await;
    let client = world.client().unwrap();
    let some = async || client.get_job(job, 1, None).await.is_ok_and(|page| page.job.counts.succeeded >= 10);
    eventually("the first have ended", some).await.unwrap();
    world.controller.as_mut().unwrap().kill();
    let done = world.seen().values().filter(|seen| seen.done == 1).count();
    assert!((10..NAMES).contains(&done), "it was killed in the middle: {done}");
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    fs::write(&go, "").unwrap();
    let ended = world.settle(&[job], LONG).await.unwrap();
    assert_eq!(ended, BTreeMap::from([(Outcome::Succeeded.to_string(), NAMES)]), "{}", world.logs());
    assert!(world.seen().values().all(|seen| (seen.starts, seen.begun, seen.done) == (1, 1, 1)));
}

/// One, then ten, then the rest: no host of a wave begins before the one before has ended, whoever is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_in_the_middle_of_a_wave_goes_on_with_it_and_begins_the_next_in_its_turn() {
    const NAMES: usize = 30;
    let (mut world, names) = many_names(NAMES).await;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let go = world.file("go");
    let argv = effect_until(&go);
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let rollout = Rollout { waves: vec![Share::Count(1), Share::Percent(35)], ..Rollout::default() };
    let spec = JobSpec { timeout: Some(PATIENCE), rollout, ..spec(&names, &argv).unwrap() };
    let job = world.client().unwrap().submit(&spec).await.unwrap().job.id;
    eventually("the first host runs it", async || begun(&world) == 1).await.unwrap();
    world.controller.as_mut().unwrap().kill();
    assert_eq!(begun(&world), 1, "the canary alone");
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    let view = world.client().unwrap().get_job(job, 0, None).await.unwrap().job;
    assert_eq!(view.progress.map(|progress| (progress.wave, progress.waves)), Some((1, 3)));
    assert_eq!(begun(&world), 1, "and still alone");
    fs::write(&go, "").unwrap();
    let ended = world.settle(&[job], LONG).await.unwrap();
    assert_eq!(ended, BTreeMap::from([(Outcome::Succeeded.to_string(), NAMES)]), "{}", world.logs());
    assert!(world.seen().values().all(|seen| (seen.starts, seen.begun, seen.done) == (1, 1, 1)));
    let audit = world.audit().await.unwrap();
    let place = |wanted: &dyn Fn(&serde_json::Value) -> bool| audit.iter().position(wanted);
    let ended_before = |wave: u64| {
        let begun = place(&|event| event["kind"] == "wave_begun" && event["wave"] == wave).unwrap();
        audit[..begun].iter().filter(|event| event["kind"] == "invocation_ended").count()
    };
    assert_eq!((ended_before(2), ended_before(3)), (1, 10), "each wave after the end of the one before");
}
