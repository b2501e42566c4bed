//! From when to when, or from which record to which, as people type it; and queries of such arguments.

use std::{fmt, str::FromStr};

use clap::Args;
use lictor_core::{
    audit::query::{InvalidQuery, Query, Term, What},
    clock::{Clock as _, Timestamp},
};
use lictor_policy::time;
use lictor_runtime::{clock::SystemClock, human::HumanDuration};

use crate::trouble::Trouble;

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// The index of a record.
    Index(u64),
    /// A moment.
    Moment(Timestamp),
}

/// What to look for; each that is given must hold.
#[derive(Debug, Args)]
pub(super) struct Sought {
    /// Terms such as kind:request_denied or -outcome:SUCCEEDED (docs/audit-format.md lists them)
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// Who asked, acted or called, e.g. user:ops; * stands for anything
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// The host that was asked for, or run on
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Text in the command
    #[arg(long, value_name = "TEXT")]
    command: Option<String>,
    /// How it ended, e.g. FAILED
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// The kind of record, e.g. request_denied
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Not before: a time ago, e.g. 7d, or a moment, e.g. 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// Before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
}

// === impl Sought ===

impl Sought {
    /// All of it as one query.
    pub(super) fn query(&self) -> Result<Query, Trouble> {
        if let (Some(from), Some(to)) = (self.from, self.to) {
            in_order(&from, &to)?;
        }
        let moments = (self.from.map(|at| at.to_string()), self.to.map(|at| at.to_string()));
        let given = [
            (What::Who, &self.who),
            (What::Host, &self.host),
            (What::Command, &self.command),
            (What::Outcome, &self.outcome),
            (What::Kind, &self.kind),
            (What::Since, &moments.0),
            (What::Until, &moments.1),
        ];
        let terms = given.into_iter().filter_map(|(what, value)| Some(Term::new(what, value.as_deref()?)));
        let query = self.query.join(" ").parse::<Query>();
        let all = query.and_then(|query| query.and(terms.collect::<Result<Vec<_>, _>>()?)?.meant());
        all.map_err(|e| Trouble::usage(e.to_string(), "terms are name:value; see lictor audit search --help"))
    }
}

impl FromStr for Bound {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(index) => Ok(Self::Index(index)),
            Err(_) => moment(text).map(Self::Moment).map_err(|e| format!("{e}, nor the index of a record")),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "record {index}"),
            Self::Moment(at) => at.fmt(f),
        }
    }
}

/// Refuses bounds of one sort whose end is before their beginning.
pub(super) fn ordered(from: Option<Bound>, to: Option<Bound>) -> Result<(), Trouble> {
    match (from, to) {
        (Some(Bound::Index(from)), Some(Bound::Index(to))) => in_order(&from, &to),
        (Some(Bound::Moment(from)), Some(Bound::Moment(to))) => in_order(&from, &to),
        // Which of an index and a moment is first is known when the log has been read.
        (Some(Bound::Index(_)), Some(Bound::Moment(_)))
        | (Some(Bound::Moment(_)), Some(Bound::Index(_)))
        | (None, _)
        | (_, None) => Ok(()),
    }
}

/// Nothing is from a bound to one before it: whoever asks has swapped them.
fn in_order<T: PartialOrd + fmt::Display>(from: &T, to: &T) -> Result<(), Trouble> {
    if to < from {
        return Err(Trouble::usage(
            format!("--to {to} is before --from {from}"),
            "swap them, or leave one out",
        ));
    }
    Ok(())
}

/// The records from one bound to before another: a range of indices, and terms for moments.
pub(super) fn between(from: Option<Bound>, to: Option<Bound>) -> Result<((u64, u64), Vec<Term>), Trouble> {
    ordered(from, to)?;
    let mut range = (0, u64::MAX);
    let mut terms = Vec::new();
    for (bound, slot, what) in [(from, &mut range.0, What::Since), (to, &mut range.1, What::Until)] {
        match bound {
            Some(Bound::Index(index)) => *slot = index,
            Some(Bound::Moment(at)) => terms.push(Term::new(what, &at.to_string())),
            None => {}
        }
    }
    let terms = terms.into_iter().collect::<Result<Vec<_>, _>>();
    Ok((range, terms.map_err(|e| Trouble::usage(e.to_string(), "leave a bound out"))?))
}

/// What to look for, in words that records have.
pub(super) fn meant(text: &str) -> Result<Query, InvalidQuery> {
    text.parse::<Query>()?.meant()
}

/// A moment: some time ago, or as RFC 3339.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    match text.parse::<HumanDuration>() {
        Ok(ago) => Ok(SystemClock.now().minus(ago.get())),
        Err(_) => {
            time::rfc3339(text).map_err(|_| format!("`{text}` is neither a time ago, like 7d, nor a moment"))
        }
    }
}
