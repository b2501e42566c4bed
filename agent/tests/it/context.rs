//! Variables, working directories and logins, on a real host: they hold for the command, or nothing starts.
//!
//! `sudo` is a script that changes the login for real, drops the environment as sudo does, and refuses as sudo does.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use lictor_core::{
    context::{Context, Environment},
    grant::Grant,
};
use lictor_proto::pb::{self, OutcomeKind, StreamName};

use crate::{
    controller::Session,
    world::{World, alive, kind, reason, text},
};

/// `-n -H -u LOGIN -- PROGRAM…`, for the one login that is permitted.
const SUDO: &str = r#"#!/bin/sh
[ "$1 $2 $3 $5" = "-n -H -u --" ] || { echo "sudo: unexpected $*" >&2; exit 1; }
[ "$4" = nobody ] || { echo "sudo: a password is required" >&2; exit 1; }
shift 5
exec setpriv --reuid=nobody --regid=nogroup --clear-groups env -i HOME=/nonexistent PATH=/usr/bin:/bin SUDO_USER=root "$@"
"#;

fn context(variables: &[(&str, &str)], directory: Option<&str>, login: Option<&str>) -> Context {
    Context {
        environment: Environment::from_pairs(variables.iter().copied()).unwrap(),
        working_directory: directory.map(|path| path.parse().unwrap()),
        run_as: login.map(|name| name.parse().unwrap()),
        stdin: None,
    }
}

/// A site with a host whose logins find the `sudo` above first.
async fn world_with_sudo() -> World {
    let bin = tempfile::tempdir().unwrap().keep();
    fs::write(bin.join("sudo"), SUDO).unwrap();
    for path in [bin.clone(), bin.join("sudo")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    World::with_sshd(&format!("SetEnv PATH={}:/usr/bin:/bin", bin.display())).await
}

impl World {
    async fn run_in(&self, session: &mut Session, context: Context, argv: &[&str]) -> pb::InvocationResult {
        let grant = Grant { context, ..self.grant(session, "web-1", argv) };
        let id = self.offer(session, &grant).await;
        session.result(&id).await
    }
}

fn detail(result: &pb::InvocationResult) -> &str {
    &result.outcome.as_ref().unwrap().detail
}

#[tokio::test]
async fn variables_and_the_directory_reach_the_command_and_nothing_is_left_of_them() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let asked = context(&[("APP_ENV", "it's $HOME; `id`"), ("LANG", "C")], Some("/usr/bin"), None);
    let script = "pwd; printenv APP_ENV; printenv LANG; printenv LICTOR_INVOCATION; echo oops >&2; exit 3";
    let result = world.run_in(&mut session, asked, &["sh", "-c", script]).await;
    assert_eq!((kind(&result), result.outcome.as_ref().unwrap().exit_code), (OutcomeKind::Failed, Some(3)));
    let (out, err) = text(&result);
    assert_eq!(out, format!("/usr/bin\nit's $HOME; `id`\nC\n{}\n", result.invocation_id));
    assert_eq!(err, "oops\n", "what the wrapper says is not the command's");
    let plain = world.run(&mut session, &["sh", "-c", "pwd; echo [$APP_ENV]"]).await;
    assert!(text(&plain).0.ends_with("\n[]\n") && !text(&plain).0.starts_with("/usr/bin"));
    agent.stop().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_entered_is_told_and_nothing_runs() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let ran = world.path("ran");
    for directory in ["/nonexistent/x", "/etc/passwd"] {
        let asked = context(&[], Some(directory), None);
        let result = world.run_in(&mut session, asked, &["touch", ran.to_str().unwrap()]).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "working_directory"));
        assert_eq!(result.outcome.as_ref().unwrap().ran, i32::from(pb::Ran::NotRun));
        assert!(
            detail(&result).starts_with(&format!("the working directory {directory} cannot be entered: "))
        );
        assert!(!ran.exists() && result.started_at == 0);
    }
    let forged = ["sh", "-c", "echo lictor:$LICTOR_INVOCATION:no-directory >&2; exit 125"];
    let result = world.run_in(&mut session, context(&[], Some("/"), None), &forged).await;
    assert_eq!(kind(&result), OutcomeKind::Failed, "a command cannot say that it did not run");
    agent.stop().await;
}

#[tokio::test]
async fn another_login_runs_all_of_the_command_with_its_variables() {
    let mut world = world_with_sudo().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let asked = context(&[("APP_ENV", "a 'b'")], Some("/tmp"), Some("nobody"));
    let script = "id -un; pwd; printenv APP_ENV; printenv LICTOR_INVOCATION; printenv HOME";
    let result = world.run_in(&mut session, asked, &["sh", "-c", script]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded, "{}", detail(&result));
    assert_eq!(text(&result).0, format!("nobody\n/tmp\na 'b'\n{}\n/nonexistent\n", result.invocation_id));
    // A directory is entered as the login, not before.
    let closed = world.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let asked = context(&[], closed.to_str(), Some("nobody"));
    let result = world.run_in(&mut session, asked, &["true"]).await;
    assert_eq!(reason(&result), "working_directory");
    agent.stop().await;
}

#[tokio::test]
async fn a_login_that_the_host_refuses_is_told_in_the_hosts_words_and_nothing_runs() {
    let mut world = world_with_sudo().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let ran = world.path("ran");
    let asked = context(&[("A", "b")], None, Some("deploy"));
    let result = world.run_in(&mut session, asked, &["touch", ran.to_str().unwrap()]).await;
    assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unreachable, "run_as"));
    assert!(
        detail(&result).contains("as deploy") && detail(&result).contains("sudo: a password is required")
    );
    assert!(!ran.exists() && result.started_at == 0);
    agent.stop().await;
    let mut without = World::with_sshd("SetEnv PATH=/nonexistent").await;
    let agent = without.start();
    let mut session = without.controller.session().await;
    let asked = context(&[], None, Some("nobody"));
    let result = without.run_in(&mut session, asked, &["/bin/true"]).await;
    assert_eq!(reason(&result), "run_as");
    assert!(detail(&result).contains("sudo"), "{}", detail(&result));
    agent.stop().await;
}

#[tokio::test]
async fn what_runs_as_another_login_is_stopped_as_that_login() {
    let mut world = world_with_sudo().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let seconds = format!("60011.{}", std::process::id());
    let script = format!("echo up.; setsid sleep {seconds} & sleep {seconds}");
    let asked = context(&[], None, Some("nobody"));
    let grant = Grant { context: asked, ..world.grant(&session, "web-1", &["sh", "-c", &script]) };
    let id = world.offer(&session, &grant).await;
    while world.controller.live(&id, StreamName::Stdout).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.stop(&id).await;
    let result = session.result(&id).await;
    assert!(!alive(&["sleep", &seconds]));
    // Where that login cannot see every process, nobody can say that nothing is left.
    let looks = ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "test", "-r", "/proc/1/stat"];
    if Command::new("setpriv").args(looks).status().unwrap().success() {
        assert_eq!(kind(&result), OutcomeKind::Killed, "{}", reason(&result));
    } else {
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Unknown, "kill_unconfirmed"));
    }
    agent.stop().await;
}

#[tokio::test]
async fn the_floor_of_the_site_judges_the_context_too() {
    let mut world = World::new().await;
    let floor = "version: 1\nrules:\n  - {id: f, effect: allow, where: all, commands: [echo <any>], environment: [LANG]}\n";
    fs::write(world.path("floor.yml"), floor).unwrap();
    let config = fs::read_to_string(world.path("agent.yml")).unwrap() + "floor: floor.yml\n";
    fs::write(world.path("agent.yml"), config).unwrap();
    let agent = world.start();
    let mut session = world.controller.session().await;
    let result = world.run_in(&mut session, context(&[("LANG", "C")], None, None), &["echo", "a"]).await;
    assert_eq!(kind(&result), OutcomeKind::Succeeded);
    for asked in [
        context(&[], None, Some("nobody")),
        context(&[("X", "y")], None, None),
        context(&[], Some("/"), None),
    ] {
        let result = world.run_in(&mut session, asked, &["echo", "a"]).await;
        assert_eq!((kind(&result), reason(&result)), (OutcomeKind::Denied, "FLOOR_DENIED"));
        assert!(detail(&result).contains("but not with"), "{}", detail(&result));
        assert!(result.evidence.is_some(), "and its agent proves that it refused");
    }
    agent.stop().await;
}
