//! Principals and origins, both ways.

use lictor_core::{
    job::Origin,
    principal::{Principal, PrincipalKind, Via},
};

use super::{Invalid, known, parse};
use crate::pb;

impl From<&Principal> for pb::Principal {
    fn from(principal: &Principal) -> Self {
        let Principal { tenant, kind, name } = principal;
        let kind = match kind {
            PrincipalKind::User => pb::PrincipalKind::User,
            PrincipalKind::Service => pb::PrincipalKind::Service,
        };
        Self { tenant: tenant.to_string(), kind: kind.into(), name: name.to_string() }
    }
}

impl TryFrom<pb::Principal> for Principal {
    type Error = Invalid;
    fn try_from(wire: pb::Principal) -> Result<Self, Invalid> {
        let pb::Principal { tenant, kind, name } = wire;
        let kind = match known("principal.kind", kind)? {
            pb::PrincipalKind::User => PrincipalKind::User,
            pb::PrincipalKind::Service => PrincipalKind::Service,
            pb::PrincipalKind::Unspecified => return Err(Invalid::new("principal.kind", "it is not set")),
        };
        Ok(Self { tenant: parse("principal.tenant", &tenant)?, kind, name: parse("principal.name", &name)? })
    }
}

impl From<Via> for pb::Via {
    fn from(via: Via) -> Self {
        match via {
            Via::Cli => Self::Cli,
            Via::Mcp => Self::Mcp,
            Via::Api => Self::Api,
        }
    }
}

impl TryFrom<pb::Via> for Via {
    type Error = Invalid;
    fn try_from(wire: pb::Via) -> Result<Self, Invalid> {
        match wire {
            pb::Via::Cli => Ok(Self::Cli),
            pb::Via::Mcp => Ok(Self::Mcp),
            pb::Via::Api => Ok(Self::Api),
            pb::Via::Unspecified => Err(Invalid::new("via", "it is not set")),
        }
    }
}

impl From<&Origin> for pb::Origin {
    fn from(origin: &Origin) -> Self {
        Self { via: pb::Via::from(origin.via).into(), client: origin.client.clone() }
    }
}

impl TryFrom<pb::Origin> for Origin {
    type Error = Invalid;
    fn try_from(wire: pb::Origin) -> Result<Self, Invalid> {
        let via: pb::Via = known("origin.via", wire.via)?;
        Ok(Self::new(via.try_into()?, &wire.client))
    }
}
