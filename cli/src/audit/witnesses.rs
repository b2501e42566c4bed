//! Who else has seen this head: agents that keep it and would refuse another history. Each is counted once.

use std::{collections::BTreeMap, path::Path};

use lictor_certs::{
    checkpoint::Origin,
    cosignature::{Cosigned, WitnessKey, cosigners},
};
use serde::Deserialize;

use super::{Verified, flaw::Flaw};
use crate::trouble::Trouble;

/// The witnesses that the log itself names: the newest key of each agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrolled(BTreeMap<(String, String), WitnessKey>);

/// A record that names a witness.
#[derive(Debug, Deserialize)]
struct Named {
    site: String,
    agent: String,
    witness_key: String,
}

// === impl Enrolled ===

impl Enrolled {
    /// Takes a record of the kind `witness_enrolled`; `false` if it is not one.
    pub(crate) fn take(&mut self, content: &[u8]) -> bool {
        let named = serde_json::from_slice::<Named>(content).ok();
        let named = named.and_then(|n| Some(((n.site, n.agent), n.witness_key.parse().ok()?)));
        named.map(|(agent, key)| self.0.insert(agent, key)).is_some()
    }
    pub(crate) fn keys(self) -> Vec<WitnessKey> {
        self.0.into_values().collect()
    }
}

/// The witnesses that have cosigned the head that was verified: those that the log names, or those that are `pinned`.
pub(crate) fn of(
    verified: &Verified,
    origin: &Origin,
    pinned: Option<&[WitnessKey]>,
) -> Result<Vec<Cosigned>, Flaw> {
    let keys = pinned.unwrap_or(&verified.enrolled);
    cosigners(&verified.note, origin, &verified.head, keys).map_err(|e| Flaw::Checkpoint(e.to_string()))
}

/// Keys of witnesses from a file with one `NAME+ID+KEY` a line; empty lines and those that begin with `#` are passed over.
pub(crate) fn load(path: &Path) -> Result<Vec<WitnessKey>, Trouble> {
    let text = std::fs::read_to_string(path).map_err(|e| Trouble::file("read", path, &e))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let key = |(number, line): (usize, &str)| {
        line.parse().map_err(|e| {
            let message = format!("{}, line {}: {e}", path.display(), number + 1);
            Trouble::usage(message, "copy the keys from the records witness_enrolled (lictor audit tail)")
        })
    };
    lines.map(key).collect()
}

#[cfg(test)]
mod tests {
    use lictor_certs::{
        checkpoint::sign_checkpoint,
        cosignature::{cosign, with_cosignatures},
        signer::SigningKey,
    };
    use lictor_core::merkle::{Frontier, leaf_hash};

    use super::*;
    use crate::audit::replay::Replay;

    #[test]
    fn the_witnesses_that_the_log_names_are_counted_and_pinned_ones_instead_of_them() {
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let log = SigningKey::generate().unwrap();
        let keys: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate().unwrap()).collect();
        let named = |agent: &str, key: &SigningKey| WitnessKey {
            name: Origin::new(&format!("fleet.example/witness/acme/eu/{agent}")).unwrap(),
            key: key.public_key(),
        };
        let witnesses = [named("a", &keys[0]), named("b", &keys[1])];
        let record = |agent: &str, key: &WitnessKey| {
            format!(
                r#"{{"at":"1","kind":"witness_enrolled","site":"eu","agent":"{agent}","witness_key":"{key}"}}"#
            )
        };
        // The first key of `b` was replaced; what it signs counts no more.
        let replaced = named("b", &keys[2]);
        let records = [record("a", &witnesses[0]), record("b", &replaced), record("b", &witnesses[1])];
        let mut frontier = Frontier::default();
        let mut replay = Replay::new(&origin, vec![log.public_key()], None);
        for (index, content) in (0..).zip(&records) {
            frontier.push(leaf_hash(content.as_bytes()));
            replay.push(index, content.as_bytes(), None).unwrap();
        }
        let head = frontier.head();
        let lines: Vec<String> = witnesses
            .iter()
            .zip(&keys)
            .map(|(witness, key)| cosign(&origin, &head, &witness.name, key, 7))
            .chain([cosign(&origin, &head, &replaced.name, &keys[2], 7)])
            .collect();
        let verified = replay.finish(head).unwrap();
        let under = |lines: &[String]| {
            let note =
                with_cosignatures(&sign_checkpoint(&origin, &head, &log), lines.iter().map(String::as_str));
            verified.clone().under(&note, &origin).unwrap()
        };
        let count = |lines: &[String], pinned| of(&under(lines), &origin, pinned).unwrap().len();
        assert_eq!(count(&[], None), 0);
        assert_eq!(count(&lines[..1], None), 1);
        assert_eq!(count(&lines, None), 2);
        assert_eq!(count(&lines, Some(&witnesses[..1])), 1);
        assert_eq!(count(&lines, Some(&[])), 0);
        assert_eq!(count(&lines, Some(&[replaced])), 1);
    }
}
