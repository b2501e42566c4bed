//! Making sled's files safe: its own flush does not reach the device.
//!
//! Nearly all of them are blobs, one for each page that is too large for sled's log, and a sync costs the device a moment
//! even for a file that has not changed. A blob never changes, so each is synced once: sled keeps beside everything else
//! up to which blob all are safe. What that says may be lost in a crash; then a few are synced again.

use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path};

use super::{journal::unavailable, keys};
use crate::{StoreError, record::corrupt};

/// sled's directory of blobs in that of its files; each is named by a number that grows.
const BLOBS: &str = "blobs";

/// Up to which blob all are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Saved {
    /// Device and inode of the directory: in a copy of it nothing is safe yet.
    directory: [u64; 2],
    through: u64,
}

impl Saved {
    fn encode(self) -> Vec<u8> {
        let [device, inode] = self.directory;
        [device, inode, self.through].iter().flat_map(|n| n.to_be_bytes()).collect()
    }
    /// `None` for what another version wrote: then nothing is known to be safe.
    fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.as_chunks::<8>() {
            ([device, inode, through], []) => Some(Self {
                directory: [device, inode].map(|bytes| u64::from_be_bytes(*bytes)),
                through: u64::from_be_bytes(*through),
            }),
            _ => None,
        }
    }
}

/// Makes everything that `db` has so far safe. `tree` is one of its trees.
///
/// # Errors
/// [`StoreError`] when the files cannot be written or synced.
pub(super) fn save_tree(db: &sled::Db, tree: &sled::Tree, state_dir: &Path) -> Result<(), StoreError> {
    let blobs = state_dir.join(BLOBS);
    let metadata = std::fs::metadata(&blobs).map_err(unavailable)?;
    let directory = [metadata.dev(), metadata.ino()];
    let kept = tree.get(keys::SAVED).map_err(corrupt)?.and_then(|bytes| Saved::decode(&bytes));
    let before = kept.filter(|saved| saved.directory == directory).map(|saved| saved.through);

    // Listed before the flush, which waits for every page that sled has begun to write: these blobs are whole then.
    let through = newest_blob(&blobs).map_err(unavailable)?;
    db.flush().map_err(corrupt)?;
    sync_files(state_dir, |_| true).map_err(unavailable)?;
    sync_files(&blobs, |name| number_of(name).is_none_or(|number| before.is_none_or(|b| number > b)))
        .map_err(unavailable)?;
    // Only now: whoever reads it must be able to rely on it.
    if let Some(through) = through.filter(|through| before.is_none_or(|b| *through > b)) {
        let saved = Saved { directory, through };
        tree.insert(keys::SAVED, saved.encode()).map_err(corrupt)?;
    }
    Ok(())
}

fn newest_blob(blobs: &Path) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in std::fs::read_dir(blobs)? {
        newest = newest.max(entry?.file_name().to_str().and_then(number_of));
    }
    Ok(newest)
}

fn number_of(blob: &str) -> Option<u64> {
    blob.parse().ok()
}

/// Syncs the files in `dir` whose names are `wanted`, and the names of all.
fn sync_files(dir: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_none_or(&wanted) {
            continue;
        }
        match File::open(entry.path()) {
            Ok(file) => file.sync_all()?,
            // sled removes snapshots and blobs that it no longer needs while this runs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(tree: &sled::Tree) -> Option<Saved> {
        Saved::decode(&tree.get(keys::SAVED).unwrap()?)
    }

    #[test]
    fn what_is_safe_is_known_of_the_directory_itself_and_not_of_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let (state, copy) = (dir.path().join("state"), dir.path().join("copy"));
        let blobs = |state: &Path| newest_blob(&state.join(BLOBS)).unwrap();
        let db = sled::open(&state).unwrap();
        let tree = db.open_tree("lictor").unwrap();
        save_tree(&db, &tree, &state).unwrap();
        assert_eq!(kept(&tree), None, "nothing is large");
        for n in 0..4u8 {
            tree.insert([n], vec![n; 1 << 20]).unwrap();
            save_tree(&db, &tree, &state).unwrap();
        }
        let saved = kept(&tree).unwrap();
        assert_eq!(Some(saved.through), blobs(&state));
        db.flush().unwrap();

        std::fs::create_dir_all(copy.join(BLOBS)).unwrap();
        for from in [state.clone(), state.join(BLOBS)] {
            for entry in std::fs::read_dir(&from).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    let to = copy.join(entry.path().strip_prefix(&state).unwrap());
                    std::fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        let db = sled::open(&copy).unwrap();
        let tree = db.open_tree("lictor").unwrap();
        assert_eq!(kept(&tree), Some(saved), "a copy says what it was copied from");
        save_tree(&db, &tree, &copy).unwrap();
        let of_copy = kept(&tree).unwrap();
        assert_eq!(of_copy.through, saved.through);
        assert_ne!(of_copy.directory, saved.directory, "its own were synced, and now it says so");
    }
}
