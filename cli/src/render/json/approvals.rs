//! Consent as documents.

use lictor_client::approval::{ApprovalRequestView, ApprovalView};
use lictor_core::approval::{Consent, Term};
use serde::Serialize;

use crate::run::in_context::ContextDocument;

/// The consent that a job needs or needed.
#[derive(Debug, Serialize)]
pub(crate) struct ConsentDocument {
    state: &'static str,
    plan_digest: String,
    needs: Vec<TermDocument>,
    consents: Vec<GivenDocument>,
    expires_at: String,
    rules: Vec<String>,
    policy_reason: String,
    denied_by: Option<String>,
    reason: Option<String>,
    code: Option<String>,
    decided_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct TermDocument {
    group: String,
    approvals: u32,
}

#[derive(Debug, Serialize)]
struct GivenDocument {
    by: String,
    at: String,
    reason: Option<String>,
}

/// An approval with what it is for.
#[derive(Debug, Serialize)]
pub(crate) struct RequestDocument {
    job: String,
    requester: String,
    via: &'static str,
    client: String,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextDocument>,
    detached: bool,
    hosts: u32,
    requested_at: String,
    policy_version: u64,
    approval: ConsentDocument,
    missing: Vec<TermDocument>,
    may_decide: bool,
    why_not: Option<String>,
}

// === conversions ===

impl From<&Term> for TermDocument {
    fn from(term: &Term) -> Self {
        Self { group: term.group.to_string(), approvals: term.approvals }
    }
}

impl From<&Consent> for GivenDocument {
    fn from(consent: &Consent) -> Self {
        let Consent { by, at, note } = consent;
        Self { by: by.to_string(), at: at.to_string(), reason: note.as_ref().map(ToString::to_string) }
    }
}

impl From<&ApprovalView> for ConsentDocument {
    fn from(view: &ApprovalView) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            state: view.state.as_str(),
            plan_digest: view.plan.to_string(),
            needs: view.terms.iter().map(Into::into).collect(),
            consents: view.consents.iter().map(Into::into).collect(),
            expires_at: view.expires_at.to_string(),
            rules: view.rules.iter().map(ToString::to_string).collect(),
            policy_reason: view.policy_reason.clone(),
            denied_by: view.denied_by.as_ref().map(ToString::to_string),
            reason: text(&view.reason),
            code: text(&view.code),
            decided_at: view.decided_at.map(|at| at.to_string()),
        }
    }
}

impl From<&ApprovalRequestView> for RequestDocument {
    fn from(view: &ApprovalRequestView) -> Self {
        Self {
            job: view.job.to_string(),
            requester: view.requester.to_string(),
            via: view.origin.via.as_str(),
            client: view.origin.client.clone(),
            command: view.command.render(),
            context: ContextDocument::of(&view.context),
            detached: view.detached,
            hosts: view.hosts,
            requested_at: view.requested_at.to_string(),
            policy_version: view.policy_version,
            approval: (&view.approval).into(),
            missing: view.missing.iter().map(Into::into).collect(),
            may_decide: view.why_not.is_none(),
            why_not: view.why_not.clone(),
        }
    }
}
