//! The payload of a record: what the record commits to, kept beside it. A record and its payload read together; and what
//! a payload must be to be the one that the record commits to.
//!
//! A record with payload has the member `payload`: `{"fields":[names…],"sha256":HEX}`. The payload is one JSON object in one
//! line: those fields, and `salt`, without which their digest would give short texts away. `docs/audit-format.md` has it.

use std::borrow::Cow;

use lictor_core::digest::Digest;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json::is_object;

/// The member of a record that commits to its payload.
pub(super) const MEMBER: &str = "payload";
/// The member of a payload that makes it unguessable.
pub(super) const SALT: &str = "salt";
/// Bytes of a salt, as many as nobody can try.
pub const SALT_BYTES: usize = 16;

/// Why fields that a record commits to are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// They were erased.
    Erased,
    /// Whoever made the copy left them out.
    LeftOut,
}

/// What a record commits to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Commitment {
    /// The fields of the payload, ordered by name.
    pub fields: Vec<String>,
    /// SHA-256 of the payload's bytes, hexadecimal.
    pub sha256: String,
}

// === impl Missing ===

impl Missing {
    /// What is read in place of each field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "(erased)",
            Self::LeftOut => "(left out)",
        }
    }
}

// === impl Commitment ===

impl Commitment {
    /// What the record with this content commits to; `None`: it has no payload.
    ///
    /// # Errors
    /// When it is no record, or its commitment none.
    pub fn of(content: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Record {
            payload: Option<Commitment>,
        }
        if !mentions_payload(content) {
            return Ok(None);
        }
        Ok(serde_json::from_slice::<Record>(content)?.payload)
    }

    /// Whether these bytes are what was committed to.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn fits(&self, payload: &[u8]) -> Result<(), &'static str> {
        if Digest::of(payload).to_string() != self.sha256 {
            return Err("it does not fit the digest in the record");
        }
        if !is_object(payload) {
            return Err("it is no JSON object");
        }
        let object: Map<String, Value> =
            serde_json::from_slice(payload).map_err(|_| "it is no JSON object")?;
        let is_salt = |text: &str| {
            text.len() == 2 * SALT_BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !object.get(SALT).and_then(Value::as_str).is_some_and(is_salt) {
            return Err("it has no salt");
        }
        let fields = object.keys().filter(|name| *name != SALT);
        if fields.eq(&self.fields) { Ok(()) } else { Err("it has other fields than the record says") }
    }
}

impl TryFrom<Map<String, Value>> for Commitment {
    type Error = &'static str;
    fn try_from(mut members: Map<String, Value>) -> Result<Self, Self::Error> {
        let (fields, sha256) = (members.remove("fields"), members.remove("sha256"));
        let (Some(Value::Array(fields)), Some(Value::String(sha256)), true) =
            (fields, sha256, members.is_empty())
        else {
            return Err("it has not the members of a commitment");
        };
        let name = |name: Value| match name {
            Value::String(name) => Ok(name),
            _ => Err("a name is no text"),
        };
        Ok(Self { fields: fields.into_iter().map(name).collect::<Result<_, _>>()?, sha256 })
    }
}

/// The members of a record with those of its payload in their places; `None` when the record is no JSON object.
pub(super) fn members(content: &[u8], payload: &[u8], missing: Missing) -> Option<Map<String, Value>> {
    let mut record: Map<String, Value> = serde_json::from_slice(content).ok()?;
    let committed = record.get(MEMBER).filter(|_| mentions_payload(content));
    let Some(commitment) = committed.and_then(|c| Commitment::deserialize(c).ok()) else {
        return Some(record);
    };
    record.remove(MEMBER);
    let held = Some(payload).filter(|payload| is_object(payload));
    let held = held.and_then(|payload| serde_json::from_slice(payload).ok());
    let mut held: Map<String, Value> = held.unwrap_or_default();
    for name in commitment.fields {
        let value = held.remove(&name).unwrap_or_else(|| missing.as_str().into());
        // Nothing in a payload stands in for what the record itself says.
        record.entry(name).or_insert(value);
    }
    Some(record)
}

/// A record as it is read: with the fields of its payload in their places, or with why they are not there.
pub fn reveal<'a>(content: &'a [u8], payload: &[u8], missing: Missing) -> Cow<'a, [u8]> {
    if !mentions_payload(content) {
        return Cow::Borrowed(content);
    }
    match members(content, payload, missing) {
        Some(members) => Cow::Owned(Value::Object(members).to_string().into_bytes()),
        None => Cow::Borrowed(content),
    }
}

/// Whether a record may have a payload: a quick look, never wrong when it says no.
pub(crate) fn mentions_payload(content: &[u8]) -> bool {
    const NAME: &[u8] = b"\"payload\"";
    content.windows(NAME.len()).any(|window| window == NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &[u8] = br#"{"command":"df -h","salt":"000102030405060708090a0b0c0d0e0f"}"#;

    fn record(fields: &str) -> Vec<u8> {
        let digest = Digest::of(PAYLOAD);
        format!(r#"{{"at":"x","kind":"k","payload":{{"fields":[{fields}],"sha256":"{digest}"}},"v":2}}"#)
            .into_bytes()
    }

    #[test]
    fn a_record_reads_as_one_with_its_payload_and_says_why_it_has_none() {
        let record = record(r#""command""#);
        let text =
            |payload: &[u8], missing| String::from_utf8(reveal(&record, payload, missing).to_vec()).unwrap();
        assert_eq!(text(PAYLOAD, Missing::Erased), r#"{"at":"x","command":"df -h","kind":"k","v":2}"#);
        assert_eq!(text(b"", Missing::Erased), r#"{"at":"x","command":"(erased)","kind":"k","v":2}"#);
        assert_eq!(text(b"", Missing::LeftOut), r#"{"at":"x","command":"(left out)","kind":"k","v":2}"#);
        assert_eq!(reveal(b"{}", PAYLOAD, Missing::Erased), Cow::Borrowed(b"{}".as_slice()));
    }

    #[test]
    fn only_the_bytes_that_were_committed_to_fit() {
        let commitment = Commitment::of(&record(r#""command""#)).unwrap().unwrap();
        assert_eq!(commitment.fits(PAYLOAD), Ok(()));
        for at in 0..PAYLOAD.len() {
            let mut other = PAYLOAD.to_vec();
            other[at] ^= 1;
            assert!(commitment.fits(&other).is_err(), "{at}");
        }
        for fields in ["", r#""command","kind""#, r#""salt""#] {
            assert!(Commitment::of(&record(fields)).unwrap().unwrap().fits(PAYLOAD).is_err(), "{fields}");
        }
        assert_eq!(Commitment::of(br#"{"kind":"k"}"#).unwrap(), None);
        for wrong in
            ["7", "[[],\"0\"]", r#"{"fields":[7],"sha256":"0"}"#, r#"{"fields":[],"sha256":"0","x":1}"#]
        {
            assert!(Commitment::of(format!(r#"{{"payload":{wrong}}}"#).as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_payload_takes_no_place_of_the_record_itself() {
        let payload = br#"{"kind":"other","salt":"000102030405060708090a0b0c0d0e0f"}"#;
        let digest = Digest::of(payload);
        let record = format!(r#"{{"kind":"k","payload":{{"fields":["kind"],"sha256":"{digest}"}}}}"#);
        assert_eq!(reveal(record.as_bytes(), payload, Missing::Erased).as_ref(), br#"{"kind":"k"}"#);
    }
}
