//! Tasks are jobs under another name: durable before they are answered, their owner's alone, and stopped on the host.

use lictor_tests::{
    issuer::Issuer,
    mcp_http::{Era, HttpBridge, Sent},
    process::eventually,
};
use serde_json::{Value, json};

const NEW: Era = Era::Stateless;

fn knows_tasks() -> Value {
    json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}})
}

async fn ask(bridge: &HttpBridge, token: &str, method: &'static str, mut params: Value) -> Value {
    params["_meta"] = knows_tasks();
    let request = bridge.method(NEW, &Sent::by(token), method, params).unwrap();
    bridge.send(request).await.unwrap().message().unwrap()
}

async fn begin(bridge: &HttpBridge, token: &str, argv: &[&str]) -> String {
    let params = json!({"name": "ssh_run", "arguments": {"alias": "web1", "argv": argv}});
    let answer = ask(bridge, token, "tools/call", params).await;
    assert_eq!(answer["result"]["resultType"], "task", "{answer}");
    answer["result"]["taskId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_outlives_the_bridge_belongs_to_its_user_and_is_stopped_on_the_host() {
    let (world, mut bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let alice = bridge.token("alice");
    let task = begin(&bridge, &alice, &["sleep", "300"]).await;
    eventually("it runs", async || world.host("web1").exec_log().contains("sleep")).await.unwrap();

    // Another bridge with the same keys: what a task is, the controller knows.
    bridge.process.kill();
    let issuer = std::mem::replace(&mut bridge.issuer, Issuer::new("unused").unwrap());
    let bridge = HttpBridge::start(&world, issuer, true).await.unwrap();
    let get = async |token: &str, task: &str| ask(&bridge, token, "tasks/get", json!({"taskId": task})).await;
    assert_eq!(get(&alice, &task).await["result"]["status"], "working");

    let bob = bridge.token("bob");
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let mut params = json!({"taskId": task});
        if method == "tasks/update" {
            params["inputResponses"] = json!({});
        }
        let answer = ask(&bridge, &bob, method, params).await;
        assert_eq!(answer["error"]["message"], "there is no such task", "{method}: {answer}");
    }
    assert_eq!(get(&alice, &task).await["result"]["status"], "working", "bob has not stopped it");
    for unknown in ["", "ssh_run", "ssh_run:job_x", "ssh_ping:x", &format!("other:{task}")] {
        assert_eq!(get(&alice, unknown).await["error"]["code"], -32602, "{unknown}");
    }

    let answer = ask(&bridge, &alice, "tasks/cancel", json!({"taskId": task})).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    eventually("it is cancelled", async || get(&alice, &task).await["result"]["status"] == "cancelled")
        .await
        .unwrap();

    let task = begin(&bridge, &alice, &["echo", "hello"]).await;
    eventually("it ends", async || get(&alice, &task).await["result"]["status"] == "completed")
        .await
        .unwrap();
    let ended = get(&alice, &task).await;
    let result = &ended["result"]["result"];
    assert_eq!(result["structuredContent"]["stdout"], "hello\n", "{ended}");

    // What is refused is no task, and who does not know tasks gets none.
    let params = json!({"name": "ssh_run", "arguments": {"alias": "web1", "argv": ["rm", "x"]}});
    let refused = ask(&bridge, &alice, "tools/call", params).await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    let plain = bridge
        .call(NEW, &Sent::by(&alice), "ssh_run", json!({"alias": "web1", "argv": ["true"]}))
        .await
        .unwrap();
    assert_eq!(plain["ran"], "ran");
}
