//! Audit records as they are hashed: one JSON object, `{"v":1,"at":…,"kind":…, fields…}`.

use lictor_core::{
    audit::{AuditEvent, Field},
    clock::Timestamp,
};
use serde_json::{Map, Value};

/// Version of the record format.
const VERSION: u64 = 1;

/// The content of the leaf that says `event` at `at`. Fields that are known to be absent are `null`.
pub fn encode_event(at: Timestamp, event: &AuditEvent) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("v".into(), VERSION.into());
    object.insert("at".into(), at.to_string().into());
    object.insert("kind".into(), event.kind().into());
    for (name, field) in event.fields() {
        object.insert(name.into(), value(field));
    }
    Value::Object(object).to_string().into_bytes()
}

fn value(field: Field) -> Value {
    match field {
        Field::Text(text) => text.into(),
        Field::Number(number) => number.into(),
        Field::List(texts) => texts.into(),
        Field::Absent => Value::Null,
    }
}
