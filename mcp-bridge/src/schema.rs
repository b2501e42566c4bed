//! The JSON Schemas of tools: of arguments as they are, of results together with refusals.

use std::{any::Any, sync::Arc};

use rmcp::{
    handler::server::tool::{schema_for_output, schema_for_type},
    model::JsonObject,
};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::answer::Refusal;

/// The schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema + Any>() -> Arc<JsonObject> {
    let mut schema = plain(Value::Object(schema_for_type::<T>().as_ref().clone()));
    for name in ["title", "description", "$schema"] {
        schema.remove(name);
    }
    schema.entry("properties").or_insert_with(|| json!({}));
    Arc::new(schema)
}

/// The schema of a tool's result: an object that is the result, a refusal, or both when a result tells why nothing ran.
/// It has one flat list of properties, because that is what every client can show.
pub(crate) fn output<T: JsonSchema + Any>() -> Arc<JsonObject> {
    let mut schema = plain(Value::Object(schema_for_output::<T>().as_ref().clone()));
    let mut refusal = plain(Value::Object(schema_for_output::<Refusal>().as_ref().clone()));
    for name in ["title", "description", "$schema"] {
        schema.remove(name);
    }
    let required_of_result = schema.remove("required").unwrap_or_else(|| json!([]));
    let required_of_refusal = refusal.remove("required").unwrap_or_else(|| json!([]));
    if let (Some(Value::Object(all)), Some(Value::Object(more))) =
        (schema.get_mut("properties"), refusal.remove("properties"))
    {
        for (name, property) in more {
            all.entry(name).or_insert(property);
        }
    }
    schema.insert(
        "anyOf".into(),
        json!([{ "required": required_of_result }, { "required": required_of_refusal }]),
    );
    Arc::new(schema)
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
                (name == "format" && value.is_string()) || (name == "default" && value.is_null())
            };
            let kept = map.into_iter().filter(|(name, value)| !superfluous(name, value));
            let mut map: Map<_, _> = kept.map(|(name, value)| (name, simplify(value))).collect();
            if let Some(Value::String(text)) = map.get_mut("description") {
                // The line breaks of the source mean nothing to a reader.
                *text = text.replace('\n', " ");
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
