//! What a witness says of a checkpoint: when it saw it, and that it contradicts nothing that it saw before.
//!
//! Source: C2SP tlog-cosignature, `cosignature/v1` with Ed25519. A witness is named after its agent, and its name and
//! key together are a [`WitnessKey`], written as other verifiers want it.

use std::{fmt, str::FromStr};

use lictor_core::{
    merkle::TreeHead,
    name::{AgentName, SiteName, TenantName},
};

use crate::{
    checkpoint::{InvalidOrigin, Origin, body},
    identity::TrustDomain,
    note::{self, COSIGNATURE_TYPE, Line},
    signer::{PublicKey, Purpose, SIGNATURE_BYTES, SigningKey},
};

/// Bytes of the time before a signature.
const TIME_BYTES: usize = 8;
/// Longest signature line, in bytes: a name of the longest kind and a signature in base64.
pub const MAX_COSIGNATURE_BYTES: usize = 1024;

/// A witness: its name, and the key that it cosigns with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WitnessKey {
    /// `<trust domain>/witness/<tenant>/<site>/<agent>`.
    pub name: Origin,
    /// Its public key.
    pub key: PublicKey,
}

/// A cosignature that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// Whose it is.
    pub witness: Origin,
    /// When the witness made it, in seconds since 1970.
    pub at: u64,
}

/// Text that is not the key of a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a witness: expected NAME+ID+KEY, as the record witness_enrolled has it")]
pub struct InvalidWitnessKey;

/// A cosignature that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// Not a note, or not a signature line.
    #[error("it is not a cosigned checkpoint")]
    Malformed,
    /// It claims to be of a key and is not.
    #[error("the cosignature of {0} is false")]
    False(Origin),
}

/// The name of an agent as a witness.
///
/// # Errors
/// [`InvalidOrigin`]; names and domains have no character that it refuses.
pub fn witness_name(
    domain: &TrustDomain,
    tenant: &TenantName,
    site: &SiteName,
    agent: &AgentName,
) -> Result<Origin, InvalidOrigin> {
    Origin::new(&format!("{}/witness/{tenant}/{site}/{agent}", domain.as_str()))
}

/// Signs that the witness `name` saw `head` of the log `origin` at `seconds` since 1970. Gives the line for the note.
pub fn cosign(origin: &Origin, head: &TreeHead, name: &Origin, key: &SigningKey, seconds: u64) -> String {
    let signature = key.sign(Purpose::Cosignature, signed_text(origin, head, seconds).as_bytes());
    let timed = [seconds.to_be_bytes().as_slice(), &signature].concat();
    note::line(name, note::key_id(name, COSIGNATURE_TYPE, &key.public_key()), &timed)
}

/// Checks one signature line for `head` of the log `origin`.
///
/// # Errors
/// [`CosignatureError`] when it is not one of `witness`, or is false.
pub fn verify_cosignature(
    line: &str,
    origin: &Origin,
    head: &TreeHead,
    witness: &WitnessKey,
) -> Result<Cosigned, CosignatureError> {
    let line = Some(line).filter(|line| line.len() <= MAX_COSIGNATURE_BYTES).and_then(note::parse);
    let line = line.filter(|line| witness.signed(line)).ok_or(CosignatureError::Malformed)?;
    witness.verify(&line, origin, head)
}

/// Which of `witnesses` have cosigned `note`, a checkpoint of `origin` that says `head`; each is counted once.
/// Signatures of others are passed over.
///
/// # Errors
/// [`CosignatureError`] when a line claims to be of one of them and is false.
pub fn cosigners(
    note: &str,
    origin: &Origin,
    head: &TreeHead,
    witnesses: &[WitnessKey],
) -> Result<Vec<Cosigned>, CosignatureError> {
    let (_, lines) = note::split(note).ok_or(CosignatureError::Malformed)?;
    let mut found: Vec<Cosigned> = Vec::new();
    for line in &lines {
        let Some(witness) = witnesses.iter().find(|witness| witness.signed(line)) else { continue };
        let cosigned = witness.verify(line, origin, head)?;
        if !found.iter().any(|other| other.witness == cosigned.witness) {
            found.push(cosigned);
        }
    }
    Ok(found)
}

/// `note` with these signature lines at its end; those that it has already are not put there twice.
pub fn with_cosignatures<'a>(note: &str, lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = note.to_owned();
    for line in lines {
        if !note.lines().any(|known| known == line) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn signed_text(origin: &Origin, head: &TreeHead, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{}", body(origin, head))
}

// === impl WitnessKey ===

impl WitnessKey {
    fn signed(&self, line: &Line<'_>) -> bool {
        line.name == self.name.as_str()
            && line.key_id == note::key_id(&self.name, COSIGNATURE_TYPE, &self.key)
    }

    fn verify(
        &self,
        line: &Line<'_>,
        origin: &Origin,
        head: &TreeHead,
    ) -> Result<Cosigned, CosignatureError> {
        let wrong = || CosignatureError::False(self.name.clone());
        let (time, signature) = line.signature.split_first_chunk::<TIME_BYTES>().ok_or_else(wrong)?;
        let at = u64::from_be_bytes(*time);
        let text = signed_text(origin, head, at);
        let held = signature.len() == SIGNATURE_BYTES
            && self.key.verify(Purpose::Cosignature, text.as_bytes(), signature).is_ok();
        if held { Ok(Cosigned { witness: self.name.clone(), at }) } else { Err(wrong()) }
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&note::verifier_key(&self.name, COSIGNATURE_TYPE, &self.key))
    }
}

impl FromStr for WitnessKey {
    type Err = InvalidWitnessKey;
    fn from_str(text: &str) -> Result<Self, InvalidWitnessKey> {
        let (name, key) = note::parse_verifier_key(text, COSIGNATURE_TYPE).ok_or(InvalidWitnessKey)?;
        Ok(Self { name, key })
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::digest::Digest;

    use super::*;
    use crate::checkpoint::{sign_checkpoint, verify_checkpoint};

    #[test]
    fn cosignatures_stand_beside_the_logs_own_and_are_counted_once_each() {
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let head = TreeHead { size: 7, root: Digest::of(b"root") };
        let log = SigningKey::generate().unwrap();
        let keys = [SigningKey::generate().unwrap(), SigningKey::generate().unwrap()];
        let names =
            ["eu-1", "us-1"].map(|a| Origin::new(&format!("fleet.example/witness/acme/x/{a}")).unwrap());
        let witnesses: Vec<WitnessKey> = (keys.iter().zip(&names))
            .map(|(key, name)| WitnessKey { name: name.clone(), key: key.public_key() })
            .collect();
        let lines: Vec<String> =
            (keys.iter().zip(&names)).map(|(key, name)| cosign(&origin, &head, name, key, 99)).collect();
        let again = cosign(&origin, &head, &names[0], &keys[0], 100);
        let note = with_cosignatures(
            &sign_checkpoint(&origin, &head, &log),
            [lines[0].as_str(), &lines[1], &again, &lines[0]],
        );
        assert_eq!(verify_checkpoint(&note, &origin, &log.public_key()), Ok(head));
        let found = cosigners(&note, &origin, &head, &witnesses).unwrap();
        assert_eq!(found.iter().map(|c| c.at).collect::<Vec<_>>(), [99, 99]);
        assert_eq!(cosigners(&note, &origin, &head, &witnesses[1..]).unwrap().len(), 1);
        assert_eq!(verify_cosignature(&lines[0], &origin, &head, &witnesses[0]), Ok(found[0].clone()));

        // Of another head, of another witness, or with another time.
        let other = TreeHead { size: 8, ..head };
        let wrong = CosignatureError::False(names[0].clone());
        assert_eq!(cosigners(&note, &origin, &other, &witnesses), Err(wrong.clone()));
        let theirs = verify_cosignature(&lines[1], &origin, &head, &witnesses[0]);
        assert_eq!(theirs, Err(CosignatureError::Malformed));
        let mut line = note::parse(&lines[0]).unwrap();
        line.signature[7] ^= 1;
        let moved = note::line(&names[0], line.key_id, &line.signature);
        assert_eq!(verify_cosignature(&moved, &origin, &head, &witnesses[0]), Err(wrong));
    }

    #[test]
    fn the_key_of_a_witness_is_read_in_its_one_form() {
        let (name, key) = (Origin::new("a/witness/t/s/x").unwrap(), SigningKey::generate().unwrap());
        let witness = WitnessKey { name: name.clone(), key: key.public_key() };
        assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
        let as_log = note::verifier_key(&name, note::ED25519_TYPE, &witness.key);
        for bad in ["", "a+b+c", &as_log, &format!("{witness} "), &witness.to_string().replace("/x", "/y")] {
            assert_eq!(bad.parse::<WitnessKey>(), Err(InvalidWitnessKey), "{bad}");
        }
    }
}
