//! The key that signs the log, when it is not the pinned one any more: each key names the next, signed with itself.

use std::path::Path;

use lictor_certs::checkpoint::Origin;
use serde::Deserialize;

use super::{bundle, flaw::Flaw, head_under, keys::Keys};

/// A record of a rotation.
#[derive(Debug, Deserialize)]
struct Rotation {
    kind: String,
    statement: Option<String>,
}

/// `keys`, with those that the rotations lead to which the exported log `path` records, if its head is signed with
/// another one. They prove themselves, so they may be followed before the log is verified; what cannot be read is told
/// when it is.
pub(crate) fn of_file(path: &Path, origin: Option<&Origin>, keys: &Keys) -> Keys {
    let signed_with_another = || {
        let note = bundle::note_of(path)?;
        let named = note.lines().next().and_then(|name| Origin::new(name).ok());
        let origin = origin.cloned().or(named)?;
        matches!(head_under(&note, &origin, keys), Err(Flaw::OtherKey)).then_some(origin)
    };
    let Some(origin) = signed_with_another() else { return keys.clone() };
    let mut statements = Vec::new();
    // A file that is broken somewhere is refused with its place when it is verified.
    let _ = bundle::each_record(path, |_, _, content| {
        let rotation =
            serde_json::from_slice::<Rotation>(content).ok().filter(|r| r.kind == "log_key_rotated");
        statements.extend(rotation.and_then(|rotation| rotation.statement));
    });
    keys.followed(&origin, statements.iter().map(String::as_str))
}
