//! `lictor policy simulate`: what a policy would have decided about what was asked for in the past.

use clap::Args;
use lictor_policy::simulate::Simulator;
use lictor_runtime::exit::Exit;

use super::{
    past::{self, PastArguments},
    source::{self, Named},
};
use crate::{Done, context::Context, render::policy::simulate};

/// Replay the audit log against a policy, and say which past decisions would change
///
///   lictor policy simulate policy.yml --since 30d
///   lictor policy simulate policy.yml --bundle audit.jsonl --hosts hosts.yml
///
/// The log has who asked, by which door, where, when and what, and what was decided then. It has no
/// tags: hosts count with the tags that they have now. Limits that a request asked for are not known.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A file, `live`, or the number of a version
    #[arg(value_name = "FILE")]
    policy: Named,
    #[command(flatten)]
    past: PastArguments,
}

/// Simulates.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Done {
    let policy = source::load(&arguments.policy, context).await?;
    let mut simulator = Simulator::new(&policy.set);
    let extent = past::each(&arguments.past, context, |one| simulator.push(one)).await?;
    let document = simulate::Document::new(&policy.name, &policy.set, &simulator.finish(), &extent.into());
    context.show(&document, |style| simulate::text(&document, style))?;
    Ok(Exit::Ok.into())
}

impl From<past::Extent> for simulate::ExtentDocument {
    fn from(extent: past::Extent) -> Self {
        Self {
            records: extent.records,
            log: extent.log,
            tags_from: extent.tags,
            first: extent.times.map(|(first, _)| first.to_string()),
            last: extent.times.map(|(_, last)| last.to_string()),
            unknown_hosts: extent.unknown_hosts.into_iter().collect(),
            other_refusals: extent.other_refusals,
        }
    }
}
