//! Who came, who was turned away, and what changed with a start: recorded on a real system, and so is what ends it.

use std::{collections::BTreeSet, fs, process::Command};

use lictor_client::operator::Operator;
use lictor_core::error::ErrorCode;
use lictor_tests::{
    World, binaries,
    process::{Process, eventually},
    world::expect,
};
use serde_json::{Value, json};

use super::{ask_python, key_of};

/// The sync of the journal that fails, counted from the start of the controller: behind what it records when it starts.
const FAILS: u32 = 6;

/// Whose certificate a world's operator has.
const ME: &str = "user:operator";

async fn of_kind(world: &World, kind: &str) -> Vec<Value> {
    world.audit().await.unwrap().into_iter().filter(|record| record["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_recorded_once_an_hour_with_certificate_and_address() {
    let world = World::start(&["web-1"]).await.unwrap();
    for _ in 0..3 {
        expect(&world.lictor(&["agents"]).unwrap()).unwrap();
    }
    let logins = of_kind(&world, "logged_in").await;
    assert_eq!(logins.len(), 1, "{logins:?}");
    assert_eq!((&logins[0]["identity"], &logins[0]["address"]), (&json!(ME), &json!("127.0.0.1")));
    assert!(logins[0]["serial"].as_str().is_some_and(|serial| serial.len() > 8), "{logins:?}");
    world.client_as("bridge").unwrap().hosts(None).await.unwrap();
    let who: BTreeSet<String> =
        of_kind(&world, "logged_in").await.iter().map(|login| login["identity"].to_string()).collect();
    assert_eq!(who.len(), 2, "{who:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_join_is_recorded_with_its_token_and_what_is_wrong() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    let made =
        world.lictor(&["--output", "json", "agent", "token", "--site", "local", "--name", "local"]).unwrap();
    expect(&made).unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    let config = world.home().join("agent.yml").display().to_string();
    let join = |token: &str| {
        let agent = binaries::path("lictor-agent").unwrap();
        Command::new(agent).args(["join", "--config", &config, "--token", token]).output().unwrap()
    };
    expect(&join(&token)).unwrap();
    assert!(!join(&token).status.success(), "it is spent");
    eventually("the attempt is recorded", async || {
        let refused = of_kind(&world, "enrolment_refused").await;
        refused
            .iter()
            .any(|r| r["code"] == "TOKEN_SPENT" && r["agent"] == "local" && r["address"] == "127.0.0.1")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_records_its_settings_and_names_those_that_are_not_as_before() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let file = world.home().join("controller.yml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\nretention: {{outputs: {{age: 40d}}}}\n")).unwrap();
    world.controller.as_mut().unwrap().kill();
    world.start_controller().await.unwrap();
    world.controller.as_mut().unwrap().kill();
    world.start_controller().await.unwrap();
    let loaded = of_kind(&world, "configuration_loaded").await;
    let changed: Vec<&Value> = loaded.iter().map(|record| &record["changed"]).collect();
    assert_eq!(changed, [&Value::Null, &json!(["retention.outputs.age"]), &json!([])]);
    let settings = loaded[1]["settings"].as_array().unwrap();
    assert!(settings.contains(&json!("retention.outputs.age=40d")), "{settings:?}");
    assert_ne!(loaded[0]["configuration_digest"], loaded[1]["configuration_digest"]);
    assert_eq!(loaded[1]["configuration_digest"], loaded[2]["configuration_digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_somebody_may_not_make_is_recorded_with_who_they_are() {
    let world = World::start(&["web-1"]).await.unwrap();
    let operator = world.operator().unwrap();
    let erase = ["--output", "json", "audit", "erase", "--before", "30d", "--reason", "it is old"];
    let asked = world.lictor(&erase).unwrap();
    expect(&asked).unwrap();
    let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let id = asked["erasure"]["id"].as_str().unwrap().parse().unwrap();
    let own = operator.consent_erasure(id).await.unwrap_err();
    assert_eq!(own.code, ErrorCode::Forbidden);
    // A service that asks for what is an operator's.
    let bridge = Operator::new(world.client_as("bridge").unwrap());
    assert_eq!(bridge.agents().await.unwrap_err().code, ErrorCode::Forbidden);
    eventually("both are recorded", async || {
        let refused = of_kind(&world, "call_refused").await;
        let has = |who: &str, method: &str| {
            refused.iter().any(|r| {
                r["identity"] == who
                    && r["code"] == "FORBIDDEN"
                    && r["count"] == 1
                    && r["method"].as_str().is_some_and(|m| m.ends_with(method))
            })
        };
        has(ME, "ErasureService/Consent") && has("service:mcp", "FleetService/ListAgents")
    })
    .await
    .unwrap();
    // What policy denies is recorded where it is decided, and not as a call as well.
    assert_eq!(world.lictor(&["run", "web-1", "--", "rm", "x"]).unwrap().status.code(), Some(3));
    let mut world = world;
    let stop = Command::new("kill").arg(world.controller.as_ref().unwrap().id().to_string()).status();
    assert!(stop.unwrap().success());
    world.controller.as_mut().unwrap().ended().await.unwrap();
    world.start_controller().await.unwrap();
    assert_eq!(of_kind(&world, "request_denied").await.len(), 1);
    let refused = of_kind(&world, "call_refused").await;
    assert!(!refused.iter().any(|r| r["method"].as_str().unwrap().contains("JobService")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_calls_that_wait_are_recorded_when_the_controller_stops() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    let bridge = Operator::new(world.client_as("bridge").unwrap());
    let mut refused = 0;
    for _ in 0..20 {
        assert_eq!(bridge.agents().await.unwrap_err().code, ErrorCode::Forbidden);
        refused += 1;
    }
    let stop = Command::new("kill").arg(world.controller.as_ref().unwrap().id().to_string()).status();
    assert!(stop.unwrap().success());
    world.controller.as_mut().unwrap().ended().await.unwrap();
    world.start_controller().await.unwrap();
    let counts = of_kind(&world, "call_refused").await;
    assert_eq!(counts.iter().map(|r| r["count"].as_u64().unwrap()).sum::<u64>(), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_whose_store_cannot_write_ends_as_failed_and_its_log_verifies_after_a_restart() {
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.scan().unwrap();
    let config = world.home().join("controller.yml").display().to_string();
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync"])
        .args(["-e", &format!("inject=fdatasync:error=EIO:when={FAILS}")])
        .arg(binaries::path("lictor-controller").unwrap())
        .args(["--config", &config]);
    world.controller = Some(Process::spawn(&mut traced, &world.file("controller.log")).unwrap());
    world.controller_answers().await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    let operator = world.operator().unwrap();
    let mut made = 0;
    for n in 0..FAILS {
        let name = format!("a-{n}").parse().unwrap();
        match operator.create_join_token(&"local".parse().unwrap(), &name).await {
            Ok(_) => made += 1,
            Err(error) => {
                let codes = [ErrorCode::AuditUnavailable, ErrorCode::Unavailable];
                assert!(codes.contains(&error.code), "{error}");
                break;
            }
        }
    }
    assert!(made < FAILS, "no sync failed");
    let code = world.controller.as_mut().unwrap().ended().await.unwrap();
    let log = world.controller.as_ref().unwrap().log();
    assert_eq!(code, Some(70), "{log}");
    assert!(log.contains("the store cannot write any more, so the controller ends"), "{log}");

    world.start_controller().await.unwrap();
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
    let issued = of_kind(&world, "join_token_issued").await.len();
    assert!((made..=made + 1).contains(&u32::try_from(issued).unwrap()), "{issued} of {made}");
    let out = world.file("log.lictor");
    expect(&world.lictor(&["audit", "export", "--out", &out.display().to_string()]).unwrap()).unwrap();
    let (code, said) = ask_python(&out, &key_of(&world));
    assert_eq!(code, Some(0), "{said}");
}
