//! The keys of an authorization server: a JSON Web Key Set (RFC 7517), read down to what may verify a token here.

use std::{collections::BTreeSet, fmt};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;

/// Most keys of a set: providers publish two or three; a larger set is a mistake or an attack.
pub const MAX_KEYS: usize = 64;
/// Longest set, as text.
pub const MAX_SET_BYTES: usize = 256 * 1024;
/// Shortest RSA modulus in bytes: 2048 bits (RFC 7518 §3.3).
const MIN_RSA_BYTES: usize = 256;
/// Longest RSA modulus in bytes, so that a signature's check stays cheap.
const MAX_RSA_BYTES: usize = 1024;

/// The keys that may verify tokens.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Text that is no usable key set.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySet {
    /// Too long.
    #[error("the key set is longer than {MAX_SET_BYTES} bytes")]
    TooLong,
    /// Not a JWK set.
    #[error("the key set is not a JSON Web Key Set")]
    Malformed(#[from] serde_json::Error),
    /// Too many keys.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// No key that may be used.
    #[error("the key set has no key for EdDSA (Ed25519), ES256 or RS256 (2048 bits or more)")]
    NoneUsable,
}

/// The set as it is written; a key that is not understood must not spoil the others (RFC 7517 §5).
#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

// === impl KeySet ===

impl KeySet {
    /// Reads a set. Keys for encryption, of other algorithms, symmetric or too weak are left out.
    ///
    /// # Errors
    /// [`InvalidKeySet`].
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKeySet> {
        if text.len() > MAX_SET_BYTES {
            return Err(InvalidKeySet::TooLong);
        }
        let Written { keys } = serde_json::from_slice(text)?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidKeySet::TooMany);
        }
        let keys: Vec<Key> = keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok().as_ref().and_then(Key::of))
            .collect();
        if keys.is_empty() { Err(InvalidKeySet::NoneUsable) } else { Ok(Self { keys }) }
    }

    /// The key for a token: by its identifier, or the only one of its algorithm if the token names none. The algorithm is
    /// the key's own; a token cannot choose another for it.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)).map(|key| &key.key),
            None => match (fitting.next(), fitting.next()) {
                (Some(only), None) => Some(&only.key),
                _ => None,
            },
        }
    }

    /// Whether there is no key at all, as before the first fetch.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The identifiers of its keys.
    pub fn ids(&self) -> BTreeSet<&str> {
        self.keys.iter().filter_map(|key| key.id.as_deref()).collect()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySet").field(&self.ids()).finish()
    }
}

// === impl Key ===

impl Key {
    fn of(jwk: &Jwk) -> Option<Self> {
        if jwk.common.public_key_use.as_ref().is_some_and(|u| *u != PublicKeyUse::Signature) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(p) if p.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            AlgorithmParameters::EllipticCurve(p) if p.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::RSA(_) if strong_enough(&key) => Algorithm::RS256,
            _ => return None,
        };
        // A key that says another algorithm is for that one alone.
        if jwk.common.key_algorithm.is_some_and(|said| said.to_string() != name(algorithm)) {
            return None;
        }
        Some(Self { id: jwk.common.key_id.clone(), algorithm, key })
    }
}

fn strong_enough(key: &DecodingKey) -> bool {
    match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => {
            let significant = n.iter().skip_while(|byte| **byte == 0).count();
            (MIN_RSA_BYTES..=MAX_RSA_BYTES).contains(&significant)
        }
        jsonwebtoken::DecodingKeyKind::SecretOrDer(_) => false,
    }
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EdDSA => "EdDSA",
        Algorithm::ES256 => "ES256",
        _ => "RS256",
    }
}
