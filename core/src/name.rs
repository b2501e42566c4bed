//! Validated names. A name starts with a letter or digit, so it can never be mistaken for an option.

use std::{fmt, str::FromStr, sync::Arc};

use crate::limits::MAX_NAME_BYTES;

/// Text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    kind: &'static str,
    why: &'static str,
}

pub(crate) fn check(kind: &'static str, text: &str) -> Result<(), InvalidName> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.len() > MAX_NAME_BYTES {
        "it is longer than 100 characters"
    } else if !text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) {
        "it must start with a letter or a digit"
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "only letters, digits, dot, dash and underscore are allowed"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind, why })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes it a name.
            ///
            /// # Errors
            /// When it is empty, too long, starts with something else than a letter or digit, or has a character
            /// outside `A-Za-z0-9._-`.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check($kind, text).map(|()| Self(text.into()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    )*};
}

names! {
    /// An agent, unique within its site.
    AgentName = "an agent name";
    /// A group of users and services, as the policy names it.
    GroupName = "a group name";
    /// The alias by which people and policies call a host; unique within a tenant.
    HostAlias = "a host alias";
    /// The key of a label of a host, as in `env=prod`.
    LabelKey = "a label key";
    /// The value of a label of a host, as in `env=prod`.
    LabelValue = "a label value";
    /// A person or service, unique within a tenant.
    PrincipalName = "a user or service name";
    /// The id of a policy rule.
    RuleId = "a rule id";
    /// A place with its own agent, hosts and secrets.
    SiteName = "a site name";
    /// A label by which hosts are grouped.
    Tag = "a tag";
    /// An organisation; everything belongs to exactly one.
    TenantName = "a tenant name";
    /// A time window, as the policy names it.
    WindowName = "a window name";
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}: {}", self.kind, self.why)
    }
}
impl std::error::Error for InvalidName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_options_paths_or_shell_are_refused() {
        for good in ["web-1", "db.example.com", "A_1", "7"] {
            assert!(HostAlias::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-oX", ".hidden", "a b", "a/b", "a;b", "ü", &"x".repeat(101)] {
            assert!(HostAlias::new(bad).is_err(), "{bad}");
        }
    }
}
