//! A controller, an agent and hosts, set up as a person would set them up: `lictor init`, files, `host scan`, join.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use anyhow::Context as _;
use lictor_cli::demo::{ports::free_pair, sshd::current_user};
use lictor_client::{
    collect::{Collector, Keep},
    connect::{Client, ClientConfig},
    operator::{AgentState, AgentView, Operator},
};
use lictor_core::{
    job::{CommandInput, JobSpec, Origin, Target},
    name::{AgentName, HostAlias, SiteName},
    principal::Via,
};
use russh::keys::{PrivateKey, ssh_key::LineEnding};
use tempfile::TempDir;

use crate::{
    binaries,
    hosts::{Host, new_key},
    mcp::McpClient,
    process::{Process, eventually},
};

/// The policy that most tests use: a handful of programs with whatever arguments, each literal.
pub const POLICY: &str = r#"version: 1
limits: { timeout: 60s, output: 1MiB }
rules:
  - id: tests
    effect: allow
    where: all
    acknowledge: [starts-programs, leading-dash]
    commands:
      - "true"
      - "false"
      - echo [<any>...]
      - sleep <re:[0-9.]+>
      - head -c <int:0..2147483648> /dev/zero
      - cat <any>
      - cat -
      - sh -c <any>
      - printf <any> [<re:.*>...]
  - id: never
    effect: deny
    where: all
    commands: [rm]
"#;

/// A whole system.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
    /// Its hosts.
    pub hosts: Vec<Host>,
    /// The key that may log in to them.
    pub login: Arc<PrivateKey>,
    /// The controller's process.
    pub controller: Option<Process>,
    /// The agent's process.
    pub agent: Option<Process>,
    address: String,
}

impl World {
    /// A system with hosts of these aliases; every host has the tag `all`.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn start(aliases: &[&str]) -> anyhow::Result<Self> {
        Self::prepare(aliases)?.set_up().await
    }

    /// Starts everything of a prepared system.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn set_up(self) -> anyhow::Result<Self> {
        let mut world = self;
        world.scan()?;
        world.start_controller().await?;
        world.join()?;
        world.start_agent().await?;
        Ok(world)
    }

    /// Lets commands run for ten minutes instead of one, for those that take as long as the machine does.
    ///
    /// # Errors
    /// When the policy cannot be written.
    pub fn allow_ten_minutes(&self) -> anyhow::Result<()> {
        let policy = self.home().join("policy.yml");
        let text = fs::read_to_string(&policy)?;
        anyhow::ensure!(text.contains("timeout: 60s"), "the policy is another one");
        Ok(fs::write(&policy, text.replace("timeout: 60s", "timeout: 600s"))?)
    }

    /// Lets files be put into a directory of this system's own, and fetched from it; answers which.
    ///
    /// # Errors
    /// When the policy cannot be written.
    pub fn allow_files(&self) -> anyhow::Result<PathBuf> {
        let files = self.file("files");
        fs::create_dir_all(&files)?;
        let place = files.display();
        let rule = format!(
            "  - {{id: files, effect: allow, where: all, stdin: true, commands: ['lictor:upload <path:{place}>', 'lictor:download <path:{place}>']}}\n"
        );
        let policy = self.home().join("policy.yml");
        let text = fs::read_to_string(&policy)? + &rule;
        fs::write(&policy, text)?;
        Ok(files)
    }

    /// The directory and the hosts; nothing of Lictor runs yet and no host key is pinned.
    ///
    /// # Errors
    /// When a host does not start.
    pub fn prepare(aliases: &[&str]) -> anyhow::Result<Self> {
        Self::prepare_hosts(aliases, true)
    }

    /// As [`Self::prepare`], with hosts that keep no exec log: for figures.
    ///
    /// # Errors
    /// When a host does not start.
    pub fn prepare_unlogged(aliases: &[&str]) -> anyhow::Result<Self> {
        Self::prepare_hosts(aliases, false)
    }

    fn prepare_hosts(aliases: &[&str], logged: bool) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let login = Arc::new(new_key()?);
        let mut hosts = Vec::new();
        for alias in aliases {
            hosts.push(Host::start(
                alias,
                &dir.path().join("hosts").join(alias),
                login.public_key(),
                logged,
            )?);
        }
        let address = format!("127.0.0.1:{}", free_pair()?);
        let world = Self { dir, hosts, login, controller: None, agent: None, address };
        let home = world.home().display().to_string();
        expect(&world.lictor(&["init", &home, "--listen", &world.address])?)?;
        world.write_files()?;
        Ok(world)
    }

    fn write_files(&self) -> anyhow::Result<()> {
        let home = self.home();
        let key = home.join("login.key");
        self.login.write_openssh_file(&key, LineEnding::LF)?;
        let user = current_user()?;
        let mut hosts = String::from(if self.hosts.is_empty() { "hosts: []\n" } else { "hosts:\n" });
        for host in &self.hosts {
            hosts += &format!(
                "  - {{ alias: {}, address: 127.0.0.1, port: {}, user: {user}, credential: login, tags: [all] }}\n",
                host.alias,
                host.port()
            );
        }
        fs::write(home.join("hosts.yml"), hosts)?;
        fs::write(
            home.join("credentials.yml"),
            format!("credentials:\n  - {{ name: login, key_file: {} }}\n", key.display()),
        )?;
        Ok(fs::write(home.join("policy.yml"), POLICY)?)
    }

    /// The directory that `lictor init` made.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }
    /// A file that lives as long as this system.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    /// The host with this alias.
    ///
    /// # Panics
    /// When there is none.
    #[allow(clippy::panic, reason = "a mistake in the test itself")]
    pub fn host(&self, alias: &str) -> &Host {
        self.hosts.iter().find(|h| h.alias == alias).unwrap_or_else(|| panic!("no host {alias} in this test"))
    }

    /// Runs `lictor` with `--dir`, to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn lictor(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = std::process::Command::new(binaries::path("lictor")?);
        command.env_remove("LICTOR_DIR").env("NO_COLOR", "1");
        if arguments.first() != Some(&"init") {
            command.arg("--dir").arg(self.home());
        }
        Ok(command.args(arguments).output()?)
    }

    /// Makes a certificate for another operator of this name, for [`Self::client_as`].
    ///
    /// # Errors
    /// When it cannot be issued.
    pub fn issue_operator(&self, name: &str) -> anyhow::Result<()> {
        let path = |file: &str| self.home().join(file).display().to_string();
        let mut command = std::process::Command::new(binaries::path("lictor-certs")?);
        command.args(["issue", &path("pki"), "--user", name, "--out", &path("identity")]);
        expect(&command.args(["--passphrase-file", &path("pki/passphrase")]).output()?)
    }

    /// Pins every host's key.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn scan(&self) -> anyhow::Result<()> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        expect(&self.lictor(&["host", "scan", "--all", "--accept"])?).with_context(|| {
            let said = |host: &Host| format!("sshd of {} said:\n{}", host.alias, host.sshd_log());
            self.hosts.iter().map(said).collect::<Vec<_>>().join("\n")
        })
    }

    /// Starts the controller and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start_controller(&mut self) -> anyhow::Result<()> {
        let config = self.home().join("controller.yml").display().to_string();
        let program = binaries::path("lictor-controller")?;
        self.controller =
            Some(Process::start(&program, &["--config", &config], &self.file("controller.log"))?);
        self.controller_answers().await
    }

    /// Waits until the controller answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn controller_answers(&self) -> anyhow::Result<()> {
        let operator = self.operator()?;
        eventually("the controller answers", async || operator.agents().await.is_ok())
            .await
            .with_context(|| self.logs())
    }

    /// Lets the agent join with a token.
    ///
    /// # Errors
    /// When it may not.
    pub fn join(&self) -> anyhow::Result<()> {
        let made =
            self.lictor(&["--output", "json", "agent", "token", "--site", "local", "--name", "local"])?;
        expect(&made)?;
        let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
        let token = made["token"].as_str().context("no token")?;
        let config = self.home().join("agent.yml").display().to_string();
        let agent = std::process::Command::new(binaries::path("lictor-agent")?);
        expect(&{ agent }.args(["join", "--config", &config, "--token", token]).output()?)
    }

    /// Starts the agent and waits until it is connected.
    ///
    /// # Errors
    /// When it does not connect.
    pub async fn start_agent(&mut self) -> anyhow::Result<()> {
        let epoch = |agents: &[AgentView]| agents.iter().map(|agent| agent.epoch).max().unwrap_or(0);
        let operator = self.operator()?;
        let before = operator.agents().await.map_or(0, |agents| epoch(&agents));
        self.spawn_agent()?;
        // A session that has died may still be shown for a moment.
        let came = async || operator.agents().await.is_ok_and(|agents| epoch(&agents) > before);
        eventually("the agent comes", came).await.with_context(|| self.logs())?;
        self.agent_connected().await
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_agent(&mut self) -> anyhow::Result<()> {
        let config = self.home().join("agent.yml").display().to_string();
        let program = binaries::path("lictor-agent")?;
        self.agent = Some(Process::start(&program, &["run", "--config", &config], &self.file("agent.log"))?);
        Ok(())
    }

    /// Waits until the agent is connected.
    ///
    /// # Errors
    /// When it never is.
    pub async fn agent_connected(&self) -> anyhow::Result<()> {
        let operator = self.operator()?;
        let connected = async || match operator.agents().await {
            Ok(agents) => agents.iter().any(|a| a.state == AgentState::Connected),
            Err(_) => false,
        };
        eventually("the agent connects", connected).await.with_context(|| self.logs())
    }

    /// A client with the operator's certificate.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn client(&self) -> anyhow::Result<Client> {
        self.client_as("operator")
    }
    /// A client with one of the certificates in `identity`.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn client_as(&self, name: &str) -> anyhow::Result<Client> {
        Ok(Client::connect(ClientConfig::in_dir(self.address.clone(), &self.home().join("identity"), name))?)
    }
    /// The operator's calls.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn operator(&self) -> anyhow::Result<Operator> {
        Ok(Operator::new(self.client()?))
    }
    /// Where the controller serves.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// An MCP client with a bridge of its own.
    ///
    /// # Errors
    /// When the bridge does not start.
    pub async fn mcp(&self) -> anyhow::Result<McpClient> {
        let config = self.home().join("bridge.yml").display().to_string();
        McpClient::start(&binaries::path("lictor-mcp-bridge")?, &["--config", &config]).await
    }

    /// Runs a command on one host and waits for its end.
    ///
    /// # Errors
    /// When it is refused, or the connection is lost.
    pub async fn run(&self, host: &str, argv: &[&str]) -> anyhow::Result<Collector> {
        let client = self.client()?;
        follow(&client, &spec(&[host], argv)?).await
    }

    /// Every audit record, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        let out = self.file("audit-export.jsonl");
        let _ = fs::remove_file(&out);
        let out_text = out.display().to_string();
        expect(&self.lictor(&["audit", "export", "--format", "jsonl", "--out", &out_text])?)?;
        let mut records = Vec::new();
        for line in fs::read_to_string(&out)?.lines() {
            let value: serde_json::Value = serde_json::from_str(line)?;
            records.push(value);
        }
        Ok(records)
    }

    /// The logs of both processes, for a failed test.
    pub fn logs(&self) -> String {
        let log = |p: &Option<Process>| p.as_ref().map(Process::log).unwrap_or_default();
        format!("--- controller ---\n{}\n--- agent ---\n{}", log(&self.controller), log(&self.agent))
    }
}

/// A request for these hosts.
///
/// # Errors
/// When an alias is not one.
pub fn spec(hosts: &[&str], argv: &[&str]) -> anyhow::Result<JobSpec> {
    Ok(JobSpec::new(
        Target::Hosts(hosts.iter().map(|h| HostAlias::new(h)).collect::<Result<_, _>>()?),
        CommandInput::Argv(argv.iter().map(ToString::to_string).collect()),
        Origin::new(Via::Api, "lictor-tests"),
    ))
}

/// Runs a request and waits for its end.
///
/// # Errors
/// When it is refused, or the connection is lost.
pub async fn follow(client: &Client, spec: &JobSpec) -> anyhow::Result<Collector> {
    let mut stream = client.run(spec).await?;
    let mut collector = Collector::new(Keep::ALL);
    while let Some(update) = stream.next().await? {
        collector.take(update);
    }
    Ok(collector)
}

/// Fails with what the program said, unless it ended well.
///
/// # Errors
/// When it did not.
pub fn expect(output: &Output) -> anyhow::Result<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    Ok(())
}

/// The site and the agent of every test system.
///
/// # Errors
/// Never; the names are valid.
pub fn local() -> anyhow::Result<(SiteName, AgentName)> {
    Ok((SiteName::new("local")?, AgentName::new("local")?))
}

/// A folder below `dir` that is searched for `needle` in every file.
///
/// # Errors
/// When a file cannot be read.
pub fn files_with(dir: &Path, needle: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path)?.windows(needle.len()).any(|w| w == needle) {
                found.push(path);
            }
        }
    }
    Ok(found)
}
