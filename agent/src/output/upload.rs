//! Sends the output of ended commands that is too large for their results; the result follows when it was taken.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use lictor_core::{id::InvocationId, limits::MAX_OUTPUT_BYTES};
use lictor_proto::{
    limits::{MAX_CHUNK_BYTES, MAX_FILE_UPLOADS, MAX_SMALL_FILE_UPLOADS, MAX_UPLOADS},
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
/// Times that of a file of a host is: some ten minutes, in which a person can make room at the controller. The file is all
/// that was asked for.
const FILE_ATTEMPTS: u32 = 44;
/// Wait between the first of them.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// Longest wait between them: half of the time after which a controller thinks that nothing more of a file comes.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(15);

/// What files of hosts take turns by: each has one for one attempt.
struct Turns {
    large: Arc<Semaphore>,
    small: Arc<Semaphore>,
}

/// Uploads for one session; ends with it by being dropped.
pub(crate) async fn run(work: Arc<Work>, spool: Spool, client: AgentLinkClient<Channel>) {
    let (mut uploads, mut files) = (JoinSet::new(), JoinSet::new());
    let turns = Turns::new();
    loop {
        if uploads.len() >= MAX_UPLOADS as usize {
            let _ = uploads.join_next().await;
            continue;
        }
        let ended = work.next_upload().await;
        if let Kept::Spooled(output) = &ended.output {
            let (id, path) = (ended.invocation, spool.path(ended.invocation));
            let (work, client, output) = (Arc::clone(&work), client.clone(), output.clone());
            match turns.of(&output) {
                // A file of a host takes its time, or waits: what commands printed does not wait for it.
                Some(turns) => files.spawn(one(work, path, client, id, output, Some(turns))),
                None => uploads.spawn(one(work, path, client, id, output, None)),
            };
        }
        while uploads.try_join_next().is_some() {}
        while files.try_join_next().is_some() {}
    }
}

// === impl Turns ===

impl Turns {
    fn new() -> Self {
        let of = |at_once: u32| Arc::new(Semaphore::new(at_once as usize));
        Self { large: of(MAX_FILE_UPLOADS), small: of(MAX_SMALL_FILE_UPLOADS) }
    }

    /// What `output` waits for a turn of; nothing if it is what a command printed.
    fn of(&self, output: &SpooledOutput) -> Option<Arc<Semaphore>> {
        // Nothing else is as large: journals did not always say what is a file.
        if output.bytes() > MAX_OUTPUT_BYTES {
            Some(Arc::clone(&self.large))
        } else {
            output.is_file.then(|| Arc::clone(&self.small))
        }
    }
}

/// Uploads one output. What has `turns` is a file of a host.
async fn one(
    work: Arc<Work>,
    path: PathBuf,
    mut client: AgentLinkClient<Channel>,
    id: InvocationId,
    output: SpooledOutput,
    turns: Option<Arc<Semaphore>>,
) {
    let (mut attempt, is_file) = (1, turns.is_some());
    loop {
        let turn = match &turns {
            Some(turns) => turns.acquire().await.ok(),
            None => None,
        };
        // It may have waited long, and is gone once the controller has its end.
        if !work.is_awaited(id) {
            return;
        }
        let (sender, receiver) = mpsc::channel(UPLOAD_QUEUE);
        let sending = client.send_output(ReceiverStream::new(receiver));
        let (read, taken) = tokio::join!(feed(&path, id, &output, sender), sending);
        drop(turn);
        match (read, taken) {
            (Ok(()), Ok(_)) => break,
            (Err(error), _) => {
                tracing::error!(invocation = %id, %error, "spooled output cannot be read");
                break;
            }
            (Ok(()), Err(error)) => {
                tracing::warn!(invocation = %id, attempt, %error, "output was not taken");
                let Some(delay) = retry_after(attempt, is_file) else { break };
                sleep(delay).await;
                attempt += 1;
            }
        }
    }
    work.uploaded(id);
}

/// How long after this attempt the next one is made, if one is.
fn retry_after(attempt: u32, is_file: bool) -> Option<Duration> {
    let (attempts, longest) =
        if is_file { (FILE_ATTEMPTS, MAX_RETRY_DELAY) } else { (ATTEMPTS, RETRY_DELAY) };
    let doubled = RETRY_DELAY.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    (attempt < attempts).then(|| doubled.min(longest))
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

#[cfg(test)]
mod tests {
    use lictor_core::output::{Output, StreamSummary};

    use super::*;

    #[test]
    fn only_files_of_hosts_wait_for_turns_and_small_ones_not_for_large_ones() {
        let printed = |bytes: u64| {
            let stdout = StreamSummary { bytes_total: bytes, ..StreamSummary::default() };
            let mut spooled = SpooledOutput::of(&Output { stdout, ..Output::default() });
            spooled.stdout.head_bytes = bytes;
            spooled
        };
        let file = |bytes| SpooledOutput { is_file: true, ..printed(bytes) };
        let turns = Turns::new();
        let waits_for = |output, queue| turns.of(&output).is_some_and(|turn| Arc::ptr_eq(&turn, queue));
        assert!(turns.of(&printed(MAX_OUTPUT_BYTES)).is_none());
        for small in [1, MAX_OUTPUT_BYTES] {
            assert!(waits_for(file(small), &turns.small), "{small}");
        }
        for large in [file(MAX_OUTPUT_BYTES + 1), printed(MAX_OUTPUT_BYTES + 1)] {
            assert!(waits_for(large, &turns.large));
        }
    }

    #[test]
    fn a_file_of_a_host_is_sent_again_for_minutes_and_what_commands_printed_holds_its_result_up_for_seconds()
    {
        let waits = |is_file| (1..).map_while(move |attempt| retry_after(attempt, is_file));
        assert_eq!(waits(false).collect::<Vec<_>>(), [RETRY_DELAY; 2]);
        let of_files: Vec<_> = waits(true).collect();
        assert_eq!(of_files[..5].iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 15]);
        assert!(of_files.iter().all(|wait| *wait <= MAX_RETRY_DELAY));
        assert!(of_files.iter().sum::<Duration>() >= Duration::from_secs(600));
    }
}
