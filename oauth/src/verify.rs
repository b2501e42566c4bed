//! From a bearer token to what it proves: signature, issuer, audience, time; then the user and the scopes.

use std::{collections::HashSet, fmt, sync::Arc};

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use lictor_core::{digest::Digest, name::PrincipalName};
use serde_json::{Map, Value};

use crate::{keys::KeySet, scope::Scopes, source::LiveKeys, token::BearerToken};

/// What clocks of servers may differ.
const LEEWAY_SECONDS: u64 = 30;
/// Longest identifier of a token that is recorded as it is; a longer one by its digest.
const MAX_TOKEN_ID: usize = 64;

/// Verifies the tokens of one issuer for one audience.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    user_claim: String,
    keys: Arc<LiveKeys>,
}

/// What a token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The user that it names.
    pub user: PrincipalName,
    /// What the user let the client do.
    pub scopes: Scopes,
    /// Its identifier, for the audit: `jti`, or the digest of the token.
    pub token_id: String,
}

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT, or with header fields that have to be understood and are not.
    #[error("the token is not a JSON Web Token that can be read")]
    Malformed,
    /// Another algorithm than those allowed.
    #[error("the token is not signed with EdDSA, ES256 or RS256")]
    Algorithm,
    /// No key of the issuer has signed it.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature of the token is wrong")]
    Signature,
    /// Expired.
    #[error("the token has expired")]
    Expired,
    /// Not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// Of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is meant for another resource")]
    Audience,
    /// Without a claim that is needed, or with one of the wrong form.
    #[error("the token has no usable claim {0:?}")]
    Claim(String),
    /// There are no keys to verify it with.
    #[error("the keys of the issuer are not at hand")]
    NoKeys,
}

// === impl Verifier ===

impl Verifier {
    /// A verifier of tokens that `issuer` made for `audience`; the user's name is the claim `user_claim`.
    pub fn new(issuer: &str, audience: &str, user_claim: &str, keys: Arc<LiveKeys>) -> Self {
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Self { issuer, audience, user_claim: user_claim.to_owned(), keys }
    }

    /// Proves a token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(&self, token: &BearerToken) -> Result<Verified, TokenError> {
        let text = token.expose();
        // An algorithm that the library does not know, such as `none`, makes it no token.
        let header = decode_header(text).map_err(|_| TokenError::Malformed)?;
        check_header(&header)?;
        let keys = self.keys.current();
        match self.claims(text, &header, &keys) {
            Err(TokenError::UnknownKey | TokenError::NoKeys) => {
                let keys = self.keys.after_a_miss().await;
                let claims = self.claims(text, &header, &keys)?;
                self.proven(text, &claims)
            }
            claims => self.proven(text, &claims?),
        }
    }

    fn claims(&self, text: &str, header: &Header, keys: &KeySet) -> Result<Map<String, Value>, TokenError> {
        if keys.is_empty() {
            return Err(TokenError::NoKeys);
        }
        let key = keys.find(header.kid.as_deref(), header.alg).ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(str::to_owned));
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let decoded = decode::<Map<String, Value>>(text, key, &validation);
        let claims = decoded.map_err(|error| refusal(error.kind()))?.claims;
        // One issuer, as text: a list of issuers is no issuer (RFC 7519 §4.1.1).
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(TokenError::Issuer);
        }
        Ok(claims)
    }

    fn proven(&self, text: &str, claims: &Map<String, Value>) -> Result<Verified, TokenError> {
        let claim = |name: &str| claims.get(name).and_then(Value::as_str);
        let user = claim(&self.user_claim).and_then(|name| PrincipalName::new(name).ok());
        let user = user.ok_or_else(|| TokenError::Claim(self.user_claim.clone()))?;
        let scopes = Scopes::parse(claim("scope").unwrap_or_default());
        let plain = |id: &&str| {
            !id.is_empty() && id.len() <= MAX_TOKEN_ID && id.bytes().all(|b| b.is_ascii_graphic())
        };
        let token_id = claim("jti").filter(plain).map(str::to_owned);
        let token_id = token_id.unwrap_or_else(|| Digest::of(text.as_bytes()).to_string());
        Ok(Verified { user, scopes, token_id })
    }
}

/// Refuses algorithms that are not pinned, and headers that would have to be understood.
fn check_header(header: &Header) -> Result<(), TokenError> {
    if !matches!(header.alg, Algorithm::EdDSA | Algorithm::ES256 | Algorithm::RS256) {
        return Err(TokenError::Algorithm);
    }
    // RFC 7515 §4.1.11, RFC 9068 §2.1: nothing critical is understood, and other kinds of tokens are other things.
    let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
    if header.crit.is_some() || !matches!(kind.as_str(), "jwt" | "at+jwt" | "application/at+jwt") {
        return Err(TokenError::Malformed);
    }
    Ok(())
}

fn refusal(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYet,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        ErrorKind::MissingRequiredClaim(name) | ErrorKind::InvalidClaimFormat(name) => {
            TokenError::Claim(name.clone())
        }
        _ => TokenError::Malformed,
    }
}

// === impl Verified ===

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user:{}", self.user)
    }
}
