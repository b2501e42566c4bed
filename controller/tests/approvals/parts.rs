//! Policies that ask for consent, and people who decide.

use std::{net::SocketAddr, sync::Arc};

use lictor_certs::peer::Peer;
use lictor_controller::{
    authn::{Authenticated, Caller},
    lifecycle::Decision,
    live::LiveJob,
};
use lictor_core::{
    approval::Approval,
    clock::Timestamp,
    error::{ErrorCode, Failure},
    id::InvocationId,
    job::JobState,
    name::{PrincipalName, TenantName},
    principal::Identity,
};
use lictor_store::Store as _;

use crate::world::{World, operator, spec};

pub(crate) const BOTH: [&str; 2] = ["web-1", "web-2"];

/// On web-1 `uptime` is allowed, on web-2 it needs this consent; `ops` asks for everything.
pub(crate) fn asking(terms: &str) -> String {
    format!(
        "version: 1\ngroups:\n  dba: {{users: [ann, bob, cid, ops]}}\n  leads: {{users: [bob, lea]}}\nrules:\n  - id: basics\n    effect: allow\n    where: all\n    commands: [uptime]\n{terms}"
    )
}

/// A rule by which so many of a group have to consent within an hour.
pub(crate) fn term(id: &str, approvals: u32, group: &str) -> String {
    format!(
        "  - id: {id}\n    effect: approve\n    where: {{hosts: [web-2]}}\n    commands: [uptime]\n    approve: {{approvals: {approvals}, group: {group}, within: 1h}}\n"
    )
}

/// A controller where so many of `dba` have to consent.
pub(crate) async fn needing(approvals: u32) -> World {
    World::under(&asking(&term("asks", approvals, "dba")), &BOTH).await
}

pub(crate) fn user(name: &str) -> Authenticated {
    let (tenant, name) = (TenantName::new("default").unwrap(), PrincipalName::new(name).unwrap());
    certified(Identity::User { tenant, name })
}

pub(crate) fn service(name: &str) -> Authenticated {
    let (tenant, name) = (TenantName::new("default").unwrap(), PrincipalName::new(name).unwrap());
    certified(Identity::Service { tenant, name })
}

fn certified(identity: Identity) -> Authenticated {
    let mut request = tonic::Request::new(());
    request.extensions_mut().insert(Caller {
        peer: Peer { identity, serial: "01".into(), not_after: Timestamp::from_micros(u64::MAX) },
        remote: SocketAddr::from(([127, 0, 0, 1], 1)),
    });
    Authenticated::from_call(&request).unwrap()
}

pub(crate) fn deny() -> Decision {
    Decision::Deny("not today".parse().unwrap())
}

pub(crate) fn approval(job: &LiveJob) -> Approval {
    job.snapshot().0.approval.unwrap()
}

pub(crate) fn state(job: &LiveJob) -> JobState {
    let (record, _, counts) = job.snapshot();
    record.state(&counts)
}

pub(crate) fn ids(job: &LiveJob) -> Vec<InvocationId> {
    job.index().into_iter().map(|(_, id, _)| id).collect()
}

pub(crate) trait Consenting {
    async fn ask_for_both(&self) -> Arc<LiveJob>;
    async fn decide(&self, job: &LiveJob, who: &Authenticated, decision: Decision) -> Result<(), Failure>;
    async fn approve(&self, job: &LiveJob, who: &str) -> Result<(), ErrorCode>;
    async fn put(&self, source: &str);
    async fn outcomes(&self, job: &LiveJob) -> Vec<String>;
    async fn approvals_recorded(&self) -> Vec<String>;
}

impl Consenting for World {
    async fn ask_for_both(&self) -> Arc<LiveJob> {
        let job = self.ask(&spec(&BOTH, "uptime")).await.unwrap();
        assert_eq!(state(&job), JobState::AwaitingApproval);
        job
    }
    async fn decide(&self, job: &LiveJob, who: &Authenticated, decision: Decision) -> Result<(), Failure> {
        self.lifecycle.decide(job.id(), decision, approval(job).plan, who).await
    }
    async fn approve(&self, job: &LiveJob, who: &str) -> Result<(), ErrorCode> {
        self.decide(job, &user(who), Decision::Approve(None)).await.map_err(|failure| failure.code)
    }
    async fn put(&self, source: &str) {
        let version = self.lifecycle.policies.now().version;
        self.lifecycle.policies.put(source, version, operator().principal(), "").await.unwrap();
    }
    /// State and code of each invocation, as stored.
    async fn outcomes(&self, job: &LiveJob) -> Vec<String> {
        let mut all = Vec::new();
        for id in ids(job) {
            let kept = self.store.invocation(id).await.unwrap().unwrap();
            let code = kept.state.outcome().and_then(|outcome| outcome.reason_code().map(ToOwned::to_owned));
            all.push(format!("{} {}", kept.state.name(), code.unwrap_or_default()).trim().to_owned());
        }
        all
    }
    /// The records about consent and intents, in order.
    async fn approvals_recorded(&self) -> Vec<String> {
        let kinds = self.kinds().await.into_iter();
        kinds.filter(|kind| kind.starts_with("approval_") || kind == "invocation_intended").collect()
    }
}
