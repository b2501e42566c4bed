//! A small MCP client over a child's standard input and output: what an AI assistant's program does.
//!
//! Source: Model Context Protocol 2025-11-25, stdio transport: one JSON-RPC message a line.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::Broken;

/// The version of the protocol that is spoken.
const PROTOCOL: &str = "2025-11-25";
/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// A connected client; the server ends with it.
#[derive(Debug)]
pub(super) struct McpClient {
    _server: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    next_id: u64,
}

// === impl McpClient ===

impl McpClient {
    /// Starts `lictor --dir DIR mcp` and begins as the protocol says.
    pub(super) async fn connect(home: &Path) -> Result<Self, Broken> {
        let broken = |e: std::io::Error| Broken::doing("cannot start the MCP server", &e);
        let program = std::env::current_exe().map_err(broken)?;
        let mut server = Command::new(program)
            .arg("--dir")
            .arg(home)
            .arg("mcp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (Some(input), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
            return Err(Broken("the MCP server has no pipes".to_owned()));
        };
        let mut this = Self { _server: server, input, output: BufReader::new(output).lines(), next_id: 0 };
        let client = json!({ "name": "lictor-demo", "version": env!("CARGO_PKG_VERSION") });
        let begin = json!({ "protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": client });
        this.request("initialize", begin).await?;
        this.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
        Ok(this)
    }

    /// The names of the tools.
    pub(super) async fn tools(&mut self) -> Result<Vec<String>, Broken> {
        let listed = self.request("tools/list", json!({})).await?;
        let tools = listed.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(tools.iter().filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())).collect())
    }

    /// Calls a tool; the result as the server gave it.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, Broken> {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    async fn request(&mut self, method: &str, params: Value) -> Result<Value, Broken> {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await?;
        let answer = tokio::time::timeout(ANSWER_WAIT, self.answer_to(id)).await;
        answer.unwrap_or_else(|_| Err(Broken(format!("the MCP server did not answer {method}"))))
    }

    async fn answer_to(&mut self, id: u64) -> Result<Value, Broken> {
        loop {
            let line = self.output.next_line().await.map_err(|e| Broken::doing("the MCP server", &e))?;
            let line = line.ok_or_else(|| Broken("the MCP server ended".to_owned()))?;
            let message: Value =
                serde_json::from_str(&line).map_err(|e| Broken::doing("the MCP server said", &e))?;
            // Notifications and logs come in between.
            if message.get("id").and_then(Value::as_u64) != Some(id) {
                continue;
            }
            return match (message.get("result"), message.get("error")) {
                (Some(result), _) => Ok(result.clone()),
                (None, error) => {
                    Err(Broken(format!("the MCP server refused: {}", error.unwrap_or(&Value::Null))))
                }
            };
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), Broken> {
        let sent = self.input.write_all(format!("{message}\n").as_bytes()).await;
        sent.map_err(|e| Broken::doing("the MCP server does not read", &e))
    }
}
