//! asyncssh, as Python programs use it, in a process of its own that takes its times itself: no start-up counts.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

/// The environment's name for the Python that has asyncssh; `scripts/test --bench` prepares it.
const PYTHON: &str = "LICTOR_PYTHON";

/// A Python process with its connections.
#[derive(Debug)]
pub struct AsyncSsh {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl AsyncSsh {
    /// Starts Python with the key and pinned keys in these files; `None`, with a printed line, when there is no asyncssh.
    ///
    /// # Errors
    /// When it cannot be started although it is there.
    pub fn start(key: &Path, known_hosts: &Path) -> anyhow::Result<Option<Self>> {
        let here = env!("CARGO_MANIFEST_DIR");
        let python = std::env::var(PYTHON).unwrap_or_else(|_| format!("{here}/../target/venv/bin/python"));
        let there = Command::new(&python)
            .args(["-c", "import asyncssh"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !there.is_ok_and(|status| status.success()) {
            println!("asyncssh is left out: {python} does not have it (tests/python/requirements-bench.txt)");
            return Ok(None);
        }
        let mut child = tokio::process::Command::new(&python)
            .arg(format!("{here}/python/bench_asyncssh.py"))
            .arg(key)
            .arg(known_hosts)
            .arg(lictor_cli::demo::sshd::current_user()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Some(Self { _child: child, stdin, stdout }))
    }

    /// Connects to each host and runs `true` there; the connections are kept. Tells how long it took.
    ///
    /// # Errors
    /// When one does not work.
    pub async fn connect(&mut self, hosts: &[SocketAddr]) -> anyhow::Result<Duration> {
        let hosts: Vec<_> = hosts.iter().map(|host| json!([host.ip().to_string(), host.port()])).collect();
        self.ask(json!({"do": "connect", "hosts": hosts})).await
    }

    /// Runs `true` over each connection. Tells how long it took.
    ///
    /// # Errors
    /// When one does not work.
    pub async fn exec(&mut self) -> anyhow::Result<Duration> {
        self.ask(json!({"do": "exec"})).await
    }

    /// Closes the connections.
    ///
    /// # Errors
    /// When the process is gone.
    pub async fn close(&mut self) -> anyhow::Result<()> {
        self.ask(json!({"do": "close"})).await?;
        Ok(())
    }

    async fn ask(&mut self, what: Value) -> anyhow::Result<Duration> {
        self.stdin.write_all(format!("{what}\n").as_bytes()).await?;
        self.stdin.flush().await?;
        let line = self.stdout.next_line().await?.context("asyncssh has ended")?;
        let seconds: f64 = line.parse().with_context(|| line.clone())?;
        Ok(Duration::try_from_secs_f64(seconds)?)
    }
}
