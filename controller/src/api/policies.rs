//! PolicyService: decode, call, encode.

use std::sync::Arc;

use lictor_core::{
    error::{ErrorCode, Failure},
    job::JobSpec,
};
use lictor_policy::Effect;
use lictor_proto::{
    convert::{Invalid, required},
    limits::MAX_POLICY_BYTES,
    pb::{self, policy_service_server::PolicyService},
};

use tonic::{Request, Response, Status};

use super::status;
use crate::{authn::Authenticated, authz, failure::of_store, lifecycle::Lifecycle};

/// The service.
#[derive(Debug)]
pub struct PolicyApi {
    lifecycle: Arc<Lifecycle>,
}

impl PolicyApi {
    /// The service of this lifecycle.
    pub const fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self { lifecycle }
    }
}

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn plan(&self, request: Request<pb::PlanRequest>) -> Result<Response<pb::PlanResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let spec: JobSpec = required("request", request.into_inner().request)
            .and_then(TryInto::try_into)
            .map_err(status::<Invalid>)?;
        let policy = self.lifecycle.policies.now();
        let now = self.lifecycle.clock.now();
        let decided = authz::decide(&caller, &spec, &policy, &self.lifecycle.fleet.now(), now);
        let decided = decided.map_err(|refused| status(refused.failure))?;
        let hosts = decided
            .hosts
            .into_iter()
            .map(|(host, decision)| pb::HostDecision {
                host: host.alias.to_string(),
                site: host.site.to_string(),
                effect: match decision.effect {
                    Effect::Allow => pb::Effect::Allow,
                    Effect::Approve => pb::Effect::Approve,
                    Effect::Deny => pb::Effect::Deny,
                }
                .into(),
                code: decision.code.as_str().to_owned(),
                rule: decision.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
                reason: decision.reason,
                hint: decision.hint,
                limits: Some((&decision.limits).into()),
                agent_connected: self.lifecycle.sessions.choose(&host.site, now).is_some(),
            })
            .collect();
        Ok(Response::new(pb::PlanResponse {
            command_text: decided.command.render(),
            command_digest: decided.command.digest().as_bytes().to_vec(),
            command: Some((&decided.command).into()),
            policy_version: policy.version,
            hosts,
        }))
    }

    async fn get(&self, request: Request<pb::GetPolicyRequest>) -> Result<Response<pb::Policy>, Status> {
        let version = request.get_ref().version;
        let kept = self
            .lifecycle
            .store
            .policy((version > 0).then_some(version))
            .await
            .map_err(|e| status(of_store(e)))?;
        let kept = kept.ok_or_else(|| {
            let message = format!("there is no policy version {version}");
            status(Failure::new(ErrorCode::NotFound, message, "ask for version 0, the one in force"))
        })?;
        Ok(Response::new(pb::Policy {
            version: kept.version,
            digest: kept.digest.as_bytes().to_vec(),
            source: kept.source,
            changed_by: kept.changed_by,
            changed_at: kept.changed_at.as_micros(),
        }))
    }

    async fn put(
        &self,
        request: Request<pb::PutPolicyRequest>,
    ) -> Result<Response<pb::PutPolicyResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::PutPolicyRequest { source, expected_version } = request.into_inner();
        if source.len() > MAX_POLICY_BYTES {
            return Err(status(Invalid::new(
                "source",
                format_args!("it is longer than {MAX_POLICY_BYTES} bytes"),
            )));
        }
        let put = self.lifecycle.policies.put(&source, expected_version, caller.principal()).await;
        Ok(Response::new(pb::PutPolicyResponse { version: put.map_err(status)? }))
    }
}
