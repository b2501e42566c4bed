//! Going through the records of a report: each is held against the evidence of every control, and counted.

use std::collections::BTreeMap;

use lictor_core::{
    audit::query::{Facts as _, Query, Term, What},
    merkle::leaf_hash,
};
use lictor_store::record::AuditFacts;

use super::{
    Basis, Cited, Control, Evidence, Found, Framework, NEVER_SEEN, Period, Report, Shown, Support, WHAT_IT_IS,
};

/// Counts records as they come.
#[derive(Debug)]
pub(crate) struct Gatherer {
    framework: Framework,
    /// What is looked for, in the order of the controls and of their evidence.
    sought: Vec<Sought>,
    records: u64,
    times: Option<(String, String)>,
}

/// A piece of evidence on its way.
#[derive(Debug)]
struct Sought {
    query: Query,
    records: u64,
    first: Option<Cited>,
    last: Option<Cited>,
}

// === impl Gatherer ===

impl Gatherer {
    /// Nothing yet.
    pub(crate) fn new(framework: Framework) -> Self {
        let evidence = framework.table().controls.iter().flat_map(|control| control.evidence);
        let queries = evidence.filter_map(|evidence| match evidence {
            // The tables are tested: what is in them parses.
            Evidence::Records { query, .. } => Some(query.parse().unwrap_or_default()),
            Evidence::Log => None,
        });
        let sought = queries.map(|query| Sought { query, records: 0, first: None, last: None }).collect();
        Self { framework, sought, records: 0, times: None }
    }

    /// Takes a record of the period.
    pub(crate) fn push(&mut self, index: u64, content: &[u8], facts: &AuditFacts) {
        let at = facts.text("at");
        self.records += 1;
        self.times = Some(match self.times.take() {
            Some((first, last)) => (first, if at > last.as_str() { at.to_owned() } else { last }),
            None => (at.to_owned(), at.to_owned()),
        });
        let mut cited = None;
        for sought in self.sought.iter_mut().filter(|sought| sought.query.matches(facts)) {
            sought.records += 1;
            let record = cited.get_or_insert_with(|| cite(index, content, facts));
            sought.first.get_or_insert_with(|| record.clone());
            sought.last = Some(record.clone());
        }
    }

    /// The report on them. `limits` are the terms of the period, which make the queries of the report find the same records.
    pub(crate) fn finish(self, basis: Basis, period: Period, limits: &[Term], made_at: String) -> Report {
        let table = self.framework.table();
        let mut sought = self.sought.into_iter();
        let mut cited = BTreeMap::new();
        let controls =
            table.controls.iter().map(|control| shown(control, &basis, &mut sought, limits, &mut cited));
        let controls = controls.collect();
        Report {
            framework: table.name,
            edition: table.edition,
            what_it_is: WHAT_IT_IS,
            made_at,
            made_by: concat!("lictor ", env!("CARGO_PKG_VERSION")).to_owned(),
            basis,
            period: Period { records: self.records, times: self.times, ..period },
            controls,
            outside: table.outside.iter().chain(&NEVER_SEEN).copied().collect(),
            records: cited.into_values().collect(),
        }
    }
}

fn shown(
    control: &'static Control,
    basis: &Basis,
    sought: &mut impl Iterator<Item = Sought>,
    limits: &[Term],
    cited: &mut BTreeMap<u64, Cited>,
) -> Shown {
    let evidence: Vec<Found> = control
        .evidence
        .iter()
        .filter_map(|evidence| match evidence {
            Evidence::Log => Some(of_the_log(basis)),
            Evidence::Records { what, .. } => sought.next().map(|sought| sought.found(what, limits, cited)),
        })
        .collect();
    let is_log = |evidence: &Evidence| matches!(evidence, Evidence::Log);
    let support = if evidence.iter().any(|found| found.records > 0 && found.query.is_some()) {
        Support::Records
    } else if control.evidence.iter().any(is_log) {
        Support::Log
    } else {
        Support::None
    };
    let Control { id, title, lictor, outside, .. } = control;
    Shown { id, title, lictor, support, evidence, outside }
}

fn of_the_log(basis: &Basis) -> Found {
    let what = match basis.part {
        None => "The whole log, whose records lead to the signed head of this report",
        Some(_) => "The part of the log that was there, which leads to the signed head of this report",
    };
    Found { what: what.to_owned(), query: None, records: basis.size, first: None, last: None }
}

// === impl Sought ===

impl Sought {
    fn found(self, what: &str, limits: &[Term], cited: &mut BTreeMap<u64, Cited>) -> Found {
        let query = self.query.clone().and(limits.iter().cloned()).unwrap_or(self.query);
        let mut keep = |record: Cited| {
            let index = record.index;
            cited.insert(index, record);
            index
        };
        let (first, last) = (self.first.map(&mut keep), self.last.map(&mut keep));
        Found { what: what.to_owned(), query: Some(query.to_string()), records: self.records, first, last }
    }
}

fn cite(index: u64, content: &[u8], facts: &AuditFacts) -> Cited {
    let who = What::Who.fields().iter().find_map(|field| facts.texts(field).first().copied());
    Cited {
        index,
        at: facts.text("at").to_owned(),
        kind: facts.text("kind").to_owned(),
        who: who.unwrap_or_default().to_owned(),
        leaf: leaf_hash(content).to_string(),
    }
}
