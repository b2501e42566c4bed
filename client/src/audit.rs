//! Reading the audit log: pages, the tail as it grows, whole ranges, and signed heads. For operators.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use lictor_core::{audit::query::Query, error::Failure};
use lictor_proto::{
    convert::{Invalid, millis},
    pb,
};
use tonic::Streaming;

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
    operator::Operator,
};

/// How long one call of a follower waits for a record; below what the controller allows (30 s).
const FOLLOW_WAIT: Duration = Duration::from_secs(25);
/// Records per call of a follower: enough to catch up quickly, and well within a message.
const FOLLOW_PAGE: u32 = 100;

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its index, from 0.
    pub index: u64,
    /// The record as it was hashed: one JSON object.
    pub content: Bytes,
    /// What the record commits to: one JSON object. Empty: it commits to nothing, or its payload was erased.
    pub payload: Bytes,
}

/// A page of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The records.
    pub records: Vec<AuditRecord>,
    /// Number of records in the log.
    pub size: u64,
}

/// A page of what was found in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFound {
    /// The records that fit, newest first.
    pub records: Vec<AuditRecord>,
    /// Below which index to go on; 0: there is nothing more.
    pub next: u64,
    /// How many records were looked at.
    pub looked_at: u64,
    /// Number of records in the log.
    pub size: u64,
}

/// A signed head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// A C2SP signed note.
    pub note: String,
    /// The key that the controller says signed it: to be compared with the pinned one, never trusted from here.
    pub public_key: [u8; 32],
    /// What leads from earlier keys to the one in use, oldest first: signed notes.
    pub key_rotations: Vec<String>,
}

/// The log as it grows.
#[derive(Debug)]
pub struct AuditFollower {
    client: Client,
    next: u64,
    ready: VecDeque<AuditRecord>,
}

/// A whole range of the log.
#[derive(Debug)]
pub struct AuditExport {
    client: Client,
    records: Streaming<pb::AuditRecord>,
}

// === impl Operator ===

impl Operator {
    /// At most `limit` records (0: the controller's choice) from index `from`.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn read_audit(&self, from: u64, limit: u32) -> Result<AuditPage, Failure> {
        read(&self.client, pb::ReadAuditRequest { from, limit, ..Default::default() }, CALL_DEADLINE).await
    }

    /// The last `limit` records.
    ///
    /// # Errors
    /// As [`Operator::read_audit`].
    pub async fn tail_audit(&self, limit: u32) -> Result<AuditPage, Failure> {
        read(&self.client, pb::ReadAuditRequest { limit, tail: true, ..Default::default() }, CALL_DEADLINE)
            .await
    }

    /// The records from index `from` on, as they are written.
    pub fn follow_audit(&self, from: u64) -> AuditFollower {
        AuditFollower { client: self.client.clone(), next: from, ready: VecDeque::new() }
    }

    /// The records from index `from` to before `to` (`None`: the size of the log now).
    ///
    /// # Errors
    /// As [`Operator::read_audit`].
    pub async fn export_audit(&self, from: u64, to: Option<u64>) -> Result<AuditExport, Failure> {
        let request = pb::ExportAuditRequest { from, to: to.unwrap_or_default() };
        let mut service = self.client.audit_service();
        let records = self.client.answer(CALL_DEADLINE, service.export(request)).await?;
        Ok(AuditExport { client: self.client.clone(), records })
    }

    /// At most `limit` records (0: the controller's choice) that fit `query`, newest first, of those below index
    /// `before` (`None`: all). A page may be empty and still not the last.
    ///
    /// # Errors
    /// As [`Operator::read_audit`].
    pub async fn search_audit(
        &self,
        query: &Query,
        limit: u32,
        before: Option<u64>,
    ) -> Result<AuditFound, Failure> {
        let request = pb::SearchAuditRequest { query: query.to_string(), limit, before };
        let mut service = self.client.audit_service();
        let answer = self.client.answer(CALL_DEADLINE, service.search(request)).await?;
        let pb::SearchAuditResponse { records, next, looked_at, size } = answer;
        Ok(AuditFound { records: records.into_iter().map(Into::into).collect(), next, looked_at, size })
    }

    /// A signed head of the log as it is now.
    ///
    /// # Errors
    /// As [`Operator::read_audit`].
    pub async fn checkpoint(&self) -> Result<SignedHead, Failure> {
        let mut service = self.client.audit_service();
        let answer = self.client.answer(CALL_DEADLINE, service.checkpoint(pb::CheckpointRequest {})).await?;
        let public_key = answer.public_key.try_into();
        let public_key = public_key
            .map_err(|_| not_understood(&Invalid::new("checkpoint.public_key", "it has not 32 bytes")))?;
        Ok(SignedHead { note: answer.note, public_key, key_rotations: answer.key_rotations })
    }
}

async fn read(
    client: &Client,
    request: pb::ReadAuditRequest,
    deadline: Duration,
) -> Result<AuditPage, Failure> {
    let mut service = client.audit_service();
    let answer = client.answer(deadline, service.read(request)).await?;
    Ok(AuditPage { records: answer.records.into_iter().map(Into::into).collect(), size: answer.size })
}

// === impl AuditFollower ===

impl AuditFollower {
    /// The next record, when there is one. Safe to drop and call again.
    ///
    /// # Errors
    /// As [`Operator::read_audit`]; calling again goes on where it was.
    pub async fn next(&mut self) -> Result<AuditRecord, Failure> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            let wait_ms = u32::try_from(millis(FOLLOW_WAIT)).unwrap_or(u32::MAX);
            let request = pb::ReadAuditRequest { from: self.next, limit: FOLLOW_PAGE, tail: false, wait_ms };
            let page = read(&self.client, request, FOLLOW_WAIT + CALL_DEADLINE).await?;
            self.next = page.records.last().map_or(self.next, |last| last.index.saturating_add(1));
            self.ready.extend(page.records);
        }
    }

    /// The next record if it is here already, so that several can be taken together.
    pub fn next_ready(&mut self) -> Option<AuditRecord> {
        self.ready.pop_front()
    }
}

// === impl AuditExport ===

impl AuditExport {
    /// The next record; `None` after the last.
    ///
    /// # Errors
    /// When the connection breaks; what came so far is then incomplete.
    pub async fn next(&mut self) -> Result<Option<AuditRecord>, Failure> {
        let record = self.records.message().await.map_err(|status| self.client.failure(&status))?;
        Ok(record.map(Into::into))
    }
}

// === conversions ===

impl From<pb::AuditRecord> for AuditRecord {
    fn from(wire: pb::AuditRecord) -> Self {
        Self { index: wire.index, content: wire.content, payload: wire.payload }
    }
}
