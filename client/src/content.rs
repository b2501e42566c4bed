//! Bytes that a job is to be given: left with the controller first, then named in the request by their digest.

use std::time::Duration;

use bytes::Bytes;
use lictor_core::{
    content::Content,
    error::{ErrorCode, Failure},
};
use lictor_proto::{
    convert::content_to_wire,
    limits::MAX_CHUNK_BYTES,
    pb::{self, put_content_request::Part},
};

use crate::connect::Client;

/// Longest time for content to arrive: the largest at half a megabyte a second.
const PUT_DEADLINE: Duration = Duration::from_secs(128);

impl Client {
    /// Leaves `bytes` with the controller, for the jobs of this caller: `Context::stdin` names them. They are kept for
    /// 24 h after a job last asked for them. Leaving them again changes nothing.
    ///
    /// # Errors
    /// When there are too many, when there is no room for them, or that the controller cannot be reached.
    pub async fn put_content(&self, bytes: Bytes) -> Result<Content, Failure> {
        let content = Content::of(&bytes).map_err(|too_large| {
            Failure::new(
                ErrorCode::LimitExceeded,
                too_large.to_string(),
                "give a smaller file, or let the host fetch it",
            )
        })?;
        let first = pb::PutContentRequest { part: Some(Part::Content(content_to_wire(content))) };
        let pieces = (0..bytes.len()).step_by(MAX_CHUNK_BYTES).map({
            let bytes = bytes.clone();
            move |at| bytes.slice(at..bytes.len().min(at + MAX_CHUNK_BYTES))
        });
        let rest = pieces.map(|data| pb::PutContentRequest { part: Some(Part::Data(data)) });
        let stream = tokio_stream::iter(std::iter::once(first).chain(rest));
        let mut service = self.job_service();
        self.answer(PUT_DEADLINE, service.put_content(stream)).await?;
        Ok(content)
    }
}
