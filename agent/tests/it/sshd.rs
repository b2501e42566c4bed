//! A private sshd on a loopback port; a test fails when there is no sshd to run.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

pub(crate) struct Sshd {
    pub(crate) address: String,
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
        Self::start_at(dir, "127.0.0.1", extra).await
    }

    /// As [`Self::start`], on another loopback address.
    pub(crate) async fn start_at(dir: &Path, address: &str, extra: &str) -> Self {
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
        let port = free_port(address);
        let at = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
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
        let sshd = Self { address: address.to_owned(), port, dir, child };
        while tokio::net::TcpStream::connect((address, port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sshd
    }

    /// The `known_hosts` line of one of its keys.
    pub(crate) fn known_hosts_line(&self, key: &str) -> String {
        let key = fs::read_to_string(self.dir.join(format!("{key}.pub"))).unwrap();
        format!("[{}]:{} {key}", self.address, self.port)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("sshd.log")).unwrap_or_default()
    }

    /// Processes of sessions: with a login, sshd has one for each connection (and one that watches it, for other users).
    fn sessions(&self) -> Vec<String> {
        let listener = self.child.id().to_string();
        let of_listener = |pid: &String| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            matches!(fields[..], [state, parent, ..] if parent == listener && state != "Z")
        };
        let all =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        all.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).filter(of_listener).collect()
    }

    /// How many connections it has now.
    pub(crate) fn connections(&self) -> usize {
        self.sessions().len()
    }

    /// How many sockets of this machine are connected to it over IPv4: at once, while processes of sshd linger.
    pub(crate) fn sockets(&self) -> usize {
        let (port, established) = (format!(":{:04X}", self.port), "01");
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| row[2].ends_with(&port) && row[3] == established).count()
    }

    /// Ends all connections; the listener goes on.
    pub(crate) fn end_sessions(&self) {
        for pid in self.sessions() {
            assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        }
    }

    /// Ends the listener; sessions that are open go on.
    pub(crate) fn end_listener(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A port below those that the system gives to whoever connects: no passing connection takes it before sshd does, and none
/// has its number at its other end, which [`Sshd::sockets`] would count.
fn free_port(address: &str) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + count % 22_000).unwrap();
        if TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
