//! Content that invocations are given: fetched from the controller once for all that share it, kept on disk only when every
//! byte is what the grant says, and removed with the last of them.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use lictor_core::{content::Content, digest::Sha256Stream, id::InvocationId, outcome::Outcome};
use lictor_proto::pb;
use tokio::sync::OnceCell;

use crate::{admit::denied, journal::create_private_dir, output::uplink::Uplink};

/// Most bytes kept at a time: eight of the largest contents. More waits for nothing: it is refused, and not run.
const MAX_KEPT_BYTES: u64 = 512 * 1024 * 1024;
/// Free space that content leaves on the disk for the journal and for output.
const MIN_FREE_BYTES: u64 = 128 * 1024 * 1024;
/// Only the agent reads it.
const FILE_MODE: u32 = 0o600;

/// Fetches and keeps; one per agent.
#[derive(Debug)]
pub(crate) struct Contents {
    uplink: Uplink,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept {
    dir: PathBuf,
    /// What some invocation has.
    shared: Mutex<HashMap<Content, Weak<Shared>>>,
    /// Bytes that are kept or being fetched.
    bytes: AtomicU64,
    /// Tells files apart.
    count: AtomicU64,
}

/// One content, for all who are given it.
#[derive(Debug)]
struct Shared {
    kept: Arc<Kept>,
    content: Content,
    path: PathBuf,
    whole: OnceCell<()>,
}

/// Content that is here, whole; kept for as long as somebody has this.
#[derive(Debug, Clone)]
pub(crate) struct Given(Arc<Shared>);

// === impl Contents ===

impl Contents {
    /// Uses `content` under the state directory. What the last run left there nobody needs any more: what goes on after a
    /// restart has what it was given on its host.
    pub(crate) fn open(state: &Path, uplink: Uplink) -> io::Result<Self> {
        let dir = state.join("content");
        create_private_dir(&dir)?;
        for file in fs::read_dir(&dir)? {
            fs::remove_file(file?.path())?;
        }
        let kept = Kept { dir, shared: Mutex::default(), bytes: AtomicU64::new(0), count: AtomicU64::new(0) };
        Ok(Self { uplink, kept: Arc::new(kept) })
    }

    /// The content of an invocation that was offered in the session of `epoch`.
    ///
    /// # Errors
    /// What to report: it must not start.
    pub(crate) async fn fetch(
        &self,
        id: InvocationId,
        epoch: u64,
        content: Content,
    ) -> Result<Given, Outcome> {
        let shared = self.kept.share(content).map_err(unavailable)?;
        shared.whole.get_or_try_init(|| self.receive(&shared, id, epoch)).await?;
        Ok(Given(shared))
    }

    async fn receive(&self, shared: &Shared, id: InvocationId, epoch: u64) -> Result<(), Outcome> {
        let mut client =
            self.uplink.client().ok_or_else(|| unavailable("there is no controller to ask".into()))?;
        let request = pb::FetchContentRequest { invocation_id: id.to_string(), epoch };
        let broken = |status: tonic::Status| {
            unavailable(format!("the controller did not send it: {}", status.message()))
        };
        let mut pieces = client.fetch_content(request).await.map_err(broken)?.into_inner();
        let unwritten = |error: io::Error| unavailable(format!("the agent cannot keep it: {error}"));
        // An attempt before this one may have broken off.
        let _ = fs::remove_file(&shared.path);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&shared.path)
            .map_err(unwritten)?;
        let (mut hash, mut bytes) = (Sha256Stream::default(), 0u64);
        while let Some(piece) = pieces.message().await.map_err(broken)? {
            bytes += piece.data.len() as u64;
            if bytes > shared.content.bytes() {
                break;
            }
            hash.update(&piece.data);
            // At most 64 KiB into the page cache: shorter than a hand-over to another thread.
            file.write_all(&piece.data).map_err(unwritten)?;
        }
        if bytes == shared.content.bytes() && hash.finish() == shared.content.digest() {
            return Ok(());
        }
        tracing::error!(invocation = %id, content = %shared.content, "the controller sent other content than it signed");
        let reason = format!(
            "what the controller sent is not {}, which it signed; nothing was started",
            shared.content
        );
        Err(denied("AGENT_CONTENT_MISMATCH", reason))
    }
}

fn unavailable(why: String) -> Outcome {
    denied("AGENT_CONTENT_UNAVAILABLE", format!("what it is to be given is not here: {why}"))
}

// === impl Kept ===

impl Kept {
    fn shared(&self) -> MutexGuard<'_, HashMap<Content, Weak<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content as others have it already, or a place for it.
    fn share(self: &Arc<Self>, content: Content) -> Result<Arc<Shared>, String> {
        let mut all = self.shared();
        if let Some(shared) = all.get(&content).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let kept = self.bytes.load(Ordering::Relaxed);
        if kept.saturating_add(content.bytes()) > MAX_KEPT_BYTES {
            return Err(format!("the agent keeps {kept} bytes for others, and at most {MAX_KEPT_BYTES}"));
        }
        let disk = rustix::fs::statvfs(&self.dir);
        let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.saturating_sub(content.bytes()) < MIN_FREE_BYTES {
            return Err("the agent's disk is nearly full; free some of it".into());
        }
        self.bytes.fetch_add(content.bytes(), Ordering::Relaxed);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(number.to_string());
        let shared = Arc::new(Shared { kept: Arc::clone(self), content, path, whole: OnceCell::new() });
        all.insert(content, Arc::downgrade(&shared));
        Ok(shared)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // What cannot be removed is removed at the next start.
        let _ = fs::remove_file(&self.path);
        self.kept.bytes.fetch_sub(self.content.bytes(), Ordering::Relaxed);
        self.kept.shared().retain(|_, shared| shared.strong_count() > 0);
    }
}

// === impl Given ===

impl Given {
    /// What it is.
    pub(crate) fn content(&self) -> Content {
        self.0.content
    }
    /// Its bytes, from the start.
    pub(crate) async fn open(&self) -> io::Result<tokio::fs::File> {
        tokio::fs::File::open(&self.0.path).await
    }
}
