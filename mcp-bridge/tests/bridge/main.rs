//! What the bridge promises to MCP clients, with a real one, in both eras of the protocol.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod asking;
mod fake;
mod files;
mod hints;
mod page;
mod surface;
mod world;

use std::{path::Path, time::Duration};

use hyper_util::rt::TokioIo;
use lictor_client::connect::Client;
use rmcp::{
    model::{CallToolRequest, ClientRequest},
    service::PeerRequestOptions,
};
use serde_json::{Value, json};
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::{
    fake::{BIG, Fake},
    world::{Era, World, channel, request},
};

/// For what follows at once, on a machine that may stand still for a while.
const PATIENCE: Duration = Duration::from_secs(120);
const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

#[tokio::test]
async fn the_tools_are_exactly_these() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bridge/tools.json");
    for era in ERAS {
        let world = World::new(era).await;
        let tools = serde_json::to_value(world.mcp.list_all_tools().await.unwrap()).unwrap();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, format!("{tools:#}\n")).unwrap();
        }
        let expected: Value = serde_json::from_str(&std::fs::read_to_string(&golden).unwrap()).unwrap();
        assert_eq!(
            tools, expected,
            "if this is meant, run the test with UPDATE_GOLDEN=1 and look at the difference"
        );
    }
}

#[tokio::test]
async fn no_argument_raises_authority_and_every_schema_is_closed() {
    let world = World::new(Era::Modern).await;
    for tool in world.mcp.list_all_tools().await.unwrap() {
        let schema = Value::Object(tool.input_schema.as_ref().clone());
        assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
        for name in schema["properties"].as_object().unwrap().keys() {
            let known = [
                "alias",
                "tag",
                "command",
                "argv",
                "timeout_seconds",
                "idempotency_key",
                "job_id",
                "task_id",
                // Which hosts, in what and in which steps: judged by policy like the command.
                "match",
                "context",
                "rollout",
                // Makes it harder to start twice, nothing else.
                "detached",
                // Which jobs to read of, and for how long to wait.
                "wait_seconds",
                "text",
                "active",
                "max_jobs",
                "page",
                "max_lines",
                // Of what was printed: reading alone.
                "host",
                "stderr",
                "offset",
                "max_bytes",
                "grep",
                // A file by its path, its bytes and its permissions: judged by policy like a command.
                "path",
                "base64",
                "mode",
                // Which of one's own records.
                "query",
                "max_records",
                "before",
            ];
            assert!(known.contains(&name.as_str()), "{} takes {name}", tool.name);
        }
        for name in ["context", "rollout"] {
            let nested = &schema["properties"][name];
            assert!(nested.is_null() || nested["additionalProperties"] == false, "{} {name}", tool.name);
        }
    }
}

#[tokio::test]
async fn a_command_that_succeeds_or_fails_is_a_result() {
    for era in ERAS {
        let world = World::new(era).await;
        let ok = world.call("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "timeout_seconds": 5})).await;
        assert!(!ok.is_error);
        assert_eq!(ok.body["state"], "SUCCEEDED");
        assert_eq!(ok.body["ran"], "ran");
        assert_eq!(ok.body["exit_code"], 0);
        assert_eq!(ok.body["stdout"], "hello from web-1\\x1b[0m\n");
        assert_eq!(ok.body["stdout_bytes_total"], 21);
        assert_eq!((&ok.body["duration_ms"], &ok.body["replayed"]), (&json!(12), &json!(false)));
        assert!(!ok.text.contains('\x1b'));

        let fail = world.call("ssh_run", json!({"alias": "web-1", "command": "fail now"})).await;
        assert!(!fail.is_error);
        assert_eq!((&fail.body["state"], &fail.body["exit_code"]), (&json!("FAILED"), &json!(3)));
        assert_eq!(fail.body["stderr"], "no such thing\n");

        let asked = world.fake.asked();
        assert_eq!(asked[0].timeout_ms, Some(5_000));
        assert_eq!(asked[0].origin.as_ref().unwrap().via, lictor_proto::pb::Via::Mcp as i32);
        assert_ne!(asked[0].idempotency_key, asked[1].idempotency_key);
    }
}

#[tokio::test]
async fn a_denial_is_an_error_with_code_and_next_step() {
    for era in ERAS {
        let world = World::new(era).await;
        let denied = world.call("ssh_run", json!({"alias": "web-1", "argv": ["deny"]})).await;
        assert!(denied.is_error);
        assert_eq!(denied.body["code"], "POLICY_DENIED");
        assert_eq!(denied.body["next_step"], "ask for something else");
        assert_eq!(denied.body["details"]["rule"], "r0");
    }
}

#[tokio::test]
async fn what_did_not_run_is_an_error_and_names_no_address() {
    let world = World::new(Era::Modern).await;
    for (tool, arguments) in [
        ("ssh_run", json!({"alias": "web-1", "argv": ["unreachable"]})),
        ("ssh_run_on_tag", json!({"tag": "web", "argv": ["unreachable"]})),
    ] {
        let answer = world.call(tool, arguments).await;
        assert!(answer.is_error);
        assert_eq!(answer.body["code"], "UNREACHABLE");
        assert!(answer.body["message"].as_str().unwrap().contains("host_key_changed"));
        assert!(answer.body["job_id"].as_str().unwrap().starts_with("job_"));
        assert!(!answer.text.contains("10.0.0.5"), "{}", answer.text);
    }
    for (tool, arguments) in
        [("ssh_list_hosts", json!({})), ("ssh_describe_host", json!({"alias": "host-0000"}))]
    {
        let answer = world.call(tool, arguments).await;
        assert!(!answer.is_error);
        assert!(!answer.text.contains("10.0.0.5") && !answer.text.contains("root"), "{}", answer.text);
        assert!(answer.text.contains("front\\\\u{202e}end"), "{}", answer.text);
    }
}

#[tokio::test]
async fn output_is_bounded_and_says_what_was_left_out() {
    let world = World::new(Era::Modern).await;
    let big = world.call("ssh_run", json!({"alias": "web-1", "argv": ["big"]})).await;
    let stdout = big.body["stdout"].as_str().unwrap();
    assert!(stdout.len() <= 24 * 1024 && stdout.starts_with("aaaa") && stdout.ends_with("zzzz"));
    assert_eq!((&big.body["stdout_truncated"], &big.body["stdout_bytes_total"]), (&json!(true), &json!(BIG)));
    let kept = stdout.bytes().filter(|b| matches!(b, b'a' | b'z')).count() as u64;
    // The mark itself has three letters a and none z.
    let marked = "[lictor: bytes left out]".bytes().filter(|b| matches!(b, b'a' | b'z')).count() as u64;
    assert!(stdout.contains(&format!("[lictor: {} bytes left out]", BIG - (kept - marked))));

    for (word, hosts) in [("ok", 1_000), ("big", 100)] {
        let many = world.call("ssh_run_on_tag", json!({"tag": format!("n{hosts}"), "argv": [word]})).await;
        assert!(!many.is_error && many.text.len() < 100_000, "{}", many.text.len());
        let (listed, left_out) =
            (many.body["results"].as_array().unwrap().len(), many.body["results_left_out"].as_u64().unwrap());
        assert_eq!(listed as u64 + left_out, hosts);
        assert_eq!(many.body["left_out_by_state"], json!({"SUCCEEDED": left_out}));
        assert_eq!((&many.body["hosts_total"], &many.body["succeeded"]), (&json!(hosts), &json!(hosts)));
    }
}

#[tokio::test]
async fn two_hundred_hosts_with_the_same_result_are_one_short_result() {
    /// Some 2,000 tokens.
    const SHORT: usize = 8 * 1024;
    let world = World::new(Era::Modern).await;
    let same = world.call("ssh_run_on_tag", json!({"tag": "n7", "argv": ["same"]})).await;
    assert_eq!(same.body["results"][0]["hosts"], json!(["host-[0000-0006]"]));

    let most = world.call("ssh_run_on_tag", json!({"tag": "n200", "argv": ["same"]})).await;
    assert!(!most.is_error && most.text.len() <= SHORT * 3 / 2, "{}", most.text.len());
    let results = most.body["results"].as_array().unwrap();
    assert_eq!((results.len(), &most.body["results_total"]), (3, &json!(3)));
    assert_eq!((&results[0]["state"], &results[0]["hosts"]), (&json!("FAILED"), &json!(["host-0100"])));
    assert_eq!(results[1]["hosts"], json!(["host-[0000-0006,0008-0099,0101-0199]"]));
    assert_eq!((&results[1]["hosts_count"], &results[1]["host"]), (&json!(198), &json!("host-0000")));
    assert_eq!(results[1]["stdout_truncated"], false, "what is told once is told whole");
    assert!(results[2]["stdout"].as_str().unwrap().starts_with("not release 42"));
    assert_eq!((&most.body["results_left_out"], &most.body["succeeded"]), (&json!(0), &json!(199)));

    let all = world.call("ssh_run_on_tag", json!({"tag": "n200", "argv": ["alike"]})).await;
    assert!(all.text.len() <= SHORT, "{}", all.text.len());
    assert_eq!(all.body["results"][0]["hosts_count"], 200);
}

#[tokio::test]
async fn kept_output_is_read_by_pages_and_searched_and_what_was_not_kept_is_counted() {
    let world = World::new(Era::Modern).await;
    let job = world.call("ssh_run", json!({"alias": "web-1", "argv": ["big"]})).await.body["job_id"].clone();
    let read = async |more: Value| {
        let mut arguments = json!({"job_id": job, "host": "web-1"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.call("ssh_job_output", arguments).await
    };
    let (mut offset, mut text, mut not_kept) = (json!(0), String::new(), 0);
    while !offset.is_null() {
        let page = read(json!({"offset": offset, "max_bytes": 24_000})).await;
        assert!(!page.is_error && page.body["text"].as_str().unwrap().len() <= 24_000);
        text += page.body["text"].as_str().unwrap();
        not_kept += page.body["not_kept"].as_u64().unwrap();
        offset = page.body["next_offset"].clone();
    }
    assert_eq!((text.len() as u64, not_kept), (80_000, BIG - 80_000));

    let found = read(json!({"grep": "!|^a{99}$"})).await;
    let matches = found.body["matches"].as_array().unwrap();
    assert_eq!((&matches[0]["line"], &matches[0]["offset"]), (&json!(1), &json!(0)));
    assert_eq!((matches.len(), &found.body["matches_left_out"]), (200, &json!(201)));
    let found = read(json!({"grep": "!"})).await;
    assert_eq!(found.body["matches"][0]["offset"], BIG - 100);
    assert_eq!(found.body["matches"][0]["line"], Value::Null, "nobody counted the lines in the gap");

    for (more, code) in [
        (json!({"host": "web-9"}), "NOT_FOUND"),
        (json!({"grep": "("}), "INVALID_ARGUMENT"),
        (json!({"grep": ".{1000}{1000}"}), "INVALID_ARGUMENT"),
        (json!({"max_bytes": 0}), "INVALID_ARGUMENT"),
        (json!({"max_bytes": 1_000_000}), "INVALID_ARGUMENT"),
    ] {
        assert_eq!(read(more.clone()).await.body["code"], code, "{more}");
    }
}

#[tokio::test]
async fn asking_again_with_the_same_key_never_runs_twice() {
    let world = World::new(Era::Modern).await;
    let arguments = json!({"alias": "web-1", "argv": ["ok"], "idempotency_key": "deploy-7"});
    let first = world.call("ssh_run", arguments.clone()).await;
    let again = world.call("ssh_run", arguments).await;
    assert_eq!((&first.body["replayed"], &again.body["replayed"]), (&json!(false), &json!(true)));
    assert_eq!(first.body["job_id"], again.body["job_id"]);
    assert_eq!(world.fake.asked()[0].idempotency_key.as_deref(), Some("deploy-7"));
}

#[tokio::test]
async fn a_key_beside_the_arguments_makes_asking_again_safe_with_another_id_and_another_process() {
    const IN_META: &str = "dev.lictor/idempotency_key";
    let keyed = |key: Value, arguments: Value| {
        let mut asked = request("ssh_run", arguments);
        asked.meta.get_or_insert_default().insert(IN_META.to_owned(), key);
        asked
    };
    let plain = || json!({"alias": "web-1", "argv": ["ok"]});
    for era in ERAS {
        let fake = Fake::default();
        let mut jobs = Vec::new();
        for _process in 0..2 {
            let world = World::with(fake.clone(), Client::over(channel(fake.clone()), "memory"), era).await;
            for _again in 0..2 {
                let ran = world.mcp.call_tool(keyed(json!("deploy-8"), plain())).await.unwrap();
                jobs.push(ran.structured_content.unwrap()["job_id"].clone());
            }
            let both = json!({"alias": "web-1", "argv": ["ok"], "idempotency_key": "deploy-8"});
            let ran = world.mcp.call_tool(keyed(json!("deploy-8"), both)).await.unwrap();
            jobs.push(ran.structured_content.unwrap()["job_id"].clone());
            // Without a key, each request is one of its own.
            for _again in 0..2 {
                let other = world.call("ssh_run", plain()).await.body["job_id"].clone();
                assert!(!jobs.contains(&other));
            }
            let contrary = json!({"alias": "web-1", "argv": ["ok"], "idempotency_key": "deploy-9"});
            for (key, arguments) in [
                (json!("deploy-8"), contrary),
                (json!(8), plain()),
                (json!(""), plain()),
                (json!("a b"), plain()),
            ] {
                let refused = world.mcp.call_tool(keyed(key.clone(), arguments)).await.unwrap();
                let body = refused.structured_content.unwrap();
                assert_eq!(body["code"], "INVALID_ARGUMENT", "{key}: {body}");
            }
        }
        assert!(jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    }
}

#[tokio::test]
async fn a_job_is_picked_up_again_when_the_connection_breaks() {
    let world = World::new(Era::Modern).await;
    let answer = world.call("ssh_run", json!({"alias": "web-1", "argv": ["flaky"]})).await;
    assert!(!answer.is_error);
    assert_eq!(answer.body["stdout"], "hello from web-1\\x1b[0m\n");
    assert_eq!(answer.body["replayed"], false);
    assert_eq!(world.fake.asked().len(), 1);
}

#[tokio::test]
async fn cancelling_the_request_cancels_the_job() {
    for era in ERAS {
        let world = World::new(era).await;
        let call = CallToolRequest::new(request("ssh_run", json!({"alias": "web-1", "argv": ["hang"]})));
        let call = ClientRequest::CallToolRequest(call);
        let handle =
            world.mcp.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
        world.fake.recorded().await;
        handle.cancel(Some("no longer wanted".into())).await.unwrap();
        world.fake.cancellation().await;
        assert_eq!(world.fake.cancelled().len(), 1);
        assert!(world.bridge.drain(PATIENCE).await, "the call ends when its job has");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_what_it_waited_for() {
    let world = World::new(Era::Legacy).await;
    let call = CallToolRequest::new(request("ssh_run", json!({"alias": "web-1", "argv": ["hang"]})));
    let call = ClientRequest::CallToolRequest(call);
    let _handle = world.mcp.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
    world.fake.recorded().await;
    world.mcp.cancel().await.unwrap();
    world.fake.cancellation().await;
    assert!(world.bridge.drain(PATIENCE).await);
}

#[tokio::test]
async fn progress_tells_the_job_and_its_hosts() {
    for era in ERAS {
        let mut world = World::new(era).await;
        let call = CallToolRequest::new(request("ssh_run_on_tag", json!({"tag": "web", "argv": ["hang"]})));
        let call = ClientRequest::CallToolRequest(call);
        let handle =
            world.mcp.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
        let token = handle.progress_token.clone();
        let first = world.progress.recv().await.unwrap();
        assert_eq!((first.progress_token, first.progress, first.total), (token, 0.0, Some(2.0)));
        let message = first.message.unwrap();
        assert!(message.starts_with("job_") && message.ends_with("recorded for 2 hosts"), "{message}");
        let second = world.progress.recv().await.unwrap();
        assert!(second.progress > 0.0);
        assert_eq!(second.message.unwrap(), "started on host-0000; 0 of 2 hosts ended");
        handle.cancel(None).await.unwrap();
    }
}

#[tokio::test]
async fn progress_shows_the_end_of_what_was_printed_as_data_beside_its_message_and_always_increases() {
    for era in ERAS {
        let mut world = World::new(era).await;
        let call = CallToolRequest::new(request("ssh_run", json!({"alias": "web-1", "argv": ["talk"]})));
        let call = ClientRequest::CallToolRequest(call);
        let handle =
            world.mcp.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
        let mut before = -1.0;
        let output = loop {
            let told = tokio::time::timeout(PATIENCE, world.progress.recv()).await.unwrap().unwrap();
            assert!(told.progress > before && told.progress < 1.0, "{} after {before}", told.progress);
            before = told.progress;
            let text = told.message.unwrap();
            assert!(!text.contains("obey"), "{text}");
            let printed = told.meta.and_then(|meta| meta.0.0.get("dev.lictor/output").cloned());
            if let Some(printed) = printed.filter(|printed| printed["bytes_total"] == 2_015) {
                break printed;
            }
        };
        assert_eq!((&output["host"], &output["stream"]), (&json!("web-1"), &json!("stdout")));
        assert_eq!(output["untrusted"], json!(["tail"]));
        let tail = output["tail"].as_str().unwrap();
        assert!(tail.ends_with("xxobey\\u{202e}\\x1b[2J\n€") && tail.len() <= 1024, "{tail}");
        handle.cancel(None).await.unwrap();
    }
}

#[tokio::test]
async fn a_controller_that_is_down_is_an_error_with_a_next_step() {
    let refused = service_fn(|_| async {
        Err::<TokioIo<tokio::io::DuplexStream>, _>(std::io::Error::from(
            std::io::ErrorKind::ConnectionRefused,
        ))
    });
    let channel = Endpoint::from_static("http://memory.invalid").connect_with_connector_lazy(refused);
    let world = World::with(Fake::default(), Client::over(channel, "memory"), Era::Modern).await;
    for (tool, arguments) in [
        ("ssh_ping", json!({})),
        ("ssh_list_hosts", json!({"tag": "web"})),
        ("ssh_describe_host", json!({"alias": "web-1"})),
        ("ssh_plan", json!({"alias": "web-1", "argv": ["ok"]})),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"]})),
        ("ssh_run_on_tag", json!({"tag": "web", "argv": ["ok"]})),
        ("ssh_job_output", json!({"job_id": "job_00000000000000000000000000", "host": "web-1"})),
        ("ssh_cancel", json!({"job_id": "job_00000000000000000000000000"})),
        ("ssh_explain_denial", json!({"alias": "web-1", "argv": ["ok"]})),
        ("ssh_run_async", json!({"alias": "web-1", "argv": ["ok"]})),
        ("ssh_get_task_status", json!({"task_id": "job_00000000000000000000000000"})),
        ("ssh_get_task_result", json!({"task_id": "job_00000000000000000000000000"})),
        ("ssh_get_task_output", json!({"task_id": "job_00000000000000000000000000"})),
        ("ssh_cancel_async_task", json!({"task_id": "job_00000000000000000000000000"})),
        ("ssh_list_jobs", json!({})),
        ("ssh_reload_config", json!({})),
    ] {
        let answer = world.call(tool, arguments).await;
        assert!(answer.is_error, "{tool}");
        assert_eq!(answer.body["code"], "UNAVAILABLE", "{tool}");
        assert!(!answer.body["next_step"].as_str().unwrap().is_empty());
        let key = answer.body["details"]["idempotency_key"].as_str();
        assert_eq!(key.is_some(), tool.starts_with("ssh_run"), "{tool}");
    }
}

#[tokio::test]
async fn arguments_that_are_not_the_tools_own_are_refused() {
    let world = World::new(Era::Modern).await;
    for (tool, arguments, word) in [
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "force": true}), "force"),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "confirm": "yes"}), "confirm"),
        ("ssh_run", json!({"argv": ["ok"]}), "alias"),
        ("ssh_run", json!({"alias": "web-1"}), "argv"),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "command": "ok"}), "argv"),
        ("ssh_run", json!({"alias": "-oProxyCommand=x", "argv": ["ok"]}), "alias"),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "timeout_seconds": 0}), "timeout_seconds"),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "timeout_seconds": -1}), "-1"),
        ("ssh_run", json!({"alias": "web-1", "argv": ["ok"], "idempotency_key": "a b"}), "idempotency_key"),
        ("ssh_run_on_tag", json!({"tag": "a/b", "argv": ["ok"]}), "tag"),
        ("ssh_plan", json!({"argv": ["ok"]}), "alias"),
        ("ssh_plan", json!({"alias": "a", "tag": "b", "argv": ["ok"]}), "alias"),
        ("ssh_cancel", json!({"job_id": "42"}), "job_id"),
        ("ssh_cancel", json!({"task_id": "42"}), "task_id"),
        ("ssh_ping", json!({"verbose": true}), "verbose"),
        ("ssh_run_on_tag", json!({"tag": "a", "match": "all", "argv": ["ok"]}), "match"),
        ("ssh_run_on_tag", json!({"match": "tag:", "argv": ["ok"]}), "match"),
        ("ssh_run_on_tag", json!({"tag": "a", "argv": ["ok"], "rollout": {"waves": ["x"]}}), "waves"),
        ("ssh_run_on_tag", json!({"tag": "a", "argv": ["ok"], "rollout": {"soak_seconds": 5}}), "rollout"),
        ("ssh_run_on_tag", json!({"tag": "a", "argv": ["ok"], "rollout": {"approved": true}}), "approved"),
        ("ssh_run", json!({"alias": "a", "argv": ["ok"], "context": {"run_as": "#0"}}), "run_as"),
        ("ssh_run", json!({"alias": "a", "argv": ["ok"], "context": {"sudo": true}}), "sudo"),
        (
            "ssh_run",
            json!({"alias": "a", "argv": ["ok"], "context": {"environment": {"LD_PRELOAD": "x"}}}),
            "LD_PRELOAD",
        ),
        ("ssh_run_async", json!({"alias": "a", "argv": ["ok"], "approve": true}), "approve"),
        ("ssh_get_task_status", json!({"task_id": "../x"}), "task_id"),
        (
            "ssh_get_task_status",
            json!({"task_id": "job_00000000000000000000000000", "wait_seconds": 301}),
            "wait_seconds",
        ),
        ("ssh_list_jobs", json!({"max_jobs": 51}), "max_jobs"),
        ("ssh_reload_config", json!({"force": true}), "force"),
        ("ssh_upload", json!({"alias": "web-1", "path": "etc/x", "text": ""}), "path"),
        ("ssh_upload", json!({"alias": "web-1", "path": "/etc/x"}), "text"),
        ("ssh_upload", json!({"alias": "web-1", "path": "/etc/x", "text": "", "base64": ""}), "text"),
        ("ssh_upload", json!({"alias": "web-1", "path": "/etc/x", "base64": "%"}), "base64"),
        ("ssh_upload", json!({"alias": "web-1", "path": "/etc/x", "text": "", "mode": "4755"}), "mode"),
        ("ssh_upload", json!({"alias": "web-1", "path": "/etc/x", "text": "", "mode": "+755"}), "mode"),
        ("ssh_upload", json!({"tag": "web", "path": "/etc/x", "text": ""}), "tag"),
        ("ssh_download", json!({"alias": "web-1", "path": "../x"}), "path"),
        ("ssh_search_audit", json!({"query": "colour:red"}), "query"),
        ("ssh_search_audit", json!({"max_records": 51}), "max_records"),
    ] {
        let answer = world.call(tool, arguments).await;
        assert!(answer.is_error, "{tool} {word}");
        assert_eq!(answer.body["code"], "INVALID_ARGUMENT");
        assert!(answer.body["message"].as_str().unwrap().contains(word), "{} without {word}", answer.text);
    }
    assert!(world.fake.asked().is_empty());
    assert!(world.mcp.call_tool(request("ssh_approve", json!({}))).await.is_err());
}

#[tokio::test]
async fn plan_ping_hosts_and_cancel_answer_in_their_shapes() {
    let world = World::new(Era::Legacy).await;
    let pong = world.call("ssh_ping", json!({})).await;
    assert_eq!((&pong.body["status"], &pong.body["sites"][0]["name"]), (&json!("pong"), &json!("berlin")));

    let hosts = world.call("ssh_list_hosts", json!({})).await;
    assert_eq!((&hosts.body["total"], &hosts.body["left_out"]), (&json!(300), &json!(100)));
    assert!(
        world.call("ssh_describe_host", json!({"alias": "host-0000"})).await.body["ready"].as_bool().unwrap()
    );
    assert_eq!(world.call("ssh_describe_host", json!({"alias": "nobody"})).await.body["code"], "NOT_FOUND");

    let plan = world.call("ssh_plan", json!({"tag": "n60", "argv": ["ok"]})).await;
    assert_eq!((&plan.body["allowed"], &plan.body["left_out"]), (&json!(true), &json!(10)));
    let plan = world.call("ssh_plan", json!({"alias": "web-1", "argv": ["deny"]})).await;
    assert!(!plan.is_error, "a plan that denies is a result");
    assert_eq!((&plan.body["allowed"], &plan.body["hosts"][0]["effect"]), (&json!(false), &json!("DENY")));
    let plan = world.call("ssh_plan", json!({"alias": "web-1", "argv": ["ask"]})).await;
    assert_eq!((&plan.body["allowed"], &plan.body["hosts"][0]["effect"]), (&json!(false), &json!("APPROVE")));
    assert!(plan.body["next_step"].as_str().unwrap().contains("consent"));
    let plan = world.call("ssh_plan", json!({"alias": "web-1", "command": "$HOME"})).await;
    assert_eq!(
        (&plan.body["code"], &plan.body["details"]["refusal"]),
        (&json!("COMMAND_REFUSED"), &json!("E_EXPANSION"))
    );

    let job = world.call("ssh_run", json!({"alias": "web-1", "argv": ["ok"]})).await.body["job_id"].clone();
    let cancelled = world.call("ssh_cancel", json!({"job_id": job})).await;
    assert_eq!((&cancelled.body["already_ended"], &cancelled.body["unfinished"]), (&json!(false), &json!(1)));
    let unknown = world.call("ssh_cancel", json!({"job_id": "job_00000000000000000000000000"})).await;
    assert_eq!(unknown.body["code"], "NOT_FOUND");
}
