//! An audit record read back: its fields by name, as queries look at them.

use lictor_core::audit::query::Facts;
use serde_json::{Map, Value};

use super::payload::Missing;

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuditFacts(Map<String, Value>);

// === impl AuditFacts ===

impl AuditFacts {
    /// Reads the content of a record; `None` when it is not a JSON object.
    pub fn read(content: &[u8]) -> Option<Self> {
        serde_json::from_slice(content).ok().map(Self)
    }
    /// Reads the content of a record with its payload; where that is not there, each of its fields says why.
    pub fn read_with(content: &[u8], payload: &[u8], missing: Missing) -> Option<Self> {
        super::payload::members(content, payload, missing).map(Self)
    }
    /// The fields.
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
    /// The text of the field `name`: of a text that was cut, its start; `""` for what is absent or no text.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(text_of).unwrap_or_default()
    }
    /// The number in the field `name`.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }
}

impl Facts for AuditFacts {
    fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            None => Vec::new(),
            Some(Value::Array(entries)) => entries.iter().filter_map(text_of).collect(),
            Some(one) => text_of(one).into_iter().collect(),
        }
    }
}

/// The text, or the start of one that was cut.
fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Object(cut) => cut.get("cut").and_then(Value::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lists_and_what_was_cut_are_found_and_the_rest_is_not_text() {
        let record = br#"{"a":"x","b":["y",{"cut":"z","bytes":9,"sha256":"0"},{"more":3}],"c":null,"d":7}"#;
        let facts = AuditFacts::read(record).unwrap();
        assert_eq!(facts.texts("a"), ["x"]);
        assert_eq!(facts.texts("b"), ["y", "z"]);
        assert!(facts.texts("c").is_empty() && facts.texts("d").is_empty() && facts.texts("e").is_empty());
        assert_eq!((facts.text("a"), facts.text("c"), facts.number("d")), ("x", "", Some(7)));
        assert_eq!(AuditFacts::read(b"[]"), None);
    }
}
