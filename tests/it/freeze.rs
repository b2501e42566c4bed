//! The emergency freeze against the whole system: while jobs are being submitted and wait, across kills, and lifted.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lictor_client::{connect::Client, views::InvocationView};
use lictor_core::{
    clock::Timestamp,
    error::ErrorCode,
    freeze::FROZEN,
    id::JobId,
    job::JobSpec,
    outcome::{Outcome, Ran},
};
use lictor_tests::{
    World,
    process::eventually,
    world::{expect, follow, spec},
};
use serde_json::{Value, json};

/// Jobs that are on their way when the freeze comes: far more than the agent has places.
const JOBS: usize = 50;
/// Places at the agent.
const PLACES: usize = 3;

fn freeze(world: &World, arguments: &[&str]) -> Value {
    let all = [&["--output", "json", "freeze"], arguments].concat();
    let output = world.lictor(&all).unwrap();
    expect(&output).unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Submits one job after another until it is told to stop, whatever becomes of them. Answers how many were refused; none may
/// be taken that was asked for after the freeze was acknowledged.
async fn submit_for_ever(
    client: Client,
    (stop, acknowledged): (Arc<AtomicBool>, Arc<AtomicBool>),
    jobs: Arc<Mutex<Vec<JobId>>>,
) -> usize {
    let job =
        JobSpec { queue_wait: Some(Duration::from_secs(60)), ..spec(&["web-1"], &["sleep", "0.1"]).unwrap() };
    let mut frozen = 0;
    while !stop.load(Ordering::SeqCst) {
        let too_late = acknowledged.load(Ordering::SeqCst);
        match client.submit(&job).await {
            Ok(submitted) => {
                assert!(!too_late, "{} was asked for after the freeze was acknowledged", submitted.job.id);
                jobs.lock().unwrap().push(submitted.job.id);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(failure) if failure.code == ErrorCode::Frozen => frozen += 1,
            // The controller is being killed.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        if frozen > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    frozen
}

fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(u64::try_from(micros).unwrap())
}

async fn ends(world: &World, jobs: &[JobId]) -> Vec<InvocationView> {
    let client = world.client().unwrap();
    let mut all = Vec::new();
    for id in jobs {
        let ended = async || client.get_job(*id, 0, None).await.is_ok_and(|page| page.job.state.ended());
        eventually("every job ends", ended).await.unwrap_or_else(|e| panic!("{e}: {id}\n{}", world.logs()));
        all.extend(client.get_job(*id, 0, None).await.unwrap().invocations);
    }
    all
}

/// Freezes the host; on a machine that stands still for a moment the agent may be late, then it is done again.
async fn confirmed_freeze(world: &World) -> (String, Timestamp) {
    for _ in 0..5 {
        let done = freeze(world, &["--host", "web-1", "--reason", "audit of the freeze"]);
        let (acknowledged, id) = (now(), done["freeze"]["id"].as_str().unwrap().to_owned());
        if done["unconfirmed_agents"] == json!([]) {
            return (id, acknowledged);
        }
        expect(&world.lictor(&["freeze", "lift", &id, "--reason", "once more"]).unwrap()).unwrap();
    }
    panic!("the agent never confirmed it\n{}", world.logs());
}

fn is_frozen(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Denied { code, reason } if code == FROZEN && reason.contains("audit of the freeze"))
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_8_after_a_freeze_is_acknowledged_nothing_starts_whatever_is_killed_until_it_is_lifted() {
    let mut world = World::prepare(&["web-1", "web-2"]).unwrap();
    let config = world.home().join("agent.yml");
    let text = fs::read_to_string(&config).unwrap();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("max_concurrency:")).collect();
    fs::write(&config, format!("{}\nmax_concurrency: {PLACES}\n", text.join("\n"))).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();

    let (stop, frozen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let jobs = Arc::new(Mutex::new(Vec::new()));
    let submitters: Vec<_> = (0..4)
        .map(|_| {
            let (client, jobs) = (world.client().unwrap(), Arc::clone(&jobs));
            tokio::spawn(submit_for_ever(client, (Arc::clone(&stop), Arc::clone(&frozen)), jobs))
        })
        .collect();
    let under_way = async || jobs.lock().unwrap().len() >= JOBS;
    eventually("jobs are under way", under_way).await.unwrap();
    let (id, acknowledged) = confirmed_freeze(&world).await;
    frozen.store(true, Ordering::SeqCst);
    // The agent had confirmed it by then, so what it was given before and had not begun never begins.
    let refused_at_once =
        world.client().unwrap().submit(&spec(&["web-1"], &["true"]).unwrap()).await.err().unwrap();
    assert_eq!(refused_at_once.code, ErrorCode::Frozen);
    // The host may still be starting a shell for what it was asked before; what has ended has started.
    for _ in 0..2 {
        let known = jobs.lock().unwrap().clone();
        ends(&world, &known).await;
    }
    let log = world.host("web-1").exec_log();
    let elsewhere = world.run("web-2", &["echo", "fine"]).await.unwrap();
    assert_eq!(
        elsewhere.invocations()[0].0.outcome,
        Some(Outcome::Succeeded),
        "the other host is not frozen"
    );

    for round in 0..2 {
        world.controller.as_mut().unwrap().kill();
        if round == 1 {
            world.agent.as_mut().unwrap().kill();
            world.spawn_agent().unwrap();
        }
        world.start_controller().await.unwrap();
        world.agent_connected().await.unwrap();
        let listed = freeze(&world, &["list"]);
        assert_eq!((&listed[0]["id"], &listed[0]["recorded"]), (&json!(id), &json!(true)), "{listed}");
        let refused = world.client().unwrap().run(&spec(&["web-1"], &["true"]).unwrap()).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::Frozen);
    }
    stop.store(true, Ordering::SeqCst);
    let mut refused = 0;
    for submitter in submitters {
        refused += submitter.await.unwrap();
    }
    assert!(refused > 0, "requests were refused while it was frozen");

    let jobs = jobs.lock().unwrap().clone();
    let mut denied = 0;
    for invocation in ends(&world, &jobs).await {
        let outcome = invocation.outcome.as_ref().unwrap();
        let starts = world.host("web-1").starts_of(&invocation.id.to_string());
        match outcome.ran() {
            Ran::NotRun => {
                assert!(is_frozen(outcome), "{outcome}");
                assert_eq!(starts, 0, "{outcome}");
                denied += 1;
            }
            Ran::Ran | Ran::MayHaveRun => {
                assert!(starts <= 1);
                let started = invocation.started_at;
                assert!(started.is_none_or(|at| at <= acknowledged), "{} at {started:?}", invocation.id);
            }
        }
    }
    assert!(denied > 0, "some of {} waited when the freeze came", jobs.len());
    // Commands that look for what is to be stopped are none that start something; none is stopped here.
    assert_eq!(world.host("web-1").exec_log(), log, "nothing was started after it was acknowledged");

    let lifted = freeze(&world, &["lift", &id]);
    assert_eq!(lifted["scope"], "host:web-1");
    assert_eq!(freeze(&world, &["list"]), json!([]));
    let again = world.run("web-1", &["echo", "again"]).await.unwrap();
    assert_eq!(again.invocations()[0].0.outcome, Some(Outcome::Succeeded), "{}", world.logs());
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
    let audit = world.audit().await.unwrap();
    let of = |kind: &str| audit.iter().filter(|r| r["kind"] == kind && r["freeze"] == id.as_str()).count();
    assert_eq!((of("freeze_set"), of("freeze_lifted")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_a_model_sees_who_froze_what_and_why_and_has_no_tool_that_lifts_it() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let tools = mcp.request("tools/list", json!({})).await.unwrap();
    for tool in tools["tools"].as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        assert!(!["freeze", "lift", "thaw"].iter().any(|word| name.contains(word)), "{name}");
    }
    let done = freeze(&world, &["--host", "web-1", "--reason", "audit of the freeze"]);
    let id = done["freeze"]["id"].as_str().unwrap();
    let refused = mcp.call("ssh_run", json!({"alias": "web-1", "command": "true"})).await.unwrap();
    assert_eq!(
        (&refused["isError"], &refused["structuredContent"]["code"]),
        (&json!(true), &json!("FROZEN"))
    );
    let said = refused["structuredContent"]["message"].as_str().unwrap();
    assert!(
        said.contains("user:") && said.contains("host web-1") && said.contains("audit of the freeze"),
        "{said}"
    );
    assert!(refused["structuredContent"]["next_step"].as_str().unwrap().contains("only an operator"));
    assert_eq!(refused["structuredContent"]["details"]["freeze"], id);
    let both = mcp.call("ssh_run_on_tag", json!({"tag": "all", "command": "true"})).await.unwrap();
    assert!(both.to_string().contains(r#"\"reason\":\"FROZEN\""#), "{both}");
    let bridge = world.client_as("bridge").unwrap();
    let lifting = lictor_client::operator::Operator::new(bridge).lift_freeze(id.parse().unwrap()).await;
    assert_eq!(lifting.unwrap_err().code, ErrorCode::Forbidden);
    let client = world.client().unwrap();
    let part = follow(&client, &spec(&["web-1", "web-2"], &["true"]).unwrap()).await.unwrap();
    let outcomes: Vec<_> = part.invocations().iter().map(|(i, _)| i.outcome.clone().unwrap()).collect();
    assert!(is_frozen(&outcomes[0]) && outcomes[1] == Outcome::Succeeded, "{outcomes:?}");
    assert_eq!(world.host("web-1").exec_log(), "");
}
