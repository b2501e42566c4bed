//! Who brings a user's request: a service that the user's own token let act for the user.

use crate::name::PrincipalName;

/// The service that brought a request, and the token by which the user was proved (RFC 8693 calls it the actor).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The service, as its certificate names it.
    pub service: PrincipalName,
    /// Identifier of the token; never the token.
    pub token: String,
}
