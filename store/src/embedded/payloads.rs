//! Payloads of audit records, in files of their own: what is erased is overwritten where it stands. sled moves what it has
//! about and keeps what it replaced until it needs the room, so no payload ever goes there.
//!
//! Numbered files, of payloads one behind another. sled has of each where it stands ([`Place`]), and, in the batch that says
//! so, how far the files were written ([`End`]). What stands behind that end was written before a crash and is written again
//! from the journal: it is cut off first, so that no copy is left that nothing knows of.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{journal::unavailable, reserve};
use crate::{StoreError, record::corrupt};

/// A file that has so many bytes is full: small enough to be copied and looked through by itself.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// What stands in place of an erased payload; none begins so, because all are JSON objects.
const ERASED: u8 = 0;

/// The files of a store.
#[derive(Debug)]
pub(super) struct PayloadFiles {
    dir: PathBuf,
    end: Mutex<End>,
    /// The file that was read last.
    last: Mutex<Option<(u64, Arc<File>)>>,
}

/// How far the files were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct End {
    file: u64,
    offset: u64,
}

/// Where a payload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    file: u64,
    offset: u64,
    length: u64,
}

// === impl End ===

impl End {
    /// Where the next payload goes.
    const fn next(self) -> Self {
        if self.offset < FILE_BYTES { self } else { Self { file: self.file + 1, offset: 0 } }
    }
    pub(super) fn encode(self) -> Vec<u8> {
        [self.file, self.offset].iter().flat_map(|n| n.to_be_bytes()).collect()
    }
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.as_chunks::<8>() {
            ([file, offset], []) => {
                Ok(Self { file: u64::from_be_bytes(*file), offset: u64::from_be_bytes(*offset) })
            }
            _ => Err(corrupt("an end of the payloads of another length")),
        }
    }
}

// === impl Place ===

impl Place {
    /// As it stands in a record's entry.
    pub(super) fn encode(self) -> Vec<u8> {
        format!("{} {} {}", self.file, self.offset, self.length).into_bytes()
    }
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut numbers = std::str::from_utf8(bytes).ok()?.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let place = Self { file: next()?, offset: next()?, length: next()? };
        numbers.next().is_none().then_some(place)
    }
}

// === impl PayloadFiles ===

impl PayloadFiles {
    /// The files in `dir`, as far as sled knows of them; what is behind `end` is cut off.
    pub(super) fn open(dir: PathBuf, end: End) -> Result<Self, StoreError> {
        fs::create_dir_all(&dir).map_err(unavailable)?;
        sync_names(dir.parent().unwrap_or(Path::new("."))).map_err(unavailable)?;
        for entry in fs::read_dir(&dir).map_err(unavailable)? {
            let path = entry.map_err(unavailable)?.path();
            if number_of(&path).is_some_and(|number| number > end.file) {
                fs::remove_file(&path).map_err(unavailable)?;
            }
        }
        let last = path(&dir, end.file);
        let length = fs::metadata(&last).map_or(0, |file| file.len());
        if length < end.offset {
            let (path, wanted) = (last.display(), end.offset);
            return Err(corrupt(format!("{path} has {length} bytes, and {wanted} were written")));
        }
        if length > end.offset {
            let file = OpenOptions::new().write(true).open(&last).map_err(unavailable)?;
            file.set_len(end.offset).and_then(|()| file.sync_all()).map_err(unavailable)?;
        }
        Ok(Self { dir, end: Mutex::new(end), last: Mutex::default() })
    }

    /// Sees to it that so many bytes can be written, whatever becomes of the disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the disk does not have them.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        let next = lock(&self.end).next();
        let file = OpenOptions::new().create(true).append(true).open(path(&self.dir, next.file));
        reserve::behind(&file.map_err(unavailable)?, bytes)
    }

    /// Writes payloads behind those that are there. They are safe when this returns, and count once `end` is kept.
    pub(super) fn append(&self, payloads: &[&[u8]]) -> Result<(Vec<Place>, End), StoreError> {
        let mut end = lock(&self.end);
        let written = write(&self.dir, &mut end, payloads).map_err(unavailable)?;
        Ok((written, *end))
    }

    /// The payload at `place`; `None`: it was erased.
    pub(super) fn read(&self, place: Place) -> Result<Option<Bytes>, StoreError> {
        let length = usize::try_from(place.length).map_err(corrupt)?;
        let mut bytes = vec![0; length];
        let file = self.file(place.file).map_err(corrupt)?;
        file.read_exact_at(&mut bytes, place.offset).map_err(corrupt)?;
        Ok((bytes.first() != Some(&ERASED)).then(|| bytes.into()))
    }

    /// Overwrites what stands at these places; it is gone from the files when this returns.
    pub(super) fn erase(&self, places: &[Place]) -> Result<(), StoreError> {
        let mut touched: Vec<(u64, File)> = Vec::new();
        for place in places {
            let at = match touched.iter().position(|(number, _)| *number == place.file) {
                Some(at) => at,
                None => {
                    let file = OpenOptions::new().write(true).open(path(&self.dir, place.file));
                    touched.push((place.file, file.map_err(unavailable)?));
                    touched.len() - 1
                }
            };
            let zeros = vec![ERASED; usize::try_from(place.length).map_err(corrupt)?];
            if let Some((_, file)) = touched.get(at) {
                file.write_all_at(&zeros, place.offset).map_err(unavailable)?;
            }
        }
        touched.iter().try_for_each(|(_, file)| file.sync_data().map_err(unavailable))
    }

    fn file(&self, number: u64) -> io::Result<Arc<File>> {
        let mut last = lock(&self.last);
        match &*last {
            Some((open, file)) if *open == number => Ok(Arc::clone(file)),
            _ => {
                let file = Arc::new(File::open(path(&self.dir, number))?);
                *last = Some((number, Arc::clone(&file)));
                Ok(file)
            }
        }
    }
}

/// Writes and syncs; `end` moves only once everything is safe.
fn write(dir: &Path, end: &mut End, payloads: &[&[u8]]) -> io::Result<Vec<Place>> {
    let mut at = end.next();
    let mut file = OpenOptions::new().create(true).append(true).open(path(dir, at.file))?;
    // What an earlier attempt left behind the end is cut off, as at a start.
    if file.metadata()?.len() > at.offset {
        file.set_len(at.offset)?;
    }
    let mut places = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let length = payload.len() as u64;
        places.push(Place { length, file: at.file, offset: at.offset });
        at.offset += length;
    }
    file.write_all(&payloads.concat())?;
    file.sync_all()?;
    sync_names(dir)?;
    *end = at;
    Ok(places)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sync_names(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.payloads"))
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".payloads")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_come_back_until_they_are_erased_and_what_no_end_was_kept_for_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let files = PayloadFiles::open(dir.path().join("p"), End::default()).unwrap();
        let (places, end) = files.append(&[b"{\"a\":1}", b"{}"]).unwrap();
        let (lost, _) = files.append(&[b"{\"lost\":1}"]).unwrap();
        assert_eq!(files.read(lost[0]).unwrap().unwrap(), "{\"lost\":1}");
        drop(files);
        let files = PayloadFiles::open(dir.path().join("p"), End::decode(&end.encode()).unwrap()).unwrap();
        assert!(files.read(lost[0]).is_err());
        let place = Place::decode(&places[0].encode()).unwrap();
        assert_eq!(files.read(place).unwrap().unwrap(), "{\"a\":1}");
        for _ in 0..2 {
            files.erase(&[place]).unwrap();
            assert_eq!(files.read(place).unwrap(), None);
        }
        assert_eq!(files.read(places[1]).unwrap().unwrap(), "{}");
        let (again, _) = files.append(&[b"{\"b\":2}"]).unwrap();
        assert_eq!(files.read(again[0]).unwrap().unwrap(), "{\"b\":2}");
        let bytes = fs::read(path(&dir.path().join("p"), 0)).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"lost"));
    }

    #[test]
    fn payloads_that_are_missing_are_damage_and_not_an_erasure() {
        let dir = tempfile::tempdir().unwrap();
        let files = PayloadFiles::open(dir.path().to_owned(), End::default()).unwrap();
        let (_, end) = files.append(&[b"{\"a\":1}"]).unwrap();
        fs::write(path(dir.path(), 0), b"{").unwrap();
        assert!(matches!(PayloadFiles::open(dir.path().to_owned(), end), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_place_is_read_in_its_one_form() {
        for text in ["", "1", "1 2", "1 2 3 4", "a b c", "{}"] {
            assert_eq!(Place::decode(text.as_bytes()), None, "{text}");
        }
    }
}
