//! A record that has everything in it, and its payload, written at once: the same bytes as by way of a map of values, of
//! which a job on many hosts would build thousands.

use lictor_core::{
    audit::{Field, Fields},
    clock::Timestamp,
    digest::Digest,
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq as _},
};

use super::{SealedEvent, VERSION, VERSION_WITH_PAYLOAD, hex, is_erasable};
use crate::record::payload::{MEMBER, SALT, SALT_BYTES};

/// Members that a record has besides its fields: `at`, `kind`, `payload` and `v`.
const OWN_MEMBERS: usize = 4;
/// Room for one object: nearly all records are shorter, so nothing is moved while they are written.
const USUAL_BYTES: usize = 768;

/// A member by its name.
type Named<'a> = (&'a str, Member<'a>);

/// The value of a member.
enum Member<'a> {
    Field(&'a Field),
    Text(&'a str),
    Number(u64),
    Commitment { fields: &'a [&'a str], sha256: &'a str },
}

/// The record and its payload, uncut; `None` when a name stands twice, which is for the general way to settle.
pub(super) fn write(
    at: Timestamp,
    kind: &str,
    fields: &Fields,
    salt: [u8; SALT_BYTES],
) -> Option<SealedEvent> {
    let (at, salt) = (at.to_string(), hex(salt));
    let mut record: Vec<Named<'_>> = Vec::with_capacity(fields.len() + OWN_MEMBERS);
    let mut payload: Vec<Named<'_>> = Vec::new();
    for (name, field) in fields {
        let place = if is_erasable(kind, name, field) { &mut payload } else { &mut record };
        place.push((*name, Member::Field(field)));
    }
    record.extend([("at", Member::Text(&at)), ("kind", Member::Text(kind))]);
    if payload.is_empty() {
        record.push(("v", Member::Number(VERSION)));
        return Some(SealedEvent { content: object(record)?, payload: Vec::new() });
    }
    let mut names: Vec<&str> = payload.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    payload.push((SALT, Member::Text(&salt)));
    let payload = object(payload)?;
    let sha256 = Digest::of(&payload).to_string();
    record.push((MEMBER, Member::Commitment { fields: &names, sha256: &sha256 }));
    record.push(("v", Member::Number(VERSION_WITH_PAYLOAD)));
    Some(SealedEvent { content: object(record)?, payload })
}

/// The object with these members, ordered by name; `None` when a name stands twice.
fn object(mut members: Vec<Named<'_>>) -> Option<Vec<u8>> {
    members.sort_unstable_by_key(|(name, _)| *name);
    if members.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    let mut writer = serde_json::Serializer::new(&mut bytes);
    let mut map = writer.serialize_map(Some(members.len())).ok()?;
    for (name, member) in &members {
        map.serialize_entry(name, member).ok()?;
    }
    SerializeMap::end(map).ok()?;
    Some(bytes)
}

// === impl Member ===

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Field(Field::Text(text)) => serializer.serialize_str(text),
            Self::Field(Field::Number(number)) => serializer.serialize_u64(*number),
            Self::Field(Field::List(texts)) => {
                let mut list = serializer.serialize_seq(Some(texts.len()))?;
                for text in texts {
                    list.serialize_element(text)?;
                }
                list.end()
            }
            Self::Field(Field::Absent) => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Commitment { fields, sha256 } => {
                let mut commitment = serializer.serialize_map(Some(2))?;
                commitment.serialize_entry("fields", fields)?;
                commitment.serialize_entry("sha256", sha256)?;
                commitment.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*, sample::select};

    use super::*;

    /// Some are payload of every record, some of records of one kind, some of none.
    const NAMES: [&str; 14] = [
        "client",
        "command",
        "job",
        "host",
        "reason",
        "why",
        "statement",
        "target",
        "zone",
        "and",
        "kinds",
        "u",
        "plan_digest",
        "a",
    ];
    const KINDS: [&str; 5] = ["request_denied", "job_halted", "grant_refused", "jobs_removed", "a \"kind\""];

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            any::<String>().prop_map(Field::Text),
            any::<u64>().prop_map(Field::Number),
            collection::vec(any::<String>(), 0..4).prop_map(Field::List),
            Just(Field::Absent),
        ]
    }

    /// In any order; each name once.
    fn fields() -> impl Strategy<Value = Fields> {
        let named = collection::btree_map(select(NAMES.to_vec()), field(), 0..NAMES.len());
        named.prop_map(|fields| fields.into_iter().collect::<Fields>()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn what_is_written_at_once_is_byte_for_byte_what_the_general_way_gives(
            micros in any::<u64>(),
            kind in select(KINDS.to_vec()),
            all in fields(),
            salt in any::<[u8; SALT_BYTES]>(),
        ) {
            let at = Timestamp::from_micros(micros);
            let general = super::super::seal(at, kind, &all, salt, None);
            prop_assert_eq!(write(at, kind, &all, salt), Some(general));
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_left_to_the_general_way() {
        let at = Timestamp::from_micros(1);
        for names in [["host", "host"], ["command", "command"], ["at", "job"], ["payload", "command"]] {
            let fields: Fields = names.map(|name| (name, Field::Number(1))).into();
            assert_eq!(write(at, "request_denied", &fields, [0; SALT_BYTES]), None, "{names:?}");
        }
    }
}
