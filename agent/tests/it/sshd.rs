//! A private sshd on a loopback port; a test fails when there is no sshd to run.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

pub(crate) struct Sshd {
    pub(crate) port: u16,
    pub(crate) dir: PathBuf,
    child: Child,
}

pub(crate) fn keygen(kind: &str, path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen is needed: install openssh-client");
    assert!(made.success());
}

impl Sshd {
    /// Starts one whose only user key is `dir/user_key`; `extra` is appended to its configuration.
    pub(crate) async fn start(dir: &Path, extra: &str) -> Self {
        let dir = dir.to_owned();
        fs::create_dir_all("/run/sshd").unwrap();
        for name in ["host_ed25519", "user_key"] {
            if !dir.join(name).exists() {
                keygen("ed25519", &dir.join(name), "");
            }
        }
        if !dir.join("host_ecdsa").exists() {
            keygen("ecdsa", &dir.join("host_ecdsa"), "");
            fs::copy(dir.join("user_key.pub"), dir.join("authorized_keys")).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             UsePAM no\nStrictModes no\nPermitRootLogin yes\nLogLevel DEBUG1\nMaxStartups 100\n{extra}\n",
            at("host_ed25519"),
            at("host_ecdsa"),
            at("authorized_keys"),
        );
        fs::write(dir.join("sshd_config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-f", &at("sshd_config"), "-E", &at("sshd.log")])
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd is needed: install openssh-server");
        let sshd = Self { port, dir, child };
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sshd
    }

    /// The `known_hosts` line of one of its keys.
    pub(crate) fn known_hosts_line(&self, key: &str) -> String {
        let key = fs::read_to_string(self.dir.join(format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("sshd.log")).unwrap_or_default()
    }

    /// Kills the processes that serve the connections which are open now.
    pub(crate) fn kill_sessions(&self) {
        let parent = self.child.id().to_string();
        let of_ours = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)) == Some(parent.as_str())
        };
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
        let sessions: Vec<String> = all.filter(|pid| of_ours(pid)).collect();
        assert!(!sessions.is_empty(), "a connection is open");
        for pid in sessions {
            // One that has just ended is what is wanted.
            let _ = Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        }
    }

    /// Ends the listener; sessions that are open go on.
    pub(crate) fn end_listener(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
