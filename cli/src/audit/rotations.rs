//! Keys of the log on the way through it: the key before proves each rotation, which leads from a trusted key to the next.

use lictor_certs::{checkpoint::Origin, rotation::verify_rotation, signer::PublicKey};
use serde::Deserialize;

use super::flaw::Flaw;

/// The kind of record that says that another key signs from then on.
pub(super) const ROTATED: &str = "log_key_rotated";

/// Which keys may sign the log.
#[derive(Debug, Clone)]
pub(super) struct Rotations {
    origin: Origin,
    trusted: Vec<PublicKey>,
    current: Option<PublicKey>,
}

/// A record of a rotation.
#[derive(Debug, Deserialize)]
struct Rotation {
    old_key: String,
    new_key: String,
    statement: String,
}

// === impl Rotations ===

impl Rotations {
    /// None yet of the log `origin`; these keys are trusted.
    pub(super) fn new(origin: &Origin, trusted: Vec<PublicKey>) -> Self {
        Self { origin: origin.clone(), trusted, current: None }
    }

    /// Takes the record of a rotation; `is_whole`: nothing was left out before, so that the rotation before is known.
    pub(super) fn take(&mut self, index: u64, content: &[u8], is_whole: bool) -> Result<(), Flaw> {
        let said: Rotation = serde_json::from_slice(content).map_err(|_| Flaw::NotARecord(index))?;
        let wrong = |why: String| Flaw::Rotation { index, why };
        let old: PublicKey = said.old_key.parse().map_err(|_| wrong("it names no old key".into()))?;
        let new = verify_rotation(&said.statement, &self.origin, &old)
            .map_err(|e| wrong(format!("{old} did not say so: {e}")))?;
        if new.to_string() != said.new_key {
            return Err(wrong(format!("{old} named another key than the record has")));
        }
        if let Some(current) = self.current.filter(|current| is_whole && *current != old) {
            return Err(wrong(format!("{current} signed before, and {old} is replaced")));
        }
        if self.trusted.contains(&old) && !self.trusted.contains(&new) {
            self.trusted.push(new);
        }
        self.current = Some(new);
        Ok(())
    }

    /// The trusted keys with those that they lead to; and the key that signs since the last rotation.
    pub(super) fn finish(self) -> (Vec<PublicKey>, Option<PublicKey>) {
        (self.trusted, self.current)
    }
}

#[cfg(test)]
mod tests {
    use lictor_certs::{rotation::sign_rotation, signer::SigningKey};
    use serde_json::json;

    use super::*;

    fn origin() -> Origin {
        Origin::new("fleet.example/audit/acme").unwrap()
    }

    fn record(old: &SigningKey, new: &SigningKey) -> serde_json::Value {
        let statement = sign_rotation(&origin(), old, &new.public_key());
        json!({"old_key": old.public_key().to_string(), "new_key": new.public_key().to_string(), "statement": statement})
    }

    #[test]
    fn a_chain_leads_from_a_trusted_key_and_what_the_key_before_did_not_sign_is_refused() {
        let keys: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate().unwrap()).collect();
        let take = |trusted: usize, records: &[serde_json::Value], is_whole| {
            let mut rotations = Rotations::new(&origin(), vec![keys[trusted].public_key()]);
            for (index, record) in (0..).zip(records) {
                rotations.take(index, record.to_string().as_bytes(), is_whole)?;
            }
            Ok(rotations.finish())
        };
        let chain = [record(&keys[0], &keys[1]), record(&keys[1], &keys[2])];
        let newest = keys[2].public_key();
        for trusted in 0..3 {
            let (trusted, current) = take(trusted, &chain, true).unwrap();
            assert_eq!((trusted.last(), current), (Some(&newest), Some(newest)));
        }
        // Not of the key before.
        let branch = [chain[0].clone(), record(&keys[0], &keys[2])];
        assert!(matches!(take(0, &branch, true), Err(Flaw::Rotation { index: 1, .. })));
        assert!(take(0, &branch, false).is_ok(), "another rotation may be in what is left out");
        for (name, value) in [
            ("new_key", keys[2].public_key().to_string()),
            ("old_key", keys[1].public_key().to_string()),
            ("old_key", "rubbish".to_owned()),
            ("statement", chain[1]["statement"].as_str().unwrap().to_owned()),
            ("statement", String::new()),
        ] {
            let mut wrong = chain[0].clone();
            wrong[name] = value.into();
            assert!(matches!(take(0, &[wrong], true), Err(Flaw::Rotation { index: 0, .. })), "{name}");
        }
        assert_eq!(take(0, &[json!({"old_key": "x"})], true), Err(Flaw::NotARecord(0)));
    }
}
