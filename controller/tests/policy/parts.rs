//! Policies, requests and questions that the tests share.

use std::sync::Arc;

use lictor_controller::api::policies::PolicyApi;
use lictor_core::{
    digest::Digest,
    error::Failure,
    job::{IdempotencyKey, JobSpec},
};
use lictor_proto::pb::{self, policy_service_server::PolicyService as _};
use lictor_store::Store as _;

use crate::world::{World, call, operator, spec};

/// A policy with these further keys of the file, and these further keys of the rule that allows `uptime`.
pub(crate) fn policy(file: &str, rule: &str) -> String {
    format!(
        "version: 1\ngroups:\n  oncall: {{users: [ada, bob]}}\n{file}rules:\n  - id: basics\n    effect: allow\n    where: all\n    commands: [uptime]\n{rule}"
    )
}

/// As [`policy`], with consent needed on one host.
pub(crate) fn asking(host: &str) -> String {
    let asks = format!(
        "  - id: asks\n    effect: approve\n    where: {{hosts: [{host}]}}\n    commands: [uptime]\n    approve: {{approvals: 2, group: oncall, within: 1h, mfa: true}}\n"
    );
    policy("", &asks)
}

pub(crate) fn uptime(hosts: &[&str]) -> JobSpec {
    spec(hosts, "uptime")
}

pub(crate) fn keyed(spec: JobSpec, key: &str) -> JobSpec {
    JobSpec { idempotency_key: Some(IdempotencyKey::new(key).unwrap()), ..spec }
}

pub(crate) fn digest_of(plan: &pb::PlanResponse) -> Digest {
    Digest::from_bytes(plan.plan_digest.as_slice().try_into().unwrap())
}

pub(crate) trait InForce {
    fn api(&self) -> PolicyApi;
    async fn plan(&self, spec: &JobSpec) -> pb::PlanResponse;
    async fn planned(&self, spec: JobSpec) -> JobSpec;
    async fn put(&self, source: &str);
    async fn refused(&self, spec: &JobSpec) -> Failure;
    async fn last(&self) -> serde_json::Value;
    async fn used(&self) -> Vec<(u32, u32)>;
}

impl InForce for World {
    fn api(&self) -> PolicyApi {
        PolicyApi::new(Arc::clone(&self.lifecycle))
    }
    async fn plan(&self, spec: &JobSpec) -> pb::PlanResponse {
        let request = pb::PlanRequest { request: Some(spec.into()), ..Default::default() };
        self.api().plan(call(request)).await.unwrap().into_inner()
    }
    /// The request with the digest of its plan.
    async fn planned(&self, spec: JobSpec) -> JobSpec {
        let digest = digest_of(&self.plan(&spec).await);
        JobSpec { plan_digest: Some(digest), ..spec }
    }
    async fn put(&self, source: &str) {
        let version = self.lifecycle.policies.now().version;
        self.lifecycle.policies.put(source, version, operator().principal(), "").await.unwrap();
    }
    /// Refused as a whole, recorded, and nothing was started.
    async fn refused(&self, spec: &JobSpec) -> Failure {
        let before = self.store.jobs(None, 1000).await.unwrap().len();
        let failure = self.ask(spec).await.unwrap_err();
        assert_eq!(self.store.jobs(None, 1000).await.unwrap().len(), before);
        assert_eq!(self.last().await["kind"], "request_denied");
        assert!(!failure.next_step.is_empty());
        failure
    }
    async fn last(&self) -> serde_json::Value {
        self.audit().await.pop().unwrap()
    }
    /// Limit and use of each quota.
    async fn used(&self) -> Vec<(u32, u32)> {
        self.plan(&uptime(&["web-1"])).await.quotas.iter().map(|quota| (quota.limit, quota.used)).collect()
    }
}
