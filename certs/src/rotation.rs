//! Another key signs the audit log: the old key says so, and whoever pins the old one follows.
//!
//! The statement is a signed note (C2SP signed-note) under the name of the log. Each one is signed by the key that it
//! replaces, so a chain of them leads from any key that was ever pinned to the one in use.

use crate::{
    checkpoint::{CheckpointError, Origin},
    note::{self, ED25519_TYPE},
    signer::{PublicKey, Purpose, SIGNATURE_BYTES, SigningKey},
};

/// The first line of a statement. No name of a log has spaces, so none is taken for a checkpoint.
const TITLE: &str = "lictor log key rotation v1";
/// Most rotations that are followed: one a week for 20 years.
pub const MAX_ROTATIONS: usize = 1024;

/// The statement, signed with the key `old`, that `new` signs the log `origin` from now on.
pub fn sign_rotation(origin: &Origin, old: &SigningKey, new: &PublicKey) -> String {
    let text = text(origin, &old.public_key(), new);
    let signature = old.sign(Purpose::Rotation, text.as_bytes());
    let line = note::line(origin, note::key_id(origin, ED25519_TYPE, &old.public_key()), &signature);
    format!("{text}\n{line}\n")
}

/// The key that `statement` puts in the place of `old`.
///
/// # Errors
/// [`CheckpointError`] when it is not such a statement for that log, or not signed with `old`.
pub fn verify_rotation(
    statement: &str,
    origin: &Origin,
    old: &PublicKey,
) -> Result<PublicKey, CheckpointError> {
    let (said, lines) = note::split(statement).ok_or(CheckpointError::Malformed)?;
    let mut fields = said.split('\n');
    let (Some(TITLE), Some(name), Some(from), Some(to), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(CheckpointError::Malformed);
    };
    if name != origin.as_str() {
        return Err(CheckpointError::OtherOrigin);
    }
    if from != old.to_string() {
        return Err(CheckpointError::NotSigned);
    }
    let new: PublicKey = to.parse().map_err(|_| CheckpointError::Malformed)?;
    let id = note::key_id(origin, ED25519_TYPE, old);
    let text = text(origin, old, &new);
    let mut found = false;
    for line in lines.iter().filter(|line| line.name == origin.as_str() && line.key_id == id) {
        let held = line.signature.len() == SIGNATURE_BYTES
            && old.verify(Purpose::Rotation, text.as_bytes(), &line.signature).is_ok();
        if !held {
            return Err(CheckpointError::FalseSignature);
        }
        found = true;
    }
    if found { Ok(new) } else { Err(CheckpointError::NotSigned) }
}

/// The keys from `pinned` to the newest that `statements`, oldest first, lead to. What begins elsewhere, because a newer
/// key is pinned, is passed over.
pub fn follow<'a>(
    pinned: &PublicKey,
    origin: &Origin,
    statements: impl IntoIterator<Item = &'a str>,
) -> Vec<PublicKey> {
    let mut keys = vec![*pinned];
    for statement in statements.into_iter().take(MAX_ROTATIONS) {
        if let Some(Ok(new)) = keys.last().map(|old| verify_rotation(statement, origin, old)) {
            keys.push(new);
        }
    }
    keys
}

fn text(origin: &Origin, old: &PublicKey, new: &PublicKey) -> String {
    format!("{TITLE}\n{origin}\n{old}\n{new}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_leads_from_every_key_in_it_to_the_newest_and_from_no_other() {
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let keys: Vec<SigningKey> = (0..4).map(|_| SigningKey::generate().unwrap()).collect();
        let statements: Vec<String> =
            keys.windows(2).map(|pair| sign_rotation(&origin, &pair[0], &pair[1].public_key())).collect();
        let newest = |pinned: &SigningKey| {
            *follow(&pinned.public_key(), &origin, statements.iter().map(String::as_str)).last().unwrap()
        };
        for key in &keys {
            assert_eq!(newest(key), keys[3].public_key());
        }
        let stranger = SigningKey::generate().unwrap();
        assert_eq!(newest(&stranger), stranger.public_key());

        let old = keys[0].public_key();
        let other = Origin::new("fleet.example/audit/other").unwrap();
        assert_eq!(verify_rotation(&statements[0], &other, &old), Err(CheckpointError::OtherOrigin));
        assert_eq!(
            verify_rotation(&statements[1], &origin, &old),
            Err(CheckpointError::NotSigned),
            "that is the next key's"
        );
        let forged =
            statements[0].replace(&keys[1].public_key().to_string(), &stranger.public_key().to_string());
        assert_eq!(verify_rotation(&forged, &origin, &old), Err(CheckpointError::FalseSignature));
    }
}
