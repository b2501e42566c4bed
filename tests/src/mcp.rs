//! A small MCP client over stdio: the protocol's own messages (2025-11-25), nothing of our code in between.

use std::{path::Path, process::Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A client with its bridge.
#[derive(Debug)]
pub struct McpClient {
    bridge: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    next: u64,
}

impl McpClient {
    /// Starts `program` with `arguments` and shakes hands.
    ///
    /// # Errors
    /// When the bridge does not answer.
    pub async fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut client = Self::spawn(program, arguments)?;
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "lictor-tests", "version": "1"}});
        client.request("initialize", hello).await?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await?;
        Ok(client)
    }

    /// Starts `program` with `arguments`, and shakes no hands: as 2026-07-28 has it, or for what comes before.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut bridge = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = bridge.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(bridge.stdout.take().context("no stdout")?).lines();
        Ok(Self { bridge, stdin, stdout, next: 0 })
    }

    /// Process number of the bridge.
    pub fn bridge_id(&self) -> Option<u32> {
        self.bridge.id()
    }

    /// Ends the bridge at once (`SIGKILL`).
    pub async fn kill_bridge(&mut self) {
        let _ = self.bridge.kill().await;
    }

    /// Sends a request and does not wait; answers its id.
    ///
    /// # Errors
    /// When the bridge is gone.
    pub async fn begin(&mut self, method: &str, params: Value) -> anyhow::Result<u64> {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})).await?;
        Ok(self.next)
    }

    /// Waits for the answer to a request; notifications on the way are given to `seen`.
    ///
    /// # Errors
    /// When the bridge is gone, or answers a protocol error.
    pub async fn finish(&mut self, id: u64, mut seen: impl FnMut(&Value)) -> anyhow::Result<Value> {
        loop {
            let line = self.stdout.next_line().await?.context("the bridge is gone")?;
            let message: Value = serde_json::from_str(&line)?;
            if message["id"] == id {
                anyhow::ensure!(message["error"].is_null(), "protocol error: {}", message["error"]);
                return Ok(message["result"].clone());
            }
            seen(&message);
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the bridge is gone, or answers a protocol error.
    pub async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.begin(method, params).await?;
        self.finish(id, |_| ()).await
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When the bridge is gone, or answers a protocol error; a tool's own error is a result.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Sends bytes, which need be no message.
    ///
    /// # Errors
    /// When the bridge is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stdin.write_all(bytes).await?)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the bridge is gone.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.stdin.write_all(format!("{message}\n").as_bytes()).await?;
        Ok(self.stdin.flush().await?)
    }
}
