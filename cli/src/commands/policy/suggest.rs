//! `lictor policy suggest`: least-privilege rules from what was really run.

use clap::Args;
use lictor_core::principal::Principal;
use lictor_policy::suggest::{Suggester, Suggestion};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::{
    circumstances::parse_principal,
    past::{self, PastArguments},
};
use crate::{Done, context::Context, render::time::count, trouble::Trouble};

/// Write rules that allow what was really run, and little else
///
///   lictor policy suggest --since 30d > suggested.yml
///   lictor policy suggest --as service:ci --bundle audit.jsonl
///
/// Words that varied become slots only where three or more values agree on a type; options stay as
/// they were spelled; a program that starts others gets a comment and no rule. Read every rule before
/// you use it: what was run is not always what should be.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Only what this one ran: user:NAME or service:NAME
    #[arg(long = "as", value_name = "WHO", value_parser = parse_principal)]
    principal: Option<Principal>,
    #[command(flatten)]
    past: PastArguments,
}

#[derive(Debug, Serialize)]
struct Document {
    records: u64,
    observed: u64,
    rules: usize,
    policy: String,
    left_out: Vec<LeftOutDocument>,
    not_looked_at: u64,
}

#[derive(Debug, Serialize)]
struct LeftOutDocument {
    command: String,
    why: String,
    count: u64,
}

/// Suggests.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Done {
    let mut suggester = Suggester::new();
    let extent = past::each(&arguments.past, context, |one| {
        let asked = &one.circumstances.principal;
        // Tenants are not compared: a log has one.
        if arguments.principal.as_ref().is_none_or(|p| (p.kind, &p.name) == (asked.kind, &asked.name)) {
            suggester.push(&one);
        }
    })
    .await?;
    let suggestion = suggester.finish().map_err(|errors| {
        Trouble::usage(
            format!("what was run does not fit into one policy:\n{errors}"),
            "narrow it with --as or --since",
        )
    })?;
    if !context.is_json() {
        context.note(&remark(&suggestion));
    }
    let Suggestion { yaml, rules, observed, left_out, not_looked_at } = suggestion;
    let left_out = left_out
        .into_iter()
        .map(|left| LeftOutDocument { command: left.command, why: left.why, count: left.count })
        .collect();
    let document =
        Document { records: extent.records, observed, rules, policy: yaml, left_out, not_looked_at };
    context.show(&document, |_| document.policy.clone())?;
    Ok(Exit::Ok.into())
}

/// A comment that stays out of the file.
fn remark(suggestion: &Suggestion) -> String {
    let rules = count(suggestion.rules, "rule");
    let mut text = format!("# {rules} from {} commands", suggestion.observed);
    if !suggestion.left_out.is_empty() {
        text +=
            &format!("; {} got none, see the end of the file", count(suggestion.left_out.len(), "command"));
    }
    if suggestion.not_looked_at > 0 {
        text += &format!("; {} were not looked at: narrow it with --as or --since", suggestion.not_looked_at);
    }
    text
}
