//! What the demo plays on: a controller, two agents that joined with tokens, and their hosts; all real processes.

mod site;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use lictor_client::{connect::Client, operator::AgentState};
use lictor_core::{error::Failure, name::PrincipalName};
use russh::keys::ssh_key::LineEnding;
use tempfile::TempDir;

use self::site::{SITES, Site};
use super::{
    Broken, Screen,
    child::Guarded,
    host::{Host, new_key},
    ports::free_pair,
    processes, sshd,
};
use crate::{
    context::Connected,
    home::Home,
    init::{self, Plan},
};

/// The demo's policy.
const POLICY: &str = include_str!("policy.yml");
/// Longest time for something to become ready.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked at until then.
const READY_LOOK: Duration = Duration::from_millis(15);
/// Rounds of looking for what is still running at the end; each kills what it finds.
const SWEEP_ROUNDS: usize = 50;

/// The stage. Fields are dropped in this order: callers, agents, controller, hosts, whatever is left, the directory.
#[derive(Debug)]
pub(crate) struct Stage {
    connected: Connected,
    sites: Vec<Site>,
    controller: Guarded,
    hosts: Vec<Host>,
    _sweep: Sweep,
    root: TempDir,
}

/// Kills what has the demo's mark in its environment, when it is dropped.
#[derive(Debug)]
struct Sweep(String);

// === impl Stage ===

impl Stage {
    /// Builds the stage; with `built_in`, without OpenSSH.
    pub(crate) async fn build(screen: &Screen, built_in: bool) -> Result<Self, Broken> {
        let root = tempfile::Builder::new().prefix("lictor-demo-").tempdir();
        let root = root.map_err(|e| Broken::doing("cannot make a directory", &e))?;
        let mark = format!("LICTOR_DEMO={:032x}", rand::random::<u128>());
        let sweep = Sweep(mark.clone());
        let home = make_home(&root)?;
        let log = root.path().join("controller.log");
        let file = home.controller_file().display().to_string();
        let arguments = ["serve-controller", "--until-input-ends", "--config", &file];
        let mut controller = Guarded::start("controller", &arguments, &log, &mark)?;
        let connected = Connected::to(home)?;
        let login = make_login(&root)?;
        let (hosts, kind) = start_hosts(&root, &login, &mark, built_in).await?;
        wait_for(connected.client(), &mut controller).await?;
        screen.ready(
            "controller",
            &format!(
                "listens on {}; policy and audit log before anything runs",
                connected.settings.controller
            ),
        );
        let mut sites = Vec::new();
        for plan in &SITES {
            let (name, number) = (plan.name, plan.hosts.len());
            sites.push(Site::start(&root, plan, &hosts, &connected, &mark).await?);
            screen.ready(
                name,
                &format!("{number} hosts ({kind}); its agent joined with a one-time token, over mutual TLS"),
            );
        }
        let mut this = Self { connected, sites, controller, hosts, _sweep: sweep, root };
        this.wait_for_agents().await?;
        Ok(this)
    }

    pub(super) const fn connected(&self) -> &Connected {
        &self.connected
    }
    pub(super) const fn client(&self) -> &Client {
        self.connected.client()
    }
    pub(super) const fn home(&self) -> &Home {
        &self.connected.home
    }
    /// The host called `alias`.
    pub(super) fn host(&mut self, alias: &str) -> Result<&mut Host, Broken> {
        let found = self.hosts.iter_mut().find(|host| host.alias == alias);
        found.ok_or_else(|| Broken(format!("there is no host {alias}")))
    }
    /// A new directory for a step's own use.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf, Broken> {
        let path = self.root.path().join(name);
        fs::create_dir_all(&path).map_err(|e| Broken::doing("cannot make a directory", &e))?;
        Ok(path)
    }

    /// The ends of every log, for when something broke.
    pub(super) fn logs(&self) -> String {
        let agents: String = self.sites.iter().map(|site| site.agent.last_lines()).collect();
        self.controller.last_lines() + &agents
    }

    async fn wait_for_agents(&mut self) -> Result<(), Broken> {
        let look = async {
            loop {
                self.controller.lives()?;
                self.sites.iter_mut().try_for_each(|site| site.agent.lives())?;
                let agents = self.connected.operator.agents().await?;
                let connected = agents.iter().filter(|agent| agent.state == AgentState::Connected).count();
                if connected == SITES.len() && self.client().hosts(None).await?.len() == self.hosts.len() {
                    return Ok(());
                }
                tokio::time::sleep(READY_LOOK).await;
            }
        };
        let waited = tokio::time::timeout(READY_WAIT, look).await;
        waited.unwrap_or_else(|_| Err(Broken(format!("the agents do not connect\n{}", self.logs()))))
    }
}

impl Drop for Stage {
    /// Both agents end at the same time; each field then waits for its own.
    fn drop(&mut self) {
        self.sites.iter().for_each(|site| site.agent.ask_to_stop());
    }
}

fn make_home(root: &TempDir) -> Result<Home, Broken> {
    let name = |e: lictor_core::name::InvalidName| Broken(e.to_string());
    let plan = Plan {
        listen: SocketAddr::from((
            Ipv4Addr::LOCALHOST,
            free_pair().map_err(|e| Broken::doing("no free ports", &e))?,
        )),
        advertise: None,
        operator: PrincipalName::new("you").map_err(name)?,
        policy: POLICY.to_owned(),
    };
    Ok(init::create(&root.path().join("lictor"), &plan)?)
}

/// The key with which agents log in to hosts; it stays at the sites.
fn make_login(root: &TempDir) -> Result<Arc<russh::keys::PrivateKey>, Broken> {
    let key = new_key()?;
    let written = key.write_openssh_file(root.path().join("login_key"), LineEnding::LF);
    written.map_err(|e| Broken::doing("cannot write a key", &e))?;
    Ok(Arc::new(key))
}

/// Starts every host; by OpenSSH's sshd if the first of them lets us in.
async fn start_hosts(
    root: &TempDir,
    login: &Arc<russh::keys::PrivateKey>,
    mark: &str,
    built_in: bool,
) -> Result<(Vec<Host>, &'static str), Broken> {
    let user = sshd::current_user().map_err(|e| Broken::doing("who am I", &e))?;
    let mut program = if built_in { None } else { sshd::find() };
    let mut hosts: Vec<Host> = Vec::new();
    for alias in SITES.iter().flat_map(|site| site.hosts.iter().map(|host| host.alias)) {
        let directory = root.path().join("hosts").join(alias);
        let start = |program| Host::start(alias, &directory, Arc::clone(login), mark, program);
        let mut host = start(program.clone()).await;
        let usable = match &host {
            Ok(host) => !hosts.is_empty() || program.is_none() || host.lets_us_in(&user).await,
            Err(_) => false,
        };
        if !usable && hosts.is_empty() && program.take().is_some() {
            host = start(None).await;
        }
        hosts.push(host?);
    }
    Ok((hosts, if program.is_some() { "OpenSSH" } else { "built-in SSH server" }))
}

/// Waits until the controller answers.
async fn wait_for(client: &Client, controller: &mut Guarded) -> Result<(), Broken> {
    let mut last: Option<Failure> = None;
    let look = async {
        loop {
            controller.lives()?;
            match client.sites().await {
                Ok(_) => return Ok(()),
                Err(failure) => last = Some(failure),
            }
            tokio::time::sleep(READY_LOOK).await;
        }
    };
    let waited = tokio::time::timeout(READY_WAIT, look).await;
    waited.unwrap_or_else(|_| {
        let why = last.map(|failure| failure.to_string()).unwrap_or_default();
        Err(Broken(format!("the controller does not answer: {why}\n{}", controller.last_lines())))
    })
}

// === impl Sweep ===

impl Drop for Sweep {
    fn drop(&mut self) {
        for _ in 0..SWEEP_ROUNDS {
            let left = processes::with_environment(&self.0);
            if left.is_empty() {
                return;
            }
            left.into_iter().for_each(processes::kill);
            std::thread::sleep(READY_LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_the_demo_loads() {
        lictor_policy::PolicySet::parse(POLICY).unwrap();
    }
}
