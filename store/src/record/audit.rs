//! Audit records as they are hashed: one JSON object, `{"v":…,"at":…,"kind":…, fields…}`, of bounded length; and beside it
//! the payload that it commits to.

mod whole;

use lictor_core::{
    audit::{AuditEvent, Field, Fields, payload::is_payload},
    clock::Timestamp,
    digest::Digest,
};
use serde_json::{Map, Value, json};

use super::payload::{MEMBER, SALT, SALT_BYTES};

/// Version of a record that has everything in it.
const VERSION: u64 = 1;
/// Version of a record that commits to a payload.
const VERSION_WITH_PAYLOAD: u64 = 2;
/// A record is shorter than this, and so is its payload, so that both fit any page, proof and message that carries them.
pub const MAX_RECORD_BYTES: usize = 60 * 1024;

/// A record, and what it commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    /// The content of the leaf.
    pub content: Vec<u8>,
    /// The payload; empty when the event has none.
    pub payload: Vec<u8>,
}

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

/// The record that says `event` at `at`. Fields that are known to be absent are `null`.
///
/// Fields that are payload ([`is_payload`]) are not in the record: it has the digest of the payload, which has them and
/// `salt`, sixteen bytes that nobody can guess.
///
/// If one of both were not below [`MAX_RECORD_BYTES`], long fields are replaced by their start and a digest of what is cut:
/// - a text by `{"cut": first characters, "bytes": its length, "sha256": of the whole text}`;
/// - a list by its first entries and `{"more": number of the others, "sha256": of their compact JSON array}`.
pub fn seal_event(at: Timestamp, event: &AuditEvent, salt: [u8; SALT_BYTES]) -> SealedEvent {
    let fields = event.fields();
    let mut sealed = whole::write(at, event.kind(), &fields, salt)
        .unwrap_or_else(|| seal(at, event.kind(), &fields, salt, None));
    for cut in &CUTS {
        if sealed.content.len().max(sealed.payload.len()) < MAX_RECORD_BYTES {
            break;
        }
        sealed = seal(at, event.kind(), &fields, salt, Some(cut));
    }
    sealed
}

/// The general way, by maps of values; cut or whole.
fn seal(
    at: Timestamp,
    kind: &str,
    fields: &Fields,
    salt: [u8; SALT_BYTES],
    cut: Option<&Cut>,
) -> SealedEvent {
    let (mut record, mut payload) = (Map::new(), Map::new());
    for (name, field) in fields {
        let place = if is_erasable(kind, name, field) { &mut payload } else { &mut record };
        place.insert((*name).into(), value(field, cut));
    }
    record.insert("at".into(), at.to_string().into());
    record.insert("kind".into(), kind.into());
    let mut bytes = Vec::new();
    let version = if payload.is_empty() {
        VERSION
    } else {
        let fields: Vec<Value> = payload.keys().map(|name| name.as_str().into()).collect();
        payload.insert(SALT.into(), hex(salt).into());
        bytes = Value::Object(payload).to_string().into_bytes();
        let sha256 = Digest::of(&bytes).to_string();
        record.insert(MEMBER.into(), json!({ "fields": fields, "sha256": sha256 }));
        VERSION_WITH_PAYLOAD
    };
    record.insert("v".into(), version.into());
    SealedEvent { content: Value::Object(record).to_string().into_bytes(), payload: bytes }
}

/// Whether a field stands in the payload. That something is absent is nothing to erase.
fn is_erasable(kind: &str, name: &str, field: &Field) -> bool {
    *field != Field::Absent && is_payload(kind, name)
}

fn hex(bytes: [u8; SALT_BYTES]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
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
    use crate::record::payload::{Commitment, Missing, reveal};

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

    /// The record as it is read.
    fn record(event: &AuditEvent) -> Value {
        let SealedEvent { content, payload } = seal_event(AT, event, [7; SALT_BYTES]);
        assert!(content.len() < MAX_RECORD_BYTES, "{}", content.len());
        assert!(payload.len() < MAX_RECORD_BYTES, "{}", payload.len());
        serde_json::from_slice(&reveal(&content, &payload, Missing::Erased)).unwrap()
    }

    #[test]
    fn what_is_payload_stands_in_the_record_by_a_digest_that_its_salt_keeps_from_being_guessed() {
        let event = denied(1, "rm -rf /srv/secret".into(), "it is forbidden".into());
        let first = seal_event(AT, &event, [1; SALT_BYTES]);
        let text = String::from_utf8(first.content.clone()).unwrap();
        for payload in ["rm -rf", "it is forbidden", "test 1", "request_digest\":"] {
            assert!(!text.contains(payload), "{text}");
        }
        let open: Value = serde_json::from_slice(&first.content).unwrap();
        assert_eq!((open["v"].as_u64(), open["code"].as_str()), (Some(2), Some("E_EXPANSION")));
        assert_eq!(open["payload"]["fields"], json!(["client", "command", "reason", "request_digest"]));
        let commitment = Commitment::of(&first.content).unwrap().unwrap();
        assert_eq!(commitment.fits(&first.payload), Ok(()));
        let second = seal_event(AT, &event, [2; SALT_BYTES]);
        assert_ne!(first.content, second.content, "the same text under another salt is another digest");
        assert!(commitment.fits(&second.payload).is_err());
    }

    #[test]
    fn a_record_without_payload_is_what_it_always_was() {
        let event = AuditEvent::ControllerStarted { name: "c".into() };
        let sealed = seal_event(AT, &event, [1; SALT_BYTES]);
        assert_eq!(
            sealed.content,
            br#"{"at":"1970-01-01T00:00:00.000000Z","kind":"controller_started","name":"c","v":1}"#
        );
        assert!(sealed.payload.is_empty());
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
