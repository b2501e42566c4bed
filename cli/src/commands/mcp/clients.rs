//! The MCP clients that can be set up: where each keeps its configuration, and in which form.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::trouble::Trouble;

/// The name of the server in every configuration.
pub(super) const SERVER: &str = "lictor";

/// An MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// Claude Desktop
    ClaudeDesktop,
    /// Claude Code, for every project of this user
    ClaudeCode,
    /// Cursor
    Cursor,
    /// Visual Studio Code
    Vscode,
    /// Codex
    Codex,
    /// Gemini CLI
    Gemini,
}

/// The form of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, maybe with comments; servers by name in the member of this name.
    Json(&'static str),
    /// TOML; servers by name in the table of this name.
    Toml(&'static str),
}

/// What a client is to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) command: PathBuf,
    pub(super) args: Vec<String>,
}

/// How a client gets to the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// It starts it.
    Program(Server),
    /// It finds it there, over HTTP.
    Url(String),
}

impl Client {
    /// What people call it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::Vscode => "Visual Studio Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
        }
    }

    /// The form of its file.
    pub(super) const fn form(self) -> Form {
        match self {
            Self::ClaudeDesktop | Self::ClaudeCode | Self::Cursor | Self::Gemini => Form::Json("mcpServers"),
            Self::Vscode => Form::Json("servers"),
            Self::Codex => Form::Toml("mcp_servers"),
        }
    }

    /// Its file.
    ///
    /// # Errors
    /// When this user has no home directory.
    pub(super) fn file(self) -> Result<PathBuf, Trouble> {
        let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.ok_or_else(|| {
            Trouble::usage(
                "HOME is not set, so the client's files cannot be found",
                "name the file with --file",
            )
        })?;
        Ok(match self {
            Self::ClaudeDesktop => applications(&home).join("Claude/claude_desktop_config.json"),
            Self::ClaudeCode => home.join(".claude.json"),
            Self::Cursor => home.join(".cursor/mcp.json"),
            Self::Vscode => applications(&home).join("Code/User/mcp.json"),
            Self::Codex => env::var_os("CODEX_HOME")
                .map_or_else(|| home.join(".codex"), PathBuf::from)
                .join("config.toml"),
            Self::Gemini => home.join(".gemini/settings.json"),
        })
    }

    /// The server as an entry of its file, be it JSON or TOML.
    ///
    /// # Errors
    /// When its file has no servers over HTTP.
    pub(super) fn entry(self, reach: &Reach) -> Result<Value, Trouble> {
        Ok(match (self, reach) {
            (Self::ClaudeCode | Self::Vscode, Reach::Program(Server { command, args })) => {
                json!({ "type": "stdio", "command": command, "args": args })
            }
            (_, Reach::Program(Server { command, args })) => json!({ "command": command, "args": args }),
            (Self::ClaudeCode | Self::Vscode, Reach::Url(url)) => json!({ "type": "http", "url": url }),
            (Self::Cursor | Self::Codex, Reach::Url(url)) => json!({ "url": url }),
            (Self::Gemini, Reach::Url(url)) => json!({ "httpUrl": url }),
            (Self::ClaudeDesktop, Reach::Url(_)) => {
                return Err(Trouble::usage(
                    format!("{} has no servers over HTTP in its file", self.title()),
                    "add the URL as a connector in its settings",
                ));
            }
        })
    }
}

/// Where desktop applications keep their settings.
fn applications(home: &Path) -> PathBuf {
    if cfg!(target_os = "macos") {
        return home.join("Library/Application Support");
    }
    env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from)
}
