//! What a query needs of a record that fits, for whoever keeps less of many records than the records themselves.

use super::{Compare, Query, Term, What};

/// One of these must be so of every record that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need<'a> {
    /// A text of `what` is like one of these.
    Text(What, Vec<Likeness<'a>>),
    /// It is not older than this moment.
    NotBefore(&'a str),
    /// It is older than this moment.
    Before(&'a str),
}

/// What a text is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Likeness<'a> {
    /// It is this text.
    Is(&'a str),
    /// It has these pieces.
    Has(Vec<&'a str>),
}

impl Query {
    /// What every record that fits has; more may be needed of it.
    pub fn needs(&self) -> impl Iterator<Item = Need<'_>> {
        self.terms.iter().filter(|term| !term.is_negated).map(Need::of)
    }
}

impl<'a> Need<'a> {
    fn of(Term { what, value, .. }: &'a Term) -> Self {
        match what.compare() {
            Compare::Contains => Self::Text(*what, vec![Likeness::Has(vec![value])]),
            Compare::Pattern => Self::Text(*what, value.split('|').map(Likeness::of).collect()),
            Compare::NotBefore => Self::NotBefore(value),
            Compare::Before => Self::Before(value),
        }
    }
}

impl<'a> Likeness<'a> {
    fn of(pattern: &'a str) -> Self {
        if pattern.contains('*') {
            Self::Has(pattern.split('*').filter(|piece| !piece.is_empty()).collect())
        } else {
            Self::Is(pattern)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_what_terms_say_and_nothing_of_those_that_deny() {
        let query: Query =
            "kind:a|b* -host:x command:\"rm -rf\" since:2026-11-22T12:00:00.000000Z".parse().unwrap();
        let needs: Vec<Need<'_>> = query.needs().collect();
        assert_eq!(
            needs,
            [
                Need::Text(What::Kind, vec![Likeness::Is("a"), Likeness::Has(vec!["b"])]),
                Need::Text(What::Command, vec![Likeness::Has(vec!["rm -rf"])]),
                Need::NotBefore("2026-11-22T12:00:00.000000Z"),
            ]
        );
    }
}
