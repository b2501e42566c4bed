//! Whether a pattern admits everything that another one admits. Says yes only when that is certain.

use super::{Element, Kind, Pattern, Test, deny, simulate::Places};
use crate::pattern::kind;

/// Most steps for one answer; patterns that need more are taken not to cover each other.
const MAX_STEPS: usize = 100_000;
/// Most ways through a pattern that are followed for one answer.
const MAX_WAYS: usize = 1_024;
/// Widest range of numbers that is tried one by one.
const MAX_RANGE: i64 = 64;

/// What a step costs that follows several ways at once, when comparing place by place costs one.
const STEP_COST: usize = 8;

/// How much looking is left.
#[derive(Debug)]
pub(crate) struct Budget(usize);

/// How a word of the wider pattern is compared, and where that pattern ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As an allow pattern: the whole command.
    Whole,
    /// As a deny pattern: its beginning, with programs by their name.
    Beginning,
}

// === impl Budget ===

impl Budget {
    pub(crate) const fn new(steps: usize) -> Self {
        Self(steps)
    }
    fn take(&mut self, cost: usize) -> bool {
        let left = self.0 >= cost;
        self.0 = self.0.saturating_sub(cost);
        left
    }
}

// === impl Pattern ===

impl Pattern {
    /// Whether every command that `other` matches is matched by this pattern too, both read as allow patterns. `false`
    /// also when it cannot be told.
    pub fn covers(&self, other: &Self) -> bool {
        self.covers_within(other, &mut Budget::new(MAX_STEPS))
    }

    /// The same, within a budget.
    pub(crate) fn covers_within(&self, other: &Self, budget: &mut Budget) -> bool {
        walk(self, other.elements(), Mode::Whole, budget)
    }

    /// Whether this pattern, read as a deny pattern, denies every command that the allow pattern `other` matches.
    pub(crate) fn denies_all_of(&self, other: &Self, budget: &mut Budget) -> bool {
        walk(self, other.elements(), Mode::Beginning, budget)
    }

    /// Whether this pattern denies everything that `other` denies, both read as deny patterns.
    pub(crate) fn denies_as_much_as(&self, other: &Self) -> bool {
        let (wide, narrow) = (self.elements(), other.elements());
        let begins = narrow.len() >= wide.len() && wide.iter().zip(narrow).all(|(a, b)| is_same(a, b));
        begins && if self.has_end() { other.has_end() && wide.len() == narrow.len() } else { true }
    }
}

fn is_same(a: &Element, b: &Element) -> bool {
    let same_test = match (&a.test, &b.test) {
        (Test::Literal(x), Test::Literal(y)) => x == y,
        (
            Test::Slot { prefix: p, kind: k, suffix: s },
            Test::Slot { prefix: other_p, kind: other_k, suffix: other_s },
        ) => p == other_p && s == other_s && kind_covers(k, other_k) && kind_covers(other_k, k),
        _ => false,
    };
    same_test && a.repeat == b.repeat && a.skip_to == b.skip_to
}

/// Walks through `narrow` in every way in which it may go, with all the places at which `wide` may then stand.
fn walk(wide: &Pattern, narrow: &[Element], mode: Mode, budget: &mut Budget) -> bool {
    if is_straight(wide.elements()) && is_straight(narrow) {
        return budget.take(1) && side_by_side(wide, narrow, mode);
    }
    let mut seen: Vec<(usize, Places<'_>)> = Vec::new();
    for place in entered(narrow, 0) {
        seen.push((place, Places::start(wide.elements())));
    }
    let mut next = 0;
    while let Some((place, places)) = seen.get(next).cloned() {
        next += 1;
        if mode == Mode::Beginning && !wide.has_end() && places.complete() {
            continue;
        }
        let Some(element) = narrow.get(place) else {
            if places.complete() {
                continue;
            }
            return false;
        };
        if !budget.take(STEP_COST) || seen.len() > MAX_WAYS {
            return false;
        }
        let mut moved = places;
        moved.step_by(|wider| covers_at(mode, place, &wider.test, &element.test));
        if moved.none() {
            return false;
        }
        let mut reached = entered(narrow, place + 1);
        if element.repeat {
            reached.push(place);
        }
        for to in reached {
            if !seen.iter().any(|(at, known)| *at == to && known.same_as(&moved)) {
                seen.push((to, moved.clone()));
            }
        }
    }
    true
}

/// Whether there is one way only through the pattern.
fn is_straight(elements: &[Element]) -> bool {
    elements.iter().all(|element| !element.repeat && element.skip_to.is_none())
}

/// The same as [`walk`] when there is one way through each.
fn side_by_side(wide: &Pattern, narrow: &[Element], mode: Mode) -> bool {
    let (elements, whole) = (wide.elements(), mode == Mode::Whole || wide.has_end());
    let fits = if whole { elements.len() == narrow.len() } else { elements.len() <= narrow.len() };
    // The program is the same in all patterns that are compared, so differences are found sooner from behind.
    fits && elements
        .iter()
        .zip(narrow)
        .enumerate()
        .rev()
        .all(|(place, (wide, narrow))| covers_at(mode, place, &wide.test, &narrow.test))
}

fn covers_at(mode: Mode, place: usize, wide: &Test, narrow: &Test) -> bool {
    match mode {
        Mode::Whole => test_covers(wide, narrow),
        Mode::Beginning if place == 0 => program_covers(wide, narrow),
        Mode::Beginning => !depends_on_spelling(wide) && test_covers(wide, narrow),
    }
}

/// The places at which a pattern may stand that has come to `place`.
fn entered(elements: &[Element], place: usize) -> Vec<usize> {
    let mut places = vec![place];
    let mut at = place;
    while let Some(to) = elements.get(at).and_then(|element| element.skip_to) {
        places.push(to);
        at = to;
    }
    places
}

/// Whether a deny pattern's program is, by its name, every program of the other.
fn program_covers(wide: &Test, narrow: &Test) -> bool {
    let names = |test: &Test| -> Vec<String> {
        let element = Element { test: test.clone(), repeat: false, skip_to: None };
        deny::spelled_out(Some(&element)).iter().map(|name| deny::base_name(name).to_owned()).collect()
    };
    let (wide, narrow) = (names(wide), names(narrow));
    !narrow.is_empty() && narrow.iter().all(|name| wide.contains(name))
}

/// A deny pattern normalises paths before it compares what stands behind a directory.
fn depends_on_spelling(test: &Test) -> bool {
    matches!(test, Test::Slot { prefix, .. } if prefix.starts_with('/'))
}

/// Whether every word that `narrow` accepts is accepted by `wide`.
fn test_covers(wide: &Test, narrow: &Test) -> bool {
    if let Test::Literal(word) = narrow {
        return wide.accepts(word);
    }
    if let Some(words) = all_words(narrow) {
        return words.iter().all(|word| wide.accepts(word));
    }
    let (
        Test::Slot { prefix, kind, suffix },
        Test::Slot { prefix: narrow_prefix, kind: narrow_kind, suffix: narrow_suffix },
    ) = (wide, narrow)
    else {
        return false;
    };
    if prefix == narrow_prefix && suffix == narrow_suffix {
        return kind_covers(kind, narrow_kind);
    }
    let plain = [narrow_prefix, narrow_suffix].iter().all(|text| text.bytes().all(kind::is_plain));
    prefix.is_empty()
        && suffix.is_empty()
        && !narrow_prefix.is_empty()
        && !narrow_prefix.starts_with('-')
        && match kind {
            Kind::Any => true,
            Kind::Word => plain && matches!(narrow_kind, Kind::Word | Kind::Host | Kind::Int { .. }),
            _ => false,
        }
}

/// The words that the test accepts, when they are few.
fn all_words(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Literal(_) => None,
        Test::Slot { prefix, kind, suffix } => {
            let values = match kind {
                Kind::OneOf(choices) => choices.clone(),
                Kind::Int { min, max } if max.saturating_sub(*min) < MAX_RANGE => {
                    (*min..=*max).map(|n| n.to_string()).collect()
                }
                _ => return None,
            };
            let words = values.iter().map(|value| format!("{prefix}{value}{suffix}"));
            Some(words.filter(|word| test.accepts(word)).collect())
        }
    }
}

/// Whether every value of kind `narrow` is one of kind `wide`.
fn kind_covers(wide: &Kind, narrow: &Kind) -> bool {
    match (wide, narrow) {
        (_, Kind::OneOf(choices)) => choices.iter().all(|choice| wide.accepts(choice)),
        (Kind::Any, Kind::Word | Kind::Any | Kind::Host | Kind::Path(_))
        | (Kind::Word, Kind::Word | Kind::Host)
        | (Kind::Host, Kind::Host) => true,
        (Kind::Any | Kind::Word, Kind::Int { min, .. }) => *min >= 0,
        (Kind::Any, Kind::Regex { .. }) => !narrow.admits_leading_dash(),
        (Kind::Int { min, max }, Kind::Int { min: from, max: to }) => min <= from && to <= max,
        (Kind::Path(root), Kind::Path(inner)) => kind::is_under(inner, root),
        (Kind::Regex { source, .. }, Kind::Regex { source: other, .. }) => source == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::command::Word;
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::short;

    fn pattern(text: &str) -> Pattern {
        short::parse(text, true).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn a_wider_pattern_covers_a_narrower_one_and_never_the_other_way_round() {
        for (wide, narrow) in [
            ("ls <word>", "ls a"),
            ("ls <any>", "ls <word>"),
            ("ls <any>", "ls x-<any>"),
            ("ls <word>", "ls <host>"),
            ("ls <word>", "ls a<int:0..1000>"),
            ("ls <any>...", "ls a b c"),
            ("ls [-l] <path:/var>", "ls <path:/var/log>"),
            ("ls [-l] [-a]", "ls -l"),
            ("tail -n <int:1..1000> <path:/>", "tail -n <int:5..500> /etc/x"),
            ("ls <one-of:a|b|c>", "ls <one-of:a|c>"),
            ("<one-of:ls|df> <word>", "ls x"),
            ("ls [<word>...]", "ls"),
            ("ls [<word>...]", "ls <word> [<word>]"),
            ("ls <any>", "ls <re:[a-z]+>"),
        ] {
            let (wide, narrow) = (pattern(wide), pattern(narrow));
            assert!(wide.covers(&narrow), "{wide} ⊇ {narrow}");
            assert!(!narrow.covers(&wide), "{narrow} ⊉ {wide}");
            assert!(wide.covers(&wide) && narrow.covers(&narrow), "{wide}, {narrow}");
        }
        for (a, b) in [
            ("ls <word>", "ls -l"),
            ("ls <any>", "ls <re:.*>"),
            ("ls <any>", "ls <any>-x"),
            ("ls /a/<word>", "ls <path:/a>"),
            ("ls a b", "ls b a"),
            ("ls", "/bin/ls"),
            ("ls <int:0..9>", "ls <word>"),
        ] {
            assert!(!pattern(a).covers(&pattern(b)), "{a} ⊉ {b}");
        }
    }

    #[test]
    fn a_deny_covers_what_begins_with_it_by_whatever_path() {
        let all = |deny: &str, allow: &str| {
            pattern(deny).denies_all_of(&pattern(allow), &mut Budget::new(MAX_STEPS))
        };
        assert!(all("rm", "rm <path:/tmp>") && all("rm", "/bin/rm") && all("/bin/rm", "rm x"));
        assert!(all("systemctl stop", "systemctl stop <unit>...") && all("halt <end>", "halt"));
        assert!(all("<one-of:rm|dd>", "<one-of:rm|dd> x"));
        for (deny, allow) in [
            ("rm", "<one-of:rm|ls> x"),
            ("rm -r", "rm [-r] x"),
            ("systemctl stop nginx", "systemctl stop <unit>"),
            ("halt <end>", "halt [-p]"),
            ("<path:/tmp>", "/tmp/x"),
        ] {
            assert!(!all(deny, allow), "{deny} does not deny all of {allow}");
        }
    }

    const WORDS: [&str; 10] = ["a", "-x", "/v/l", "/v", "7", "a-7", "a b", "", "web.eu", "x"];
    const PLACES: [&str; 14] = [
        "a",
        "-x",
        "<word>",
        "<any>",
        "<int:1..9>",
        "<int:1..900>",
        "<path:/v>",
        "<path:/>",
        "<host>",
        "<one-of:a|x>",
        "<re:[a-z]+>",
        "a<any>",
        "<word>...",
        "[<any>...]",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_covered_is_matched(
            wide in prop::collection::vec(0..PLACES.len(), 0..4),
            narrow in prop::collection::vec(0..PLACES.len(), 0..4),
            lines in prop::collection::vec(prop::collection::vec(0..WORDS.len(), 0..5), 40),
        ) {
            let written = |places: &[usize]| {
                let places: Vec<&str> = places.iter().map(|i| PLACES[*i]).collect();
                pattern(&format!("p {}", places.join(" ")))
            };
            let (wide, narrow) = (written(&wide), written(&narrow));
            let covers = wide.covers(&narrow);
            let denies = wide.denies_all_of(&narrow, &mut Budget::new(MAX_STEPS));
            for line in lines {
                let words: Vec<&str> =
                    std::iter::once("p").chain(line.iter().map(|i| WORDS[*i])).collect();
                let judged: Vec<Word> = words.iter().map(|word| Word::new(word).unwrap()).collect();
                if narrow.matches(&judged, false) {
                    prop_assert!(!covers || wide.matches(&judged, false), "{} ⊉ {}: {:?}", wide, narrow, words);
                    prop_assert!(!denies || deny::find(&wide, &judged).is_some(), "{} {} {:?}", wide, narrow, words);
                }
            }
        }
    }
}
