//! Agents as witnesses: with real processes, a controller that lost or rewrote its history gets no work done, everybody is
//! told why, and a person at the site resolves it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use lictor_client::operator::{AgentState, AgentView};
use lictor_core::{job::JobSpec, outcome::Outcome};
use lictor_tests::{
    World, binaries,
    process::eventually,
    world::{expect, follow, spec},
};
use serde_json::Value;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn state(world: &World) -> PathBuf {
    world.home().join("state/controller")
}

async fn agent(world: &World) -> AgentView {
    world.operator().unwrap().agents().await.unwrap().remove(0)
}

async fn runs(world: &World) {
    let done = world.run("web-1", &["true"]).await.unwrap();
    assert_eq!(done.invocations()[0].0.outcome, Some(Outcome::Succeeded));
}

fn lictor_agent(world: &World, arguments: &[&str]) -> Output {
    let config = world.home().join("agent.yml").display().to_string();
    let mut command = Command::new(binaries::path("lictor-agent").unwrap());
    command.args(arguments).args(["--config", &config]).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn verified(world: &World, arguments: &[&str]) -> Value {
    let output = world.lictor(&[&["--output", "json", "audit", "verify"], arguments].concat()).unwrap();
    expect(&output).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// As [`verified`], once a witness has said so of the newest head; on a slow machine an answer can be without it.
async fn anchored(world: &World, arguments: &[&str]) -> Value {
    let mut live = Value::Null;
    eventually("a witness cosigns the newest head", async || {
        live = verified(world, arguments);
        live["witnesses"].as_array().is_some_and(|witnesses| !witnesses.is_empty())
    })
    .await
    .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    live
}

/// Waits until the agent holds a head of everything that is recorded up to now.
async fn witnessed(world: &World) {
    let size = verified(world, &[])["records"].as_u64().unwrap();
    eventually("the agent cosigns", async || agent(world).await.cosigned_size >= Some(size))
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_anchored_by_its_agents_and_says_itself_who_they_are() {
    let world = World::start(&["web-1"]).await.unwrap();
    runs(&world).await;
    let live = anchored(&world, &[]).await;
    let witnesses = live["witnesses"].as_array().unwrap();
    assert_eq!(witnesses.len(), 1, "{live}\n{}", world.logs());
    assert!(witnesses[0].as_str().unwrap().ends_with("/witness/default/local/local"), "{live}");

    let key = fs::read_to_string(world.home().join("audit.pub")).unwrap();
    let mut exports = 0;
    let cosigned = async || {
        exports += 1;
        let export = world.file(&format!("log-{exports}.jsonl")).display().to_string();
        expect(&world.lictor(&["audit", "export", &export]).unwrap()).unwrap();
        let offline = world.lictor(&["audit", "verify", &export, "--key", key.trim()]).unwrap();
        expect(&offline).unwrap();
        text(&offline).contains("anchored by 1 witness at size")
    };
    eventually("an exported log carries it", cosigned)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));

    // Whoever does not believe the log's own list of witnesses brings one.
    let nobody = world.file("witnesses");
    fs::write(&nobody, "# none\n").unwrap();
    let nobody = nobody.display().to_string();
    assert_eq!(verified(&world, &["--witness-keys", &nobody])["witnesses"], Value::Array(Vec::new()));
    let audit = world.audit().await.unwrap();
    let enrolled: Vec<&Value> = audit.iter().filter(|r| r["kind"] == "witness_enrolled").collect();
    assert_eq!(enrolled.len(), 1, "once, not with each session");
    let known = world.file("known-witnesses");
    fs::write(&known, format!("{}\n", enrolled[0]["witness_key"].as_str().unwrap())).unwrap();
    let known = known.display().to_string();
    let by_known = anchored(&world, &["--witness-keys", &known]).await;
    assert_eq!(by_known["witnesses"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_restored_from_yesterdays_copy_is_refused_until_the_site_accepts_it() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    runs(&world).await;
    world.controller.as_mut().unwrap().kill();
    let yesterday = world.file("yesterday");
    copy(&state(&world), &yesterday);
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    for _ in 0..15 {
        runs(&world).await;
    }
    witnessed(&world).await;

    // Something runs while the controller goes back in time.
    let go = world.file("go");
    let wait = format!("while ! test -e {}; do sleep 0.02; done", go.display());
    let begun = spec(&["web-1"], &["sh", "-c", &wait]).unwrap();
    let job = world.client().unwrap().submit(&begun).await.unwrap().job.id;
    let client = world.client().unwrap();
    let id = client.get_job(job, 0, None).await.unwrap().invocations[0].id;
    let starts = || world.host("web-1").starts_of(&id.to_string());
    eventually("it starts", async || starts() == 1).await.unwrap();
    world.controller.as_mut().unwrap().kill();
    fs::rename(state(&world), world.file("today")).unwrap();
    fs::rename(&yesterday, state(&world)).unwrap();
    world.start_controller().await.unwrap();

    refuses(&world, "the agent refuses").await;
    eventually("the refusal is recorded", async || records(&world, "witness_refused").await).await.unwrap();
    let shown = text(&world.lictor(&["agents"]).unwrap());
    for part in ["WITNESS_REFUSED", "rolled back", "lictor-agent witness show"] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(world.agent.as_ref().unwrap().log().contains("witness_refused"), "{}", world.logs());

    // Nothing new starts; it waits.
    let before = world.host("web-1").exec_log();
    let waiting = world.client().unwrap().submit(&patient()).await.unwrap().job.id;
    let view = world.client().unwrap().get_job(waiting, 0, None).await.unwrap();
    assert_eq!(view.invocations[0].outcome, None);
    assert_eq!(world.host("web-1").exec_log(), before);
    // A session later it is still refused, and the log is not anchored by anybody.
    world.agent.as_mut().unwrap().kill();
    world.spawn_agent().unwrap();
    refuses(&world, "it is refused again").await;
    assert_eq!(verified_anew(&world)["witnesses"], Value::Array(Vec::new()));

    // What the agent kept shows it to anyone who has the key.
    let file = world.agent_state().join("witness-refused.json").display().to_string();
    let shown = world.lictor(&["audit", "verify", "--fork", &file]).unwrap();
    assert_eq!(shown.status.code(), Some(8), "{}", text(&shown));
    assert!(text(&shown).contains("ROLLED_BACK"), "{}", text(&shown));

    // A person at the site looks, and lets it go on.
    let look = text(&lictor_agent(&world, &["witness", "show"]));
    assert!(look.contains("known:") && look.contains("refused:"), "{look}");
    let root = look.split("--root ").nth(1).unwrap().trim().to_owned();
    let wrong = lictor_agent(&world, &["witness", "accept", "--root", &"0".repeat(64)]);
    assert!(!wrong.status.success(), "{}", text(&wrong));
    expect(&lictor_agent(&world, &["witness", "accept", "--root", &root])).unwrap();
    world.agent_connected().await.unwrap();
    fs::write(&go, "").unwrap();
    let ended = async || {
        let page = world.client().unwrap().get_job(waiting, 0, None).await.unwrap();
        page.invocations[0].outcome == Some(Outcome::Succeeded)
    };
    eventually("what waited runs", ended).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    assert!(records(&world, "witness_resolved").await);
}

async fn refuses(world: &World, what: &str) {
    let refuses = async || agent(world).await.state == AgentState::WitnessRefused;
    eventually(what, refuses).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
}

async fn records(world: &World, kind: &str) -> bool {
    // Whoever has verified a longer log gets no export of this one.
    let found = world.lictor(&["audit", "search", &format!("kind:{kind}")]).unwrap();
    expect(&found).unwrap();
    text(&found).contains(kind)
}

/// A job that waits for an agent for as long as it takes.
fn patient() -> JobSpec {
    JobSpec { queue_wait: Some(Duration::from_secs(600)), ..spec(&["web-1"], &["true"]).unwrap() }
}

/// As [`verified`], as somebody who has verified nothing before: whoever has is told that the log was cut off.
fn verified_anew(world: &World) -> Value {
    let anchor = world.home().join("state/audit-checkpoint");
    let cut = world.lictor(&["audit", "verify"]).unwrap();
    assert_eq!(cut.status.code(), Some(8), "{}", text(&cut));
    fs::remove_file(anchor).unwrap();
    verified(world, &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_pins_the_old_key_of_the_log_follows_it_to_the_new_one() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    runs(&world).await;
    verified(&world, &[]);
    let config = world.home().join("controller.yml").display().to_string();
    let rotate = || {
        let mut command = Command::new(binaries::path("lictor-controller").unwrap());
        command.args(["--config", &config, "--rotate-audit-key"]).output().unwrap()
    };
    assert!(text(&rotate()).contains("in use"), "not while it runs");
    world.controller.as_mut().unwrap().kill();
    let old_key = fs::read(state(&world).join("keys/audit.key")).unwrap();
    let rotated = rotate();
    expect(&rotated).unwrap();
    let new_key = String::from_utf8(rotated.stdout).unwrap().lines().last().unwrap().to_owned();
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    runs(&world).await;

    // The pinned key is still the old one; the checkpoint that was verified before it was rotated still anchors.
    let live = anchored(&world, &[]).await;
    assert!(live["anchored_at"].as_u64().unwrap() > 0, "{live}");
    assert_eq!(live["witnesses"].as_array().unwrap().len(), 1, "the agent follows, too: {}", world.logs());
    let export = world.file("log.jsonl").display().to_string();
    expect(&world.lictor(&["audit", "export", &export]).unwrap()).unwrap();
    let pinned = fs::read_to_string(world.home().join("audit.pub")).unwrap();
    for key in [pinned.trim(), &new_key] {
        expect(&world.lictor(&["audit", "verify", &export, "--key", key]).unwrap()).unwrap();
    }
    let stranger = format!("{}=", "A".repeat(43));
    let refused = world.lictor(&["audit", "verify", &export, "--key", &stranger]).unwrap();
    assert_eq!(refused.status.code(), Some(8), "{}", text(&refused));

    // Whoever has the old key can no more sign this log.
    world.controller.as_mut().unwrap().kill();
    fs::write(state(&world).join("keys/audit.key"), old_key).unwrap();
    fs::remove_file(state(&world).join("keys/audit-rotations.jsonl")).unwrap();
    world.start_controller().await.unwrap();
    refuses(&world, "the agent refuses the old key").await;
    let cut = world.lictor(&["audit", "verify"]).unwrap();
    assert_eq!(cut.status.code(), Some(8), "{}", text(&cut));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_signed_within_a_second_of_activity() {
    let world = World::start(&["web-1"]).await.unwrap();
    let file = state(&world).join("checkpoint");
    let signed = || -> u64 {
        let note = fs::read_to_string(&file).unwrap_or_default();
        note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0)
    };
    let _ = follow(&world.client().unwrap(), &spec(&["web-1"], &["true"]).unwrap()).await.unwrap();
    let size = verified(&world, &[])["records"].as_u64().unwrap();
    // Reading the log grows it, so there is always something newer to be signed without anybody asking.
    eventually("a later head is signed", async || signed() >= size).await.unwrap();
    let cosigned =
        async || fs::read_to_string(&file).unwrap_or_default().contains("/witness/default/local/local");
    eventually("with the cosignature of its agent", cosigned).await.unwrap();
}
