//! Who: the identities that certificates carry, and the principals that ask for jobs.

use std::fmt;

use crate::name::{AgentName, PrincipalName, SiteName, TenantName};

/// What a certificate proves; the text form (a URI) is in `lictor-certs`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A controller.
    Controller {
        /// Its name.
        name: PrincipalName,
    },
    /// An agent of one site.
    Agent {
        /// The tenant it serves.
        tenant: TenantName,
        /// The site it serves.
        site: SiteName,
        /// Its name.
        name: AgentName,
    },
    /// A service account: the MCP bridge, a CI pipeline.
    Service {
        /// The tenant it acts in.
        tenant: TenantName,
        /// Its name.
        name: PrincipalName,
    },
    /// A person who operates the fleet.
    User {
        /// The tenant the person acts in.
        tenant: TenantName,
        /// The person's name.
        name: PrincipalName,
    },
}

/// The roles that RPCs are granted to; each identity has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs the API; calls nobody's.
    Controller,
    /// Runs grants at a site.
    Agent,
    /// Asks for jobs; may not administer.
    Service,
    /// Asks for jobs and administers.
    Operator,
}

/// Whether a principal is a person or a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A machine.
    Service,
}

/// Who asks for a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The tenant the principal acts in.
    pub tenant: TenantName,
    /// Person or machine.
    pub kind: PrincipalKind,
    /// The name.
    pub name: PrincipalName,
}

/// By which door a request came in, as the caller's client says it; it never adds authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Via {
    /// The `lictor` command.
    Cli,
    /// An MCP client through the bridge.
    Mcp,
    /// Another caller of the API.
    Api,
}

// === impl Identity ===

impl Identity {
    /// The role of this identity.
    pub const fn role(&self) -> Role {
        match self {
            Self::Controller { .. } => Role::Controller,
            Self::Agent { .. } => Role::Agent,
            Self::Service { .. } => Role::Service,
            Self::User { .. } => Role::Operator,
        }
    }

    /// The tenant it belongs to; a controller belongs to none.
    pub const fn tenant(&self) -> Option<&TenantName> {
        match self {
            Self::Controller { .. } => None,
            Self::Agent { tenant, .. } | Self::Service { tenant, .. } | Self::User { tenant, .. } => {
                Some(tenant)
            }
        }
    }

    /// The principal that this identity is, if it is one that may ask for jobs.
    pub fn principal(&self) -> Option<Principal> {
        let (tenant, kind, name) = match self {
            Self::Service { tenant, name } => (tenant, PrincipalKind::Service, name),
            Self::User { tenant, name } => (tenant, PrincipalKind::User, name),
            Self::Controller { .. } | Self::Agent { .. } => return None,
        };
        Some(Principal { tenant: tenant.clone(), kind, name: name.clone() })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller { name } => write!(f, "controller:{name}"),
            Self::Agent { site, name, .. } => write!(f, "agent:{site}/{name}"),
            Self::Service { name, .. } => write!(f, "service:{name}"),
            Self::User { name, .. } => write!(f, "user:{name}"),
        }
    }
}

// === impl Role ===

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Controller => "controller",
            Self::Agent => "agent",
            Self::Service => "service",
            Self::Operator => "operator",
        })
    }
}

// === impl Principal ===

impl PrincipalKind {
    /// The kind as it is written in files and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

// === impl Via ===

impl Via {
    /// The door as it is written in files and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Api => "api",
        }
    }
    /// The door with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Cli, Self::Mcp, Self::Api].into_iter().find(|v| v.as_str() == text)
    }
}
