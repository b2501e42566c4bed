//! What a caller is not told of is as absent: every answer about a hidden host, byte for byte.

use std::fs;

use lictor_client::connect::Client;
use lictor_core::{
    job::{CommandInput, JobSpec, Origin, Target},
    principal::Via,
};
use lictor_tests::{
    World,
    issuer::Issuer,
    mcp::McpClient,
    mcp_http::{Era, HttpBridge, Sent},
    process::eventually,
    world::{POLICY, expect},
};
use serde_json::{Value, json};

/// Assistants are told of one of the two hosts.
const VISIBLE: &str = "visible:\n  - { who: { services: [mcp] }, where: { tags: [web] } }\n";
/// Targets that mean the hidden host, alone or among others, or nearly.
const ALIASES: [&str; 3] = ["vault-1", "vualt-1", "vault"];
const TAGS: [&str; 3] = ["secret", "secrte", "all"];
const EXPRESSIONS: [&str; 11] = [
    "all",
    "vault-1",
    "host:vault-*",
    "host:vualt-*",
    "tag:secret",
    "not tag:secret",
    "tag:secrte or tag:web",
    "label:role=vault",
    "label:role=valut",
    "not label:rol",
    "all and not host:web-1",
];

/// A host that is there, and one of which assistants are not told.
async fn world() -> World {
    let world = World::prepare(&["web-1", "vault-1"]).unwrap();
    inventory(&world, true);
    world.set_up().await.unwrap()
}

/// The inventory, with the hidden host or without it.
fn inventory(world: &World, with_hidden: bool) {
    let path = world.home().join("hosts.yml");
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().filter(|line| with_hidden || !line.contains("vault-1"));
    let lines = lines.map(|line| {
        let secret = line.contains("alias: vault-1");
        let what = if secret { "tags: [all, secret], labels: { role: vault }" } else { "tags: [all, web]" };
        line.replace("tags: [all]", what)
    });
    fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

fn put_policy(world: &World, text: &str) {
    let file = world.file("new-policy.yml");
    fs::write(&file, text).unwrap();
    expect(&world.lictor(&["policy", "put", &file.display().to_string(), "--yes"]).unwrap()).unwrap();
}

fn targets() -> Vec<Target> {
    let mut targets: Vec<Target> = TAGS.iter().map(|tag| Target::Tag(tag.parse().unwrap())).collect();
    targets.extend(ALIASES.iter().map(|alias| Target::Hosts(vec![alias.parse().unwrap()])));
    targets.push(Target::Hosts(vec!["web-1".parse().unwrap(), "vault-1".parse().unwrap()]));
    targets.extend(EXPRESSIONS.iter().map(|text| Target::Expression(text.parse().unwrap())));
    targets
}

/// Every answer of the controller.
async fn of_controller(client: &Client) -> Vec<String> {
    let mut all = vec![
        format!("sites {:?}", client.sites().await),
        format!("hosts {:?}", client.hosts(None).await),
        format!("jobs {:?}", client.list_jobs(10, None).await),
    ];
    for alias in ALIASES {
        all.push(format!("host {alias} {:?}", client.host(&alias.parse().unwrap()).await));
    }
    for tag in TAGS {
        all.push(format!("tag {tag} {:?}", client.hosts(Some(&tag.parse().unwrap())).await));
    }
    for text in EXPRESSIONS {
        all.push(format!("match {text} {:?}", client.hosts_meant_by(&text.parse().unwrap()).await));
    }
    for target in targets() {
        let command = |words: &[&str]| CommandInput::Argv(words.iter().map(ToString::to_string).collect());
        let spec = |words: &[&str]| JobSpec::new(target.clone(), command(words), Origin::new(Via::Api, "t"));
        all.push(format!("plan {target:?} {:?}", client.plan(&spec(&["true"])).await));
        // Refused wherever it is asked for, so that no answer has the name of a job.
        let refused = client.run(&spec(&["rm", "x"])).await.map(|_| "a job");
        all.push(format!("run {target:?} {refused:?}"));
    }
    all
}

/// Every request of MCP that can name hosts, and those that count them.
fn requests() -> Vec<(&'static str, Value)> {
    let mut calls = vec![
        ("ssh_ping", json!({})),
        ("ssh_reload_config", json!({})),
        ("ssh_list_hosts", json!({})),
        ("ssh_list_jobs", json!({})),
    ];
    for alias in ALIASES {
        calls.extend([
            ("ssh_describe_host", json!({"alias": alias})),
            ("ssh_plan", json!({"alias": alias, "command": "true"})),
            ("ssh_explain_denial", json!({"alias": alias, "command": "rm x"})),
            ("ssh_run", json!({"alias": alias, "command": "true"})),
            ("ssh_run_async", json!({"alias": alias, "command": "true"})),
            ("ssh_upload", json!({"alias": alias, "path": "/tmp/x", "text": "x"})),
            ("ssh_download", json!({"alias": alias, "path": "/tmp/x"})),
        ]);
    }
    for tag in TAGS {
        calls.extend([
            ("ssh_list_hosts", json!({"tag": tag})),
            ("ssh_plan", json!({"tag": tag, "command": "true"})),
            ("ssh_run_on_tag", json!({"tag": tag, "command": "rm x"})),
            ("ssh_run_async", json!({"tag": tag, "command": "rm x"})),
        ]);
    }
    for text in EXPRESSIONS {
        calls.extend([
            ("ssh_list_hosts", json!({"match": text})),
            ("ssh_plan", json!({"match": text, "command": "true"})),
            ("ssh_run_on_tag", json!({"match": text, "command": "rm x"})),
        ]);
    }
    // Where nobody is asked, and where somebody could be.
    let caps = [json!({}), json!({"elicitation": {"form": {}}})];
    let mut requests: Vec<(&str, Value)> = Vec::new();
    for (tool, arguments) in calls {
        for caps in &caps {
            let meta = json!({"io.modelcontextprotocol/clientCapabilities": caps});
            requests.push(("tools/call", json!({"name": tool, "arguments": arguments, "_meta": meta})));
        }
    }
    for uri in ["ssh://hosts", "ssh://tags", "ssh://capabilities", "ssh://host/vault-1", "ssh://host/vualt-1"]
    {
        requests.push(("resources/read", json!({"uri": uri})));
    }
    for typed in ["", "v", "vault", "vualt-1", "secret", "al"] {
        let argument = |name: &str| json!({"name": name, "value": typed});
        let host = json!({"type": "ref/resource", "uri": "ssh://host/{alias}"});
        requests.push(("completion/complete", json!({"ref": host, "argument": argument("alias")})));
        for (prompt, name) in [("plan_change", "tag"), ("plan_change", "host"), ("ask_for_approval", "hosts")]
        {
            let prompt = json!({"type": "ref/prompt", "name": prompt});
            requests.push(("completion/complete", json!({"ref": prompt, "argument": argument(name)})));
        }
    }
    requests
}

/// The answer without what differs from one request to the next by itself.
fn plain(mut message: Value) -> String {
    message.as_object_mut().unwrap().remove("id");
    let text = message.to_string();
    let mut out = String::new();
    let mut rest = text.as_str();
    // How long a ping took stands in its text, too.
    while let Some((before, after)) = rest.split_once("round_trip_us") {
        out += before;
        rest = after
            .trim_start_matches(|c: char| !c.is_ascii_digit())
            .trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

async fn of_http(bridge: &HttpBridge, era: Era) -> Vec<String> {
    let session = bridge.session(era, None).await.unwrap();
    let sent = Sent { session, ..Sent::default() };
    let mut all = Vec::new();
    for (method, params) in requests() {
        // In a session, what a client can do was said when it began.
        let asked = format!("{era:?} {method} {params}");
        let answer = bridge.send(bridge.method(era, &sent, method, params).unwrap()).await.unwrap();
        let mut message = answer.message().unwrap();
        // The question's seal is fresh each time; what it asks is compared.
        if let Some(result) = message["result"].as_object_mut() {
            result.remove("requestState");
        }
        all.push(format!("{asked} {}", plain(message)));
    }
    all
}

async fn of_stdio(client: &mut McpClient) -> Vec<String> {
    let mut all = Vec::new();
    for (method, mut params) in requests() {
        params.as_object_mut().unwrap().remove("_meta");
        let asked = format!("stdio {method} {params}");
        let answer = client.request(method, params).await;
        let said = answer.map_or_else(|error| error.to_string(), |result| plain(json!({"result": result})));
        all.push(format!("{asked} {said}"));
    }
    all
}

async fn everything(world: &World, bridge: &HttpBridge, client: &mut McpClient) -> Vec<String> {
    let mut all = of_controller(&world.client_as("bridge").unwrap()).await;
    for era in Era::BOTH {
        all.extend(of_http(bridge, era).await);
    }
    all.extend(of_stdio(client).await);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_a_hidden_host_from_an_absent_one() {
    let mut world = world().await;
    let bridge = HttpBridge::start(&world, Issuer::new("key-1").unwrap(), false).await.unwrap();
    let mut client = world.mcp().await.unwrap();
    let told = |answers: &[String], name: &str| answers.iter().filter(|answer| answer.contains(name)).count();

    let open = of_controller(&world.client_as("bridge").unwrap()).await;
    assert!(told(&open, "tags: [\"all\", \"secret\"]") > 0, "told without the section: {open:?}");

    put_policy(&world, &(POLICY.to_owned() + VISIBLE));
    let hidden = everything(&world, &bridge, &mut client).await;
    let operator = world.client().unwrap();
    assert!(operator.host(&"vault-1".parse().unwrap()).await.unwrap().is_some(), "an operator is told of it");

    inventory(&world, false);
    let mut agent = world.agent.take().unwrap();
    agent.kill();
    world.start_agent().await.unwrap();
    let gone = async || operator.host(&"vault-1".parse().unwrap()).await.is_ok_and(|host| host.is_none());
    eventually("the host is no longer in the inventory", gone).await.unwrap();
    let absent = everything(&world, &bridge, &mut client).await;

    assert!(hidden.len() > 300, "{}", hidden.len());
    for (hidden, absent) in hidden.iter().zip(&absent) {
        assert_eq!(hidden, absent);
    }
    assert_eq!(hidden.len(), absent.len());
    assert!(told(&hidden, "web-1") > 50, "what is visible is told of");
    assert!(world.host("vault-1").exec_log().is_empty(), "{}", world.host("vault-1").exec_log());
}
