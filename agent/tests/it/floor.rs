//! The floor of the site, end to end: its times, its limits and networks, and what the agent signs when it refuses.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lictor_certs::evidence::{Attested, Evidence, Signers};
use lictor_core::{
    clock::{Clock, Timestamp},
    digest::Digest,
    grant::Grant,
};
use lictor_proto::pb::{self, OutcomeKind};
use lictor_runtime::{clock::SystemClock, shutdown::Shutdown};
use prost::Message as _;

use crate::{
    controller::{Session, domain, now},
    world::{Agent, World, agent_identity, kind, reason, text},
};

/// The system's clock, and how far a test has moved it ahead.
#[derive(Debug, Default)]
struct Moved(AtomicU64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(Duration::from_secs(self.0.load(Ordering::SeqCst)))
    }
}

impl World {
    /// A site with this floor and room for so many commands at once.
    async fn with_floor(floor: &str, concurrency: usize) -> Self {
        let world = Self::new().await;
        world.write_floor(floor);
        world.write_agent_yml(concurrency);
        let text = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
        fs::write(world.path("agent.yml"), text).unwrap();
        world
    }

    fn write_floor(&self, floor: &str) {
        fs::write(self.path("floor.yml"), format!("version: 1\n{floor}")).unwrap();
    }

    fn start_with_clock(&self, clock: Arc<Moved>) -> Agent {
        let shutdown = Shutdown::new();
        let task = tokio::spawn(lictor_agent::run_with_clock(self.config(), clock, shutdown.clone()));
        Agent { shutdown, task }
    }

    /// What the evidence of a result proves.
    fn proof(&self, result: &pb::InvocationResult) -> Attested {
        let pb::Evidence { statement, signature, certificates } = result.evidence.clone().unwrap();
        let signers = Signers::of(agent_identity(), self.controller.authority.root_pem(), domain()).unwrap();
        signers.verify(&Evidence { statement, signature, certificates }).unwrap()
    }

    fn floor_digest(&self) -> Option<Digest> {
        Some(Digest::of(&fs::read(self.path("floor.yml")).unwrap()))
    }
}

/// Offers `argv` behind something that holds the only place, and gives both once the first runs and the second waits.
async fn queue(world: &World, session: &mut Session, argv: &[&str]) -> (String, Grant) {
    let first = world.grant(session, "web-1", &["sleep", "600"]);
    let first = world.offer(session, &first).await;
    session.started(&first).await;
    let late = Grant {
        not_after: now().plus(Duration::from_secs(24 * 3600)),
        ..world.grant(session, "web-1", argv)
    };
    let id = world.offer(session, &late).await;
    while !session.progress.accepted.contains(&id) {
        session.next().await;
    }
    (first, late)
}

fn minute(at: Timestamp) -> String {
    at.to_string()[..16].to_owned()
}

#[tokio::test]
async fn a_window_that_closes_by_the_agents_clock_while_an_invocation_waits_holds_for_it() {
    let window = |name: &str, from, to| {
        format!("  {name}: {{zone: UTC, start: '{}', end: '{}'}}\n", minute(from), minute(to))
    };
    let (past, soon) = (now().minus(Duration::from_secs(120)), now().plus(Duration::from_secs(600)));
    let floor = format!(
        "windows:\n{}rules:\n  - {{id: hold, effect: allow, where: all, commands: [sleep <word>]}}\n  \
         - {{id: r, effect: allow, where: all, commands: [echo late], when: {{during: [now]}}}}\n",
        window("now", past, soon)
    );
    let mut world = World::with_floor(&floor, 1).await;
    let clock = Arc::new(Moved::default());
    let agent = world.start_with_clock(Arc::clone(&clock));
    let mut session = world.controller.session().await;
    let (first, late) = queue(&world, &mut session, &["echo", "late"]).await;
    clock.0.store(1200, Ordering::SeqCst);
    session.stop(&first).await;
    let result = session.result(&late.targets[0].invocation.to_string()).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "FLOOR_DENIED"));
    assert_eq!(result.started_at, 0);
    let said = world.proof(&result).statement;
    assert!(
        said.at > now().plus(Duration::from_secs(600)),
        "it is signed with the time of the agent's clock"
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_freeze_that_is_written_while_an_invocation_waits_holds_for_it() {
    let rules = "rules:\n  - {id: hold, effect: allow, where: all, exempt_from_freezes: true, commands: [sleep <word>]}\n  \
                 - {id: r, effect: allow, where: all, commands: [echo late]}\n";
    let mut world = World::with_floor(rules, 1).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let (first, late) = queue(&world, &mut session, &["echo", "late"]).await;
    let (from, to) = (now().minus(Duration::from_secs(120)), now().plus(Duration::from_secs(3600)));
    world.write_floor(&format!(
        "freezes:\n  - {{id: f, reason: audit week, where: all, zone: UTC, start: '{}', end: '{}'}}\n{rules}",
        minute(from),
        minute(to)
    ));
    session.stop(&first).await;
    let result = session.result(&late.targets[0].invocation.to_string()).await;
    assert_eq!(reason(&result), "FLOOR_DENIED");
    let proof = world.proof(&result).statement;
    assert!(proof.reason.contains("audit week"), "{proof:?}");
    assert_eq!(proof.floor, world.floor_digest(), "the floor that refused, not the one that admitted");
    agent.stop().await;
}

#[tokio::test]
async fn an_override_of_the_floor_keeps_less_output_than_the_grant_permits() {
    let floor = "overrides:\n  - {where: {tags: [web]}, limits: {output: 1KiB}}\n\
                 rules:\n  - {id: r, effect: allow, where: all, commands: [seq 1 20000], limits: {output: 1MiB}}\n";
    let mut world = World::with_floor(floor, 4).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["seq", "1", "20000"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded);
    assert!(result.evidence.is_none());
    assert!(text(&result).0.len() <= 1024);
    assert!(result.output.unwrap().stdout.unwrap().bytes_total > 100_000);
    agent.stop().await;
}

#[tokio::test]
async fn a_network_that_the_floor_forbids_is_not_connected_to_and_the_agent_proves_it() {
    let floor = "rules:\n  - {id: r, effect: allow, where: all, commands: [\"true\"], network: {allow: [192.0.2.0/24]}}\n";
    let mut world = World::with_floor(floor, 4).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let connections = |world: &World| world.sshd.log().matches("Connection from").count();
    let before = connections(&world);
    let result = world.run(&mut session, &["true"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "address_denied"));
    assert_eq!(connections(&world), before);
    let said = world.proof(&result).statement;
    assert_eq!((said.code.as_str(), said.floor), ("address_denied", world.floor_digest()));
    agent.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_proven_and_the_proof_is_the_same_after_a_restart() {
    let mut world = World::with_floor("rules: []\n", 4).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let floored = world.grant(&session, "web-1", &["reboot"]);
    let stray = Grant { site: "us".parse().unwrap(), ..world.grant(&session, "web-1", &["true"]) };
    let mut results = Vec::new();
    for (grant, code) in [(&floored, "FLOOR_DENIED"), (&stray, "GRANT_SITE")] {
        let id = world.offer(&session, grant).await;
        let result = session.result(&id).await;
        assert_eq!(reason(&result), code);
        let said = world.proof(&result).statement;
        assert_eq!(said.invocation, grant.targets[0].invocation);
        assert_eq!(said.grant, Digest::of(&pb::Grant::from(grant).encode_to_vec()));
        assert_eq!(said.floor, world.floor_digest());
        assert_eq!((said.code.as_str(), said.site.as_str()), (code, "eu"));
        assert_eq!(said.reason, result.outcome.as_ref().unwrap().detail);
        results.push(result);
    }
    drop(session);
    agent.stop().await;
    // What changed since has no bearing on what was refused and signed.
    world.write_floor("rules:\n  - {id: r, effect: allow, where: all, commands: [\"true\"]}\n");
    let agent = world.start();
    let mut session = world.controller.session().await;
    for result in &results {
        assert_eq!(&session.result(&result.invocation_id).await, result);
    }
    agent.stop().await;
}

#[tokio::test]
async fn what_a_site_merely_cannot_do_needs_no_proof() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_on(&mut session, "nowhere", &["true"]).await;
    assert_eq!(reason(&result), "no_such_host");
    assert!(result.evidence.is_none());
    agent.stop().await;
}
