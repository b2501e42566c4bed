//! Reading the values that may have more than one shape: a word or a map, a word or a list.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, value::MapAccessDeserializer},
};

use super::{AllFile, AnyFile, CommandsFile, PatternFile, StdinFile, WhereFile, WordFile};

/// A visitor for "this text, or a map"; other shapes are refused with the sentence given.
struct TextOrMap<T> {
    expecting: &'static str,
    text: fn(&str) -> Option<T>,
}

/// How the map alternative becomes the whole.
trait FromMap<'de>: Sized {
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

// === impl TextOrMap ===

impl<'de, T: FromMap<'de>> de::Visitor<'de> for TextOrMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.text)(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::from_map(map)
    }
}

macro_rules! text_or_map {
    ($type:ident, $variant:ident, $expecting:literal, $text:expr) => {
        impl<'de> FromMap<'de> for $type {
            fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Self::$variant)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextOrMap { expecting: $expecting, text: $text })
            }
        }
    };
}

text_or_map!(WhereFile, Some, "`all`, or a map with hosts, tags, sites or labels", |text| {
    (text == "all").then_some(Self::All(AllFile::All))
});
text_or_map!(
    PatternFile,
    Long,
    "a command pattern (in quotes if YAML reads it otherwise), or a map with argv or class",
    |text| { Some(Self::Short(text.to_owned())) }
);
text_or_map!(
    WordFile,
    Slot,
    "a word (in quotes if YAML reads it otherwise), or a map with one kind of slot",
    |text| { Some(Self::Literal(text.to_owned())) }
);

// === impl StdinFile ===

impl<'de> Deserialize<'de> for StdinFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StdinVisitor)
    }
}

struct StdinVisitor;

impl<'de> de::Visitor<'de> for StdinVisitor {
    type Value = StdinFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, or a map with max_bytes")
    }
    fn visit_bool<E: de::Error>(self, any: bool) -> Result<StdinFile, E> {
        Ok(StdinFile::Any(any))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StdinFile, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(map)).map(StdinFile::Bounded)
    }
}

// === impl CommandsFile ===

impl<'de> Deserialize<'de> for CommandsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CommandsVisitor)
    }
}

struct CommandsVisitor;

impl<'de> de::Visitor<'de> for CommandsVisitor {
    type Value = CommandsFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of command patterns, or `any` in a deny rule")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<CommandsFile, E> {
        if text == "any" {
            return Ok(CommandsFile::Any(AnyFile::Any));
        }
        Err(E::invalid_value(de::Unexpected::Str(text), &self))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<CommandsFile, A::Error> {
        let mut patterns = Vec::new();
        while let Some(pattern) = seq.next_element()? {
            patterns.push(pattern);
        }
        Ok(CommandsFile::Patterns(patterns))
    }
}
