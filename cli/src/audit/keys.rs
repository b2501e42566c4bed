//! Whose signatures count: keys of the log, and of witnesses.
//!
//! A file has one key a line: the 32 bytes of a log's key in base64, as `audit.pub` has it, or a C2SP verifier key
//! `NAME+ID+BASE64` of a log (type 1) or of a witness (type 4, tlog-cosignature v1). `#` begins a comment.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::{checkpoint::Origin, cosignature::WitnessKey, rotation::follow, signer::PublicKey};
use lictor_core::digest::Digest;

use crate::trouble::Trouble;

/// C2SP signed-note: the type of a log's Ed25519 key.
const LOG_TYPE: u8 = 0x01;
/// Bytes of a key id.
const KEY_ID_BYTES: usize = 4;

/// Keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Keys {
    /// Of the log.
    pub(crate) log: Vec<PublicKey>,
    /// Of witnesses; without any, those count that the log itself names.
    pub(crate) witnesses: Vec<WitnessKey>,
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
        if let Ok(witness) = line.parse() {
            self.witnesses.push(witness);
        } else if let Some(key) = log_key(name, id, encoded) {
            self.log.push(key);
        } else {
            self.log.push(line.parse().ok()?);
        }
        Some(())
    }

    /// The same with those keys of the log that `rotations` put in the place of these.
    pub(crate) fn followed<'a>(&self, origin: &Origin, rotations: impl IntoIterator<Item = &'a str>) -> Self {
        let rotations: Vec<&str> = rotations.into_iter().collect();
        let mut log = Vec::new();
        for key in self.log.iter().flat_map(|key| follow(key, origin, rotations.iter().copied())) {
            if !log.contains(&key) {
                log.push(key);
            }
        }
        Self { log, witnesses: self.witnesses.clone() }
    }

    /// The witnesses that count instead of those that the log names.
    pub(crate) fn pinned_witnesses(&self) -> Option<&[WitnessKey]> {
        Some(self.witnesses.as_slice()).filter(|witnesses| !witnesses.is_empty())
    }
}

impl From<PublicKey> for Keys {
    fn from(key: PublicKey) -> Self {
        Self { log: vec![key], witnesses: Vec::new() }
    }
}

/// The key of a verifier key of a log, whose id is right.
fn log_key(name: &str, id: &str, encoded: &str) -> Option<PublicKey> {
    let typed = STANDARD.decode(encoded).ok()?;
    let (LOG_TYPE, key) = typed.split_first().map(|(kind, key)| (*kind, key))? else { return None };
    let key = PublicKey::from_bytes(key.try_into().ok()?);
    let input = [name.as_bytes(), b"\n", &[LOG_TYPE], key.as_bytes()].concat();
    let [a, b, c, d] = *Digest::of(&input).as_bytes().first_chunk::<KEY_ID_BYTES>()?;
    (!name.is_empty() && id == format!("{a:02x}{b:02x}{c:02x}{d:02x}")).then_some(key)
}

#[cfg(test)]
mod tests {
    use lictor_certs::{checkpoint::verifier_key, signer::SigningKey};

    use super::*;

    #[test]
    fn a_file_may_have_keys_of_the_log_in_both_forms_and_of_witnesses() {
        let (log, witness) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let name = Origin::new("fleet.example/witness/acme/eu/a").unwrap();
        let witness = WitnessKey { name, key: witness.public_key() };
        let text = format!(
            "# ours\n{}\n{}\n\n{witness} # theirs\n",
            log.public_key(),
            verifier_key(&origin, &log.public_key())
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let keys = Keys::load(file.path()).unwrap();
        assert_eq!(keys.log, [log.public_key(), log.public_key()]);
        assert_eq!(keys.pinned_witnesses(), Some([witness].as_slice()));
        assert_eq!(Keys::from(log.public_key()).pinned_witnesses(), None);
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
