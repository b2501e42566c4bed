//! How many connections there are, as the sshds that take them count them.

use std::{fs, time::Duration};

use lictor_proto::pb::OutcomeKind;

use crate::{
    sshd::Sshd,
    world::{World, kind, reason},
};

fn configure(world: &World, more: &str) {
    world.write_agent_yml(64);
    let text = fs::read_to_string(world.path("agent.yml")).unwrap();
    fs::write(world.path("agent.yml"), text + more).unwrap();
}

/// Other aliases of the world's sshd.
fn aliases(world: &World, names: &[&str], more: &str) {
    let port = world.sshd.port;
    let entries: String = names
        .iter()
        .map(|alias| {
            format!("  - {{alias: {alias}, address: 127.0.0.1, port: {port}, user: root, credential: key{more}}}\n")
        })
        .collect();
    world.write_hosts(&entries);
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey").count()
}

#[tokio::test]
async fn connections_to_a_host_and_commands_on_each_stay_within_what_the_files_say() {
    let mut world = World::new().await;
    configure(&world, "max_connections_per_host: 2\nmax_channels_per_connection: 3\n");
    aliases(&world, &["single"], ", max_connections_per_host: 1, max_channels_per_connection: 1");
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (host, most) in [("web-1", 2), ("single", 1)] {
        let (before, mut ids, mut seen) = (logins(&world.sshd), Vec::new(), 0);
        let most_commands = if host == "single" { 1 } else { 6 };
        for _ in 0..most_commands * 2 {
            let grant = world.grant(&session, host, &["sleep", "0.3"]);
            ids.push(world.offer(&session, &grant).await);
        }
        for id in ids {
            let result = session.result(&id).await;
            assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", reason(&result));
            seen = seen.max(world.sshd.sockets());
        }
        assert_eq!(logins(&world.sshd) - before, most, "{host}");
        assert!(seen <= 3, "{seen}");
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_host_that_takes_one_session_gets_no_more_connections_than_it_may_have() {
    let mut world = World::with_sshd("MaxSessions 1").await;
    configure(&world, "max_connections_per_host: 2\n");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let grant = world.grant(&session, "web-1", &["sleep", "0.2"]);
        ids.push(world.offer(&session, &grant).await);
    }
    for id in ids {
        let result = session.result(&id).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", reason(&result));
        assert!(world.sshd.sockets() <= 2);
    }
    agent.stop().await;
}

#[tokio::test]
async fn at_the_limit_of_the_agent_the_longest_idle_connection_makes_room() {
    let mut world = World::new().await;
    configure(&world, "max_connections: 2\n");
    aliases(&world, &["b", "c"], "");
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (host, logged_in) in [("web-1", 1), ("b", 2), ("web-1", 2), ("c", 3), ("web-1", 3), ("b", 4)] {
        let result = world.run_on(&mut session, host, &["true"]).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{host}: {}", result.outcome.unwrap().detail);
        assert_eq!(logins(&world.sshd), logged_in, "{host}: the longest idle one goes first");
    }
    // More at once than there may be connections: they wait for each other.
    let mut ids = Vec::new();
    for host in ["web-1", "b", "c", "web-1", "b", "c"] {
        let grant = world.grant(&session, host, &["sleep", "0.2"]);
        ids.push(world.offer(&session, &grant).await);
    }
    for id in ids {
        let result = session.result(&id).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", result.outcome.unwrap().detail);
        assert!(world.sshd.sockets() <= 2);
    }
    agent.stop().await;
}

#[tokio::test]
async fn when_none_becomes_idle_in_time_a_host_is_unreachable_and_says_why() {
    let mut world = World::new().await;
    configure(&world, "max_connections: 1\n");
    aliases(&world, &["b"], "");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let mut grant = world.grant(&session, "web-1", &["sleep", "600"]);
    grant.targets[0].limits.timeout = Duration::from_secs(600);
    let busy = world.offer(&session, &grant).await;
    session.started(&busy).await;
    let result = world.run_on(&mut session, "b", &["true"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "connect_failed"));
    assert!(result.outcome.unwrap().detail.contains("all of its 1 connections"));
    // What stops a command is not held up by the limit, nor by anybody who waits for it.
    session.stop(&busy).await;
    assert_eq!(kind(&session.result(&busy).await), OutcomeKind::Killed);
    agent.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_the_jump_host_of_it_after_it() {
    let mut world = World::new().await;
    configure(&world, "idle_close: 10s\n");
    aliases(&world, &["behind"], ", via: web-1, host_key_alias: behind");
    let line = world.sshd.known_hosts_line("host_ed25519");
    let key = line.split_once(' ').unwrap().1.to_owned();
    fs::write(world.path("known_hosts"), format!("{line}behind {key}")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_on(&mut session, "behind", &["true"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", result.outcome.unwrap().detail);
    assert_eq!(world.sshd.connections(), 2);
    while world.sshd.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    agent.stop().await;
}

#[tokio::test]
async fn one_handshake_at_a_time_and_one_connection_in_all_still_serve_a_chain() {
    let mut world = World::new().await;
    configure(&world, "max_connecting: 1\nmax_connections: 2\n");
    aliases(&world, &["behind"], ", via: web-1, host_key_alias: behind");
    let line = world.sshd.known_hosts_line("host_ed25519");
    let key = line.split_once(' ').unwrap().1.to_owned();
    fs::write(world.path("known_hosts"), format!("{line}behind {key}")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let mut ids = Vec::new();
    for host in ["behind", "behind", "web-1"] {
        let grant = world.grant(&session, host, &["true"]);
        ids.push(world.offer(&session, &grant).await);
    }
    for id in ids {
        let result = session.result(&id).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", result.outcome.unwrap().detail);
    }
    agent.stop().await;
}

#[tokio::test]
async fn limits_out_of_bounds_are_refused_with_their_lines() {
    let world = World::new().await;
    let text = fs::read_to_string(world.path("agent.yml")).unwrap();
    let lines = u64::try_from(text.lines().count()).unwrap();
    let wrong = "max_connections: 0\nmax_connections_per_host: 1000\nmax_channels_per_connection: 0\nmax_connecting: 0\nidle_close: 5\n";
    fs::write(world.path("agent.yml"), text + wrong).unwrap();
    let problems = lictor_agent::AgentConfig::load(&world.path("agent.yml")).unwrap_err();
    let mut found: Vec<_> = problems.0.iter().map(|p| p.line - lines).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3, 4, 5], "{problems}");
}
