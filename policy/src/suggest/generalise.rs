//! From commands that were observed to shapes: where three or more commands differ in one word alone, and the values
//! agree on a type, a slot of that type stands for them.

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::name::HostAlias;

use super::Observed;
use crate::pattern::Kind;

/// Fewest different values that make a slot: two may be chance.
const MIN_VALUES: usize = 3;
/// Most values that are listed one by one.
const MAX_CHOICES: usize = 8;
/// Fewest names in the directory of a path slot: `/var/log`, never `/var`.
const MIN_DIRECTORY_DEPTH: usize = 2;
/// Examples that are kept of a shape.
const MAX_KEPT: usize = 4;

/// A command of which some words may be slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) places: Vec<Place>,
    pub(super) hosts: BTreeSet<HostAlias>,
    pub(super) count: u64,
    /// Observed commands that it stands for.
    pub(super) examples: Vec<Vec<String>>,
}

/// A word or a slot, which may have an option before it, as in `--lines=<int:1..9>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Word(String),
    Slot { prefix: String, slot: Slot },
}

/// A slot that values agree on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Int { min: i64, max: i64 },
    Path(String),
    OneOf(Vec<String>),
    Host,
}

/// The shapes of one caller's commands.
pub(super) fn shapes(commands: BTreeMap<Vec<String>, Observed>) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = commands
        .into_iter()
        .map(|(words, observed)| Shape {
            places: words.iter().cloned().map(Place::Word).collect(),
            hosts: observed.hosts,
            count: observed.count,
            examples: vec![words],
        })
        .collect();
    let longest = shapes.iter().map(|shape| shape.places.len()).max().unwrap_or_default();
    // From the last word to the first: operands vary more than what stands before them. The program never becomes a slot.
    for index in (1..longest).rev() {
        shapes = at_place(shapes, index);
    }
    shapes
}

/// Joins shapes that differ at the place `index` alone, where their words agree on a slot.
fn at_place(shapes: Vec<Shape>, index: usize) -> Vec<Shape> {
    let mut done = Vec::new();
    let mut alike = BTreeMap::<(Vec<Place>, String), Vec<Shape>>::new();
    for shape in shapes {
        match shape.places.get(index) {
            Some(Place::Word(word)) => {
                let (prefix, _) = option(word);
                let mut others = shape.places.clone();
                others.remove(index);
                alike.entry((others, prefix.to_owned())).or_default().push(shape);
            }
            _ => done.push(shape),
        }
    }
    for ((_, prefix), group) in alike {
        let words: BTreeSet<&str> = group
            .iter()
            .filter_map(|shape| match shape.places.get(index) {
                Some(Place::Word(word)) => word.strip_prefix(prefix.as_str()),
                _ => None,
            })
            .collect();
        match agreed(&words) {
            Some(slot) => done.push(join(group, index, Place::Slot { prefix, slot })),
            None => done.extend(group),
        }
    }
    done
}

fn join(group: Vec<Shape>, index: usize, place: Place) -> Shape {
    let mut all = Shape { places: Vec::new(), hosts: BTreeSet::new(), count: 0, examples: Vec::new() };
    for shape in group {
        if all.places.is_empty() {
            all.places = shape.places;
        }
        all.hosts.extend(shape.hosts);
        all.count += shape.count;
        all.examples.extend(shape.examples);
        all.examples.truncate(MAX_KEPT);
    }
    if let Some(at) = all.places.get_mut(index) {
        *at = place;
    }
    all
}

/// An option, with its value where it has one: `--lines=50` is `--lines=` and `50`. Everything else is a value alone.
fn option(word: &str) -> (&str, &str) {
    match word.find('=') {
        Some(at) if word.starts_with("--") => word.split_at(at + 1),
        _ if word.starts_with('-') => (word, ""),
        _ => ("", word),
    }
}

/// The slot for these values, if there are enough and they agree.
fn agreed(values: &BTreeSet<&str>) -> Option<Slot> {
    if values.len() < MIN_VALUES || values.iter().any(|value| value.starts_with('-')) {
        return None;
    }
    ints(values).or_else(|| paths(values)).or_else(|| choices(values)).or_else(|| hosts(values))
}

fn ints(values: &BTreeSet<&str>) -> Option<Slot> {
    let number = |value: &&str| value.parse::<i64>().ok().filter(|n| *n >= 0 && n.to_string() == **value);
    let numbers: Vec<i64> = values.iter().map(number).collect::<Option<_>>()?;
    Some(Slot::Int { min: *numbers.iter().min()?, max: *numbers.iter().max()? })
}

fn paths(values: &BTreeSet<&str>) -> Option<Slot> {
    let parents: Vec<Vec<&str>> = values
        .iter()
        .map(|value| {
            let is_normal = Kind::path(value).is_ok() && *value != "/";
            is_normal.then(|| value.split('/').skip(1).collect::<Vec<_>>()).map(|mut names| {
                names.pop();
                names
            })
        })
        .collect::<Option<_>>()?;
    let (first, others) = parents.split_first()?;
    let same = |(at, name): &(usize, &&str)| others.iter().all(|names| names.get(*at) == Some(*name));
    let common: Vec<&str> =
        first.iter().enumerate().take_while(|pair| same(pair)).map(|(_, name)| *name).collect();
    let root = format!("/{}", common.join("/"));
    // What the short form cannot say stays spelled out.
    let is_plain = root.bytes().all(is_plain);
    (common.len() >= MIN_DIRECTORY_DEPTH && is_plain).then_some(Slot::Path(root))
}

fn choices(values: &BTreeSet<&str>) -> Option<Slot> {
    let plain = values.iter().all(|value| !value.is_empty() && value.bytes().all(is_plain));
    (plain && values.len() <= MAX_CHOICES)
        .then(|| Slot::OneOf(values.iter().map(|value| (*value).to_owned()).collect()))
}

/// Names with a dot, or addresses: any word could be a name without one.
fn hosts(values: &BTreeSet<&str>) -> Option<Slot> {
    let is_host = |value: &&str| Kind::Host.accepts(value) && value.contains(['.', ':']);
    values.iter().all(is_host).then_some(Slot::Host)
}

const fn is_plain(byte: u8) -> bool {
    crate::parse::scan::is_bare(byte)
}

// === impl Shape ===

impl Shape {
    /// The program.
    pub(super) fn program(&self) -> &str {
        match self.places.first() {
            Some(Place::Word(word)) => word,
            _ => "",
        }
    }
}
