//! Whose is what: another user's job, output and session do not exist.

use http::{Method, StatusCode};
use lictor_tests::mcp_http::{Era, HttpBridge, Sent};
use serde_json::{Value, json};

fn code(result: &Value) -> &str {
    result["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_job_output_session_and_page_do_not_exist() {
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let (alice, bob) = (bridge.token("alice"), bridge.token("bob"));
    for era in Era::BOTH {
        let hers = Sent { session: bridge.session(era, Some(&alice)).await.unwrap(), ..Sent::by(&alice) };
        let his = Sent { session: bridge.session(era, Some(&bob)).await.unwrap(), ..Sent::by(&bob) };
        let ran = bridge
            .call(era, &hers, "ssh_run", json!({"alias": "web1", "argv": ["echo", "secret"]}))
            .await
            .unwrap();
        let job = ran["job_id"].as_str().unwrap();
        let output = json!({"job_id": job, "host": "web1"});
        let page = bridge.call(era, &hers, "ssh_job_output", output.clone()).await.unwrap();
        assert_eq!(page["text"], "secret\n");
        for (tool, arguments) in [("ssh_job_output", output), ("ssh_cancel", json!({"job_id": job}))] {
            let result = bridge.call(era, &his, tool, arguments).await.unwrap();
            assert_eq!(code(&result), "NOT_FOUND", "{era:?} {tool}: {result}");
            assert!(!result.to_string().contains("secret"));
        }
        // The same key and request of another user is another job.
        let keyed = json!({"alias": "web1", "argv": ["true"], "idempotency_key": "same"});
        let first = bridge.call(era, &hers, "ssh_run", keyed.clone()).await.unwrap();
        let second = bridge.call(era, &his, "ssh_run", keyed).await.unwrap();
        assert_ne!(first["job_id"], second["job_id"]);
    }

    let session = bridge.session(Era::Sessions, Some(&alice)).await.unwrap();
    let stolen = Sent { session: session.clone(), ..Sent::by(&bob) };
    let list = || json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for era in Era::BOTH {
        for (method, body) in
            [(Method::POST, list()), (Method::GET, String::new()), (Method::DELETE, String::new())]
        {
            let request = bridge.request(method.clone(), era, &stolen, body).unwrap();
            let answer = bridge.send(request).await.unwrap();
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{era:?} {method}: {answer:?}");
        }
    }
    let hers = Sent { session, ..Sent::by(&alice) };
    let answer = bridge.send(bridge.post(Era::Sessions, &hers, list()).unwrap()).await.unwrap();
    assert!(answer.message().unwrap()["result"]["tools"].is_array(), "hers lives on: {answer:?}");
    let ended = bridge.request(Method::DELETE, Era::Sessions, &hers, "").unwrap();
    assert_eq!(bridge.send(ended).await.unwrap().status, StatusCode::ACCEPTED);
    let answer = bridge.send(bridge.post(Era::Sessions, &hers, list()).unwrap()).await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
