//! Revocations, both ways.

use lictor_core::{clock::Timestamp, revocation::Revocation};

use super::{Invalid, parse, required};
use crate::pb;

impl From<&Revocation> for pb::Revocation {
    fn from(revocation: &Revocation) -> Self {
        let Revocation { by, at, reason } = revocation;
        Self { by: Some(by.into()), at: at.as_micros(), reason: reason.to_string() }
    }
}

impl TryFrom<pb::Revocation> for Revocation {
    type Error = Invalid;
    fn try_from(wire: pb::Revocation) -> Result<Self, Invalid> {
        let pb::Revocation { by, at, reason } = wire;
        Ok(Self {
            by: required("revocation.by", by)?.try_into()?,
            at: Timestamp::from_micros(at),
            reason: parse("revocation.reason", &reason)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::principal::{Principal, PrincipalKind};

    use super::*;

    #[test]
    fn a_revocation_survives_the_wire_and_one_without_a_reason_does_not() {
        let by = Principal {
            tenant: "default".parse().unwrap(),
            kind: PrincipalKind::User,
            name: "ops".parse().unwrap(),
        };
        let revocation =
            Revocation { by, at: Timestamp::from_micros(7), reason: "its disk was stolen".parse().unwrap() };
        let wire = pb::Revocation::from(&revocation);
        assert_eq!(Revocation::try_from(wire.clone()), Ok(revocation));
        assert!(Revocation::try_from(pb::Revocation { reason: String::new(), ..wire.clone() }).is_err());
        assert!(Revocation::try_from(pb::Revocation { by: None, ..wire }).is_err());
    }
}
