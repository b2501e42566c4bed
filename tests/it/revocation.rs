//! An agent is revoked on a real system: its stream closes, its certificate is of no use any more to anybody, also after a
//! restart, and joining anew brings it back with what it had.

use std::{fs, path::Path, process::Command, time::Duration};

use lictor_client::{
    connect::{Client, ClientConfig},
    operator::{AgentState, AgentView},
    views::{InvocationView, Phase},
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::JobSpec,
    outcome::Outcome,
    revocation::REVOKED,
};
use lictor_tests::{
    World, binaries,
    process::{PATIENCE, eventually},
    record::{effect, effect_until},
    world::{expect, spec},
};
use serde_json::Value;

const REASON: &str = "its machine was stolen";
/// How long what is not about expiry waits, and how long commands may run: longer than any machine takes for this test.
const LONG: Duration = Duration::from_secs(600);

async fn agent(world: &World) -> AgentView {
    world.operator().unwrap().agents().await.unwrap().remove(0)
}

async fn look(world: &World, job: JobId) -> InvocationView {
    world.client().unwrap().get_job(job, 0, None).await.unwrap().invocations.remove(0)
}

async fn submit(world: &World, argv: &[String], queue_wait: Duration) -> JobId {
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let spec =
        JobSpec { queue_wait: Some(queue_wait), timeout: Some(LONG), ..spec(&["web-1"], &argv).unwrap() };
    world.client().unwrap().submit(&spec).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs())).job.id
}

fn revoke(world: &World) -> Value {
    let arguments = ["agent", "revoke", "--site", "local", "--name", "local", "--reason", REASON];
    let output = world.lictor(&[&["--output", "json"], &arguments[..]].concat()).unwrap();
    expect(&output).unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn join_token(world: &World) -> String {
    let arguments = ["--output", "json", "agent", "token", "--site", "local", "--name", "local"];
    let output = world.lictor(&arguments).unwrap();
    expect(&output).unwrap();
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// What whoever has this copy of the agent's key is answered, over a connection of their own.
async fn answer_to(world: &World, stolen: &Path) -> Failure {
    let config = ClientConfig::in_dir(world.address().to_owned(), stolen, "agent");
    Client::connect(config).unwrap().sites().await.unwrap_err()
}

fn is_revoked(failure: &Failure) -> bool {
    failure.code == ErrorCode::Unauthenticated && failure.detail(REVOKED).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_8_a_revoked_agent_is_refused_at_once_and_after_a_restart_until_it_joins_anew() {
    let world = World::prepare(&["web-1"]).unwrap();
    world.allow_ten_minutes().unwrap();
    let mut world = world.set_up().await.unwrap();
    let stolen = world.file("stolen");
    fs::create_dir(&stolen).unwrap();
    for file in ["agent.pem", "agent.key", "root.pem"] {
        fs::copy(world.home().join("identity/agent").join(file), stolen.join(file)).unwrap();
    }
    assert_eq!(answer_to(&world, &stolen).await.code, ErrorCode::Forbidden, "it is an agent's, and good");
    let old_token = join_token(&world);
    let go = world.file("go");
    let job = submit(&world, &effect_until(&go), LONG).await;
    let id = look(&world, job).await.id.to_string();
    let runs = async || world.seen_of(&id).begun == 1 && look(&world, job).await.phase == Phase::Running;
    eventually("it runs", runs).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));

    let done = revoke(&world);
    assert_eq!((&done["already_revoked"], &done["revocation"]["reason"]), (&false.into(), &REASON.into()));
    let view = agent(&world).await;
    assert_eq!((view.state, view.address), (AgentState::Revoked, None));
    let revocation = view.revocation.unwrap();
    assert_eq!((revocation.reason.as_str(), revocation.by.to_string().as_str()), (REASON, "user:operator"));
    assert!(is_revoked(&answer_to(&world, &stolen).await));
    let log = || world.agent.as_ref().unwrap().log();
    eventually("the agent hears of it", async || log().contains("this agent is revoked"))
        .await
        .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    for part in [REASON, "lictor agent token --site local --name local"] {
        assert!(log().contains(part), "{part}\n{}", log());
    }
    assert_eq!(revoke(&world)["already_revoked"], Value::Bool(true));

    let waits = submit(&world, &effect(":"), LONG).await;
    let expires = submit(&world, &effect(":"), Duration::from_secs(1)).await;
    let expired = world.settle(&[expires], PATIENCE).await.unwrap();
    assert_eq!(expired.into_iter().collect::<Vec<_>>(), [(Outcome::Expired.to_string(), 1)]);
    assert_eq!(
        (look(&world, waits).await.phase, look(&world, job).await.phase),
        (Phase::Queued, Phase::Running)
    );
    let doctor = world.lictor(&["doctor"]).unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("REVOKED") && doctor.contains(REASON), "{doctor}");

    world.controller.as_mut().unwrap().kill();
    world.start_controller().await.unwrap();
    assert_eq!(agent(&world).await.state, AgentState::Revoked);
    assert!(is_revoked(&answer_to(&world, &stolen).await));
    let config = world.home().join("agent.yml").display().to_string();
    let mut join = Command::new(binaries::path("lictor-agent").unwrap());
    let refused = join.args(["join", "--config", &config, "--token", &old_token]).output().unwrap();
    assert!(!refused.status.success(), "the token was made before");

    // The agent still runs, and so does its command.
    world.join().unwrap();
    world.agent_connected().await.unwrap();
    assert!(is_revoked(&answer_to(&world, &stolen).await), "the old certificate stays refused");
    fs::write(&go, "").unwrap();
    let ended = world.settle(&[job, waits], PATIENCE).await.unwrap();
    assert_eq!(
        ended.into_iter().collect::<Vec<_>>(),
        [(Outcome::Succeeded.to_string(), 2)],
        "{}",
        world.logs()
    );
    assert_eq!(agent(&world).await.revocation, None);

    // Refusals are counted, and recorded a moment later.
    let mut audit = Vec::new();
    let of = |audit: &[Value], kind: &str, code: &str| {
        audit.iter().filter(|r| r["kind"] == kind && (code.is_empty() || r["code"] == code)).count()
    };
    let refusals_are_recorded = async || {
        audit = world.audit().await.unwrap();
        of(&audit, "call_refused", "UNAUTHENTICATED") > 0
            && of(&audit, "enrolment_refused", "TOKEN_REVOKED") == 1
    };
    eventually("refusals are recorded", refusals_are_recorded).await.unwrap();
    assert_eq!((of(&audit, "agent_revoked", ""), of(&audit, "agent_enrolled", "")), (1, 2));
    let revoked = audit.iter().find(|r| r["kind"] == "agent_revoked").unwrap();
    for (field, value) in [("site", "local"), ("agent", "local"), ("by", "user:operator"), ("reason", REASON)]
    {
        assert_eq!(revoked[field], value, "{revoked}");
    }
    let enrolled: Vec<_> = audit.iter().filter(|r| r["kind"] == "agent_enrolled").collect();
    assert_eq!(revoked["serial"], enrolled[0]["serial"]);
    assert_ne!(revoked["serial"], enrolled[1]["serial"]);
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
}
