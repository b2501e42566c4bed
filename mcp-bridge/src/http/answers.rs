//! The answers that the listener gives itself: challenges, refusals, and the description of the protected resource.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use lictor_oauth::{scope::Scope, token::NoBearer, verify::TokenError};
use serde_json::json;

use super::{config::ENDPOINT, message::NotTaken};

/// Where the description of the protected resource is (RFC 9728 §3.1); with the endpoint's path behind it, too.
pub(super) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// Seconds after which somebody who has too much running may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An answer.
pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The protected resource, for challenges and its description.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    metadata_url: String,
    metadata: Bytes,
}

/// An answer with a text for people.
pub(super) fn text(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{text}\n"))).boxed());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The answer to a message that is not taken, as JSON-RPC has it.
pub(super) fn not_taken(why: NotTaken) -> Answer {
    let code = if why == NotTaken::NotOne { -32700 } else { -32600 };
    let error =
        json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": why.to_string() } });
    let mut answer = text(why.status(), "");
    *answer.body_mut() = Full::new(Bytes::from(error.to_string())).boxed();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if why == NotTaken::TooLong {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// The answer to somebody who has too much running.
pub(super) fn too_much(status: StatusCode, what: &str) -> Answer {
    let mut answer = text(status, what);
    answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    answer
}

// === impl Resource ===

impl Resource {
    /// The resource at `url`, for which `issuer` makes tokens.
    pub(super) fn new(url: &str, issuer: &str) -> Self {
        let base = url.strip_suffix(ENDPOINT).unwrap_or(url);
        let metadata = json!({
            "resource": url,
            "authorization_servers": [issuer],
            "scopes_supported": Scope::ALL.map(Scope::as_str),
            "bearer_methods_supported": ["header"],
            "resource_name": "Lictor",
        });
        Self {
            metadata_url: format!("{base}{WELL_KNOWN}{ENDPOINT}"),
            metadata: Bytes::from(metadata.to_string()),
        }
    }

    /// The description (RFC 9728 §3.2): public, as it says nothing that a client does not need before it has a token.
    pub(super) fn description(&self) -> Answer {
        let mut answer = text(StatusCode::OK, "");
        *answer.body_mut() = Full::new(self.metadata.clone()).boxed();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    /// The challenge to a request without a usable `Authorization` (RFC 6750 §3.1: without an error code if there is none).
    pub(super) fn no_token(&self, why: NoBearer, scope: Scope) -> Answer {
        match why {
            NoBearer::Missing => self.challenge(StatusCode::UNAUTHORIZED, "", scope, &why.to_string()),
            NoBearer::Malformed => self.challenge(
                StatusCode::BAD_REQUEST,
                "error=\"invalid_request\", ",
                scope,
                &why.to_string(),
            ),
        }
    }

    /// The challenge to a token that proves nothing.
    pub(super) fn bad_token(&self, why: &TokenError, scope: Scope) -> Answer {
        if *why == TokenError::NoKeys {
            return too_much(StatusCode::SERVICE_UNAVAILABLE, &why.to_string());
        }
        // The texts of these errors are fixed but for a claim's name, which the configuration has.
        let error =
            format!("error=\"invalid_token\", error_description=\"{}\", ", quotable(&why.to_string()));
        self.challenge(StatusCode::UNAUTHORIZED, &error, scope, &why.to_string())
    }

    /// The challenge to a token that proves a user who has not permitted this.
    pub(super) fn lacks(&self, scope: Scope) -> Answer {
        let what = format!("the token has not the scope {scope}");
        self.challenge(StatusCode::FORBIDDEN, "error=\"insufficient_scope\", ", scope, &what)
    }

    fn challenge(&self, status: StatusCode, error: &str, scope: Scope, what: &str) -> Answer {
        let mut answer = text(status, what);
        let value = format!("Bearer {error}scope=\"{scope}\", resource_metadata=\"{}\"", self.metadata_url);
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        answer
    }
}

/// Without what ends a quoted string.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()).collect()
}
