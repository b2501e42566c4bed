//! OpenSSH's `ssh`, a process a command: over a connection that a master keeps, or over a fresh one.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

/// Processes at once in a loop over many hosts.
const AT_ONCE: usize = 32;
/// A master that nobody uses ends by itself after this, should nobody be left to end it.
const MASTER_SECONDS: &str = "ControlPersist=300";
/// Longest time for a master to say that it ends.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// Runs commands on hosts with `ssh`; the masters it started end with it.
#[derive(Debug)]
pub struct OpenSsh {
    options: Vec<String>,
    sockets: PathBuf,
    user: String,
}

/// Over which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The master's; it is started if there is none.
    Master,
    /// One of its own.
    Fresh,
}

impl OpenSsh {
    /// With the key and the pinned keys in these files; sockets of masters go to `sockets`, which must be a short path.
    ///
    /// # Errors
    /// When the user's name cannot be found out.
    pub fn new(key: &Path, known_hosts: &Path, sockets: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(sockets)?;
        let options = [
            format!("IdentityFile={}", key.display()),
            format!("UserKnownHostsFile={}", known_hosts.display()),
            "GlobalKnownHostsFile=/dev/null".into(),
            "IdentitiesOnly=yes".into(),
            "BatchMode=yes".into(),
            "StrictHostKeyChecking=yes".into(),
            MASTER_SECONDS.into(),
        ];
        let options = options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect();
        Ok(Self { options, sockets: sockets.to_owned(), user: lictor_cli::demo::sshd::current_user()? })
    }

    /// Runs `true` on a host.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn exec(&self, host: SocketAddr, over: Over) -> anyhow::Result<()> {
        let (master, path) = match over {
            Over::Master => ("ControlMaster=auto", self.socket(host)),
            Over::Fresh => ("ControlMaster=no", PathBuf::from("none")),
        };
        let mut command = tokio::process::Command::new("ssh");
        command.args(["-F", "none", "-T", "-n", "-p"]).arg(host.port().to_string()).args(&self.options);
        command.args(["-o", master, "-o"]).arg(format!("ControlPath={}", path.display()));
        command.arg(format!("{}@{}", self.user, host.ip())).arg("true");
        let status: ExitStatus = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await?;
        anyhow::ensure!(status.success(), "ssh to {host} ended with {status}");
        Ok(())
    }

    /// Runs `true` on each host over its master.
    ///
    /// # Errors
    /// When one does not end well.
    pub async fn exec_all(&self, hosts: &[SocketAddr]) -> anyhow::Result<()> {
        let each = stream::iter(hosts).map(|host| self.exec(*host, Over::Master));
        each.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Ends every master.
    pub fn end_masters(&self) {
        let Ok(sockets) = std::fs::read_dir(&self.sockets) else { return };
        for socket in sockets.flatten() {
            let ended = std::process::Command::new("ssh")
                .args(["-F", "none", "-O", "exit", "-o"])
                .arg(format!("ControlPath={}", socket.path().display()))
                .args(["-o", &format!("ConnectTimeout={}", EXIT_WAIT.as_secs()), "nobody"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            drop(ended);
        }
    }

    fn socket(&self, host: SocketAddr) -> PathBuf {
        self.sockets.join(host.ip().to_string())
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        self.end_masters();
    }
}
