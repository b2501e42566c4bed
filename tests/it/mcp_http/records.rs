//! Searching the audit over MCP: each sees the records of their own jobs, whatever they search for.

use lictor_tests::mcp_http::{Era, HttpBridge, Sent};
use serde_json::{Value, json};

async fn found(bridge: &HttpBridge, era: Era, user: &str, query: &str) -> Vec<Value> {
    let token = bridge.token(user);
    let sent = Sent { session: bridge.session(era, Some(&token)).await.unwrap(), ..Sent::by(&token) };
    let (mut all, mut arguments) = (Vec::new(), json!({"query": query, "max_records": 50}));
    loop {
        let page = bridge.call(era, &sent, "ssh_search_audit", arguments.clone()).await.unwrap();
        all.extend(page["records"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        if page["next"].is_null() {
            return all;
        }
        arguments["before"] = page["next"].clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_finds_the_records_of_their_own_jobs_and_of_nobody_elses() {
    let (_world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let mut jobs = Vec::new();
    for user in ["alice", "bob"] {
        let arguments = json!({"alias": "web1", "argv": ["echo", format!("mark-of-{user}")]});
        let sent = Sent::by(&bridge.token(user));
        let ran = bridge.call(Era::Stateless, &sent, "ssh_run", arguments).await.unwrap();
        jobs.push(ran["job_id"].as_str().unwrap().to_owned());
    }
    for era in Era::BOTH {
        let all = found(&bridge, era, "alice", "").await;
        let kinds: Vec<&str> = all.iter().filter_map(|record| record["kind"].as_str()).collect();
        for kind in ["job_submitted", "invocation_intended", "invocation_ended"] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        let text = json!(all).to_string();
        assert!(text.contains("mark-of-alice") && text.contains(&jobs[0]), "{text}");
        for foreign in ["bob", jobs[1].as_str(), "127.0.0.1", "agent", "controller_started", "policy_changed"]
        {
            assert!(!text.contains(foreign), "{foreign} in {text}");
        }
        for query in [
            format!("job:{}", jobs[1]),
            "who:user:bob".into(),
            "command:mark-of-bob".into(),
            "kind:agent_connected".into(),
            "kind:audit_read".into(),
        ] {
            assert_eq!(found(&bridge, era, "alice", &query).await, Vec::<Value>::new(), "{query}");
        }
        assert!(found(&bridge, era, "carol", "").await.is_empty());
        let mine = found(&bridge, era, "bob", &format!("job:{} kind:invocation_ended", jobs[1])).await;
        assert_eq!((mine.len(), &mine[0]["outcome"]), (1, &json!("SUCCEEDED")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_itself_recorded_with_its_query_and_who_asked() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    found(&bridge, Era::Stateless, "alice", "kind:job_submitted").await;
    let records = world.lictor(&["audit", "search", "--kind", "audit_read", "--output", "json"]).unwrap();
    let text = String::from_utf8_lossy(&records.stdout).into_owned();
    assert!(text.contains("user:alice") && text.contains("kind:job_submitted"), "{text}");
}
