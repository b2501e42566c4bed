//! Stop means stopped, and verified; or it is said that nobody knows.

use std::time::Duration;

use lictor_proto::pb::{OutcomeKind, StreamName};

use crate::world::{World, alive, kind, pid_of, reason};

#[tokio::test]
async fn a_timeout_also_kills_what_left_the_session() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let pid = std::process::id();
    let (escaped, plain) = (format!("60000.{pid}"), format!("60001.{pid}"));
    let mut grant = world.grant(
        &session,
        "web-1",
        &["sh", "-c", &format!("setsid sleep {escaped} & echo started; sleep {plain}")],
    );
    grant.targets[0].limits.timeout = Duration::from_millis(700);
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!(kind(&result), OutcomeKind::TimedOut, "{}", reason(&result));
    assert!(!alive(&["sleep", &escaped]) && !alive(&["sleep", &plain]));
    agent.stop().await;
}

#[tokio::test]
async fn a_timeout_also_kills_what_lost_both_the_session_and_the_variable() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let pid = std::process::id();
    let (child, grandchild) = (format!("60003.{pid}"), format!("60004.{pid}"));
    let script =
        format!("env -i setsid sh -c 'trap \"\" TERM; sleep {child} & sleep {grandchild}; wait'; true");
    let mut grant = world.grant(&session, "web-1", &["sh", "-c", &script]);
    grant.targets[0].limits.timeout = Duration::from_millis(700);
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!(kind(&result), OutcomeKind::TimedOut, "{}", reason(&result));
    assert!(!alive(&["sleep", &child]) && !alive(&["sleep", &grandchild]));
    agent.stop().await;
}

#[tokio::test]
async fn a_command_that_ignores_term_and_prints_for_ever_is_killed() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["sh", "-c", "trap '' TERM; yes"]);
    let id = world.offer(&session, &grant).await;
    while world.controller.live(&id, StreamName::Stdout).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.stop(&id).await;
    let result = session.result(&id).await;
    assert_eq!(kind(&result), OutcomeKind::Killed, "{}", reason(&result));
    agent.stop().await;
}

#[tokio::test]
async fn a_kill_that_cannot_be_confirmed_is_unknown() {
    let mut world = World::with_sshd("MaxSessions 1").await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let argv = ["sleep", &format!("60002.{}", std::process::id())];
    let grant = world.grant(&session, "web-1", &argv);
    let id = world.offer(&session, &grant).await;
    session.started(&id).await;
    while !alive(&argv) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // No second session on this connection, and no second connection.
    world.sshd.end_listener();
    session.stop(&id).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unknown, "kill_unconfirmed"));
    let pid = pid_of(&argv).expect("it is still there, as the outcome says");
    assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
    agent.stop().await;
}

#[tokio::test]
async fn what_was_stopped_before_it_was_offered_never_starts() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["echo", "never"]);
    let id = grant.targets[0].invocation.to_string();
    session.stop(&id).await;
    assert_eq!(kind(&session.result(&id).await), OutcomeKind::Cancelled);
    session.commit(&[&id]).await;
    world.offer(&session, &grant).await;
    let after = world.run(&mut session, &["echo", "after"]).await;
    assert_eq!(kind(&after), OutcomeKind::Succeeded);
    assert!(!session.seen_result(&id) && !session.progress.started.contains(&id));
    agent.stop().await;
}
