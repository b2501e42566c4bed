//! Agent, controller or the connection to the host fail under a detached command: its real end is told, and it ran once. Where the
//! host itself fails, that is told.

use bytes::Bytes;
use lictor_cli::demo::processes;
use lictor_core::{
    context::{Context, Environment},
    digest::Digest,
    guard::Guard,
    outcome::Exit,
};
use lictor_tests::{
    record::Seen,
    signals::{self, Signal},
};

use super::*;

/// What the command ends with: nobody can guess it.
const STATUS: u32 = 6;
/// What it prints, before and after it was let go.
const PRINTED: (&str, &str) = ("early", "late");

/// A system in which nothing ends because a machine is slow.
async fn patient() -> World {
    let world = World::prepare(&["web-1"]).unwrap();
    world.allow_ten_minutes().unwrap();
    world.set_up().await.unwrap()
}

/// As [`running`], detached.
async fn running_detached(world: &World) -> (JobId, String, PathBuf) {
    let go = world.file(&format!("go-{}", rand::random::<u32>()));
    let (early, late) = PRINTED;
    let body = format!("echo {early}; while ! test -e {}; do sleep 0.02; done; echo {late}", go.display());
    let [shell, option, script] = effect(&body);
    let script = format!("{script}; exit {STATUS}");
    let spec = JobSpec {
        detached: true,
        queue_wait: Some(QUEUE_WAIT),
        timeout: Some(Duration::from_secs(600)),
        ..spec(&["web-1"], &[&shell, &option, &script]).unwrap()
    };
    let job = world.client().unwrap().submit(&spec).await.unwrap().job.id;
    let id = look(world, job).await.id.to_string();
    let begun = async || world.seen_of(&id).begun == 1 && look(world, job).await.phase == Phase::Running;
    eventually("it runs", begun).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    (job, id, go)
}

/// Waits until the job has ended, and holds what is told of it against what happened.
async fn ends_as_it_ended(world: &World, job: JobId, id: &str) {
    let ended = world.settle(&[job], LONG).await.unwrap_or_else(|e| panic!("{e:#}"));
    let told = look(world, job).await;
    let really = Outcome::Failed(Exit::Code(STATUS));
    assert_eq!((told.outcome, told.guard), (Some(really), Guard::Host), "{ended:?}\n{}", world.logs());
    let printed = format!("{}\n{}\n", PRINTED.0, PRINTED.1).len() as u64;
    assert_eq!((told.stdout.bytes_total, told.stdout.bytes_kept), (printed, printed));
    assert_eq!(world.seen_of(id), Seen { starts: 1, begun: 1, done: 1 });
    works(world, "web-1").await;
}

/// How often the agent asked the host to go on with what it printed.
fn followed(world: &World, id: &str) -> usize {
    world.host("web-1").exec_log().matches(&format!("lictor-detached follow {id} ")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_whose_agent_is_killed_ends_as_it_really_does_whoever_was_there() {
    let mut world = patient().await;
    for while_it_is_away in [true, false] {
        let (job, id, go) = running_detached(&world).await;
        world.agent.as_mut().unwrap().kill();
        if while_it_is_away {
            finish(&world, &id, &go).await;
        }
        let view = look(&world, job).await;
        assert_eq!((view.phase, view.outcome), (Phase::Running, None), "nobody has told");
        world.start_agent().await.unwrap();
        finish(&world, &id, &go).await;
        ends_as_it_ended(&world, job, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_under_which_its_connections_die_ends_as_it_really_does() {
    let world = patient().await;
    let (job, id, go) = running_detached(&world).await;
    for _ in 0..2 {
        let before = followed(&world, &id);
        world.host("web-1").end_sessions();
        eventually("it is found again", async || followed(&world, &id) > before)
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    }
    assert_eq!(world.seen_of(&id).done, 0, "it goes on");
    world.host("web-1").end_sessions();
    finish(&world, &id, &go).await;
    ends_as_it_ended(&world, job, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_whose_agent_and_controller_are_killed_ends_as_it_really_does() {
    let mut world = patient().await;
    for while_they_are_away in [true, false] {
        let (job, id, go) = running_detached(&world).await;
        world.controller.as_mut().unwrap().kill();
        world.agent.as_mut().unwrap().kill();
        if while_they_are_away {
            finish(&world, &id, &go).await;
        }
        world.start_controller().await.unwrap();
        world.spawn_agent().unwrap();
        world.agent_connected().await.unwrap();
        finish(&world, &id, &go).await;
        ends_as_it_ended(&world, job, &id).await;
    }
}

/// As [`patient`], with a policy that lets commands be given something, start in this directory, and set `NOTE`.
async fn giving() -> (World, PathBuf) {
    let world = World::prepare(&["web-1"]).unwrap();
    world.allow_ten_minutes().unwrap();
    let directory = world.file("work");
    fs::create_dir(&directory).unwrap();
    let (policy, rule) = (world.home().join("policy.yml"), "    where: all\n");
    let text = fs::read_to_string(&policy).unwrap();
    let place = directory.display();
    let more =
        format!("{rule}    environment: [NOTE]\n    working_directory: ['{place}']\n    stdin: true\n");
    assert!(text.contains(rule));
    fs::write(&policy, text.replacen(rule, &more, 1)).unwrap();
    (world.set_up().await.unwrap(), directory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_with_a_context_whose_agent_is_killed_starts_once_and_keeps_all_of_it() {
    let (mut world, directory) = giving().await;
    let (client, go) = (world.client().unwrap(), world.file("go"));
    let (note, input) = ("it's $HOME; `id`", "line of what it is given\n".repeat(100_000));
    let stdin = client.put_content(Bytes::from(input.clone())).await.unwrap();
    let body =
        format!("pwd; echo \"$NOTE\"; while ! test -e {}; do sleep 0.02; done; sha256sum", go.display());
    let [shell, option, script] = effect(&body);
    let script = format!("{script}; exit {STATUS}");
    let asked = JobSpec {
        detached: true,
        context: Context {
            environment: Environment::from_pairs([("NOTE", note)]).unwrap(),
            working_directory: Some(directory.to_str().unwrap().parse().unwrap()),
            run_as: None,
            stdin: Some(stdin),
        },
        queue_wait: Some(QUEUE_WAIT),
        timeout: Some(Duration::from_secs(600)),
        ..spec(&["web-1"], &[&shell, &option, &script]).unwrap()
    };
    let job = client.submit(&asked).await.unwrap().job.id;
    let id = look(&world, job).await.id.to_string();
    let begun = async || world.seen_of(&id).begun == 1 && look(&world, job).await.phase == Phase::Running;
    eventually("it runs", begun).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    world.agent.as_mut().unwrap().kill();
    world.start_agent().await.unwrap();
    finish(&world, &id, &go).await;
    let ended = world.settle(&[job], LONG).await.unwrap_or_else(|e| panic!("{e:#}"));
    let told = look(&world, job).await;
    let really = Outcome::Failed(Exit::Code(STATUS));
    assert_eq!((told.outcome, told.guard), (Some(really), Guard::Host), "{ended:?}\n{}", world.logs());
    let printed = format!("{}\n{note}\n{}  -\n", directory.display(), Digest::of(input.as_bytes()));
    assert_eq!(told.stdout.digest, Some(Digest::of(printed.as_bytes())));
    assert_eq!(world.seen_of(&id), Seen { starts: 1, begun: 1, done: 1 });
    let (audit, given) = (world.audit().await.unwrap(), Digest::of(input.as_bytes()).to_string());
    assert!(audit.iter().any(|record| record["stdin_sha256"] == given.as_str()), "the intent names it");
    // Once its end is committed, its guard is all that the host keeps of it.
    let place = world.host("web-1").file(".local/state/lictor");
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let cleaned = async || !names(&place.join(&id)).contains(&"out".to_owned());
    eventually("its host is cleaned up", cleaned).await.unwrap();
    assert_eq!(names(&place), [id.as_str()], "and nothing beside it");
    let left = names(&place.join(&id));
    assert!(!left.iter().any(|name| ["env", "in"].contains(&name.as_str())), "{left:?}");
    assert!(!world.host("web-1").exec_log().contains(note), "no request has it in its text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_as_another_login_is_refused_and_the_refusal_says_what_to_do() {
    let world = patient().await;
    let out = world.lictor(&["run", "--detached", "--run-as", "nobody", "web-1", "--", "true"]).unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("leave out run_as, or run it without detached"), "{said}");
    assert_eq!(world.seen(), BTreeMap::new(), "nothing was sent");
}

/// Ends everything on the host at once, with what has left its session there, and starts it as another boot of it.
fn reboot(world: &mut World, id: &str) {
    let left = processes::with_environment(&format!("LICTOR_INVOCATION={id}"));
    let left: Vec<u32> = left.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect();
    assert!(!left.is_empty(), "it runs in a session of its own");
    // Held still first, so that none sees another die and notes how it ended.
    left.iter().for_each(|pid| signals::send(*pid, Signal::STOP));
    let host = &mut world.hosts[0];
    host.power_off();
    left.iter().for_each(|pid| signals::send(*pid, Signal::KILL));
    // This machine goes on, so what was noted of its boot is made another one's.
    let boot = host.file(&format!(".local/state/lictor/{id}/boot"));
    assert!(!fs::read_to_string(&boot).unwrap().trim().is_empty());
    fs::write(&boot, "another boot\n").unwrap();
    let (key, login) = (host.key.clone(), world.login.public_key());
    host.restart(key, login).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_command_whose_host_is_started_anew_is_unknown_says_why_and_is_not_run_again() {
    let mut world = patient().await;
    for agent_too in [false, true] {
        let (job, id, go) = running_detached(&world).await;
        if agent_too {
            world.agent.as_mut().unwrap().kill();
        }
        reboot(&mut world, &id);
        if agent_too {
            world.start_agent().await.unwrap();
        }
        // If anything of it were left, or begun again, it would come to its end now.
        fs::write(&go, "").unwrap();
        let ended = world.settle(&[job], LONG).await.unwrap_or_else(|e| panic!("{e:#}"));
        assert_eq!(ended, tally(&Outcome::Unknown(Unknown::HostRebooted)), "{}", world.logs());
        let told = look(&world, job).await;
        assert_eq!((told.guard, told.resolution), (Guard::Host, None));
        assert_eq!(world.seen_of(&id), Seen { starts: 1, begun: 1, done: 0 });
        works(&world, "web-1").await;
        assert_eq!(world.seen_of(&id).starts, 1);
    }
}
