//! The gate: each term of a grant, wrong once.

use std::{fs, time::Duration};

use lictor_core::{
    clock::Timestamp, command::Command, grant::Grant, id::InvocationId, limits::MAX_CLOCK_SKEW,
};
use lictor_proto::pb::{self, OutcomeKind, controller_message::Message as ToAgent};

use crate::world::{World, kind, reason};

type Twist = fn(&mut Grant);

#[tokio::test]
async fn each_wrong_term_is_refused_with_its_code_and_nothing_runs() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let beyond = MAX_CLOCK_SKEW + Duration::from_secs(5);
    assert_eq!(beyond.as_secs(), 35);
    let cases: [(&str, Twist); 10] = [
        ("GRANT_TENANT", |g| g.tenant = "other".parse().unwrap()),
        ("GRANT_TENANT", |g| g.principal.tenant = "other".parse().unwrap()),
        ("GRANT_SITE", |g| g.site = "us".parse().unwrap()),
        ("GRANT_AGENT", |g| g.agent = "a2".parse().unwrap()),
        ("GRANT_EPOCH", |g| g.epoch += 1),
        ("GRANT_NOT_YET", |g| g.not_before = g.not_before.plus(Duration::from_secs(35))),
        ("GRANT_EXPIRED", |g| g.not_after = g.not_before.minus(Duration::from_secs(35))),
        ("GRANT_INVOCATION", |g| g.targets[0].invocation = InvocationId::from_bytes([9; 16])),
        ("GRANT_COMMAND", |g| g.command = Command::from_argv(&["eval", "true"]).unwrap()),
        ("GRANT_NETWORK", |g| g.targets[0].networks_denied = vec!["anywhere".into()]),
    ];
    for (code, twist) in cases {
        let mut grant = world.grant(&session, "web-1", &["true"]);
        twist(&mut grant);
        let id = world.offer(&session, &grant).await;
        let result = session.result(&id).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, code));
        assert_eq!(result.started_at, 0);
    }
    assert!(!world.sshd.log().contains("Accepted"));
    agent.stop().await;
}

#[tokio::test]
async fn an_offer_with_a_bad_signature_or_a_changed_byte_is_dropped_without_an_answer() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["true"]);
    let id = grant.targets[0].invocation.to_string();
    let good = world.sign(&grant);
    let mut signature = good.signature.to_vec();
    signature[0] ^= 1;
    let mut bytes = good.grant.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    for forged in [
        pb::Offer { signature, ..good.clone() },
        pb::Offer { signature: Vec::new(), ..good.clone() },
        pb::Offer { grant: bytes.into(), ..good.clone() },
    ] {
        session.say(ToAgent::Offer(forged)).await;
    }
    // What comes after is answered, so what came before was dropped.
    world.run(&mut session, &["true"]).await;
    assert!(!session.seen_result(&id) && !session.progress.started.contains(&id));
    session.say(ToAgent::Offer(good)).await;
    assert_eq!(
        kind(&session.result(&id).await),
        OutcomeKind::Succeeded,
        "a forgery does not use up the identifier"
    );
    agent.stop().await;
}

#[tokio::test]
async fn the_same_grant_offered_again_never_starts_again() {
    let mut world = World::new().await;
    let count = world.path("count");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["sh", "-c", &format!("echo x >> {}", count.display())]);
    let id = world.offer(&session, &grant).await;
    session.result(&id).await;
    world.offer(&session, &grant).await;
    assert_eq!(kind(&session.result(&id).await), OutcomeKind::Succeeded, "its end is told again");
    session.commit(&[&id]).await;
    world.offer(&session, &grant).await;
    world.run(&mut session, &["true"]).await;
    assert!(!session.seen_result(&id));
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
    agent.stop().await;

    // Nor after a restart: the tombstone is in the journal.
    let agent = world.start();
    let mut session = world.controller.session().await;
    let again = Grant { epoch: session.epoch, not_after: Timestamp::from_micros(u64::MAX / 2), ..grant };
    world.offer(&session, &again).await;
    world.run(&mut session, &["true"]).await;
    assert!(!session.seen_result(&id));
    assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
    agent.stop().await;
}

#[tokio::test]
async fn the_floor_of_the_site_holds_whatever_the_controller_signs() {
    let mut world = World::new().await;
    let floor = "version: 1\nrules:\n  - id: only-echo\n    effect: allow\n    where: all\n    commands: [echo <word>]\n    limits: {timeout: 1s}\n";
    fs::write(world.path("floor.yml"), floor).unwrap();
    let text = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
    fs::write(world.path("agent.yml"), text).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    assert_eq!(kind(&world.run(&mut session, &["echo", "fine"]).await), OutcomeKind::Succeeded);
    let result = world.run(&mut session, &["reboot"]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "FLOOR_DENIED"));
    agent.stop().await;
}

#[tokio::test]
async fn a_floor_that_is_narrowed_while_something_waits_for_a_place_holds_for_it() {
    let mut world = World::new().await;
    let floor = |more: &str| {
        format!(
            "version: 1\nrules:\n  - {{id: r, effect: allow, where: all, commands: [sleep <word>{more}]}}\n"
        )
    };
    fs::write(world.path("floor.yml"), floor(", echo late")).unwrap();
    world.write_agent_yml(1);
    let text = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
    fs::write(world.path("agent.yml"), text).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let first = world.grant(&session, "web-1", &["sleep", "600"]);
    let first = world.offer(&session, &first).await;
    session.started(&first).await;
    let late = world.grant(&session, "web-1", &["echo", "late"]);
    let late = world.offer(&session, &late).await;
    while !session.progress.accepted.contains(&late) {
        session.next().await;
    }
    fs::write(world.path("floor.yml"), floor("")).unwrap();
    session.stop(&first).await;
    let result = session.result(&late).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "FLOOR_DENIED"));
    assert_eq!(result.started_at, 0);
    agent.stop().await;
}
