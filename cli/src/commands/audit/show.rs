//! One record with everything that it says, or all records of a job in the order in which they were written.

use clap::Args;
use lictor_core::{
    audit::query::{Query, Term, What},
    id::{InvocationId, JobId},
    merkle::leaf_hash,
};
use lictor_runtime::exit::Exit;

use super::search;
use crate::{
    Done,
    audit::{formats::json, payloads},
    context::Context,
    render::audit,
    trouble::Trouble,
};

/// Records of one call.
const PAGE: u32 = 1000;
/// Most records of a job that are shown: three a host, for more hosts than one job may have.
const MAX_RECORDS: usize = 50_000;

/// Show one record, or everything that is recorded of a job or an invocation
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The index of a record, a job or an invocation
    #[arg(value_name = "INDEX|JOB|INVOCATION", value_parser = Which::read)]
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Record(u64),
    Job(JobId),
    Invocation(InvocationId),
}

// === impl Which ===

impl Which {
    fn read(text: &str) -> Result<Self, String> {
        let index = text.parse().map(Self::Record).ok();
        let job = || text.parse().map(Self::Job).ok();
        let invocation = || text.parse().map(Self::Invocation).ok();
        let which = index.or_else(job).or_else(invocation);
        which.ok_or_else(|| format!("`{text}` is neither an index nor a job nor an invocation"))
    }
}

/// Shows it.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let (what, id) = match arguments.which {
        Which::Record(index) => return record(index, context).await,
        Which::Job(job) => (What::Job, job.to_string()),
        Which::Invocation(invocation) => (What::Invocation, invocation.to_string()),
    };
    let query = Term::new(what, &id).and_then(|term| Query::new(vec![term]));
    let query = query.map_err(|e| Trouble::internal(e.to_string()))?;
    let operator = context.connect()?.operator;
    let (mut records, mut before) = (Vec::new(), None);
    loop {
        let page = operator.search_audit(&query, PAGE, before).await?;
        records.extend(page.records);
        // A job's first record is the one that names its command; nothing of it stands before that.
        let is_begun = records.last().is_some_and(|r| is_first(&r.content, what));
        if page.next == 0 || is_begun || records.len() >= MAX_RECORDS {
            break;
        }
        before = Some(page.next);
    }
    if records.is_empty() {
        return Err(Trouble::usage(
            format!("the log has no record of {id}"),
            "see what it has: lictor audit search",
        ));
    }
    for record in records.iter().rev() {
        search::show(record.index, &payloads::read(record), context)?;
    }
    Ok(Exit::Ok.into())
}

fn is_first(content: &[u8], what: What) -> bool {
    let kind = match what {
        What::Job => "job_submitted",
        _ => "invocation_intended",
    };
    lictor_store::record::AuditFacts::read(content).is_some_and(|facts| facts.text("kind") == kind)
}

async fn record(index: u64, context: &Context) -> Done {
    let page = context.connect()?.operator.read_audit(index, 1).await?;
    let Some(record) = page.records.first() else {
        return Err(Trouble::usage(
            format!("there is no record {index}: the log has {}", page.size),
            "the last ones: lictor audit tail",
        ));
    };
    if context.is_json() {
        let line = json(index, &payloads::read(record));
        context.print(&(line.ok_or_else(|| Trouble::internal("the record is not one"))? + "\n"))?;
    } else {
        context.print(&audit::whole(
            index,
            &payloads::read(record),
            &leaf_hash(&record.content),
            context.out,
        ))?;
    }
    Ok(Exit::Ok.into())
}
