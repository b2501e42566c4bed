//! Freezes, both ways.

use lictor_core::{
    clock::Timestamp,
    freeze::{Freeze, FreezeScope},
};

use super::{Invalid, parse, required};
use crate::pb;

impl From<&FreezeScope> for pb::FreezeScope {
    fn from(scope: &FreezeScope) -> Self {
        use pb::freeze_scope::Kind;
        let kind = match scope {
            FreezeScope::Everything => Kind::Everything(true),
            FreezeScope::Site(site) => Kind::Site(site.to_string()),
            FreezeScope::Host(host) => Kind::Host(host.to_string()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::FreezeScope> for FreezeScope {
    type Error = Invalid;
    fn try_from(wire: pb::FreezeScope) -> Result<Self, Invalid> {
        use pb::freeze_scope::Kind;
        match required("scope", wire.kind)? {
            Kind::Everything(true) => Ok(Self::Everything),
            Kind::Everything(false) => Err(Invalid::new("scope.everything", "it is not true")),
            Kind::Site(site) => parse("scope.site", &site).map(Self::Site),
            Kind::Host(host) => parse("scope.host", &host).map(Self::Host),
        }
    }
}

impl From<&Freeze> for pb::Freeze {
    fn from(freeze: &Freeze) -> Self {
        let Freeze { id, scope, reason, by, at } = freeze;
        Self {
            id: id.to_string(),
            scope: Some(scope.into()),
            reason: reason.to_string(),
            by: Some(by.into()),
            at: at.as_micros(),
        }
    }
}

impl TryFrom<pb::Freeze> for Freeze {
    type Error = Invalid;
    fn try_from(wire: pb::Freeze) -> Result<Self, Invalid> {
        let pb::Freeze { id, scope, reason, by, at } = wire;
        Ok(Self {
            id: parse("freeze.id", &id)?,
            scope: required("freeze.scope", scope)?.try_into()?,
            reason: parse("freeze.reason", &reason)?,
            by: required("freeze.by", by)?.try_into()?,
            at: Timestamp::from_micros(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_survives_the_wire_and_an_unknown_scope_does_not() {
        for scope in ["all", "site:eu", "host:web-1"] {
            let freeze = Freeze {
                id: lictor_core::id::FreezeId::from_bytes([1; 16]),
                scope: scope.parse().unwrap(),
                reason: "why".parse().unwrap(),
                by: principal(),
                at: Timestamp::from_micros(7),
            };
            let wire = pb::Freeze::from(&freeze);
            assert_eq!(Freeze::try_from(wire.clone()), Ok(freeze));
            let nowhere = pb::Freeze { scope: Some(pb::FreezeScope { kind: None }), ..wire };
            assert!(Freeze::try_from(nowhere).is_err());
        }
        let not = pb::FreezeScope { kind: Some(pb::freeze_scope::Kind::Everything(false)) };
        assert!(FreezeScope::try_from(not).is_err());
    }

    fn principal() -> lictor_core::principal::Principal {
        lictor_core::principal::Principal {
            tenant: "default".parse().unwrap(),
            kind: lictor_core::principal::PrincipalKind::User,
            name: "ops".parse().unwrap(),
        }
    }
}
