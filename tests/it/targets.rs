//! Hosts chosen by an expression: what a preview shows is what a job runs on, and a slip of the pen runs nowhere.

use std::fs;

use lictor_tests::World;
use serde_json::Value;

const POLICY: &str = "version: 1\nrules:\n\
    - {id: prod, effect: allow, where: {labels: {env: prod}}, commands: [\"echo <re:[a-z]+>\"]}\n";

/// Labels of each host.
const LABELS: [(&str, &str); 3] = [
    ("web-1", "{ env: prod, role: web }"),
    ("web-2", "{ env: staging, role: web }"),
    ("db-1", "{ env: prod, role: db }"),
];

async fn world() -> World {
    let mut world = World::prepare(&LABELS.map(|(alias, _)| alias)).unwrap();
    let hosts = world.home().join("hosts.yml");
    let mut text = fs::read_to_string(&hosts).unwrap();
    for (alias, labels) in LABELS {
        let line = text.lines().find(|line| line.contains(&format!("alias: {alias},"))).unwrap().to_owned();
        text = text.replace(&line, &line.replace("tags: [all]", &format!("tags: [all], labels: {labels}")));
    }
    fs::write(&hosts, text).unwrap();
    fs::write(world.home().join("policy.yml"), POLICY).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_an_expression_runs_on_exactly_the_hosts_that_a_preview_shows() {
    let world = world().await;
    let ran = |alias: &str, word: &str| world.host(alias).exec_log().contains(word);
    let preview = |expression: &str| -> Vec<String> {
        let shown = world.lictor(&["hosts", "--match", expression, "--output", "json"]).unwrap();
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        shown.as_array().unwrap().iter().map(|host| host["alias"].as_str().unwrap().to_owned()).collect()
    };
    for (word, expression, hosts) in [
        ("one", "label:env=prod and not host:db-*", &["web-1"][..]),
        ("two", "label:env=prod", &["db-1", "web-1"]),
        ("three", "tag:all and not (label:env=staging or web-1)", &["db-1"]),
    ] {
        assert_eq!(preview(expression), hosts, "{expression}");
        let run = world.lictor(&["run", "--match", expression, "--", "echo", word]).unwrap();
        assert!(run.status.success(), "{expression}: {run:?}");
        for (alias, _) in LABELS {
            assert_eq!(ran(alias, word), hosts.contains(&alias), "{expression} on {alias}");
        }
    }
    let jobs = world.lictor(&["jobs", "--output", "json"]).unwrap();
    let jobs = String::from_utf8_lossy(&jobs.stdout).into_owned();
    assert!(jobs.contains("label:env=prod and not host:db-*"), "{jobs}");
    // A negated slip of the pen would mean every host.
    for (expression, meant) in [("not tag:al", "tag:all"), ("not label:env=prd", "label:env=prod")] {
        for verb in [&["run"][..], &["plan"], &["hosts"]] {
            let command: &[&str] = if verb == ["hosts"] { &[] } else { &["--", "echo", "slip"] };
            let answer = world.lictor(&[verb, &["--match", expression], command].concat()).unwrap();
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            assert!(!answer.status.success() && said.contains(meant), "{verb:?} {expression}: {said}");
        }
    }
    assert!(LABELS.iter().all(|(alias, _)| !ran(alias, "slip")));
    // Policy by label decides on each host of the job, and the record says what was asked for.
    let denied = world.lictor(&["run", "--match", "label:env=staging", "--", "echo", "staging"]).unwrap();
    assert!(!denied.status.success() && !ran("web-2", "staging"));
    let audit = world.audit().await.unwrap();
    let targets = |kind: &str| -> Vec<&str> {
        audit.iter().filter(|r| r["kind"] == kind).filter_map(|r| r["target"].as_str()).collect()
    };
    assert_eq!(
        targets("job_submitted"),
        [
            "label:env=prod and not host:db-*",
            "label:env=prod",
            "tag:all and not (label:env=staging or host:web-1)"
        ]
    );
    assert_eq!(targets("request_denied"), ["not tag:al", "not label:env=prd", "label:env=staging"]);
}
