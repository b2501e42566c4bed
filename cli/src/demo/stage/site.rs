//! One site: its files, and an agent that joins with a token made for it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use lictor_core::name::{AgentName, InvalidName, SiteName};
use tempfile::TempDir;

use super::super::{Broken, child::Guarded, host::Host, sshd};
use crate::{context::Connected, init::templates, site};

/// What a site is made of.
#[derive(Debug)]
pub(super) struct SitePlan {
    pub(super) name: &'static str,
    pub(super) hosts: [HostPlan; 3],
}

/// A host of a site.
#[derive(Debug)]
pub(super) struct HostPlan {
    pub(super) alias: &'static str,
    tag: &'static str,
}

/// The sites of the demo.
pub(super) const SITES: [SitePlan; 2] = [
    SitePlan {
        name: "amsterdam",
        hosts: [
            HostPlan { alias: "ams-web-1", tag: "web" },
            HostPlan { alias: "ams-web-2", tag: "web" },
            HostPlan { alias: "ams-db-1", tag: "db" },
        ],
    },
    SitePlan {
        name: "berlin",
        hosts: [
            HostPlan { alias: "ber-web-1", tag: "web" },
            HostPlan { alias: "ber-web-2", tag: "web" },
            HostPlan { alias: "ber-db-1", tag: "db" },
        ],
    },
];

/// A site with its agent.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) agent: Guarded,
}

// === impl Site ===

impl Site {
    /// Writes the site's files, lets its agent join, and starts it.
    pub(super) async fn start(
        root: &TempDir,
        plan: &SitePlan,
        hosts: &[Host],
        connected: &Connected,
        mark: &str,
    ) -> Result<Self, Broken> {
        let dir = root.path().join(plan.name);
        let written =
            write_files(&dir, plan, hosts, &root.path().join("login_key"), &connected.settings.controller)?;
        written.map_err(|e| Broken::doing("cannot write a site's files", &e))?;
        let name = |e: InvalidName| Broken(e.to_string());
        let (site, agent) =
            (SiteName::new(plan.name).map_err(name)?, AgentName::new("agent-1").map_err(name)?);
        let token = connected.operator.create_join_token(&site, &agent).await?;
        site::join(&token.token, &dir.join("identity").join("agent")).await?;
        let file = dir.join("agent.yml").display().to_string();
        let log = root.path().join(format!("{}.log", plan.name));
        let arguments = ["serve-agent", "--until-input-ends", "--config", &file];
        let agent = Guarded::start(&format!("agent of {}", plan.name), &arguments, &log, mark)?;
        Ok(Self { agent })
    }
}

fn write_files(
    dir: &Path,
    plan: &SitePlan,
    hosts: &[Host],
    login_key: &Path,
    controller: &str,
) -> Result<std::io::Result<()>, Broken> {
    let user = sshd::current_user().map_err(|e| Broken::doing("who am I", &e))?;
    let (mut listed, mut known) = (String::from("hosts:\n"), String::new());
    for host in &plan.hosts {
        let Some(running) = hosts.iter().find(|running| running.alias == host.alias) else { continue };
        listed += &format!(
            "  - {{alias: {}, address: 127.0.0.1, port: {}, user: {user}, credential: login, tags: [{}, all]}}\n",
            host.alias,
            running.port(),
            host.tag
        );
        known += &(running.known_hosts_line()? + "\n");
    }
    let credentials = format!("credentials:\n  - name: login\n    key_file: {}\n", login_key.display());
    let agent = templates::agent(controller)?;
    Ok(fs::create_dir_all(dir.join("state"))
        .and_then(|()| fs::write(dir.join("agent.yml"), agent))
        .and_then(|()| fs::write(dir.join("hosts.yml"), listed))
        .and_then(|()| fs::write(dir.join("known_hosts"), known))
        .and_then(|()| fs::write(dir.join("credentials.yml"), credentials))
        .and_then(|()| fs::set_permissions(dir.join("credentials.yml"), fs::Permissions::from_mode(0o600))))
}
