//! Files to and from hosts: jobs like any other, whose command is a transfer.

use bytes::Bytes;
use lictor_core::{
    context::{Context, Directory},
    digest::Digest,
    error::Failure,
    job::{CommandInput, JobSpec, Origin, Target},
    limits::MAX_DOWNLOAD_BYTES,
    transfer::{DOWNLOAD, UPLOAD},
};

use crate::{collect::Collected, connect::Client, views::InvocationView};

/// A file that is to be on hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// On which.
    pub target: Target,
    /// Its absolute path there.
    pub path: Directory,
    /// Its permissions, at most 0o777. `None`: 0o644.
    pub mode: Option<u32>,
    /// What it is to contain.
    pub bytes: Bytes,
}

/// Why what came is not the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTheFile {
    /// Bytes are missing.
    Incomplete {
        /// How many the file has.
        total: u64,
        /// How many came.
        came: u64,
    },
    /// The bytes have another digest than the agent found.
    Different,
}

impl Client {
    /// Leaves the bytes of an upload with the controller, and gives the job that puts them on its hosts: see
    /// [`run`](Client::run), [`submit`](Client::submit).
    ///
    /// # Errors
    /// As of [`put_content`](Client::put_content).
    pub async fn upload(&self, upload: Upload, origin: Origin) -> Result<JobSpec, Failure> {
        let Upload { target, path, mode, bytes } = upload;
        let content = self.put_content(bytes).await?;
        let option = mode.map(|mode| format!("--mode={mode:04o}"));
        let words = [UPLOAD.to_owned()].into_iter().chain(option).chain([path.as_str().to_owned()]);
        let command = CommandInput::Argv(words.collect());
        let context = Context { stdin: Some(content), ..Context::default() };
        Ok(JobSpec { context, ..JobSpec::new(target, command, origin) })
    }
}

/// The job that reads a file of hosts: each one's standard output is its file, as large as policy lets it be. Whoever has room
/// for a large one only on disk takes it as it comes; see [`file_of`] for others, who ask for less.
pub fn download(target: Target, path: &Directory, origin: Origin) -> JobSpec {
    let command = CommandInput::Argv(vec![DOWNLOAD.to_owned(), path.as_str().to_owned()]);
    JobSpec { output_bytes: Some(MAX_DOWNLOAD_BYTES), ..JobSpec::new(target, command, origin) }
}

/// The file that an invocation of a download brought, whole and with the digest that the agent found.
///
/// # Errors
/// [`NotTheFile`]: nothing of it may be used.
pub fn file_of(invocation: &InvocationView, collected: &Collected) -> Result<Vec<u8>, NotTheFile> {
    let stdout = &collected.stdout;
    let (one, two) = stdout.tail();
    let bytes = [stdout.head(), one, two].concat();
    let total = invocation.stdout.bytes_total;
    if bytes.len() as u64 != total {
        return Err(NotTheFile::Incomplete { total, came: bytes.len() as u64 });
    }
    match invocation.stdout.digest {
        Some(digest) if digest == Digest::of(&bytes) => Ok(bytes),
        _ => Err(NotTheFile::Different),
    }
}

// === impl NotTheFile ===

impl std::fmt::Display for NotTheFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Incomplete { total, came } => write!(f, "{came} of {total} bytes came"),
            Self::Different => f.write_str("the bytes that came are not those that the agent read"),
        }
    }
}
impl std::error::Error for NotTheFile {}
