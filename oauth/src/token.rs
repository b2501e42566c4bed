//! A bearer token on its way through a process: it never prints.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use lictor_core::secret::Secret;

/// Longest token: several times what identity providers issue, and less than what a listener takes as headers.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A bearer token, unverified.
#[derive(Debug, Clone)]
pub struct BearerToken(Secret);

/// What is wrong with the `Authorization` of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoBearer {
    /// There is none.
    #[error("the request has no Authorization header")]
    Missing,
    /// It is there and is no bearer token.
    #[error("the Authorization header is not one bearer token")]
    Malformed,
}

// === impl BearerToken ===

impl BearerToken {
    /// The token of a request's only `Authorization` header (RFC 6750 §2.1). Other places are not looked at.
    ///
    /// # Errors
    /// [`NoBearer`].
    pub fn of(headers: &HeaderMap) -> Result<Self, NoBearer> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let first = all.next().ok_or(NoBearer::Missing)?;
        if all.next().is_some() {
            return Err(NoBearer::Malformed);
        }
        let text = first.to_str().map_err(|_| NoBearer::Malformed)?;
        let (scheme, token) = text.split_once(' ').ok_or(NoBearer::Malformed)?;
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        let token = token.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer")
            || token.is_empty()
            || token.len() > MAX_TOKEN_BYTES
            || !token.bytes().all(is_token)
        {
            return Err(NoBearer::Malformed);
        }
        Ok(Self(Secret::new(token.as_bytes().to_vec())))
    }
    /// The token's text, for the verifier and for the wire.
    pub fn expose(&self) -> &str {
        self.0.expose_str().unwrap_or_default()
    }
    /// The `Authorization` header that carries it; marked so that it is not logged or indexed.
    pub fn to_header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<String, NoBearer> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        BearerToken::of(&headers).map(|token| token.expose().to_owned())
    }

    #[test]
    fn one_header_with_one_bearer_token_and_nothing_else_is_a_token() {
        assert_eq!(of(&["Bearer a.b.c"]).as_deref(), Ok("a.b.c"));
        assert_eq!(of(&["bearer  a.b.c"]).as_deref(), Ok("a.b.c"));
        assert_eq!(of(&[]), Err(NoBearer::Missing));
        for bad in ["Basic a", "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "a.b.c"] {
            assert_eq!(of(&[bad]), Err(NoBearer::Malformed), "{bad}");
        }
        assert_eq!(of(&["Bearer a", "Bearer a"]), Err(NoBearer::Malformed));
        assert_eq!(of(&[&format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1))]), Err(NoBearer::Malformed));
    }

    #[test]
    fn a_token_never_prints() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer canary".parse().unwrap());
        let token = BearerToken::of(&headers).unwrap();
        let header = token.to_header().unwrap();
        assert!(!format!("{token:?} {header:?}").contains("canary"));
    }
}
