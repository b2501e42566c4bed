//! One site in a directory: files, identity, a controller, an sshd, and the agent between them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use lictor_agent::{AgentConfig, AgentError};
use lictor_certs::signer::{Purpose, SigningKey};
use lictor_core::{
    command::Command,
    grant::{Grant, GrantTarget},
    id::{GrantId, InvocationId, JobId},
    job::Limits,
    limits::GRANT_VALIDITY,
    principal::{Identity, Principal, PrincipalKind, Via},
};
use lictor_proto::pb::{self, controller_message::Message as ToAgent};
use lictor_runtime::shutdown::Shutdown;
use prost::Message as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    controller::{FakeController, Session, identity, now},
    sshd::Sshd,
};

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) sshd: Sshd,
    pub(crate) controller: FakeController,
    pub(crate) key: SigningKey,
}

pub(crate) struct Agent {
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<Result<(), AgentError>>,
}

pub(crate) fn agent_identity() -> Identity {
    Identity::Agent {
        tenant: "acme".parse().unwrap(),
        site: "eu".parse().unwrap(),
        name: "a1".parse().unwrap(),
    }
}

pub(crate) fn secret_file(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_sshd("").await
    }

    pub(crate) async fn with_sshd(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sshd_dir = dir.path().join("sshd");
        fs::create_dir(&sshd_dir).unwrap();
        let sshd = Sshd::start(&sshd_dir, extra).await;
        let controller = FakeController::start(dir.path()).await;
        let key = SigningKey::generate().unwrap();
        let world = Self { dir, sshd, controller, key };
        world.write_agent_yml(4);
        let ids = world.path("identity");
        identity(&world.controller.authority, &ids, "agent", &agent_identity(), Duration::from_secs(3600));
        fs::write(ids.join("controller-grant.pub"), format!("{}\n", world.key.public_key())).unwrap();
        world.write_hosts("");
        let user_key = sshd_dir.join("user_key").display().to_string();
        world.write_credentials(&format!("  - {{name: key, key_file: {user_key}}}\n"));
        fs::write(world.path("known_hosts"), world.sshd.known_hosts_line("host_ed25519")).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write_agent_yml(&self, concurrency: usize) {
        let text = format!(
            "controller: {}\nstate_dir: state\nidentity_dir: identity\nhosts: hosts.yml\ncredentials: credentials.yml\n\
             known_hosts: known_hosts\nmax_concurrency: {concurrency}\n",
            self.controller.address
        );
        fs::write(self.path("agent.yml"), text).unwrap();
    }

    /// `web-1` is the sshd; `more` are further entries.
    pub(crate) fn write_hosts(&self, more: &str) {
        let port = self.sshd.port;
        let text = format!(
            "hosts:\n  - {{alias: web-1, address: 127.0.0.1, port: {port}, user: root, credential: key, tags: [web]}}\n{more}"
        );
        fs::write(self.path("hosts.yml"), text).unwrap();
    }

    pub(crate) fn write_credentials(&self, entries: &str) {
        secret_file(&self.path("credentials.yml"), &format!("credentials:\n{entries}"));
    }

    pub(crate) fn config(&self) -> AgentConfig {
        AgentConfig::load(&self.path("agent.yml")).unwrap()
    }

    pub(crate) fn start(&self) -> Agent {
        let shutdown = Shutdown::new();
        let task = tokio::spawn(lictor_agent::run(self.config(), shutdown.clone()));
        Agent { shutdown, task }
    }

    /// A valid grant of `argv` on `host`, as the session's controller would make it.
    pub(crate) fn grant(&self, session: &Session, host: &str, argv: &[&str]) -> Grant {
        // Tests share this machine's processes, and invocations are told apart by what marks them.
        let job = JobId::from_bytes(rand::random());
        let target = GrantTarget {
            invocation: InvocationId::derive(job, host, 1),
            host: host.parse().unwrap(),
            attempt: 1,
            limits: Limits { timeout: Duration::from_secs(60), output_bytes: 256 * 1024 },
            networks_allowed: Vec::new(),
            networks_denied: Vec::new(),
        };
        Grant {
            id: GrantId::from_bytes(rand::random()),
            tenant: "acme".parse().unwrap(),
            site: "eu".parse().unwrap(),
            agent: "a1".parse().unwrap(),
            epoch: session.epoch,
            job,
            principal: Principal {
                tenant: "acme".parse().unwrap(),
                kind: PrincipalKind::User,
                name: "ops".parse().unwrap(),
            },
            via: Via::Cli,
            command: Command::from_argv(argv).unwrap(),
            context: lictor_core::context::Context::default(),
            policy_version: 1,
            not_before: now(),
            not_after: now().plus(GRANT_VALIDITY),
            targets: vec![target],
            detached: false,
        }
    }

    pub(crate) fn sign(&self, grant: &Grant) -> pb::Offer {
        let bytes = pb::Grant::from(grant).encode_to_vec();
        let signature = self.key.sign(Purpose::Grant, &bytes).to_vec();
        pb::Offer { grant: bytes.into(), signature }
    }

    /// Offers the grant and gives its first invocation.
    pub(crate) async fn offer(&self, session: &Session, grant: &Grant) -> String {
        session.say(ToAgent::Offer(self.sign(grant))).await;
        grant.targets[0].invocation.to_string()
    }

    /// Runs `argv` on `web-1` to its end.
    pub(crate) async fn run(&mut self, session: &mut Session, argv: &[&str]) -> pb::InvocationResult {
        self.run_on(session, "web-1", argv).await
    }

    pub(crate) async fn run_on(
        &mut self,
        session: &mut Session,
        host: &str,
        argv: &[&str],
    ) -> pb::InvocationResult {
        let grant = self.grant(session, host, argv);
        let id = self.offer(session, &grant).await;
        session.result(&id).await
    }
}

impl Agent {
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.task.await.unwrap().unwrap();
    }
}

pub(crate) fn kind(result: &pb::InvocationResult) -> pb::OutcomeKind {
    pb::OutcomeKind::try_from(result.outcome.as_ref().unwrap().kind).unwrap()
}

pub(crate) fn reason(result: &pb::InvocationResult) -> &str {
    &result.outcome.as_ref().unwrap().reason
}

pub(crate) fn text(result: &pb::InvocationResult) -> (String, String) {
    let output = result.output.clone().unwrap();
    let whole = |s: pb::StreamSummary| String::from_utf8([s.head, s.tail].concat()).unwrap();
    (whole(output.stdout.unwrap()), whole(output.stderr.unwrap()))
}

/// Whether a process with exactly these arguments is alive on this machine.
pub(crate) fn alive(argv: &[&str]) -> bool {
    pid_of(argv).is_some()
}

/// The number of the process with exactly these arguments.
pub(crate) fn pid_of(argv: &[&str]) -> Option<String> {
    let wanted: Vec<u8> = argv.iter().flat_map(|a| a.bytes().chain([0])).collect();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|c| c == wanted))
        .find_map(|entry| entry.file_name().into_string().ok())
}
