//! A signed head of the audit log, as text that any verifier of transparency logs reads.
//!
//! Sources: C2SP tlog-checkpoint (the body: origin, size, root) and C2SP signed-note (the signature lines).

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_core::{digest::Digest, merkle::TreeHead, name::TenantName};

use crate::{
    identity::TrustDomain,
    note::{self, ED25519_TYPE},
    signer::{PublicKey, Purpose, SIGNATURE_BYTES, SigningKey},
};

/// Longest checkpoint accepted, in bytes: the body and more signatures of witnesses than a log has.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// Longest origin, in bytes: a trust domain and a tenant name fit.
const MAX_ORIGIN_BYTES: usize = 400;

/// The name of a log, such as `fleet.example/audit/acme`; it names the key as well.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Text that cannot be the name of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a log: expected visible ASCII characters without a plus sign")]
pub struct InvalidOrigin;

/// A checkpoint that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a checkpoint.
    #[error("the text is not a checkpoint")]
    Malformed,
    /// Of another log.
    #[error("the checkpoint belongs to another log")]
    OtherOrigin,
    /// No signature of this key.
    #[error("the checkpoint is not signed with this key")]
    NotSigned,
    /// A signature that claims to be of this key and is not.
    #[error("the signature on the checkpoint is false")]
    FalseSignature,
}

/// The checkpoint of `head`, signed.
pub fn sign_checkpoint(origin: &Origin, head: &TreeHead, key: &SigningKey) -> String {
    let body = body(origin, head);
    let signature = key.sign(Purpose::Checkpoint, body.as_bytes());
    let line = note::line(origin, key_id(origin, &key.public_key()), &signature);
    format!("{body}\n{line}\n")
}

/// The head that `note` proves for the log `origin`, if it is signed with `key`. Signatures of others (witnesses) may
/// stand beside ours.
///
/// # Errors
/// [`CheckpointError`] when it is not a checkpoint of that log, or not signed with that key.
pub fn verify_checkpoint(note: &str, origin: &Origin, key: &PublicKey) -> Result<TreeHead, CheckpointError> {
    let (text, lines) = note::split(note).ok_or(CheckpointError::Malformed)?;
    let head = parse_body(text, origin)?;
    let mut found = false;
    for line in lines {
        if line.name != origin.0 || line.key_id != key_id(origin, key) {
            continue;
        }
        // The body is rendered again, so that what was signed is exactly what was understood.
        let signed = line.signature.len() == SIGNATURE_BYTES
            && key.verify(Purpose::Checkpoint, body(origin, &head).as_bytes(), &line.signature).is_ok();
        if !signed {
            return Err(CheckpointError::FalseSignature);
        }
        found = true;
    }
    if found { Ok(head) } else { Err(CheckpointError::NotSigned) }
}

/// The key as other verifiers want it: `<origin>+<key id>+<base64 of type and key>` (C2SP signed-note "vkey").
pub fn verifier_key(origin: &Origin, key: &PublicKey) -> String {
    note::verifier_key(origin, ED25519_TYPE, key)
}

/// The head that `note` says the log `origin` has, whoever signed it.
///
/// # Errors
/// [`CheckpointError`] when it is not a checkpoint of that log.
pub fn unverified_head(note: &str, origin: &Origin) -> Result<TreeHead, CheckpointError> {
    let (text, _) = note::split(note).ok_or(CheckpointError::Malformed)?;
    parse_body(text, origin)
}

pub(crate) fn body(origin: &Origin, head: &TreeHead) -> String {
    format!("{origin}\n{}\n{}\n", head.size, STANDARD.encode(head.root.as_bytes()))
}

fn parse_body(text: &str, origin: &Origin) -> Result<TreeHead, CheckpointError> {
    let mut lines = text.split('\n');
    let (Some(name), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return Err(CheckpointError::Malformed);
    };
    if name != origin.0 {
        return Err(CheckpointError::OtherOrigin);
    }
    let value: u64 = size.parse().map_err(|_| CheckpointError::Malformed)?;
    let root = STANDARD.decode(root).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    match root {
        // "007" and "+7" are numbers to Rust, not to the format.
        Some(root) if value.to_string() == size => {
            Ok(TreeHead { size: value, root: Digest::from_bytes(root) })
        }
        _ => Err(CheckpointError::Malformed),
    }
}

fn key_id(origin: &Origin, key: &PublicKey) -> [u8; note::KEY_ID_BYTES] {
    note::key_id(origin, ED25519_TYPE, key)
}

// === impl Origin ===

impl Origin {
    /// Checks `text` and makes it the name of a log.
    ///
    /// # Errors
    /// When it is empty, too long, or has a character that would end the name or the line.
    pub fn new(text: &str) -> Result<Self, InvalidOrigin> {
        let fits = (1..=MAX_ORIGIN_BYTES).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOrigin)
        }
    }
    /// The name of a tenant's log.
    ///
    /// # Errors
    /// [`InvalidOrigin`]; names and domains have no character that it refuses.
    pub fn of_tenant(domain: &TrustDomain, tenant: &TenantName) -> Result<Self, InvalidOrigin> {
        Self::new(&format!("{}/audit/{tenant}", domain.as_str()))
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> (Origin, TreeHead, SigningKey) {
        let head = TreeHead { size: 1042, root: Digest::of(b"root") };
        (Origin::new("fleet.example/audit/acme").unwrap(), head, SigningKey::generate().unwrap())
    }

    #[test]
    fn a_checkpoint_proves_its_head() {
        let (origin, head, key) = setting();
        let note = sign_checkpoint(&origin, &head, &key);
        assert_eq!(verify_checkpoint(&note, &origin, &key.public_key()), Ok(head));
        let witness = SigningKey::generate().unwrap();
        let theirs = sign_checkpoint(&Origin::new("witness.example").unwrap(), &head, &witness);
        let cosigned = format!("{note}{}\n", theirs.lines().last().unwrap());
        assert_eq!(verify_checkpoint(&cosigned, &origin, &key.public_key()), Ok(head));
    }

    #[test]
    fn no_single_changed_character_goes_unnoticed() {
        let (origin, head, key) = setting();
        let note = sign_checkpoint(&origin, &head, &key);
        for (at, c) in note.char_indices() {
            let other = if c == 'A' { 'B' } else { 'A' };
            let mut tampered = note.clone();
            tampered.replace_range(at..at + c.len_utf8(), other.encode_utf8(&mut [0; 4]));
            assert!(
                verify_checkpoint(&tampered, &origin, &key.public_key()).is_err(),
                "byte {at}: {tampered}"
            );
        }
        assert!(verify_checkpoint(&note[..note.len() - 1], &origin, &key.public_key()).is_err());
    }

    #[test]
    fn the_example_of_the_format_verifies() {
        // From the documentation of golang.org/x/mod/sumdb/note, where the format comes from.
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let line =
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
        let typed = STANDARD.decode(vkey.rsplit_once('+').unwrap().1).unwrap();
        let key = PublicKey::from_bytes(typed[1..].try_into().unwrap());
        let origin = Origin::new("PeterNeumann").unwrap();
        assert_eq!(verifier_key(&origin, &key), vkey);
        let blob = STANDARD.decode(line).unwrap();
        assert_eq!(blob[..note::KEY_ID_BYTES], key_id(&origin, &key));
        assert_eq!(key.verify(Purpose::Checkpoint, text.as_bytes(), &blob[note::KEY_ID_BYTES..]), Ok(()));
    }

    #[test]
    fn another_log_another_key_and_loose_numbers_are_refused() {
        let (origin, head, key) = setting();
        let note = sign_checkpoint(&origin, &head, &key);
        let other = Origin::new("fleet.example/audit/other").unwrap();
        assert_eq!(verify_checkpoint(&note, &other, &key.public_key()), Err(CheckpointError::OtherOrigin));
        let stranger = SigningKey::generate().unwrap().public_key();
        assert_eq!(verify_checkpoint(&note, &origin, &stranger), Err(CheckpointError::NotSigned));
        for loose in ["01042", "+1042", " 1042", "1042\nextension"] {
            let changed = note.replacen("1042", loose, 1);
            assert_eq!(
                verify_checkpoint(&changed, &origin, &key.public_key()),
                Err(CheckpointError::Malformed)
            );
        }
        for bad in ["", "a b", "a+b", "a\nb", "ü"] {
            assert_eq!(Origin::new(bad), Err(InvalidOrigin), "{bad}");
        }
    }
}
