//! The trace of whoever calls a tool reaches the controller, in both eras and over both transports; what is no trace does not, and
//! harms nothing.

use lictor_tests::{
    World, binaries,
    issuer::Issuer,
    mcp::McpClient,
    mcp_http::{Era, HttpBridge, Sent},
    process::eventually,
};
use serde_json::{Value, json};

/// What is no trace.
const NONE: &[&str] = &[
    "",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nauthorization: Bearer x",
];

fn call(trace: &Value) -> Value {
    json!({"name": "ssh_list_hosts", "arguments": {}, "_meta": {"traceparent": trace, "tracestate": "vendor=1"}})
}

/// Calls with a trace of its own, and what is none before it: it is answered, and seen at the controller by then.
async fn traced(world: &World, trace: u64, mut ask: impl AsyncFnMut(Value) -> Value) {
    let log = || world.controller.as_ref().unwrap().log();
    let before = log().matches("a traced call").count();
    for none in NONE.iter().map(|text| json!(text)).chain([json!(1), json!({}), Value::Null]) {
        let answer = ask(call(&none)).await;
        assert_eq!(answer["isError"], false, "{none}: {answer}");
    }
    let id = format!("{trace:032x}");
    let answer = ask(call(&json!(format!("00-{id}-b7ad6b7169203331-01")))).await;
    assert_eq!(answer["isError"], false, "{answer}");
    eventually("the controller knows the trace", async || log().contains(&id)).await.unwrap();
    let log = log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("a traced call")).skip(before).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let names = [format!("trace_id=\"{id}\""), "parent_id=\"b7ad6b7169203331\"".to_owned()];
        assert!(names.iter().all(|name| line.contains(name)), "{line}");
        assert!(line.contains("/lictor.v1.FleetService/"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_call_reaches_the_controller_in_both_eras_and_over_both_transports() {
    let world = World::start(&["web1"]).await.unwrap();
    let http = HttpBridge::start(&world, Issuer::new("unused").unwrap(), false).await.unwrap();
    for (n, era) in Era::BOTH.into_iter().enumerate() {
        let session = http.session(era, None).await.unwrap();
        let sent = Sent { session, ..Sent::default() };
        traced(&world, 0x1111 + n as u64, async |params| {
            let request = http.method(era, &sent, "tools/call", params).unwrap();
            http.send(request).await.unwrap().message().unwrap()["result"].clone()
        })
        .await;
    }
    let mut mcp = world.mcp().await.unwrap();
    traced(&world, 0x3333, async |params| mcp.request("tools/call", params).await.unwrap()).await;

    let config = world.home().join("bridge.yml").display().to_string();
    let program = binaries::path("lictor-mcp-bridge").unwrap();
    let mut mcp = McpClient::spawn(&program, &["--config", &config]).unwrap();
    traced(&world, 0x4444, async |mut params| {
        let meta = &mut params["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "lictor-tests", "version": "1"});
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        mcp.request("tools/call", params).await.unwrap()
    })
    .await;
}
