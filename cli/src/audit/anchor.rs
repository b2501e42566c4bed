//! The last checkpoint that was found true here: a later log must begin with the records under it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use lictor_certs::{checkpoint::Origin, signer::PublicKey};
use lictor_core::merkle::TreeHead;

use super::{flaw::Flaw, head_of};
use crate::trouble::Trouble;

/// The head that was verified before, if there was one; signed with one of `keys`.
pub(crate) fn load(path: &Path, origin: &Origin, keys: &[PublicKey]) -> Result<Option<TreeHead>, Trouble> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::file("read", path, &error)),
        // Signed itself, with the key of then; that may be none of `keys` where another one was pinned since, or where an
        // older file is verified, so that it stands beside it.
        Ok(note) => {
            let of_then = fs::read_to_string(key_of(path)).ok().and_then(|key| key.trim().parse().ok());
            let mut proven = Err(Flaw::OtherKey);
            for key in keys.iter().chain(&of_then) {
                proven = proven.or_else(|_| head_of(&note, origin, key));
            }
            Ok(Some(proven?))
        }
    }
}

/// Keeps `note`, signed with `signer`, as the newest that was verified.
pub(crate) fn keep(path: &Path, note: &str, signer: &PublicKey) -> Result<(), Trouble> {
    let write = |path: &Path, text: &str| {
        let next = path.with_extension("next");
        let kept = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&next, text));
        kept.and_then(|()| fs::rename(&next, path)).map_err(|e| Trouble::file("write", path, &e))
    };
    // The key first: a note without its key may be one that nothing proves.
    write(&key_of(path), &format!("{signer}\n"))?;
    write(path, note)
}

fn key_of(path: &Path) -> PathBuf {
    path.with_extension("key")
}
