//! The key that signs the log, when it is not the pinned one any more: each key names the next, signed with itself.

use std::path::Path;

use lictor_certs::{checkpoint::Origin, rotation::follow, signer::PublicKey};
use lictor_core::merkle::TreeHead;
use serde::Deserialize;

use super::{bundle, flaw::Flaw, head_of};
use crate::trouble::Trouble;

/// A record of a rotation.
#[derive(Debug, Deserialize)]
struct Rotation {
    kind: String,
    statement: Option<String>,
}

/// The head that `note` proves, and the keys from `pinned` to the one that signed it, by what `rotations` say.
pub(crate) fn follow_to<'a>(
    note: &str,
    origin: &Origin,
    pinned: &PublicKey,
    rotations: impl IntoIterator<Item = &'a str>,
) -> Result<(Vec<PublicKey>, TreeHead), Flaw> {
    let keys = follow(pinned, origin, rotations);
    let newest = keys.last().unwrap_or(pinned);
    let head = head_of(note, origin, newest)?;
    Ok((keys, head))
}

/// As [`follow_to`], by the rotations that the exported log `path` records. They prove themselves, so they may be
/// followed before the log is verified.
pub(crate) fn of_file(
    path: &Path,
    note: &str,
    origin: &Origin,
    pinned: &PublicKey,
) -> Result<(Vec<PublicKey>, TreeHead), Trouble> {
    match follow_to(note, origin, pinned, []) {
        Err(Flaw::OtherKey) => {}
        other => return Ok(other?),
    }
    let mut statements = Vec::new();
    bundle::each_record(path, |content| {
        let rotation =
            serde_json::from_slice::<Rotation>(content).ok().filter(|r| r.kind == "log_key_rotated");
        statements.extend(rotation.and_then(|rotation| rotation.statement));
    })?;
    Ok(follow_to(note, origin, pinned, statements.iter().map(String::as_str))?)
}
