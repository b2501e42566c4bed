//! What a witness keeps: the newest head that was proved to it, and what it refused, with its proof: signed evidence
//! is not replaced by what is not signed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lictor_certs::{
    checkpoint::{Origin, verify_checkpoint},
    rotation::follow,
    signer::PublicKey,
};
use lictor_core::{digest::Digest, merkle::TreeHead};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::ssh::host_key::write_atomic;

/// The version of both forms.
pub(super) const VERSION: u32 = 1;
/// Longest file that is read: two notes and as many rotations as there may be.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The newest head that was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    v: u32,
    origin: String,
    /// The key that signed it, in base64.
    pub(super) log_key: String,
    pub(super) note: String,
    head: HeadText,
    /// Set until it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resolution: Option<Resolution>,
}

/// That an operator let the witness go on from a head that contradicts the one it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, from = "ResolutionText", into = "ResolutionText")]
pub struct Resolution {
    /// The head that it held.
    pub known: TreeHead,
    /// The head that it goes on from.
    pub accepted: TreeHead,
    /// The login.
    pub by: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolutionText {
    known: HeadText,
    accepted: HeadText,
    by: String,
}

/// A head that was refused, with everything that anyone needs to see why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub(super) v: u32,
    /// The name of the log.
    pub origin: String,
    /// The key that signed the head that was known, in base64.
    pub log_key: String,
    /// The head that was known: a signed note.
    pub known_note: String,
    pub(super) known: HeadText,
    /// The head that was shown: a signed note.
    pub shown_note: String,
    pub(super) shown: HeadText,
    /// The key that is said to have signed it, in base64.
    pub shown_key: String,
    /// What was said to lead from the one key to the other.
    pub key_rotations: Vec<String>,
    /// What was said to prove that the one log begins with the other.
    pub proof: Vec<String>,
    /// What the witness found.
    pub reason: String,
    /// When.
    pub at: String,
}

/// A head as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadText {
    size: u64,
    #[serde(with = "root_text")]
    root: Digest,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("{path}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error(
        "{path} is damaged: {why}; restore it from a backup. Without it this agent would accept any history"
    )]
    Damaged {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
}

mod root_text {
    //! A root as hexadecimal text.

    use lictor_core::digest::Digest;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(root: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(root)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

pub(super) fn key_file(dir: &Path) -> PathBuf {
    dir.join("witness.key")
}
pub(super) fn kept_file(dir: &Path) -> PathBuf {
    dir.join("witness.json")
}
pub(super) fn refusal_file(dir: &Path) -> PathBuf {
    dir.join("witness-refused.json")
}

/// What is known of the log `origin`; what is known of another one, from before this agent joined here, does not count.
pub(super) fn load_kept(dir: &Path, origin: &Origin) -> Result<Option<Kept>, FileError> {
    let path = kept_file(dir);
    let Some(kept) = load::<Kept>(&path)?.filter(|kept| kept.origin == origin.as_str()) else {
        return Ok(None);
    };
    let damaged = |why: String| FileError::Damaged { path: path.display().to_string(), why };
    let key = kept.key().ok_or_else(|| damaged("its key is none".to_owned()))?;
    let signed = verify_checkpoint(&kept.note, origin, &key).map_err(|e| damaged(e.to_string()))?;
    if kept.v == VERSION && signed == kept.head() {
        Ok(Some(kept))
    } else {
        Err(damaged("it does not fit its own note".to_owned()))
    }
}

pub(super) fn save_kept(dir: &Path, kept: &Kept) -> io::Result<()> {
    write_atomic(&kept_file(dir), &serde_json::to_vec_pretty(kept)?)
}

pub(super) fn load_refusal(path: &Path) -> Result<Option<Refusal>, FileError> {
    load::<Refusal>(path)
}

pub(super) fn save_refusal(dir: &Path, refusal: &Refusal) -> io::Result<()> {
    // Two signed heads are proof of a fork; what is shown afterwards and proves nothing must not take its place.
    if !refusal.is_signed() && Refusal::load(&refusal_file(dir)).is_ok_and(|kept| kept.is_signed()) {
        return Ok(());
    }
    write_atomic(&refusal_file(dir), &serde_json::to_vec_pretty(refusal)?)
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let io = |source| FileError::Io { path: path.display().to_string(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            return Err(FileError::Damaged {
                path: path.display().to_string(),
                why: "it is too long".into(),
            });
        }
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(io)?;
    let damaged =
        |e: serde_json::Error| FileError::Damaged { path: path.display().to_string(), why: e.to_string() };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

// === impl Kept ===

impl Kept {
    pub(super) fn new(
        origin: &Origin,
        log_key: PublicKey,
        note: String,
        head: TreeHead,
        resolution: Option<Resolution>,
    ) -> Self {
        let (origin, log_key) = (origin.to_string(), log_key.to_string());
        Self { v: VERSION, origin, log_key, note, head: head.into(), resolution }
    }
    /// The head.
    pub fn head(&self) -> TreeHead {
        (&self.head).into()
    }
    /// The key that signed it; `None` if it cannot be read.
    pub fn key(&self) -> Option<PublicKey> {
        self.log_key.parse().ok()
    }
}

// === impl Refusal ===

impl Refusal {
    /// Reads a refusal from the file `path`.
    ///
    /// # Errors
    /// [`FileError`] when there is none.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let missing = || FileError::Io {
            path: path.display().to_string(),
            source: io::Error::from(io::ErrorKind::NotFound),
        };
        load_refusal(path)?.ok_or_else(missing)
    }

    /// Whether the head that was shown is signed with the key that signed the known one, or with one that it leads to.
    fn is_signed(&self) -> bool {
        let (origin, key) = (Origin::new(&self.origin), self.log_key.parse());
        matches!((origin, key), (Ok(origin), Ok(key)) if self.shown_head(&origin, &key).is_some())
    }

    /// The head that was known, if `key` or one that it leads to signed it.
    pub fn known_head(&self, origin: &Origin, key: &PublicKey) -> Option<TreeHead> {
        self.signed(&self.known_note, origin, key)
    }
    /// The head that was shown, if `key` or one that it leads to signed it.
    pub fn shown_head(&self, origin: &Origin, key: &PublicKey) -> Option<TreeHead> {
        self.signed(&self.shown_note, origin, key)
    }

    fn signed(&self, note: &str, origin: &Origin, key: &PublicKey) -> Option<TreeHead> {
        let keys = follow(key, origin, self.key_rotations.iter().map(String::as_str));
        keys.iter().find_map(|key| verify_checkpoint(note, origin, key).ok())
    }
}

// === impl HeadText ===

impl From<TreeHead> for HeadText {
    fn from(TreeHead { size, root }: TreeHead) -> Self {
        Self { size, root }
    }
}

impl From<&HeadText> for TreeHead {
    fn from(text: &HeadText) -> Self {
        Self { size: text.size, root: text.root }
    }
}

impl From<ResolutionText> for Resolution {
    fn from(ResolutionText { known, accepted, by }: ResolutionText) -> Self {
        Self { known: (&known).into(), accepted: (&accepted).into(), by }
    }
}

impl From<Resolution> for ResolutionText {
    fn from(Resolution { known, accepted, by }: Resolution) -> Self {
        Self { known: known.into(), accepted: accepted.into(), by }
    }
}

#[cfg(test)]
mod tests {
    use lictor_certs::{checkpoint::sign_checkpoint, signer::SigningKey};

    use super::*;

    #[test]
    fn proof_of_a_fork_is_not_replaced_by_what_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (log, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let head = TreeHead { size: 1, root: Digest::of(b"") };
        let refusal = |key: &SigningKey, at: &str| Refusal {
            v: VERSION,
            origin: origin.to_string(),
            log_key: log.public_key().to_string(),
            known_note: sign_checkpoint(&origin, &head, &log),
            known: head.into(),
            shown_note: sign_checkpoint(&origin, &TreeHead { size: 2, ..head }, key),
            shown: head.into(),
            shown_key: key.public_key().to_string(),
            key_rotations: Vec::new(),
            proof: Vec::new(),
            reason: "another history".into(),
            at: at.into(),
        };
        let kept = || Refusal::load(&refusal_file(dir.path())).unwrap().at;
        for (key, at, expected) in
            [(&other, "1", "1"), (&log, "2", "2"), (&other, "3", "2"), (&log, "4", "4")]
        {
            save_refusal(dir.path(), &refusal(key, at)).unwrap();
            assert_eq!(kept(), expected);
        }
    }
}
