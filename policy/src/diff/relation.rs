//! How what was compares with what is: as sets of requests, or as amounts.

use super::ChangeKind;

/// How the new of two sets stands to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    /// The new one has everything of the old one, and more.
    Wider,
    /// The new one has only what the old one has, and less.
    Narrower,
    /// Each has something of its own, or it cannot be told.
    Other,
}

impl Relation {
    /// From "the new one has all of the old" and "the old one has all of the new".
    pub(super) const fn of(new_has_old: bool, old_has_new: bool) -> Self {
        match (new_has_old, old_has_new) {
            (true, true) => Self::Equal,
            (true, false) => Self::Wider,
            (false, true) => Self::Narrower,
            (false, false) => Self::Other,
        }
    }
    /// Of amounts, where more is wider and `None` is without bound.
    pub(super) fn of_most<T: Ord>(old: Option<T>, new: Option<T>) -> Self {
        match (old, new) {
            (None, None) => Self::Equal,
            (Some(_), None) => Self::Wider,
            (None, Some(_)) => Self::Narrower,
            (Some(old), Some(new)) => Self::of(new >= old, old >= new),
        }
    }
    /// The same of what is left out instead of what is in.
    pub(super) const fn flip(self) -> Self {
        match self {
            Self::Wider => Self::Narrower,
            Self::Narrower => Self::Wider,
            same => same,
        }
    }
    /// Of the sets of what is in both this and another set.
    pub(super) const fn and(self, other: Self) -> Self {
        let wider = matches!(self, Self::Wider | Self::Other) || matches!(other, Self::Wider | Self::Other);
        let narrower =
            matches!(self, Self::Narrower | Self::Other) || matches!(other, Self::Narrower | Self::Other);
        Self::of(!narrower, !wider)
    }
    /// Whether something may have left.
    pub(super) const fn loses(self) -> bool {
        matches!(self, Self::Narrower | Self::Other)
    }
    /// Whether something may have come.
    pub(super) const fn gains(self) -> bool {
        matches!(self, Self::Wider | Self::Other)
    }
    /// What the change is when what is in the set is permitted.
    pub(super) const fn permitted(self) -> ChangeKind {
        match self {
            Self::Equal => ChangeKind::Neutral,
            Self::Wider => ChangeKind::Widened,
            Self::Narrower => ChangeKind::Narrowed,
            Self::Other => ChangeKind::Both,
        }
    }
}
