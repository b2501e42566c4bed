//! How far a log was forwarded, in a file that is replaced as a whole after each batch that was taken.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use lictor_core::{digest::Digest, error::ErrorCode};
use lictor_runtime::exit::Exit;
use serde::{Deserialize, Serialize};

use super::destination::Destination;
use crate::{audit::formats::Format, trouble::Trouble};

/// The form of the file.
const VERSION: u32 = 1;
/// A cursor is a few hundred bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// A place in a log, for one receiver.
#[derive(Debug)]
pub(crate) struct Cursor {
    path: PathBuf,
    place: Place,
    // Held for as long as it is used, so that no second process moves it.
    _lock: File,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    lictor_forward: u32,
    log: String,
    to: String,
    format: String,
    /// The index of the first record that was not taken.
    next: u64,
    /// The leaf hash of the record before it: another one there means another log.
    last_leaf: Option<String>,
}

// === impl Cursor ===

impl Cursor {
    /// The cursor in `path`; if there is none yet, it begins at `first` (`None`: at the first record).
    pub(crate) fn open(
        path: &Path,
        log: &str,
        to: &Destination,
        format: Format,
        first: Option<u64>,
    ) -> Result<Self, Trouble> {
        let lock = lock(path)?;
        let begins = Place {
            lictor_forward: VERSION,
            log: log.to_owned(),
            to: to.identity(),
            format: format.name(),
            next: first.unwrap_or(0),
            last_leaf: None,
        };
        let place = match read(path)? {
            None => begins,
            Some(_) if first.is_some() => {
                return Err(Trouble::usage(
                    format!("{} says already where to go on", path.display()),
                    "leave --from out, or name a new --cursor to send records again",
                ));
            }
            Some(place) => {
                place.belongs_to(&begins, path)?;
                place
            }
        };
        Ok(Self { path: path.to_owned(), place, _lock: lock })
    }

    /// The index of the first record that was not taken.
    pub(crate) const fn next(&self) -> u64 {
        self.place.next
    }

    /// The last record that was taken, with its leaf hash.
    pub(crate) fn last(&self) -> Option<(u64, &str)> {
        Some((self.place.next.checked_sub(1)?, self.place.last_leaf.as_deref()?))
    }

    /// Everything before `next` was taken; it is on disk when this returns.
    pub(super) fn advance(&mut self, next: u64, last_leaf: Option<Digest>) -> Result<(), Trouble> {
        self.place.next = next;
        self.place.last_leaf = last_leaf.map(|leaf| leaf.to_string());
        replace(&self.path, &self.place).map_err(|e| Trouble::file("write", &self.path, &e))
    }
}

// === impl Place ===

impl Place {
    /// A cursor of something else would leave a gap that nobody sees.
    fn belongs_to(&self, asked: &Self, path: &Path) -> Result<(), Trouble> {
        let same = [
            ("log", &self.log, &asked.log),
            ("--to", &self.to, &asked.to),
            ("--format", &self.format, &asked.format),
        ];
        match same.into_iter().find(|(_, kept, asked)| kept != asked) {
            Some((what, kept, _)) => Err(Trouble::usage(
                format!("{} is the cursor of another {what}: {kept}", path.display()),
                "name another --cursor: there is one for each log, receiver and format",
            )),
            None => Ok(()),
        }
    }
}

fn lock(path: &Path) -> Result<File, Trouble> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = File::create(&lock).map_err(|e| Trouble::file("write", &lock, &e))?;
    file.try_lock().map_err(|_| {
        Trouble::new(
            Exit::Usage,
            ErrorCode::Conflict,
            format!("{} is in use by another lictor audit forward", path.display()),
            "stop that one, or name another --cursor",
        )
    })?;
    Ok(file)
}

fn read(path: &Path) -> Result<Option<Place>, Trouble> {
    let text = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Trouble::file("read", path, &error)),
        Ok(meta) if meta.len() > MAX_FILE_BYTES => String::new(),
        Ok(_) => fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?,
    };
    match serde_json::from_str::<Place>(&text) {
        Ok(place) if place.lictor_forward == VERSION => Ok(Some(place)),
        _ => Err(Trouble::usage(
            format!("{} is not a cursor of this version", path.display()),
            "name another --cursor; a new one begins with the first record, or with --from",
        )),
    }
}

/// There completely or not at all, also after a power cut.
fn replace(path: &Path, place: &Place) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(place)?)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, to: &str, first: Option<u64>) -> Result<Cursor, Trouble> {
        Cursor::open(path, "fleet.example/audit/acme", &to.parse().unwrap(), Format::Jsonl, first)
    }

    #[test]
    fn a_cursor_goes_on_where_it_was_and_serves_one_receiver_and_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("siem.cursor");
        let mut cursor = open(&path, "https://siem.example/in", Some(7)).unwrap();
        assert_eq!((cursor.next(), cursor.last()), (7, None));
        let leaf = Digest::of(b"x");
        cursor.advance(9, Some(leaf)).unwrap();
        assert!(open(&path, "https://siem.example/in", None).is_err(), "two at once");
        drop(cursor);
        let cursor = open(&path, "https://siem.example/in", None).unwrap();
        assert_eq!((cursor.next(), cursor.last()), (9, Some((8, leaf.to_string().as_str()))));
        drop(cursor);
        assert!(open(&path, "https://other.example/in", None).is_err());
        assert!(open(&path, "https://siem.example/in", Some(3)).is_err());
        fs::write(&path, "{}").unwrap();
        assert!(open(&path, "https://siem.example/in", None).is_err());
    }
}
