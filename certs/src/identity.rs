//! The text form of an identity: a SPIFFE URI inside one trust domain.
//!
//! Source: SPIFFE-ID §2. The path is `controller/<name>`, `tenant/<t>/agent/<site>/<name>`,
//! `tenant/<t>/service/<name>` or `tenant/<t>/user/<name>`; anything else is nobody.

use std::{fmt, str::FromStr, sync::Arc};

use lictor_core::{
    name::{AgentName, InvalidName, PrincipalName, SiteName, TenantName},
    principal::Identity,
};

/// Longest trust domain in bytes: the longest DNS name.
const MAX_DOMAIN_BYTES: usize = 253;
/// Longest label of a trust domain in bytes: the longest DNS label.
const MAX_LABEL_BYTES: usize = 63;

/// The domain within which identities are unique, such as `fleet.example`; in form a lower-case DNS name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TrustDomain(Arc<str>);

/// Text that cannot be a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trust domain: expected a lower-case DNS name such as fleet.example")]
pub struct InvalidTrustDomain;

/// A URI that is not an identity of the trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidIdentity {
    /// Not of the form `spiffe://<trust domain>/…`.
    #[error("the identity is not a spiffe:// URI")]
    NotSpiffe,
    /// The part after `spiffe://` is no trust domain.
    #[error(transparent)]
    Domain(#[from] InvalidTrustDomain),
    /// Another trust domain.
    #[error("the identity belongs to the trust domain {found}, not to {expected}")]
    OtherDomain {
        /// The domain that was found.
        found: TrustDomain,
        /// The domain that was expected.
        expected: TrustDomain,
    },
    /// A path that no kind of identity has.
    #[error("the path of the identity names no controller, agent, service or user")]
    UnknownPath,
    /// A name in the path is not valid.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// The URI of an identity.
pub fn to_uri(identity: &Identity, domain: &TrustDomain) -> String {
    match identity {
        Identity::Controller { name } => format!("spiffe://{domain}/controller/{name}"),
        Identity::Agent { tenant, site, name } => {
            format!("spiffe://{domain}/tenant/{tenant}/agent/{site}/{name}")
        }
        Identity::Service { tenant, name } => format!("spiffe://{domain}/tenant/{tenant}/service/{name}"),
        Identity::User { tenant, name } => format!("spiffe://{domain}/tenant/{tenant}/user/{name}"),
    }
}

/// The identity of a URI in `domain`.
///
/// # Errors
/// For everything that [`to_uri`] would not have made with this domain.
pub fn parse_uri(uri: &str, domain: &TrustDomain) -> Result<Identity, InvalidIdentity> {
    let (found, identity) = parse_any(uri)?;
    if found == *domain {
        Ok(identity)
    } else {
        Err(InvalidIdentity::OtherDomain { found, expected: domain.clone() })
    }
}

/// The identity of a URI and its trust domain, for those who do not know the domain beforehand.
///
/// # Errors
/// For everything that [`to_uri`] would not have made.
pub fn parse_any(uri: &str) -> Result<(TrustDomain, Identity), InvalidIdentity> {
    let rest = uri.strip_prefix("spiffe://").ok_or(InvalidIdentity::NotSpiffe)?;
    let (domain, path) = rest.split_once('/').ok_or(InvalidIdentity::UnknownPath)?;
    let domain = TrustDomain::new(domain)?;
    let segments: Vec<&str> = path.split('/').collect();
    let identity = match segments.as_slice() {
        ["controller", name] => Identity::Controller { name: PrincipalName::new(name)? },
        ["tenant", tenant, "agent", site, name] => Identity::Agent {
            tenant: TenantName::new(tenant)?,
            site: SiteName::new(site)?,
            name: AgentName::new(name)?,
        },
        ["tenant", tenant, "service", name] => {
            Identity::Service { tenant: TenantName::new(tenant)?, name: PrincipalName::new(name)? }
        }
        ["tenant", tenant, "user", name] => {
            Identity::User { tenant: TenantName::new(tenant)?, name: PrincipalName::new(name)? }
        }
        _ => return Err(InvalidIdentity::UnknownPath),
    };
    Ok((domain, identity))
}

// === impl TrustDomain ===

impl TrustDomain {
    /// Checks `text` and makes it a trust domain.
    ///
    /// # Errors
    /// When it is not a lower-case DNS name.
    pub fn new(text: &str) -> Result<Self, InvalidTrustDomain> {
        let label_ok = |label: &str| {
            (1..=MAX_LABEL_BYTES).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= MAX_DOMAIN_BYTES && text.split('.').all(label_ok) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidTrustDomain)
        }
    }
    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidTrustDomain;
    fn from_str(text: &str) -> Result<Self, InvalidTrustDomain> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_survives_its_uri() {
        let domain = TrustDomain::new("fleet.example").unwrap();
        let tenant = TenantName::new("acme").unwrap();
        let name = PrincipalName::new("alice").unwrap();
        for (identity, uri) in [
            (Identity::Controller { name: name.clone() }, "spiffe://fleet.example/controller/alice"),
            (
                Identity::Agent {
                    tenant: tenant.clone(),
                    site: SiteName::new("berlin").unwrap(),
                    name: AgentName::new("a-1").unwrap(),
                },
                "spiffe://fleet.example/tenant/acme/agent/berlin/a-1",
            ),
            (
                Identity::Service { tenant: tenant.clone(), name: name.clone() },
                "spiffe://fleet.example/tenant/acme/service/alice",
            ),
            (Identity::User { tenant, name }, "spiffe://fleet.example/tenant/acme/user/alice"),
        ] {
            assert_eq!(to_uri(&identity, &domain), uri);
            assert_eq!(parse_uri(uri, &domain), Ok(identity));
        }
    }

    #[test]
    fn any_other_uri_is_nobody() {
        let domain = TrustDomain::new("fleet.example").unwrap();
        for bad in [
            "",
            "https://fleet.example/controller/a",
            "SPIFFE://fleet.example/controller/a",
            "spiffe://fleet.example",
            "spiffe://fleet.example/",
            "spiffe:///controller/a",
            "spiffe://fleet.example/controller",
            "spiffe://fleet.example/controller/",
            "spiffe://fleet.example/controller/a/",
            "spiffe://fleet.example/controller/a/b",
            "spiffe://fleet.example//controller/a",
            "spiffe://fleet.example/Controller/a",
            "spiffe://fleet.example/controller/..",
            "spiffe://fleet.example/controller/%61",
            "spiffe://fleet.example/controller/a?x=1",
            "spiffe://fleet.example/controller/a#x",
            "spiffe://fleet.example:443/controller/a",
            "spiffe://user@fleet.example/controller/a",
            "spiffe://fleet.example./controller/a",
            "spiffe://FLEET.example/controller/a",
            "spiffe://other.example/controller/a",
            "spiffe://fleet.example.evil/controller/a",
            "spiffe://fleet.example/tenant/acme/agent/a",
            "spiffe://fleet.example/tenant/acme/agent/berlin/a/b",
            "spiffe://fleet.example/tenant/acme/controller/a",
            "spiffe://fleet.example/tenant/acme/admin/a",
            "spiffe://fleet.example/tenant//user/a",
            "spiffe://fleet.example/user/a",
        ] {
            assert!(parse_uri(bad, &domain).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_trust_domain_is_a_lower_case_dns_name() {
        for good in ["a", "fleet.example", "x-1.y"] {
            assert!(TrustDomain::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "A",
            "a_b",
            "a/b",
            "ü",
            &"a".repeat(64),
            &"a.".repeat(130),
        ] {
            assert!(TrustDomain::new(bad).is_err(), "{bad}");
        }
    }
}
