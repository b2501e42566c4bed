//! Many clients over one bridge: every answer reaches who asked, and nobody else, in bounded memory.

use std::sync::Arc;

use lictor_tests::mcp_http::{Era, HttpBridge, Sent};
use serde_json::json;

/// Clients and calls of each in the suite; `LICTOR_MCP_CLIENTS=200 LICTOR_MCP_CALLS=500` is the whole of it.
const CLIENTS: usize = 16;
const CALLS: usize = 12;

/// What the bridge may grow by, whatever the number of calls: sessions, and what runs at a time.
const GROWTH_KIB: u64 = 128 * 1024;

fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_reaches_another_client() {
    let (clients, calls) =
        (from_environment("LICTOR_MCP_CLIENTS", CLIENTS), from_environment("LICTOR_MCP_CALLS", CALLS));
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let before = bridge.process.resident_kib().unwrap();
    let bridge = Arc::new(bridge);
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..clients {
        let bridge = Arc::clone(&bridge);
        tasks.spawn(async move {
            let era = Era::BOTH[client % 2];
            // Some users have several clients, whose requests have the same numbers.
            let token = bridge.token(&format!("user-{}", client / 3));
            let sent = Sent { session: bridge.session(era, Some(&token)).await.unwrap(), ..Sent::by(&token) };
            for call in 0..calls {
                let (id, mark) = (format!("{call}"), format!("mark-{client}-{call}"));
                let mut params =
                    json!({"name": "ssh_plan", "arguments": {"alias": "web1", "argv": ["echo", mark]}});
                if call % 4 == 0 {
                    params["name"] = "ssh_run".into();
                }
                let request = bridge.method(era, &sent, "tools/call", params).unwrap();
                let (parts, body) = request.into_parts();
                let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
                let mut body: serde_json::Value = serde_json::from_slice(&body).unwrap();
                body["id"] = id.clone().into();
                let request = http::Request::from_parts(parts, body.to_string().into());
                let answer = bridge.send(request).await.unwrap();
                let message = answer.message().unwrap();
                assert_eq!(message["id"], id, "{message}");
                let text = message["result"].to_string();
                assert!(text.contains(&mark), "client {client}, call {call}: {text}");
                assert_eq!(text.matches("mark-").count(), text.matches(&mark).count(), "{text}");
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let after = bridge.process.resident_kib().unwrap();
    eprintln!("{clients} clients, {calls} calls each: {before} KiB before, {after} KiB after");
    assert!(after < before + GROWTH_KIB, "the bridge grew from {before} to {after} KiB");
}
