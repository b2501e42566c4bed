//! What the log says of its witnesses and of its own key.

use super::{
    Field, Fields,
    fields::{optional, text},
};
use crate::{
    merkle::TreeHead,
    name::{AgentName, SiteName},
};

/// An agent as a witness of the log, or the key of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessEvent {
    /// An agent named the key with which it cosigns checkpoints, for the first time or another one.
    Enrolled {
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// Name and public key, as other verifiers want them (C2SP `NAME+ID+KEY`).
        key: String,
        /// The key that it had before.
        replaces: Option<String>,
    },
    /// An agent holds a head that this log contradicts: it takes no new work.
    Refused {
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// The head that the agent holds.
        known: TreeHead,
        /// The head that it was shown.
        shown: TreeHead,
        /// What does not fit.
        reason: String,
    },
    /// Somebody at the site let an agent go on from a head that contradicts the one it held.
    Resolved {
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// The head that the agent held.
        known: TreeHead,
        /// The head that it goes on from.
        accepted: TreeHead,
        /// The login with which it was done, as the agent's machine says.
        by: String,
    },
    /// Another key signs the log from now on.
    KeyRotated {
        /// The public key that signed until now, in base64.
        old_key: String,
        /// The public key that signs from now on, in base64.
        new_key: String,
        /// That the old key says so: a signed note.
        statement: String,
    },
}

// === impl WitnessEvent ===

impl WitnessEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Enrolled { .. } => "witness_enrolled",
            Self::Refused { .. } => "witness_refused",
            Self::Resolved { .. } => "witness_resolved",
            Self::KeyRotated { .. } => "log_key_rotated",
        }
    }

    pub(super) fn fields(&self) -> Fields {
        match self {
            Self::Enrolled { site, agent, key, replaces } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("witness_key", text(key)),
                ("replaces", optional(replaces.as_ref())),
            ],
            Self::Refused { site, agent, known, shown, reason } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("known_size", Field::Number(known.size)),
                ("known_root", text(known.root)),
                ("shown_size", Field::Number(shown.size)),
                ("shown_root", text(shown.root)),
                ("reason", text(reason)),
            ],
            Self::Resolved { site, agent, known, accepted, by } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("known_size", Field::Number(known.size)),
                ("known_root", text(known.root)),
                ("accepted_size", Field::Number(accepted.size)),
                ("accepted_root", text(accepted.root)),
                ("by", text(by)),
            ],
            Self::KeyRotated { old_key, new_key, statement } => {
                vec![("old_key", text(old_key)), ("new_key", text(new_key)), ("statement", text(statement))]
            }
        }
    }
}
