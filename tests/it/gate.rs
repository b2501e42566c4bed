//! The door of the API: roles, unknown values, sizes; over the wire with real certificates.

use std::collections::BTreeSet;

use lictor_core::id::JobId;
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
    let administers = ["/Put", "PolicyService/Get", "ListAgents", "CreateJoinToken", "AuditService"];
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
