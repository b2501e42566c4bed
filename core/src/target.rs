//! Which hosts, as an expression: `tag:web and not site:eu`.
//!
//! | term | means |
//! |---|---|
//! | `tag:web` | hosts with this tag |
//! | `site:eu` | hosts at this site |
//! | `label:env=prod` | hosts with this label; `*` stands for any characters of the value |
//! | `label:env` | hosts with a label of this key, whatever its value |
//! | `host:web-*`, `web-*` | hosts by alias; `*` stands for any characters |
//! | `all` | every host |
//!
//! `not` binds closest, then `and`, then `or`; brackets group. Keywords are lower case, and case counts everywhere.

mod parse;

use std::fmt::{self, Display as _};

pub use self::parse::InvalidExpression;
use crate::{
    glob::Glob,
    label::Labels,
    name::{HostAlias, LabelKey, SiteName, Tag},
};

/// Which hosts, as an expression. Two are equal when they are written alike, but for brackets and blanks that change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetExpression {
    root: Node,
}

/// A part of an expression that is asked of a host by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// It has this tag.
    Tag(Tag),
    /// It is at this site.
    Site(SiteName),
    /// It has a label of this key, and its value is like this.
    Label(LabelKey, Option<Glob>),
    /// Its alias is like this.
    Host(Glob),
}

/// What an expression may ask of a host.
#[derive(Debug, Clone, Copy)]
pub struct TargetFacts<'a> {
    /// Its alias.
    pub alias: &'a HostAlias,
    /// Its site.
    pub site: &'a SiteName,
    /// Its tags.
    pub tags: &'a [Tag],
    /// Its labels.
    pub labels: &'a Labels,
}

/// A list has two parts at least, and none that is a list of the same kind: so that one meaning of brackets has one form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Node {
    All,
    Term(Term),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

// === impl TargetExpression ===

impl TargetExpression {
    /// Whether it means this host.
    pub fn matches(&self, host: TargetFacts<'_>) -> bool {
        self.root.matches(host)
    }
    /// Its terms, in the order in which they are written.
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        self.root.collect(&mut terms);
        terms
    }
}

/// The canonical form, which parses to the same expression.
impl fmt::Display for TargetExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

// === impl Term ===

impl Term {
    /// Whether it is true of this host.
    pub fn matches(&self, host: TargetFacts<'_>) -> bool {
        match self {
            Self::Tag(tag) => host.tags.contains(tag),
            Self::Site(site) => host.site == site,
            Self::Label(key, wanted) => host
                .labels
                .get(key)
                .is_some_and(|value| wanted.as_ref().is_none_or(|glob| glob.matches(value.as_str()))),
            Self::Host(glob) => glob.matches(host.alias.as_str()),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Site(site) => write!(f, "site:{site}"),
            Self::Label(key, None) => write!(f, "label:{key}"),
            Self::Label(key, Some(value)) => write!(f, "label:{key}={value}"),
            Self::Host(glob) => write!(f, "host:{glob}"),
        }
    }
}

// === impl Node ===

impl Node {
    fn matches(&self, host: TargetFacts<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Term(term) => term.matches(host),
            Self::Not(inner) => !inner.matches(host),
            Self::And(parts) => parts.iter().all(|part| part.matches(host)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(host)),
        }
    }

    fn collect<'a>(&'a self, terms: &mut Vec<&'a Term>) {
        match self {
            Self::All => {}
            Self::Term(term) => terms.push(term),
            Self::Not(inner) => inner.collect(terms),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect(terms)),
        }
    }

    /// Both, in one list where the kind is the same.
    fn and(self, other: Self) -> Self {
        let parts = |node| if let Self::And(parts) = node { parts } else { vec![node] };
        Self::And(parts(self).into_iter().chain(parts(other)).collect())
    }

    /// Either, in one list where the kind is the same.
    fn or(self, other: Self) -> Self {
        let parts = |node| if let Self::Or(parts) = node { parts } else { vec![node] };
        Self::Or(parts(self).into_iter().chain(parts(other)).collect())
    }

    /// With brackets if `needs` them.
    fn write(&self, f: &mut fmt::Formatter<'_>, needs: bool) -> fmt::Result {
        if needs { write!(f, "({self})") } else { self.fmt(f) }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, word) = match self {
            Self::All => return f.write_str("all"),
            Self::Term(term) => return term.fmt(f),
            Self::Not(inner) => {
                f.write_str("not ")?;
                return inner.write(f, matches!(**inner, Self::And(_) | Self::Or(_)));
            }
            Self::And(parts) => (parts, " and "),
            Self::Or(parts) => (parts, " or "),
        };
        for (index, part) in parts.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { word })?;
            part.write(f, matches!((self, part), (Self::And(_), Self::Or(_))))?;
        }
        Ok(())
    }
}
