//! A part of what was kept, read from the store: all of it, or word that it was removed meanwhile. Never fewer bytes.

use bytes::Bytes;
use lictor_core::{id::InvocationId, output::StreamName};
use lictor_store::{Outline, Store, StoreError};

/// What the store has of a part of a stream.
#[derive(Debug)]
pub enum Part {
    /// All of it.
    Bytes(Bytes),
    /// Nothing any more: the invocation as it is now says when and why.
    Removed(Box<Outline>),
    /// Nothing any more: the invocation was removed with its job.
    Gone,
}

/// Reads the bytes of a stream from `from` to `to`, a range that an outline has named a moment ago.
///
/// # Errors
/// [`StoreError`] when they are kept and cannot be read.
pub async fn part(
    store: &dyn Store,
    id: InvocationId,
    stream: StreamName,
    from: u64,
    to: u64,
) -> Result<Part, StoreError> {
    if from == to {
        return Ok(Part::Bytes(Bytes::new()));
    }
    if let Some(bytes) = store.output(id, stream, from, to).await? {
        return Ok(Part::Bytes(bytes));
    }
    match store.outline(id).await? {
        Some(outline) if outline.invocation.output_removed.is_some() => Ok(Part::Removed(Box::new(outline))),
        Some(_) => {
            Err(StoreError::Corrupt(format!("less is kept of what {id} printed than its record says")))
        }
        None => Ok(Part::Gone),
    }
}
