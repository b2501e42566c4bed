//! ApprovalService: decode, call, encode.

use std::sync::Arc;

use lictor_core::{approval::Note, error::Failure, id::JobId, job::Job};
use lictor_proto::{
    convert::{Invalid, approval_to_wire, context_to_wire, digest, known, page_size, parse, terms_to_wire},
    pb::{self, approval_service_server::ApprovalService},
};
use tonic::{Request, Response, Status};

use super::{pages::Room, status};
use crate::{
    authn::Authenticated,
    failure::{no_such, of_store},
    lifecycle::{Decision, Lifecycle},
};

/// Approvals on a page when the caller does not say.
const DEFAULT_APPROVALS: u32 = 100;

/// The service.
#[derive(Debug)]
pub struct ApprovalApi {
    lifecycle: Arc<Lifecycle>,
}

impl ApprovalApi {
    /// The service of this lifecycle.
    pub const fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self { lifecycle }
    }

    /// The job, if it is of the caller's tenant.
    async fn job(&self, caller: &Authenticated, text: &str) -> Result<Job, Failure> {
        let id: JobId = parse("job_id", text)?;
        let job = match self.lifecycle.jobs.job(id) {
            Some(live) => Some(live.snapshot().0),
            None => self.lifecycle.store.job(id).await.map_err(of_store)?.map(|kept| kept.job),
        };
        let ours = job.filter(|job| job.principal.tenant == caller.principal().tenant);
        ours.ok_or_else(|| no_such("job", text))
    }

    /// What is to be consented to, as the caller sees it.
    fn shown(&self, caller: &Authenticated, job: &Job) -> Result<pb::ApprovalRequest, Failure> {
        let (missing, may) = self.lifecycle.decidable(job, caller.principal());
        let (Some(approval), Some(asked)) = (approval_to_wire(job), &job.approval) else {
            return Err(may.err().unwrap_or_else(|| no_such("approval", &job.id.to_string())));
        };
        Ok(pb::ApprovalRequest {
            job_id: job.id.to_string(),
            approval: Some(approval),
            requester: Some((&job.principal).into()),
            origin: Some((&job.origin).into()),
            command: Some((&job.command).into()),
            command_text: job.command.render(),
            context: context_to_wire(&job.context),
            requested_at: job.created_at.as_micros(),
            policy_version: job.policy_version,
            hosts: asked.hosts,
            missing: terms_to_wire(&missing),
            may_decide: may.is_ok(),
            why_not: may.err().map(|failure| failure.message).unwrap_or_default(),
            detached: job.detached,
        })
    }
}

#[tonic::async_trait]
impl ApprovalService for ApprovalApi {
    async fn list(
        &self,
        request: Request<pb::ListApprovalsRequest>,
    ) -> Result<Response<pb::ListApprovalsResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ListApprovalsRequest { page_size: size, page_token, mine } = request.into_inner();
        let limit = page_size("page_size", size, DEFAULT_APPROVALS).map_err(status)? as usize;
        let after: Option<JobId> = (!page_token.is_empty())
            .then(|| parse("page_token", &page_token))
            .transpose()
            .map_err(status::<Invalid>)?;
        let (mut approvals, mut last, mut more, mut room) = (Vec::new(), None, false, Room::beside(0));
        for job in self.lifecycle.awaiting() {
            let passed = after.is_some_and(|after| job.id <= after);
            if passed || job.principal.tenant != caller.principal().tenant {
                continue;
            }
            let shown = self.shown(&caller, &job).map_err(status)?;
            if mine && !shown.may_decide {
                continue;
            }
            if approvals.len() == limit || !room.takes(&shown) {
                more = true;
                break;
            }
            last = Some(job.id);
            approvals.push(shown);
        }
        let next_page_token = last.filter(|_| more).map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(pb::ListApprovalsResponse { approvals, next_page_token }))
    }

    async fn get(
        &self,
        request: Request<pb::GetApprovalRequest>,
    ) -> Result<Response<pb::ApprovalRequest>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let job = self.job(&caller, &request.get_ref().job_id).await.map_err(status)?;
        Ok(Response::new(self.shown(&caller, &job).map_err(status)?))
    }

    async fn decide(
        &self,
        request: Request<pb::DecideRequest>,
    ) -> Result<Response<pb::ApprovalRequest>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::DecideRequest { job_id, decision, reason, plan_digest } = request.into_inner();
        let job = self.job(&caller, &job_id).await.map_err(status)?;
        let plan = digest("plan_digest", &plan_digest).map_err(status::<Invalid>)?;
        let note = |text: &str| parse::<Note>("reason", text).map_err(status::<Invalid>);
        let decision = match known("decision", decision).map_err(status::<Invalid>)? {
            pb::ApprovalDecision::Unspecified => {
                return Err(status(Invalid::new("decision", "it is not set")));
            }
            pb::ApprovalDecision::Approve if reason.is_empty() => Decision::Approve(None),
            pb::ApprovalDecision::Approve => Decision::Approve(Some(note(&reason)?)),
            pb::ApprovalDecision::Deny => Decision::Deny(note(&reason)?),
        };
        self.lifecycle.decide(job.id, decision, plan, &caller).await.map_err(status)?;
        let job = self.job(&caller, &job_id).await.map_err(status)?;
        Ok(Response::new(self.shown(&caller, &job).map_err(status)?))
    }
}
