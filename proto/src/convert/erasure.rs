//! Erasures and holds, both ways.

use lictor_core::{
    clock::Timestamp,
    erasure::{Erasure, Hold, LiftRequest, PayloadScope},
};

use super::{Invalid, parse, required};
use crate::pb;

impl From<&PayloadScope> for pb::PayloadScope {
    fn from(scope: &PayloadScope) -> Self {
        use pb::payload_scope::{Kind, Period};
        let kind = match scope {
            PayloadScope::Subject { .. } => Kind::Subject(scope.to_string()),
            PayloadScope::Job(id) => Kind::Job(id.to_string()),
            PayloadScope::Period { from, to } => {
                Kind::Period(Period { from: from.as_micros(), to: to.as_micros() })
            }
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::PayloadScope> for PayloadScope {
    type Error = Invalid;
    fn try_from(wire: pb::PayloadScope) -> Result<Self, Invalid> {
        use pb::payload_scope::{Kind, Period};
        match required("scope", wire.kind)? {
            Kind::Subject(text) => {
                Self::subject(&text).map_err(|e| Invalid::new("scope.subject", e.to_string()))
            }
            Kind::Job(id) => parse("scope.job", &id).map(Self::Job),
            Kind::Period(Period { from, to }) => {
                Self::period(Timestamp::from_micros(from), Timestamp::from_micros(to))
                    .map_err(|e| Invalid::new("scope.period", e.to_string()))
            }
        }
    }
}

impl From<&Erasure> for pb::Erasure {
    fn from(erasure: &Erasure) -> Self {
        let Erasure { id, scope, reason, by, at } = erasure;
        Self {
            id: id.to_string(),
            scope: Some(scope.into()),
            reason: reason.to_string(),
            by: Some(by.into()),
            at: at.as_micros(),
            expires_at: erasure.expires_at().as_micros(),
        }
    }
}

impl TryFrom<pb::Erasure> for Erasure {
    type Error = Invalid;
    fn try_from(wire: pb::Erasure) -> Result<Self, Invalid> {
        let pb::Erasure { id, scope, reason, by, at, expires_at: _ } = wire;
        Ok(Self {
            id: parse("erasure.id", &id)?,
            scope: required("erasure.scope", scope)?.try_into()?,
            reason: parse("erasure.reason", &reason)?,
            by: required("erasure.by", by)?.try_into()?,
            at: Timestamp::from_micros(at),
        })
    }
}

impl From<&Hold> for pb::Hold {
    fn from(hold: &Hold) -> Self {
        let Hold { id, scope, reason, by, at, lift, version: _ } = hold;
        let lift = lift.as_ref().map(|LiftRequest { by, reason, at }| pb::HoldLift {
            by: Some(by.into()),
            reason: reason.to_string(),
            at: at.as_micros(),
        });
        Self {
            id: id.to_string(),
            scope: Some(scope.into()),
            reason: reason.to_string(),
            by: Some(by.into()),
            at: at.as_micros(),
            lift,
        }
    }
}

impl TryFrom<pb::HoldLift> for LiftRequest {
    type Error = Invalid;
    fn try_from(wire: pb::HoldLift) -> Result<Self, Invalid> {
        let pb::HoldLift { by, reason, at } = wire;
        Ok(Self {
            by: required("hold.lift.by", by)?.try_into()?,
            reason: parse("hold.lift.reason", &reason)?,
            at: Timestamp::from_micros(at),
        })
    }
}

impl TryFrom<pb::Hold> for Hold {
    type Error = Invalid;
    /// The version is the controller's own and does not travel: it is 0.
    fn try_from(wire: pb::Hold) -> Result<Self, Invalid> {
        let pb::Hold { id, scope, reason, by, at, lift } = wire;
        Ok(Self {
            id: parse("hold.id", &id)?,
            scope: required("hold.scope", scope)?.try_into()?,
            reason: parse("hold.reason", &reason)?,
            by: required("hold.by", by)?.try_into()?,
            at: Timestamp::from_micros(at),
            lift: lift.map(TryInto::try_into).transpose()?,
            version: 0,
        })
    }
}
