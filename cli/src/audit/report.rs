//! What the log shows of the controls of a framework: counted, with the records to look at, and with what no record can show.
//!
//! The tables say in their own words what a control is about; the text that counts is the framework's. Whether a control
//! is met is for an auditor to judge: a report gathers evidence and certifies nothing.

pub(crate) mod gather;
mod hipaa;
pub(crate) mod html;
pub(crate) mod markdown;
mod pci_dss;
#[cfg(test)]
mod snapshots;
mod soc2;

use clap::ValueEnum;
use serde::Serialize;

/// What stands at the head of every report.
const WHAT_IT_IS: &str = "This is evidence, not a certification. It counts records of Lictor's audit log that bear on the \
    controls named below and says where to find them. Whether a control is met is for an auditor to judge, who \
    knows what stands outside of this log.";

/// What Lictor cannot see, whatever the framework.
const NEVER_SEEN: [&str; 5] = [
    "Access to hosts by other ways than Lictor: direct SSH, consoles, agents of other systems. Compare with the hosts' own logs.",
    "What a permitted command did inside of a host, beyond its exit, the bytes that it printed and their digests.",
    "Who sat at the keyboard: a record names the certificate or token that was used, not the person who held it.",
    "Machines, disks, backups and networks under the controller, the agents and the hosts.",
    "People, contracts and procedures: training, reviews, agreements, incident plans.",
];

/// A framework that a report can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Framework {
    /// SOC 2: trust services criteria of the AICPA, 2017 with the points of focus of 2022
    Soc2,
    /// PCI DSS 4.0.1
    PciDss,
    /// HIPAA Security Rule, 45 CFR part 164 subpart C
    Hipaa,
}

/// A framework as a table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name.
    name: &'static str,
    /// Which edition the identifiers are of.
    edition: &'static str,
    /// The controls that the log has evidence for.
    controls: &'static [Control],
    /// What of the framework the log has nothing to say on.
    outside: &'static [&'static str],
}

/// A control, and what the log has to do with it.
#[derive(Debug)]
pub(super) struct Control {
    /// Its identifier in the framework.
    id: &'static str,
    /// What it is about, in a few words that are not the framework's.
    title: &'static str,
    /// What Lictor does for it.
    lictor: &'static str,
    /// What shows that.
    evidence: &'static [Evidence],
    /// What of this control no record shows.
    outside: &'static str,
}

/// Something that shows what Lictor did.
#[derive(Debug)]
pub(super) enum Evidence {
    /// Records that fit a query.
    Records {
        /// What they are.
        what: &'static str,
        /// The query, as `lictor audit search` takes it.
        query: &'static str,
    },
    /// That the log itself verified: the head of the report says how.
    Log,
}

/// A report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) framework: &'static str,
    pub(crate) edition: &'static str,
    pub(crate) what_it_is: &'static str,
    /// When it was made, and with what.
    pub(crate) made_at: String,
    pub(crate) made_by: String,
    pub(crate) basis: Basis,
    pub(crate) period: Period,
    pub(crate) controls: Vec<Shown>,
    /// What no record shows, for the framework as a whole.
    pub(crate) outside: Vec<&'static str>,
    /// The records that are named above.
    pub(crate) records: Vec<Cited>,
}

/// The log that a report is made from.
#[derive(Debug, Serialize)]
pub(crate) struct Basis {
    /// The name of the log.
    pub(crate) log: String,
    /// Always so: what does not verify gives no report.
    pub(crate) verified: bool,
    /// What of the log was there, in words.
    pub(crate) verified_what: String,
    /// That only a part of the log was there, and what that means for the counts.
    pub(crate) part: Option<&'static str>,
    /// How many records the log had, and the root over them.
    pub(crate) size: u64,
    pub(crate) root: String,
    /// The signed note of that head, with cosignatures.
    pub(crate) checkpoint: String,
    /// The size of the head that was known here before, if one was.
    pub(crate) anchored_at: Option<u64>,
    /// The witnesses that have cosigned that head, and whether their keys are known from elsewhere than the log.
    pub(crate) witnesses: Vec<String>,
    pub(crate) witnesses_pinned: bool,
}

/// Which records were counted.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Period {
    /// As it was asked for: a moment or an index; `None`: the log's beginning, its end.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// How many records there are, with the moments of the first and the last.
    pub(crate) records: u64,
    pub(crate) times: Option<(String, String)>,
}

/// A control with what was found.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) lictor: &'static str,
    pub(crate) support: Support,
    pub(crate) evidence: Vec<Found>,
    pub(crate) outside: &'static str,
}

/// Whether anything bears on a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Support {
    /// There are records.
    Records,
    /// There is no record, but the log as a whole bears on it.
    Log,
    /// There is no record of such a thing in the period, which says nothing for the control nor against it.
    None,
}

/// What was found of a piece of evidence.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) what: String,
    /// Finds the records: `lictor audit search QUERY`. `None`: the log as a whole.
    pub(crate) query: Option<String>,
    pub(crate) records: u64,
    /// Indices of the first and of the last.
    pub(crate) first: Option<u64>,
    pub(crate) last: Option<u64>,
}

/// A record that a report names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cited {
    pub(crate) index: u64,
    pub(crate) at: String,
    pub(crate) kind: String,
    /// Who asked, acted or called.
    pub(crate) who: String,
    /// The hash of the record as a leaf of the tree: with it, an inclusion proof is checked.
    pub(crate) leaf: String,
}

// === impl Framework ===

impl Framework {
    const fn table(self) -> &'static Table {
        match self {
            Self::Soc2 => &soc2::TABLE,
            Self::PciDss => &pci_dss::TABLE,
            Self::Hipaa => &hipaa::TABLE,
        }
    }
}

// === impl Support ===

impl Support {
    /// For people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Records => "supported by records",
            Self::Log => "supported by the log as a whole",
            Self::None => "no record in this period",
        }
    }
}

// === impl Basis ===

impl Basis {
    /// What was known of the log before, in words.
    fn anchor(&self) -> String {
        match self.anchored_at {
            Some(size) => format!("it begins with the {size} records verified before where this was made"),
            None => "none: no earlier head of this log was known where this was made".to_owned(),
        }
    }
    /// Who else has seen the head, in words.
    fn witnesses(&self) -> String {
        let from =
            if self.witnesses_pinned { "keys were given" } else { "keys as the log itself names them" };
        match self.witnesses.as_slice() {
            [] => "none has cosigned this head".to_owned(),
            names => format!("{} ({from})", names.join(", ")),
        }
    }
}

// === impl Period ===

impl Period {
    /// For people.
    fn words(&self) -> String {
        let from = self.from.as_deref().unwrap_or("the beginning");
        let to = self.to.as_deref().unwrap_or("the end");
        let times = self.times.as_ref().map(|(first, last)| format!(", {first} to {last}"));
        format!("from {from} to {to}: {} records{}", self.records, times.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use lictor_core::audit::query::Query;

    use super::*;

    #[test]
    fn every_query_is_one_names_kinds_that_exist_and_no_control_stands_twice() {
        let page =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit-format.md")).unwrap();
        for framework in Framework::value_variants() {
            let table = framework.table();
            let ids: BTreeSet<&str> = table.controls.iter().map(|control| control.id).collect();
            assert_eq!(ids.len(), table.controls.len());
            for control in table.controls {
                assert!(!control.evidence.is_empty() && !control.outside.is_empty(), "{}", control.id);
                for evidence in control.evidence {
                    let Evidence::Records { query, .. } = evidence else { continue };
                    query.parse::<Query>().unwrap();
                    let kinds = query.split(' ').find_map(|term| term.strip_prefix("kind:")).unwrap();
                    for kind in kinds.split('|').filter(|kind| !kind.contains('*')) {
                        assert!(page.contains(&format!("| `{kind}` |")), "{}: {kind}", control.id);
                    }
                }
            }
        }
    }
}
