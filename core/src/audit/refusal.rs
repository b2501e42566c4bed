//! What the log keeps of a site's refusal: the signed statement, with all that it takes to verify it anywhere.

use super::{
    Field, Fields,
    fields::{optional, text},
};
use crate::{
    digest::Digest,
    id::InvocationId,
    name::{AgentName, SiteName},
};

/// A statement whose signature and signer were verified when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRefusal {
    /// What was not started.
    pub invocation: InvocationId,
    /// The site.
    pub site: SiteName,
    /// The agent that signed.
    pub agent: AgentName,
    /// Why, as a code.
    pub code: String,
    /// Digest of the floor's file in force; `None`: the site had no floor.
    pub floor_digest: Option<Digest>,
    /// Digest of the exact bytes of the grant.
    pub grant_digest: Digest,
    /// The bytes that were signed, in base64.
    pub statement: String,
    /// The signature, in base64.
    pub signature: String,
    /// SHA-256 over the DER of the agent's certificate.
    pub agent_certificate: Digest,
    /// The agent's public key, SubjectPublicKeyInfo in DER, in base64.
    pub agent_key: String,
}

/// Evidence that proves nothing, or that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEvidence {
    /// What it came with the end of.
    pub invocation: InvocationId,
    /// The site of the session.
    pub site: SiteName,
    /// The agent of the session.
    pub agent: AgentName,
    /// What does not hold.
    pub why: String,
    /// The bytes that came as a statement, in base64; `None`: none came.
    pub statement: Option<String>,
    /// The signature that came, in base64.
    pub signature: Option<String>,
    /// SHA-256 over the certificate that came.
    pub agent_certificate: Option<Digest>,
}

// === impl SignedRefusal ===

impl SignedRefusal {
    pub(super) fn fields(&self) -> Fields {
        vec![
            ("invocation", text(self.invocation)),
            ("site", text(&self.site)),
            ("agent", text(&self.agent)),
            ("code", text(&self.code)),
            ("floor_digest", optional(self.floor_digest)),
            ("grant_digest", text(self.grant_digest)),
            ("statement", text(&self.statement)),
            ("signature", text(&self.signature)),
            ("agent_certificate", text(self.agent_certificate)),
            ("agent_key", text(&self.agent_key)),
        ]
    }
}

// === impl BadEvidence ===

impl BadEvidence {
    pub(super) fn fields(&self) -> Fields {
        vec![
            ("invocation", text(self.invocation)),
            ("site", text(&self.site)),
            ("agent", text(&self.agent)),
            ("why", Field::Text(self.why.clone())),
            ("statement", optional(self.statement.as_ref())),
            ("signature", optional(self.signature.as_ref())),
            ("agent_certificate", optional(self.agent_certificate)),
        ]
    }
}
