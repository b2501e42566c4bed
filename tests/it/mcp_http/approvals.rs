//! What awaits approval says so wherever it is looked at, in both eras and as a task: which job, who may approve it and how. No
//! request of a client makes it begin.

use std::fs;

use lictor_client::operator::{Operator, approvals::Decision};
use lictor_tests::{
    World, binaries,
    issuer::Issuer,
    mcp_http::{Era, HttpBridge, Sent, let_bridge_act},
    process::eventually,
    world::expect,
};
use serde_json::{Value, json};

const POLICY: &str = "version: 1\ngroups:\n  dba: {users: [ann]}\nrules:\n  - id: asks\n    effect: approve\n    where: all\n    \
     commands: [\"true\"]\n    approve: {approvals: 1, group: dba, within: 1h}\n";
/// What everybody is told who looks at such a job.
const WHO: &str = "1 other person of group `dba`";

async fn world() -> (World, HttpBridge) {
    let issuer = Issuer::new("key-1").unwrap();
    let world = World::prepare(&["web1"]).unwrap();
    let home = world.home();
    fs::write(home.join("policy.yml"), POLICY).unwrap();
    let_bridge_act(&world, &issuer).unwrap();
    let issued = std::process::Command::new(binaries::path("lictor-certs").unwrap())
        .args(["issue", &home.join("pki").display().to_string(), "--user", "ann"])
        .args(["--out", &home.join("identity").display().to_string()])
        .args(["--passphrase-file", &home.join("pki/passphrase").display().to_string()])
        .output();
    expect(&issued.unwrap()).unwrap();
    let world = world.set_up().await.unwrap();
    let bridge = HttpBridge::start(&world, issuer, true).await.unwrap();
    (world, bridge)
}

/// As a person does it, with a certificate of their own.
async fn approve(world: &World, job: &str) {
    let operator = Operator::new(world.client_as("ann").unwrap());
    let job = job.parse().unwrap();
    let plan = operator.approval(job).await.unwrap().approval.plan;
    operator.decide(job, &Decision::Approve(None), plan).await.unwrap();
}

fn told(body: &Value, job: &str) {
    assert_eq!(body["waiting"]["who_may_approve"], WHO, "{body}");
    assert_eq!(body["waiting"]["how"], format!("lictor approve {job}"), "{body}");
    assert!(body["waiting"]["expires_at"].is_string(), "{body}");
    assert!(body["next_step"].as_str().unwrap().starts_with("tell the user who has to approve"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_whoever_looks_at_a_job_that_awaits_approval_is_told_who_may_give_it_and_how() {
    let (world, bridge) = world().await;
    let token = bridge.token("alice");
    for era in Era::BOTH {
        let me = Sent { session: bridge.session(era, Some(&token)).await.unwrap(), ..Sent::by(&token) };
        let command = json!({"alias": "web1", "argv": ["true"], "idempotency_key": format!("{era:?}")});
        let started = bridge.call(era, &me, "ssh_run_async", command.clone()).await.unwrap();
        let job = started["task_id"].as_str().unwrap();
        told(&started, job);
        assert_eq!(
            (&started["status"], &started["waiting"]["idempotency_key"]),
            (&json!("pending"), &json!(format!("{era:?}")))
        );
        let ran = bridge.call(era, &me, "ssh_run", command.clone()).await.unwrap();
        assert_eq!((&ran["job_id"], &ran["state"]), (&json!(job), &json!("AWAITING_APPROVAL")));
        told(&ran, job);
        let status = bridge.call(era, &me, "ssh_get_task_status", json!({"task_id": job})).await.unwrap();
        assert_eq!(status["state"], "AWAITING_APPROVAL");
        told(&status, job);
        let result = bridge.call(era, &me, "ssh_get_task_result", json!({"task_id": job})).await.unwrap();
        assert_eq!(
            (&result["code"], &result["details"]["who_may_approve"]),
            (&json!("CONFLICT"), &json!(WHO))
        );
        assert_eq!(result["details"]["how"], format!("lictor approve {job}"));
        let read = json!({"uri": format!("job://{job}")});
        let read = bridge.send(bridge.method(era, &me, "resources/read", read).unwrap()).await.unwrap();
        let read = read.message().unwrap();
        let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{read}"));
        told(&serde_json::from_str(text).unwrap(), job);
        assert!(world.host("web1").exec_log().lines().count() < 2, "nothing of it has begun");

        approve(&world, job).await;
        let ended = json!({"task_id": job, "wait_seconds": 60});
        let ended = bridge.call(era, &me, "ssh_get_task_status", ended).await.unwrap();
        assert_eq!((&ended["state"], &ended["waiting"]), (&json!("SUCCEEDED"), &Value::Null));
        let again = bridge.call(era, &me, "ssh_run_async", command).await.unwrap();
        assert_eq!(
            (&again["task_id"], &again["replayed"], &again["waiting"]),
            (&json!(job), &json!(true), &Value::Null)
        );
    }
    assert_eq!(world.host("web1").exec_log().lines().count(), Era::BOTH.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_awaits_approval_works_on_when_it_has_been_given() {
    let (world, bridge) = world().await;
    let token = bridge.token("alice");
    let ask = async |method: &'static str, mut params: Value| {
        params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
        let request = bridge.method(Era::Stateless, &Sent::by(&token), method, params).unwrap();
        bridge.send(request).await.unwrap().message().unwrap()["result"].clone()
    };
    let call = json!({"name": "ssh_run", "arguments": {"alias": "web1", "argv": ["true"]}});
    let begun = ask("tools/call", call).await;
    let task = begun["taskId"].as_str().unwrap_or_else(|| panic!("{begun}"));
    let (_, job) = task.split_once(':').unwrap();
    let how = format!("it waits for {WHO} (lictor approve {job})");
    for seen in [&begun, &ask("tasks/get", json!({"taskId": task})).await] {
        assert_eq!(seen["status"], "working", "{seen}");
        assert!(seen["statusMessage"].as_str().unwrap().ends_with(&how), "{seen}");
    }
    // Whatever a client sends to it is no consent.
    for answer in [json!({}), json!({"approval": {"action": "accept", "content": {"approve": true}}})] {
        ask("tasks/update", json!({"taskId": task, "inputResponses": answer})).await;
    }
    let still = ask("tasks/get", json!({"taskId": task})).await;
    assert!(still["statusMessage"].as_str().unwrap().ends_with(&how), "{still}");
    assert_eq!(world.host("web1").exec_log(), "");

    approve(&world, job).await;
    let get = async || ask("tasks/get", json!({"taskId": task})).await;
    eventually("it ends", async || get().await["status"] == "completed").await.unwrap();
    let ended = get().await;
    assert_eq!(ended["result"]["structuredContent"]["state"], "SUCCEEDED", "{ended}");
    assert_eq!(world.host("web1").exec_log().lines().count(), 1);
}
