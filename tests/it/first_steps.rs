//! What a newcomer does, with the mistakes that a newcomer makes: each is told what is wrong and what to do next.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

use lictor_tests::{World, binaries, world::expect};
use serde_json::Value;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

#[tokio::test(flavor = "multi_thread")]
async fn from_init_to_a_verified_audit_with_the_directory_alone() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    let ran = world.lictor(&["run", "web-1", "--", "echo", "hello", "wörld"]).unwrap();
    assert_eq!(
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()),
        (Some(0), "hello wörld\n"),
        "{}",
        said(&ran)
    );

    let hosts = json(&world.lictor(&["hosts", "--output", "json"]).unwrap());
    assert!(hosts.to_string().contains("web-1") && hosts.to_string().contains("web-2"), "{hosts}");

    let ran = world
        .lictor(&[
            "run",
            "--tag",
            "all",
            "--output",
            "json",
            "--",
            "sh",
            "-c",
            "echo out; echo err >&2; exit 3",
        ])
        .unwrap();
    let job = json(&ran);
    assert!(!ran.status.success());
    let text = job.to_string();
    assert!(text.contains("\"FAILED\"") && text.contains("out\\n") && text.contains("err\\n"), "{text}");

    let jobs = json(&world.lictor(&["jobs", "--output", "json", "--limit", "1"]).unwrap());
    assert!(jobs.to_string().contains("job_"), "{jobs}");

    let denied = world.lictor(&["run", "web-1", "--", "rm", "-rf", "/"]).unwrap();
    assert_eq!(denied.status.code(), Some(3), "{}", said(&denied));
    assert!(said(&denied).contains("never"), "the rule is named: {}", said(&denied));

    let verified = world.lictor(&["audit", "verify"]).unwrap();
    expect(&verified).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_told_with_a_next_step() {
    let mut world = World::prepare(&["web-1", "dead"]).unwrap();
    world.scan().unwrap();
    let out = world.lictor(&["run", "web-1", "--", "true"]).unwrap();
    assert_eq!(out.status.code(), Some(6), "no controller yet: {}", said(&out));
    assert!(said(&out).contains("next:"), "{}", said(&out));

    let again = world.lictor(&["init", &world.home().display().to_string()]).unwrap();
    assert!(!again.status.success() && said(&again).contains("not empty"), "{}", said(&again));

    let policy = world.home().join("policy.yml");
    let good = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, good.replace("effect: allow", "effect: alow")).unwrap();
    let up = Command::new(binaries::path("lictor").unwrap()).args(["up"]).arg(world.home()).output().unwrap();
    assert!(!up.status.success() && said(&up).contains("alow"), "a typo in the policy: {}", said(&up));
    fs::write(&policy, good).unwrap();

    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();

    let unknown = world.lictor(&["run", "wbe-1", "--", "true"]).unwrap();
    assert!(
        !unknown.status.success() && said(&unknown).contains("wbe-1") && said(&unknown).contains("next:"),
        "{}",
        said(&unknown)
    );

    world.hosts[1].stop();
    let dead = world.lictor(&["run", "dead", "--", "true"]).unwrap();
    assert_eq!(dead.status.code(), Some(4), "{}", said(&dead));
    assert!(said(&dead).contains("UNREACHABLE") && said(&dead).contains("connect_failed"), "{}", said(&dead));

    let smuggled = world.lictor(&["run", "web-1", "--", "true; echo $(id)"]).unwrap();
    assert_eq!(smuggled.status.code(), Some(3), "{}", said(&smuggled));
    assert!(said(&smuggled).contains("E_EXPANSION"), "{}", said(&smuggled));
    assert_eq!(world.host("web-1").exec_log(), "", "nothing was run");
}

#[test]
fn up_runs_a_controller_and_a_local_agent_that_joins_by_itself() {
    let world = World::prepare(&["web-1"]).unwrap();
    world.scan().unwrap();
    let mut up = Command::new(binaries::path("lictor").unwrap())
        .arg("up")
        .arg(world.home())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(up.stdout.take().unwrap()).lines();
    let ready = lines.by_ref().map_while(Result::ok).find(|line| line.contains("ready"));
    assert!(ready.is_some(), "up never said that it is ready");
    let ran = world.lictor(&["run", "web-1", "--", "echo", "through"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "through\n", "{}", said(&ran));
    let stopped = Command::new("kill").args(["-TERM", &up.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(up.wait().unwrap().success());
}
