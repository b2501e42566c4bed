//! What `docs/mcp.md` shows of each tool is what the tool answers; and what a client may subscribe to, it is told.
//!
//! A fenced block `json TOOL` has `arguments` and `answer`. `$JOB` stands for the job of the block before, `$DIR` for a
//! directory of the hosts; identifiers, times, digests of requests and versions are not compared. `LICTOR_UPDATE_DOCS=1` writes the answers into the page.

use std::{collections::BTreeSet, fs};

use lictor_tests::World;
use serde_json::{Value, json};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mcp.md");
/// The fence of an example.
const FENCE: &str = "```json ssh_";

/// The answer without what differs each time. Remembers the job that it names.
fn steady(value: &mut Value, job: &mut Option<String>) {
    match value {
        Value::String(text) if text.starts_with("job_") => {
            *job = Some(std::mem::replace(text, "$JOB".to_owned()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| steady(item, job)),
        Value::Object(map) => {
            for (name, item) in map.iter_mut() {
                match name.as_str() {
                    "duration_ms" | "round_trip_us" => *item = json!(0),
                    "created_at" | "at" => *item = json!("2026-01-01T00:00:00.000000Z"),
                    "index" => *item = json!(0),
                    "next_page" => *item = json!("$PAGE"),
                    "request_digest" => *item = json!("$DIGEST"),
                    "bridge_version" => *item = json!("0.1.0"),
                    _ => steady(item, job),
                }
            }
        }
        _ => {}
    }
}

fn with_job(arguments: &Value, job: Option<&str>, dir: &str) -> Value {
    let text = arguments.to_string().replace("$JOB", job.unwrap_or("$JOB")).replace("$DIR", dir);
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_mcp_page_is_what_the_tool_answers() {
    let page = fs::read_to_string(PAGE).unwrap();
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let dir = world.allow_files().unwrap().display().to_string();
    let world = world.set_up().await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let tools = mcp.request("tools/list", json!({})).await.unwrap();
    let mut missing: BTreeSet<String> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().into()).collect();
    let (mut written, mut rest, mut job, mut wrong) = (String::new(), page.as_str(), None, Vec::new());
    while let Some(start) = rest.find(FENCE) {
        let (before, block) = rest.split_at(start);
        let (fence, body) = block.split_once('\n').unwrap();
        let (body, after) = body.split_once("```\n").unwrap();
        let tool = fence.strip_prefix("```json ").unwrap();
        let shown: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{tool}: {e}"));
        let result = mcp.call(tool, with_job(&shown["arguments"], job.as_deref(), &dir)).await.unwrap();
        let mut answer = result["structuredContent"].clone();
        steady(&mut answer, &mut job);
        missing.remove(tool);
        if answer != shown["answer"] {
            wrong.push(format!("{tool}\n--- the page\n{:#}\n--- here\n{answer:#}", shown["answer"]));
        }
        let inner = |value: &Value| format!("{value:#}").replace('\n', "\n  ");
        let (asked, answer) = (inner(&shown["arguments"]), inner(&answer));
        let example = format!("{{\n  \"arguments\": {asked},\n  \"answer\": {answer}\n}}");
        written += &format!("{before}{fence}\n{example}\n```\n");
        rest = after;
    }
    written += rest;
    assert!(missing.is_empty(), "no example of {missing:?}");
    if std::env::var_os("LICTOR_UPDATE_DOCS").is_some() {
        fs::write(PAGE, written).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_to_a_running_job_is_told_when_it_ends_and_nobody_of_a_job_that_is_not_there() {
    let world = World::start(&["web-1"]).await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let go = world.file("go");
    let wait = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let started =
        mcp.call("ssh_run_async", json!({"alias": "web-1", "argv": ["sh", "-c", wait]})).await.unwrap();
    let uri = format!("job://{}", started["structuredContent"]["task_id"].as_str().unwrap());
    mcp.request("resources/subscribe", json!({"uri": uri})).await.unwrap();
    for absent in ["job://job_00000000000000000000000000", "ssh://hosts", "file:///etc/passwd"] {
        assert!(mcp.request("resources/subscribe", json!({"uri": absent})).await.is_err(), "{absent}");
    }
    fs::write(&go, "").unwrap();
    // Asked until the end has been told: the answers come on the same pipe as the notes.
    let mut told = Vec::new();
    loop {
        let status =
            json!({"name": "ssh_get_task_status", "arguments": {"task_id": &uri[6..], "wait_seconds": 5}});
        let id = mcp.begin("tools/call", status).await.unwrap();
        let answer = mcp.finish(id, |note| told.push(note.clone())).await.unwrap();
        let is_told = told.iter().any(|note| {
            note["method"] == "notifications/resources/updated" && note["params"]["uri"] == uri.as_str()
        });
        if is_told && answer["structuredContent"]["status"] == "completed" {
            break;
        }
    }
    assert!(told.iter().all(|note| note["params"]["uri"].is_null() || note["params"]["uri"] == uri.as_str()));
    mcp.request("resources/unsubscribe", json!({"uri": uri})).await.unwrap();
}

/// What the schema that it names allows at the top, with the longest text of each.
const REGISTRY_KEYS: [(&str, usize); 6] = [
    ("$schema", 200),
    ("name", 200),
    ("title", 100),
    ("description", 100),
    ("version", 255),
    ("_meta", 4096),
];

#[test]
fn the_registry_metadata_is_what_its_schema_asks_for_and_names_nothing_that_cannot_be_had() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = fs::read_to_string(format!("{root}/mcp-bridge/server.json")).unwrap();
    let server: Value = serde_json::from_str(&text).unwrap();
    for (key, value) in server.as_object().unwrap() {
        let (_, longest) =
            REGISTRY_KEYS.iter().find(|(known, _)| known == key).unwrap_or_else(|| panic!("{key}"));
        let length = value.as_str().map_or_else(|| value.to_string().len(), str::len);
        assert!((1..=*longest).contains(&length), "{key}");
    }
    for required in ["$schema", "name", "description", "version"] {
        assert!(server[required].is_string(), "{required}");
    }
    let (space, name) = server["name"].as_str().unwrap().split_once('/').unwrap();
    let plain =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !text.is_empty();
    assert!(plain(space) && plain(name) && !space.contains('_'));
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
    // Packages are named when there are some; until then, how it is had is what works in this tree.
    let told = &server["_meta"]["io.modelcontextprotocol.registry/publisher-provided"];
    assert!(
        server["_meta"].as_object().unwrap().len() == 1 && told.is_object(),
        "publishers write there alone"
    );
    let path = told["install"].as_str().unwrap().rsplit(' ').next().unwrap();
    let manifest = fs::read_to_string(format!("{root}/{path}/Cargo.toml")).unwrap();
    let program = told["start"].as_str().unwrap().split(' ').next().unwrap();
    assert!(manifest.contains(&format!("name = \"{program}\"")), "{path} has no {program}");
}
