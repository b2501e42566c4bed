//! What of the benchmarks is run, and how large.

use anyhow::Context as _;

/// Hosts of the fan-outs, when nothing else is said.
const HOSTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// The same, to see in a minute that everything works.
const QUICK_HOSTS: [usize; 3] = [1, 10, 100];
/// Records of the audit log, when nothing else is said; the figure is for 1,000,000.
const RECORDS: u64 = 100_000;
/// The same, to see quickly that everything works.
const QUICK_RECORDS: u64 = 3_000;
/// A quick run takes so many rounds where a full one takes many.
const QUICK_SHARE: usize = 10;

/// A part of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Decisions.
    Policy,
    /// Durable audit records.
    Store,
    /// The audit log: producers, verification, searches.
    Audit,
    /// One command on one real host.
    Latency,
    /// One command on many simulated hosts.
    Fanout,
}

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Only this; `None`: everything.
    pub part: Option<Part>,
    hosts: Option<Vec<usize>>,
    records: Option<u64>,
    quick: bool,
}

// === impl Options ===

impl Options {
    /// Reads arguments: `[policy|store|audit|latency|fanout] [--hosts N,N,…] [--records N] [--quick]`.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self { part: None, hosts: None, records: None, quick: false };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "policy" => options.part = Some(Part::Policy),
                "store" => options.part = Some(Part::Store),
                "audit" => options.part = Some(Part::Audit),
                "latency" => options.part = Some(Part::Latency),
                "fanout" => options.part = Some(Part::Fanout),
                "--quick" => options.quick = true,
                "--records" => {
                    let text = arguments.next().context("--records needs a number: --records 1000000")?;
                    let records = text.parse().ok().filter(|records| *records > 0);
                    options.records =
                        Some(records.with_context(|| format!("{text} is not a number of records"))?);
                }
                "--hosts" => {
                    let list = arguments.next().context("--hosts needs numbers: --hosts 100,1000")?;
                    let sizes = list.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>();
                    let sizes = sizes.ok().filter(|sizes| !sizes.contains(&0));
                    options.hosts = Some(sizes.with_context(|| format!("{list} is not a list of numbers"))?);
                }
                other => anyhow::bail!(
                    "there is no {other}; usage: lictor-bench [policy|store|audit|latency|fanout] [--hosts N,N] [--records N] [--quick]"
                ),
            }
        }
        Ok(options)
    }

    /// Whether this part is run.
    pub fn wants(&self, part: Part) -> bool {
        self.part.is_none_or(|only| only == part)
    }
    /// The sizes of fan-outs.
    pub fn hosts(&self) -> Vec<usize> {
        match &self.hosts {
            Some(hosts) => hosts.clone(),
            None if self.quick => QUICK_HOSTS.to_vec(),
            None => HOSTS.to_vec(),
        }
    }
    /// Records of the log that is verified and searched.
    pub fn records(&self) -> u64 {
        self.records.unwrap_or(if self.quick { QUICK_RECORDS } else { RECORDS })
    }
    /// Rounds to take where a full run takes `full`.
    pub fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(QUICK_SHARE) } else { full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_choose_part_size_and_rounds_and_what_is_not_known_is_refused() {
        let read = |text: &str| Options::read(text.split_whitespace().map(str::to_owned));
        let all = read("").unwrap();
        assert!(all.wants(Part::Policy) && all.wants(Part::Fanout));
        assert_eq!((all.hosts().len(), all.rounds(500)), (5, 500));
        assert_eq!((all.records(), read("audit --records 7").unwrap().records()), (RECORDS, 7));
        let some = read("fanout --hosts 100,1000 --quick").unwrap();
        assert!(!some.wants(Part::Policy) && some.wants(Part::Fanout));
        assert_eq!((some.hosts(), some.rounds(5)), (vec![100, 1000], 1));
        for wrong in ["fan-out", "--hosts", "--hosts 1,x", "--hosts 0", "--records", "--records 0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
