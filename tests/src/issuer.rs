//! An identity provider of a test's own: a key, its JSON Web Key Set, and whatever tokens the test wants.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The issuer of every test's tokens.
pub const ISSUER: &str = "https://login.example/";
/// The resource that they are for.
pub const RESOURCE: &str = "https://lictor.example/mcp";

/// An identity provider.
#[derive(Debug)]
pub struct Issuer {
    key: Ed25519KeyPair,
    id: String,
}

impl Issuer {
    /// A provider with a new key of this identifier.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(id: &str) -> anyhow::Result<Self> {
        let key = Ed25519KeyPair::generate().map_err(|_| anyhow::anyhow!("no key"))?;
        Ok(Self { key, id: id.to_owned() })
    }

    /// Its public key.
    pub fn key(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "alg": "EdDSA", "x": x })
    }

    /// The bytes of its public key.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// Its key set.
    pub fn key_set(&self) -> String {
        json!({ "keys": [self.key()] }).to_string()
    }

    /// The claims of a good token.
    pub fn claims(user: &str, scope: &str) -> Value {
        let now = now();
        json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": user, "scope": scope, "iat": now, "exp": now + 600,
            "jti": format!("token-of-{user}"),
        })
    }

    /// A good token.
    pub fn token(&self, user: &str, scope: &str) -> String {
        self.sign(&self.header(), &Self::claims(user, scope))
    }

    /// The header of a good token.
    pub fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.id })
    }

    /// A token of this header and these claims, signed with this provider's key whatever they say.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// Header and claims, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
