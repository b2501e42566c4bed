//! Who is not who they say: spent tokens, foreign certificates, changed host keys, strange addresses.

use std::{fs, process::Command};

use lictor_core::outcome::{Outcome, Unreachable};
use lictor_tests::{World, binaries, hosts::new_key, process::Process};

fn outcome(collector: &lictor_client::collect::Collector) -> Outcome {
    collector.invocations()[0].0.outcome.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_is_refused_before_authentication() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    assert_eq!(outcome(&world.run("web-1", &["true"]).await.unwrap()), Outcome::Succeeded);
    let login = world.login.public_key().clone();
    let before = world.hosts[0].exec_log();
    world.hosts[0].restart(new_key().unwrap(), &login).unwrap();
    let refused = outcome(&world.run("web-1", &["true"]).await.unwrap());
    assert!(
        matches!(&refused, Outcome::Unreachable { reason: Unreachable::HostKeyChanged, .. }),
        "{refused}"
    );
    assert_eq!(world.hosts[0].exec_log(), before);
    let log = world.hosts[0].sshd_log();
    assert!(
        !log.contains("Accepted")
            && !log.contains("Postponed publickey")
            && !log.contains("Failed publickey"),
        "{log}"
    );

    let scan = world.lictor(&["host", "scan", "web-1", "--accept"]).unwrap();
    assert!(!scan.status.success(), "a changed key needs --replace");
    let scan = world.lictor(&["host", "scan", "web-1", "--accept", "--replace"]).unwrap();
    assert!(scan.status.success(), "{}", String::from_utf8_lossy(&scan.stderr));
    let said = String::from_utf8_lossy(&scan.stdout);
    assert!(said.ends_with("web-1: pinned\n"), "{said}");
    assert_eq!(outcome(&world.run("web-1", &["true"]).await.unwrap()), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_pinned_key_is_refused() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    let refused = outcome(&world.run("web-1", &["true"]).await.unwrap());
    assert!(
        matches!(&refused, Outcome::Unreachable { reason: Unreachable::HostKeyUnknown, .. }),
        "{refused}"
    );
    assert_eq!(world.hosts[0].exec_log(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_is_spent_once_and_means_one_name() {
    let mut world = World::prepare(&[]).unwrap();
    world.start_controller().await.unwrap();
    let made =
        world.lictor(&["--output", "json", "agent", "token", "--site", "local", "--name", "local"]).unwrap();
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    let config = world.home().join("agent.yml").display().to_string();
    let join = |token: &str| {
        Command::new(binaries::path("lictor-agent").unwrap())
            .args(["join", "--config", &config, "--token", token])
            .output()
            .unwrap()
    };
    let middle = token.len() - 20;
    let flipped = if token.as_bytes()[middle] == b'A' { 'B' } else { 'A' };
    let forged = format!("{}{flipped}{}", &token[..middle], &token[middle + 1..]);
    assert!(!join(&forged).status.success());
    let first = join(&token);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let second = join(&token);
    assert!(!second.status.success());
    let audit = world.audit().await.unwrap();
    assert_eq!(audit.iter().filter(|r| r["kind"] == "agent_enrolled").count(), 1);
    assert!(!audit.iter().any(|r| r.to_string().contains(&token)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_authority_never_gets_a_session() {
    let ours = World::start(&["web-1"]).await.unwrap();
    let mut theirs = World::prepare(&[]).unwrap();
    theirs.start_controller().await.unwrap();
    theirs.join().unwrap();
    let config = theirs.home().join("agent.yml");
    let text = fs::read_to_string(&config).unwrap().replace(theirs.address(), ours.address());
    fs::write(&config, text).unwrap();
    let log = theirs.file("impostor.log");
    let impostor = Process::start(
        &binaries::path("lictor-agent").unwrap(),
        &["run", "--config", &config.display().to_string()],
        &log,
    )
    .unwrap();
    // It keeps trying; by the time our own agent has run something, it has been refused.
    lictor_tests::process::eventually("the impostor is refused", async || {
        let log = impostor.log();
        log.contains("controller")
            && log.lines().filter(|l| l.contains("WARN") || l.contains("ERROR")).count() > 1
    })
    .await
    .unwrap_or_else(|e| panic!("{e}: {}", impostor.log()));
    assert_eq!(outcome(&ours.run("web-1", &["true"]).await.unwrap()), Outcome::Succeeded);
    let agents = ours.operator().unwrap().agents().await.unwrap();
    assert_eq!(agents.len(), 1);
    let audit = ours.audit().await.unwrap();
    assert_eq!(audit.iter().filter(|r| r["kind"] == "agent_connected").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_outside_the_policys_networks_is_refused_before_authentication() {
    let world = World::prepare(&["web-1"]).unwrap();
    let mut world = world;
    let policy = world.home().join("policy.yml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("version: 1\n", "version: 1\nnetwork: { deny: [127.0.0.0/8] }\n"))
        .unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    let refused = outcome(&world.run("web-1", &["true"]).await.unwrap());
    assert!(matches!(&refused, Outcome::Unreachable { reason: Unreachable::AddressDenied, .. }), "{refused}");
    let log = world.hosts[0].sshd_log();
    assert!(!log.contains("Accepted"), "{log}");
}
