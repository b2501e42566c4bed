//! A message before it is understood: whole, bounded in size and depth, and what scope it needs.

use std::{borrow::Cow, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use lictor_oauth::scope::Scope;
use serde::Deserialize;

use super::arrivals::Arrivals;

/// Longest message: far more than a command of the longest line with every argument takes, and a file with base64 around it.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Deepest nesting; the arguments of the tools have less than ten levels.
const MAX_DEPTH: usize = 64;
/// Longest time in which a message has to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);

/// Why a message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    /// Too long.
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
    /// Too slow.
    #[error("the message did not arrive within {} s", ARRIVAL.as_secs())]
    TooSlow,
    /// Broken off.
    #[error("the message broke off")]
    Broken,
    /// Too deep.
    #[error("the message is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Not one JSON-RPC message.
    #[error("the body is not one JSON-RPC message")]
    NotOne,
}

/// What is known of a message by its outside.
#[derive(Debug, Deserialize)]
pub(super) struct Outline<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<Named<'a>>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

/// Reads a body of `principal`, when there is room for one more.
pub(super) async fn read(
    body: Incoming,
    arrivals: &Arc<Arrivals>,
    principal: &Arc<str>,
) -> Result<Bytes, NotTaken> {
    if body.size_hint().lower() > MAX_MESSAGE_BYTES as u64 {
        return Err(NotTaken::TooLong);
    }
    let arrive = async {
        let _place = arrivals.place(principal).await.ok_or(NotTaken::Broken)?;
        Limited::new(body, MAX_MESSAGE_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { NotTaken::TooLong } else { NotTaken::Broken }
        })
    };
    let collected = tokio::time::timeout(ARRIVAL, arrive).await.map_err(|_| NotTaken::TooSlow)??;
    Ok(collected.to_bytes())
}

/// The outside of a message that is not too deep.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline<'_>, NotTaken> {
    if depth(bytes) > MAX_DEPTH {
        return Err(NotTaken::TooDeep);
    }
    // A list would be read as the fields in their order, and is no message.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(NotTaken::NotOne);
    }
    serde_json::from_slice(bytes).map_err(|_| NotTaken::NotOne)
}

/// How deep brackets nest outside of strings; for text that is no JSON, a number all the same.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

// === impl Outline ===

impl Outline<'_> {
    /// Whether it opens a session.
    pub(super) fn is_initialize(&self) -> bool {
        self.method.as_deref() == Some("initialize")
    }

    /// The scope that it needs; `scope_of_tool` knows the tools. What neither shows nor runs anything needs none. The
    /// controller decides by itself; this gives the client the answer that lets it ask its user for more.
    pub(super) fn scope(&self, scope_of_tool: fn(&str) -> Option<Scope>) -> Option<Scope> {
        match self.method.as_deref() {
            None => None,
            Some("initialize" | "ping" | "server/discover" | "tools/list" | "prompts/list") => None,
            Some(method) if method.starts_with("notifications/") => None,
            Some("tasks/cancel" | "tasks/update") => Some(Scope::Run),
            Some("tools/call") => {
                let name = self.params.as_ref().and_then(|params| params.name.as_deref());
                // Without a name it is refused later; here it needs the most.
                name.map_or(Some(Scope::Run), scope_of_tool)
            }
            Some(_) => Some(Scope::Read),
        }
    }
}

// === impl NotTaken ===

impl NotTaken {
    /// The status that says so.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::TooDeep | Self::NotOne => StatusCode::BAD_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        for (text, deep) in [
            ("{}", 1),
            (r#"{"a":[1,{"b":"}]"}]}"#, 3),
            (r#"{"a":"[[[[\"[[[["}"#, 1),
            (r#"["\\",[1]]"#, 2),
            ("]]]][", 1),
        ] {
            assert_eq!(depth(text.as_bytes()), deep, "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(outline(deep.as_bytes()).unwrap_err(), NotTaken::TooDeep);
    }

    #[test]
    fn a_message_needs_the_scope_of_what_it_does() {
        let of_tool = |name: &str| match name {
            "run" => Some(Scope::Run),
            _ => Some(Scope::Read),
        };
        for (text, scope) in [
            (r#"{"method":"initialize"}"#, None),
            (r#"{"method":"tools/call","params":{"name":"run"}}"#, Some(Scope::Run)),
            (r#"{"method":"tools/call","params":{"name":"ru\u006e"}}"#, Some(Scope::Run)),
            (r#"{"method":"tools/call","params":{"name":"look"}}"#, Some(Scope::Read)),
            (r#"{"method":"tools/call","params":[null]}"#, Some(Scope::Run)),
            (r#"{"method":"resources/read"}"#, Some(Scope::Read)),
            (r#"{"method":"tasks/cancel"}"#, Some(Scope::Run)),
            (r#"{"method":"something/new"}"#, Some(Scope::Read)),
            (r#"{"result":{}}"#, None),
        ] {
            assert_eq!(outline(text.as_bytes()).unwrap().scope(of_tool), scope, "{text}");
        }
        for two in ["[]", "[{}]", "1", r#"{"method":"ping","method":"tools/call"}"#, "{", ""] {
            assert_eq!(outline(two.as_bytes()).unwrap_err(), NotTaken::NotOne, "{two}");
        }
    }
}
