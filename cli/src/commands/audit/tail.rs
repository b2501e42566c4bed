//! The last records of the log, and those to come.

use lictor_client::audit::AuditRecord;
use lictor_runtime::exit::Exit;

use crate::{Done, audit::payloads, context::Context, render::audit, trouble::Trouble};

/// Shows the last `n` records, and goes on if asked to.
pub(super) async fn run(n: u32, follow: bool, context: &Context) -> Done {
    let connected = context.connect()?;
    let page = connected.operator.tail_audit(n).await?;
    for record in &page.records {
        show(record, context)?;
    }
    if follow {
        let next = page.records.last().map_or(page.size, |last| last.index.saturating_add(1));
        let mut follower = connected.operator.follow_audit(next);
        loop {
            tokio::select! {
                record = follower.next() => show(&record?, context)?,
                interrupt = tokio::signal::ctrl_c() => {
                    interrupt?;
                    break;
                }
            }
        }
    }
    Ok(Exit::Ok.into())
}

/// A record in a line; as JSON, with its payload.
fn show(record: &AuditRecord, context: &Context) -> Result<(), Trouble> {
    if context.is_json() {
        return context.print(&(String::from_utf8_lossy(&payloads::read(record)).into_owned() + "\n"));
    }
    context.print(&audit::line(record.index, &payloads::read(record), context.out))
}
