//! An agent is revoked on a real system: its stream closes, its certificate is of no use any more to anybody, also after a
//! restart, and joining anew brings it back with what it had.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use lictor_certs::{
    client::{LiveClientTls, connect},
    files::IdentityFiles,
};
use lictor_client::{
    connect::{Client, ClientConfig},
    operator::{AgentState, AgentView},
    run::JobUpdate,
    views::{InvocationView, Phase},
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::JobSpec,
    outcome::Outcome,
    output::StreamName,
    revocation::REVOKED,
};
use lictor_proto::pb::{self, agent_link_client::AgentLinkClient};
use lictor_tests::{
    World, binaries,
    process::{PATIENCE, eventually},
    record::{effect, effect_until},
    world::{expect, spec},
};
use serde_json::Value;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, transport::Endpoint};
use tower::service_fn;

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

/// A call that whoever has this copy of the agent's key holds open, and how it ends; it was let in, because what it carries is
/// shown.
async fn held_open(
    world: &World,
    stolen: &Path,
    job: JobId,
    invocation: String,
) -> (mpsc::Sender<pb::OutputChunk>, JoinHandle<Result<(), Status>>) {
    let tls = Arc::new(LiveClientTls::load(IdentityFiles::in_dir(stolen, "agent")).unwrap());
    let address = world.address().to_owned();
    let connector = service_fn(move |_| {
        let (address, tls) = (address.clone(), Arc::clone(&tls));
        async move { connect(&address, &tls).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://controller.invalid");
    let mut client = AgentLinkClient::new(endpoint.connect_with_connector(connector).await.unwrap());
    let (sender, chunks) = mpsc::channel(1);
    let call = tokio::spawn(async move { client.send_live(ReceiverStream::new(chunks)).await.map(drop) });
    let mut watched = world.client().unwrap().watch_live(job).await.unwrap();
    let chunk = pb::OutputChunk {
        invocation_id: invocation,
        stream: pb::StreamName::Stderr.into(),
        offset: 0,
        data: Bytes::from_static(b"held open"),
    };
    sender.send(chunk).await.unwrap();
    let is_shown = async {
        loop {
            match watched.next().await.unwrap() {
                Some(JobUpdate::Live(piece)) if piece.stream == StreamName::Stderr => break,
                Some(_) => {}
                None => panic!("the job has ended"),
            }
        }
    };
    timeout(PATIENCE, is_shown).await.unwrap_or_else(|_| panic!("it was not let in\n{}", world.logs()));
    (sender, call)
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

    let (_sender, held) = held_open(&world, &stolen, job, id.clone()).await;
    assert!(!held.is_finished());
    let done = revoke(&world);
    let broken = timeout(PATIENCE, held).await.expect("a call that was let in before is cut").unwrap();
    assert!(broken.is_err(), "it was not answered");
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
