//! A private sshd on a loopback port: the current user's, with its own host key and exactly one authorized key.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use russh::keys::{PrivateKey, PublicKey, ssh_key::LineEnding};

use super::{ports::free_port, processes};

/// Where sshd is looked for; it insists on being started by its full path.
const PLACES: [&str; 5] = [
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/usr/bin/sshd",
    "/opt/homebrew/sbin/sshd",
    "/usr/local/bin/sshd",
];
/// Longest time for it to listen.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How often it is tried until then.
const READY_LOOK: Duration = Duration::from_millis(5);
/// Ports that are tried when none is asked for: of two servers that find the same one free, the later has to go on.
const PORT_TRIES: usize = 8;
/// What it says once it takes connections. That its port answers is not enough: somebody else may.
const READY: &str = "Server listening on ";
/// What it says when somebody else has its port.
const TAKEN: &str = "Address already in use";
/// The folder that sshd wants to exist when it is started by root (its privilege separation).
const RUN_FOLDER: &str = "/run/sshd";

/// What an sshd is started with.
#[derive(Debug)]
pub struct Options<'a> {
    /// A directory of its own, which must exist; configuration, key and log go there.
    pub directory: &'a Path,
    /// The key with which it proves who it is.
    pub host_key: &'a PrivateKey,
    /// The key that may log in.
    pub authorized: &'a PublicKey,
    /// The port; `None`: one that is free.
    pub port: Option<u16>,
    /// Variables that every command on it gets.
    pub environment: &'a [(&'a str, &'a str)],
    /// Further lines of sshd_config(5).
    pub lines: &'a [&'a str],
}

/// A running sshd; it ends with this value, and so does everything that was started through it.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    log: PathBuf,
}

/// The sshd of this machine, if there is one that can be used.
pub fn find() -> Option<PathBuf> {
    let sshd = PLACES.into_iter().map(PathBuf::from).find(|path| path.is_file())?;
    // Without its folder a root sshd does not start; it is made at boot, which containers do not have.
    if rustix::process::geteuid().is_root() && !Path::new(RUN_FOLDER).is_dir() && Path::new("/run").is_dir() {
        fs::create_dir_all(RUN_FOLDER).ok()?;
    }
    Some(sshd)
}

/// The name of the current user, as whom commands run.
///
/// # Errors
/// When `id` cannot be run.
pub fn current_user() -> io::Result<String> {
    let output = Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

// === impl Sshd ===

impl Sshd {
    /// Starts the sshd at `program` (from [`find`]) and waits until it listens.
    ///
    /// # Errors
    /// When it does not start; the text ends with what it said.
    pub fn start(program: &Path, options: &Options<'_>) -> io::Result<Self> {
        let directory = options.directory;
        let key = directory.join("host_key");
        let _ = fs::remove_file(&key);
        options.host_key.write_openssh_file(&key, LineEnding::LF).map_err(io::Error::other)?;
        let authorized = options.authorized.to_openssh().map_err(io::Error::other)?;
        fs::write(directory.join("authorized_keys"), authorized + "\n")?;
        if let Some(port) = options.port {
            return Self::start_on(port, program, options);
        }
        let mut tried = 1;
        loop {
            match Self::start_on(free_port()?, program, options) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tried < PORT_TRIES => tried += 1,
                result => return result,
            }
        }
    }

    fn start_on(port: u16, program: &Path, options: &Options<'_>) -> io::Result<Self> {
        let directory = options.directory;
        let config = directory.join("sshd_config");
        fs::write(&config, settings(directory, port, options))?;
        let log = directory.join("sshd.log");
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut this = Self { child, port, log };
        this.wait_until_it_listens()?;
        Ok(this)
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process number; connections and their commands are below it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far, with one line for each connection and each attempt to log in.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it with its connections and their commands.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            processes::kill_below(i32::try_from(self.child.id()).unwrap_or_default());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < READY_WAIT {
            let ended = self.child.try_wait()?;
            let log = self.log();
            if let Some(status) = ended {
                let taken = log.contains(TAKEN);
                let kind = if taken { io::ErrorKind::AddrInUse } else { io::ErrorKind::Other };
                return Err(io::Error::new(kind, format!("sshd ended with {status}: {}", log.trim())));
            }
            if log.contains(READY) {
                return Ok(());
            }
            std::thread::sleep(READY_LOOK);
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("sshd does not listen: {}", self.log().trim())))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn settings(directory: &Path, port: u16, options: &Options<'_>) -> String {
    let directory = directory.display();
    let mut text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey \"{directory}/host_key\"\n\
         AuthorizedKeysFile \"{directory}/authorized_keys\"\nPidFile none\nStrictModes no\nUsePAM no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
         PrintMotd no\nPrintLastLog no\nUseDNS no\nMaxStartups 200\nLogLevel VERBOSE\n"
    );
    // sshd refuses a second definition.
    if !options.lines.iter().any(|line| line.starts_with("Subsystem sftp ")) {
        text.push_str("Subsystem sftp internal-sftp\n");
    }
    if !options.environment.is_empty() {
        // One line: of several, sshd takes the first.
        text.push_str("SetEnv");
        for (name, value) in options.environment {
            // Writing to a String cannot fail.
            let _ = write!(text, " {name}={value}");
        }
        text.push('\n');
    }
    options.lines.iter().fold(text, |text, line| text + line + "\n")
}
