//! Whose signatures count: keys of the log, and of witnesses.
//!
//! A file has one key a line: the 32 bytes of a log's key in base64, as `audit.pub` has it, or a C2SP verifier key
//! `NAME+ID+BASE64` of a log (type 1) or of a witness (type 4, tlog-cosignature v1). `#` begins a comment. A key with a name
//! vouches for the log of that name; one without would vouch for any, so it is the only one of a log in its file.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::{
    checkpoint::{Origin, verifier_key},
    cosignature::WitnessKey,
    rotation::follow,
    signer::PublicKey,
};

use crate::trouble::Trouble;

/// C2SP signed-note: the type of a log's Ed25519 key.
const LOG_TYPE: u8 = 0x01;
/// What may stand around a key in its line.
const AROUND: [char; 3] = [' ', '\t', '\r'];

/// Keys that are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Keys {
    /// Of logs.
    log: Vec<LogKey>,
    /// Of witnesses; `None`: those count that the log itself names.
    witnesses: Option<Vec<WitnessKey>>,
}

/// A key that vouches for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogKey {
    /// For the log of this name alone.
    name: Option<Origin>,
    key: PublicKey,
}

// === impl Keys ===

impl Keys {
    /// Reads the file `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, Trouble> {
        let text = fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
        Self::read(&text)
            .map_err(|(why, next_step)| Trouble::usage(format!("{}: {why}", path.display()), next_step))
    }

    /// Reads the text of a file of keys.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) fn read(text: &str) -> Result<Self, (String, &'static str)> {
        let mut keys = Self::default();
        for (number, line) in (1..).zip(text.split('\n')) {
            let line = line.split('#').next().unwrap_or_default().trim_matches(AROUND);
            if line.is_empty() {
                continue;
            }
            let step = "one key a line: what audit.pub has, or a C2SP verifier key NAME+ID+BASE64";
            keys.add(line).ok_or_else(|| (format!("line {number} is no key"), step))?;
        }
        if keys.log.is_empty() {
            return Err(("there is no key of a log".into(), "add what audit.pub has"));
        }
        if keys.log.len() > 1 && keys.log.iter().any(|key| key.name.is_none()) {
            return Err((
                "of several keys of logs, one has no name and would vouch for any of them".into(),
                "write each as NAME+ID+BASE64, as lictor-controller --rotate-audit-key prints it",
            ));
        }
        Ok(keys)
    }

    fn add(&mut self, line: &str) -> Option<()> {
        if let Ok(witness) = line.parse() {
            self.witnesses.get_or_insert_default().push(witness);
        } else {
            // Base64 has plus signs too: what is not a verifier key may still be a plain one.
            let plain = || Some(LogKey { name: None, key: line.parse().ok()? });
            self.log.push(named_key(line).or_else(plain)?);
        }
        Some(())
    }

    /// Those that vouch for the log `origin`.
    pub(crate) fn of(&self, origin: &Origin) -> Vec<PublicKey> {
        let is_of = |key: &&LogKey| key.name.as_ref().is_none_or(|name| name == origin);
        self.log.iter().filter(is_of).map(|key| key.key).collect()
    }

    /// Those that vouch for the log `origin`, with those that `rotations` put in the place of these.
    pub(crate) fn followed<'a>(
        &self,
        origin: &Origin,
        rotations: impl IntoIterator<Item = &'a str>,
    ) -> Vec<PublicKey> {
        let rotations: Vec<&str> = rotations.into_iter().collect();
        let mut keys = Vec::new();
        for key in self.of(origin).iter().flat_map(|key| follow(key, origin, rotations.iter().copied())) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// The same, but that these witnesses count, if any are given.
    pub(crate) fn with_witnesses(self, witnesses: Option<&[WitnessKey]>) -> Self {
        Self { witnesses: witnesses.map(<[_]>::to_vec).or(self.witnesses), ..self }
    }

    /// The witnesses that count instead of those that the log names.
    pub(crate) fn pinned_witnesses(&self) -> Option<&[WitnessKey]> {
        self.witnesses.as_deref()
    }
}

impl From<PublicKey> for Keys {
    fn from(key: PublicKey) -> Self {
        Self { log: vec![LogKey { name: None, key }], witnesses: None }
    }
}

/// A verifier key of a log: its id is right, and each part is in its one form.
fn named_key(line: &str) -> Option<LogKey> {
    let mut parts = line.splitn(3, '+');
    let (name, _id, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let typed = STANDARD.decode(encoded).ok()?;
    let key = PublicKey::from_bytes(typed.strip_prefix(&[LOG_TYPE])?.try_into().ok()?);
    let name = Origin::new(name).ok()?;
    (verifier_key(&name, &key) == line).then_some(LogKey { name: Some(name), key })
}

#[cfg(test)]
mod tests {
    use lictor_certs::signer::SigningKey;

    use super::*;

    #[test]
    fn a_file_may_have_keys_of_the_log_in_both_forms_and_of_witnesses() {
        let (log, witness) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let name = Origin::new("fleet.example/witness/acme/eu/a").unwrap();
        let witness = WitnessKey { name, key: witness.public_key() };
        for key in [log.public_key().to_string(), verifier_key(&origin, &log.public_key())] {
            let text = format!("# ours\n{key}\n\n {witness}\t# theirs\r\n");
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), text).unwrap();
            let keys = Keys::load(file.path()).unwrap();
            assert_eq!(keys.of(&origin), [log.public_key()]);
            assert_eq!(keys.pinned_witnesses(), Some([witness.clone()].as_slice()));
        }
        assert_eq!(Keys::from(log.public_key()).pinned_witnesses(), None);
    }

    #[test]
    fn a_key_of_one_log_vouches_for_no_other() {
        let key = || SigningKey::generate().unwrap().public_key();
        let [a, b] =
            ["fleet.example/audit/a", "fleet.example/audit/b"].map(|name| Origin::new(name).unwrap());
        let (of_a, of_b) = (key(), key());
        let keys =
            Keys::read(&format!("{}\n{}\n", verifier_key(&a, &of_a), verifier_key(&b, &of_b))).unwrap();
        assert_eq!((keys.of(&a), keys.of(&b)), (vec![of_a], vec![of_b]));
        assert_eq!(keys.of(&Origin::new("fleet.example/audit/c").unwrap()), []);
        // A name for each, or none can be told from another.
        assert!(Keys::read(&format!("{}\n{of_b}\n", verifier_key(&a, &of_a))).is_err());
        assert!(Keys::read(&format!("{of_a}\n{of_b}\n")).is_err());
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
