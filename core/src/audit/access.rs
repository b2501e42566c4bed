//! What the log says of who came, who was turned away, and what a controller was told to be.

use std::net::IpAddr;

use super::{
    Field, Fields,
    fields::{optional, text},
};
use crate::{
    digest::Digest,
    error::ErrorCode,
    id::TokenId,
    name::{AgentName, SiteName},
    principal::{Identity, Principal},
};

/// Somebody came, or was turned away; or a controller began with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessEvent {
    /// A person or a service proved who they are. Once per hour for each, from each address and with each certificate.
    LoggedIn {
        /// Whose certificate.
        identity: Identity,
        /// Serial number of the certificate, hexadecimal.
        serial: String,
        /// The user whose token the service brought, and the name of the token.
        user: Option<(Principal, String)>,
        /// Where the connection comes from.
        address: IpAddr,
    },
    /// Calls were refused because of who called.
    CallRefused {
        /// The identity of the caller's certificate; `None` for callers who have none, and for those of whom there were too
        /// many to name each.
        identity: Option<Identity>,
        /// The user for whom a service called.
        user: Option<Principal>,
        /// The method called.
        method: String,
        /// What was answered.
        code: ErrorCode,
        /// How many such calls this record stands for.
        count: u64,
    },
    /// Agents could not join.
    EnrolmentRefused {
        /// The token, if it is one of this controller's.
        token: Option<TokenId>,
        /// The site and the agent for which it was made.
        agent: Option<(SiteName, AgentName)>,
        /// What is wrong; whoever tried is not told.
        code: JoinRefusal,
        /// Where it came from; `None` for those of which there were too many to name each.
        address: Option<IpAddr>,
        /// How many attempts this record stands for.
        count: u64,
    },
    /// The settings with which a controller starts.
    ConfigurationLoaded {
        /// The controller.
        name: String,
        /// Digest of the settings, as `settings` has them, each followed by a line end.
        digest: Digest,
        /// The settings in effect, `NAME=VALUE`, in the order of the names. None is a secret.
        settings: Vec<String>,
        /// The names of those that are not as at the start before; `None` at the first start.
        changed: Option<Vec<String>>,
    },
}

/// Why an agent could not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinRefusal {
    /// No token of that name was made here.
    UnknownToken,
    /// The token is not this one: its secret is another.
    WrongSecret,
    /// An agent has joined with it.
    Spent,
    /// Its time is over.
    Expired,
    /// The agent was revoked after it was made.
    Revoked,
    /// The token is good, and what came with it is no request for a certificate.
    BadRequest,
}

// === impl AccessEvent ===

impl AccessEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LoggedIn { .. } => "logged_in",
            Self::CallRefused { .. } => "call_refused",
            Self::EnrolmentRefused { .. } => "enrolment_refused",
            Self::ConfigurationLoaded { .. } => "configuration_loaded",
        }
    }

    pub(super) fn fields(&self) -> Fields {
        match self {
            Self::LoggedIn { identity, serial, user, address } => {
                let mut fields = vec![("identity", text(identity)), ("serial", text(serial))];
                if let Some((user, token)) = user {
                    fields.extend([("principal", text(user)), ("token", text(token))]);
                }
                fields.push(("address", text(address)));
                fields
            }
            Self::CallRefused { identity, user, method, code, count } => {
                let mut fields = vec![("identity", optional(identity.as_ref()))];
                fields.extend(user.as_ref().map(|user| ("principal", text(user))));
                fields.extend([
                    ("method", text(method)),
                    ("code", text(code.as_str())),
                    ("count", Field::Number(*count)),
                ]);
                fields
            }
            Self::EnrolmentRefused { token, agent, code, address, count } => vec![
                ("token", optional(token.as_ref())),
                ("site", optional(agent.as_ref().map(|(site, _)| site))),
                ("agent", optional(agent.as_ref().map(|(_, agent)| agent))),
                ("code", text(code.as_str())),
                ("address", optional(address.as_ref())),
                ("count", Field::Number(*count)),
            ],
            Self::ConfigurationLoaded { name, digest, settings, changed } => vec![
                ("name", text(name)),
                ("configuration_digest", text(digest)),
                ("settings", Field::List(settings.clone())),
                ("changed", changed.clone().map_or(Field::Absent, Field::List)),
            ],
        }
    }
}

// === impl JoinRefusal ===

impl JoinRefusal {
    /// The code, as it is written in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownToken => "TOKEN_UNKNOWN",
            Self::WrongSecret => "TOKEN_SECRET_WRONG",
            Self::Spent => "TOKEN_SPENT",
            Self::Expired => "TOKEN_EXPIRED",
            Self::Revoked => "TOKEN_REVOKED",
            Self::BadRequest => "REQUEST_INVALID",
        }
    }
}
