//! A join token: what an operator carries from the controller to a new agent, once.
//!
//! Its text is `lictor-join-1.` and base64url of length-prefixed fields, the last one a check against slips of the
//! clipboard. What makes it trustworthy is its secret, of which the controller keeps the digest.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lictor_core::{
    digest::{Digest, Sha256Builder},
    id::TokenId,
    name::{AgentName, SiteName, TenantName},
    secret::Secret,
};
use zeroize::Zeroizing;

/// Bytes of a token's secret: nobody guesses it.
pub const SECRET_BYTES: usize = 32;
/// Longest text accepted, in bytes: the longest names and address fit.
pub const MAX_TOKEN_BYTES: usize = 2048;
/// Longest address, in bytes: the longest DNS name, a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 253 + 1 + 5;

const PREFIX: &str = "lictor-join-1.";
/// Bytes of the check at the end: one slip in four billion goes unnoticed, and is then refused by the controller.
const CHECK_BYTES: usize = 4;

/// What a new agent needs to enrol.
#[derive(Debug, Clone)]
pub struct JoinToken {
    /// The token's identifier, which is no secret.
    pub id: TokenId,
    /// What proves that the bearer was invited; [`SECRET_BYTES`] bytes.
    pub secret: Secret,
    /// The fingerprint of the only root that the agent may trust.
    pub root: Digest,
    /// The tenant that the agent will serve.
    pub tenant: TenantName,
    /// The site that the agent will serve.
    pub site: SiteName,
    /// The agent's name.
    pub agent: AgentName,
    /// The enrolment listener, `host:port`.
    pub address: String,
}

/// Text that is not a join token; it does not say where, because the text is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a join token, or one that was changed or cut; copy it again from `lictor-join-1.` to its end")]
pub struct InvalidToken;

/// A fresh secret for a token.
pub fn new_secret() -> Secret {
    Secret::new(rand::random::<[u8; SECRET_BYTES]>().to_vec())
}

/// What the controller keeps of a token's secret.
pub fn secret_digest(secret: &Secret) -> Digest {
    Sha256Builder::new("lictor join token v1").part(secret.expose()).finish()
}

// === impl JoinToken ===

impl JoinToken {
    /// The token as text. It is as secret as the secret in it.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::new());
        for field in [
            self.id.as_bytes().as_slice(),
            self.secret.expose(),
            self.root.as_bytes(),
            self.tenant.as_str().as_bytes(),
            self.site.as_str().as_bytes(),
            self.agent.as_str().as_bytes(),
            self.address.as_bytes(),
        ] {
            // Too long a field gives a length that no reader accepts.
            bytes.extend(u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(field);
        }
        let check = check(&bytes);
        bytes.extend(check);
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut fields, found) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        if found != check(fields) {
            return None;
        }
        let id = TokenId::from_bytes(take(&mut fields)?.try_into().ok()?);
        let secret = Secret::new(take(&mut fields)?.to_vec());
        let root = Digest::from_bytes(take(&mut fields)?.try_into().ok()?);
        let tenant = TenantName::new(take_text(&mut fields)?).ok()?;
        let site = SiteName::new(take_text(&mut fields)?).ok()?;
        let agent = AgentName::new(take_text(&mut fields)?).ok()?;
        let address = take_text(&mut fields)?.to_owned();
        let sound = secret.expose().len() == SECRET_BYTES
            && (1..=MAX_ADDRESS_BYTES).contains(&address.len())
            && address.bytes().all(|b| b.is_ascii_graphic())
            && fields.is_empty();
        sound.then_some(Self { id, secret, root, tenant, site, agent, address })
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let encoded = text.trim().strip_prefix(PREFIX).filter(|rest| rest.len() <= MAX_TOKEN_BYTES);
        let bytes = URL_SAFE_NO_PAD.decode(encoded.ok_or(InvalidToken)?).map_err(|_| InvalidToken)?;
        Self::decode(&Zeroizing::new(bytes)).ok_or(InvalidToken)
    }
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(field)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take(bytes)?).ok()
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let [a, b, c, d, ..] = *Sha256Builder::new("lictor join token check v1").part(bytes).finish().as_bytes();
    [a, b, c, d]
}

/// A token that can be shown: without its secret.
impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for agent {}/{} at {}", self.id, self.site, self.agent, self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            id: TokenId::from_bytes([7; 16]),
            secret: new_secret(),
            root: Digest::of(b"root"),
            tenant: TenantName::new("acme").unwrap(),
            site: SiteName::new("berlin").unwrap(),
            agent: AgentName::new("a-1").unwrap(),
            address: "controller.example:7444".to_owned(),
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = token();
        let back: JoinToken = token.to_text().parse().unwrap();
        assert_eq!(secret_digest(&back.secret), secret_digest(&token.secret));
        assert_eq!(
            (back.id, back.root, back.tenant, back.site, back.agent, back.address),
            (token.id, token.root, token.tenant, token.site, token.agent, token.address)
        );
    }

    #[test]
    fn a_token_that_was_changed_or_cut_is_refused() {
        let text = token().to_text();
        for at in 0..text.len() {
            let mut tampered = text.to_string().into_bytes();
            tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
            assert!(String::from_utf8(tampered).unwrap().parse::<JoinToken>().is_err(), "byte {at}");
            assert!(text[..at].parse::<JoinToken>().is_err(), "cut at {at}");
        }
        let long = JoinToken { address: "x".repeat(MAX_ADDRESS_BYTES + 1), ..token() };
        assert!(long.to_text().parse::<JoinToken>().is_err());
    }

    #[test]
    fn a_token_shown_keeps_its_secret() {
        let token = token();
        let shown = format!("{token} {token:?}");
        assert!(shown.contains("<secret>"));
        assert!(!shown.contains(&lictor_core::digest::Digest::of(token.secret.expose()).to_string()));
        assert!(!shown.contains(&format!("{:?}", token.secret.expose())));
    }
}
