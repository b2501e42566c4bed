//! What jobs leave is kept as long as said, in a running system: people, scripts and models are told what is gone, and what is
//! shared stays.

use std::{collections::BTreeSet, fs, path::Path};

use lictor_client::operator::Operator;
use lictor_core::error::ErrorCode;
use lictor_tests::{World, process::eventually};
use serde_json::{Value, json};

/// Prints more than a record holds: 8,893 bytes.
const PRINTS: &str = "seq 2000";
/// Room for one of it, and not for two.
const LIMIT: &str = "retention: {outputs: {bytes: 12000B}}";

/// Writes the limit into the controller's file.
fn limit(world: &World) {
    let config = world.home().join("controller.yml");
    fs::write(&config, format!("{}\n{LIMIT}\n", fs::read_to_string(&config).unwrap())).unwrap();
}

/// A file that nobody names, as a crash leaves it: the controller removes it before its first round.
fn orphan(outputs: &Path) -> String {
    let orphan = "0".repeat(64);
    fs::create_dir_all(outputs.join("00")).unwrap();
    fs::write(outputs.join("00").join(&orphan), "nobody's").unwrap();
    orphan
}

fn run(world: &World) -> String {
    let ran = world.lictor(&["--output", "json", "run", "web-1", "--", "sh", "-c", PRINTS]).unwrap();
    let ran: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(ran["job"]["state"], "SUCCEEDED", "{ran}");
    ran["job"]["id"].as_str().unwrap().to_owned()
}

/// Code, standard output, standard error.
fn said(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = world.lictor(arguments).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn files(dir: &Path) -> BTreeSet<String> {
    let folders = fs::read_dir(dir).unwrap().map(|folder| folder.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_output_gives_way_and_everybody_who_asks_is_told() {
    let world = World::prepare(&["web-1"]).unwrap();
    limit(&world);
    let mut world = world.set_up().await.unwrap();
    // A model sees its own jobs only; an operator sees all.
    let asked = json!({"alias": "web-1", "argv": ["sh", "-c", PRINTS]});
    let answer = world.mcp().await.unwrap().call("ssh_run", asked).await.unwrap();
    let old = answer["structuredContent"]["job_id"].as_str().unwrap().to_owned();
    let new = run(&world);
    let outputs = world.home().join("state/controller/output");
    assert_eq!(files(&outputs).len(), 1, "both printed the same");
    let (_, text, _) = said(&world, &["output", &old]);
    assert!(text.ends_with("\n2000\n"), "{text}");

    // A start looks for what is too much; and a crash has left something behind.
    world.controller.as_mut().unwrap().kill();
    let orphan = orphan(&outputs);
    world.start_controller().await.unwrap();
    let removed = async || said(&world, &["output", &old]).2.contains("removed on");
    eventually("the oldest output is removed", removed)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));

    let (code, text, told) = said(&world, &["output", &old]);
    assert_eq!((code, text.as_str()), (Some(0), ""));
    let words = "by retention (bytes 12000B); its digest and byte counts stay";
    assert!(told.contains("8893 bytes of standard output: removed on") && told.contains(words), "{told}");
    let (code, _, told) = said(&world, &["output", &old, "--grep", "1"]);
    assert!(code != Some(0) && told.contains(words), "nothing found would be no answer: {told}");
    let (_, document, _) = said(&world, &["--output", "json", "jobs", &old]);
    assert!(document.contains("removed on") && document.contains("\"stdout_bytes\": 8893"), "{document}");
    let mut mcp = world.mcp().await.unwrap();
    let page = mcp.call("ssh_job_output", json!({"job_id": old, "host": "web-1"})).await.unwrap();
    let page = page.to_string();
    assert!(page.contains("removed on") && page.contains("8893"), "{page}");

    let (_, text, told) = said(&world, &["output", &new]);
    assert!(text.ends_with("\n2000\n"), "what it shared is kept: {told}");
    assert!(!files(&outputs).contains(&orphan) && files(&outputs).len() == 1);
    let audit = world.audit().await.unwrap();
    let record = audit.iter().find(|record| record["kind"] == "outputs_removed").unwrap();
    assert_eq!((&record["job"], &record["bytes"]), (&json!(old), &json!(8893)));
    let (code, _, told) = said(&world, &["jobs"]);
    assert_eq!(code, Some(0), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_says_less_removes_nothing_until_two_operators_agree() {
    let world = World::prepare(&["web-1"]).unwrap();
    world.issue_operator("ann").unwrap();
    let mut world = world.set_up().await.unwrap();
    let ann = Operator::new(world.client_as("ann").unwrap());
    let (old, new) = (run(&world), run(&world));

    world.controller.as_mut().unwrap().kill();
    limit(&world);
    let outputs = world.home().join("state/controller/output");
    let orphan = orphan(&outputs);
    world.start_controller().await.unwrap();
    eventually("a round begins", async || !files(&outputs).contains(&orphan)).await.unwrap();
    assert!(world.logs().contains("lictor audit retention shorten"), "{}", world.logs());
    let (code, text, told) = said(&world, &["audit", "retention"]);
    assert!(code == Some(0) && text.contains("20GiB") && text.contains("12000B"), "{text}{told}");

    // One of them is not enough, however often.
    let shorten = ["audit", "retention", "shorten"];
    let (code, _, told) = said(&world, &shorten);
    assert!(code != Some(0) && told.contains("--reason"), "{told}");
    let asking = [&["--output", "json"][..], &shorten, &["--reason", "the disk is full"]].concat();
    let (code, text, told) = said(&world, &asking);
    assert_eq!(code, Some(0), "{told}");
    let asked: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&asked["shortened"], &asked["retention"]["file"]["output_bytes"]),
        (&json!(false), &json!(12_000))
    );
    let (code, _, told) = said(&world, &asking);
    assert!(code != Some(0), "the same person: {told}");
    let (_, text, told) = said(&world, &shorten);
    assert!(told.contains("two people"), "{text}{told}");
    for job in [&old, &new] {
        let (_, text, told) = said(&world, &["output", job]);
        assert!(text.ends_with("\n2000\n"), "{told}");
    }

    // The second one is.
    let waits = ann.retention().await.unwrap();
    assert_eq!((waits.in_force.output_bytes, waits.file.output_bytes), (20 << 30, 12_000));
    assert_eq!(waits.asked.unwrap().reason.as_str(), "the disk is full");
    let unseen = ann.shorten_retention(Some(&"likewise".parse().unwrap()), None).await.unwrap_err();
    assert_eq!(unseen.code, ErrorCode::Conflict, "who asks does not consent: {unseen}");
    let (standing, shortened) = ann.shorten_retention(None, Some(&waits.file.to_string())).await.unwrap();
    assert!(shortened && standing.in_force == standing.file);
    let removed = async || said(&world, &["output", &old]).2.contains("removed on");
    eventually("the oldest output is removed", removed)
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    let (_, text, told) = said(&world, &["output", &new]);
    assert!(text.ends_with("\n2000\n"), "there is room for it: {told}");
    let audit = world.audit().await.unwrap();
    let of_kind = |kind: &str| audit.iter().position(|record| record["kind"] == kind).unwrap();
    let agreed = &audit[of_kind("retention_shortened")];
    assert_eq!(agreed["consented_by"], "user:ann");
    assert_ne!(agreed["by"], agreed["consented_by"]);
    assert_eq!(
        (&agreed["before"][1], &agreed["limits"][1]),
        (&json!("outputs.bytes=20GiB"), &json!("outputs.bytes=12000B"))
    );
    assert!(of_kind("outputs_removed") > of_kind("retention_shortened"), "and nothing before");
}
