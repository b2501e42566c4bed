//! Reports for auditors, on a real system and from a file alone.

use std::fs;

use lictor_tests::{World, world::expect};
use serde_json::Value;

use super::key_of;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_what_is_in_a_log_that_verifies_and_there_is_none_of_another() {
    let world = World::start(&["web-1"]).await.unwrap();
    for n in 0..3 {
        let _ = world.run("web-1", &["echo", &n.to_string()]).await.unwrap();
    }
    let _ = world.lictor(&["run", "web-1", "--", "rm", "-rf", "/srv"]).unwrap();
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
    let json = |arguments: &[&str]| -> Value {
        let out = world.lictor(&[&["--output", "json", "audit", "report"], arguments].concat()).unwrap();
        expect(&out).unwrap();
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let control = |report: &Value, id: &str| {
        report["controls"].as_array().unwrap().iter().find(|control| control["id"] == id).unwrap().clone()
    };

    // From the controller: verified on the way, and anchored to what was verified before.
    let live = json(&["--framework", "pci-dss"]);
    assert!(live["basis"]["verified"] == true && live["basis"]["anchored_at"].as_u64() > Some(0), "{live}");
    assert!(live["what_it_is"].as_str().unwrap().contains("not a certification"));
    let access = control(&live, "10.2.1.1, 10.2.1.2");
    assert_eq!(access["evidence"][0]["records"], 3);
    let denied = &control(&live, "10.2.1.4")["evidence"][0];
    assert_eq!((denied["records"].as_u64(), denied["first"] == denied["last"]), (Some(1), true));
    // The query of the report finds the record, and the record has the leaf hash of the report.
    let query: Vec<&str> = denied["query"].as_str().unwrap().split(' ').collect();
    let found = world.lictor(&[&["--output", "json", "audit", "search"], query.as_slice()].concat()).unwrap();
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["index"], denied["first"]);
    let cited = live["records"].as_array().unwrap().iter().find(|r| r["index"] == denied["first"]).unwrap();
    let shown = world.lictor(&["audit", "show", &denied["first"].to_string()]).unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains(cited["leaf"].as_str().unwrap()));

    // From a file, without the controller; a period of it; a selection says that it is one.
    let path = |name: &str| world.file(name).display().to_string();
    let key = key_of(&world).to_string();
    expect(&world.lictor(&["audit", "export", "--out", &path("whole")]).unwrap()).unwrap();
    let whole = json(&["--framework", "soc2", "--bundle", &path("whole"), "--key", &key]);
    assert_eq!(control(&whole, "CC6.1")["evidence"][0]["records"], 3);
    assert!(whole["basis"]["part"].is_null() && whole["basis"]["anchored_at"].is_null());
    let early = json(&["--framework", "soc2", "--bundle", &path("whole"), "--key", &key, "--to", "2"]);
    assert_eq!(early["period"]["records"], 2);
    expect(
        &world
            .lictor(&["audit", "export", "--out", &path("some"), "--filter", "kind:job_submitted"])
            .unwrap(),
    )
    .unwrap();
    let some = json(&["--framework", "hipaa", "--bundle", &path("some"), "--key", &key]);
    assert!(some["basis"]["part"].as_str().unwrap().contains("only a selection"), "{some}");

    // In a file of its own, which is not written over.
    let html = ["audit", "report", "--framework", "hipaa", "--format", "html", "--out", &path("report.html")];
    expect(&world.lictor(&html).unwrap()).unwrap();
    assert!(fs::read_to_string(world.file("report.html")).unwrap().starts_with("<!doctype html>"));
    assert_eq!(world.lictor(&html).unwrap().status.code(), Some(2));

    // Of a log that was changed there is no report.
    let text = fs::read_to_string(world.file("whole")).unwrap();
    fs::write(world.file("changed"), text.replacen("rm -rf", "ls -al", 1)).unwrap();
    let refused = world
        .lictor(&["audit", "report", "--framework", "soc2", "--bundle", &path("changed"), "--key", &key])
        .unwrap();
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(8), true));
}
