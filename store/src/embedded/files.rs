//! Records and the files that they name: read together, and let go of together.

use std::sync::Arc;

use bytes::Bytes;
use lictor_core::{id::InvocationId, invocation::Invocation, output::StreamName};

use super::{
    EmbeddedStore, keys,
    outputs::{FileName, interrupted},
};
use crate::{
    Change, StoreError, Write, outline,
    record::{InvocationRecord, outputs_from_bytes},
};

impl EmbeddedStore {
    /// The invocation of a record, with what it printed.
    pub(super) async fn whole(
        &self,
        id: InvocationId,
        record: &InvocationRecord<'_>,
    ) -> Result<Invocation, StoreError> {
        let mut invocation = record.to_invocation()?;
        if let Some(name) = FileName::of(id, record.place()?) {
            outputs_from_bytes(record, &self.outputs.read(name).await?, &mut invocation.output)?;
        }
        Ok(invocation)
    }

    /// The kept bytes of a stream in this range, which lies on one side of the gap.
    pub(super) async fn part(
        &self,
        id: InvocationId,
        record: &InvocationRecord<'_>,
        stream: StreamName,
        (from, to): (u64, u64),
    ) -> Result<Bytes, StoreError> {
        let Some(name) = FileName::of(id, record.place()?) else {
            return Ok(outline::slice(&record.to_invocation()?.output, stream, from, to));
        };
        let at = record.kept().place_in_file(stream, from);
        self.outputs.read_part(name, at, to.saturating_sub(from)).await.map(Bytes::from)
    }

    /// The files that records name which a change replaces or removes. Such a record is of an invocation that has ended;
    /// should it change meanwhile, the change is refused because of its version.
    pub(super) fn files_let_go(&self, change: &Change) -> Result<Vec<(InvocationId, FileName)>, StoreError> {
        let replaced = change.writes.iter().filter_map(|write| match write {
            Write::UpdateInvocation(i) if i.output_removed.is_some() || i.resolution.is_some() => Some(i.id),
            Write::RemoveInvocation { id, .. } => Some(*id),
            _ => None,
        });
        let mut files = Vec::new();
        for id in replaced {
            if let Some(record) = self.record::<InvocationRecord<'static>>(&keys::invocation(id))? {
                files.extend(FileName::of(id, record.place()?).map(|file| (id, file)));
            }
        }
        Ok(files)
    }

    /// Removes those of the files that nobody needs any more. What cannot be removed now goes at a later start.
    pub(super) async fn remove_unused(&self, files: Vec<FileName>) {
        let (outputs, table) = (Arc::clone(&self.outputs), Arc::clone(&self.table));
        let removal = tokio::task::spawn_blocking(move || {
            for file in files {
                if let Err(error) = outputs.remove_unused(file, &table) {
                    tracing::warn!(%error, "a file of output that nobody needs could not be removed; the next start tries again");
                }
            }
        });
        if let Err(error) = removal.await.map_err(interrupted) {
            tracing::warn!(%error, "files of output that nobody needs could not be removed; the next start tries again");
        }
    }
}
