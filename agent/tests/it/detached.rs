//! Detached commands: guarded on the host, and found again whatever becomes of connection and agent.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lictor_core::{digest::Digest, grant::Grant};
use lictor_proto::pb::{self, JournalPhase, OutcomeKind, StreamName};
use tempfile::TempDir;

use crate::{
    controller::Session,
    world::{World, alive, kind, reason, text},
};

/// A site whose host keeps its guards in a directory of the test.
pub(crate) async fn world() -> (World, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let world = World::with_sshd(&format!("SetEnv XDG_STATE_HOME={}", state.path().display())).await;
    (world, state)
}

fn detached(world: &World, session: &Session, script: &str) -> Grant {
    Grant { detached: true, ..world.grant(session, "web-1", &["sh", "-c", script]) }
}

pub(crate) fn place(state: &TempDir, id: &str) -> PathBuf {
    state.path().join("lictor").join(id)
}

pub(crate) async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("it never happened");
}

/// An agent in a process of its own, which can be killed.
pub(crate) fn process(world: &World) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lictor-agent"))
        .args(["run", "--config"])
        .arg(world.path("agent.yml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(world.path("agent.log")).unwrap())
        .spawn()
        .unwrap()
}

fn stdout(result: &pb::InvocationResult) -> pb::StreamSummary {
    result.output.clone().unwrap().stdout.unwrap()
}

#[tokio::test]
async fn a_detached_command_is_guarded_by_its_host_and_cleaned_up_once_its_end_is_committed() {
    let (world, state) = world().await;
    let mut world = world;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = detached(&world, &session, "echo out; echo err >&2; exit 3");
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), result.guard()), (OutcomeKind::Failed, pb::Guard::Host));
    assert_eq!(result.outcome.as_ref().unwrap().exit_code, Some(3));
    assert_eq!(text(&result), ("out\n".into(), "err\n".into()));
    assert_eq!(stdout(&result).digest, Digest::of(b"out\n").as_bytes());
    assert_eq!(fs::metadata(state.path().join("lictor")).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(place(&state, &id).join("out").exists());
    session.commit(&[&id]).await;
    until(|| !place(&state, &id).join("out").exists()).await;
    assert!(place(&state, &id).exists(), "the guard stays");
    let ordinary = world.run(&mut session, &["true"]).await;
    assert_eq!(ordinary.guard(), pb::Guard::Journal);
    agent.stop().await;
}

#[tokio::test]
async fn a_detached_command_survives_its_connection_and_no_byte_is_lost_or_repeated() {
    let (mut world, state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    let script = format!(
        "echo x >> {}; i=0; while [ $i -lt 40 ]; do seq $((i*500)) $((i*500+499)); echo $i >&2; i=$((i+1)); sleep 0.05; done",
        effect.display()
    );
    let grant = detached(&world, &session, &script);
    let id = world.offer(&session, &grant).await;
    for n in [1u64, 60_000] {
        until(|| fs::metadata(place(&state, &id).join("out")).is_ok_and(|m| m.len() >= n)).await;
        until(|| !world.controller.live(&id, StreamName::Stdout).is_empty()).await;
        world.sshd.end_sessions();
    }
    let result = session.result(&id).await;
    assert_eq!(
        (kind(&result), result.guard()),
        (OutcomeKind::Succeeded, pb::Guard::Host),
        "{}",
        reason(&result)
    );
    let on_host = fs::read(place(&state, &id).join("out")).unwrap();
    let expected: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    assert!(on_host == expected.as_bytes());
    let seen = stdout(&result);
    assert_eq!(
        (seen.bytes_total, seen.digest),
        (on_host.len() as u64, Digest::of(&on_host).as_bytes().to_vec())
    );
    let chunks = world.controller.output(&id, StreamName::Stdout);
    assert!(chunks.iter().all(|(at, bytes)| on_host[*at as usize..].starts_with(bytes)));
    let errors: String = (0..40).map(|n| format!("{n}\n")).collect();
    let stderr = result.output.unwrap().stderr.unwrap();
    assert_eq!(
        (stderr.bytes_total, stderr.digest),
        (errors.len() as u64, Digest::of(errors.as_bytes()).as_bytes().to_vec())
    );
    assert_eq!(fs::read_to_string(effect).unwrap(), "x\n");
    agent.stop().await;
}

#[tokio::test]
async fn a_detached_command_survives_a_killed_agent_which_finds_it_again() {
    for end_meanwhile in [false, true] {
        let (mut world, state) = world().await;
        let mut agent = process(&world);
        let mut session = world.controller.session().await;
        let (effect, go) = (world.path("effect"), world.path("go"));
        let script = format!(
            "echo x >> {}; seq 1 3000; while ! test -e {}; do sleep 0.05; done; echo late; exit 6",
            effect.display(),
            go.display()
        );
        let grant = detached(&world, &session, &script);
        let id = world.offer(&session, &grant).await;
        session.started(&id).await;
        until(|| fs::metadata(place(&state, &id).join("out")).is_ok_and(|m| m.len() > 1000)).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        drop(session);
        if end_meanwhile {
            fs::write(&go, "").unwrap();
            until(|| place(&state, &id).join("exit").exists()).await;
        }
        let mut agent = process(&world);
        let mut session = world.controller.session().await;
        let known: Vec<_> =
            session.hello.journal.iter().map(|e| (e.invocation_id.clone(), e.phase())).collect();
        assert!(
            known == [(id.clone(), JournalPhase::Running)]
                || (end_meanwhile && known == [(id.clone(), JournalPhase::Ended)]),
            "{known:?}"
        );
        fs::write(&go, "").unwrap();
        let result = session.result(&id).await;
        assert_eq!(
            (kind(&result), result.guard()),
            (OutcomeKind::Failed, pb::Guard::Host),
            "{}",
            reason(&result)
        );
        assert_eq!(result.outcome.as_ref().unwrap().exit_code, Some(6));
        let expected = (1..=3000).map(|n| format!("{n}\n")).collect::<String>() + "late\n";
        assert_eq!(text(&result).0, expected);
        assert_eq!(stdout(&result).digest, Digest::of(expected.as_bytes()).as_bytes());
        assert_eq!(fs::read_to_string(effect).unwrap(), "x\n");
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

#[tokio::test]
async fn what_its_host_has_seen_never_starts_again_though_the_journal_is_lost() {
    let (mut world, _state) = world().await;
    let effect = world.path("effect");
    let agent = world.start();
    let mut session = world.controller.session().await;
    let grant = detached(&world, &session, &format!("echo x >> {}; echo out; exit 9", effect.display()));
    let id = world.offer(&session, &grant).await;
    let first = session.result(&id).await;
    agent.stop().await;
    drop(session);
    fs::remove_file(world.path("state/journal")).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let again = Grant { epoch: session.epoch, ..grant.clone() };
    world.offer(&session, &again).await;
    let second = session.result(&id).await;
    // When it came is told anew: each time it is read.
    let said = |result: &pb::InvocationResult| {
        (result.outcome.clone(), result.output.clone().map(|output| (output.stdout, output.stderr)))
    };
    assert_eq!(said(&second), said(&first), "it is attached to");
    assert_eq!(fs::read_to_string(&effect).unwrap(), "x\n");
    agent.stop().await;
}

#[tokio::test]
async fn a_host_without_a_place_for_a_guard_runs_it_under_the_journal_and_that_is_said() {
    let script = tempfile::tempdir().unwrap();
    let (path, quote) = (script.path().join("force"), "'");
    // Neither place can be written, not even by root.
    fs::write(&path, format!("#!/bin/sh\nexec sh -c \"$(printf {quote}%s{quote} \"$SSH_ORIGINAL_COMMAND\" | sed s,/var/tmp/,/proc/,g)\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let extra = format!("SetEnv XDG_STATE_HOME=/proc/none\nForceCommand {}", path.display());
    let mut world = World::with_sshd(&extra).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    let grant = detached(&world, &session, &format!("echo x >> {}; echo out; exit 2", effect.display()));
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!(
        (kind(&result), result.guard()),
        (OutcomeKind::Failed, pb::Guard::Journal),
        "{}",
        reason(&result)
    );
    assert_eq!(text(&result).0, "out\n");
    assert_eq!(fs::read_to_string(effect).unwrap(), "x\n");
    agent.stop().await;
}

#[tokio::test]
async fn a_detached_command_that_is_stopped_or_out_of_time_is_confirmed_gone() {
    let (mut world, _state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    for (n, told) in [(70_000, true), (70_001, false)] {
        let argv = format!("{n}.{}", std::process::id());
        let mut grant =
            detached(&world, &session, &format!("echo begun; setsid sleep {argv} & sleep {argv}; true"));
        if !told {
            grant.targets[0].limits.timeout = Duration::from_secs(8);
        }
        let id = world.offer(&session, &grant).await;
        until(|| alive(&["sleep", &argv])).await;
        if told {
            session.stop(&id).await;
        }
        let result = session.result(&id).await;
        let expected = if told { OutcomeKind::Killed } else { OutcomeKind::TimedOut };
        assert_eq!((kind(&result), result.guard()), (expected, pb::Guard::Host), "{}", reason(&result));
        assert_eq!(text(&result).0, "begun\n");
        assert!(!alive(&["sleep", &argv]));
    }
    agent.stop().await;
}

#[tokio::test]
async fn a_detached_command_that_is_stopped_while_it_begins_does_not_go_on() {
    let (mut world, _state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    for n in 0..4 {
        let argv = format!("7200{n}.{}", std::process::id());
        let grant = detached(&world, &session, &format!("sleep {argv}; true"));
        let id = world.offer(&session, &grant).await;
        if n % 2 == 0 {
            session.started(&id).await;
        }
        session.stop(&id).await;
        let result = session.result(&id).await;
        assert_ne!(reason(&result), "kill_unconfirmed");
        assert!(
            matches!(kind(&result), OutcomeKind::Killed | OutcomeKind::Cancelled | OutcomeKind::Unknown),
            "{:?}",
            kind(&result)
        );
        assert!(!alive(&["sleep", &argv]), "{:?} {}", kind(&result), reason(&result));
    }
    agent.stop().await;
}

#[tokio::test]
async fn after_a_reboot_or_without_a_trace_nobody_knows_and_the_reason_is_said() {
    for (what, expected) in [("boot", "host_rebooted"), ("leader", "vanished"), ("place", "agent_restarted")]
    {
        let (mut world, state) = world().await;
        let mut agent = process(&world);
        let mut session = world.controller.session().await;
        let argv = format!("7100{}.{}", what.len(), std::process::id());
        let grant = detached(&world, &session, &format!("sleep {argv}; true"));
        let id = world.offer(&session, &grant).await;
        session.started(&id).await;
        until(|| alive(&["sleep", &argv])).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        drop(session);
        let place = place(&state, &id);
        let leader = fs::read_to_string(place.join("pid")).unwrap();
        let leader = leader.split(' ').next().unwrap().to_owned();
        assert!(Command::new("pkill").args(["-KILL", "-s", &leader]).status().unwrap().success());
        match what {
            "boot" => fs::write(place.join("boot"), "another boot\n").unwrap(),
            "place" => fs::remove_dir_all(&place).unwrap(),
            _ => {}
        }
        let mut agent = process(&world);
        let mut session = world.controller.session().await;
        let result = session.result(&id).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unknown, expected));
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}
