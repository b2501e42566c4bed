//! What an agent still knows after it, or its controller, went away.

use std::{fs, sync::atomic::Ordering};

use lictor_agent::{AgentError, JournalError};
use lictor_proto::pb::{JournalPhase, OutcomeKind};

use crate::world::{World, kind, reason, text};

#[tokio::test]
async fn results_are_sent_again_to_the_next_session_until_they_are_committed() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["echo", "once"]).await;
    let id = result.invocation_id.clone();
    drop(session);
    let mut session = world.controller.session().await;
    assert_eq!(
        session.hello.journal.iter().map(|e| (e.invocation_id.as_str(), e.phase())).collect::<Vec<_>>(),
        [(id.as_str(), JournalPhase::Ended)]
    );
    assert_eq!(session.result(&id).await, result);
    session.commit(&[&id]).await;
    world.run(&mut session, &["true"]).await;
    drop(session);
    let session = world.controller.session().await;
    assert!(!session.hello.journal.iter().any(|e| e.invocation_id == id));
    agent.stop().await;
}

#[tokio::test]
async fn work_goes_on_while_there_is_no_session() {
    let mut world = World::new().await;
    let go = world.path("go");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let command = format!("while ! test -e {}; do sleep 0.02; done; echo done", go.display());
    let grant = world.grant(&session, "web-1", &["sh", "-c", &command]);
    let id = world.offer(&session, &grant).await;
    session.started(&id).await;
    drop(session);
    let mut session = world.controller.session().await;
    assert_eq!(session.hello.journal[0].phase(), JournalPhase::Running);
    fs::write(&go, "").unwrap();
    assert_eq!(text(&session.result(&id).await).0, "done\n");
    agent.stop().await;
}

#[tokio::test]
async fn large_output_is_sent_again_after_a_restart_and_before_its_result() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["sh", "-c", "seq 1 20000"]).await;
    assert!(!result.output_inline);
    drop(session);
    agent.stop().await;
    world.controller.shared.output.lock().unwrap().clear();
    let agent = world.start();
    let mut session = world.controller.session().await;
    assert_eq!(session.result(&result.invocation_id).await, result);
    let chunks = world.controller.output(&result.invocation_id, lictor_proto::pb::StreamName::Stdout);
    let whole: Vec<u8> = chunks.into_values().flatten().collect();
    assert_eq!(whole.len() as u64, result.output.unwrap().stdout.unwrap().bytes_total);
    assert!(whole.starts_with(b"1\n2\n") && whole.ends_with(b"20000\n"));
    session.commit(&[&result.invocation_id]).await;
    world.run(&mut session, &["true"]).await;
    assert_eq!(fs::read_dir(world.path("state/spool")).unwrap().count(), 0, "what is committed is not kept");
    agent.stop().await;
}

#[tokio::test]
async fn an_end_is_told_even_if_its_output_is_never_taken() {
    let mut world = World::new().await;
    world.controller.shared.refuse_output.store(true, Ordering::SeqCst);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["sh", "-c", "seq 1 20000"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded);
    agent.stop().await;
}

#[tokio::test]
async fn what_was_started_and_not_ended_at_a_crash_is_unknown() {
    let mut world = World::new().await;
    let state = world.path("state");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["sleep", "600"]);
    let id = world.offer(&session, &grant).await;
    session.started(&id).await;
    // The journal as it is on disk now is what a crash leaves.
    let journal = fs::read(state.join("journal")).unwrap();
    session.stop(&id).await;
    session.result(&id).await;
    agent.stop().await;
    drop(session);
    fs::write(state.join("journal"), journal).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unknown, "agent_restarted"));
    world.offer(&session, &grant).await;
    assert_eq!(reason(&session.result(&id).await), "agent_restarted", "it is not started again");
    agent.stop().await;
}

#[tokio::test]
async fn a_lower_epoch_is_refused() {
    let mut world = World::new().await;
    let agent = world.start();
    world.controller.shared.epoch.store(100, Ordering::SeqCst);
    let session = world.controller.session().await;
    let high = session.epoch.max(101);
    drop(session);
    let session = world.controller.session().await;
    assert!(session.epoch >= high);
    world.controller.shared.epoch.store(4, Ordering::SeqCst);
    drop(session);
    let mut refused = world.controller.session().await;
    assert_eq!(refused.epoch, 5);
    // The agent hangs up on it, and comes back with the next.
    refused.ends().await;
    world.controller.shared.epoch.store(1000, Ordering::SeqCst);
    let mut session = world.controller.session().await;
    while session.epoch < 1000 {
        session = world.controller.session().await;
    }
    assert_eq!(kind(&world.run(&mut session, &["true"]).await), OutcomeKind::Succeeded);
    agent.stop().await;
}

#[tokio::test]
async fn two_agents_cannot_share_a_state_directory() {
    let mut world = World::new().await;
    let agent = world.start();
    let _session = world.controller.session().await;
    let second = world.start();
    let error = second.task.await.unwrap().unwrap_err();
    assert!(matches!(error, AgentError::Journal(JournalError::InUse(_))), "{error}");
    agent.stop().await;
}

#[tokio::test]
async fn a_lost_journal_has_another_identity_and_a_kept_one_the_same() {
    let mut world = World::new().await;
    let mut seen = Vec::new();
    for lose in [false, false, true] {
        if lose {
            fs::remove_file(world.path("state/journal")).unwrap();
        }
        let agent = world.start();
        seen.push(world.controller.session().await.hello.journal_id.clone());
        agent.stop().await;
    }
    assert!(!seen[0].is_empty() && seen[0] == seen[1] && seen[1] != seen[2], "{seen:?}");
}
