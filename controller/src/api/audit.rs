//! AuditService: decode, call, encode. Reading is itself recorded.

mod reads;
pub mod search;

use std::{pin::Pin, sync::Arc, time::Duration};

use lictor_core::audit::query::Query;
use lictor_proto::{
    convert::{Invalid, page_size, parse},
    pb::{self, audit_service_server::AuditService},
};
use lictor_store::AuditEntry;
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

pub(in crate::api) use self::reads::Page;
pub use self::reads::Reads;
use super::{pages::Room, status};
use crate::{
    authn::Authenticated, checkpoint::Checkpoints, failure::of_store, lifecycle::Lifecycle, session::witness,
};

/// Records on a page when the caller does not say.
const DEFAULT_RECORDS: u32 = 100;
/// Records read at a time for an export.
const EXPORT_PAGE: usize = 500;
/// Longest wait for a new record in one call.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How often a waiting reader looks again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The service.
#[derive(Debug)]
pub struct AuditApi {
    lifecycle: Arc<Lifecycle>,
    checkpoints: Arc<Checkpoints>,
    reads: Arc<Reads>,
}

impl AuditApi {
    /// The service of this lifecycle; who reads is recorded by `reads`.
    pub const fn new(lifecycle: Arc<Lifecycle>, checkpoints: Arc<Checkpoints>, reads: Arc<Reads>) -> Self {
        Self { lifecycle, checkpoints, reads }
    }
}

/// What somebody looks for, in words that records have.
pub(in crate::api) fn sought(query: &str) -> Result<Query, Invalid> {
    parse::<Query>("query", query)?.meant().map_err(|why| Invalid::new("query", why))
}

fn to_wire(entry: AuditEntry) -> pb::AuditRecord {
    pb::AuditRecord { index: entry.index, content: entry.content, payload: entry.payload }
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    type ExportStream = Pin<Box<dyn Stream<Item = Result<pb::AuditRecord, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<pb::ReadAuditRequest>,
    ) -> Result<Response<pb::ReadAuditResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ReadAuditRequest { from, limit, tail, wait_ms } = request.into_inner();
        let limit = page_size("limit", limit, DEFAULT_RECORDS).map_err(status)?;
        let store = &self.lifecycle.store;
        let size = || async { store.audit_head().await.map(|h| h.size).map_err(|e| status(of_store(e))) };
        let from = if tail { size().await?.saturating_sub(u64::from(limit)) } else { from };
        let until = tokio::time::Instant::now() + Duration::from_millis(wait_ms.into()).min(MAX_WAIT);
        let entries = loop {
            let entries = store.audit(from, limit as usize).await.map_err(|e| status(of_store(e)))?;
            if !entries.is_empty() || tokio::time::Instant::now() >= until {
                break entries;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let mut room = Room::beside(0);
        let records: Vec<_> =
            entries.into_iter().map(to_wire).take_while(|record| room.takes(record)).collect();
        let told = records.len() as u64;
        let page = Page { from, to: from.saturating_add(told), told };
        self.reads.take(caller.principal(), page, None).await.map_err(status)?;
        Ok(Response::new(pb::ReadAuditResponse { records, size: size().await? }))
    }

    async fn export(
        &self,
        request: Request<pb::ExportAuditRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ExportAuditRequest { from, to } = request.into_inner();
        let size = self.lifecycle.store.audit_head().await.map_err(|e| status(of_store(e)))?.size;
        let to = if to == 0 { size } else { to.min(size) };
        self.reads.take_all(caller.principal(), from, to).await.map_err(status)?;
        let store = Arc::clone(&self.lifecycle.store);
        let (sender, receiver) = tokio::sync::mpsc::channel(EXPORT_PAGE);
        tokio::spawn(async move {
            let mut next = from;
            while next < to {
                let limit = usize::try_from(to - next).unwrap_or(usize::MAX).min(EXPORT_PAGE);
                let page = match store.audit(next, limit).await {
                    Ok(page) if !page.is_empty() => page,
                    Ok(_) => return,
                    Err(error) => {
                        let _ = sender.send(Err(status(of_store(error)))).await;
                        return;
                    }
                };
                for entry in page {
                    next = entry.index + 1;
                    if sender.send(Ok(to_wire(entry))).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn search(
        &self,
        request: Request<pb::SearchAuditRequest>,
    ) -> Result<Response<pb::SearchAuditResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::SearchAuditRequest { query, limit, before } = request.into_inner();
        let limit = page_size("limit", limit, DEFAULT_RECORDS).map_err(status)?;
        let query = sought(&query).map_err(status)?;
        let store = &self.lifecycle.store;
        let size = store.audit_head().await.map_err(|e| status(of_store(e)))?.size;
        let before = before.unwrap_or(size).min(size);
        let found = search::newest_first(store.as_ref(), &query, before, limit as usize, search::MOST).await;
        let search::Found { entries, next, looked_at } = found.map_err(|e| status(of_store(e)))?;
        let mut room = Room::beside(0);
        let (mut records, mut next) = (Vec::with_capacity(entries.len()), next);
        for record in entries.into_iter().map(to_wire) {
            let index = record.index;
            if !room.takes(&record) {
                // It comes with the next page.
                next = index.saturating_add(1);
                break;
            }
            records.push(record);
        }
        let page = Page { from: next, to: before, told: records.len() as u64 };
        self.reads.take(caller.principal(), page, Some(&query.to_string())).await.map_err(status)?;
        Ok(Response::new(pb::SearchAuditResponse { records, next, looked_at, size }))
    }

    async fn checkpoint(
        &self,
        _: Request<pb::CheckpointRequest>,
    ) -> Result<Response<pb::CheckpointResponse>, Status> {
        let lifecycle = &self.lifecycle;
        let witnesses = witness::present(&lifecycle.sessions, lifecycle.clock.now());
        let note = self.checkpoints.cosigned_now(&witnesses).await.map_err(|e| status(of_store(e)))?;
        let public_key = self.checkpoints.public_key().as_bytes().to_vec();
        let key_rotations = self.checkpoints.rotations().to_vec();
        Ok(Response::new(pb::CheckpointResponse { note, public_key, key_rotations }))
    }
}
