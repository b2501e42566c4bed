//! What the audit log says of the caller's own jobs and refused requests: for everybody, each of their own.

use bytes::Bytes;
use lictor_core::{audit::query::Query, error::Failure};
use lictor_proto::pb;

use crate::connect::{CALL_DEADLINE, Client};

/// A record of the log, as callers of jobs may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRecord {
    /// Its index in the log, by which operators find the whole of it.
    pub index: u64,
    /// The fields that the caller may see: one JSON object.
    pub content: Bytes,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRecords {
    /// The records that fit, newest first.
    pub records: Vec<OwnRecord>,
    /// Below which index to go on; 0: there is nothing more.
    pub next: u64,
}

impl Client {
    /// At most `limit` records (0: the controller's choice) of the caller's jobs that fit `query`, newest first, of those
    /// below index `before` (`None`: all). A page may be empty and still not the last.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, or that the controller cannot be reached.
    pub async fn search_own_records(
        &self,
        query: &Query,
        limit: u32,
        before: Option<u64>,
    ) -> Result<OwnRecords, Failure> {
        let request = pb::SearchRecordsRequest { query: query.to_string(), limit, before };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.search_records(request)).await?;
        let record = |wire: pb::OwnRecord| OwnRecord { index: wire.index, content: wire.content.into() };
        Ok(OwnRecords { records: answer.records.into_iter().map(record).collect(), next: answer.next })
    }
}
