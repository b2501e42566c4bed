//! PolicyService: decode, call, encode.

mod encode;

use std::sync::Arc;

use lictor_core::{
    error::{ErrorCode, Failure},
    job::JobSpec,
    limits::MAX_NOTE_BYTES,
    name::HostAlias,
};
use lictor_proto::{
    convert::{Invalid, page_size, parse, required},
    limits::MAX_PAGE,
    pb::{self, policy_service_server::PolicyService},
};
use lictor_store::KeptPolicy;
use tonic::{Request, Response, Status};

use super::{pages::Room, status};
use crate::{authn::Authenticated, authz, failure::of_store, lifecycle::Lifecycle, shadow::none_proposed};

/// Versions on a page of the history when the caller does not say.
const DEFAULT_VERSIONS: u32 = 20;
/// Most versions on a page: each is read with its text, of at most 1 MiB.
const MAX_VERSIONS: u32 = 100;
/// What a put answers when the policy is in force but its file could not be written.
const FILE_NOT_WRITTEN: &str = "file_not_written";

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

    fn plan_page(&self, caller: &Authenticated, asked: pb::PlanRequest) -> Result<pb::PlanResponse, Status> {
        let pb::PlanRequest { request, page_size: size, page_token } = asked;
        let mut spec: JobSpec =
            required("request", request).and_then(TryInto::try_into).map_err(status::<Invalid>)?;
        caller.mark(&mut spec.origin);
        let limit = page_size("page_size", size, MAX_PAGE).map_err(status)? as usize;
        let after: Option<HostAlias> = (!page_token.is_empty())
            .then(|| parse("page_token", &page_token))
            .transpose()
            .map_err(status::<Invalid>)?;
        let (policy, now) = (self.lifecycle.policies.now(), self.lifecycle.clock.now());
        let decided = authz::decide(caller, &spec, &policy.set, &self.lifecycle.fleet.now(), now)
            .map_err(|refused| status(refused.failure))?
            .under(&self.lifecycle.freezes.now().set);
        let plan_digest = decided.plan_digest(caller, &spec, &policy.set).as_bytes().to_vec();
        let quotas = self.lifecycle.quotas.states(&policy.set, caller.principal(), spec.origin.via, now);
        let hosts_total = u32::try_from(decided.hosts.len()).unwrap_or(u32::MAX);
        let (mut room, mut hosts) = (Room::beside(0), Vec::new());
        let mut rest = decided
            .hosts
            .iter()
            .skip_while(|(host, _)| after.as_ref().is_some_and(|after| host.alias <= *after))
            .map(|(host, decision)| {
                let connected = self.lifecycle.sessions.choose(&host.site, now).is_some();
                let told = encode::decision(host, decision.clone(), connected);
                match decided.freeze(&host.alias) {
                    Some(freeze) => encode::frozen(told, host, freeze),
                    None => told,
                }
            })
            .peekable();
        while hosts.len() < limit
            && let Some(host) = rest.next_if(|host| room.takes(host))
        {
            hosts.push(host);
        }
        let next_page_token = match (rest.peek(), hosts.last()) {
            (Some(_), Some(last)) => last.host.clone(),
            _ => String::new(),
        };
        Ok(pb::PlanResponse {
            command_text: decided.command.render(),
            command_digest: decided.command.digest().as_bytes().to_vec(),
            command: Some((&decided.command).into()),
            policy_version: policy.version,
            hosts,
            plan_digest,
            quotas: quotas.into_iter().map(encode::quota).collect(),
            hosts_total,
            next_page_token,
        })
    }

    async fn version(&self, version: Option<u64>) -> Result<Option<KeptPolicy>, Status> {
        self.lifecycle.store.policy(version).await.map_err(|e| status(of_store(e)))
    }
}

/// A note as it may be kept.
fn checked_note(note: String) -> Result<String, Invalid> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(Invalid::new("note", format_args!("it is longer than {MAX_NOTE_BYTES} bytes")));
    }
    if note.chars().any(char::is_control) {
        return Err(Invalid::new("note", "it has control characters"));
    }
    Ok(note)
}

#[tonic::async_trait]
impl PolicyService for PolicyApi {
    async fn plan(&self, request: Request<pb::PlanRequest>) -> Result<Response<pb::PlanResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        self.plan_page(&caller, request.into_inner()).map(Response::new)
    }

    async fn get(&self, request: Request<pb::GetPolicyRequest>) -> Result<Response<pb::Policy>, Status> {
        let version = request.get_ref().version;
        let kept = self.version((version > 0).then_some(version)).await?.ok_or_else(|| {
            let message = format!("there is no policy version {version}");
            status(Failure::new(ErrorCode::NotFound, message, "ask for version 0, the one in force"))
        })?;
        Ok(Response::new(encode::policy(kept)))
    }

    async fn put(
        &self,
        request: Request<pb::PutPolicyRequest>,
    ) -> Result<Response<pb::PutPolicyResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::PutPolicyRequest { source, expected_version, note } = request.into_inner();
        let note = checked_note(note).map_err(status)?;
        let policies = &self.lifecycle.policies;
        let put = policies.put(&source, expected_version, caller.principal(), &note).await.map_err(status)?;
        let warning = if put.file_written { "" } else { FILE_NOT_WRITTEN };
        Ok(Response::new(pb::PutPolicyResponse { version: put.version, warning: warning.to_owned() }))
    }

    async fn history(
        &self,
        request: Request<pb::HistoryRequest>,
    ) -> Result<Response<pb::HistoryResponse>, Status> {
        let pb::HistoryRequest { page_size: size, page_token } = request.into_inner();
        let limit = page_size("page_size", size, DEFAULT_VERSIONS).map_err(status)?;
        if limit > MAX_VERSIONS {
            let why = format_args!("at most {MAX_VERSIONS} are allowed");
            return Err(status(Invalid::new("page_size", why)));
        }
        let before: Option<u64> = (!page_token.is_empty())
            .then(|| parse("page_token", &page_token))
            .transpose()
            .map_err(status::<Invalid>)?;
        let newest = self.version(None).await?.map_or(0, |kept| kept.version);
        let from = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
        let mut versions = Vec::new();
        // Versions are counted from 1 without gaps.
        for version in (1..=from).rev().take(limit as usize) {
            versions.extend(self.version(Some(version)).await?.map(encode::version));
        }
        let next_page_token = match versions.last() {
            Some(last) if last.version > 1 => last.version.to_string(),
            _ => String::new(),
        };
        Ok(Response::new(pb::HistoryResponse { versions, next_page_token }))
    }

    async fn put_shadow(
        &self,
        request: Request<pb::PutShadowRequest>,
    ) -> Result<Response<pb::PutShadowResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let source = request.into_inner().source;
        let digest = self.lifecycle.shadow.put(&source, caller.principal()).await.map_err(status)?;
        Ok(Response::new(pb::PutShadowResponse { digest: digest.as_bytes().to_vec() }))
    }

    async fn clear_shadow(
        &self,
        request: Request<pb::ClearShadowRequest>,
    ) -> Result<Response<pb::ClearShadowResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        self.lifecycle.shadow.clear(caller.principal()).await.map_err(status)?;
        Ok(Response::new(pb::ClearShadowResponse {}))
    }

    async fn get_shadow(
        &self,
        _: Request<pb::GetShadowRequest>,
    ) -> Result<Response<pb::ShadowPolicy>, Status> {
        let proposed = self.lifecycle.shadow.now().ok_or_else(|| status(none_proposed()))?;
        Ok(Response::new(encode::shadow(&proposed)))
    }
}
