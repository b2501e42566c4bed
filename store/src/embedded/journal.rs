//! The journal: numbered files of numbered frames, filled with zeros beforehand so that a sync writes data only.
//!
//! A frame's payload begins with its sequence number (`u64`, big-endian), which counts on from file to file: so a frame
//! that is missing between two others is told from the torn end of the last write.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use lictor_core::frame;

use crate::{StoreError, record::corrupt};

/// Size of a journal file: a few seconds of the heaviest load, and a quick start after a crash.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Journal files kept although everything in them has been applied: a margin for looking into trouble.
const SPARE_FILES: u64 = 1;
/// Bytes of the sequence number at the start of a payload.
const SEQUENCE_BYTES: usize = 8;

/// A place in the journal, between two frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// Number of the file.
    pub(super) file: u64,
    /// Bytes before the place in the file.
    pub(super) offset: u64,
    /// Sequence number of the frame that comes next.
    pub(super) sequence: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    dir: PathBuf,
    file: File,
    position: Position,
    /// Length of the current file; a frame that is longer than a whole file makes it grow.
    length: u64,
}

/// Why a frame was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// It has this many bytes, more than can be read back. Nothing was written.
    TooLarge(usize),
    /// The disk is full, or nearly. Nothing was written; it may be tried again.
    NoRoom(StoreError),
    /// Writing failed: nothing may be appended any more.
    Failed(StoreError),
}

/// What stands next in a file.
enum Next {
    Frame(Vec<u8>),
    /// Bytes that have the shape of a frame and another checksum.
    Broken,
    End,
}

/// Reads the frames of one file, and nothing behind the last.
struct Reader {
    file: BufReader<File>,
    /// Bytes of the file that have not been read.
    left: u64,
}

// === impl Position ===

impl Position {
    pub(super) fn encode(self) -> Vec<u8> {
        [self.file, self.offset, self.sequence].iter().flat_map(|n| n.to_be_bytes()).collect()
    }
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.as_chunks::<8>() {
            ([file, offset, sequence], []) => Ok(Self {
                file: u64::from_be_bytes(*file),
                offset: u64::from_be_bytes(*offset),
                sequence: u64::from_be_bytes(*sequence),
            }),
            _ => Err(corrupt("a journal position of another length")),
        }
    }
}

// === impl AppendError ===

impl From<StoreError> for AppendError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl AppendError {
    /// The same, for what must not be tried again because a part of it was done.
    pub(super) fn into_failed(self) -> Self {
        match self {
            Self::NoRoom(error) => Self::Failed(error),
            other => other,
        }
    }
}

// === impl Reader ===

impl Reader {
    fn open(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let left = file.metadata()?.len().saturating_sub(offset);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file: BufReader::new(file), left })
    }

    fn next(&mut self) -> io::Result<Next> {
        let Some(left) = self.left.checked_sub(frame::HEADER_BYTES as u64) else { return Ok(Next::End) };
        let mut header = [0; frame::HEADER_BYTES];
        self.file.read_exact(&mut header)?;
        self.left = left;
        // No frame is empty: a length of 0 is what the file was filled with.
        let Some((length, checksum)) =
            frame::read_header(&header).filter(|(length, _)| *length > 0 && *length as u64 <= left)
        else {
            self.left = 0;
            return Ok(Next::End);
        };
        let mut payload = vec![0; length];
        self.file.read_exact(&mut payload)?;
        self.left -= length as u64;
        Ok(if crc32fast::hash(&payload) == checksum { Next::Frame(payload) } else { Next::Broken })
    }
}

// === impl Journal ===

impl Journal {
    /// Hands each frame after `applied` to `apply`, with the position behind it. Returns the position behind the last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a frame is missing or damaged that has others behind it; else what `apply` says.
    pub(super) fn replay(
        dir: &Path,
        applied: Option<Position>,
        mut apply: impl FnMut(&[u8], Position) -> Result<(), StoreError>,
    ) -> Result<Position, StoreError> {
        fs::create_dir_all(dir).map_err(unavailable)?;
        let mut end = applied.unwrap_or_default();
        for number in file_numbers(dir)?.into_iter().filter(|n| *n >= applied.unwrap_or_default().file) {
            let mut offset = if number == end.file { end.offset } else { 0 };
            let mut reader = Reader::open(&path(dir, number), offset).map_err(unavailable)?;
            loop {
                let payload = match reader.next().map_err(unavailable)? {
                    Next::Frame(payload) => payload,
                    Next::End => break,
                    // A write starts after the sync of the one before: only the last one can be torn.
                    Next::Broken => match reader.next().map_err(unavailable)? {
                        Next::Frame(_) => return Err(damaged(dir, number, offset)),
                        Next::Broken | Next::End => break,
                    },
                };
                let Some((sequence, content)) = payload.split_first_chunk::<SEQUENCE_BYTES>() else {
                    return Err(damaged(dir, number, offset));
                };
                if u64::from_be_bytes(*sequence) != end.sequence {
                    // What is missing stood behind the last frame that could be read.
                    return Err(damaged(dir, end.file, end.offset));
                }
                offset += (frame::HEADER_BYTES + payload.len()) as u64;
                end = Position { file: number, offset, sequence: end.sequence + 1 };
                apply(content, end)?;
            }
        }
        Ok(end)
    }

    /// Starts a new file behind `end`, to where the journal was replayed. Everything so far must be safe in the tree:
    /// files that are no longer needed are removed.
    pub(super) fn start(dir: &Path, end: Position) -> Result<Self, StoreError> {
        // Continuing in a file of its own leaves a torn frame behind where no frame can follow it.
        let last = file_numbers(dir)?.last().copied().unwrap_or_default().max(end.file);
        Self::create(dir, Position { file: last + 1, offset: 0, sequence: end.sequence })
    }

    fn create(dir: &Path, position: Position) -> Result<Self, StoreError> {
        // Removing comes first, so that files do not gather while the disk is too full for a whole one.
        for old in file_numbers(dir)?.into_iter().filter(|n| n + SPARE_FILES < position.file) {
            fs::remove_file(path(dir, old)).map_err(unavailable)?;
        }
        let make = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .read(true)
                .write(true)
                .open(path(dir, position.file))?;
            io::copy(&mut io::repeat(0).take(FILE_BYTES), &mut file)?;
            file.seek(SeekFrom::Start(0))?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        let file = make().map_err(unavailable)?;
        Ok(Self { dir: dir.to_owned(), file, position, length: FILE_BYTES })
    }

    /// Appends a frame, syncs it, and returns the position behind it.
    ///
    /// # Errors
    /// [`AppendError`]; after [`AppendError::TooLarge`] another frame may be appended.
    pub(super) fn append(&mut self, content: &[u8]) -> Result<Position, AppendError> {
        let length = SEQUENCE_BYTES + content.len();
        if length > frame::MAX_PAYLOAD_BYTES {
            return Err(AppendError::TooLarge(length));
        }
        let sequence = self.position.sequence.to_be_bytes();
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&sequence);
        checksum.update(content);
        let mut bytes = Vec::with_capacity(frame::HEADER_BYTES + length);
        frame::write_parts(&[&sequence, content], checksum.finalize(), &mut bytes);
        self.file.write_all(&bytes).map_err(unavailable)?;
        self.file.sync_data().map_err(unavailable)?;
        self.position.offset += bytes.len() as u64;
        self.position.sequence += 1;
        Ok(self.position)
    }

    /// Whether a frame with `content_bytes` should go to a new file.
    pub(super) const fn is_full_for(&self, content_bytes: usize) -> bool {
        let frame_bytes = (frame::HEADER_BYTES + SEQUENCE_BYTES + content_bytes) as u64;
        self.position.offset > 0 && self.position.offset + frame_bytes > self.length
    }

    /// Starts a new file and removes those that are no longer needed. Everything so far must be safe in the tree.
    pub(super) fn rotate(&mut self) -> Result<(), StoreError> {
        let next = Position { file: self.position.file + 1, offset: 0, ..self.position };
        *self = Self::create(&self.dir, next)?;
        Ok(())
    }

    /// Starts a new file and removes every earlier one, spare ones too. Everything so far must be safe in the tree.
    pub(super) fn forget(&mut self) -> Result<(), StoreError> {
        self.rotate()?;
        for old in file_numbers(&self.dir)?.into_iter().filter(|n| *n < self.position.file) {
            fs::remove_file(path(&self.dir, old)).map_err(unavailable)?;
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(unavailable)
    }
}

fn damaged(dir: &Path, number: u64, offset: u64) -> StoreError {
    let file = path(dir, number);
    corrupt(format!(
        "{} is damaged at offset {offset}: acknowledged changes that stood there are missing, later ones are not",
        file.display()
    ))
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

    fn opened(dir: &Path) -> Journal {
        let end = Journal::replay(dir, None, |_, _| Ok(())).unwrap();
        Journal::start(dir, end).unwrap()
    }

    fn replayed(dir: &Path, applied: Option<Position>) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut seen = Vec::new();
        Journal::replay(dir, applied, |content, _| {
            seen.push(content.to_vec());
            Ok(())
        })?;
        Ok(seen)
    }

    fn flip(dir: &Path, file: u64, offset: u64) {
        let mut bytes = fs::read(path(dir, file)).unwrap();
        bytes[usize::try_from(offset).unwrap()] ^= 1;
        fs::write(path(dir, file), bytes).unwrap();
    }

    #[test]
    fn a_damaged_frame_before_others_is_refused_wherever_the_others_are() {
        for rotate in [false, true] {
            for at in [0, frame::HEADER_BYTES as u64 + 9] {
                let dir = tempfile::tempdir().unwrap();
                let mut journal = opened(dir.path());
                let first = journal.append(b"first").unwrap();
                journal.append(b"second").unwrap();
                if rotate {
                    journal.rotate().unwrap();
                }
                journal.append(b"third").unwrap();
                flip(dir.path(), first.file, first.offset + at);
                // A damaged length hides what follows it in the same file; the next file still shows it.
                if at == 0 && !rotate {
                    continue;
                }
                let error = replayed(dir.path(), None).unwrap_err().to_string();
                assert!(error.contains(&format!("{:012}.journal", first.file)), "{error}");
                assert!(error.contains(&format!("offset {}", first.offset)), "{error}");
            }
        }
    }

    #[test]
    fn a_missing_file_between_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = opened(dir.path());
        let applied = journal.append(b"first").unwrap();
        journal.append(b"second").unwrap();
        journal.rotate().unwrap();
        journal.append(b"third").unwrap();
        assert_eq!(replayed(dir.path(), Some(applied)).unwrap().len(), 2);
        fs::remove_file(path(dir.path(), applied.file)).unwrap();
        assert!(matches!(replayed(dir.path(), Some(applied)), Err(StoreError::Corrupt(_))));
    }

    #[test]
    fn a_torn_last_frame_is_no_damage_and_what_follows_it_in_the_next_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = opened(dir.path());
        let first = journal.append(b"first").unwrap();
        journal.append(b"never acknowledged").unwrap();
        drop(journal);
        flip(dir.path(), first.file, first.offset + frame::HEADER_BYTES as u64 + 9);
        opened(dir.path()).append(b"second").unwrap();
        assert_eq!(replayed(dir.path(), None).unwrap(), [b"first".to_vec(), b"second".to_vec()]);
    }

    #[test]
    fn a_frame_that_could_not_be_read_back_is_refused_and_the_next_one_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = opened(dir.path());
        let refused = journal.append(&vec![0; frame::MAX_PAYLOAD_BYTES]);
        assert!(matches!(refused, Err(AppendError::TooLarge(_))), "{refused:?}");
        journal.append(b"first").unwrap();
        assert_eq!(replayed(dir.path(), None).unwrap(), [b"first".to_vec()]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn every_appended_frame_comes_back_wherever_a_later_write_was_cut(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 1..20),
            torn in proptest::collection::vec(any::<u8>(), 0..40),
            cut in any::<proptest::sample::Index>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut journal = opened(dir.path());
            let positions: Vec<Position> = frames.iter().map(|f| journal.append(f).unwrap()).collect();
            journal.file.write_all(&torn).unwrap();
            drop(journal);

            prop_assert_eq!(replayed(dir.path(), None).unwrap(), frames.clone());
            let from = cut.index(frames.len());
            prop_assert_eq!(Position::decode(&positions[from].encode()).unwrap(), positions[from]);
            prop_assert_eq!(replayed(dir.path(), Some(positions[from])).unwrap(), frames[from + 1..].to_vec());
        }
    }
}
