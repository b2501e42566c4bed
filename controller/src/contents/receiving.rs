//! Content that is on its way: hashed as it comes, and kept under its name only when every byte is what was announced.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lictor_core::{
    content::Content,
    digest::Sha256Stream,
    error::{ErrorCode, Failure},
};

use super::{Contents, Owner, unusable};

/// Only this process reads it.
const FILE_MODE: u32 = 0o600;

/// Content of which not all bytes are there. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub struct Receiving {
    contents: Arc<Contents>,
    owner: Owner,
    content: Content,
    file: File,
    hash: Sha256Stream,
    bytes: u64,
    unfinished: PathBuf,
    place: PathBuf,
}

impl Receiving {
    pub(super) fn begin(
        contents: &Arc<Contents>,
        owner: &Owner,
        content: Content,
        unfinished: PathBuf,
        place: PathBuf,
    ) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).mode(FILE_MODE).open(&unfinished)?;
        let (contents, owner, hash) = (Arc::clone(contents), owner.clone(), Sha256Stream::default());
        Ok(Self { contents, owner, content, file, hash, bytes: 0, unfinished, place })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Failure`] when there are more than announced, or when they cannot be written.
    pub fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.bytes += data.len() as u64;
        if self.bytes > self.content.bytes() {
            return Err(self.other());
        }
        self.hash.update(data);
        self.file.write_all(data).map_err(|e| unusable(&e))
    }

    /// Keeps what came, if it is what was announced.
    ///
    /// # Errors
    /// [`Failure`] when it is something else, or cannot be kept; then nothing is.
    pub fn finish(self) -> Result<(), Failure> {
        if self.bytes != self.content.bytes() || self.hash.clone().finish() != self.content.digest() {
            return Err(self.other());
        }
        let kept = || {
            self.file.sync_all()?;
            fs::rename(&self.unfinished, &self.place)?;
            File::open(self.place.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        kept().map_err(|e| unusable(&e))
    }

    fn other(&self) -> Failure {
        Failure::new(
            ErrorCode::InvalidArgument,
            format!("the bytes that came are not {}", self.content),
            "send the file again; it may have changed while it was read",
        )
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // After its end it has another name, and this finds nothing.
        let _ = fs::remove_file(&self.unfinished);
        self.contents.received(&self.owner, self.content.bytes());
    }
}
