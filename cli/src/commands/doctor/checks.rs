//! What can be seen without a connection: files, modes, certificates.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lictor_agent::{AgentConfig, enroll::IDENTITY_STEM, site::Site};
use lictor_certs::files::IdentityFiles;
use lictor_controller::ControllerConfig;
use lictor_core::clock::Clock as _;
use lictor_mcp_bridge::config::BridgeConfig;
use lictor_policy::PolicySet;
use lictor_runtime::{clock::SystemClock, exit::Exit};

use super::Finding;
use crate::{
    commands::serve::chain,
    config::Settings,
    home::Home,
    render::time::{count, moment},
};

/// A certificate that is renewed by hand and ends within this is worth a warning.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Everything that the files of `home` tell; `has_hosts`: the controller knows hosts, of whichever site.
pub(super) fn files(home: &Home, has_hosts: bool) -> Vec<Finding> {
    let mut findings = vec![private(home)];
    findings.push(match Settings::load(home) {
        Err(trouble) => Finding::fail("lictor.yml", trouble.to_string(), "correct the file", Exit::Usage),
        Ok(settings) => match settings.pinned_key() {
            Ok(Some(_)) => Finding::ok("lictor.yml", format!("controller at {}", settings.controller)),
            Ok(None) => Finding::warn(
                "lictor.yml",
                "no key of the audit log is pinned",
                "copy audit.pub from the controller's directory",
            ),
            Err(trouble) => {
                Finding::fail("lictor.yml", trouble.to_string(), "restore audit.pub", Exit::Usage)
            }
        },
    });
    // A person's own directory has neither controller nor agent; what is not there is not looked at.
    if home.controller_file().exists() {
        findings.push(loads(
            "controller",
            ControllerConfig::load(&home.controller_file()).map(|c| format!("listens on {}", c.listen)),
        ));
        findings.push(policy(&home.policy_file()));
    }
    if home.bridge_file().exists() {
        findings.push(loads(
            "bridge",
            BridgeConfig::load(&home.bridge_file()).map(|_| "its settings load".to_owned()),
        ));
    }
    for name in ["operator", "bridge", "controller"] {
        let files = home.identity(name);
        if files.chain.exists() {
            findings.push(certificate(&files, name != "controller"));
        }
    }
    if home.agent_file().exists() {
        findings.extend(agent(home, has_hosts));
    }
    findings
}

fn private(home: &Home) -> Finding {
    let dir = home.dir();
    match fs::metadata(dir) {
        Err(error) => {
            Finding::fail("directory", format!("{}: {error}", dir.display()), "check the path", Exit::Usage)
        }
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => Finding::warn(
            "directory",
            format!("{} is open to other users of this machine", dir.display()),
            format!("chmod 700 {}", dir.display()),
        ),
        Ok(_) => Finding::ok("directory", dir.display().to_string()),
    }
}

fn loads<E: std::error::Error>(check: &'static str, loaded: Result<String, E>) -> Finding {
    match loaded {
        Ok(detail) => Finding::ok(check, detail),
        Err(error) => Finding::fail(check, chain(&error), "correct the file", Exit::Usage),
    }
}

fn policy(path: &Path) -> Finding {
    match fs::read_to_string(path) {
        Err(error) => {
            Finding::fail("policy", format!("{}: {error}", path.display()), "restore it", Exit::Usage)
        }
        Ok(text) => match PolicySet::parse(&text) {
            Ok(set) => Finding::ok("policy", count(set.rules().count(), "rule")),
            Err(errors) => Finding::fail("policy", errors.to_string(), "correct the file", Exit::Usage),
        },
    }
}

pub(crate) fn certificate(files: &IdentityFiles, by_hand: bool) -> Finding {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(error) => {
            let next_step = "restore it from the backup, or issue a new one: lictor-certs issue";
            return Finding::fail("identity", chain(&error), next_step, Exit::Usage);
        }
    };
    let (peer, now) = (loaded.peer(), SystemClock.now());
    let until = format!("{} until {}", peer.identity, moment(peer.not_after));
    if peer.not_after <= now {
        return Finding::fail(
            "identity",
            format!("{until}: it has ended"),
            "issue a new one: lictor-certs issue",
            Exit::Refused,
        );
    }
    if by_hand && peer.not_after.since(now) < SOON {
        return Finding::warn("identity", until, "issue a new one: lictor-certs issue");
    }
    Finding::ok("identity", until)
}

fn agent(home: &Home, has_hosts: bool) -> Vec<Finding> {
    let config = match AgentConfig::load(&home.agent_file()) {
        Ok(config) => config,
        Err(problems) => {
            return vec![Finding::fail("agent", problems.to_string(), "correct the file", Exit::Usage)];
        }
    };
    let loaded = Site::load(&config.site, 0);
    let files = IdentityFiles::in_dir(&config.identity_dir, IDENTITY_STEM);
    // A controller whose hosts are all at other sites needs no agent of its own.
    if has_hosts && !files.chain.exists() && loaded.as_ref().is_ok_and(|site| site.hosts.is_empty()) {
        return Vec::new();
    }
    let joined = if files.chain.exists() {
        certificate(&files, false)
    } else {
        Finding::warn(
            "identity",
            "the agent of this directory has not joined yet",
            "lictor up lets the local agent join",
        )
    };
    let site = match loaded {
        Err(problems) => Finding::fail("site", problems.to_string(), "correct the files", Exit::Usage),
        Ok(site) if site.hosts.is_empty() && !has_hosts => Finding::warn(
            "site",
            "there are no hosts",
            format!("add some to {}", config.site.hosts.display()),
        ),
        Ok(site) => Finding::ok("site", count(site.hosts.len(), "host")),
    };
    vec![joined, site]
}
