//! A job that waits for the consent of others, as models see it: who may give it and how, and that no tool can.

use lictor_client::{collect::Collector, views::JobView};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::{IdempotencyKey, JobState},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What a model is told to do: tell people, and never ask again in another way.
pub(crate) const WAITING_STEP: &str = "tell the user who has to approve this and how; no tool can approve it, and asking again \
     makes another job that waits too. Once it is approved, read what it printed with ssh_job_output, or repeat this call with \
     this idempotency_key to wait for its end";

/// The same where the end of the job was not to be waited for.
pub(crate) const WAITING_LATER_STEP: &str = "tell the user who has to approve this and how; no tool can approve it, and asking \
     again makes another job that waits too. Once it is approved, ssh_get_task_status with wait_seconds waits for its end; \
     ssh_cancel gives it up";

/// What a job waits for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Waiting {
    /// Whose consent is needed, all of them. Only people can give it, with their own certificate.
    who_may_approve: String,
    /// What such a person types.
    how: String,
    /// Until when consent can be given (UTC); after that nothing of the job runs.
    expires_at: String,
    /// Why policy asks for it.
    reason: String,
    /// The key of this request: repeating the call with it gives this job, and runs nothing twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<String>,
}

// === impl Waiting ===

impl Waiting {
    /// What the collected job waits for; `None` if it does not wait for consent.
    pub(crate) fn of(collector: &Collector, key: Option<&IdempotencyKey>) -> Option<Self> {
        Self::of_job(&collector.submitted()?.job, key)
    }

    /// Why there is no result of the job yet.
    pub(crate) fn failure(self, job: JobId) -> Failure {
        let state = JobState::AwaitingApproval.as_str();
        let message = format!("{job} has not begun: it needs {}", self.who_may_approve);
        Failure::new(ErrorCode::Conflict, message, WAITING_LATER_STEP)
            .with("state", state)
            .with("who_may_approve", &self.who_may_approve)
            .with("how", &self.how)
            .with("expires_at", &self.expires_at)
    }

    /// What the job waits for; `None` if it does not wait for consent.
    pub(crate) fn of_job(job: &JobView, key: Option<&IdempotencyKey>) -> Option<Self> {
        let approval = job.approval.as_ref().filter(|_| job.state == JobState::AwaitingApproval)?;
        Some(Self {
            who_may_approve: approval.whom(),
            how: format!("lictor approve {}", job.id),
            expires_at: approval.expires_at.to_string(),
            reason: approval.policy_reason.clone(),
            idempotency_key: key.map(|key| key.as_str().to_owned()),
        })
    }
}
