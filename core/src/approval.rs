//! The consent of others: what a job needs before it may begin, who has given it, and what became of it.
//!
//! It covers one exact plan and is used once, in the commit that records the intent of the job. A term is so many people
//! of one group; whoever has consented counts for one term alone, whatever groups they are in.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use crate::{
    clock::Timestamp,
    digest::Digest,
    limits::MAX_NOTE_BYTES,
    name::{GroupName, RuleId},
    outcome::Outcome,
    principal::{Principal, PrincipalKind},
};

/// Longest time in which consent can be given, whatever a policy says: as long as idempotency keys are kept.
pub const MAX_APPROVAL_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The code of an invocation that did not run because somebody refused consent.
pub const APPROVAL_DENIED: &str = "APPROVAL_DENIED";
/// The code of an invocation that did not run because consent did not come in time.
pub const APPROVAL_EXPIRED: &str = "APPROVAL_EXPIRED";

/// The consent that a job needs, and how that stands. Recorded with the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Digest of the plan that is consented to: for whom, what, in what, where, within which limits, by which policy.
    pub plan: Digest,
    /// Whose consent is needed, all of them; one for each group.
    pub terms: Vec<Term>,
    /// The rules that ask for it.
    pub rules: Vec<RuleId>,
    /// Why policy asks for it, for people.
    pub reason: String,
    /// On how many hosts the job would run.
    pub hosts: u32,
    /// The time limit that the request asked for; part of the plan.
    pub timeout: Option<Duration>,
    /// The output limit that the request asked for; part of the plan.
    pub output_bytes: Option<u64>,
    /// Until when consent can be given.
    pub expires_at: Timestamp,
    /// Who has consented, in that order; each once.
    pub consents: Vec<Consent>,
    /// What became of it.
    pub state: ApprovalState,
}

/// So many people of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// The group.
    pub group: GroupName,
    /// How many, each another one and none of them who asked.
    pub approvals: u32,
}

/// One person's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Who.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
    /// What they say of it.
    pub note: Option<Note>,
}

/// What became of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// It waits for consent.
    Pending,
    /// It was complete, and was used for its job: once.
    Used {
        /// When.
        at: Timestamp,
    },
    /// Somebody refused.
    Denied {
        /// Who.
        by: Principal,
        /// When.
        at: Timestamp,
        /// Why.
        note: Note,
    },
    /// It was not complete in time.
    Expired {
        /// When that was noticed.
        at: Timestamp,
    },
    /// What would have been decided was no longer what was consented to.
    Voided {
        /// When.
        at: Timestamp,
        /// A code, e.g. `PLAN_STALE`.
        code: String,
        /// The reason for people.
        reason: String,
    },
}

/// What somebody says of their decision: 1 to [`MAX_NOTE_BYTES`] bytes without control characters, and not blank.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note(String);

/// Text that is not a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidNote(String);

/// Who counts for which term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// For each consent the group for which it counts; `None`: it is not needed, or does not count.
    pub counts_for: Vec<Option<GroupName>>,
    /// What is still missing.
    pub missing: Vec<Term>,
}

// === impl Approval ===

impl Approval {
    /// Whether it waits for consent.
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, ApprovalState::Pending)
    }

    /// When it was used.
    pub const fn used_at(&self) -> Option<Timestamp> {
        match self.state {
            ApprovalState::Used { at } => Some(at),
            _ => None,
        }
    }

    /// What an invocation ends with that may not begin because of what became of this; `None` while it may yet, or may.
    pub fn refusal(&self) -> Option<Outcome> {
        let (code, reason) = match &self.state {
            ApprovalState::Pending | ApprovalState::Used { .. } => return None,
            ApprovalState::Denied { by, note, .. } => {
                (APPROVAL_DENIED.to_owned(), format!("{by} refused consent: {note}"))
            }
            ApprovalState::Expired { .. } => {
                let missing = words(&self.terms);
                (
                    APPROVAL_EXPIRED.to_owned(),
                    format!("consent did not come in time: {missing} had to consent"),
                )
            }
            ApprovalState::Voided { code, reason, .. } => (code.clone(), reason.clone()),
        };
        Some(Outcome::Denied { code, reason }.bounded())
    }
}

/// Whether two principals are to be taken for the same person: of one tenant and one name, whatever kind of certificate
/// they show.
pub fn same_person(one: &Principal, other: &Principal) -> bool {
    // Whoever issues tokens may write a name otherwise than a certificate has it.
    one.tenant == other.tenant && one.name.as_str().eq_ignore_ascii_case(other.name.as_str())
}

/// Whether a principal can ever consent to what `requester` asked for: another person of the same tenant.
pub fn may_consent(who: &Principal, requester: &Principal) -> bool {
    who.kind == PrincipalKind::User && who.tenant == requester.tenant && !same_person(who, requester)
}

/// Terms as they hold together: of one group the largest number.
pub fn merge<'a>(terms: impl IntoIterator<Item = (&'a GroupName, u32)>) -> Vec<Term> {
    let mut by_group: BTreeMap<&GroupName, u32> = BTreeMap::new();
    for (group, approvals) in terms {
        let most = by_group.entry(group).or_default();
        *most = approvals.max(*most);
    }
    by_group.into_iter().map(|(group, approvals)| Term { group: group.clone(), approvals }).collect()
}

/// Terms in words, e.g. `2 other people of group dba, and 1 other person of group leads`.
pub fn words(terms: &[Term]) -> String {
    terms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and ")
}

/// Finds for as many places of `terms` as possible a person each, nobody twice (augmenting paths). Whoever has a place
/// keeps one, so that a further consent never makes another one useless.
pub fn assign(
    terms: &[Term],
    people: &[&Principal],
    is_in: impl Fn(&Principal, &GroupName) -> bool,
) -> Assignment {
    let places: Vec<&GroupName> = terms
        .iter()
        .flat_map(|term| {
            std::iter::repeat_n(&term.group, usize::try_from(term.approvals).unwrap_or(usize::MAX))
        })
        .collect();
    let fits: Vec<Vec<usize>> = people
        .iter()
        .map(|who| {
            let takes = |(place, group): (usize, &&GroupName)| is_in(who, group).then_some(place);
            places.iter().enumerate().filter_map(takes).collect()
        })
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; places.len()];
    for who in 0..people.len() {
        seat(who, &fits, &mut taken, &mut vec![false; places.len()]);
    }
    let mut counts_for = vec![None; people.len()];
    let mut missing: BTreeMap<&GroupName, u32> = BTreeMap::new();
    for (group, who) in places.iter().zip(&taken) {
        match who {
            Some(who) => {
                if let Some(slot) = counts_for.get_mut(*who) {
                    *slot = Some(GroupName::clone(group));
                }
            }
            None => *missing.entry(group).or_default() += 1,
        }
    }
    let missing =
        missing.into_iter().map(|(group, approvals)| Term { group: group.clone(), approvals }).collect();
    Assignment { counts_for, missing }
}

/// Gives `who` a place, moving others to other places of theirs where that is needed.
fn seat(who: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for place in fits.get(who).map(Vec::as_slice).unwrap_or_default() {
        match seen.get_mut(*place) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        let sits = taken.get(*place).copied().flatten();
        if sits.is_none_or(|other| seat(other, fits, taken, seen)) {
            if let Some(slot) = taken.get_mut(*place) {
                *slot = Some(who);
            }
            return true;
        }
    }
    false
}

// === impl ApprovalState ===

impl ApprovalState {
    /// The state as it is written in records and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Used { .. } => "USED",
            Self::Denied { .. } => "DENIED",
            Self::Expired { .. } => "EXPIRED",
            Self::Voided { .. } => "VOIDED",
        }
    }
}

// === impl Assignment ===

impl Assignment {
    /// Whether nothing is missing.
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

// === impl Term ===

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = if self.approvals == 1 { "person" } else { "people" };
        write!(f, "{} other {people} of group `{}`", self.approvals, self.group)
    }
}

// === impl Note ===

impl Note {
    /// The note as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Note {
    type Err = InvalidNote;
    fn from_str(text: &str) -> Result<Self, InvalidNote> {
        let why = if text.trim().is_empty() {
            "the reason is empty".to_owned()
        } else if text.len() > MAX_NOTE_BYTES {
            format!("the reason is longer than {MAX_NOTE_BYTES} bytes")
        } else if text.chars().any(char::is_control) {
            "the reason has control characters".to_owned()
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidNote(why))
    }
}

impl fmt::Display for InvalidNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for InvalidNote {}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(name: &str, kind: PrincipalKind) -> Principal {
        Principal { tenant: "default".parse().unwrap(), kind, name: name.parse().unwrap() }
    }
    fn user(name: &str) -> Principal {
        principal(name, PrincipalKind::User)
    }
    fn term(group: &str, approvals: u32) -> Term {
        Term { group: group.parse().unwrap(), approvals }
    }
    /// `ann` is in a and b, `bob` in a, `cid` in b.
    fn is_in(who: &Principal, group: &GroupName) -> bool {
        matches!((who.name.as_str(), group.as_str()), ("ann", "a" | "b") | ("bob", "a") | ("cid", "b"))
    }
    fn missing(terms: &[Term], names: &[&str]) -> Vec<Term> {
        let people: Vec<Principal> = names.iter().map(|name| user(name)).collect();
        assign(terms, &people.iter().collect::<Vec<_>>(), is_in).missing
    }

    #[test]
    fn whoever_is_in_two_groups_counts_for_one_of_them_whichever_helps() {
        let both = [term("a", 1), term("b", 1)];
        assert_eq!(missing(&both, &[]), both);
        assert_eq!(missing(&both, &["ann"]).len(), 1);
        for people in [["ann", "bob"], ["bob", "ann"], ["ann", "cid"], ["cid", "ann"]] {
            assert_eq!(missing(&both, &people), [], "{people:?}");
        }
        assert_eq!(missing(&[term("a", 2)], &["bob", "cid"]), [term("a", 1)]);
        assert_eq!(missing(&[term("a", 2), term("b", 1)], &["ann", "bob"]), [term("b", 1)]);
    }

    #[test]
    fn terms_of_one_group_are_one_term_and_the_largest() {
        let (a, b): (GroupName, GroupName) = ("a".parse().unwrap(), "b".parse().unwrap());
        assert_eq!(merge([(&b, 1), (&a, 1), (&a, 3), (&a, 2)]), [term("a", 3), term("b", 1)]);
        assert_eq!(
            words(&[term("a", 3), term("b", 1)]),
            "3 other people of group `a`, and 1 other person of group `b`"
        );
    }

    #[test]
    fn nobody_consents_to_their_own_request_by_whatever_certificate() {
        for requester in [user("ann"), principal("ann", PrincipalKind::Service)] {
            assert!(!may_consent(&user("ann"), &requester));
            assert!(may_consent(&user("bob"), &requester));
            assert!(!may_consent(&principal("bob", PrincipalKind::Service), &requester));
        }
        let elsewhere = Principal { tenant: "other".parse().unwrap(), ..user("bob") };
        assert!(!may_consent(&elsewhere, &user("ann")));
    }

    #[test]
    fn a_note_says_something_on_one_line() {
        assert_eq!("looks right".parse::<Note>().unwrap().as_str(), "looks right");
        for bad in ["", "  ", "a\nb", "\u{1b}[31m", &"x".repeat(MAX_NOTE_BYTES + 1)] {
            assert!(bad.parse::<Note>().is_err(), "{bad}");
        }
    }
}
