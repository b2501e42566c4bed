//! A freeze of the controller, at its agent: nothing that was accepted before starts any more, and that is confirmed.

use std::time::Duration;

use lictor_core::{clock::Timestamp, freeze::Freeze, grant::Grant, id::FreezeId, principal::Principal};
use lictor_proto::pb::{
    self, OutcomeKind, agent_message::Message as FromAgent, controller_message::Message as ToAgent,
};

use crate::{
    controller::{Session, now},
    world::{World, alive, kind, reason},
};

fn frozen(version: u64, scopes: &[&str]) -> ToAgent {
    let by = Principal {
        tenant: "acme".parse().unwrap(),
        kind: lictor_core::principal::PrincipalKind::User,
        name: "ops".parse().unwrap(),
    };
    let freeze = |scope: &&str| Freeze {
        id: FreezeId::from_bytes([7; 16]),
        scope: scope.parse().unwrap(),
        reason: "the migration went wrong".parse().unwrap(),
        by: by.clone(),
        at: Timestamp::from_micros(1),
    };
    let freezes = scopes.iter().map(|scope| pb::Freeze::from(&freeze(scope))).collect();
    ToAgent::Frozen(pb::Frozen { version, freezes })
}

/// Says it, and waits until the agent has confirmed it.
async fn freeze(session: &mut Session, version: u64, scopes: &[&str]) {
    session.say(frozen(version, scopes)).await;
    loop {
        match session.next().await {
            FromAgent::FrozenTaken(taken) if taken.version == version => return,
            FromAgent::Results(results) => session.keep(results),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_was_accepted_and_waits_does_not_start_after_a_freeze_and_what_runs_goes_on() {
    let mut world = World::new().await;
    world.write_agent_yml(1);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let sleep = format!("60005.{}", std::process::id());
    let first = world.grant(&session, "web-1", &["sleep", &sleep]);
    let first = world.offer(&session, &first).await;
    session.started(&first).await;
    // Started is written down before the command is sent; a freeze in between would be right to hold it.
    while !alive(&["sleep", &sleep]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late = Grant {
        not_after: now().plus(Duration::from_secs(24 * 3600)),
        ..world.grant(&session, "web-1", &["echo", "late"])
    };
    let late = world.offer(&session, &late).await;
    while !session.progress.accepted.contains(&late) {
        session.next().await;
    }
    freeze(&mut session, 1, &["host:web-1"]).await;
    // At once: it does not wait for its turn to learn that there is none.
    let result = session.result(&late).await;
    assert_eq!((kind(&result), reason(&result), result.started_at), (OutcomeKind::Denied, "FROZEN", 0));
    let detail = &result.outcome.as_ref().unwrap().detail;
    assert!(detail.contains("user:ops froze host web-1") && detail.contains("migration"), "{detail}");
    assert!(result.evidence.is_none(), "the controller asked for it; there is nothing to prove");
    assert!(alive(&["sleep", &sleep]) && !session.seen_result(&first), "what runs goes on");
    // What is offered now is turned away, for it has nothing to wait for; once it is lifted, it runs.
    let refused = world.run(&mut session, &["echo", "never"]).await;
    assert_eq!((kind(&refused), reason(&refused)), (OutcomeKind::Denied, "FROZEN"));
    session.stop(&first).await;
    assert_eq!(kind(&session.result(&first).await), OutcomeKind::Killed);
    freeze(&mut session, 2, &["host:web-9", "site:us"]).await;
    assert_eq!(kind(&world.run(&mut session, &["echo", "again"]).await), OutcomeKind::Succeeded);
    agent.stop().await;
}

#[tokio::test]
async fn a_freeze_holds_while_the_controller_is_away_and_until_it_says_otherwise() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    freeze(&mut session, 5, &["all"]).await;
    let refused = world.run(&mut session, &["echo", "never"]).await;
    assert_eq!(reason(&refused), "FROZEN", "it has confirmed that nothing starts any more, whoever asks");
    drop(session);
    let mut session = world.controller.session().await;
    let refused = world.run(&mut session, &["echo", "never"]).await;
    assert_eq!(reason(&refused), "FROZEN", "the new session has said nothing yet");
    freeze(&mut session, 1, &[]).await;
    assert_eq!(kind(&world.run(&mut session, &["true"]).await), OutcomeKind::Succeeded);
    agent.stop().await;
}
