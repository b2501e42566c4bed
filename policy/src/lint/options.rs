//! Options in deny patterns, and patterns that differ only in the order of options.

use super::{
    programs::Program,
    reach::is_short,
    subject::{self, Subject, is_option},
};
use crate::pattern::{Element, Pattern, Test, long};

/// Why a deny of an option is evaded; `None` when the pattern names none that has another spelling.
pub(crate) fn deny_list_of_options(pattern: &Pattern) -> Option<String> {
    let subject = subject::of(pattern);
    // Programs that nothing is known of are taken to read options as most do.
    let exact = |program: &Program| program.exact_options;
    let is_exact = subject.known().next().is_some() && subject.known().all(|(_, program)| exact(program));
    if is_exact {
        return None;
    }
    subject.args.iter().find_map(spellings)
}

fn spellings(element: &Element) -> Option<String> {
    let option = match &element.test {
        Test::Literal(text) => text,
        Test::Slot { prefix, .. } => prefix,
    };
    let name = option.split('=').next().unwrap_or(option);
    let letters = name.trim_start_matches('-').chars().count();
    if name.starts_with("--") && letters > 1 {
        let shorter: String = name.chars().take(name.chars().count() - 1).collect();
        return Some(format!("most programs take `{shorter}` for `{name}`, and at another place too"));
    }
    if name.starts_with('-') && letters > 0 {
        let joined = if is_short(name) { "joined with others" } else { "one by one" };
        return Some(format!("most programs take `{name}` {joined} and at another place too"));
    }
    None
}

/// What two patterns have in common that differ only in the order of options; `None` for one without options.
///
/// There are two keys, since it is not known which options take the next word as their value: one takes every word
/// behind an option for its value, the other none.
pub(crate) fn order_keys(pattern: &Pattern) -> Option<[Vec<String>; 2]> {
    let Subject { args, .. } = subject::of(pattern);
    if !args.iter().any(is_option) {
        return None;
    }
    Some([true, false].map(|with_values| key(pattern, with_values)))
}

fn key(pattern: &Pattern, with_values: bool) -> Vec<String> {
    let Some((program, args)) = pattern.elements().split_first() else { return Vec::new() };
    let (mut options, mut operands) = (Vec::new(), vec![written(program)]);
    let mut at = 0;
    while let Some(element) = args.get(at) {
        at += 1;
        if !is_option(element) {
            operands.push(written(element));
            continue;
        }
        let mut text = written(element);
        if let Some(value) = args.get(at).filter(|next| with_values && !is_option(next)) {
            text = format!("{text} {}", written(value));
            at += 1;
        }
        options.push(text);
    }
    options.sort();
    operands.extend(options);
    operands
}

fn written(element: &Element) -> String {
    long::describe(element)
}
