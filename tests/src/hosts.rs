//! Real SSH hosts: OpenSSH's sshd on loopback, each with an exec log that Lictor cannot touch.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use lictor_cli::demo::{
    processes::{self, descendants},
    sshd::{Options, Sshd, find},
};
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use rustix::process::Signal;

use crate::signals;

/// What serves files, as a program of its own: so that it is forced through the exec log, as commands are.
const SFTP: &str = "/usr/lib/openssh/sftp-server";

/// One host.
#[derive(Debug)]
pub struct Host {
    /// Its alias.
    pub alias: String,
    /// The key with which it proves who it is.
    pub key: PrivateKey,
    dir: PathBuf,
    logged: bool,
    sshd: Sshd,
}

/// A fresh Ed25519 key.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_key() -> anyhow::Result<PrivateKey> {
    Ok(PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)?)
}

impl Host {
    /// Starts a host that `login` may log in to; with `logged`, it keeps an exec log, which costs a process a command.
    ///
    /// # Errors
    /// When there is no sshd, or it does not start. Tests fail then; they do not skip.
    pub fn start(alias: &str, dir: &Path, login: &PublicKey, logged: bool) -> anyhow::Result<Self> {
        fs::create_dir_all(dir)?;
        let script = dir.join("log-exec");
        let log = dir.join("exec.log");
        fs::write(
            &script,
            format!(
                "#!/bin/sh\nprintf '%s\\n' \"$SSH_ORIGINAL_COMMAND\" >> '{}'\nexec \"${{SHELL:-/bin/sh}}\" -c \"$SSH_ORIGINAL_COMMAND\"\n",
                log.display()
            ),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let key = new_key()?;
        let sshd = serve(dir, &key, login, None, logged)?;
        Ok(Self { alias: alias.to_owned(), key, dir: dir.to_owned(), logged, sshd })
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.sshd.port()
    }
    /// A file of this host for tests to write to.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
    /// Every exec request that the host received, as text.
    pub fn exec_log(&self) -> String {
        fs::read_to_string(self.dir.join("exec.log")).unwrap_or_default()
    }
    /// What sshd said.
    pub fn sshd_log(&self) -> String {
        self.sshd.log()
    }
    /// Exec requests that started this invocation (the commands that stop one name it too, but do not start it).
    pub fn starts_of(&self, invocation: &str) -> usize {
        let mark = format!("echo lictor:{invocation}:");
        self.exec_log().matches(&mark).count()
    }
    /// The number of its listening process, which connections and their commands are below.
    pub fn sshd_id(&self) -> u32 {
        self.sshd.id()
    }
    /// Ends everything on the host at once, as a loss of power does: nobody lives to tell how a command ended.
    pub fn power_off(&mut self) {
        let listener = i32::try_from(self.sshd.id()).unwrap_or_default();
        // Held still first, so that none sees another die.
        signals::send(self.sshd.id(), Signal::STOP);
        let below: Vec<u32> =
            descendants(listener).into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect();
        below.iter().for_each(|pid| signals::send(*pid, Signal::STOP));
        below.iter().rev().for_each(|pid| signals::send(*pid, Signal::KILL));
        signals::send(self.sshd.id(), Signal::KILL);
        self.sshd.stop();
    }
    /// Ends every connection at once; whoever left its session goes on, and new connections are taken as before.
    pub fn end_sessions(&self) {
        let below = descendants(i32::try_from(self.sshd.id()).unwrap_or_default());
        // Programs of users have other names; with a login, sshd may have two processes for one connection.
        let is_session = |process: &processes::Process| {
            below.contains(&process.pid) && process.words.first().is_some_and(|name| name.contains("sshd"))
        };
        processes::all()
            .iter()
            .filter(|process| is_session(process))
            .for_each(|process| processes::kill(process.pid));
    }
    /// Ends the host, with everything that runs on it.
    pub fn stop(&mut self) {
        self.sshd.stop();
    }
    /// Starts it again on the same port with `key`.
    ///
    /// # Errors
    /// When sshd does not start.
    pub fn restart(&mut self, key: PrivateKey, login: &PublicKey) -> anyhow::Result<()> {
        let port = self.port();
        self.sshd.stop();
        self.sshd = serve(&self.dir, &key, login, Some(port), self.logged)?;
        self.key = key;
        Ok(())
    }
}

fn serve(
    dir: &Path,
    key: &PrivateKey,
    login: &PublicKey,
    port: Option<u16>,
    logged: bool,
) -> anyhow::Result<Sshd> {
    let program = find().context("these tests need OpenSSH's sshd: scripts/test installs it")?;
    let force = format!("ForceCommand {}", dir.join("log-exec").display());
    let sftp = format!("Subsystem sftp {SFTP}");
    let lines: &[&str] = if logged { &[sftp.as_str(), force.as_str()] } else { &[sftp.as_str()] };
    // A home of its own, so that nobody's start-up files run before each command.
    let home = dir.display().to_string();
    let environment = [("HOME", home.as_str())];
    let options =
        Options { directory: dir, host_key: key, authorized: login, port, environment: &environment, lines };
    Ok(Sshd::start(&program, &options)?)
}
