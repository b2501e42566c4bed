//! The first word of a client, in each era of the protocol, and whether what answers is Lictor.

use serde_json::{Value, json};

use super::clients::SERVER;

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// Clients shake hands first.
    Sessions,
    /// Every request stands for itself.
    Stateless,
}

impl Era {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Sessions, Self::Stateless];

    /// The revision that stands for it.
    pub(super) const fn version(self) -> &'static str {
        match self {
            Self::Sessions => "2025-11-25",
            Self::Stateless => "2026-07-28",
        }
    }

    /// The method of the first word.
    pub(super) const fn method(self) -> &'static str {
        match self {
            Self::Sessions => "initialize",
            Self::Stateless => "server/discover",
        }
    }

    /// The first word.
    pub(super) fn hello(self) -> Value {
        let (version, capabilities) = (self.version(), json!({}));
        let client = json!({ "name": "lictor-doctor", "version": env!("CARGO_PKG_VERSION") });
        let params = match self {
            Self::Sessions => {
                json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": client })
            }
            Self::Stateless => json!({ "_meta": {
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": capabilities,
                "io.modelcontextprotocol/clientInfo": client,
            } }),
        };
        json!({ "jsonrpc": "2.0", "id": 1, "method": self.method(), "params": params })
    }

    /// Whether the answer to it is Lictor's.
    pub(super) fn is_lictor(self, answer: &Value) -> Result<(), String> {
        let name = match self {
            Self::Sessions => answer.pointer("/result/serverInfo/name"),
            Self::Stateless => answer
                .pointer("/result/serverInfo/name")
                .or_else(|| answer.pointer("/result/_meta/io.modelcontextprotocol~1serverInfo/name")),
        };
        if name.and_then(Value::as_str) == Some(SERVER) {
            Ok(())
        } else {
            Err("what answers is not lictor".to_owned())
        }
    }
}
