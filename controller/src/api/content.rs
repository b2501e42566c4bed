//! Content on its way: from a caller, and to the agent whose invocation is given it.

use std::{fs::File, sync::Arc, time::Duration};

use lictor_core::{
    error::{ErrorCode, Failure},
    id::InvocationId,
};
use lictor_proto::{
    convert::{Invalid, content_from_wire, parse},
    limits::MAX_CHUNK_BYTES,
    pb::{self, put_content_request::Part},
};
use tokio::{io::AsyncReadExt as _, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    authn::{Authenticated, AuthenticatedAgent},
    contents::{Begun, Contents},
    failure::no_such,
    lifecycle::Lifecycle,
};

/// How long a caller may take for the next bytes: what stands still would hold its part of the quota.
const NEXT_WITHIN: Duration = Duration::from_secs(30);
/// Pieces in memory for one agent that is slower than the disk.
const PIECES: usize = 4;

/// A stream of content.
pub(super) type Pieces = ReceiverStream<Result<pb::FetchContentResponse, Status>>;

/// Takes content from a caller; says whether it was there already.
pub(super) async fn put(
    contents: &Arc<Contents>,
    caller: &Authenticated,
    mut parts: Streaming<pb::PutContentRequest>,
) -> Result<bool, Failure> {
    let Some(Part::Content(content)) = next(&mut parts).await? else {
        return Err(Invalid::new("part", "the first says which content follows").into());
    };
    let content = content_from_wire("content", &content)?;
    let mut receiving = match in_background({
        let (contents, principal) = (Arc::clone(contents), caller.principal().clone());
        move || contents.begin(&principal, content)
    })
    .await?
    {
        Begun::Known => return Ok(true),
        Begun::Awaited(receiving) => receiving,
    };
    while let Some(part) = next(&mut parts).await? {
        let Part::Data(data) = part else {
            return Err(Invalid::new("part", "which content follows is said once").into());
        };
        if data.len() > MAX_CHUNK_BYTES {
            return Err(
                Invalid::new("data", format_args!("a piece has at most {MAX_CHUNK_BYTES} bytes")).into()
            );
        }
        receiving = in_background(move || receiving.push(&data).map(|()| receiving)).await?;
    }
    in_background(move || receiving.finish()).await?;
    Ok(false)
}

async fn next(parts: &mut Streaming<pb::PutContentRequest>) -> Result<Option<Part>, Failure> {
    let gone = |why: String| Failure::new(ErrorCode::Unavailable, why, "send the content again");
    let message = tokio::time::timeout(NEXT_WITHIN, parts.message()).await;
    let message = message.map_err(|_| gone("the content stopped coming".into()))?;
    let message = message.map_err(|status| gone(format!("the content broke off: {}", status.message())))?;
    match message {
        None => Ok(None),
        Some(pb::PutContentRequest { part: Some(part) }) => Ok(Some(part)),
        Some(pb::PutContentRequest { part: None }) => {
            Err(Invalid::new("part", "it is of a kind that this version does not know").into())
        }
    }
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        Err(Failure::new(ErrorCode::Internal, "the content could not be kept", "see the controller's log"))
    })
}

/// The content of an invocation that this agent was offered, in this session or in one before, and that has not ended.
pub(super) async fn for_agent(
    lifecycle: &Lifecycle,
    agent: &AuthenticatedAgent,
    request: &pb::FetchContentRequest,
) -> Result<File, Failure> {
    let text = &request.invocation_id;
    let id: InvocationId = parse("invocation_id", text)?;
    let session = lifecycle.sessions.of(agent.site(), agent.name());
    let slot = lifecycle.jobs.invocation(id).filter(|_| session.is_some_and(|s| request.epoch <= s.epoch()));
    let given = slot.and_then(|slot| {
        slot.job.with(slot.index, |invocation, job| {
            let kept = &invocation.kept;
            let theirs = kept.state.agent() == Some(agent.name()) && kept.site == *agent.site();
            let content = job.context.stdin.filter(|_| theirs && kept.state.outcome().is_none());
            content.map(|content| (content, job.principal.clone()))
        })
    });
    let Some((content, principal)) = given.flatten() else { return Err(no_such("content for", text)) };
    let contents = Arc::clone(&lifecycle.contents);
    in_background(move || {
        contents.read(&principal, content).map_err(|error| {
            tracing::error!(%error, %content, "content that a job needs cannot be read");
            Failure::new(ErrorCode::NotFound, format!("{content} cannot be read"), "see the controller's log")
        })
    })
    .await
}

/// Sends a file in pieces, as fast as they are taken. An agent that takes none holds no thread.
pub(super) fn send(file: File) -> Pieces {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        let mut file = tokio::fs::File::from_std(file);
        loop {
            let mut data = Vec::with_capacity(MAX_CHUNK_BYTES);
            let read = (&mut file).take(MAX_CHUNK_BYTES as u64).read_to_end(&mut data).await;
            let piece = match read {
                Ok(0) => return,
                Ok(_) => Ok(pb::FetchContentResponse { data: data.into() }),
                Err(error) => Err(Status::unavailable(format!("the content cannot be read: {error}"))),
            };
            let last = piece.is_err();
            if sender.send(piece).await.is_err() || last {
                return;
            }
        }
    });
    ReceiverStream::new(receiver)
}
