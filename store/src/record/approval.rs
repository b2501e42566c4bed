//! The consent that a job needs, as it is stored with the job.

use std::time::Duration;

use lictor_core::{
    approval::{Approval, ApprovalState, Consent, Term},
    clock::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{job::PrincipalV1, parse};
use crate::StoreError;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ApprovalV1 {
    plan: String,
    /// Group and number.
    terms: Vec<(String, u32)>,
    rules: Vec<String>,
    reason: String,
    hosts: u32,
    timeout_us: Option<u64>,
    output_bytes: Option<u64>,
    expires_at: u64,
    consents: Vec<ConsentV1>,
    state: StateV1,
}

#[derive(Debug, Serialize, Deserialize)]
struct ConsentV1 {
    by: PrincipalV1,
    at: u64,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateV1 {
    Pending,
    Used { at: u64 },
    Denied { by: PrincipalV1, at: u64, note: String },
    Expired { at: u64 },
    Voided { at: u64, code: String, reason: String },
}

// === to what is stored ===

impl From<&Approval> for ApprovalV1 {
    fn from(approval: &Approval) -> Self {
        let Approval {
            plan,
            terms,
            rules,
            reason,
            hosts,
            timeout,
            output_bytes,
            expires_at,
            consents,
            state,
        } = approval;
        Self {
            plan: plan.to_string(),
            terms: terms.iter().map(|term| (term.group.to_string(), term.approvals)).collect(),
            rules: rules.iter().map(ToString::to_string).collect(),
            reason: reason.clone(),
            hosts: *hosts,
            timeout_us: timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX)),
            output_bytes: *output_bytes,
            expires_at: expires_at.as_micros(),
            consents: consents.iter().map(Into::into).collect(),
            state: state.into(),
        }
    }
}

impl From<&Consent> for ConsentV1 {
    fn from(consent: &Consent) -> Self {
        let Consent { by, at, note } = consent;
        Self { by: by.into(), at: at.as_micros(), note: note.as_ref().map(ToString::to_string) }
    }
}

impl From<&ApprovalState> for StateV1 {
    fn from(state: &ApprovalState) -> Self {
        match state {
            ApprovalState::Pending => Self::Pending,
            ApprovalState::Used { at } => Self::Used { at: at.as_micros() },
            ApprovalState::Denied { by, at, note } => {
                Self::Denied { by: by.into(), at: at.as_micros(), note: note.to_string() }
            }
            ApprovalState::Expired { at } => Self::Expired { at: at.as_micros() },
            ApprovalState::Voided { at, code, reason } => {
                Self::Voided { at: at.as_micros(), code: code.clone(), reason: reason.clone() }
            }
        }
    }
}

// === from what is stored ===

impl TryFrom<ApprovalV1> for Approval {
    type Error = StoreError;
    fn try_from(v1: ApprovalV1) -> Result<Self, StoreError> {
        let ApprovalV1 {
            plan,
            terms,
            rules,
            reason,
            hosts,
            timeout_us,
            output_bytes,
            expires_at,
            consents,
            state,
        } = v1;
        let term = |(group, approvals): (String, u32)| Ok(Term { group: parse(&group)?, approvals });
        Ok(Self {
            plan: parse(&plan)?,
            terms: terms.into_iter().map(term).collect::<Result<_, StoreError>>()?,
            rules: rules.iter().map(|rule| parse(rule)).collect::<Result<_, _>>()?,
            reason,
            hosts,
            timeout: timeout_us.map(Duration::from_micros),
            output_bytes,
            expires_at: Timestamp::from_micros(expires_at),
            consents: consents.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            state: state.try_into()?,
        })
    }
}

impl TryFrom<ConsentV1> for Consent {
    type Error = StoreError;
    fn try_from(v1: ConsentV1) -> Result<Self, StoreError> {
        let ConsentV1 { by, at, note } = v1;
        let note = note.as_deref().map(parse).transpose()?;
        Ok(Self { by: by.try_into()?, at: Timestamp::from_micros(at), note })
    }
}

impl TryFrom<StateV1> for ApprovalState {
    type Error = StoreError;
    fn try_from(v1: StateV1) -> Result<Self, StoreError> {
        let at = Timestamp::from_micros;
        Ok(match v1 {
            StateV1::Pending => Self::Pending,
            StateV1::Used { at: when } => Self::Used { at: at(when) },
            StateV1::Denied { by, at: when, note } => {
                Self::Denied { by: by.try_into()?, at: at(when), note: parse(&note)? }
            }
            StateV1::Expired { at: when } => Self::Expired { at: at(when) },
            StateV1::Voided { at: when, code, reason } => Self::Voided { at: at(when), code, reason },
        })
    }
}
