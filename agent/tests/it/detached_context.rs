//! Detached commands with variables, a directory and standard input: they have all of it or do not start, are found again
//! with it, and nothing of it is left on their host.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use lictor_core::{
    content::Content,
    context::{Context, Environment},
    digest::Digest,
    grant::Grant,
};
use lictor_proto::pb::{self, OutcomeKind};
use tempfile::TempDir;

use crate::{
    controller::Session,
    detached::{place, process, until, world},
    world::{World, alive, kind, reason, text},
};

/// What nobody but the command may see.
const INPUT: &str = "a canary of standard input\n";

/// As [`INPUT`], a variable's: of this test alone, for the processes of this machine are everybody's.
fn value(world: &World) -> String {
    format!("it's a $CANARY of `{}`", world.dir.path().display())
}

/// Variables, a directory, and what the controller has for whoever fetches it.
fn context(world: &World, directory: Option<&Path>, input: Option<&[u8]>) -> Context {
    if let Some(bytes) = input {
        *world.controller.shared.content.lock().unwrap() = bytes.to_vec();
    }
    Context {
        environment: Environment::from_pairs([("APP_TOKEN", value(world).as_str()), ("LANG", "C")]).unwrap(),
        working_directory: directory.map(|path| path.to_str().unwrap().parse().unwrap()),
        run_as: None,
        stdin: input.map(|bytes| Content::of(bytes).unwrap()),
    }
}

fn detached(world: &World, session: &Session, script: &str, context: Context) -> Grant {
    Grant { detached: true, context, ..world.grant(session, "web-1", &["sh", "-c", script]) }
}

fn detail(result: &pb::InvocationResult) -> &str {
    &result.outcome.as_ref().unwrap().detail
}

fn not_run(result: &pb::InvocationResult) -> bool {
    result.outcome.as_ref().unwrap().ran == i32::from(pb::Ran::NotRun) && result.started_at == 0
}

/// Names of what the host keeps for commands, guards and others.
fn names(state: &TempDir) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.path().join("lictor")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whether a file of the host, or the command line of a process on it, holds any of this.
fn is_seen(world: &World, state: &TempDir) -> bool {
    let mut files: Vec<PathBuf> = Vec::new();
    for name in names(state) {
        let inside = fs::read_dir(state.path().join("lictor").join(name)).unwrap();
        files.extend(inside.map(|entry| entry.unwrap().path()));
    }
    files.extend(fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline")));
    let canary = value(world);
    let canary = canary.split_once('$').unwrap().1;
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    files.iter().any(|file| {
        let bytes = fs::read(file).unwrap_or_default();
        holds(&bytes, canary) || holds(&bytes, INPUT.trim())
    })
}

/// A site whose host does `script` for each request to keep something, and everything else as it is asked.
async fn world_that_keeps(script: &str) -> (World, TempDir) {
    let state = tempfile::tempdir().unwrap();
    let force = state.path().join("force");
    let text = format!(
        "#!/bin/sh\ncase $SSH_ORIGINAL_COMMAND in *' lictor-detached keep '*) {};; esac\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n",
        script.replace("STATE", &state.path().display().to_string())
    );
    fs::write(&force, text).unwrap();
    fs::set_permissions(&force, fs::Permissions::from_mode(0o755)).unwrap();
    let (home, force) = (state.path().display(), force.display());
    let world = World::with_sshd(&format!("SetEnv XDG_STATE_HOME={home}\nForceCommand {force}")).await;
    (world, state)
}

#[tokio::test]
async fn a_detached_command_has_what_it_was_given_though_its_agent_is_killed_and_nothing_of_it_is_left() {
    let (mut world, state) = world().await;
    let mut agent = process(&world);
    let mut session = world.controller.session().await;
    let (effect, go, directory) = (world.path("effect"), world.path("go"), world.path("a dir's"));
    fs::create_dir(&directory).unwrap();
    let input = INPUT.repeat(100_000);
    let script = format!(
        "echo x >> {}; pwd; printenv APP_TOKEN | sha256sum; while ! test -e {}; do sleep 0.05; done; sha256sum; exit 6",
        effect.display(),
        go.display()
    );
    let asked = context(&world, Some(&directory), Some(input.as_bytes()));
    let grant = detached(&world, &session, &script, asked);
    let id = world.offer(&session, &grant).await;
    session.started(&id).await;
    let token = Digest::of(format!("{}\n", value(&world)).as_bytes());
    let early = format!("{}\n{token}  -\n", directory.display());
    until(|| fs::read_to_string(place(&state, &id).join("out")).is_ok_and(|out| out == early)).await;
    assert!(!is_seen(&world, &state), "it is with the command alone, on no command line and in no file");
    agent.kill().unwrap();
    agent.wait().unwrap();
    drop(session);
    let mut agent = process(&world);
    let mut session = world.controller.session().await;
    fs::write(&go, "").unwrap();
    let result = session.result(&id).await;
    assert_eq!(
        (kind(&result), result.guard()),
        (OutcomeKind::Failed, pb::Guard::Host),
        "{} {}",
        reason(&result),
        detail(&result)
    );
    assert_eq!(result.outcome.as_ref().unwrap().exit_code, Some(6));
    assert_eq!(text(&result).0, format!("{early}{}  -\n", Digest::of(input.as_bytes())));
    assert_eq!(fs::read_to_string(effect).unwrap(), "x\n");
    assert_eq!(names(&state), [id.as_str()]);
    assert!(!is_seen(&world, &state));
    agent.kill().unwrap();
    agent.wait().unwrap();
}

#[tokio::test]
async fn each_of_them_works_alone_and_nobody_who_is_given_nothing_reads_anything() {
    let (mut world, state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let (script, value) = ("pwd; echo \"[$APP_TOKEN]\"; wc -c", value(&world));
    let whole = context(&world, Some(Path::new("/usr")), Some(b"12345"));
    let home = {
        let plain = world.grant(&session, "web-1", &["pwd"]);
        let id = world.offer(&session, &plain).await;
        text(&session.result(&id).await).0
    };
    let none = Context::default();
    for (asked, expected) in [
        (Context { environment: whole.environment.clone(), ..none.clone() }, format!("{home}[{value}]\n0\n")),
        (
            Context { working_directory: whole.working_directory.clone(), ..none.clone() },
            "/usr\n[]\n0\n".to_owned(),
        ),
        (Context { stdin: whole.stdin, ..none.clone() }, format!("{home}[]\n5\n")),
        (none, format!("{home}[]\n0\n")),
    ] {
        let grant = detached(&world, &session, script, asked);
        let id = world.offer(&session, &grant).await;
        let result = session.result(&id).await;
        assert_eq!((kind(&result), result.guard()), (OutcomeKind::Succeeded, pb::Guard::Host));
        assert_eq!(text(&result).0, expected);
    }
    // Whoever reads nothing of it ends all the same.
    let large = vec![b'x'; 3 << 20];
    let grant = detached(&world, &session, "true", context(&world, None, Some(&large)));
    let id = world.offer(&session, &grant).await;
    assert_eq!(kind(&session.result(&id).await), OutcomeKind::Succeeded);
    assert!(names(&state).iter().all(|name| name.starts_with("inv_")));
    agent.stop().await;
}

#[tokio::test]
async fn a_detached_command_that_reads_is_stopped_and_confirmed_gone() {
    let (mut world, state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let argv = format!("73000.{}", std::process::id());
    let script = format!("echo begun; setsid sleep {argv} & sleep {argv}; true");
    let grant = detached(&world, &session, &script, context(&world, None, Some(INPUT.as_bytes())));
    let id = world.offer(&session, &grant).await;
    until(|| alive(&["sleep", &argv])).await;
    session.stop(&id).await;
    let result = session.result(&id).await;
    assert_eq!(
        (kind(&result), result.guard()),
        (OutcomeKind::Killed, pb::Guard::Host),
        "{}",
        reason(&result)
    );
    assert!(!alive(&["sleep", &argv]) && !is_seen(&world, &state));
    agent.stop().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_entered_is_told_and_no_detached_command_runs() {
    let (mut world, state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    for input in [None, Some(INPUT.as_bytes())] {
        let asked = context(&world, Some(Path::new("/nonexistent/x")), input);
        let grant = detached(&world, &session, &format!("echo x >> {}", effect.display()), asked);
        let id = world.offer(&session, &grant).await;
        let result = session.result(&id).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "working_directory"));
        assert!(
            detail(&result).starts_with("the working directory /nonexistent/x cannot be entered: "),
            "{}",
            detail(&result)
        );
        assert!(not_run(&result) && !effect.exists());
        assert_eq!(names(&state), Vec::<String>::new(), "neither a guard nor what it was given");
    }
    agent.stop().await;
}

#[tokio::test]
async fn other_bytes_than_were_signed_start_no_detached_command_and_do_not_reach_its_host() {
    let (mut world, state) = world().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    let script = format!("echo x >> {}", effect.display());
    let grant = detached(&world, &session, &script, context(&world, None, Some(b"hello")));
    *world.controller.shared.content.lock().unwrap() = b"hellO".to_vec();
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "AGENT_CONTENT_MISMATCH"));
    assert!(not_run(&result) && !effect.exists() && names(&state).is_empty());
    agent.stop().await;
}

#[tokio::test]
async fn while_its_host_does_not_have_all_that_it_is_given_nothing_starts_and_that_is_certain() {
    let (mut world, state) =
        world_that_keeps("echo x >>STATE/asked; while test -e STATE; do sleep 0.05; done").await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let (effect, asked) = (world.path("effect"), state.path().join("asked"));
    let script = format!("echo x >> {}", effect.display());
    for told in [true, false] {
        let _ = fs::remove_file(&asked);
        let grant = detached(&world, &session, &script, context(&world, None, Some(INPUT.as_bytes())));
        let id = world.offer(&session, &grant).await;
        until(|| asked.exists()).await;
        if told {
            session.stop(&id).await;
        } else {
            world.sshd.end_sessions();
        }
        let result = session.result(&id).await;
        if told {
            assert_eq!(kind(&result), OutcomeKind::Cancelled, "{}", reason(&result));
        } else {
            assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "connect_failed"));
            assert!(detail(&result).contains("nothing was started"), "{}", detail(&result));
        }
        assert!(not_run(&result) && !effect.exists() && !place(&state, &id).exists());
    }
    agent.stop().await;
}

#[tokio::test]
async fn what_its_host_has_no_room_for_starts_nothing_and_the_hosts_words_say_so() {
    // What is written to files by then is cut short.
    let (mut world, state) =
        world_that_keeps("ulimit -f 1; trap '' XFSZ; exec sh -c \"$SSH_ORIGINAL_COMMAND\"").await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    let script = format!("echo x >> {}", effect.display());
    let large = vec![b'x'; 1 << 20];
    let grant = detached(&world, &session, &script, context(&world, None, Some(&large)));
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "session_refused"));
    assert!(
        detail(&result).starts_with("the host did not keep what the command is given"),
        "{}",
        detail(&result)
    );
    assert!(not_run(&result) && !effect.exists());
    assert_eq!(names(&state), Vec::<String>::new());
    agent.stop().await;
}

#[tokio::test]
async fn what_was_kept_for_a_command_that_did_not_start_is_cleaned_away() {
    // It is kept, and its place is lost before the answer is out: the start finds nothing.
    let lose = "sh -c \"$SSH_ORIGINAL_COMMAND\" >STATE/said; mv STATE/lictor/new_* STATE/lictor/new_inv_lost.x; cat STATE/said; exit";
    let (mut world, state) = world_that_keeps(lose).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let effect = world.path("effect");
    let script = format!("echo x >> {}", effect.display());
    let grant = detached(&world, &session, &script, context(&world, None, Some(INPUT.as_bytes())));
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "session_refused"));
    assert!(detail(&result).contains("does not have what"), "{}", detail(&result));
    assert!(not_run(&result) && !effect.exists() && !place(&state, &id).exists());
    // It comes back under its own name: what an end leaves is removed once the end is committed.
    let left = state.path().join("lictor").join(format!("new_{id}.x"));
    fs::rename(state.path().join("lictor/new_inv_lost.x"), &left).unwrap();
    session.commit(&[&id]).await;
    until(|| !left.exists()).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_host_without_a_place_for_a_guard_runs_it_with_all_that_it_was_given() {
    let script = tempfile::tempdir().unwrap();
    let (path, quote) = (script.path().join("force"), "'");
    // Neither place can be written, not even by root.
    fs::write(&path, format!("#!/bin/sh\nexec sh -c \"$(printf {quote}%s{quote} \"$SSH_ORIGINAL_COMMAND\" | sed s,/var/tmp/,/proc/,g)\"\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let extra = format!("SetEnv XDG_STATE_HOME=/proc/none\nForceCommand {}", path.display());
    let mut world = World::with_sshd(&extra).await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let asked = context(&world, Some(Path::new("/usr")), Some(INPUT.as_bytes()));
    let grant = detached(&world, &session, "pwd; printenv APP_TOKEN; cat; exit 2", asked);
    let id = world.offer(&session, &grant).await;
    let result = session.result(&id).await;
    assert_eq!((kind(&result), result.guard()), (OutcomeKind::Failed, pb::Guard::Journal));
    assert_eq!(text(&result).0, format!("/usr\n{}\n{INPUT}", value(&world)));
    agent.stop().await;
}

#[tokio::test]
async fn the_floor_judges_what_a_detached_command_is_given_and_another_login_is_refused() {
    let (mut world, state) = world().await;
    let floor = "version: 1\nrules:\n  - {id: f, effect: allow, where: all, commands: [echo <any>], environment: [LANG], run_as: [nobody]}\n";
    fs::write(world.path("floor.yml"), floor).unwrap();
    let config = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
    fs::write(world.path("agent.yml"), config).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let lang = Environment::from_pairs([("LANG", "C")]).unwrap();
    for (asked, expected) in [
        (Context { environment: lang, ..Context::default() }, ""),
        (context(&world, None, None), "FLOOR_DENIED"),
        (Context { stdin: Some(Content::of(b"x").unwrap()), ..Context::default() }, "FLOOR_DENIED"),
        (Context { run_as: Some("nobody".parse().unwrap()), ..Context::default() }, "GRANT_CONTEXT"),
    ] {
        let grant =
            Grant { detached: true, context: asked, ..world.grant(&session, "web-1", &["echo", "a"]) };
        let id = world.offer(&session, &grant).await;
        let result = session.result(&id).await;
        assert_eq!(reason(&result), expected, "{}", detail(&result));
        assert_eq!(place(&state, &id).exists(), expected.is_empty());
    }
    agent.stop().await;
}
