//! Which places of a pattern reach what a program can be talked into.

use super::{
    programs::{Program, Way},
    subject::{Openness, is_option, is_plain_operand, openness, operands},
};
use crate::pattern::{Element, Kind, Test};

/// Fewest letters of a long option that are taken for its beginning: fewer are too many options' beginning.
const MIN_ABBREVIATION: usize = "--xx".len();
/// Among how many first operands a subcommand is looked for: `docker compose exec`.
const COMMAND_DEPTH: usize = 2;

/// A place that reaches something, and by what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached<'a> {
    pub(crate) place: usize,
    pub(crate) openness: Openness,
    pub(crate) element: &'a Element,
    pub(crate) by: By<'a>,
}

/// What a place reaches something by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By<'a> {
    /// Being an operand.
    Operand,
    /// Being the value of this option, or in this form.
    Value(&'a str),
    /// Standing behind this subcommand.
    Command(&'a str),
    /// Being an operand while this option is there.
    Beside(&'a str),
}

/// The slots of `args` that reach one of `ways`.
pub(crate) fn reached<'a>(program: &'a Program, ways: &'a [Way], args: &'a [Element]) -> Vec<Reached<'a>> {
    let mut found = Vec::new();
    let mut add = |place: usize, element: &'a Element, by| {
        if matches!(element.test, Test::Slot { .. }) {
            found.push(Reached { place, openness: openness(element), element, by });
        }
    };
    for way in ways {
        match way {
            Way::Operand(from) => {
                for (number, (place, element)) in (1..).zip(operands(args, program)) {
                    if number >= *from || element.repeat {
                        add(place, element, By::Operand);
                    }
                }
            }
            Way::Named(name) if name.starts_with('-') => {
                by_option(program, name, args, &mut add);
            }
            Way::Named(form) if form.ends_with('=') => {
                for (place, element) in
                    operands(args, program).filter(|(_, element)| may_be_form(element, form))
                {
                    add(place, element, By::Value(form));
                }
            }
            Way::Named(command) => {
                let places: Vec<_> = operands(args, program).collect();
                let at = places.iter().take(COMMAND_DEPTH).position(|(_, element)| names(element, command));
                for (place, element) in places.into_iter().skip(at.map_or(usize::MAX, |at| at + 1)) {
                    add(place, element, By::Command(command));
                }
            }
            Way::Word | Way::Alone | Way::Input | Way::Always => {}
        }
    }
    found
}

/// The value of option `name`, and the operands beside it.
fn by_option<'a>(
    program: &'a Program,
    name: &'a str,
    args: &'a [Element],
    add: &mut impl FnMut(usize, &'a Element, By<'a>),
) {
    let mut is_there = false;
    for (place, element) in args.iter().enumerate() {
        match option_in(program, name, element) {
            None => {}
            Some(Written::WithValue) => add(place, element, By::Value(name)),
            Some(Written::Alone) => {
                is_there = true;
                if let Some(value) = args.get(place + 1).filter(|next| !is_option(next)) {
                    add(place + 1, value, By::Value(name));
                }
            }
        }
    }
    if is_there {
        for (place, element) in operands(args, program) {
            add(place, element, By::Beside(name));
        }
    }
}

/// Whether one of `ways` is used at all, whatever is left to the caller.
pub(crate) fn is_used(program: &Program, ways: &[Way], args: &[Element]) -> bool {
    let first = operands(args, program).next();
    ways.iter().any(|way| match way {
        Way::Always => true,
        Way::Named(name) if name.starts_with('-') => {
            args.iter().any(|element| option_in(program, name, element).is_some())
        }
        Way::Named(command) => {
            let is_first = first.is_some_and(|(_, element)| element.test.accepts(command));
            is_first || operands(args, program).take(COMMAND_DEPTH).any(|(_, e)| names(e, command))
        }
        Way::Operand(_) | Way::Word | Way::Alone | Way::Input => false,
    })
}

/// Whether the place has one of these options.
pub(crate) fn has_option(program: &Program, options: &[String], args: &[Element]) -> bool {
    let written = |element: &Element, option: &str| {
        option_in(program, option, element).is_some()
            || matches!(&element.test, Test::Literal(t) if t == option)
    };
    // What may be left out does not count.
    args.iter()
        .filter(|element| element.skip_to.is_none())
        .any(|element| options.iter().any(|option| written(element, option)))
}

/// How an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// By itself; its value, if it takes one, is the next word.
    Alone,
    /// With a value in the same word.
    WithValue,
}

/// How `element` writes the option `name`, also joined with others and abbreviated where the program takes that.
fn option_in(program: &Program, name: &str, element: &Element) -> Option<Written> {
    match &element.test {
        Test::Literal(text) => literal_option(program, name, text),
        Test::Slot { prefix, kind: Kind::OneOf(choices), .. } if prefix.is_empty() => {
            choices.iter().find_map(|choice| literal_option(program, name, choice))
        }
        Test::Slot { prefix, .. } => {
            let is_short = is_short(name) && !program.exact_options;
            let long = prefix.strip_suffix('=');
            let is_it = (is_short && prefix == name)
                || long.is_some_and(|long| long == name || is_abbreviation(program, long, name));
            is_it.then_some(Written::WithValue)
        }
    }
}

fn literal_option(program: &Program, name: &str, text: &str) -> Option<Written> {
    let (option, has_value) = match text.split_once('=') {
        Some((option, _)) => (option, true),
        None => (text, false),
    };
    let is_it = option == name || is_abbreviation(program, option, name) || is_bundled(program, option, name);
    is_it.then_some(if has_value { Written::WithValue } else { Written::Alone })
}

/// `--out` for `--output`.
fn is_abbreviation(program: &Program, text: &str, name: &str) -> bool {
    !program.exact_options
        && text.len() >= MIN_ABBREVIATION
        && text.starts_with("--")
        && name.starts_with(text)
}

/// `-xzf` for `-f`: the last of several short options, which may take the next word.
fn is_bundled(program: &Program, text: &str, name: &str) -> bool {
    let letter = name.strip_prefix('-').filter(|_| is_short(name) && !program.exact_options);
    let is_bundle = text.len() > 2 && text.starts_with('-') && !text.starts_with("--");
    is_bundle && letter.is_some_and(|letter| text.ends_with(letter))
}

/// A dash and one letter.
pub(crate) fn is_short(name: &str) -> bool {
    name.len() == 2 && !name.starts_with("--")
}

/// Whether the place spells this word out.
fn names(element: &Element, word: &str) -> bool {
    match &element.test {
        Test::Literal(text) => text == word,
        Test::Slot { kind: Kind::OneOf(_), .. } => element.test.accepts(word),
        Test::Slot { .. } => false,
    }
}

/// Whether the place may hold `if=…`.
fn may_be_form(element: &Element, form: &str) -> bool {
    match &element.test {
        Test::Literal(_) => false,
        Test::Slot { prefix, .. } => {
            prefix == form || openness(element) == Openness::Free && prefix.is_empty()
        }
    }
}

/// Whether an operand that the rule spells out follows.
pub(crate) fn is_followed_by_fixed(args: &[Element], place: usize) -> bool {
    args.iter().skip(place + 1).any(is_plain_operand)
}
