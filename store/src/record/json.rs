//! What JSON a record and a payload may be: one that every reader reads alike.
//!
//! An object in UTF-8; no name stands twice in an object; numbers are whole, not negative and below 2^64; and what is
//! nested is so at most [`MAX_DEPTH`] deep. Readers differ in what they make of anything else.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Deepest nesting: Lictor's own records need three, and a reader that recurses needs a bound.
pub const MAX_DEPTH: usize = 16;

/// Whether these bytes are a record, or a payload, as far as JSON goes.
pub fn is_object(bytes: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let object = Value { room: MAX_DEPTH, is_object: true };
    object.deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// A value that is looked at and not kept.
#[derive(Clone, Copy)]
struct Value {
    /// How much deeper it may be nested.
    room: usize,
    is_object: bool,
}

// === impl Value ===

impl Value {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let room = self.room.checked_sub(1).ok_or_else(|| E::custom("it is nested too deep"))?;
        Ok(Self { room, is_object: false })
    }
    fn scalar<E: Error>(self) -> Result<(), E> {
        if self.is_object { Err(E::custom("it is no object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record or a payload")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.scalar::<A::Error>()?;
        let entry = self.inside::<A::Error>()?;
        while list.next_element_seed(entry)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let member = self.inside::<A::Error>()?;
        let mut names = HashSet::new();
        while let Some(Name(name)) = object.next_key()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            object.next_value_seed(member)?;
        }
        Ok(())
    }
}

/// The name of a member; copied only if it has escapes.
#[derive(PartialEq, Eq, Hash)]
struct Name<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(text.into()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(text.to_owned().into()))
            }
        }
        reader.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_reader_reads_alike_is_a_record() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        for good in [
            "{}",
            " {\"a\" : [1, \"x\", null, true, {\"b\":{}}]}\t",
            r#"{"a":18446744073709551615,"\u0062":"\ud83d\ude00"}"#,
            &nested(MAX_DEPTH),
        ] {
            assert!(is_object(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "[]",
            "7",
            "\"x\"",
            "null",
            "{} {}",
            "{\"a\":1,}",
            "{\"a\":-1}",
            "{\"a\":-0}",
            "{\"a\":1.0}",
            "{\"a\":1e2}",
            "{\"a\":18446744073709551616}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\t\"}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":1}",
            "{\"b\":{\"a\":1,\"a\":1}}",
            "\u{feff}{}",
            &nested(MAX_DEPTH + 1),
        ] {
            assert!(!is_object(bad.as_bytes()), "{bad}");
        }
        assert!(!is_object(b"{\"a\":\"\xff\"}"));
        assert!(!is_object(&[b"{\"a\":".repeat(5_000), b"1".to_vec(), b"}".repeat(5_000)].concat()));
    }
}
