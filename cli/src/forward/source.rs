//! The records to forward, in order, from the controller: up to the end of the log as it was, or as they are written.

use lictor_client::{audit::AuditFollower, operator::Operator};
use lictor_core::{audit::query::Query, error::ErrorCode, merkle::leaf_hash};
use lictor_runtime::exit::Exit;
use lictor_store::record::AuditFacts;

use super::{batch::Batch, cursor::Cursor};
use crate::{
    audit::{
        formats::{Format, Formatter},
        payloads,
    },
    trouble::Trouble,
};

/// Records before the first that are read again, so that the ends of jobs still say who asked for what.
const LOOK_BACK: u64 = 10_000;

/// Records on their way into batches.
#[derive(Debug)]
pub(crate) struct Source {
    log: String,
    follower: AuditFollower,
    formatter: Formatter,
    filter: Query,
    next: u64,
    /// The size of the log at which to end; `None`: it is followed.
    end: Option<u64>,
}

// === impl Source ===

impl Source {
    /// The records from the cursor's place on that fit `filter`, once it is certain that the cursor is of this log.
    pub(crate) async fn open(
        operator: &Operator,
        log: &str,
        cursor: &Cursor,
        format: Format,
        filter: Query,
        follows: bool,
    ) -> Result<Self, Trouble> {
        let next = cursor.next();
        let size = same_log(operator, cursor).await?;
        let mut formatter = Formatter::new(format, log);
        if format == Format::Ocsf && next > 0 {
            let mut before = operator.export_audit(next.saturating_sub(LOOK_BACK), Some(next)).await?;
            while let Some(record) = before.next().await? {
                let _ = formatter.line(record.index, &payloads::read(&record));
            }
        }
        let end = (!follows).then_some(size);
        Ok(Self { log: log.to_owned(), follower: operator.follow_audit(next), formatter, filter, next, end })
    }

    /// Whether it goes on as records are written.
    pub(super) const fn follows(&self) -> bool {
        self.end.is_none()
    }

    /// The next records; `None`: there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Trouble> {
        if self.end.is_some_and(|end| self.next >= end) {
            return Ok(None);
        }
        let mut record = self.follower.next().await?;
        let mut batch = Batch::new(&self.log, self.next);
        loop {
            if record.index != self.next {
                return Err(other_log(format!("record {} came where {} was due", record.index, self.next)));
            }
            let line = self.line(record.index, &payloads::read(&record))?;
            batch.push(record.index, leaf_hash(&record.content), line);
            self.next += 1;
            if batch.is_full() || self.end.is_some_and(|end| self.next >= end) {
                break;
            }
            let Some(ready) = self.follower.next_ready() else { break };
            record = ready;
        }
        Ok(Some(batch))
    }

    /// The record as it leaves; `None` if the filter leaves it out.
    fn line(&mut self, index: u64, content: &[u8]) -> Result<Option<String>, Trouble> {
        let line = self.formatter.line(index, content);
        let (Some(line), Some(facts)) = (line, AuditFacts::read(content)) else {
            return Err(other_log(format!("record {index} is not one")));
        };
        Ok(self.filter.matches(&facts).then_some(line))
    }
}

/// The size of the log, in which the last record that was taken must still be what it was.
async fn same_log(operator: &Operator, cursor: &Cursor) -> Result<u64, Trouble> {
    let Some((index, leaf)) = cursor.last() else {
        return Ok(operator.read_audit(cursor.next(), 1).await?.size);
    };
    let page = operator.read_audit(index, 1).await?;
    match page.records.first() {
        Some(record) if record.index == index && leaf_hash(&record.content).to_string() == leaf => {
            Ok(page.size)
        }
        Some(_) => Err(other_log(format!("record {index} is not the one that was forwarded"))),
        None => {
            Err(other_log(format!("the log has {} records, and {} were forwarded", page.size, index + 1)))
        }
    }
}

fn other_log(what: String) -> Trouble {
    Trouble::new(
        Exit::AuditFailed,
        ErrorCode::Conflict,
        format!("{what}: this log was changed, or another one is in its place"),
        "verify it: lictor audit verify; if it was restored from a backup on purpose, begin with a new --cursor",
    )
}
