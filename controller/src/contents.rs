//! Bytes that callers leave for their jobs: one file for each content of each principal, named by its SHA-256.
//!
//! They belong to whoever left them: a digest alone, read in somebody else's job, gives nobody the bytes. A file is kept
//! while a job that has not ended needs it, and for a while after it was last left or asked for.

mod receiving;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use lictor_core::{
    content::Content,
    digest::Digest,
    error::{ErrorCode, Failure},
    principal::Principal,
};
use lictor_runtime::human::HumanDuration;

pub use self::receiving::Receiving;
use crate::live::LiveJobs;

/// How long content is kept after it was last left or asked for, unless something else is said: a plan, a consent and a retry
/// fit into it.
pub const DEFAULT_CONTENT_AGE: Duration = Duration::from_secs(24 * 3600);
/// What a file counts as at least, so that the bounds of bytes bound the number of files, too.
const LEAST_CHARGE: u64 = 64 * 1024;
/// Most bytes that one principal may leave at a time: sixteen of the largest contents.
pub const MAX_BYTES_EACH: u64 = 1024 * 1024 * 1024;
/// Most bytes of all principals together, unless something else is said, so that jobs and audit keep their part of the disk.
pub const DEFAULT_CONTENT_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Free space that content leaves on the disk: four times that below which nothing is recorded any more.
const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// How often files are looked at whether they are still needed.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// What the name of a file begins with while it is being received.
const UNFINISHED: &str = "new-";
/// Only this process reads it: content may be anything.
const DIRECTORY_MODE: u32 = 0o700;

/// How long content is kept, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// How long after it was last left or asked for.
    pub age: Duration,
    /// Most bytes of all principals together.
    pub bytes: u64,
}

/// Everything that was left.
#[derive(Debug)]
pub struct Contents {
    dir: PathBuf,
    limits: ContentLimits,
    /// What is being received, by owner. Whoever keeps or removes files holds it, too.
    receiving: Mutex<HashMap<Owner, u64>>,
    /// Tells files apart that are being received at once.
    count: AtomicU64,
}

/// The name of a principal's folder.
type Owner = String;

/// What came of announcing content.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it is made once for each content, and taken apart at once")]
pub enum Begun {
    /// It is there already.
    Known,
    /// Its bytes are awaited.
    Awaited(Receiving),
}

// === impl ContentLimits ===

impl Default for ContentLimits {
    fn default() -> Self {
        Self { age: DEFAULT_CONTENT_AGE, bytes: DEFAULT_CONTENT_BYTES }
    }
}

// === impl Contents ===

impl Contents {
    /// Uses `content` in the directory of the controller's state; removes what was not received to its end.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(state: &Path) -> io::Result<Self> {
        let dir = state.join("content");
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&dir)?;
        for file in files(&dir)? {
            if file.digest.is_none() {
                fs::remove_file(&file.path)?;
            }
        }
        let limits = ContentLimits::default();
        Ok(Self { dir, limits, receiving: Mutex::default(), count: AtomicU64::new(0) })
    }

    /// Keeps content within these limits.
    #[must_use]
    pub fn within(self, limits: ContentLimits) -> Self {
        Self { limits, ..self }
    }

    /// Announces content of `principal`.
    ///
    /// # Errors
    /// [`Failure`] when there is no room for it.
    pub fn begin(self: &Arc<Self>, principal: &Principal, content: Content) -> Result<Begun, Failure> {
        let owner = owner(principal);
        let mut receiving = self.receiving();
        let place = self.place(&owner, content.digest());
        if is_whole(&place, content) && touch(&place).is_ok() {
            return Ok(Begun::Known);
        }
        self.refuse_when_full(&owner, content.bytes(), &receiving)?;
        let folder = self.dir.join(&owner);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(&folder)
            .map_err(|e| unusable(&e))?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let begun =
            Receiving::begin(self, &owner, content, folder.join(format!("{UNFINISHED}{number}")), place);
        let begun = begun.map_err(|e| unusable(&e))?;
        *receiving.entry(owner).or_default() += content.bytes();
        Ok(Begun::Awaited(begun))
    }

    /// Makes sure that a job can be given this content, which is then kept as long as said, or until the job ends.
    ///
    /// # Errors
    /// [`Failure`] when the principal did not leave it, or when it was removed since.
    pub fn hold(&self, principal: &Principal, content: Content) -> Result<(), Failure> {
        let _kept = self.receiving();
        let place = self.place(&owner(principal), content.digest());
        if is_whole(&place, content) && touch(&place).is_ok() {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::NotFound,
            format!("the controller does not have {content} of {principal}, which the job is to be given"),
            format!("give the file again: content is kept for {} after it was last asked for, and is nobody else's", self.kept_for()),
        )
        .with("content", content.digest().to_string()))
    }

    /// The file with this content.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, principal: &Principal, content: Content) -> io::Result<File> {
        File::open(self.place(&owner(principal), content.digest()))
    }

    /// Removes from time to time what no job needs any more; never returns.
    pub async fn sweep_for_ever(self: Arc<Self>, jobs: Arc<LiveJobs>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let (this, jobs) = (Arc::clone(&self), Arc::clone(&jobs));
            let swept = tokio::task::spawn_blocking(move || this.sweep(&jobs, SystemTime::now())).await;
            if let Ok(Err(error)) = swept {
                tracing::warn!(%error, "content that is not needed could not be removed");
            }
        }
    }

    /// Removes what no live job needs and nobody asked for as long as it is kept; says how many files.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file not be removed.
    pub fn sweep(&self, jobs: &LiveJobs, now: SystemTime) -> io::Result<usize> {
        let mut removed = 0;
        for file in files(&self.dir)? {
            let Some(digest) = file.digest else { continue };
            // What is asked for meanwhile is touched under the same lock, so it is seen here to be new.
            let _kept = self.receiving();
            let used = fs::metadata(&file.path).and_then(|metadata| metadata.modified());
            let old = used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > self.limits.age));
            if old && !needed(jobs).contains(&(file.owner, digest)) {
                fs::remove_file(&file.path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn refuse_when_full(
        &self,
        owner: &str,
        more: u64,
        receiving: &HashMap<Owner, u64>,
    ) -> Result<(), Failure> {
        let (mut each, mut all) =
            (receiving.get(owner).copied().unwrap_or(0), receiving.values().sum::<u64>());
        for file in files(&self.dir).map_err(|e| unusable(&e))? {
            // What is being received is counted as it was announced.
            if file.digest.is_some() {
                let charged = file.bytes.max(LEAST_CHARGE);
                all += charged;
                each += if file.owner == owner { charged } else { 0 };
            }
        }
        let free = rustix::fs::statvfs(&self.dir)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let message = if each.saturating_add(more) > MAX_BYTES_EACH {
            format!(
                "your content has {each} bytes already; at most {MAX_BYTES_EACH} are kept for each caller"
            )
        } else if all.saturating_add(more) > self.limits.bytes {
            format!("all content has {all} bytes already; at most {} are kept", self.limits.bytes)
        } else if free.saturating_sub(more) < MIN_FREE_BYTES {
            "the controller's disk has no room for content".to_owned()
        } else {
            return Ok(());
        };
        let next_step = format!(
            "wait: what no job needs is removed after {}; or let the hosts fetch the file themselves",
            self.kept_for()
        );
        Err(Failure::new(ErrorCode::LimitExceeded, message, next_step))
    }

    fn kept_for(&self) -> HumanDuration {
        HumanDuration::new(self.limits.age)
    }

    fn place(&self, owner: &str, digest: Digest) -> PathBuf {
        self.dir.join(owner).join(digest.to_string())
    }

    fn receiving(&self) -> MutexGuard<'_, HashMap<Owner, u64>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its bytes are there, or will not come.
    fn received(&self, owner: &str, bytes: u64) {
        let mut receiving = self.receiving();
        if let Some(sum) = receiving.get_mut(owner) {
            *sum = sum.saturating_sub(bytes);
            if *sum == 0 {
                receiving.remove(owner);
            }
        }
    }
}

/// A file below the directory.
struct Found {
    owner: Owner,
    path: PathBuf,
    bytes: u64,
    /// `None`: it is being received.
    digest: Option<Digest>,
}

fn files(dir: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for folder in fs::read_dir(dir)? {
        let folder = folder?;
        let owner = folder.file_name().to_string_lossy().into_owned();
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            // One that was received or removed in this moment is not counted.
            let Ok(metadata) = file.metadata() else { continue };
            let digest = file.file_name().to_str().and_then(|name| name.parse().ok());
            found.push(Found { owner: owner.clone(), path: file.path(), bytes: metadata.len(), digest });
        }
    }
    Ok(found)
}

/// What jobs that have not ended are given.
fn needed(jobs: &LiveJobs) -> HashSet<(Owner, Digest)> {
    let of = |job: &Arc<crate::live::LiveJob>| {
        let (job, ..) = job.snapshot();
        job.context.stdin.map(|content| (owner(&job.principal), content.digest()))
    };
    jobs.jobs().iter().filter_map(of).collect()
}

fn owner(principal: &Principal) -> Owner {
    let who = format!("{}/{principal}", principal.tenant);
    Digest::of(who.as_bytes()).to_string()
}

fn is_whole(path: &Path, content: Content) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == content.bytes())
}

fn touch(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now())
}

fn unusable(error: &io::Error) -> Failure {
    tracing::error!(%error, "content cannot be kept");
    Failure::new(
        ErrorCode::Unavailable,
        "the controller cannot keep content",
        "free or mend the controller's disk (see its log), then ask again",
    )
}

#[cfg(test)]
mod tests;
