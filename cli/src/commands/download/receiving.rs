//! Files on their way to this machine: each under a name that goes with this program, until it is whole and takes its place.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use lictor_client::{
    transfer::NotTheFile,
    views::{InvocationView, OutputPiece},
};
use lictor_core::{digest::Sha256Stream, id::InvocationId};
use tempfile::{NamedTempFile, TempPath};

/// Everything that comes. What has not taken its place is removed with it.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Where files are until then: beside their places, so that they can take them in one step.
    folder: PathBuf,
    coming: BTreeMap<InvocationId, Coming>,
    /// The one that is open: files come one after the other, and there may be more of them than can be open.
    open: Option<(InvocationId, File)>,
}

/// One file.
#[derive(Debug)]
struct Coming {
    path: TempPath,
    bytes: u64,
    hash: Sha256Stream,
    /// Why it cannot be written here; what comes of it then is left out.
    unwritten: Option<io::Error>,
}

/// Why a file did not take its place.
#[derive(Debug)]
pub(super) enum NotPlaced {
    /// What came is not the file.
    NotTheFile {
        /// Why.
        why: NotTheFile,
        /// What to do.
        next: String,
    },
    /// Something else than a regular file is at its place.
    Taken {
        /// Where it was to be.
        place: PathBuf,
        /// What to do.
        next: String,
    },
    /// It cannot be written here.
    Unwritten {
        /// Where it was to be.
        place: PathBuf,
        /// Why.
        why: io::Error,
        /// What to do.
        next: String,
    },
}

/// What is at a place.
#[derive(Debug)]
pub(super) enum There {
    /// Nothing.
    Nothing,
    /// A regular file with this mode.
    RegularFile(u32),
    /// Something else: a folder, a device, a pipe, a symbolic link whatever it leads to. A file never replaces it.
    SomethingElse,
}

/// Bits of a mode that a new file takes over from the one that it replaces: who may do what. What a host sent never takes over
/// that it runs as its owner or group.
const KEPT_MODE: u32 = 0o777;

// === impl There ===

impl There {
    /// What is at `place` now.
    ///
    /// # Errors
    /// When that cannot be seen.
    pub(super) fn at(place: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(place) {
            Ok(found) if found.is_file() => Ok(Self::RegularFile(found.permissions().mode() & KEPT_MODE)),
            Ok(_) => Ok(Self::SomethingElse),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }
}

// === impl Receiving ===

impl Receiving {
    /// For files whose places are at `local`, or in it.
    pub(super) fn beside(local: &Path) -> Self {
        let folder = if local.is_dir() { local } else { folder_of(local) };
        Self { folder: folder.to_owned(), coming: BTreeMap::new(), open: None }
    }

    /// Takes the next bytes of a file. What came before is passed over: after a broken connection all is told again.
    pub(super) fn take(&mut self, piece: &OutputPiece) {
        let Some(coming) = self.coming.get(&piece.invocation) else {
            // Told once, at the end, by whoever asks for this file.
            if let Ok(begun) = Coming::begin(&self.folder) {
                self.coming.insert(piece.invocation, begun);
                self.take(piece);
            }
            return;
        };
        let known = usize::try_from(coming.bytes.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        let new = piece.data.get(known..).unwrap_or_default();
        if new.is_empty() || piece.offset > coming.bytes || coming.unwritten.is_some() {
            return;
        }
        let written = self.write(piece.invocation, new);
        if let Some(coming) = self.coming.get_mut(&piece.invocation) {
            coming.unwritten = written.err();
            coming.hash.update(new);
            coming.bytes += new.len() as u64;
        }
    }

    /// Puts the file of an invocation in its place in one step, if it is whole and has the digest that its agent found; what
    /// was there stays until then. It has the mode of the file that it replaces; a new one is for its owner only, as nobody said
    /// otherwise.
    ///
    /// # Errors
    /// [`NotPlaced`]: nothing of it is there.
    pub(super) fn place(&mut self, view: &InvocationView, place: &Path) -> Result<(), NotPlaced> {
        self.open = None;
        let unwritten = |why| NotPlaced::Unwritten { place: place.to_owned(), why, next: again(view) };
        let coming = match self.coming.remove(&view.id) {
            Some(coming) => coming,
            // Of an empty file nothing comes.
            None => Coming::begin(&self.folder).map_err(unwritten)?,
        };
        let Coming { path, bytes, hash, unwritten: failed } = coming;
        if let Some(why) = failed {
            return Err(unwritten(why));
        }
        let not = |why| NotPlaced::NotTheFile { why, next: again(view) };
        let total = view.stdout.bytes_total;
        if bytes != total {
            return Err(not(NotTheFile::Incomplete { total, came: bytes }));
        }
        if view.stdout.digest != Some(hash.finish()) {
            return Err(not(NotTheFile::Different));
        }
        // As late as can be: what was there before the job may be something else by now.
        let mode = match There::at(place).map_err(unwritten)? {
            There::Nothing => None,
            There::RegularFile(mode) => Some(mode),
            There::SomethingElse => {
                return Err(NotPlaced::Taken { place: place.to_owned(), next: again(view) });
            }
        };
        let put = || {
            let file = File::open(&path)?;
            if let Some(mode) = mode {
                file.set_permissions(Permissions::from_mode(mode))?;
            }
            file.sync_all()?;
            fs::create_dir_all(folder_of(place))
        };
        put().map_err(unwritten)?;
        path.persist(place).map_err(|error| unwritten(error.error))
    }

    fn write(&mut self, id: InvocationId, data: &[u8]) -> io::Result<()> {
        let mut file = match self.open.take() {
            Some((open, file)) if open == id => file,
            _ => {
                let path = self.coming.get(&id).map(|coming| &coming.path).ok_or(io::ErrorKind::NotFound)?;
                File::options().append(true).open(path)?
            }
        };
        file.write_all(data)?;
        self.open = Some((id, file));
        Ok(())
    }
}

impl Coming {
    fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = NamedTempFile::new_in(folder)?.into_temp_path();
        Ok(Self { path, bytes: 0, hash: Sha256Stream::default(), unwritten: None })
    }
}

// === impl NotPlaced ===

impl fmt::Display for NotPlaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTheFile { why, next } => write!(f, "{why}; what was here is as it was: {next}"),
            Self::Taken { place, next } => {
                write!(f, "{} is not a regular file; it is as it was: {next}", place.display())
            }
            Self::Unwritten { place, why, next } => {
                write!(f, "cannot write {}: {why}; what was here is as it was: {next}", place.display())
            }
        }
    }
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How to have a file that did not come whole.
fn again(view: &InvocationView) -> String {
    if view.stdout.bytes_kept < view.stdout.bytes_total {
        return "the controller could not keep it (see its log); download it again".to_owned();
    }
    format!("ask for what is kept: lictor output {} --host {} > FILE", view.job, view.host)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, process::Command};

    use bytes::Bytes;
    use lictor_client::views::{Phase, StreamCounts};
    use lictor_core::{
        digest::Digest, guard::Guard, id::JobId, job::Limits, outcome::Outcome, output::StreamName,
    };

    use super::*;

    fn view(bytes: &[u8]) -> InvocationView {
        let total = bytes.len() as u64;
        let counts = StreamCounts { bytes_total: total, bytes_kept: total, digest: Some(Digest::of(bytes)) };
        InvocationView {
            id: InvocationId::from_bytes([1; 16]),
            job: JobId::from_bytes([2; 16]),
            host: "web-1".parse().unwrap(),
            site: "eu".parse().unwrap(),
            attempt: 1,
            phase: Phase::Ended,
            outcome: Some(Outcome::Succeeded),
            rule: None,
            limits: Limits { timeout: std::time::Duration::from_secs(1), output_bytes: 10 },
            agent: None,
            address: None,
            started_at: None,
            ended_at: None,
            stdout: counts,
            stderr: StreamCounts { bytes_total: 0, bytes_kept: 0, digest: None },
            resolution: None,
            wave: 1,
            guard: Guard::Journal,
            output_removed: None,
            redactions: 0,
        }
    }

    fn piece(offset: u64, data: &'static [u8]) -> OutputPiece {
        let invocation = InvocationId::from_bytes([1; 16]);
        OutputPiece { invocation, stream: StreamName::Stdout, offset, data: Bytes::from_static(data) }
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_takes_its_place_whole_and_what_broke_off_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("file");
        fs::write(&place, "old").unwrap();
        let mut receiving = Receiving::beside(&place);
        receiving.take(&piece(0, b"half a "));
        assert_eq!(names(folder.path()), 2);
        let why = receiving.place(&view(b"half a file"), &place).unwrap_err().to_string();
        assert!(why.contains("7 of 11 bytes") && why.contains("lictor output job_"), "{why}");
        assert_eq!((fs::read(&place).unwrap(), names(folder.path())), (b"old".to_vec(), 1));

        receiving.take(&piece(0, b"another fil"));
        let why = receiving.place(&view(b"a wholefile"), &place).unwrap_err().to_string();
        assert!(why.contains("not those that the agent read"), "{why}");
        receiving.take(&piece(0, b"half"));
        drop(receiving);
        assert_eq!((fs::read(&place).unwrap(), names(folder.path())), (b"old".to_vec(), 1));

        let mut receiving = Receiving::beside(&place);
        // The connection broke after the second, and all is told again.
        for (offset, data) in [(0, &b"a who"[..]), (5, b"le"), (0, b"a who"), (5, b"le file")] {
            receiving.take(&piece(offset, data));
        }
        receiving.place(&view(b"a whole file"), &place).unwrap();
        assert_eq!((fs::read(&place).unwrap(), names(folder.path())), (b"a whole file".to_vec(), 1));
        receiving.place(&view(b""), &place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"");
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn only_a_regular_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link, dangling, fifo] =
            ["target", "link", "dangling", "fifo"].map(|name| folder.path().join(name));
        fs::write(&target, "old").unwrap();
        symlink(&target, &link).unwrap();
        symlink(folder.path().join("absent"), &dangling).unwrap();
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let before = names(folder.path());
        assert!(matches!(There::at(Path::new("/dev/null")).unwrap(), There::SomethingElse));
        for place in [&link, &dangling, &fifo, &folder.path().to_owned()] {
            assert!(matches!(There::at(place).unwrap(), There::SomethingElse), "{place:?}");
            let kind = fs::symlink_metadata(place).unwrap().file_type();
            let mut receiving = Receiving { folder: folder.path().to_owned(), ..Receiving::beside(&target) };
            receiving.take(&piece(0, b"new"));
            let why = receiving.place(&view(b"new"), place).unwrap_err().to_string();
            assert!(why.contains("is not a regular file") && why.contains("lictor output job_"), "{why}");
            assert_eq!(fs::symlink_metadata(place).unwrap().file_type(), kind, "{place:?}");
        }
        assert_eq!((fs::read(&target).unwrap(), names(folder.path())), (b"old".to_vec(), before));
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_new_one_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        for (name, old, new) in
            [("new", None, 0o600), ("shared", Some(0o644), 0o644), ("setuid", Some(0o4755), 0o755)]
        {
            let place = folder.path().join(name);
            if let Some(old) = old {
                fs::write(&place, "old").unwrap();
                fs::set_permissions(&place, Permissions::from_mode(old)).unwrap();
            }
            let mut receiving = Receiving::beside(&place);
            receiving.take(&piece(0, b"new"));
            receiving.place(&view(b"new"), &place).unwrap();
            assert_eq!((fs::read(&place).unwrap(), mode(&place)), (b"new".to_vec(), new), "{name}");
        }
    }
}
