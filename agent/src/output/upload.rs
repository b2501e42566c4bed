//! Sends the output of ended commands that is too large for their results; the result follows when it was taken.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use lictor_core::{id::InvocationId, limits::MAX_OUTPUT_BYTES};
use lictor_proto::{
    limits::{MAX_CHUNK_BYTES, MAX_FILE_UPLOADS, MAX_UPLOADS},
    pb::{self, agent_link_client::AgentLinkClient},
};
use tokio::{
    fs::File,
    io::AsyncReadExt as _,
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{
    ended::{Kept, SpooledOutput},
    journal::spool::Spool,
    work::Work,
};

/// Chunks in memory per upload.
const UPLOAD_QUEUE: usize = 4;
/// Times an upload is tried in one session; then the result goes without, because an end matters more than its output.
const ATTEMPTS: u32 = 3;
/// Wait between them.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Uploads for one session; ends with it by being dropped.
pub(crate) async fn run(work: Arc<Work>, spool: Spool, client: AgentLinkClient<Channel>) {
    let (mut uploads, mut files) = (JoinSet::new(), JoinSet::new());
    let turns = Arc::new(Semaphore::new(MAX_FILE_UPLOADS as usize));
    loop {
        if uploads.len() >= MAX_UPLOADS as usize {
            let _ = uploads.join_next().await;
            continue;
        }
        let ended = work.next_upload().await;
        if let Kept::Spooled(output) = &ended.output {
            let (id, path) = (ended.invocation, spool.path(ended.invocation));
            let upload = one(Arc::clone(&work), path, client.clone(), id, output.clone());
            if output.bytes() > MAX_OUTPUT_BYTES {
                // A file of a host takes its time: what commands printed does not wait for it.
                let turns = Arc::clone(&turns);
                files.spawn(async move {
                    let _turn = turns.acquire_owned().await;
                    upload.await;
                });
            } else {
                uploads.spawn(upload);
            }
        }
        while uploads.try_join_next().is_some() {}
        while files.try_join_next().is_some() {}
    }
}

async fn one(
    work: Arc<Work>,
    path: PathBuf,
    mut client: AgentLinkClient<Channel>,
    id: InvocationId,
    output: SpooledOutput,
) {
    for attempt in 1..=ATTEMPTS {
        let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
        let sending = client.send_output(ReceiverStream::new(receiver));
        let (read, taken) = tokio::join!(feed(&path, id, &output, sender), sending);
        match (read, taken) {
            (Ok(()), Ok(_)) => break,
            (Err(error), _) => {
                tracing::error!(invocation = %id, %error, "spooled output cannot be read");
                break;
            }
            (Ok(()), Err(error)) => {
                tracing::warn!(invocation = %id, attempt, %error, "output was not taken");
                sleep(RETRY_DELAY).await;
            }
        }
    }
    work.uploaded(id);
}

async fn feed(
    path: &std::path::Path,
    id: InvocationId,
    output: &SpooledOutput,
    sender: mpsc::Sender<pb::OutputChunk>,
) -> std::io::Result<()> {
    let mut file = File::open(path).await?;
    for (stream, offset, length) in output.pieces() {
        let mut sent = 0;
        while sent < length {
            let size = usize::try_from(length - sent).unwrap_or(MAX_CHUNK_BYTES).min(MAX_CHUNK_BYTES);
            let mut data = vec![0; size];
            file.read_exact(&mut data).await?;
            let chunk = pb::OutputChunk {
                invocation_id: id.to_string(),
                stream: pb::StreamName::from(stream).into(),
                offset: offset + sent,
                data: Bytes::from(data),
            };
            sent += size as u64;
            if sender.send(chunk).await.is_err() {
                // The stream broke; its own result says why.
                return Ok(());
            }
        }
    }
    Ok(())
}
