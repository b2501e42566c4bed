//! Payloads erased and held on a real system: two people, a hold that stands in the way, and a log that verifies all along.

use std::{fs, path::Path, process::Output};

use lictor_client::operator::Operator;
use lictor_core::error::ErrorCode;
use lictor_tests::{World, world::expect};
use serde_json::Value;

use super::{ask_python, key_of};

/// A world with a second operator, `ann`.
async fn world() -> World {
    let world = World::prepare(&["web-1"]).unwrap();
    world.issue_operator("ann").unwrap();
    world.set_up().await.unwrap()
}

fn json(world: &World, arguments: &[&str]) -> Value {
    let output = world.lictor(&[&["--output", "json"], arguments].concat()).unwrap();
    expect(&output).unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether these bytes stand in any file of the directory.
fn is_anywhere(dir: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_anywhere(&path, bytes);
        }
        // What is removed meanwhile has nothing.
        fs::read(path).unwrap_or_default().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_people_erase_is_gone_unless_it_is_held_and_the_log_verifies_all_along() {
    const SECRET: &str = "/srv/the-name-of-a-patient";
    let world = world().await;
    let ann = Operator::new(world.client_as("ann").unwrap());
    let state = world.home().join("state/controller");
    let denied = world.lictor(&["run", "web-1", "--", "rm", "-rf", SECRET]).unwrap();
    assert_eq!(denied.status.code(), Some(3));
    assert!(is_anywhere(&state, SECRET.as_bytes()));
    let me = json_lines(&world, &["audit", "search", "--kind", "request_denied"]);
    let me = me[0]["principal"].as_str().unwrap().to_owned();

    // A hold stands in the way, and says so; lifting it takes two.
    let hold = json(&world, &["audit", "hold", "set", "--subject", &me, "--reason", "case 12"]);
    let hold = hold["id"].as_str().unwrap().to_owned();
    let erase = ["audit", "erase", "--subject", &me, "--reason", "request 4711"];
    let refused = world.lictor(&erase).unwrap();
    assert!(!refused.status.success());
    assert!(told(&refused).contains(&hold) && told(&refused).contains("case 12"), "{}", told(&refused));
    assert!(!world.lictor(&["audit", "hold", "lift", &hold]).unwrap().status.success(), "no reason");
    let asked = json(&world, &["audit", "hold", "lift", &hold, "--reason", "it is over"]);
    assert_eq!(asked["lifted"], false);
    assert!(!world.lictor(&["audit", "hold", "lift", &hold]).unwrap().status.success(), "the same person");
    assert!(!world.lictor(&erase).unwrap().status.success(), "it holds still");
    let (_, lifted) = ann.lift_hold(hold.parse().unwrap(), None).await.unwrap();
    assert!(lifted);
    assert!(ann.holds().await.unwrap().is_empty());

    // One asks, another consents.
    let asked = json(&world, &erase);
    assert_eq!(asked["erased"], false);
    let id = asked["erasure"]["id"].as_str().unwrap().to_owned();
    let own = world.lictor(&["audit", "erase", "--consent", &id]).unwrap();
    assert!(!own.status.success() && told(&own).contains("two people"), "{}", told(&own));
    assert!(is_anywhere(&state, SECRET.as_bytes()));
    assert_eq!(ann.erasures().await.unwrap().len(), 1);
    let (erasure, records) = ann.consent_erasure(id.parse().unwrap()).await.unwrap();
    assert_eq!(erasure.scope.to_string(), me);
    assert!(records > 0);
    assert!(!is_anywhere(&state, SECRET.as_bytes()), "the bytes are in no file of the controller");
    let again = ann.consent_erasure(id.parse().unwrap()).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::NotFound, "an erasure is done once");

    // What happened is still told, and verifies, here and elsewhere.
    let found = json_lines(&world, &["audit", "search", "--kind", "request_denied"]);
    assert_eq!((found.len(), found[0]["command"].as_str()), (1, Some("(erased)")));
    assert_eq!((found[0]["principal"].as_str(), found[0]["target"][0].as_str()), (Some(&*me), Some("web-1")));
    let verified = json(&world, &["audit", "verify"]);
    assert_eq!(verified["payloads"]["erased"].as_u64(), Some(records));
    let file = world.file("bundle");
    let name = file.display().to_string();
    expect(&world.lictor(&["audit", "export", "--out", &name]).unwrap()).unwrap();
    let key = key_of(&world);
    let offline = world.lictor(&["audit", "verify", &name, "--key", &key.to_string()]).unwrap();
    expect(&offline).unwrap();
    let (code, theirs) = ask_python(&file, &key);
    assert_eq!(code, Some(0), "{theirs}");
    assert!(theirs.contains(&format!(" {records} erased")), "{theirs}");
    let kinds = json_lines(&world, &["audit", "search", "kind:payloads_erased|hold_lifted"]);
    assert!(
        kinds.iter().all(|record| record["by"] == *me && record["consented_by"] == "user:ann"),
        "{kinds:?}"
    );
    assert_eq!(kinds.len(), 2);

    // A refused one erases nothing; and a bundle can leave payloads out.
    let asked = json(&world, &["audit", "erase", "--before", "1s", "--reason", "old"]);
    let id = asked["erasure"]["id"].as_str().unwrap();
    ann.reject_erasure(id.parse().unwrap()).await.unwrap();
    assert!(ann.erasures().await.unwrap().is_empty());
    let bare = world.file("bare");
    let name = bare.display().to_string();
    expect(&world.lictor(&["audit", "export", "--without-payloads", "--out", &name]).unwrap()).unwrap();
    assert_eq!(ask_python(&bare, &key).0, Some(0));
    assert!(!fs::read_to_string(&bare).unwrap().contains("request 4711"));
    let selected = ["audit", "export", "--without-payloads", "--filter", "command:rm", "--out", "x"];
    assert_eq!(world.lictor(&selected).unwrap().status.code(), Some(2));
}

fn json_lines(world: &World, arguments: &[&str]) -> Vec<Value> {
    let output = world.lictor(&[&["--output", "json"], arguments].concat()).unwrap();
    expect(&output).unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
