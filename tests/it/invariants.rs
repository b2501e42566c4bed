//! The invariants of the design, each tried against the whole system with a real sshd. (1 has more in the controller's
//! own tests, where the disk can be taken away; 7 is in `gate`.)

use std::{collections::BTreeMap, fs};

use lictor_core::outcome::Outcome;
use lictor_tests::{
    World,
    world::{files_with, follow, spec},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn invariant_1_what_a_host_was_asked_to_run_has_an_earlier_record_of_the_intent() {
    let world = World::start(&["web-1", "web-2", "web-3"]).await.unwrap();
    let client = world.client().unwrap();
    for n in 0..10 {
        let _ = follow(&client, &spec(&["web-1", "web-2", "web-3"], &["echo", &n.to_string()]).unwrap())
            .await
            .unwrap();
        assert!(client.run(&spec(&["web-1"], &["reboot"]).unwrap()).await.is_err());
    }
    let audit = world.audit().await.unwrap();
    let mut intended: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, record) in audit.iter().enumerate() {
        match record["kind"].as_str().unwrap() {
            "invocation_intended" => {
                assert!(intended.insert(record["invocation"].as_str().unwrap(), index).is_none())
            }
            "invocation_ended" => {
                assert!(ended.insert(record["invocation"].as_str().unwrap(), index).is_none())
            }
            _ => {}
        }
    }
    let mut asked = 0;
    for host in &world.hosts {
        for line in host.exec_log().lines() {
            let invocation = line.split(':').nth(1).unwrap();
            assert!(intended[invocation] < ended[invocation], "{line}");
            asked += 1;
        }
    }
    assert_eq!((asked, intended.len(), ended.len()), (30, 30, 30));
    assert_eq!(audit.iter().filter(|r| r["kind"] == "request_denied").count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_2_what_a_host_receives_is_rendered_from_the_judged_words() {
    let world = World::start(&["web-1"]).await.unwrap();
    let hostile = [
        "$(touch pwned)",
        "`id`",
        "a;b",
        "it's",
        "a\\b",
        "*",
        "~",
        "!x",
        "\"",
        "{a,b}",
        "<(x)",
        "&",
        "ü",
        "",
        "-n",
        "#",
        "2>&1",
    ];
    for word in hostile {
        let ran = world.run("web-1", &["printf", "%s|", word, "end"]).await;
        let ran = ran.unwrap_or_else(|e| panic!("{word}: {e}"));
        let said = ran.invocations()[0].1.stdout.head().to_vec();
        assert_eq!(String::from_utf8_lossy(&said), format!("{word}|end|"), "{word}");
    }
    let client = world.client().unwrap();
    let line = lictor_core::job::JobSpec {
        command: lictor_core::job::CommandInput::Line(
            "echo   \"a  b\"   'c'd   |   cat   -  &&  true".into(),
        ),
        ..spec(&["web-1"], &["x"]).unwrap()
    };
    let ran = follow(&client, &line).await.unwrap();
    assert_eq!(String::from_utf8_lossy(ran.invocations()[0].1.stdout.head()), "a  b cd\n");
    let log = world.host("web-1").exec_log();
    let last = log.lines().last().unwrap();
    assert!(last.ends_with("export LICTOR_INVOCATION; echo 'a  b' cd | cat - && true"), "{last}");
    for line in log.lines() {
        let text = line.split("export LICTOR_INVOCATION; ").nth(1).unwrap();
        let back = lictor_policy::parse_command(&lictor_core::job::CommandInput::Line(text.into())).unwrap();
        assert_eq!(back.render(), text, "what was sent is its own canonical text");
    }
    assert!(!world.host("web-1").file("pwned").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_3_each_invocation_starts_once_and_ends_once_however_often_it_is_asked_for() {
    let world = World::start(&["web-1"]).await.unwrap();
    let client = world.client().unwrap();
    let key = lictor_core::job::IdempotencyKey::new("the-one").unwrap();
    let spec = lictor_core::job::JobSpec {
        idempotency_key: Some(key),
        ..spec(&["web-1"], &["sh", "-c", "sleep 0.2; echo once"]).unwrap()
    };
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let (client, spec) = (client.clone(), spec.clone());
        tasks.push(tokio::spawn(async move { follow(&client, &spec).await.unwrap().invocations()[0].0.id }));
    }
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    let id = ids.first().unwrap().to_string();
    assert_eq!(world.host("web-1").starts_of(&id), 1);
    let audit = world.audit().await.unwrap();
    let ends = audit.iter().filter(|r| r["kind"] == "invocation_ended" && r["invocation"] == id.as_str());
    assert_eq!(ends.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_secrets_stay_at_the_site() {
    const CANARY: &str = "CaNaRy-5e1f-hunter2";
    let mut world = World::prepare(&["web-1"]).unwrap();
    let home = world.home();
    // A credential whose password is the canary, used for a host that refuses it, and a key beside it.
    let mut hosts = fs::read_to_string(home.join("hosts.yml")).unwrap();
    let port = world.host("web-1").port();
    hosts += &format!(
        "  - {{ alias: refused, address: 127.0.0.1, port: {port}, user: nobody, credential: canary, tags: [] }}\n"
    );
    fs::write(home.join("hosts.yml"), hosts).unwrap();
    let mut credentials = fs::read_to_string(home.join("credentials.yml")).unwrap();
    credentials += &format!("  - {{ name: canary, password: \"{CANARY}\" }}\n");
    fs::write(home.join("credentials.yml"), credentials).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    let ran = world.run("web-1", &["true"]).await.unwrap();
    assert_eq!(ran.invocations()[0].0.outcome, Some(Outcome::Succeeded));
    let refused = world.run("refused", &["true"]).await.unwrap();
    assert_eq!(
        refused.invocations()[0].0.outcome.as_ref().unwrap().reason_code(),
        Some("authentication_failed")
    );
    let mut mcp = world.mcp().await.unwrap();
    let answer = mcp.call("ssh_run", json!({"alias": "refused", "command": "true"})).await.unwrap();
    assert_eq!(answer["isError"], true);
    assert!(!answer.to_string().contains(CANARY));
    let described = mcp.call("ssh_describe_host", json!({"alias": "refused"})).await.unwrap();
    assert!(!described.to_string().contains("127.0.0.1"), "addresses are not for models: {described}");

    let key_file = fs::read_to_string(home.join("login.key")).unwrap();
    let key_line = key_file.lines().nth(2).unwrap().to_owned();
    for needle in [CANARY, &key_line] {
        let files = files_with(&home, needle.as_bytes()).unwrap();
        let files: Vec<_> = files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
        assert!(
            files.iter().all(|f| *f == "credentials.yml" || *f == "login.key"),
            "{needle} is in {files:?}"
        );
        assert!(!world.logs().contains(needle));
        let audit = world.audit().await.unwrap();
        assert!(!audit.iter().any(|r| r.to_string().contains(needle)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_10_what_is_too_large_is_refused_or_cut_and_said_so() {
    let world = World::start(&["web-1"]).await.unwrap();
    let client = world.client().unwrap();
    let spec = lictor_core::job::JobSpec {
        output_bytes: Some(1000),
        ..spec(&["web-1"], &["head", "-c", "100000", "/dev/zero"]).unwrap()
    };
    let ran = follow(&client, &spec).await.unwrap();
    let counts = ran.invocations()[0].0.stdout;
    assert_eq!(counts.bytes_total, 100_000);
    assert!(counts.bytes_kept <= 1000 && counts.bytes_kept > 0);
    let digest = lictor_core::digest::Digest::of(&vec![0; 100_000]);
    assert_eq!(counts.digest, Some(digest), "the digest is of the whole stream");
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let mut argv = vec!["echo"];
    argv.extend(many.iter().map(String::as_str));
    assert!(client.run(&lictor_tests::world::spec(&["web-1"], &argv).unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_12_no_tool_or_argument_lifts_the_gate() {
    let world = World::start(&["web-1"]).await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let tools = mcp.request("tools/list", json!({})).await.unwrap();
    let tools = tools["tools"].as_array().unwrap().clone();
    assert!(tools.len() >= 7 && tools.len() <= 20);
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        for word in ["approve", "policy_put", "reload", "token", "grant"] {
            // A name that clients of the predecessor know. It reads; below, it is called.
            let reads = name == "ssh_reload_config" && tool["annotations"]["readOnlyHint"] == true;
            assert!(!name.contains(word) || reads, "{name}");
        }
        for argument in tool["inputSchema"]["properties"].as_object().into_iter().flatten() {
            for word in [
                "force", "confirm", "bypass", "approve", "role", "user", "identity", "policy", "sudo",
                "password", "secret",
            ] {
                assert!(!argument.0.contains(word), "{name} has {}", argument.0);
            }
        }
        assert_eq!(
            tool["inputSchema"]["additionalProperties"],
            Value::Bool(false),
            "{name} takes whatever it is given"
        );
    }
    for arguments in [
        json!({"alias": "web-1", "command": "reboot"}),
        json!({"alias": "web-1", "command": "rm -rf /"}),
        json!({"alias": "web-1", "command": "true\nreboot"}),
        json!({"alias": "web-1", "command": "true && reboot"}),
        json!({"alias": "web-1", "command": "true", "force": true}),
        json!({"alias": "web-1", "command": "true", "user": "root"}),
        json!({"alias": "web-1\nweb-2", "command": "true"}),
        json!({"alias": "-oProxyCommand=reboot", "command": "true"}),
    ] {
        let answer = mcp.call("ssh_run", arguments.clone()).await;
        let refused = answer.map_or(true, |a| a["isError"] == true);
        assert!(refused, "{arguments}");
    }
    assert_eq!(world.host("web-1").exec_log(), "");
    let changes = async || {
        let audit = world.audit().await.unwrap();
        let counted = ["policy_changed", "hosts_reported", "shadow_policy_set"];
        audit.iter().filter(|r| counted.contains(&r["kind"].as_str().unwrap())).count()
    };
    let before = changes().await;
    assert!(mcp.call("ssh_reload_config", json!({})).await.unwrap()["isError"] != true);
    assert_eq!(changes().await, before, "a model reloads nothing");
    let good = mcp.call("ssh_run", json!({"alias": "web-1", "command": "echo hi"})).await.unwrap();
    assert_eq!(good["structuredContent"]["stdout"], "hi\n", "{good}");
}
