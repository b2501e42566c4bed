//! Making a name out of text that is none.

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::limits::MAX_NAME_BYTES;

/// Room for a number behind a name that is taken.
const MAX_STEM_BYTES: usize = MAX_NAME_BYTES - 8;

/// The names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    names: BTreeSet<String>,
    /// The last number behind a stem, so that many equal texts are no long search each.
    numbers: BTreeMap<String, usize>,
}

// === impl Taken ===

impl FromIterator<String> for Taken {
    fn from_iter<T: IntoIterator<Item = String>>(names: T) -> Self {
        Self { names: names.into_iter().collect(), numbers: BTreeMap::new() }
    }
}

/// A name near `text` that is not taken, and then is; `otherwise` where nothing of the text is left.
pub(crate) fn suggest(text: &str, otherwise: &str, taken: &mut Taken) -> String {
    let mut stem = String::new();
    for c in text.trim().chars() {
        match c {
            c if c.is_ascii_alphanumeric() => stem.push(c),
            '.' | '_' if !stem.is_empty() => stem.push(c),
            _ if !stem.is_empty() && !stem.ends_with('-') => stem.push('-'),
            _ => {}
        }
        if stem.len() >= MAX_STEM_BYTES {
            break;
        }
    }
    let stem = match stem.trim_end_matches(['-', '.', '_']) {
        "" => otherwise,
        stem => stem,
    };
    let mut name = stem.to_owned();
    let number = taken.numbers.entry(stem.to_owned()).or_insert(1);
    while taken.names.contains(&name) {
        *number += 1;
        name = format!("{stem}-{number}");
    }
    taken.names.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suggested_is_a_name_and_free() {
        let mut taken: Taken = ["web-1".to_owned()].into_iter().collect();
        for (text, name) in [
            (" db one ", "db-one"),
            ("web/1", "web-1-2"),
            ("web:1", "web-1-3"),
            ("-x", "x"),
            ("größe", "gr-e"),
            ("…", "host"),
            ("--", "host-2"),
        ] {
            assert_eq!(suggest(text, "host", &mut taken), name, "{text}");
        }
        assert!(suggest(&"y".repeat(300), "host", &mut taken).len() <= MAX_NAME_BYTES);
    }
}
