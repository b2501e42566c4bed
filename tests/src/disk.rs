//! A small disk: a tmpfs that only one process and a test see, which the test can fill and empty.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;

use crate::process::Process;

/// A tmpfs in a mount namespace of its own. Whoever is started in it sees the tmpfs at the place; nobody else does.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Makes a disk of so many bytes at `place`, a directory, which is made if needed, and copies to it what is there.
    ///
    /// # Errors
    /// When this machine does not allow mount namespaces, not even to root or in a user namespace.
    pub fn mount(place: &Path, bytes: u64) -> anyhow::Result<Self> {
        fs::create_dir_all(place)?;
        let script = "mount -t tmpfs -o size=$1,mode=700 tmpfs \"$2\" && echo ready && exec sleep infinity";
        let mut holder = Command::new("unshare")
            .args(user_namespace("--map-root-user"))
            .args(["--mount", "sh", "-c", script, "sh", &bytes.to_string()])
            .arg(place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("this test needs unshare (package util-linux)")?;
        let mut line = String::new();
        if let Some(said) = holder.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let disk = Self { holder, place: place.to_owned() };
        anyhow::ensure!(
            line.trim() == "ready",
            "this test needs a tmpfs in a mount namespace: run it as root, or allow unprivileged user namespaces"
        );
        copy(place, &disk.path())?;
        Ok(disk)
    }

    /// Starts a program that sees the disk.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, program: &Path, arguments: &[&str], log: &Path) -> anyhow::Result<Process> {
        let mut command = Command::new("nsenter");
        command.args(user_namespace("--preserve-credentials")).args(user_namespace("--user"));
        command.args(["--target", &self.holder.id().to_string(), "--mount", "--"]);
        Process::spawn(command.arg(program).args(arguments), log)
    }

    /// The disk as the test reaches it.
    pub fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.strip_prefix("/").unwrap_or(&self.place))
    }

    /// Writes until nothing more fits; dropping the value gives the space back.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn fill(&self) -> anyhow::Result<Filling> {
        let path = self.path().join("filling");
        let mut file = File::create(&path)?;
        let mut piece = vec![7_u8; 1024 * 1024];
        while !piece.is_empty() {
            if file.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
        Ok(Filling(path))
    }
}

/// Copies a directory with everything in it.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A user namespace is needed by everybody but root.
fn user_namespace(option: &str) -> Option<&str> {
    (!rustix::process::geteuid().is_root()).then_some(option)
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// What fills a disk.
#[derive(Debug)]
pub struct Filling(PathBuf);

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
