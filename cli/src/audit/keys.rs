//! Whose signatures count: keys of the log, and of witnesses.
//!
//! A file has one key a line: the 32 bytes of a log's key in base64, as `audit.pub` has it, or a C2SP verifier key
//! `NAME+ID+BASE64` of a log (type 1) or of a witness (type 4, tlog-cosignature v1). `#` begins a comment.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::signer::{PublicKey, Purpose};
use lictor_core::digest::Digest;

use super::flaw::Flaw;
use crate::trouble::Trouble;

/// C2SP signed-note: the type of a log's Ed25519 key.
const LOG_TYPE: u8 = 0x01;
/// C2SP tlog-cosignature: the type of a witness's Ed25519 key.
const WITNESS_TYPE: u8 = 0x04;
/// Bytes of the time that a cosignature begins with.
const TIME_BYTES: usize = 8;
/// Bytes of a key id.
const KEY_ID_BYTES: usize = 4;

/// Keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Keys {
    /// Of the log.
    pub(crate) log: Vec<PublicKey>,
    /// Of witnesses.
    pub(crate) witnesses: Vec<Witness>,
}

/// Somebody who signs heads that were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witness {
    name: String,
    key: PublicKey,
}

// === impl Keys ===

impl Keys {
    /// Reads the file `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, Trouble> {
        let text = fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
        let mut keys = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            keys.add(line).ok_or_else(|| {
                Trouble::usage(
                    format!("{}: line {number} is no key", path.display()),
                    "one key a line: what audit.pub has, or a C2SP verifier key NAME+ID+BASE64",
                )
            })?;
        }
        if keys.log.is_empty() {
            return Err(Trouble::usage(
                format!("{} has no key of a log", path.display()),
                "add what audit.pub has",
            ));
        }
        Ok(keys)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let mut parts = line.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            self.log.push(line.parse().ok()?);
            return Some(());
        };
        // Base64 has plus signs too: what is not a verifier key may still be a plain one.
        let Some((kind, key)) = verifier_key(name, id, encoded) else {
            self.log.push(line.parse().ok()?);
            return Some(());
        };
        match kind {
            LOG_TYPE => self.log.push(key),
            _ => self.witnesses.push(Witness { name: name.to_owned(), key }),
        }
        Some(())
    }

    /// The names of known witnesses that signed the checkpoint `note`. Signatures of others are passed over.
    pub(crate) fn witnesses_of(&self, note: &str) -> Result<Vec<String>, Flaw> {
        let mut found = Vec::new();
        let Some((body, signatures)) = note.rsplit_once("\n\n") else { return Ok(found) };
        for line in signatures.lines() {
            let parts = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' '));
            let Some((name, blob)) = parts.and_then(|(name, text)| Some((name, STANDARD.decode(text).ok()?)))
            else {
                continue;
            };
            let Some((id, signature)) = blob.split_at_checked(KEY_ID_BYTES) else { continue };
            let known =
                |witness: &&Witness| witness.name == name && id == key_id(name, WITNESS_TYPE, &witness.key);
            let Some(witness) = self.witnesses.iter().find(known) else { continue };
            if !is_cosigned(&witness.key, body, signature) {
                return Err(Flaw::Checkpoint(format!("the signature of the witness {name} is false")));
            }
            if !found.iter().any(|other| other == name) {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }
}

impl From<PublicKey> for Keys {
    fn from(key: PublicKey) -> Self {
        Self { log: vec![key], witnesses: Vec::new() }
    }
}

/// C2SP tlog-cosignature v1: eight bytes of time, then the signature over a text with that time and the body.
fn is_cosigned(key: &PublicKey, body: &str, signature: &[u8]) -> bool {
    let Some((time, signature)) = signature.split_first_chunk::<TIME_BYTES>() else { return false };
    let signed = format!("cosignature/v1\ntime {}\n{body}\n", u64::from_be_bytes(*time));
    key.verify(Purpose::Checkpoint, signed.as_bytes(), signature).is_ok()
}

fn key_id(name: &str, kind: u8, key: &PublicKey) -> [u8; KEY_ID_BYTES] {
    let input = [name.as_bytes(), b"\n", &[kind], key.as_bytes()].concat();
    let [a, b, c, d, ..] = *Digest::of(&input).as_bytes();
    [a, b, c, d]
}

/// The type and the key of a verifier key whose id is right.
fn verifier_key(name: &str, id: &str, encoded: &str) -> Option<(u8, PublicKey)> {
    let typed = STANDARD.decode(encoded).ok()?;
    let (kind, key) = typed.split_first()?;
    let key = PublicKey::from_bytes(key.try_into().ok()?);
    let [a, b, c, d] = key_id(name, *kind, &key);
    let is_known = matches!(*kind, LOG_TYPE | WITNESS_TYPE) && !name.is_empty();
    (is_known && id == format!("{a:02x}{b:02x}{c:02x}{d:02x}")).then_some((*kind, key))
}

#[cfg(test)]
mod tests {
    use lictor_certs::{
        checkpoint::{Origin, sign_checkpoint, verifier_key as log_key},
        signer::SigningKey,
    };
    use lictor_core::merkle::Frontier;

    use super::*;

    #[test]
    fn known_witnesses_are_counted_unknown_ones_passed_over_and_false_ones_found() {
        let (log, witness) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let note = sign_checkpoint(&origin, &Frontier::default().head(), &log);
        let (body, _) = note.rsplit_once("\n\n").unwrap();
        let id = key_id("witness.example", WITNESS_TYPE, &witness.public_key());
        let cosign = |signed: &str| {
            let message = format!("cosignature/v1\ntime 7\n{signed}\n");
            let signature = witness.sign(Purpose::Checkpoint, message.as_bytes());
            let blob = [id.as_slice(), &7u64.to_be_bytes(), &signature].concat();
            format!("{note}\u{2014} witness.example {}\n", STANDARD.encode(blob))
        };
        let vkey = {
            let typed = [&[WITNESS_TYPE], witness.public_key().as_bytes().as_slice()].concat();
            let [a, b, c, d] = id;
            format!("witness.example+{a:02x}{b:02x}{c:02x}{d:02x}+{}", STANDARD.encode(typed))
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "# ours\n{}\n{}\n\n{vkey} # theirs\n",
            log.public_key(),
            log_key(&origin, &log.public_key())
        );
        fs::write(file.path(), text).unwrap();
        let keys = Keys::load(file.path()).unwrap();
        assert_eq!((keys.log.len(), keys.witnesses.len()), (2, 1));
        assert_eq!(keys.witnesses_of(&cosign(body)), Ok(vec!["witness.example".to_owned()]));
        assert!(keys.witnesses_of(&cosign("another body")).is_err());
        assert_eq!(Keys::from(log.public_key()).witnesses_of(&cosign("another body")), Ok(vec![]));
        assert_eq!(keys.witnesses_of(&note), Ok(vec![]));
    }

    #[test]
    fn a_file_without_a_key_of_a_log_or_with_something_else_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for wrong in ["", "# nothing\n", "rubbish\n", "a+00000000+AAAA\n"] {
            fs::write(file.path(), wrong).unwrap();
            assert!(Keys::load(file.path()).is_err(), "{wrong}");
        }
    }
}
