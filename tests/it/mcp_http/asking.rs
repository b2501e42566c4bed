//! Questions over HTTP: what a person is asked within one request and answers in another is theirs alone.

use lictor_tests::mcp_http::{Era, HttpBridge, Sent};
use serde_json::{Value, json};

const NEW: Era = Era::Stateless;

async fn run(bridge: &HttpBridge, token: &str, more: Value) -> Value {
    let mut params = json!({"name": "ssh_run", "arguments": {"alias": "wbe1", "argv": ["true"]}, "_meta":
        {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = bridge.method(NEW, &Sent::by(token), "tools/call", params).unwrap();
    bridge.send(request).await.unwrap().message().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_by_whom_it_was_put_to_and_once() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let (alice, bob) = (bridge.token("alice"), bridge.token("bob"));
    let question = run(&bridge, &alice, json!({})).await;
    let (result, state) = (&question["result"], question["result"]["requestState"].clone());
    assert_eq!(result["resultType"], "input_required", "{question}");
    let schema = &result["inputRequests"]["choice"]["params"]["requestedSchema"];
    assert_eq!(schema["properties"]["choice"]["enum"], json!(["web1"]), "{question}");

    let answer = json!({"requestState": state, "inputResponses":
        {"choice": {"action": "accept", "content": {"choice": "web1"}}}});
    let bobs = run(&bridge, &bob, answer.clone()).await;
    assert_eq!(bobs["error"]["code"], -32602, "{bobs}");
    let ran = run(&bridge, &alice, answer.clone()).await;
    assert_eq!(ran["result"]["structuredContent"]["state"], "SUCCEEDED", "{ran}");
    let again = run(&bridge, &alice, answer).await;
    assert_eq!(again["result"]["structuredContent"]["code"], "CONFLICT", "{again}");
    assert_eq!(world.host("web1").exec_log().matches("true").count(), 1, "{}", world.host("web1").exec_log());

    // Who has not said that it can ask is not asked.
    let silent =
        bridge.call(NEW, &Sent::by(&alice), "ssh_run", json!({"alias": "wbe1", "argv": ["true"]})).await;
    assert_eq!(silent.unwrap()["code"], "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_question_means_nothing_in_a_session_and_is_not_used_up_by_it() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let alice = bridge.token("alice");
    let question = run(&bridge, &alice, json!({})).await;
    let answer = json!({"requestState": question["result"]["requestState"], "inputResponses":
        {"choice": {"action": "accept", "content": {"choice": "web1"}}}});

    let session = bridge.session(Era::Sessions, Some(&alice)).await.unwrap();
    let hers = Sent { session, ..Sent::by(&alice) };
    for state in [answer["requestState"].clone(), json!("made up"), json!("")] {
        let mut params = json!({"name": "ssh_run", "arguments": {"alias": "wbe1", "argv": ["true"]}});
        params.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        params["requestState"] = state.clone();
        let request = bridge.method(Era::Sessions, &hers, "tools/call", params).unwrap();
        let refused = bridge.send(request).await.unwrap().message().unwrap();
        assert_eq!(refused["error"]["code"], -32602, "{state}: {refused}");
    }
    assert_eq!(world.host("web1").exec_log(), "");
    let ran = run(&bridge, &alice, answer).await;
    assert_eq!(ran["result"]["structuredContent"]["state"], "SUCCEEDED", "{ran}");
}
