//! Many host names in little room: `web-[1-40], db-1`.

use std::collections::{BTreeMap, BTreeSet};

/// Longest number in a name that is taken for one; every such number fits 64 bits.
const MAX_DIGITS: usize = 18;

/// A name around its last number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Form<'a> {
    before: &'a str,
    after: &'a str,
    /// Digits that every number has, with zeros in front; 0 if they have none.
    width: usize,
}

/// The names, each once, with runs of numbers drawn together; ordered by the first name of each.
///
/// Neither brackets nor commas occur in host names, so the text stands for exactly these names.
pub fn compact<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    // A number without zeros in front belongs to those with, if it is as long: 08, 09, 10.
    let padded: BTreeSet<Form<'_>> = names
        .iter()
        .filter_map(|name| parts(name))
        .filter(|(form, _)| form.width > 0)
        .map(|(f, _)| f)
        .collect();
    let mut by_form: BTreeMap<Form<'_>, BTreeSet<u64>> = BTreeMap::new();
    let mut first: BTreeMap<&str, Option<Form<'_>>> = BTreeMap::new();
    for name in &names {
        let Some((mut form, digits)) = parts(name) else {
            first.insert(name, None);
            continue;
        };
        let as_long = Form { width: digits.len(), ..form.clone() };
        if form.width == 0 && padded.contains(&as_long) {
            form = as_long;
        }
        let numbers = by_form.entry(form.clone()).or_default();
        if numbers.is_empty() {
            first.insert(name, Some(form));
        }
        numbers.extend(digits.parse::<u64>());
    }
    first
        .into_iter()
        .map(|(name, form)| match form {
            Some(form) => form.text(by_form.get(&form).into_iter().flatten().copied()),
            None => name.to_owned(),
        })
        .collect()
}

/// The parts of a name that has a number, and the number.
fn parts(name: &str) -> Option<(Form<'_>, &str)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let begin = name.get(..end)?.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let digits = name.get(begin..end).filter(|digits| digits.len() <= MAX_DIGITS)?;
    let width = if digits.len() > 1 && digits.starts_with('0') { digits.len() } else { 0 };
    Some((Form { before: name.get(..begin)?, after: name.get(end..)?, width }, digits))
}

// === impl Form ===

impl Form<'_> {
    /// `numbers` are in order.
    fn text(&self, numbers: impl Iterator<Item = u64>) -> String {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
        let number = |n: u64| format!("{n:0width$}", width = self.width);
        let run = |(from, to): &(u64, u64)| {
            if from == to { number(*from) } else { format!("{}-{}", number(*from), number(*to)) }
        };
        let numbers = match runs.as_slice() {
            [(from, to)] if from == to => number(*from),
            many => format!("[{}]", many.iter().map(run).collect::<Vec<_>>().join(",")),
        };
        format!("{}{numbers}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names that a text stands for, read by its own rules.
    fn expand(text: &str) -> Vec<String> {
        let Some((before, rest)) = text.split_once('[') else { return vec![text.to_owned()] };
        let (runs, after) = rest.split_once(']').unwrap();
        let mut names = Vec::new();
        for run in runs.split(',') {
            let (from, to) = run.split_once('-').unwrap_or((run, run));
            let width = if from.starts_with('0') { from.len() } else { 0 };
            for number in from.parse::<u64>().unwrap()..=to.parse().unwrap() {
                names.push(format!("{before}{number:0width$}{after}"));
            }
        }
        names
    }

    #[test]
    fn runs_are_drawn_together_and_everything_else_stays_as_it_is() {
        let many: Vec<String> = (1..=40).map(|n| format!("web-{n}")).collect();
        let names = many.iter().map(String::as_str).chain(["db-1", "gate", "x9y.z", "x11y.z", "x10y.z"]);
        assert_eq!(compact(names), ["db-1", "gate", "web-[1-40]", "x[9-11]y.z"]);
        assert_eq!(compact(["n08", "n09", "n10", "n11", "n9", "n007"]), ["n007", "n[08-11]", "n9"]);
        assert_eq!(compact(["7", "8", "a1", "a3", "a3"]), ["[7-8]", "a[1,3]"]);
        assert!(compact([]).is_empty());
    }

    proptest! {
        #[test]
        fn the_ranges_stand_for_exactly_the_names(
            names in proptest::collection::btree_set("(a|b-|c0)?[0-9]{0,3}(x|\\.eu)?", 0..60),
            long in proptest::collection::btree_set("h[0-9]{17,21}", 0..4),
        ) {
            let names: BTreeSet<String> = names.into_iter().chain(long).filter(|n| !n.is_empty()).collect();
            let texts = compact(names.iter().map(String::as_str));
            let all: Vec<String> = texts.iter().flat_map(|text| expand(text)).collect();
            prop_assert_eq!(all.len(), names.len(), "{:?}", texts);
            prop_assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), names, "{:?}", texts);
        }
    }
}
