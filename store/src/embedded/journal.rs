//! The journal: numbered files of frames, filled with zeros beforehand so that a sync writes data only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use lictor_core::frame;

use crate::{StoreError, record::corrupt};

/// Size of a journal file: a few seconds of the heaviest load, and a quick start after a crash.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Journal files kept although everything in them has been applied: a margin for looking into trouble.
const SPARE_FILES: u64 = 1;

/// A place in the journal: file number and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) file: u64,
    pub(super) offset: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    position: Position,
    /// Length of the current file; a frame that is longer than a whole file makes it grow.
    length: u64,
}

// === impl Position ===

impl Position {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = self.file.to_be_bytes().to_vec();
        out.extend_from_slice(&self.offset.to_be_bytes());
        out
    }
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let (file, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| corrupt("a journal position"))?;
        let offset = rest.try_into().map_err(|_| corrupt("a journal position"))?;
        Ok(Self { file: u64::from_be_bytes(*file), offset: u64::from_be_bytes(offset) })
    }
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `dir` and hands each frame after `applied` to `replay`, with the position behind it.
    pub(super) fn open(
        dir: &Path,
        applied: Option<Position>,
        mut replay: impl FnMut(&[u8], Position) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(unavailable)?;
        let start = applied.unwrap_or(Position { file: 0, offset: 0 });
        let mut end = start;
        for number in file_numbers(dir)?.into_iter().filter(|n| *n >= start.file) {
            let from = if number == start.file { start.offset } else { 0 };
            end = Position { file: number, offset: from };
            let bytes = fs::read(path(dir, number)).map_err(unavailable)?;
            let mut rest = bytes.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
            while let Some((payload, after)) =
                frame::split_first(rest, crc32fast::hash).filter(|(p, _)| !p.is_empty())
            {
                end.offset += (frame::HEADER_BYTES + payload.len()) as u64;
                replay(payload, end)?;
                rest = after;
            }
        }
        // Continuing in a file of its own leaves a torn frame behind where no frame can follow it.
        let next = file_numbers(dir)?.last().map_or(0, |n| n + 1).max(end.file);
        Self::create(dir, next)
    }

    fn create(dir: &Path, number: u64) -> Result<Self, StoreError> {
        let make = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(path(dir, number))?;
            io::copy(&mut io::repeat(0).take(FILE_BYTES), &mut file)?;
            file.seek(SeekFrom::Start(0))?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        let file = make().map_err(unavailable)?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
            position: Position { file: number, offset: 0 },
            length: FILE_BYTES,
        })
    }

    /// Appends a frame, syncs it, and returns the position behind it. After an error nothing may be appended any more.
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<Position, StoreError> {
        let mut bytes = Vec::with_capacity(frame::HEADER_BYTES + payload.len());
        frame::write(payload, crc32fast::hash(payload), &mut bytes);
        self.file.write_all(&bytes).map_err(unavailable)?;
        self.file.sync_data().map_err(unavailable)?;
        self.position.offset += bytes.len() as u64;
        Ok(self.position)
    }

    /// Whether a frame with `payload_bytes` should go to a new file.
    pub(super) const fn is_full_for(&self, payload_bytes: usize) -> bool {
        self.position.offset > 0
            && self.position.offset + (frame::HEADER_BYTES + payload_bytes) as u64 > self.length
    }

    /// Starts a new file and removes those that are no longer needed. Everything so far must be safe in the tree.
    pub(super) fn rotate(&mut self) -> Result<(), StoreError> {
        let number = self.position.file + 1;
        *self = Self::create(&self.dir, number)?;
        for old in file_numbers(&self.dir)?.into_iter().filter(|n| n + SPARE_FILES < number) {
            fs::remove_file(path(&self.dir, old)).map_err(unavailable)?;
        }
        Ok(())
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.journal"))
}

fn file_numbers(dir: &Path) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(unavailable)? {
        let name = entry.map_err(unavailable)?.file_name();
        if let Some(number) =
            name.to_str().and_then(|n| n.strip_suffix(".journal")).and_then(|n| n.parse().ok())
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replayed(dir: &Path, applied: Option<Position>) -> Vec<(Vec<u8>, Position)> {
        let mut seen = Vec::new();
        Journal::open(dir, applied, |payload, position| {
            seen.push((payload.to_vec(), position));
            Ok(())
        })
        .unwrap();
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn every_appended_frame_comes_back_wherever_a_later_write_was_cut(
            frames in proptest::collection::vec(proptest::collection::vec(1u8.., 1..400), 1..20),
            torn in proptest::collection::vec(any::<u8>(), 0..40),
            cut in any::<proptest::sample::Index>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = Journal::open(dir.path(), None, |_, _| Ok(())).unwrap();
            let positions: Vec<Position> = frames.iter().map(|f| journal.append(f).unwrap()).collect();
            journal.file.write_all(&torn).unwrap();
            drop(journal);

            let seen = replayed(dir.path(), None);
            prop_assert_eq!(seen.iter().map(|(p, _)| p.clone()).take(frames.len()).collect::<Vec<_>>(), frames.clone());
            let from = cut.index(frames.len());
            let rest = replayed(dir.path(), Some(positions[from]));
            prop_assert_eq!(rest.iter().map(|(p, _)| p.clone()).collect::<Vec<_>>(), frames[from + 1..].to_vec());
        }
    }
}
