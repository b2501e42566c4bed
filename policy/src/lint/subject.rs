//! What a pattern is about: the program that runs in the end, and what its words leave to the caller.

use lictor_core::limits::MAX_WORDS;

use super::programs::{self, Program, Wraps};
use crate::pattern::{Element, Kind, Pattern, Test, deny};

/// Words that no list of usual values has: what admits one of them admits almost anything.
const UNUSUAL: [&str; 3] = ["/q7/z", "../q7", "q7 z;"];

/// The program behind all wrappers, and the places behind it.
#[derive(Debug)]
pub(crate) struct Subject<'p> {
    /// The last path components of the programs that the pattern spells out.
    pub(crate) names: Vec<&'p str>,
    /// The places behind the program.
    pub(crate) args: &'p [Element],
}

/// How much a place leaves to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Openness {
    /// Nothing, or a choice of listed values.
    Closed,
    /// Something within bounds: a directory, a narrow expression.
    Bounded,
    /// Any path.
    AnyPath,
    /// Any word, or nearly.
    Free,
}

/// Finds it. A wrapper is looked through when what stands before its program is fixed.
pub(crate) fn of(pattern: &Pattern) -> Subject<'_> {
    let elements = pattern.elements();
    let mut at = 0;
    // Each round moves on by a word at least.
    for _ in 0..=MAX_WORDS {
        match wrapped(elements, at) {
            Some(next) => at = next,
            None => break,
        }
    }
    Subject { names: names(elements.get(at)), args: elements.get(at + 1..).unwrap_or_default() }
}

fn names(program: Option<&Element>) -> Vec<&str> {
    deny::spelled_out(program).iter().map(|name| deny::base_name(name)).collect()
}

/// The place of the program that the wrapper at `at` runs.
fn wrapped(elements: &[Element], at: usize) -> Option<usize> {
    let names = names(elements.get(at));
    let (first, others) = names.split_first()?;
    let wraps = programs::find(first)?.wraps.as_ref()?;
    // Several wrappers at one place may have different options.
    let plain = Wraps::default();
    let wraps = if others.is_empty() { wraps } else { &plain };
    if !others.iter().all(|name| programs::find(name).is_some_and(|program| program.wraps.is_some())) {
        return None;
    }
    let (mut next, group_end) = skip_options(elements, at + 1, wraps);
    for _ in 0..wraps.operands {
        let operand = elements.get(next)?;
        let fixed = is_plain_operand(operand) || (is_closed(operand) && operand.skip_to.is_none());
        next = (fixed && !operand.repeat).then_some(next + 1)?;
    }
    (next >= group_end && elements.get(next).is_some_and(is_plain_operand)).then_some(next)
}

/// The first place that is no option of the wrapper, and the end of the last group that may be left out.
fn skip_options(elements: &[Element], mut at: usize, wraps: &Wraps) -> (usize, usize) {
    let mut group_end = 0;
    while let Some(Element { test: Test::Literal(option), skip_to, .. }) = elements.get(at) {
        let has_value = wraps.valued.contains(option) && elements.get(at + 1).is_some_and(is_value);
        // `--signal=KILL` is one word.
        let joined = option.split_once('=').is_some_and(|(name, _)| wraps.valued.iter().any(|v| v == name));
        if !has_value && !joined && !wraps.flags.contains(option) {
            break;
        }
        group_end = skip_to.unwrap_or(group_end);
        at += if has_value { 2 } else { 1 };
    }
    (at, group_end)
}

fn is_value(element: &Element) -> bool {
    element.skip_to.is_none()
        && !element.repeat
        && (is_closed(element) || matches!(&element.test, Test::Literal(_)))
}

// === impl Subject ===

impl<'p> Subject<'p> {
    /// What is known of each of its programs.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&'p str, &'static Program)> {
        self.names.iter().filter_map(|name| Some((*name, programs::find(name)?)))
    }
}

/// A literal that is neither an option nor an assignment.
pub(crate) fn is_plain_operand(element: &Element) -> bool {
    element.skip_to.is_none()
        && matches!(&element.test, Test::Literal(t) if !t.is_empty() && !t.starts_with('-') && !t.contains('='))
}

/// A slot whose values the rule lists or bounds.
pub(crate) const fn is_closed(element: &Element) -> bool {
    matches!(&element.test, Test::Slot { kind: Kind::OneOf(_) | Kind::Int { .. } | Kind::Host, .. })
}

/// Whether the place is for an option, spelled out as far as its name goes.
pub(crate) fn is_option(element: &Element) -> bool {
    match &element.test {
        Test::Literal(text) => text.starts_with('-') && text != "-",
        Test::Slot { prefix, kind: Kind::OneOf(choices), .. } if prefix.is_empty() => {
            choices.iter().all(|choice| choice.starts_with('-'))
        }
        Test::Slot { prefix, .. } => prefix.starts_with('-'),
    }
}

/// The places that hold operands, as far as that is known: not options, and not the values of options that take one.
pub(crate) fn operands<'a>(
    args: &'a [Element],
    program: &'a Program,
) -> impl Iterator<Item = (usize, &'a Element)> {
    let is_value = |index: usize| {
        let before = index.checked_sub(1).and_then(|i| args.get(i));
        matches!(before.map(|element| &element.test), Some(Test::Literal(option)) if program.valued.contains(option))
    };
    args.iter().enumerate().filter(move |(index, element)| !is_option(element) && !is_value(*index))
}

/// How much the place leaves to the caller.
pub(crate) fn openness(element: &Element) -> Openness {
    let Test::Slot { prefix, kind, suffix } = &element.test else { return Openness::Closed };
    let begins = prefix.is_empty() || prefix.starts_with('-') || prefix.ends_with(['=', ':', '@', ',']);
    match kind {
        Kind::OneOf(_) | Kind::Int { .. } | Kind::Host => Openness::Closed,
        Kind::Path(root) if root == "/" && begins => Openness::AnyPath,
        Kind::Word | Kind::Any if begins && suffix.is_empty() => Openness::Free,
        Kind::Regex { .. } if begins && suffix.is_empty() && is_wide(kind) => Openness::Free,
        _ => Openness::Bounded,
    }
}

/// Whether words of the kind are hardly bounded.
pub(crate) fn is_wide(kind: &Kind) -> bool {
    match kind {
        Kind::Word | Kind::Any => true,
        Kind::Regex { .. } => UNUSUAL.iter().any(|word| kind.accepts(word)),
        _ => false,
    }
}
