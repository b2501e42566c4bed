//! Kept output that is too large for the journal: one file per invocation, synced before its end is written down.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lictor_core::{id::InvocationId, output::Output};

use super::{DIRECTORY_MODE, create_private_dir, open_private};

/// The directory of spool files.
#[derive(Debug, Clone)]
pub(crate) struct Spool(Arc<Path>);

impl Spool {
    /// Uses `spool` under the state directory, and removes files of invocations for which `wanted` says no.
    pub(crate) fn open(state: &Path, wanted: impl Fn(InvocationId) -> bool) -> io::Result<Self> {
        let directory = state.join("spool");
        create_private_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(DIRECTORY_MODE))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let known = entry.file_name().to_str().and_then(|name| name.parse().ok()).is_some_and(&wanted);
            if !known {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self(directory.into()))
    }

    pub(crate) fn path(&self, invocation: InvocationId) -> PathBuf {
        self.0.join(invocation.to_string())
    }

    /// Writes and syncs the kept bytes of `output`: stdout head and tail, then stderr head and tail.
    pub(crate) fn write(&self, invocation: InvocationId, output: &Output) -> io::Result<()> {
        let mut file = open_private(&self.path(invocation), true)?;
        for stream in [&output.stdout, &output.stderr] {
            file.write_all(&stream.head)?;
            file.write_all(&stream.tail)?;
        }
        file.sync_all()?;
        File::open(&*self.0)?.sync_all()
    }

    /// Removes the file, if there is one.
    pub(crate) fn remove(&self, invocation: InvocationId) {
        // A file that stays is removed at the next start.
        let _ = fs::remove_file(self.path(invocation));
    }
}
