//! What is in the log, counted: kinds, outcomes, people, hosts.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lictor_core::audit::query::{Facts as _, What};
use lictor_runtime::exit::Exit;
use lictor_store::record::AuditFacts;
use serde::Serialize;

use super::{KeyArguments, bounds::Sought, export::each_verified, verify::tell_short};
use crate::{Done, context::Context, render::audit};

/// Most different names that are counted for each column; what comes beyond them is counted together.
const MAX_NAMES: usize = 10_000;
/// Under which the rest is counted.
const OTHERS: &str = "(others)";

/// Count what the log says, after verifying it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sought: Sought,
    /// Count this bundle, and not the log of the controller
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArguments,
}

/// What was counted.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counts {
    /// The name of the log.
    pub(crate) log: String,
    /// What of it was verified.
    pub(crate) verified: String,
    /// Records that fit.
    pub(crate) records: u64,
    /// The first and the last moment.
    pub(crate) times: Option<(String, String)>,
    /// By kind.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Ends of invocations.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// Who asked, acted or called.
    pub(crate) who: BTreeMap<String, u64>,
    /// Hosts of invocations that ended.
    pub(crate) hosts: BTreeMap<String, u64>,
}

/// Counts.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let query = arguments.sought.query()?;
    let mut counts = Counts::default();
    let take = |_: &str, _: u64, _: &[u8], content: &[u8]| {
        if let Some(facts) = AuditFacts::read(content).filter(|facts| query.matches(facts)) {
            counts.add(&facts);
        }
        Ok(())
    };
    let (log, verified) = each_verified(context, arguments.bundle.as_deref(), &arguments.keys, take).await?;
    counts.verified = tell_short(&verified);
    counts.log = log;
    context.show(&counts, |style| audit::counts(&counts, style))?;
    Ok(Exit::Ok.into())
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, facts: &AuditFacts) {
        let at = facts.text("at").to_owned();
        self.records += 1;
        self.times = Some(match self.times.take() {
            Some((first, last)) => (first.min(at.clone()), last.max(at)),
            None => (at.clone(), at),
        });
        count(&mut self.kinds, facts.text("kind"));
        for who in What::Who.fields().iter().flat_map(|field| facts.texts(field)) {
            count(&mut self.who, who);
        }
        if facts.text("kind") == "invocation_ended" {
            count(&mut self.outcomes, facts.text("outcome"));
            count(&mut self.hosts, facts.text("host"));
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    let is_new = !counts.contains_key(name);
    let name = if is_new && counts.len() >= MAX_NAMES { OTHERS } else { name };
    *counts.entry(name.to_owned()).or_default() += 1;
}
