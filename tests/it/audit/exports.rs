//! What the program writes, finds and counts, on a real system; and that others can verify it.

use std::fs;

use lictor_tests::{World, world::expect};
use serde_json::Value;

use super::{ask_python, key_of};

fn lines(output: &std::process::Output) -> Vec<Value> {
    expect(output).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_verifies_elsewhere_and_what_is_searched_is_found_and_recorded() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    for n in 0..5 {
        let _ = world.run("web-1", &["echo", &n.to_string()]).await.unwrap();
    }
    let _ = world.run("web-2", &["false"]).await.unwrap();
    let denied = world.lictor(&["run", "web-1", "--", "rm", "-rf", "/srv"]).unwrap();
    assert_eq!(denied.status.code(), Some(3));
    let key = key_of(&world);
    let path = |name: &str| world.file(name).display().to_string();

    // The whole, a range and a selection; by our verifier and by one that shares no code with it.
    for (name, arguments) in [
        ("whole", vec![]),
        ("range", vec!["--from", "3", "--to", "9"]),
        ("recent", vec!["--from", "1h"]),
        ("selection", vec!["--filter", "kind:request_denied|invocation_ended"]),
    ] {
        let file = path(name);
        let export = [&["audit", "export", "--out", &file], arguments.as_slice()].concat();
        expect(&world.lictor(&export).unwrap()).unwrap();
        let key_text = key.to_string();
        let ours = world.lictor(&["--output", "json", "audit", "verify", &file, "--key", &key_text]).unwrap();
        expect(&ours).unwrap();
        let (code, theirs) = ask_python(&world.file(name), &key);
        assert_eq!(code, Some(0), "{name}: {theirs}");
        let ours: Value = serde_json::from_slice(&ours.stdout).unwrap();
        assert_eq!(ours["part"].is_null(), name == "whole" || name == "recent", "{ours}");
    }
    // What is there is not overwritten.
    assert_eq!(world.lictor(&["audit", "export", "--out", &path("whole")]).unwrap().status.code(), Some(2));
    // A changed record is found, and named.
    let text = fs::read_to_string(world.file("whole")).unwrap();
    let wrong = text.lines().position(|line| line.contains("rm -rf")).unwrap();
    fs::write(world.file("changed"), text.replacen("rm -rf", "ls -al", 1)).unwrap();
    let said = world.lictor(&["audit", "verify", &path("changed"), "--key", &key.to_string()]).unwrap();
    assert_eq!(said.status.code(), Some(8));
    let place = format!("line {}, record", wrong + 1);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        told.contains("the line was changed") && told.contains(&format!("line {}", wrong + 1)),
        "{place}: {told}"
    );

    // Searches.
    let search = |arguments: &[&str]| {
        lines(&world.lictor(&[&["--output", "json", "audit", "search"], arguments].concat()).unwrap())
    };
    let found = search(&["--command", "rm -rf"]);
    assert_eq!((found.len(), found[0]["kind"].as_str()), (1, Some("request_denied")));
    let ended = search(&["--host", "web-*", "--kind", "invocation_ended", "-n", "4"]);
    assert_eq!(ended.len(), 4);
    assert!(ended.windows(2).all(|pair| pair[0]["index"].as_u64() > pair[1]["index"].as_u64()));
    assert_eq!(search(&["--outcome", "FAILED"]).len(), 1);
    assert!(search(&["--from", "1h", "--to", "30m"]).is_empty());
    let job = found_job(&search(&["kind:job_submitted command:false"]));
    let shown = lines(&world.lictor(&["--output", "json", "audit", "show", &job]).unwrap());
    let kinds: Vec<&str> = shown.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"job_submitted"), Some(&"invocation_ended")));
    assert_eq!(world.lictor(&["audit", "search", "colour:red"]).unwrap().status.code(), Some(2));
    for (typo, meant) in [(["--outcome", "FAILD"], "FAILED"), (["--kind", "request_deny"], "request_denied")]
    {
        let refused = world.lictor(&[&["audit", "search"], typo.as_slice()].concat()).unwrap();
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("did you mean {meant}?")), "{told}");
    }
    assert_eq!(
        world.lictor(&["audit", "search", "--from", "30m", "--to", "1h"]).unwrap().status.code(),
        Some(2)
    );
    let swapped = path("swapped");
    let refused = world.lictor(&["audit", "export", "--out", &swapped, "--from", "5", "--to", "3"]).unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && told.contains("--to 3 is before --from 5"), "{told}");
    assert!(!fs::exists(&swapped).unwrap());
    let reads = search(&["--kind", "audit_read", "--all"]);
    assert!(reads.iter().any(|read| read["query"] == "command:\"rm -rf\""), "{reads:?}");

    // Counts and lines for others, from the controller and from a bundle.
    let stats = world.lictor(&["--output", "json", "audit", "stats", "--bundle", &path("whole")]).unwrap();
    expect(&stats).unwrap();
    let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(
        (stats["outcomes"]["SUCCEEDED"].as_u64(), stats["outcomes"]["FAILED"].as_u64()),
        (Some(5), Some(1))
    );
    let ocsf =
        lines(&world.lictor(&["audit", "export", "--format", "ocsf", "--bundle", &path("whole")]).unwrap());
    let ran: Vec<_> = ocsf.iter().filter(|event| event["class_uid"] == 1007).collect();
    assert_eq!(ran.len(), 6);
    assert!(ran.iter().any(|event| event["process"]["cmd_line"] == "echo 4"), "{ran:?}");
    let syslog =
        world.lictor(&["audit", "export", "--format", "syslog", "--filter", "kind:request_denied"]).unwrap();
    expect(&syslog).unwrap();
    let syslog = String::from_utf8(syslog.stdout).unwrap();
    assert!(syslog.starts_with("<109>1 ") && syslog.lines().count() == 1, "{syslog}");
}

fn found_job(found: &[Value]) -> String {
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]["job"].as_str().unwrap().to_owned()
}
