//! What jobs leave is kept as long as said, in a running system: people, scripts and models are told what is gone, and what is
//! shared stays.

use std::{collections::BTreeSet, fs, path::Path};

use lictor_tests::{World, process::eventually};
use serde_json::{Value, json};

/// Prints more than a record holds: 8,893 bytes.
const PRINTS: &str = "seq 2000";
/// Room for one of it, and not for two.
const LIMIT: &str = "retention: {outputs: {bytes: 12000B}}";

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
    let mut world = World::start(&["web-1"]).await.unwrap();
    // A model sees its own jobs only; an operator sees all.
    let asked = json!({"alias": "web-1", "argv": ["sh", "-c", PRINTS]});
    let answer = world.mcp().await.unwrap().call("ssh_run", asked).await.unwrap();
    let old = answer["structuredContent"]["job_id"].as_str().unwrap().to_owned();
    let new = run(&world);
    let outputs = world.home().join("state/controller/output");
    assert_eq!(files(&outputs).len(), 1, "both printed the same");
    let (_, text, _) = said(&world, &["output", &old]);
    assert!(text.ends_with("\n2000\n"), "{text}");

    // Less is kept from now on; and a crash has left something behind.
    world.controller.as_mut().unwrap().kill();
    let config = world.home().join("controller.yml");
    fs::write(&config, format!("{}\n{LIMIT}\n", fs::read_to_string(&config).unwrap())).unwrap();
    let orphan = "0".repeat(64);
    fs::create_dir_all(outputs.join("00")).unwrap();
    fs::write(outputs.join("00").join(&orphan), "nobody's").unwrap();
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
