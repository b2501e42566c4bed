//! The door of the API: roles, unknown values, sizes; over the wire with real certificates.

use std::{collections::BTreeSet, fs};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::evidence::{verify, verify_text};
use lictor_core::{digest::Digest, id::JobId};
use lictor_proto::{DESCRIPTORS, pb};
use lictor_tests::World;
use prost::Message as _;
use tonic::{Code, client::Grpc, transport::Channel};

/// A channel with the certificate of this name.
fn channel(world: &World, dir: &std::path::Path, name: &str) -> Channel {
    lictor_tests::wire::channel(world.address(), dir, name).unwrap()
}

/// Every method of every service, with whether it takes a stream.
fn methods() -> Vec<(String, bool)> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.push((path, method.client_streaming()));
            }
        }
    }
    methods
}

/// Calls a method with an empty message and answers the code.
async fn call(channel: &Channel, path: &str) -> Code {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = path.parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let request = tonic::Request::new(());
    match grpc.server_streaming(request, path, codec).await {
        Ok(answer) => match answer.into_inner().message().await {
            Ok(_) => Code::Ok,
            Err(status) => status.code(),
        },
        Err(status) => status.code(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_call_operators_methods_nor_they_its_own() {
    let world = World::start(&[]).await.unwrap();
    let identity = world.home().join("identity");
    let agent_dir = if identity.join("agent").is_dir() { identity.join("agent") } else { identity.clone() };
    let callers = [
        ("agent", channel(&world, &agent_dir, "agent")),
        ("bridge", channel(&world, &identity, "bridge")),
        ("operator", channel(&world, &identity, "operator")),
    ];
    let administers = [
        "PolicyService/Put",
        "PolicyService/Get",
        "ListAgents",
        "CreateJoinToken",
        "AuditService",
        "FreezeService",
        "ApprovalService",
    ];
    let mut refused = BTreeSet::new();
    for (path, _) in methods() {
        for (who, channel) in &callers {
            let link = path.contains(".AgentLink/");
            let may = match *who {
                "agent" => link,
                "bridge" => !link && !administers.iter().any(|a| path.contains(a)),
                _ => !link,
            };
            if path.contains("EnrollService") {
                // Not served on this listener at all.
                assert_eq!(call(channel, &path).await, Code::PermissionDenied, "{who} {path}");
                continue;
            }
            if !may {
                assert_eq!(call(channel, &path).await, Code::PermissionDenied, "{who} {path}");
                refused.insert((*who, path.clone()));
            }
        }
    }
    assert!(refused.len() > 20, "{refused:?}");
    lictor_tests::process::eventually("refused calls are in the audit", async || {
        let audit = world.audit().await.unwrap();
        let calls = audit.iter().filter(|r| r["kind"] == "call_refused");
        let seen: BTreeSet<_> = calls.map(|r| r["method"].as_str().unwrap().to_owned()).collect();
        refused.iter().all(|(_, path)| seen.contains(path))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_unknown_values_on_the_wire_are_refused() {
    let world = World::start(&["web-1"]).await.unwrap();
    let channel = channel(&world, &world.home().join("identity"), "operator");
    let mut jobs = pb::job_service_client::JobServiceClient::new(channel.clone());
    let good = pb::SubmitRequest {
        target: Some(pb::Target {
            kind: Some(pb::target::Kind::Hosts(pb::HostList { aliases: vec!["web-1".into()] })),
        }),
        command: Some(pb::CommandInput {
            form: Some(pb::command_input::Form::Argv(pb::Argv { words: vec!["true".into()] })),
        }),
        origin: Some(pb::Origin { via: pb::Via::Api.into(), client: "test".into() }),
        ..pb::SubmitRequest::default()
    };
    let origin = |via| Some(pb::Origin { via, client: String::new() });
    let target = |kind| Some(pb::Target { kind });
    let hosts = |aliases: &[&str]| {
        target(Some(pb::target::Kind::Hosts(pb::HostList {
            aliases: aliases.iter().map(ToString::to_string).collect(),
        })))
    };
    for (what, bad) in [
        ("no door", pb::SubmitRequest { origin: origin(0), ..good.clone() }),
        ("unknown door", pb::SubmitRequest { origin: origin(99), ..good.clone() }),
        ("no origin", pb::SubmitRequest { origin: None, ..good.clone() }),
        ("no target", pb::SubmitRequest { target: None, ..good.clone() }),
        ("target of an unknown kind", pb::SubmitRequest { target: target(None), ..good.clone() }),
        ("no hosts", pb::SubmitRequest { target: hosts(&[]), ..good.clone() }),
        (
            "an alias that is an option",
            pb::SubmitRequest { target: hosts(&["-oProxyCommand=x"]), ..good.clone() },
        ),
        ("no command", pb::SubmitRequest { command: None, ..good.clone() }),
        (
            "a command of an unknown form",
            pb::SubmitRequest { command: Some(pb::CommandInput { form: None }), ..good.clone() },
        ),
        ("no time", pb::SubmitRequest { timeout_ms: Some(0), ..good.clone() }),
        ("a key with a space", pb::SubmitRequest { idempotency_key: Some("a b".into()), ..good.clone() }),
        (
            "a key that is too long",
            pb::SubmitRequest { idempotency_key: Some("k".repeat(129)), ..good.clone() },
        ),
    ] {
        let refused = jobs.submit(bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{what}: {refused}");
    }
    for stream in [0, 3] {
        let request = pb::ReadOutputRequest {
            invocation_id: "inv_00000000000000000000000000".into(),
            stream,
            ..Default::default()
        };
        assert_eq!(jobs.read_output(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let huge = pb::SubmitRequest { idempotency_key: Some("k".repeat(2 << 20)), ..good.clone() };
    assert_eq!(jobs.submit(huge).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(world.host("web-1").exec_log(), "");
    jobs.submit(good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_sees_its_own_jobs_and_nobody_elses() {
    let world = World::start(&["web-1"]).await.unwrap();
    let mine = world.run("web-1", &["true"]).await.unwrap();
    let id = mine.job().unwrap().id;
    let bridge = world.client_as("bridge").unwrap();
    let nowhere = JobId::from_bytes([3; 16]);
    let (hidden, absent) = (bridge.cancel(id).await.unwrap_err(), bridge.cancel(nowhere).await.unwrap_err());
    assert_eq!(hidden.code, absent.code);
    assert_eq!(hidden.message.replace(&id.to_string(), ""), absent.message.replace(&nowhere.to_string(), ""));
    assert_eq!(bridge.list_jobs(10, None).await.unwrap().jobs.len(), 0);
}

/// A system whose site has this floor.
async fn world_with_floor(aliases: &[&str], floor: &str) -> World {
    let mut world = World::prepare(aliases).unwrap();
    fs::write(world.home().join("floor.yml"), floor).unwrap();
    let config = world.home().join("agent.yml");
    let text = fs::read_to_string(&config).unwrap();
    let without = text.lines().filter(|line| !line.starts_with("floor:")).collect::<Vec<_>>().join("\n");
    fs::write(&config, without + "\nfloor: floor.yml\n").unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    world.start_agent().await.unwrap();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_what_the_floor_refuses_does_not_run_and_the_audit_proves_who_refused_it() {
    let floor =
        "version: 1\nrules:\n  - {id: look, effect: allow, where: all, commands: [\"true\", echo fine]}\n";
    let world = world_with_floor(&["web-1", "web-2"], floor).await;
    let policy_allows = world.run("web-1", &["echo", "fine"]).await.unwrap();
    assert_eq!(policy_allows.job().unwrap().counts.succeeded, 1);
    let client = world.client().unwrap();
    let refused = lictor_tests::world::follow(
        &client,
        &lictor_tests::world::spec(&["web-1", "web-2"], &["echo", "worse"]).unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(refused.job().unwrap().counts.not_run, 2);
    assert!(!world.host("web-1").exec_log().contains("worse"));

    let audit = world.audit().await.unwrap();
    let text = |record: &serde_json::Value, name: &str| record[name].as_str().unwrap().to_owned();
    let bytes = |record: &serde_json::Value, name: &str| STANDARD.decode(text(record, name)).unwrap();
    let proofs: Vec<(usize, _)> =
        audit.iter().enumerate().filter(|(_, r)| r["kind"] == "grant_refused").collect();
    assert_eq!(proofs.len(), 2, "{}", world.logs());
    for (index, record) in proofs {
        let said =
            verify_text(&text(record, "statement"), &text(record, "signature"), &text(record, "agent_key"))
                .unwrap();
        assert_eq!(said.invocation.to_string(), text(record, "invocation"));
        assert_eq!((said.site.as_str(), said.agent.as_str()), ("local", "local"));
        assert_eq!(said.code, "FLOOR_DENIED");
        assert_eq!(said.floor, Some(Digest::of(floor.as_bytes())));
        assert_eq!(record["floor_digest"], said.floor.unwrap().to_string());
        assert_eq!(record["grant_digest"], said.grant.to_string());
        assert_eq!(text(record, "agent_certificate"), own_fingerprint(&world));
        // The end that it proves lies before it, in the same commit.
        let end = &audit[index - 1];
        assert_eq!((&end["kind"], &end["invocation"]), (&"invocation_ended".into(), &record["invocation"]));
        assert_eq!((&end["outcome"], &end["ran"]), (&"DENIED".into(), &"not_run".into()));
        assert!(text(end, "detail").contains(&said.reason));
        let (statement, signature, key) =
            (bytes(record, "statement"), bytes(record, "signature"), bytes(record, "agent_key"));
        for at in 0..statement.len() {
            let mut altered = statement.clone();
            altered[at] ^= 1;
            assert!(verify(&altered, &signature, &key).is_err(), "byte {at} of the statement");
        }
        for at in 0..signature.len() {
            let mut altered = signature.clone();
            altered[at] ^= 1;
            assert!(verify(&statement, &altered, &key).is_err(), "byte {at} of the signature");
        }
    }
    assert!(!audit.iter().any(|r| r["kind"] == "evidence_invalid"));
    let verified = world.lictor(&["audit", "verify"]).unwrap();
    lictor_tests::world::expect(&verified).unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(said.contains("2 by sites, each signed by the agent that refused"), "{said}");
}

/// The fingerprint of the agent's certificate, as its own machine has it.
fn own_fingerprint(world: &World) -> String {
    let identity = world.home().join("identity");
    let dir = if identity.join("agent").is_dir() { identity.join("agent") } else { identity };
    let pem = fs::read_to_string(dir.join("agent.pem")).unwrap();
    let body = pem.split("-----").nth(2).unwrap();
    Digest::of(&STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_not_start_with_a_floor_that_promises_what_only_a_controller_can_do() {
    let world = World::prepare(&["web-1"]).unwrap();
    let floor = "version: 1\nquotas: [{id: q, running: 3}]\nrules: []\n";
    fs::write(world.home().join("floor.yml"), floor).unwrap();
    let config = world.home().join("agent.yml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "\nfloor: floor.yml\n").unwrap();
    let agent = lictor_tests::binaries::path("lictor-agent").unwrap();
    let checked = std::process::Command::new(agent)
        .args(["check", "--config", &config.display().to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success());
    assert!(said.contains("floor.yml") && said.contains("`quotas`"), "{said}");
}
