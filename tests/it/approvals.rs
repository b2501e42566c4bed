//! Consent with real processes, certificates and hosts: who may give it, that it is used once whatever is killed, and that no
//! model can.

use std::{fs, process::Output};

use lictor_client::{
    approval::ApprovalState,
    operator::{Operator, approvals::Decision},
};
use lictor_core::{
    digest::Digest,
    error::{ErrorCode, Failure},
    id::JobId,
    job::JobState,
};
use lictor_tests::{
    World, binaries,
    process::eventually,
    world::{expect, spec},
};
use serde_json::{Value, json};

/// `true` needs consent; the operator who asks is in the group, too.
fn policy(operator: &str, approvals: u32, within: &str) -> String {
    format!(
        "version: 1\ngroups:\n  dba: {{users: [ann, bob, cid, {operator}]}}\nrules:\n  - id: asks\n    effect: approve\n    where: all\n    commands: [\"true\"]\n    approve: {{approvals: {approvals}, group: dba, within: {within}}}\n  - id: free\n    effect: allow\n    where: all\n    commands: [echo <any>]\n"
    )
}

async fn world(approvals: u32, within: &str) -> World {
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let me = lictor_cli::demo::sshd::current_user().unwrap();
    fs::write(world.home().join("policy.yml"), policy(&me, approvals, within)).unwrap();
    for name in ["ann", "bob", "cid", "lea"] {
        let home = world.home();
        let issued = std::process::Command::new(binaries::path("lictor-certs").unwrap())
            .args(["issue", &home.join("pki").display().to_string(), "--user", name])
            .args(["--out", &home.join("identity").display().to_string()])
            .args(["--passphrase-file", &home.join("pki/passphrase").display().to_string()])
            .output();
        expect(&issued.unwrap()).unwrap();
    }
    world.set_up().await.unwrap()
}

fn person(world: &World, name: &str) -> Operator {
    Operator::new(world.client_as(name).unwrap())
}

async fn decide(world: &World, name: &str, job: JobId, decision: Decision) -> Result<ApprovalState, Failure> {
    let operator = person(world, name);
    // Who may not see it names some plan; it is refused for who they are.
    let plan = operator.approval(job).await.map_or_else(|_| Digest::of(b""), |seen| seen.approval.plan);
    operator.decide(job, &decision, plan).await.map(|request| request.approval.state)
}

async fn approve(world: &World, name: &str, job: JobId) -> Result<ApprovalState, ErrorCode> {
    decide(world, name, job, Decision::Approve(None)).await.map_err(|failure| failure.code)
}

async fn ask(world: &World) -> JobId {
    let asked = world.client().unwrap().submit(&spec(&["web-1", "web-2"], &["true"]).unwrap()).await.unwrap();
    assert_eq!(asked.job.state, JobState::AwaitingApproval);
    asked.job.id
}

async fn ends(world: &World, job: JobId) -> JobState {
    let client = world.client().unwrap();
    let ended = async || client.get_job(job, 0, None).await.is_ok_and(|page| page.job.state.ended());
    eventually("the job ends", ended).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    client.get_job(job, 0, None).await.unwrap().job.state
}

fn ran(world: &World) -> usize {
    world.hosts.iter().map(|host| host.exec_log().lines().count()).sum()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_two_others_consent_and_it_runs_once_whatever_is_killed_between() {
    let mut world = world(2, "1h").await;
    let job = ask(&world).await;
    assert_eq!(approve(&world, "operator", job).await, Err(ErrorCode::Forbidden), "their own request");
    assert_eq!(approve(&world, "lea", job).await, Err(ErrorCode::Forbidden), "in no group");
    assert_eq!(approve(&world, "bridge", job).await, Err(ErrorCode::Forbidden), "a service");
    assert_eq!(approve(&world, "ann", job).await, Ok(ApprovalState::Pending));
    assert_eq!(approve(&world, "ann", job).await, Err(ErrorCode::AlreadyExists), "the same person");
    world.controller.as_mut().unwrap().kill();
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    assert_eq!(ran(&world), 0);
    assert_eq!(approve(&world, "ann", job).await, Err(ErrorCode::AlreadyExists), "it was not lost");
    let (bob, cid) = tokio::join!(approve(&world, "bob", job), approve(&world, "cid", job));
    assert!(bob.is_ok() != cid.is_ok(), "one of them completes it: {bob:?} {cid:?}");
    assert_eq!(ends(&world, job).await, JobState::Succeeded);
    world.controller.as_mut().unwrap().kill();
    world.start_controller().await.unwrap();
    world.agent_connected().await.unwrap();
    assert_eq!(approve(&world, "cid", job).await, Err(ErrorCode::Conflict), "it is used up");
    assert_eq!(ran(&world), 2);
    let kinds: Vec<String> = world.audit().await.unwrap().iter().map(|r| r["kind"].to_string()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "\"approval_used\"").count(), 1);
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_ends_without_a_start_when_it_is_refused_stale_cancelled_or_too_late() {
    let world = world(1, "1h").await;
    let client = world.client().unwrap();
    let denied = ask(&world).await;
    let refusal = Decision::Deny("not today".parse().unwrap());
    assert_eq!(decide(&world, "ann", denied, refusal).await, Ok(ApprovalState::Denied));
    assert_eq!(ends(&world, denied).await, JobState::Failed);
    let page = client.get_job(denied, 0, None).await.unwrap();
    let outcome = page.invocations[0].outcome.clone().unwrap();
    assert!(outcome.to_string().contains("user:ann refused consent: not today"), "{outcome}");

    let cancelled = ask(&world).await;
    client.cancel(cancelled).await.unwrap();
    assert_eq!(ends(&world, cancelled).await, JobState::Cancelled);
    assert_eq!(approve(&world, "ann", cancelled).await, Err(ErrorCode::Conflict));

    let stale = ask(&world).await;
    let me = lictor_cli::demo::sshd::current_user().unwrap();
    let put = async |text: &str| {
        let operator = world.operator().unwrap();
        let version = operator.policy(None).await.unwrap().version;
        operator.put_policy(text, version, "").await.unwrap();
    };
    put(&policy(&me, 1, "2s")).await;
    let failure = decide(&world, "ann", stale, Decision::Approve(None)).await.unwrap_err();
    assert_eq!((failure.code, failure.detail("reason")), (ErrorCode::Conflict, Some("plan_stale")));
    assert_eq!(ends(&world, stale).await, JobState::Failed);

    let late = ask(&world).await;
    assert_eq!(ends(&world, late).await, JobState::Failed);
    let page = client.get_job(late, 0, None).await.unwrap();
    assert_eq!(page.invocations[0].outcome.as_ref().unwrap().reason_code(), Some("APPROVAL_EXPIRED"));
    assert_eq!(ran(&world), 0);
    expect(&world.lictor(&["audit", "verify"]).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_a_model_is_told_whom_to_ask_and_can_neither_approve_nor_wait_it_out() {
    let world = world(1, "1h").await;
    let mut mcp = world.mcp().await.unwrap();
    let asked = json!({"alias": "web-1", "argv": ["true"], "idempotency_key": "once"});
    let answer = mcp.call("ssh_run", asked.clone()).await.unwrap();
    let body = &answer["structuredContent"];
    assert_eq!((&answer["isError"], &body["state"]), (&json!(false), &json!("AWAITING_APPROVAL")), "{body}");
    assert_eq!((&body["ran"], &body["waiting"]["idempotency_key"]), (&json!("not_run"), &json!("once")));
    assert_eq!(body["waiting"]["who_may_approve"], "1 other person of group `dba`");
    let job: JobId = body["job_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(body["waiting"]["how"], format!("lictor approve {job}"));
    let again = mcp.call("ssh_run", asked.clone()).await.unwrap();
    assert_eq!(again["structuredContent"]["job_id"], body["job_id"], "the same job, which still waits");
    let tag = mcp.call("ssh_run_on_tag", json!({"tag": "all", "argv": ["true"]})).await.unwrap();
    assert_eq!(tag["structuredContent"]["state"], "AWAITING_APPROVAL");
    let output = json!({"job_id": job.to_string(), "host": "web-1"});
    let page = mcp.call("ssh_job_output", output.clone()).await.unwrap();
    assert_eq!(page["structuredContent"]["state"], "AWAITING_APPROVAL");
    assert_eq!(approve(&world, "bridge", job).await, Err(ErrorCode::Forbidden));
    assert_eq!(ran(&world), 0);
    assert_eq!(approve(&world, "ann", job).await, Ok(ApprovalState::Used));
    let done = mcp.call("ssh_run", asked).await.unwrap();
    assert_eq!(done["structuredContent"]["state"], "SUCCEEDED", "{done}");
    assert_eq!(ran(&world), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_decides_sees_exactly_what_and_scripts_are_bound_to_it() {
    let world = world(1, "1h").await;
    let left = world.lictor(&["run", "--no-wait", "web-1", "--", "true"]).unwrap();
    expect(&left).unwrap();
    let told = String::from_utf8_lossy(&left.stderr).into_owned();
    let job = String::from_utf8_lossy(&left.stdout).trim().to_owned();
    assert!(told.contains(&format!("lictor approve {job}")) && told.contains("group `dba`"), "{told}");
    let listed = json(&world.lictor(&["--output", "json", "approvals"]).unwrap());
    assert_eq!((&listed[0]["job"], &listed[0]["may_decide"]), (&json!(job), &json!(false)));
    let mine = json(&world.lictor(&["--output", "json", "approvals", "--mine"]).unwrap());
    assert_eq!(mine, json!([]));
    let plan = listed[0]["approval"]["plan_digest"].as_str().unwrap();

    // Another person's directory.
    let config = fs::read_to_string(world.home().join("lictor.yml")).unwrap();
    fs::write(world.home().join("lictor.yml"), config.replace("operator", "ann")).unwrap();
    let unasked = world.lictor(&["approve", &job]).unwrap();
    assert_eq!(unasked.status.code(), Some(2), "nobody is there to ask");
    let shown = String::from_utf8_lossy(&unasked.stderr).into_owned();
    for part in ["true", "web-1", "rule `asks`", "1 other person of group `dba`", plan, &job] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    let other = "0".repeat(64);
    let bound = world.lictor(&["approve", &job, "--yes", "--plan", &other]).unwrap();
    assert_eq!(bound.status.code(), Some(4));
    assert_eq!(ran(&world), 0);
    expect(&world.lictor(&["approve", &job, "--yes", "--plan", plan, "--reason", "seen"]).unwrap()).unwrap();
    assert_eq!(ends(&world, job.parse().unwrap()).await, JobState::Succeeded);
}
