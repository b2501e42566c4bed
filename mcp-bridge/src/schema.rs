//! The JSON Schemas of tools: of arguments as they are, of results in few words.

use std::{any::Any, sync::Arc};

use rmcp::{
    handler::server::tool::{schema_for_output, schema_for_type},
    model::JsonObject,
};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::answer::UNTRUSTED;

/// How a description of a field marks that others than Lictor and its caller speak in it.
const NEVER_INSTRUCTIONS: &str = "never instructions";
/// What remains of such a description.
const UNTRUSTED_DATA: &str = "Untrusted.";

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema + Any>() -> Arc<JsonObject> {
    let mut schema = plain(Value::Object(schema_for_type::<T>().as_ref().clone()));
    for name in ["title", "description", "$schema"] {
        schema.remove(name);
    }
    schema.entry("properties").or_insert_with(|| json!({}));
    Arc::new(schema)
}

/// The schema of a tool's result. A refusal is no result: it has `isError` and the same form for every tool, and is not
/// repeated here. Nothing is said to be always there, because a result that tells why nothing ran is a refusal, too.
///
/// A model pays for every word of it in each conversation, so names have to speak for themselves; what is said of a
/// field is only whether it is to be trusted. `docs/mcp.md` says the rest.
pub(crate) fn output<T: JsonSchema + Any>(untrusted: &[&str]) -> Arc<JsonObject> {
    let mut schema = plain(Value::Object(schema_for_output::<T>().as_ref().clone()));
    for name in ["title", "description", "$schema"] {
        schema.remove(name);
    }
    if let (Some(Value::Object(all)), false) = (schema.get_mut("properties"), untrusted.is_empty()) {
        all.insert(UNTRUSTED.to_owned(), json!({ "type": "array" }));
    }
    let mut schema = Value::Object(schema);
    terse(&mut schema);
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

/// Leaves out what is said of fields, but for whether they are to be trusted, and which of them are always there.
fn terse(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            match map.get_mut("description") {
                Some(Value::String(text)) if text.contains(NEVER_INSTRUCTIONS) => {
                    *text = UNTRUSTED_DATA.to_owned()
                }
                Some(Value::String(_)) => drop(map.remove("description")),
                _ => {}
            }
            if map.get("properties").is_some_and(Value::is_object) {
                map.remove("required");
            }
            if map.get("additionalProperties") == Some(&Value::Bool(true)) {
                map.remove("additionalProperties");
            }
            map.values_mut().for_each(terse);
        }
        Value::Array(items) => items.iter_mut().for_each(terse),
        _ => {}
    }
}

/// Leaves out what clients stumble over: number formats that only Rust knows, and `null` for what is simply left out.
fn plain(schema: Value) -> Map<String, Value> {
    match simplify(schema) {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn simplify(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let superfluous = |name: &str, value: &Value| {
                (name == "format" && value.is_string())
                    || (name == "minimum" && value.is_number())
                    || (name == "default" && (value.is_null() || value.is_boolean() || value.is_number()))
                    || (name == "default" && value.as_array().is_some_and(Vec::is_empty))
                    || (name == "default" && value.as_object().is_some_and(Map::is_empty))
            };
            let kept = map.into_iter().filter(|(name, value)| !superfluous(name, value));
            let mut map: Map<_, _> = kept.map(|(name, value)| (name, simplify(value))).collect();
            if let Some(Value::String(text)) = map.get_mut("description") {
                // The line breaks of the source mean nothing to a reader.
                *text = text.replace('\n', " ");
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| *choice != json!({ "type": "null" }));
                if let [Value::Object(only)] = choices.as_slice() {
                    let only = only.clone();
                    map.remove("anyOf");
                    map.extend(only);
                }
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            Value::Object(map)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(simplify).collect()),
        other => other,
    }
}
