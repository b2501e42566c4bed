//! Making a directory with everything that a controller, a local agent, a bridge and a person need.

mod identities;
pub(crate) mod templates;

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use lictor_core::name::{PrincipalName, TenantName};
use tempfile::TempDir;

use crate::{
    home::{AGENT_FILE, CLIENT_FILE, Home},
    trouble::Trouble,
};

/// The trust domain of a new directory; names that only this installation knows.
pub(crate) const TRUST_DOMAIN: &str = "lictor.internal";
/// The tenant of a new directory.
pub(crate) const TENANT: &str = "default";
/// The site of the local agent, and its name.
pub(crate) const LOCAL: &str = "local";
/// The name under which the bridge asks for jobs.
pub(crate) const BRIDGE_SERVICE: &str = "mcp";

/// What a new directory is made with.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where the controller will serve callers and agents; the port above it serves agents that join.
    pub(crate) listen: SocketAddr,
    /// Where agents on other machines reach it: a host name or address. `None`: where it listens.
    pub(crate) advertise: Option<String>,
    /// The operator.
    pub(crate) operator: PrincipalName,
    /// The policy.
    pub(crate) policy: String,
}

/// Where the controller serves agents that join: the port above the one for callers.
pub(crate) fn enroll_listen(listen: SocketAddr) -> Result<SocketAddr, Trouble> {
    let port = listen.port().checked_add(1).filter(|_| listen.port() > 0);
    port.map(|port| SocketAddr::new(listen.ip(), port)).ok_or_else(|| {
        Trouble::usage(
            format!("{listen} leaves no port for agents that join, which is the one above it"),
            "choose a port from 1 to 65534",
        )
    })
}

/// Makes the directory `dir`, which must be absent or empty. It appears completely or not at all.
pub(crate) fn create(dir: &Path, plan: &Plan) -> Result<Home, Trouble> {
    let staged = stage(dir)?;
    fill(&Home::at(staged.path()), plan)?;
    put_in_place(&staged, dir)?;
    Ok(Home::at(dir))
}

/// Makes a directory beside `dir`, which must be absent or empty, to be filled and then put in its place. Only its owner
/// can look into it, for there will be keys in it.
pub(crate) fn stage(dir: &Path) -> Result<TempDir, Trouble> {
    refuse_what_is_there(dir)?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).map_err(|e| Trouble::file("make", &parent, &e))?;
    let staged = tempfile::Builder::new().prefix(".lictor-init-").tempdir_in(&parent);
    let staged = staged.map_err(|e| Trouble::file("make a directory in", &parent, &e))?;
    make_private(staged.path())?;
    Ok(staged)
}

/// Gives a filled directory its name. Renaming onto an empty directory replaces it; the system refuses anything else.
pub(crate) fn put_in_place(staged: &TempDir, dir: &Path) -> Result<(), Trouble> {
    fs::rename(staged.path(), dir).map_err(|e| Trouble::file("make", dir, &e))
}

fn refuse_what_is_there(dir: &Path) -> Result<(), Trouble> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Trouble::file("use", dir, &error)),
        Ok(true) => Ok(()),
        Ok(false) => {
            let next_step = if Home::existing(dir, CLIENT_FILE).is_ok() {
                format!("it is a lictor directory: start it with lictor up {}", dir.display())
            } else if dir.join(AGENT_FILE).is_file() {
                format!(
                    "it is the directory of an agent; to let it join anew: lictor-agent join --config {} \
                     --token-file FILE",
                    dir.join(AGENT_FILE).display()
                )
            } else {
                "name a directory that does not exist yet, or an empty one".to_owned()
            };
            Err(Trouble::usage(format!("{} is not empty", dir.display()), next_step))
        }
    }
}

fn fill(home: &Home, plan: &Plan) -> Result<(), Trouble> {
    let enroll = enroll_listen(plan.listen)?;
    let reached = |at: SocketAddr| match &plan.advertise {
        Some(name) => format!("{name}:{}", at.port()),
        None => at.to_string(),
    };
    // People and processes on this machine need no name that the network knows.
    let near = match plan.listen.ip() {
        ip if ip.is_unspecified() => format!("127.0.0.1:{}", plan.listen.port()),
        _ => plan.listen.to_string(),
    };
    let files = [
        (home.client_file(), templates::client(&near)?),
        (
            home.controller_file(),
            templates::controller(plan.listen, enroll, &reached(plan.listen), &reached(enroll))?,
        ),
        (home.policy_file(), plan.policy.clone()),
        (home.agent_file(), templates::agent(&near)?),
        (home.hosts_file(), templates::hosts()),
        (home.bridge_file(), templates::bridge(&near)?),
        (home.known_hosts_file(), templates::KNOWN_HOSTS.to_owned()),
    ];
    for (path, text) in files {
        write(&path, &text, 0o644)?;
    }
    write(&home.credentials_file(), &templates::credentials(), 0o600)?;
    for dir in [home.state(), home.identity_dir()] {
        make_private(&dir)?;
    }
    identities::create(home, plan)
}

/// Makes a directory that only its owner can look into.
pub(crate) fn make_private(dir: &Path) -> Result<(), Trouble> {
    let made =
        fs::create_dir_all(dir).and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)));
    made.map_err(|e| Trouble::file("make", dir, &e))
}

/// Writes a new file; one that is there is not touched.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), Trouble> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        io::Write::write_all(&mut file, text.as_bytes())?;
        // The process's umask may have taken more away; what is asked for is what holds.
        file.set_permissions(fs::Permissions::from_mode(mode))
    });
    written.map_err(|e| Trouble::file("write", path, &e))
}

/// The tenant of a new directory.
pub(crate) fn tenant() -> Result<TenantName, Trouble> {
    TenantName::new(TENANT).map_err(|e| Trouble::internal(e.to_string()))
}

#[cfg(test)]
mod tests {
    use lictor_agent::{AgentConfig, site::Site};
    use lictor_controller::ControllerConfig;
    use lictor_mcp_bridge::config::BridgeConfig;

    use super::*;
    use crate::config::Settings;

    fn plan(listen: &str, advertise: Option<&str>) -> Plan {
        Plan {
            listen: listen.parse().unwrap(),
            advertise: advertise.map(str::to_owned),
            operator: PrincipalName::new("ada").unwrap(),
            policy: templates::POLICY.to_owned(),
        }
    }

    #[test]
    fn every_file_of_a_new_directory_loads_as_it_is_and_secrets_are_its_owners() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("site");
        let home = create(&dir, &plan("127.0.0.1:17443", None)).unwrap();
        let controller = ControllerConfig::load(&home.controller_file()).unwrap();
        assert_eq!((controller.listen.port(), controller.enroll_listen.port()), (17_443, 17_444));
        let agent = AgentConfig::load(&home.agent_file()).unwrap();
        assert_eq!(agent.controller, "127.0.0.1:17443");
        assert!(Site::load(&agent.site, 0).unwrap().hosts.is_empty());
        assert_eq!(BridgeConfig::load(&home.bridge_file()).unwrap().controller, "127.0.0.1:17443");
        let settings = Settings::load(&home).unwrap();
        assert_eq!(settings.controller, "127.0.0.1:17443");
        assert!(settings.pinned_key().unwrap().is_some());
        for name in ["controller", "operator", "bridge"] {
            home.identity(name).load().unwrap();
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for secret in [home.credentials_file(), home.passphrase_file(), home.identity("operator").key] {
            assert_eq!(mode(&secret), 0o600, "{}", secret.display());
        }
        assert_eq!(mode(home.dir()), 0o700);
        assert_eq!(
            fs::read_dir(parent.path()).unwrap().count(),
            1,
            "something was left beside the directory"
        );
    }

    #[test]
    fn what_is_there_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "x").unwrap();
        let refused = create(dir.path(), &plan("127.0.0.1:17443", None)).unwrap_err();
        assert!(refused.to_string().contains("is not empty"), "{refused}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_machines_are_told_the_name_that_they_reach() {
        let parent = tempfile::tempdir().unwrap();
        let home =
            create(&parent.path().join("site"), &plan("0.0.0.0:17443", Some("lictor.example"))).unwrap();
        let controller = ControllerConfig::load(&home.controller_file()).unwrap();
        assert_eq!(controller.advertise, "lictor.example:17443");
        assert_eq!(controller.enroll_advertise, "lictor.example:17444");
        assert_eq!(Settings::load(&home).unwrap().controller, "127.0.0.1:17443");
    }
}
