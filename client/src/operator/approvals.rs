//! Consent: what waits for it, giving it, and refusing it.

use lictor_core::{approval::Note, digest::Digest, error::Failure, id::JobId};
use lictor_proto::pb;

use super::Operator;
use crate::{approval::ApprovalRequestView, connect::CALL_DEADLINE, failure::not_understood};

/// A page of what waits for consent, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalsPage {
    /// The approvals of this page.
    pub approvals: Vec<ApprovalRequestView>,
    /// Ask for the next page with this; `None` on the last.
    pub next_page: Option<String>,
}

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// To consent, with what they say of it.
    Approve(Option<Note>),
    /// To refuse, and why.
    Deny(Note),
}

// === impl Operator ===

impl Operator {
    /// A page of what waits for consent; `mine`: only what the caller may decide now.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn approvals(&self, mine: bool, page: Option<&str>) -> Result<ApprovalsPage, Failure> {
        let page_token = page.unwrap_or_default().to_owned();
        let request = pb::ListApprovalsRequest { page_size: 0, page_token, mine };
        let mut service = self.client.approval_service();
        let pb::ListApprovalsResponse { approvals, next_page_token } =
            self.client.answer(CALL_DEADLINE, service.list(request)).await?;
        let approvals = approvals.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
        Ok(ApprovalsPage {
            approvals: approvals.map_err(|e| not_understood(&e))?,
            next_page: Some(next_page_token).filter(|token| !token.is_empty()),
        })
    }

    /// What is, or was, to be consented to for a job.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such job or it needed no consent, `FORBIDDEN` for others than operators, or that the
    /// controller cannot be reached.
    pub async fn approval(&self, job: JobId) -> Result<ApprovalRequestView, Failure> {
        let request = pb::GetApprovalRequest { job_id: job.to_string() };
        let mut service = self.client.approval_service();
        let answer = self.client.answer(CALL_DEADLINE, service.get(request)).await?;
        ApprovalRequestView::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Consents to exactly the plan with this digest, or refuses it. Answers when that is recorded; what follows from the
    /// last consent is under way by then.
    ///
    /// # Errors
    /// `FORBIDDEN` for who asked for the job, who is in none of the groups, and who is no operator; `ALREADY_EXISTS` for
    /// who has consented before; `CONFLICT` when it no longer waits, or when it would no longer be what was consented to.
    pub async fn decide(
        &self,
        job: JobId,
        decision: &Decision,
        plan: Digest,
    ) -> Result<ApprovalRequestView, Failure> {
        let text = |note: &Note| note.as_str().to_owned();
        let (decision, reason) = match decision {
            Decision::Approve(note) => {
                (pb::ApprovalDecision::Approve, note.as_ref().map(text).unwrap_or_default())
            }
            Decision::Deny(note) => (pb::ApprovalDecision::Deny, text(note)),
        };
        let request = pb::DecideRequest {
            job_id: job.to_string(),
            decision: decision.into(),
            reason,
            plan_digest: plan.as_bytes().to_vec(),
        };
        let mut service = self.client.approval_service();
        let answer = self.client.answer(CALL_DEADLINE, service.decide(request)).await?;
        ApprovalRequestView::try_from(answer).map_err(|e| not_understood(&e))
    }
}
