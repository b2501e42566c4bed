//! Slots that admit a word with a dash first, so that the caller may give options.

use crate::pattern::{Kind, Pattern, Test};

/// Why a word may start with a dash although the rule does not spell the option out.
pub(crate) fn leading_dash(pattern: &Pattern) -> Option<String> {
    pattern.elements().iter().find_map(|element| match &element.test {
        Test::Slot { prefix, kind, suffix } if prefix.is_empty() => {
            if kind.admits_leading_dash() {
                return Some(describe(kind));
            }
            (suffix.starts_with('-') && kind.accepts(""))
                .then(|| format!("`{suffix}` behind a slot that may be empty starts with a dash"))
        }
        Test::Slot { prefix, .. } if prefix.bytes().all(|b| b == b'-') => {
            Some(format!("`{prefix}` before a slot makes any option"))
        }
        _ => None,
    })
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Regex { source, .. } => format!("`<re:{source}>` admits a word that starts with a dash"),
        Kind::Int { min, .. } => format!("a number from {min} starts with a dash"),
        _ => "a slot admits a word that starts with a dash".into(),
    }
}
