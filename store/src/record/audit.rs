//! Audit records as they are hashed: one JSON object, `{"v":1,"at":…,"kind":…, fields…}`, of bounded length.

use lictor_core::{
    audit::{AuditEvent, Field, Fields},
    clock::Timestamp,
    digest::Digest,
};
use serde_json::{Map, Value, json};

/// Version of the record format.
const VERSION: u64 = 1;
/// A record is shorter than this, so that it fits any page, proof and message that carries records.
pub const MAX_RECORD_BYTES: usize = 60 * 1024;

/// How much of long fields is kept in a record that would be too long.
struct Cut {
    /// Longest text, in bytes as JSON, that is kept whole.
    text_bytes: usize,
    /// Characters that are kept of a longer one.
    text_chars: usize,
    /// Entries that are kept of a longer list.
    entries: usize,
}

/// Tried in turn. The last one bounds every field to less than 1 KiB, which is enough for any event.
const CUTS: [Cut; 2] = [
    Cut { text_bytes: 1024, text_chars: 256, entries: 16 },
    Cut { text_bytes: 256, text_chars: 64, entries: 0 },
];

/// The content of the leaf that says `event` at `at`. Fields that are known to be absent are `null`.
///
/// If it were not below [`MAX_RECORD_BYTES`], long fields are replaced by their start and a digest of what is cut:
/// - a text by `{"cut": first characters, "bytes": its length, "sha256": of the whole text}`;
/// - a list by its first entries and `{"more": number of the others, "sha256": of their compact JSON array}`.
pub fn encode_event(at: Timestamp, event: &AuditEvent) -> Vec<u8> {
    let fields = event.fields();
    let mut content = encode(at, event.kind(), &fields, None);
    for cut in &CUTS {
        if content.len() < MAX_RECORD_BYTES {
            break;
        }
        content = encode(at, event.kind(), &fields, Some(cut));
    }
    content
}

fn encode(at: Timestamp, kind: &str, fields: &Fields, cut: Option<&Cut>) -> Vec<u8> {
    let mut object = Map::new();
    object.insert("v".into(), VERSION.into());
    object.insert("at".into(), at.to_string().into());
    object.insert("kind".into(), kind.into());
    for (name, field) in fields {
        object.insert((*name).into(), value(field, cut));
    }
    Value::Object(object).to_string().into_bytes()
}

fn value(field: &Field, cut: Option<&Cut>) -> Value {
    match (field, cut) {
        (Field::Text(text), None) => text.as_str().into(),
        (Field::Text(text), Some(cut)) => cut.text(text),
        (Field::Number(number), _) => (*number).into(),
        (Field::List(texts), None) => texts.as_slice().into(),
        (Field::List(texts), Some(cut)) => cut.list(texts),
        (Field::Absent, _) => Value::Null,
    }
}

// === impl Cut ===

impl Cut {
    fn text(&self, text: &str) -> Value {
        // Measured as JSON, where a control character takes six bytes.
        let whole = Value::from(text);
        if text.len() <= self.text_bytes && whole.to_string().len() <= self.text_bytes {
            return whole;
        }
        let start: String = text.chars().take(self.text_chars).collect();
        json!({ "cut": start, "bytes": text.len(), "sha256": Digest::of(text.as_bytes()).to_string() })
    }

    fn list(&self, texts: &[String]) -> Value {
        let (kept, rest) = texts.split_at(texts.len().min(self.entries));
        let mut entries: Vec<Value> = kept.iter().map(|text| self.text(text)).collect();
        if !rest.is_empty() {
            let digest = Digest::of(Value::from(rest).to_string().as_bytes());
            entries.push(json!({ "more": rest.len(), "sha256": digest.to_string() }));
        }
        Value::Array(entries)
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{
        job::{Origin, Target},
        name::{AgentName, HostAlias, PrincipalName, SiteName, TenantName},
        principal::{Principal, PrincipalKind, Via},
    };

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(0);

    fn denied(aliases: usize, command: String, reason: String) -> AuditEvent {
        AuditEvent::RequestDenied {
            principal: Principal {
                tenant: TenantName::new("default").unwrap(),
                kind: PrincipalKind::User,
                name: PrincipalName::new("ops").unwrap(),
            },
            origin: Origin::new(Via::Cli, "test 1"),
            target: Target::Hosts(
                (0..aliases).map(|n| HostAlias::new(&format!("host-{n}")).unwrap()).collect(),
            ),
            command,
            context: lictor_core::context::Context::default(),
            request_digest: Digest::of(b""),
            code: "E_EXPANSION".into(),
            reason,
            rule: None,
            policy_version: 1,
        }
    }

    fn record(event: &AuditEvent) -> Value {
        let content = encode_event(AT, event);
        assert!(content.len() < MAX_RECORD_BYTES, "{}", content.len());
        serde_json::from_slice(&content).unwrap()
    }

    #[test]
    fn ten_thousand_targets_become_sixteen_and_a_digest_of_the_others() {
        let record = record(&denied(10_000, "id".into(), "no".into()));
        let (kept, more) = record["target"].as_array().unwrap().split_at(16);
        assert_eq!(kept[15], "host-15");
        let rest: Vec<String> = (16..10_000).map(|n| format!("host-{n}")).collect();
        let digest = Digest::of(serde_json::to_string(&rest).unwrap().as_bytes()).to_string();
        assert_eq!(more, [json!({ "more": 9_984, "sha256": digest })]);
        assert_eq!(record["command"], "id");
    }

    #[test]
    fn a_text_of_a_mebibyte_becomes_its_start_and_its_digest() {
        let text = "ä".repeat(512 * 1024);
        let record = record(&denied(3, text.clone(), "no".into()));
        let digest = Digest::of(text.as_bytes()).to_string();
        assert_eq!(
            record["command"],
            json!({ "cut": "ä".repeat(256), "bytes": 1024 * 1024, "sha256": digest })
        );
        assert_eq!(record["target"], json!(["host-0", "host-1", "host-2"]));
    }

    #[test]
    fn whatever_the_fields_hold_the_record_stays_below_the_bound() {
        record(&denied(10_000, "\0".repeat(1 << 20), "\u{1}".repeat(1 << 20)));
        record(&AuditEvent::HostsReported {
            site: SiteName::new("eu").unwrap(),
            agent: AgentName::new("a").unwrap(),
            hosts: 64,
            changes: vec!["\u{1}".repeat(1 << 14); 64],
        });
    }

    #[test]
    fn a_record_that_fits_is_kept_whole() {
        let text = "x".repeat(50_000);
        assert_eq!(record(&denied(17, text.clone(), "no".into()))["command"], text);
    }
}
