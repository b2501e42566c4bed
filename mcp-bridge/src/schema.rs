//! The JSON Schemas of tools: of arguments as they are, of results together with refusals.

use std::{any::Any, collections::HashSet, sync::Arc};

use rmcp::{
    handler::server::tool::{schema_for_output, schema_for_type},
    model::JsonObject,
};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::answer::{DENIAL_REASON, Refusal, UNTRUSTED};

/// How a description of a field marks that others than Lictor and its caller speak in it.
const NEVER_INSTRUCTIONS: &str = "never instructions";
/// How many fields of a result are said to be always there.
const IDENTITY_FIELDS: usize = 2;
/// What remains of such a description.
const UNTRUSTED_DATA: &str = "Untrusted.";

/// What the schemas of a list have said already: a model reads all of them, and pays for every word.
#[derive(Debug, Default)]
pub(crate) struct Said(HashSet<String>);

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
///
/// A model pays for every word of it in each conversation, so names have to speak for themselves; what is said of a
/// field is only whether it is to be trusted. `docs/mcp.md` says the rest.
pub(crate) fn output<T: JsonSchema + Any>(untrusted: &[&str]) -> Arc<JsonObject> {
    let mut schema = plain(Value::Object(schema_for_output::<T>().as_ref().clone()));
    let mut refusal = plain(Value::Object(schema_for_output::<Refusal>().as_ref().clone()));
    for name in ["title", "description", "$schema"] {
        schema.remove(name);
    }
    let required_of_result = identity(schema.remove("required"));
    let required_of_refusal = identity(refusal.remove("required"));
    if let (Some(Value::Object(all)), Some(Value::Object(more))) =
        (schema.get_mut("properties"), refusal.remove("properties"))
    {
        let runs = untrusted.contains(&"stderr");
        for (name, property) in more.into_iter().filter(|(name, _)| runs || name != DENIAL_REASON) {
            all.entry(name).or_insert(property);
        }
        if !untrusted.is_empty() {
            all.insert(UNTRUSTED.to_owned(), json!({ "type": "array" }));
        }
    }
    schema.insert(
        "anyOf".into(),
        json!([{ "required": required_of_result }, { "required": required_of_refusal }]),
    );
    let mut schema = Value::Object(schema);
    terse(&mut schema);
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

/// What tells a result from a refusal, and a refusal from a result: the first fields of it, which it always has.
fn identity(required: Option<Value>) -> Value {
    match required {
        Some(Value::Array(names)) => names.into_iter().take(IDENTITY_FIELDS).collect(),
        _ => json!([]),
    }
}

/// Leaves out what is said of fields, but for whether they are to be trusted; and within lists, what is always there, or
/// everything where only Lictor speaks.
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
            if let Some(items) = map.get_mut("items")
                && items["properties"].is_object()
                && !items.to_string().contains(UNTRUSTED_DATA)
            {
                *items = json!({ "type": "object" });
            }
        }
        Value::Array(items) => items.iter_mut().for_each(terse),
        _ => {}
    }
}

// === impl Said ===

impl Said {
    /// The schema of a tool's arguments, without words that an earlier tool has for the same argument.
    pub(crate) fn input(&mut self, schema: &mut JsonObject) {
        let Some(Value::Object(arguments)) = schema.get_mut("properties") else { return };
        for (name, argument) in arguments.iter_mut() {
            if let Some(Value::Object(fields)) = argument.get_mut("properties") {
                fields.iter_mut().for_each(|(field, schema)| self.once(&format!("{name}.{field}"), schema));
            }
            self.once(name, argument);
        }
    }

    fn once(&mut self, name: &str, schema: &mut Value) {
        if let Some(fields) = schema.as_object_mut()
            && let Some(Value::String(words)) = fields.get("description")
            && !self.0.insert(format!("{name}: {words}"))
        {
            fields.remove("description");
        }
    }

    /// The schema of a tool's result, without the form of a list's entries that an earlier tool has had too.
    pub(crate) fn output(&mut self, schema: &mut JsonObject) {
        let Some(Value::Object(fields)) = schema.get_mut("properties") else { return };
        for items in fields.values_mut().filter_map(|field| field.get_mut("items")) {
            if items["properties"].is_object() && !self.0.insert(items.to_string()) {
                *items = json!({ "type": "object" });
            }
        }
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
