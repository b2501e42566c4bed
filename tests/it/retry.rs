//! `lictor retry`: what did not run for a reason that passes is taken again, as it was asked for; what was denied is not.

use std::{fs, time::Duration};

use lictor_core::{job::JobState, outcome::Outcome, rollout::Share};
use lictor_tests::{World, world::expect};
use serde_json::{Value, json};

fn lictor(world: &World, arguments: &[&str]) -> (bool, Value) {
    let output = world.lictor(&[&["--output", "json"], arguments].concat()).unwrap();
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.success(), document)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_takes_what_was_frozen_with_its_limits_and_its_rollout_and_leaves_out_what_policy_denied() {
    let world = World::prepare(&["web-1", "web-2", "web-3"]).unwrap();
    let policy = world.home().join("policy.yml");
    let text = fs::read_to_string(&policy).unwrap();
    let closed = "  - { id: closed, effect: deny, where: { hosts: [web-3] }, commands: any }\n";
    fs::write(&policy, text + closed).unwrap();
    let world = world.set_up().await.unwrap();
    let (_, freeze) = lictor(&world, &["freeze", "--host", "web-1", "--reason", "a moment"]);
    let limits = ["--timeout", "7s", "--output-limit", "1000", "--waves", "1", "--max-errors", "1"];
    let run = [&["run", "web-1,web-2,web-3"], &limits[..], &["--", "echo", "hello"]].concat();
    let (_, earlier) = lictor(&world, &run);
    let earlier = earlier["job"]["id"].as_str().unwrap_or_else(|| panic!("{earlier}\n{}", world.logs()));
    let codes = world.client().unwrap().get_job(earlier.parse().unwrap(), 0, None).await.unwrap();
    let codes: Vec<_> = codes.invocations.iter().map(|i| i.outcome.as_ref().unwrap().reason_code()).collect();
    assert_eq!((codes[0], codes[1]), (Some("FROZEN"), None));
    assert!(codes[2].unwrap().starts_with("POLICY_"), "{codes:?}");

    expect(&world.lictor(&["freeze", "lift", freeze["freeze"]["id"].as_str().unwrap()]).unwrap()).unwrap();
    let (done, again) = lictor(&world, &["retry", earlier]);
    assert!(done, "{again}\n{}", world.logs());
    let again = again["job"]["id"].as_str().unwrap();
    let page = world.client().unwrap().get_job(again.parse().unwrap(), 0, None).await.unwrap();
    assert_eq!(page.job.state, JobState::Succeeded);
    let hosts: Vec<_> = page.invocations.iter().map(|i| (i.host.as_str(), i.outcome.clone())).collect();
    assert_eq!(hosts, [("web-1", Some(Outcome::Succeeded))], "only what may pass now");
    let limits = page.invocations[0].limits;
    assert_eq!((limits.timeout, limits.output_bytes), (Duration::from_secs(7), 1_000));
    let rollout = &page.job.rollout;
    assert_eq!((&rollout.waves[..], rollout.max_errors), (&[Share::Count(1)][..], Some(Share::Count(1))));

    let (_, replayed) = lictor(&world, &["retry", earlier]);
    assert_eq!(replayed["job"]["id"], json!(again), "typed twice, it is the same job");
    let (done, none) = lictor(&world, &["retry", again]);
    assert!(!done && none["job"].is_null(), "nothing is left to be taken: {none}");
    let (_, other) = lictor(&world, &["retry", earlier, "--only", "not-run", "--max-errors", "0"]);
    assert!(other["job"].is_null(), "the same retry otherwise is another request: {other}");
}
