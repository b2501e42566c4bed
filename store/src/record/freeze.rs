//! Freezes as they are stored.

use lictor_core::{
    clock::Timestamp,
    freeze::Freeze,
    principal::{Principal, PrincipalKind},
};
use serde::{Deserialize, Serialize};

use super::{corrupt, parse};
use crate::StoreError;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum FreezeRecord {
    #[serde(rename = "1")]
    V1 { id: String, scope: String, reason: String, tenant: String, by_kind: String, by: String, at: u64 },
}

impl From<&Freeze> for FreezeRecord {
    fn from(freeze: &Freeze) -> Self {
        let Freeze { id, scope, reason, by, at } = freeze;
        Self::V1 {
            id: id.to_string(),
            scope: scope.to_string(),
            reason: reason.to_string(),
            tenant: by.tenant.to_string(),
            by_kind: by.kind.as_str().to_owned(),
            by: by.name.to_string(),
            at: at.as_micros(),
        }
    }
}

impl TryFrom<FreezeRecord> for Freeze {
    type Error = StoreError;
    fn try_from(record: FreezeRecord) -> Result<Self, StoreError> {
        let FreezeRecord::V1 { id, scope, reason, tenant, by_kind, by, at } = record;
        let kind = [PrincipalKind::User, PrincipalKind::Service].into_iter().find(|k| k.as_str() == by_kind);
        let kind = kind.ok_or_else(|| corrupt(format!("{by_kind} is not a kind of principal")))?;
        Ok(Self {
            id: parse(&id)?,
            scope: parse(&scope)?,
            reason: parse(&reason)?,
            by: Principal { tenant: parse(&tenant)?, kind, name: parse(&by)? },
            at: Timestamp::from_micros(at),
        })
    }
}
