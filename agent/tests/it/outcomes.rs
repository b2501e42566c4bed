//! How commands end, and what they printed.

use std::collections::BTreeMap;

use lictor_proto::pb::{OutcomeKind, StreamName};

use crate::world::{World, alive, kind, reason, text};

#[tokio::test]
async fn exit_codes_signals_and_both_streams_are_told_apart() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run(&mut session, &["sh", "-c", "echo out; echo err >&2"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded);
    assert_eq!(text(&result), ("out\n".into(), "err\n".into()));
    assert!(result.output_inline && result.started_at > 0 && result.ended_at >= result.started_at);
    assert_eq!(result.address, format!("127.0.0.1:{}", world.sshd.port));
    let result = world.run(&mut session, &["sh", "-c", "exit 7"]).await;
    assert_eq!((kind(&result), result.outcome.unwrap().exit_code), (OutcomeKind::Failed, Some(7)));
    let result = world.run(&mut session, &["sh", "-c", "kill -KILL $$"]).await;
    let outcome = result.outcome.clone().unwrap();
    assert_eq!(kind(&result), OutcomeKind::Failed);
    // A login shell that does not replace itself tells a signal as 128 plus its number.
    assert!(outcome.signal.as_deref() == Some("KILL") || outcome.exit_code == Some(137), "{outcome:?}");
    let result = world.run(&mut session, &["echo", "it's", "$HOME", "*", "a  b"]).await;
    assert_eq!(text(&result).0, "it's $HOME * a  b\n");
    let result = world.run(&mut session, &["cat"]).await;
    assert_eq!(text(&result).0, "", "standard input is empty");
    agent.stop().await;
}

#[tokio::test]
async fn a_gigabyte_of_output_is_bounded_counted_and_whole_at_both_ends() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result =
        world.run(&mut session, &["sh", "-c", "echo first; head -c 1073741824 /dev/zero; echo last"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded);
    let stdout = result.output.unwrap().stdout.unwrap();
    assert_eq!(stdout.bytes_total, 1_073_741_824 + 11);
    assert!(!result.output_inline && stdout.head.is_empty());
    assert_eq!(stdout.head_bytes + stdout.tail_bytes, 256 * 1024 * 3 / 4);
    let chunks = world.controller.output(&result.invocation_id, StreamName::Stdout);
    let kept: u64 = chunks.values().map(|c| c.len() as u64).sum();
    assert!(kept >= stdout.head_bytes + stdout.tail_bytes);
    assert!(chunks[&0].starts_with(b"first\n\0"));
    assert!(chunks.values().next_back().unwrap().ends_with(b"\0last\n"));
    let end = chunks.iter().next_back().map(|(offset, chunk)| offset + chunk.len() as u64);
    assert_eq!(end, Some(stdout.bytes_total));
    agent.stop().await;
}

#[tokio::test]
async fn output_of_a_running_command_is_shown_while_it_runs() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = world.grant(&session, "web-1", &["sh", "-c", "echo early.; sleep 600"]);
    let id = world.offer(&session, &grant).await;
    while world.controller.live(&id, StreamName::Stdout).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(
        world.controller.live(&id, StreamName::Stdout)[&0],
        b"early.\n",
        "no secret begins with what it ends with"
    );
    session.stop(&id).await;
    assert_eq!(kind(&session.result(&id).await), OutcomeKind::Killed);
    agent.stop().await;
}

#[tokio::test]
async fn what_comes_after_more_than_is_kept_is_shown_while_the_command_runs() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let script = "head -c 30000000 /dev/zero; echo late.; sleep 600";
    let grant = world.grant(&session, "web-1", &["sh", "-c", script]);
    let id = world.offer(&session, &grant).await;
    let late = |chunks: BTreeMap<u64, Vec<u8>>| chunks.values().any(|bytes| bytes.ends_with(b"\0late.\n"));
    while !late(world.controller.live(&id, StreamName::Stdout)) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    session.stop(&id).await;
    let result = session.result(&id).await;
    let stdout = result.output.unwrap().stdout.unwrap();
    assert_eq!(stdout.bytes_total, 30_000_006);
    let kept = world.controller.output(&id, StreamName::Stdout);
    let kept: u64 = kept.values().map(|chunk| chunk.len() as u64).sum();
    assert_eq!((kept, stdout.head_bytes + stdout.tail_bytes), (192 * 1024, 192 * 1024));
    agent.stop().await;
}

#[tokio::test]
async fn more_commands_than_the_host_takes_sessions_run_all_the_same() {
    let mut world = World::with_sshd("MaxSessions 2").await;
    world.write_agent_yml(16);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        let grant = world.grant(&session, "web-1", &["sleep", "0.2"]);
        ids.push(world.offer(&session, &grant).await);
    }
    for id in ids {
        let result = session.result(&id).await;
        assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", reason(&result));
    }
    agent.stop().await;
}

#[tokio::test]
async fn commands_beyond_the_places_wait_accepted_and_then_run() {
    let mut world = World::new().await;
    world.write_agent_yml(1);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let running = ["sleep", &format!("60003.{}", std::process::id())];
    let first = world.grant(&session, "web-1", &running);
    let second = world.grant(&session, "web-1", &["echo", "second"]);
    let first = world.offer(&session, &first).await;
    while !alive(&running) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let second = world.offer(&session, &second).await;
    session.stop(&first).await;
    assert_eq!(kind(&session.result(&first).await), OutcomeKind::Killed);
    assert_eq!(text(&session.result(&second).await).0, "second\n");
    assert!(session.progress.accepted.contains(&second) && session.progress.started.contains(&second));
    agent.stop().await;
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_asked_once_for_all_who_wait() {
    let mut world = World::new().await;
    world.write_agent_yml(16);
    // Takes connections and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent = tokio::net::TcpListener::from_std({
        silent.set_nonblocking(true).unwrap();
        silent
    })
    .unwrap();
    let accepted = tokio::spawn(async move {
        let (first, _) = silent.accept().await.unwrap();
        drop(first);
        let mut count = 1;
        while tokio::time::timeout(std::time::Duration::from_millis(500), silent.accept()).await.is_ok() {
            count += 1;
        }
        count
    });
    world.write_hosts(&format!(
        "  - {{alias: dead, address: 127.0.0.1, port: {port}, user: root, credential: key}}\n"
    ));
    let agent = world.start();
    let mut session = world.controller.session().await;
    let mut grant = world.grant(&session, "dead", &["true"]);
    let first = grant.targets[0].clone();
    for attempt in 2..=8 {
        let invocation = lictor_core::id::InvocationId::derive(grant.job, "dead", attempt);
        grant.targets.push(lictor_core::grant::GrantTarget { invocation, attempt, ..first.clone() });
    }
    world.offer(&session, &grant).await;
    for target in &grant.targets {
        let result = session.result(&target.invocation.to_string()).await;
        assert_eq!(reason(&result), "connect_failed");
    }
    assert_eq!(accepted.await.unwrap(), 1);
    agent.stop().await;
}
