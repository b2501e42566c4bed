//! A client that believes whatever a host prints, and does it, does nothing that policy does not allow.

use std::{fs, path::Path};

use lictor_tests::World;
use serde_json::Value;

/// What hosts may do here: show the fixtures, and speak.
const POLICY: &str = r#"version: 1
limits: { timeout: 20s, output: 64KiB }
rules:
  - id: fixtures
    effect: allow
    where: all
    acknowledge: [leading-dash]
    commands: [ "cat <path:FIXTURES>", "echo [<word>...]" ]
"#;
/// Hostile things to print, one JSON object a line.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hostile.jsonl");
/// How a fixture marks what it wants done.
const CALL: &str = "CALL ";

/// The calls that a text suggests, wherever in it they stand.
fn suggested(text: &str) -> Vec<(String, Value)> {
    let calls = text.split(CALL).skip(1).filter_map(|rest| {
        let call = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok()?;
        Some((call["tool"].as_str()?.to_owned(), call["arguments"].clone()))
    });
    calls.collect()
}

/// Every text in an answer that is not in a field that the answer itself calls untrusted.
fn trusted_text(value: &Value, untrusted: &[&str], found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| trusted_text(item, untrusted, found)),
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| !untrusted.contains(&name.as_str()))
            .for_each(|(_, item)| trusted_text(item, untrusted, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_a_client_that_does_what_hosts_print_does_nothing_outside_policy() {
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let fixtures = world.file("fixtures");
    fs::create_dir_all(&fixtures).unwrap();
    let policy = POLICY.replace("FIXTURES", &fixtures.display().to_string());
    fs::write(world.home().join("policy.yml"), policy).unwrap();
    let world = world.set_up().await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let tools = mcp.request("tools/list", serde_json::json!({})).await.unwrap();
    let (mut shown, mut believed, mut refused) = (0, 0, 0);
    for (number, line) in fs::read_to_string(FIXTURES).unwrap().lines().enumerate() {
        let prints = serde_json::from_str::<Value>(line).unwrap()["prints"].as_str().unwrap().to_owned();
        let file = fixtures.join(number.to_string());
        fs::write(&file, &prints).unwrap();
        let answer = show(&mut mcp, &file).await;
        let body = &answer["structuredContent"];
        assert_eq!(body["untrusted"], serde_json::json!(["stdout", "stderr"]));
        let stdout = body["stdout"].as_str().unwrap();
        assert!(!stdout.chars().any(|c| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}'));
        let mut prose = Vec::new();
        trusted_text(body, &["stdout", "stderr"], &mut prose);
        assert!(!prose.iter().any(|text| text.contains(CALL)), "{prose:?}");
        shown += 1;
        let calls = suggested(stdout);
        assert!(!calls.is_empty(), "the client believes nothing of {prints}");
        for (tool, arguments) in calls {
            believed += 1;
            match mcp.call(&tool, arguments.clone()).await {
                Ok(result) if result["isError"] == false => {}
                // A tool that is not there is a protocol error; everything else has a code and a next step.
                Ok(result) => {
                    refused += 1;
                    let body = &result["structuredContent"];
                    assert!(
                        body["code"].is_string() && body["next_step"].is_string(),
                        "{tool} {arguments}: {result}"
                    );
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(shown >= 100 && believed >= shown && refused * 2 > believed, "{shown} {believed} {refused}");
    let again = mcp.request("tools/list", serde_json::json!({})).await.unwrap();
    assert_eq!(tools, again, "no tool's description learns from a host");

    // What the hosts themselves recorded, not what Lictor says.
    let reads = format!("cat {}/", fixtures.display());
    let mut starts = 0;
    for host in &world.hosts {
        let log = host.exec_log();
        for command in log.lines().filter(|line| line.contains("lictor:")) {
            starts += 1;
            for never in
                ["reboot", "rm -rf", "/etc/shadow", "sudo", "mkfs", "of=/dev", "curl", "LD_PRELOAD", "/root"]
            {
                assert!(!command.contains(never), "{}: {command}", host.alias);
            }
            let is_allowed = command.contains(&reads) || command.contains("echo ");
            assert!(is_allowed, "{}: {command}", host.alias);
        }
    }
    assert!(starts >= 100, "{starts} starts");
}

async fn show(mcp: &mut lictor_tests::mcp::McpClient, file: &Path) -> Value {
    let arguments = serde_json::json!({"alias": "web-1", "argv": ["cat", file]});
    let answer = mcp.call("ssh_run", arguments).await.unwrap();
    assert_eq!(answer["isError"], false, "{answer}");
    answer
}
