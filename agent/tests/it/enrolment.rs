//! Certificates and inventory over time.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lictor_agent::{
    AgentConfig, EXAMPLE_AGENT, EXAMPLE_CREDENTIALS, EXAMPLE_FLOOR, EXAMPLE_HOSTS, site::Site,
};

use lictor_agent::enroll::{self, JoinError};
use lictor_certs::{
    ca::Authority,
    enrolment::{LiveEnrolmentTls, accept_enrolment},
    token::{JoinToken, new_secret},
};
use lictor_core::{digest::Digest, grant::Grant, id::TokenId, principal::Identity};
use lictor_proto::pb::{
    self, OutcomeKind,
    controller_message::Message as ToAgent,
    enroll_service_server::{EnrollService, EnrollServiceServer},
};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    controller::{Io, domain, identity, now},
    sshd::keygen,
    world::{World, agent_identity, alive, kind, reason, secret_file},
};

#[tokio::test]
async fn a_certificate_past_half_of_its_life_is_renewed_with_a_new_key() {
    let mut world = World::new().await;
    let ids = world.path("identity");
    identity(&world.controller.authority, &ids, "agent", &agent_identity(), Duration::from_secs(3600));
    let key = fs::read_to_string(ids.join("agent.key")).unwrap();
    // Written long ago, as far as the file says.
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    fs::File::options().write(true).open(ids.join("agent.pem")).unwrap().set_modified(long_ago).unwrap();
    let agent = world.start();
    let _session = world.controller.session().await;
    // The first attempt may come before the session is up; the files tell when one came through.
    while fs::read_to_string(ids.join("agent.key")).unwrap() == key {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.controller.shared.renewals.load(Ordering::SeqCst) >= 1);
    agent.stop().await;
}

#[tokio::test]
async fn an_agent_that_is_revoked_asks_again_only_with_another_certificate() {
    let mut world = World::new().await;
    let shared = Arc::clone(&world.controller.shared);
    let asked = async |times: u64| {
        while shared.refused.load(Ordering::SeqCst) < times {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let joins = || {
        let (authority, ids) = (&world.controller.authority, world.path("identity"));
        identity(authority, &ids, "agent", &agent_identity(), Duration::from_secs(3600))
    };
    shared.revoked.store(true, Ordering::SeqCst);
    let agent = world.start();
    asked(1).await;
    joins();
    asked(2).await;
    shared.revoked.store(false, Ordering::SeqCst);
    joins();
    let _session = world.controller.session().await;
    assert_eq!(shared.refused.load(Ordering::SeqCst), 2, "once with each certificate");
    agent.stop().await;
}

#[tokio::test]
async fn what_a_revoked_agent_had_accepted_does_not_start_and_what_runs_goes_on() {
    let mut world = World::new().await;
    world.write_agent_yml(1);
    let shared = Arc::clone(&world.controller.shared);
    let agent = world.start();
    let mut session = world.controller.session().await;
    let sleep = format!("60006.{}", std::process::id());
    let first = world.grant(&session, "web-1", &["sleep", &sleep]);
    let first = world.offer(&session, &first).await;
    session.started(&first).await;
    // Started is written down before the command is sent.
    while !alive(&["sleep", &sleep]) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let late = Grant {
        not_after: now().plus(Duration::from_secs(24 * 3600)),
        ..world.grant(&session, "web-1", &["echo", "late"])
    };
    let late = world.offer(&session, &late).await;
    while !session.progress.accepted.contains(&late) {
        session.next().await;
    }
    shared.revoked.store(true, Ordering::SeqCst);
    drop(session);
    while shared.refused.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shared.revoked.store(false, Ordering::SeqCst);
    let ids = world.path("identity");
    identity(&world.controller.authority, &ids, "agent", &agent_identity(), Duration::from_secs(3600));

    let mut session = world.controller.session().await;
    let result = session.result(&late).await;
    let denied = (OutcomeKind::Denied, "AGENT_REVOKED", 0);
    assert_eq!((kind(&result), reason(&result), result.started_at), denied);
    let detail = &result.outcome.as_ref().unwrap().detail;
    assert!(detail.contains("agent eu/a1 was revoked"), "{detail}");
    assert!(alive(&["sleep", &sleep]) && !session.seen_result(&first), "what runs goes on");
    session.stop(&first).await;
    assert_eq!(kind(&session.result(&first).await), OutcomeKind::Killed);
    // As a controller says at the beginning of each session.
    session.say(ToAgent::Frozen(pb::Frozen { version: 1, freezes: Vec::new() })).await;
    assert_eq!(kind(&world.run(&mut session, &["echo", "again"]).await), OutcomeKind::Succeeded);
    agent.stop().await;
}

#[tokio::test]
async fn a_changed_hosts_file_is_reported_and_a_broken_one_changes_nothing() {
    let mut world = World::new().await;
    let agent = world.start();
    let mut session = world.controller.session().await;
    let first = session.hello.inventory.clone().unwrap();
    assert_eq!(first.hosts[0].alias, "web-1");
    assert_eq!(first.hosts[0].tags, ["web"]);
    assert!(first.hosts[0].host_key_fingerprints[0].starts_with("SHA256:"));
    fs::write(world.path("hosts.yml"), "hosts: [{alias: broken").unwrap();
    assert!(Site::load(&world.config().site, 0).is_err());
    world.write_hosts("  - {alias: web-2, address: 127.0.0.2, user: root, credential: key}\n");
    let inventory = session.inventory().await;
    assert_eq!(inventory.hosts.iter().map(|h| h.alias.as_str()).collect::<Vec<_>>(), ["web-1", "web-2"]);
    agent.stop().await;
}

#[test]
fn the_examples_load_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("keys")).unwrap();
    keygen("ed25519", &at("keys/deploy_ed25519"), "");
    fs::write(at("agent.yml"), EXAMPLE_AGENT).unwrap();
    fs::write(at("hosts.yml"), EXAMPLE_HOSTS).unwrap();
    secret_file(&at("credentials.yml"), EXAMPLE_CREDENTIALS);
    fs::write(at("floor.yml"), EXAMPLE_FLOOR).unwrap();
    let config = AgentConfig::load(&at("agent.yml")).unwrap();
    let site = Site::load(&config.site, 0).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(site.hosts.len(), 2);
    assert!(site.floor.is_some());
}

#[test]
fn every_problem_is_reported_with_its_line_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("agent.yml"), EXAMPLE_AGENT.replace("floor: floor.yml", "")).unwrap();
    secret_file(&at("credentials.yml"), "credentials:\n  - {name: good, password: hunter2}\n");
    fs::write(at("hosts.yml"), "hosts:\n  - {alias: -x, address: a, user: u, credential: good}\n  - {alias: b, address: 'b/c', user: u, credential: missing}\n").unwrap();
    fs::write(at("known_hosts"), "nonsense\n").unwrap();
    let config = AgentConfig::load(&at("agent.yml")).unwrap();
    let problems = Site::load(&config.site, 0).unwrap_err();
    let lines: Vec<_> =
        problems.0.iter().map(|p| (p.path.file_name().unwrap().to_str().unwrap(), p.line)).collect();
    assert_eq!(lines, [("hosts.yml", 2), ("hosts.yml", 3), ("hosts.yml", 3), ("known_hosts", 1)]);
    for broken in [
        "credentials:\n  - {name: a, password: hunter2, passwort: x}\n",
        "credentials:\n  - {name: a, password: [hunter2]}\n",
    ] {
        secret_file(&at("credentials.yml"), broken);
        let text = Site::load(&config.site, 0).unwrap_err().to_string();
        assert!(text.contains("credentials.yml:2") && !text.contains("hunter2"), "{text}");
    }
    secret_file(&at("credentials.yml"), "credentials:\n  - {name: good, password: x}\n");
    for broken in [
        "password: hunter2}",
        "credential: good, hunter2: x}",
        "credential: good, port: hunter2}",
        "credential: [hunter2]}",
        "credential: hunter2}",
        "credential: good, tags: {password: hunter2}}",
        "credential: good} hunter2",
    ] {
        fs::write(at("hosts.yml"), format!("hosts:\n  - {{alias: a, address: a, user: u, {broken}\n"))
            .unwrap();
        let text = Site::load(&config.site, 0).unwrap_err().to_string();
        assert!(text.contains("hosts.yml:2: ") && !text.contains("hunter2"), "{broken}: {text}");
    }
    fs::write(at("credentials.yml"), "credentials: []\n").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(at("credentials.yml"), fs::Permissions::from_mode(0o644)).unwrap();
    let text = Site::load(&config.site, 0).unwrap_err().to_string();
    assert!(text.contains("chmod 600"), "{text}");
}

#[tokio::test]
async fn a_join_token_brings_an_identity_once_and_only_from_the_controller_that_made_it() {
    let world = World::new().await;
    let (address, spent) = enrolment_server(&world).await;
    let token = |root| JoinToken {
        id: TokenId::from_bytes([1; 16]),
        secret: new_secret(),
        root,
        tenant: "acme".parse().unwrap(),
        site: "eu".parse().unwrap(),
        agent: "a1".parse().unwrap(),
        address: address.clone(),
    };
    let dir = world.path("joined");
    let foreign = token(Digest::of(b"another root"));
    assert!(matches!(enroll::join(&foreign, &dir).await, Err(JoinError::Connect { .. })));
    assert_eq!(spent.load(Ordering::SeqCst), 0, "the secret was not shown to a stranger");
    let good = token(world.controller.authority.root_fingerprint());
    let joined = enroll::join(&good, &dir).await.unwrap();
    assert_eq!((joined.identity, joined.controller_address.as_str()), (agent_identity(), "c.example:7443"));
    let key = fs::read_to_string(dir.join("controller-grant.pub")).unwrap();
    assert_eq!(key.trim(), world.key.public_key().to_string());
    assert_eq!(
        fs::read_to_string(dir.join("root.pem")).unwrap().trim(),
        world.controller.authority.root_pem().trim()
    );
    assert!(matches!(enroll::join(&good, &dir).await, Err(JoinError::Refused(_))));

    // An answer that does not fit leaves what is there.
    let before = fs::read(dir.join("agent.key")).unwrap();
    let (address, _) = enrolment_server(&world).await;
    let other = JoinToken { agent: "a2".parse().unwrap(), address, ..good };
    assert!(matches!(enroll::join(&other, &dir).await, Err(JoinError::Answer(_))));
    assert_eq!(fs::read(dir.join("agent.key")).unwrap(), before);
    assert!(!dir.join(".joining").exists());
}

/// Serves one enrolment; the next is refused.
async fn enrolment_server(world: &World) -> (String, Arc<AtomicU64>) {
    let who = Identity::Controller { name: "c1".parse().unwrap() };
    let files =
        identity(&world.controller.authority, &world.path("enroll"), "c", &who, Duration::from_secs(3600));
    let tls = Arc::new(LiveEnrolmentTls::load(files).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = accept_enrolment(listener, tls, CancellationToken::new()).map(|io| io.map(Io));
    let spent = Arc::new(AtomicU64::new(0));
    let service = Enrolment {
        spent: Arc::clone(&spent),
        authority: Arc::clone(&world.controller.authority),
        grant_key: world.key.public_key().as_bytes().to_vec(),
    };
    let server = tonic::transport::Server::builder().add_service(EnrollServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(incoming));
    (address, spent)
}

struct Enrolment {
    spent: Arc<AtomicU64>,
    authority: Arc<Authority>,
    grant_key: Vec<u8>,
}

#[tonic::async_trait]
impl EnrollService for Enrolment {
    async fn enroll(
        &self,
        request: Request<pb::EnrollRequest>,
    ) -> Result<Response<pb::EnrollResponse>, Status> {
        if self.spent.fetch_add(1, Ordering::SeqCst) > 0 {
            return Err(Status::permission_denied("it was used"));
        }
        let csr = request.into_inner().csr_pem;
        let issued = self.authority.issue(&csr, &agent_identity(), Duration::from_secs(3600), now()).unwrap();
        Ok(Response::new(pb::EnrollResponse {
            chain_pem: issued.chain_pem,
            root_pem: "not looked at".into(),
            grant_public_key: self.grant_key.clone(),
            trust_domain: domain().as_str().into(),
            controller_address: "c.example:7443".into(),
        }))
    }
}
