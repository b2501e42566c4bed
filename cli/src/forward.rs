//! Forwarding the audit log to another system, at least once: a batch counts as taken when the receiver says so, and only
//! then the cursor moves on. After a crash in between, the same records are sent again, with the same indices.

mod batch;
pub(crate) mod cursor;
pub(crate) mod destination;
mod signature;
mod source;
mod syslog;
mod webhook;

use std::time::Duration;

use lictor_core::error::ErrorCode;
use lictor_runtime::{backoff::Backoff, exit::Exit};

use self::{batch::Batch, cursor::Cursor};
pub(crate) use self::{signature::WebhookKey, source::Source, syslog::Syslog, webhook::Webhook};
use crate::{context::Context, trouble::Trouble};

/// Longest time for one attempt: connecting, sending, and the receiver's answer.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(30);
/// The first wait before a batch is sent again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between attempts: a receiver that comes back gets its records within a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Attempts for a batch before whoever does not follow is told to look; with these waits about a minute.
const MAX_ATTEMPTS: u32 = 8;

/// Where batches go.
#[derive(Debug)]
pub(crate) enum Receiver {
    /// A syslog server.
    Syslog(Syslog),
    /// A webhook.
    Webhook(Box<Webhook>),
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It may be taken later; the receiver may have said when.
    Later { why: String, after: Option<Duration> },
    /// It will never be: something has to be changed.
    Never { why: String, next_step: &'static str },
}

/// How far one run of forwarding came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Records that went.
    pub(crate) records: u64,
    /// Batches in which they went.
    pub(crate) batches: u64,
}

/// Sends batch after batch until the source has no more: never, if it follows the log.
pub(crate) async fn run(
    mut source: Source,
    receiver: &Receiver,
    mut cursor: Cursor,
    context: &Context,
) -> Result<Sent, Trouble> {
    let mut sent = Sent::default();
    while let Some(batch) = next_batch(&mut source, context).await? {
        if !batch.is_empty() {
            deliver(&batch, receiver, source.follows(), context).await?;
            sent.records += batch.records();
            sent.batches += 1;
        }
        cursor.advance(batch.next(), batch.last_leaf())?;
    }
    Ok(sent)
}

/// The next batch. Whoever follows the log waits for a controller that is away.
async fn next_batch(source: &mut Source, context: &Context) -> Result<Option<Batch>, Trouble> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    loop {
        match source.next().await {
            Err(Trouble::Failed { failure, .. })
                if source.follows()
                    && matches!(failure.code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded) =>
            {
                let wait = backoff.next_delay();
                context.note(&format!("{}; trying again in {:.1} s", failure.message, wait.as_secs_f64()));
                tokio::time::sleep(wait).await;
            }
            other => return other,
        }
    }
}

/// Sends a batch until it is taken. Whoever does not follow gives up after some attempts.
async fn deliver(
    batch: &Batch,
    receiver: &Receiver,
    follows: bool,
    context: &Context,
) -> Result<(), Trouble> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, after) = match attempt(batch, receiver).await {
            Ok(()) => return Ok(()),
            Err(NotTaken::Never { why, next_step }) => {
                return Err(Trouble::new(Exit::Usage, ErrorCode::InvalidArgument, why, next_step));
            }
            Err(NotTaken::Later { why, after }) => (why, after),
        };
        if attempts >= MAX_ATTEMPTS && !follows {
            let message = format!(
                "{why}; given up after {attempts} attempts, records from {} on are not sent",
                batch.first()
            );
            let next_step =
                "look at the receiver, then run the same command again: it goes on from the cursor";
            return Err(Trouble::new(Exit::Unreachable, ErrorCode::Unavailable, message, next_step));
        }
        let wait = backoff.next_delay().max(after.unwrap_or_default().min(LONGEST_WAIT));
        context.note(&format!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
        tokio::time::sleep(wait).await;
    }
}

async fn attempt(batch: &Batch, receiver: &Receiver) -> Result<(), NotTaken> {
    let sending = async {
        match receiver {
            Receiver::Syslog(syslog) => syslog.send(batch).await,
            Receiver::Webhook(webhook) => webhook.send(batch).await,
        }
    };
    let too_slow =
        |_| NotTaken::later(format!("the receiver took no batch within {} s", ATTEMPT_DEADLINE.as_secs()));
    tokio::time::timeout(ATTEMPT_DEADLINE, sending).await.map_err(too_slow)?
}

// === impl NotTaken ===

impl NotTaken {
    fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}
