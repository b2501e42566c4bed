//! The controller is killed in the middle of a fan-out.

use super::*;

/// Hosts of the fan-out: names for a few real ones.
const NAMES: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_mid_fan_out_ends_every_invocation_and_starts_none_twice() {
    let mut world = World::prepare(&["web-1", "web-2", "web-3", "web-4"]).unwrap();
    world.scan().unwrap();
    let user = lictor_cli::demo::sshd::current_user().unwrap();
    let (mut names, mut text) = (Vec::new(), String::from("hosts:\n"));
    for number in 0..NAMES {
        let port = world.hosts[number % world.hosts.len()].port();
        let name = format!("name-{number}");
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
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let job = submit(&world, &names, &effect("sleep 0.1")).await;
    let client = world.client().unwrap();
    let some = async || client.get_job(job, 1, None).await.is_ok_and(|page| page.job.counts.succeeded >= 10);
    eventually("the first have ended", some).await.unwrap();
    world.controller.as_mut().unwrap().kill();
    let done = world.seen().values().filter(|seen| seen.done == 1).count();
    assert!((10..NAMES).contains(&done), "it was killed in the middle: {done}");
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    let ended = world.settle(&[job], LONG).await.unwrap();
    assert_eq!(ended, BTreeMap::from([(Outcome::Succeeded.to_string(), NAMES)]), "{}", world.logs());
    assert!(world.seen().values().all(|seen| (seen.starts, seen.begun, seen.done) == (1, 1, 1)));
}
