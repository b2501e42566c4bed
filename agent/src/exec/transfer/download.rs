//! A download: a small file travels with its result, a larger one goes to the spool as it comes, and takes no memory.

use lictor_core::{
    digest::{Digest, Sha256Stream},
    id::InvocationId,
    limits::MAX_DOWNLOAD_BYTES,
    output::timing::Timing,
};
use lictor_proto::limits::INLINE_OUTPUT_BYTES;
use lictor_runtime::{human::HumanBytes, panics::Interrupted};
use tokio::runtime;

use super::{Broken, Fault, Look, Step, Told, done, failed, first_request, whole};
use crate::{
    ended::{SpooledOutput, SpooledStream},
    journal::spool::{Spool, Spooling, Unkept},
    ssh::sftp::Handle,
};

/// A file on its way. Dropped before its end it leaves nothing.
struct Coming {
    spool: Spool,
    invocation: InvocationId,
    /// All of it, until it is too large to travel with its result.
    few: Vec<u8>,
    /// All of it since then.
    spooling: Option<Spooling>,
    /// Bytes that it has, as its host says.
    expected: u64,
    hash: Sha256Stream,
    bytes: u64,
}

impl Step<'_> {
    pub(super) async fn download(&self, path: &str, look: Look) -> Told {
        let cap = self.admitted.limits().output_bytes;
        let expected = match self.within(first_request(self.sftp.size(path), look)).await {
            Ok(Some(bytes)) if bytes > cap => return too_large(path, Some(bytes), cap),
            // What says nothing is taken piece by piece.
            Ok(size) => size.unwrap_or(0),
            Err(broken) => return self.unread(broken, path).await,
        };
        let handle = match self.within(self.sftp.open(path)).await {
            Ok(handle) => handle,
            Err(broken) => return self.unread(broken, path).await,
        };
        let mut coming = Coming::new(self.runner.spool.clone(), self.admitted.invocation(), expected);
        if let Some(told) = self.receive(path, &handle, cap, &mut coming).await {
            coming.give_up().await;
            return told;
        }
        // It was only read, and is closed with the channel at the latest.
        let _ = self.within(self.sftp.close(handle)).await;
        coming.finish().await.unwrap_or_else(|why| failed(format!("{path}: {why}")))
    }

    /// Takes the file to its end, or says how it ended before.
    async fn receive(&self, path: &str, handle: &Handle, cap: u64, coming: &mut Coming) -> Option<Told> {
        loop {
            let data = match self.within(self.sftp.read(handle, coming.bytes)).await {
                Ok(data) => data,
                Err(broken) => return Some(self.unread(broken, path).await),
            };
            if data.is_empty() {
                return None;
            }
            // One that says how large it is can grow, and one that does not is read to see.
            let bytes = coming.bytes.saturating_add(data.len() as u64);
            if bytes > cap {
                return Some(too_large(path, None, cap));
            }
            if let Err(why) = coming.push(data).await {
                return Some(failed(format!("{path}: {why}")));
            }
        }
    }

    async fn unread(&self, broken: Broken, path: &str) -> Told {
        match broken {
            Broken::Fault(Fault::Refused(why)) => failed(format!("{path}: the file cannot be read: {why}")),
            other => self.stopped(other, path, None).await,
        }
    }
}

/// `size`: what it has, if its host says so. Otherwise it has more than was read of it.
fn too_large(path: &str, size: Option<u64>, cap: u64) -> Told {
    let most = HumanBytes::new(MAX_DOWNLOAD_BYTES);
    let advice = if cap < MAX_DOWNLOAD_BYTES {
        format!("limits.output of the rule that permits it decides how many, up to {most}")
    } else {
        "no download brings more: split it on the host, or let the host put it into a store".to_owned()
    };
    let size = size.map_or_else(|| "more than that".to_owned(), |bytes| format!("{bytes} bytes"));
    let cap = HumanBytes::new(cap);
    failed(format!("{path}: at most {cap} may be kept of this job, and the file has {size}: {advice}"))
}

// === impl Coming ===

impl Coming {
    fn new(spool: Spool, invocation: InvocationId, expected: u64) -> Self {
        let hash = Sha256Stream::default();
        Self { spool, invocation, few: Vec::new(), spooling: None, expected, hash, bytes: 0 }
    }

    async fn push(&mut self, data: Vec<u8>) -> Result<(), Unkept> {
        self.hash.update(&data);
        self.bytes += data.len() as u64;
        if self.bytes <= INLINE_OUTPUT_BYTES {
            self.few.extend_from_slice(&data);
            return Ok(());
        }
        let (spool, id, expected) = (self.spool.clone(), self.invocation, self.expected);
        let (begun, few) = (self.spooling.take(), std::mem::take(&mut self.few));
        let spooled = on_disk(move || {
            let mut spooling = match begun {
                Some(begun) => begun,
                None => spool.begin(id, expected)?,
            };
            if !few.is_empty() {
                spooling.push(&few)?;
            }
            spooling.push(&data)?;
            Ok(spooling)
        });
        self.spooling = Some(spooled.await?);
        Ok(())
    }

    /// Removes what came of it, which takes a disk its time, before anything is said of it.
    async fn give_up(mut self) {
        if let Some(broken) = self.spooling.take() {
            let _ = tokio::task::spawn_blocking(move || drop(broken)).await;
        }
    }

    /// What is reported of it once all of it is safe here.
    async fn finish(mut self) -> Result<Told, Unkept> {
        let Some(spooling) = self.spooling.take() else { return Ok(done(whole(&self.few))) };
        on_disk(move || spooling.finish()).await?;
        let stream = |bytes_total, digest| SpooledStream {
            bytes_total,
            digest: Some(digest),
            head_bytes: bytes_total,
            tail_bytes: 0,
        };
        let stdout = stream(self.bytes, std::mem::take(&mut self.hash).finish());
        let spooled = SpooledOutput {
            stdout,
            stderr: stream(0, Digest::of(&[])),
            timing: Timing::default(),
            is_file: true,
        };
        Ok(Told { spooled: Some(spooled), ..done(whole(&[])) })
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let Some(broken) = self.spooling.take() else { return };
        // Nobody waits for it any more.
        match runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(broken))),
            Err(_) => drop(broken),
        }
    }
}

/// Works on the disk, which may take its time, apart from what serves others.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Unkept> + Send + 'static,
) -> Result<T, Unkept> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Unkept::Disk(std::io::Error::other(Interrupted::from(error)))))
}
