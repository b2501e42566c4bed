//! Looking for records: newest first, page after page, on the controller.

use clap::Args;
use lictor_runtime::exit::Exit;

use super::bounds::Sought;
use crate::{
    Done,
    audit::{formats::json, payloads},
    context::Context,
    render::audit,
    trouble::Trouble,
};

/// Records shown when the arguments do not say: a screen.
const DEFAULT_LIMIT: u32 = 20;
/// Most records of one call: the controller's largest page.
const MAX_PAGE: u32 = 1000;
/// After so many looked at without an end, whoever waits is told how far it is.
const TELL_EVERY: u64 = 1_000_000;

/// Find records, newest first
///
/// Everything that is given must hold. Values may have * for anything, and | between alternatives; text in a
/// command is found wherever it stands in it. A record of a job's end does not repeat the command: follow
/// a job with lictor audit show JOB.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lictor audit search --kind request_denied --from 7d\n  \
    lictor audit search --host 'web-*' 'kind:invocation_ended -outcome:SUCCEEDED'\n  \
    lictor audit search --command 'rm -rf' --who 'service:*' -n 100")]
pub(super) struct Arguments {
    #[command(flatten)]
    sought: Sought,
    /// Most records to show
    #[arg(short, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all")]
    n: u32,
    /// Show every one
    #[arg(long)]
    all: bool,
    /// Only records below this index: goes on where an earlier search ended
    #[arg(long, value_name = "INDEX")]
    before: Option<u64>,
}

/// Shows what fits.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let query = arguments.sought.query()?;
    let connected = context.connect()?;
    let mut left = if arguments.all { u64::MAX } else { arguments.n.into() };
    let (mut before, mut looked_at, mut told, mut found) = (arguments.before, 0, 0, 0u64);
    let mut more = None;
    while left > 0 {
        let limit = u32::try_from(left).unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let page = connected.operator.search_audit(&query, limit, before).await?;
        for record in &page.records {
            show(record.index, &payloads::read(record), context)?;
        }
        let count = page.records.len() as u64;
        (found, left, looked_at) = (found + count, left - count.min(left), looked_at + page.looked_at);
        more = Some(page.next).filter(|next| *next > 0);
        if more.is_none() {
            break;
        }
        if looked_at - told >= TELL_EVERY {
            told = looked_at;
            context.note(&format!("looked at {looked_at} of {} records, found {found}", page.size));
        }
        before = more;
    }
    match more {
        Some(next) if !context.is_json() => {
            context.note(&format!("older records may fit as well: go on with --before {next}"));
        }
        None if found == 0 => context.note("no record fits"),
        _ => {}
    }
    Ok(Exit::Ok.into())
}

/// A record in a line.
pub(super) fn show(index: u64, content: &[u8], context: &Context) -> Result<(), Trouble> {
    if context.is_json() {
        return match json(index, content) {
            Some(line) => context.print(&(line + "\n")),
            None => Err(Trouble::internal(format!("record {index} is not one"))),
        };
    }
    context.print(&audit::line(index, content, context.out))
}
