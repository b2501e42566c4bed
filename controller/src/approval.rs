//! Who else: from a [`Permit`] to [`Approved`].
//!
//! The policy language has no effect yet that asks for another person, so every permit is approved by policy alone;
//! what dispatches still demands this type, so that a verdict cannot be forgotten once there is one.

use crate::authz::Permit;

/// Proof that everyone whose consent is needed has given it.
#[derive(Debug)]
pub struct Approved(Permit);

impl Approved {
    /// Approves what policy permits without asking anyone.
    pub const fn by_policy(permit: Permit) -> Self {
        Self(permit)
    }
    /// What was permitted.
    pub const fn permit(&self) -> &Permit {
        &self.0
    }
}
