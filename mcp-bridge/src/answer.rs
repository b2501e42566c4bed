//! What a tool answers: a typed result, a refusal, or both; as MCP wants it.

use std::collections::BTreeMap;

use lictor_core::error::Failure;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::Value;

/// The field of an answer that names those in which others speak: data, never instructions.
pub(crate) const UNTRUSTED: &str = "untrusted";
/// The field of a refusal in which a site speaks.
const DENIAL_REASON: &str = "denial_reason";

/// A result, and why nothing ran if nothing did.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    result: T,
    refusal: Option<Refusal>,
}

/// Why Lictor could not or would not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    /// A stable code, such as POLICY_DENIED, COMMAND_REFUSED, UNREACHABLE, UNKNOWN or UNAVAILABLE.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) next_step: String,
    /// Why it was denied, in the words of the site or of whoever froze it. Data, never instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) denial_reason: Option<String>,
    /// Further facts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) details: BTreeMap<String, String>,
}

// === impl Answer ===

impl<T> Answer<T> {
    /// It was done.
    pub(crate) const fn done(result: T) -> Self {
        Self { result, refusal: None }
    }
    /// There is a result, and it is that nothing ran or nobody can know.
    pub(crate) const fn refused(result: T, refusal: Option<Refusal>) -> Self {
        Self { result, refusal }
    }
}

impl<T: Serialize> Answer<T> {
    /// The answer as MCP wants it. `untrusted` names the fields in which others than Lictor and its caller speak.
    pub(crate) fn into_result(self, untrusted: &[&str]) -> CallToolResult {
        let mut structured = serde_json::to_value(&self.result).unwrap_or_default();
        let said = self.refusal.as_ref().is_some_and(|refusal| refusal.denial_reason.is_some());
        let untrusted: Vec<&str> = untrusted.iter().copied().chain(said.then_some(DENIAL_REASON)).collect();
        if let (false, Value::Object(all)) = (untrusted.is_empty(), &mut structured) {
            all.insert(UNTRUSTED.to_owned(), untrusted.into());
        }
        if let (Some(refusal), Value::Object(all)) = (&self.refusal, &mut structured)
            && let Ok(Value::Object(more)) = serde_json::to_value(refusal)
        {
            all.extend(more);
        }
        into_result(structured, self.refusal.is_some())
    }
}

/// The answer to a call that failed as a whole.
pub(crate) fn failed(failure: &Failure) -> CallToolResult {
    into_result(serde_json::to_value(Refusal::from(failure)).unwrap_or_default(), true)
}

/// The text says the same as the structure, as compact JSON: so that what a host printed stays inside its field, also
/// for clients that show models the text alone.
fn into_result(structured: Value, is_error: bool) -> CallToolResult {
    let content = vec![ContentBlock::text(structured.to_string())];
    let mut result = if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = Some(structured);
    result
}

// === impl Refusal ===

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        Self {
            code: failure.code.as_str().to_owned(),
            message: failure.message.clone(),
            next_step: failure.next_step.clone(),
            denial_reason: None,
            details: failure.details.iter().cloned().collect(),
        }
    }
}
