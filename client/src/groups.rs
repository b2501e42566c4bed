//! Hosts on which a command ended alike and printed the same, together: what a person wants to read of 200 hosts.
//!
//! What was printed is compared by the digest of the whole stream, so output of which only parts were kept is told apart
//! by what is in the gap too.

use std::collections::HashMap;

use lictor_core::{
    digest::Digest,
    id::InvocationId,
    outcome::{Exit, Outcome},
};

use crate::views::{InvocationView, StreamCounts};

/// Invocations that ended alike and printed the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its invocations, ordered by host; never empty.
    members: Vec<&'a InvocationView>,
}

/// What is the same within a group.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Likeness<'a> {
    state: &'static str,
    exit_code: Option<u32>,
    signal: Option<&'a str>,
    reason: Option<&'a str>,
    stdout: Printed,
    stderr: Printed,
}

/// What is known of all that was printed on a stream.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Printed {
    Nothing,
    Whole {
        bytes: u64,
        digest: Digest,
    },
    /// Without a digest nobody can say that it is what another host printed.
    OnlyBy(InvocationId),
}

/// The groups of these invocations: the largest first, and of the same size by their first host.
pub fn groups<'a>(views: impl IntoIterator<Item = &'a InvocationView>) -> Vec<Group<'a>> {
    let mut by_likeness: HashMap<Likeness<'a>, Vec<&'a InvocationView>> = HashMap::new();
    for view in views {
        by_likeness.entry(Likeness::of(view)).or_default().push(view);
    }
    let mut groups: Vec<Group<'a>> = by_likeness
        .into_values()
        .map(|mut members| {
            members.sort_by_key(|view| (&view.host, view.attempt));
            Group { members }
        })
        .collect();
    groups.sort_by(|a, b| {
        let order = |group: &Group<'a>| group.first().map(|view| (&view.host, view.attempt));
        b.members.len().cmp(&a.members.len()).then_with(|| order(a).cmp(&order(b)))
    });
    groups
}

// === impl Group ===

impl<'a> Group<'a> {
    /// Its invocations, ordered by host.
    pub fn members(&self) -> &[&'a InvocationView] {
        &self.members
    }
    /// The first of them: it stands for all.
    pub fn first(&self) -> Option<&'a InvocationView> {
        self.members.first().copied()
    }
    /// The aliases of its hosts, in order.
    pub fn hosts(&self) -> Vec<&'a str> {
        self.members.iter().map(|view| view.host.as_str()).collect()
    }
}

// === impl Likeness ===

impl<'a> Likeness<'a> {
    fn of(view: &'a InvocationView) -> Self {
        let outcome = view.outcome.as_ref();
        Self {
            state: view.state(),
            exit_code: outcome.and_then(Outcome::exit_code),
            signal: match outcome {
                Some(Outcome::Failed(Exit::Signal(signal))) => Some(signal),
                _ => None,
            },
            reason: outcome.and_then(Outcome::reason_code),
            stdout: Printed::of(view, &view.stdout),
            stderr: Printed::of(view, &view.stderr),
        }
    }
}

// === impl Printed ===

impl Printed {
    const fn of(view: &InvocationView, counts: &StreamCounts) -> Self {
        match counts.digest {
            _ if view.outcome.is_none() => Self::OnlyBy(view.id),
            Some(digest) => Self::Whole { bytes: counts.bytes_total, digest },
            None if counts.bytes_total == 0 => Self::Nothing,
            None => Self::OnlyBy(view.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lictor_core::{
        id::JobId,
        job::Limits,
        name::{HostAlias, SiteName},
        outcome::Unreachable,
    };

    use super::*;
    use crate::views::Phase;

    fn view(host: &str, outcome: Option<Outcome>, stdout: Option<&str>, kept: u64) -> InvocationView {
        let job = JobId::from_bytes([1; 16]);
        let counts = stdout.map_or_else(StreamCounts::default, |text| StreamCounts {
            bytes_total: text.len() as u64,
            bytes_kept: kept,
            digest: Some(Digest::of(text.as_bytes())),
        });
        InvocationView {
            id: InvocationId::derive(job, host, 1),
            job,
            host: HostAlias::new(host).unwrap(),
            site: SiteName::new("eu").unwrap(),
            attempt: 1,
            phase: if outcome.is_some() { Phase::Ended } else { Phase::Running },
            outcome,
            rule: None,
            limits: Limits { timeout: Duration::from_secs(1), output_bytes: 10 },
            agent: None,
            address: None,
            started_at: None,
            ended_at: None,
            stdout: counts,
            stderr: StreamCounts::default(),
            resolution: None,
            output_removed: None,
            guard: lictor_core::guard::Guard::Journal,
            redactions: 0,
            wave: 1,
        }
    }

    fn hosts_of(views: &[InvocationView]) -> Vec<Vec<&str>> {
        groups(views).iter().map(Group::hosts).collect()
    }

    #[test]
    fn what_ended_alike_and_printed_the_same_is_one_group_largest_first() {
        let ok = || Some(Outcome::Succeeded);
        let failed = |code| Some(Outcome::Failed(Exit::Code(code)));
        let unreachable = |detail: &str| {
            Some(Outcome::Unreachable { reason: Unreachable::ConnectFailed, detail: detail.into() })
        };
        let views = [
            view("h", failed(1), Some("a"), 1),
            view("b", ok(), Some("a"), 1),
            view("g", failed(2), Some("a"), 1),
            view("a", ok(), Some("a"), 1),
            view("c", ok(), Some("b"), 1),
            view("d", unreachable("10.0.0.1"), None, 0),
            view("e", unreachable("10.0.0.2"), None, 0),
        ];
        let expected = [vec!["a", "b"], vec!["d", "e"], vec!["c"], vec!["g"], vec!["h"]];
        assert_eq!(hosts_of(&views), expected);
        let mut turned = views;
        turned.reverse();
        assert_eq!(hosts_of(&turned), expected, "whatever order they come in");
    }

    #[test]
    fn parts_that_were_not_kept_are_compared_and_what_is_not_known_is_never_the_same() {
        let ok = || Some(Outcome::Succeeded);
        let truncated = [view("a", ok(), Some("xAx"), 2), view("b", ok(), Some("xBx"), 2)];
        assert_eq!(hosts_of(&truncated).len(), 2);
        let mut unknown = [view("a", ok(), Some("x"), 1), view("b", ok(), Some("x"), 1)];
        unknown[0].stdout.digest = None;
        unknown[1].stdout.digest = None;
        assert_eq!(hosts_of(&unknown).len(), 2);
        assert_eq!(hosts_of(&[view("a", None, None, 0), view("b", None, None, 0)]).len(), 2);
    }
}
