//! The last checkpoint that was found true here: a later log must begin with the records under it.

use std::{fs, io, path::Path};

use lictor_certs::{checkpoint::Origin, signer::PublicKey};
use lictor_core::merkle::TreeHead;

use super::{flaw::Flaw, head_of};
use crate::trouble::Trouble;

/// The head that was verified before, if there was one; signed with one of `keys`.
pub(crate) fn load(path: &Path, origin: &Origin, keys: &[PublicKey]) -> Result<Option<TreeHead>, Trouble> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::file("read", path, &error)),
        // Signed itself, so that nobody can put another past in its place; with the key of then, which leads to the one
        // of now.
        Ok(note) => {
            let mut proven = Err(Flaw::OtherKey);
            for key in keys {
                proven = proven.or_else(|_| head_of(&note, origin, key));
            }
            Ok(Some(proven?))
        }
    }
}

/// Keeps `note` as the newest that was verified.
pub(crate) fn keep(path: &Path, note: &str) -> Result<(), Trouble> {
    let next = path.with_extension("next");
    let kept = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&next, note));
    kept.and_then(|()| fs::rename(&next, path)).map_err(|e| Trouble::file("write", path, &e))
}
