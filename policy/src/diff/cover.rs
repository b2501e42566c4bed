//! Whether one command pattern allows everything that another does. Says no when it cannot be told.

use crate::pattern::{Element, Kind, Pattern, Test};

/// Whether `wide` matches every command that `narrow` matches, both as patterns of rules that permit.
pub(super) fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    same(wide, narrow)
        || (wide.elements().len() == narrow.elements().len()
            && wide.elements().iter().zip(narrow.elements()).all(|(wide, narrow)| element(wide, narrow)))
}

/// Whether two patterns are the same, however they are written.
pub(super) fn same(a: &Pattern, b: &Pattern) -> bool {
    a.has_end() == b.has_end()
        && a.elements().len() == b.elements().len()
        && a.elements().iter().zip(b.elements()).all(|(a, b)| {
            a.repeat == b.repeat && a.skip_to == b.skip_to && test(&a.test, &b.test) && test(&b.test, &a.test)
        })
}

fn element(wide: &Element, narrow: &Element) -> bool {
    (wide.repeat || !narrow.repeat)
        && (narrow.skip_to.is_none() || narrow.skip_to == wide.skip_to)
        && (!takes_globs(narrow) || takes_globs(wide))
        && test(&wide.test, &narrow.test)
}

/// Only repeated path slots take globs, in rules that say so.
const fn takes_globs(element: &Element) -> bool {
    element.repeat && matches!(&element.test, Test::Slot { kind: Kind::Path(_), .. })
}

fn test(wide: &Test, narrow: &Test) -> bool {
    match (wide, narrow) {
        (wide, Test::Literal(word)) => match wide {
            Test::Literal(text) => text == word,
            Test::Slot { .. } => wide.accepts(word),
        },
        (Test::Literal(text), Test::Slot { prefix, kind: Kind::OneOf(choices), suffix }) => {
            choices.iter().all(|choice| format!("{prefix}{choice}{suffix}") == *text)
        }
        (Test::Literal(_), Test::Slot { .. }) => false,
        (Test::Slot { .. }, Test::Slot { prefix, kind: Kind::OneOf(choices), suffix }) => {
            choices.iter().all(|choice| {
                let word = format!("{prefix}{choice}{suffix}");
                // A choice that the narrow slot itself refuses says nothing.
                !narrow.accepts(&word) || wide.accepts(&word)
            })
        }
        (
            Test::Slot { prefix, kind: wide, suffix },
            Test::Slot { prefix: other_prefix, kind: narrow, suffix: other_suffix },
        ) => prefix == other_prefix && suffix == other_suffix && kind(wide, narrow),
    }
}

fn kind(wide: &Kind, narrow: &Kind) -> bool {
    match (wide, narrow) {
        (Kind::Any, Kind::Word | Kind::Any | Kind::Host | Kind::Path(_))
        | (Kind::Word, Kind::Word | Kind::Host) => true,
        (Kind::Any | Kind::Word, Kind::Int { min, .. }) => *min >= 0,
        (Kind::Int { min, max }, Kind::Int { min: low, max: high }) => min <= low && high <= max,
        (Kind::Path(_), Kind::Path(root)) => wide.accepts(root),
        (Kind::Host, Kind::Host) => true,
        (Kind::Regex { source, .. }, Kind::Regex { source: other, .. }) => source == other,
        (Kind::OneOf(choices), Kind::OneOf(others)) => others.iter().all(|other| choices.contains(other)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::short;

    #[track_caller]
    fn check(wide: &str, narrow: &str, expected: bool) {
        let pattern = |text| short::parse(text, false).unwrap();
        assert_eq!(covers(&pattern(wide), &pattern(narrow)), expected, "{wide} over {narrow}");
    }

    #[test]
    fn a_pattern_covers_what_it_certainly_matches_too() {
        for (wide, narrow) in [
            ("a <unit>", "a <name>"),
            ("a <unit>", "a nginx"),
            ("a <unit>...", "a <unit>"),
            ("a [<unit>]", "a <unit>"),
            ("a <any>", "a <path:/var>"),
            ("a <int:1..10>", "a <int:2..9>"),
            ("a <path:/var>", "a <path:/var/log>"),
            ("a <one-of:x|y>", "a <one-of:y>"),
            ("a <word>", "a <one-of:y|z>"),
            ("a --n=<int:1..9>", "a --n=<int:1..5>"),
            ("a --n=<int:1..9>", "a --n=5"),
            ("a <re:[a-z]+>", "a <re:[a-z]+>"),
        ] {
            check(wide, narrow, true);
        }
    }

    #[test]
    fn in_doubt_it_does_not() {
        for (wide, narrow) in [
            ("a <unit>", "a <unit>..."),
            ("a <unit>", "a [<unit>]"),
            ("a <word>", "a <int:-1..5>"),
            ("a <word>", "a <path:/var>"),
            ("a <any>...", "a <path:/var>..."),
            ("a <path:/var/log>", "a <path:/var>"),
            ("a <path:/var>", "a <path:/variety>"),
            ("a x", "a <word>"),
            ("a <word>", "b <word>"),
            ("a --n=<int:1..9>", "a --m=<int:1..9>"),
            ("a <re:[a-z]+>", "a <re:[a-y]+>"),
        ] {
            check(wide, narrow, false);
        }
    }
}
