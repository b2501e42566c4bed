//! FleetService: decode, call, encode.

use std::{collections::BTreeMap, sync::Arc};

use lictor_certs::{
    ca::Authority,
    token::{JoinToken, new_secret, secret_digest},
};
use lictor_core::{
    audit::AuditEvent,
    id::TokenId,
    job::Target,
    limits::JOIN_TOKEN_TTL,
    name::{AgentName, HostAlias, SiteName, Tag},
    revocation::RevocationReason,
    target::TargetExpression,
};
use lictor_proto::{
    convert::{Invalid, page_size, parse},
    limits::MAX_PAGE,
    pb::{self, fleet_service_server::FleetService},
};
use lictor_store::{Change, KeptToken, Write};
use tonic::{Request, Response, Status};

use super::{pages::Room, status};
use crate::{authn::Authenticated, authz, failure::of_store, lifecycle::Lifecycle, session::Liveness};

/// The service.
#[derive(Debug)]
pub struct FleetApi {
    lifecycle: Arc<Lifecycle>,
    authority: Arc<Authority>,
    enroll_address: String,
}

impl FleetApi {
    /// The service of this lifecycle; tokens name `enroll_address`.
    pub const fn new(lifecycle: Arc<Lifecycle>, authority: Arc<Authority>, enroll_address: String) -> Self {
        Self { lifecycle, authority, enroll_address }
    }
}

fn optional<T>(field: &'static str, text: &str) -> Result<Option<T>, Status>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some).map_err(status::<Invalid>) }
}

#[tonic::async_trait]
impl FleetService for FleetApi {
    async fn list_sites(
        &self,
        request: Request<pb::ListSitesRequest>,
    ) -> Result<Response<pb::ListSitesResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let (policy, fleet) = (self.lifecycle.policies.now(), self.lifecycle.fleet.now());
        let seen = authz::seen(&caller, &policy.set, &fleet);
        let mut sites: BTreeMap<SiteName, pb::Site> = BTreeMap::new();
        let entry = |sites: &mut BTreeMap<SiteName, pb::Site>, name: &SiteName| {
            sites
                .entry(name.clone())
                .or_insert_with(|| pb::Site { name: name.to_string(), ..pb::Site::default() })
                .clone()
        };
        let agents = self.lifecycle.store.agents().await.map_err(|e| status(of_store(e)))?;
        for agent in agents {
            entry(&mut sites, &agent.site);
        }
        for host in seen.hosts() {
            let mut site = entry(&mut sites, &host.site);
            site.hosts += 1;
            sites.insert(host.site.clone(), site);
        }
        for session in self.lifecycle.sessions.all() {
            let mut site = entry(&mut sites, session.site());
            site.agents_connected += 1;
            sites.insert(session.site().clone(), site);
        }
        // A site of which the caller is told no host is as absent as its hosts.
        if !seen.is_everything() {
            sites.retain(|_, site| site.hosts > 0);
        }
        Ok(Response::new(pb::ListSitesResponse { sites: sites.into_values().collect() }))
    }

    async fn list_agents(
        &self,
        _: Request<pb::ListAgentsRequest>,
    ) -> Result<Response<pb::ListAgentsResponse>, Status> {
        let now = self.lifecycle.clock.now();
        let kept = self.lifecycle.store.agents().await.map_err(|e| status(of_store(e)))?;
        let agents = kept
            .into_iter()
            .map(|agent| {
                let session = self.lifecycle.sessions.of(&agent.site, &agent.name);
                let refusal = session.as_ref().and_then(|s| s.witness_refusal());
                let state = match session.as_ref().map(|s| s.liveness(now)) {
                    _ if agent.revoked.is_some() => pb::AgentState::Revoked,
                    Some(_) if refusal.is_some() => pb::AgentState::WitnessRefused,
                    Some(Liveness::Connected) => pb::AgentState::Connected,
                    Some(Liveness::Suspect) => pb::AgentState::Suspect,
                    None => pb::AgentState::Disconnected,
                };
                pb::Agent {
                    site: agent.site.to_string(),
                    name: agent.name.to_string(),
                    state: state.into(),
                    epoch: agent.epoch,
                    version: session.as_ref().map(|s| s.version().to_owned()).unwrap_or_default(),
                    last_seen: session.as_ref().map_or(0, |s| s.last_heard().as_micros()),
                    address: session.as_ref().map(|s| s.address().to_owned()).unwrap_or_default(),
                    in_flight: session.as_ref().map_or(0, |s| s.in_flight()),
                    enrolled_at: agent.enrolled_at.as_micros(),
                    cosigned_size: session.as_ref().map_or(0, |s| s.cosigned_size()),
                    witness_refusal: refusal.unwrap_or_default(),
                    revocation: agent.revoked.as_ref().map(Into::into),
                }
            })
            .collect();
        Ok(Response::new(pb::ListAgentsResponse { agents }))
    }

    async fn list_hosts(
        &self,
        request: Request<pb::ListHostsRequest>,
    ) -> Result<Response<pb::ListHostsResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ListHostsRequest { tag, alias, page_size: size, page_token, expression } =
            request.into_inner();
        let limit = page_size("page_size", size, MAX_PAGE).map_err(status)? as usize;
        let tag: Option<Tag> = optional("tag", &tag)?;
        let alias: Option<HostAlias> = optional("alias", &alias)?;
        let expression: Option<TargetExpression> = optional("expression", &expression)?;
        let after: Option<HostAlias> = optional("page_token", &page_token)?;
        let now = self.lifecycle.clock.now();
        let (policy, fleet) = (self.lifecycle.policies.now(), self.lifecycle.fleet.now());
        let seen = authz::seen(&caller, &policy.set, &fleet);
        // By the same code as a job's hosts, so that a preview is what would be run on.
        let meant = expression.map(|expression| seen.resolve(&Target::Expression(expression)));
        let meant = meant.transpose().map_err(status)?;
        let everything = seen.hosts().filter(|_| meant.is_none());
        let wanted = meant.iter().flatten().chain(everything).filter(|host| {
            tag.as_ref().is_none_or(|t| host.tags.contains(t))
                && alias.as_ref().is_none_or(|a| host.alias == *a)
                && after.as_ref().is_none_or(|a| host.alias > *a)
        });
        let secret = |text: &str| if caller.is_operator() { text.to_owned() } else { String::new() };
        let mut room = Room::beside(0);
        let mut wanted = wanted
            .map(|host| pb::Host {
                alias: host.alias.to_string(),
                site: host.site.to_string(),
                tags: host.tags.iter().map(ToString::to_string).collect(),
                labels: host.labels.to_texts(),
                description: host.description.clone(),
                agent_connected: self.lifecycle.sessions.choose(&host.site, now).is_some(),
                host_key_pinned: !host.host_key_fingerprints.is_empty(),
                address: secret(&host.address),
                user: secret(&host.user),
                host_key_fingerprints: if caller.is_operator() {
                    host.host_key_fingerprints.clone()
                } else {
                    Vec::new()
                },
            })
            .peekable();
        let mut hosts: Vec<pb::Host> = Vec::new();
        while hosts.len() < limit
            && let Some(host) = wanted.next_if(|host| room.takes(host))
        {
            hosts.push(host);
        }
        let next_page_token = match (wanted.peek(), hosts.last()) {
            (Some(_), Some(last)) => last.alias.clone(),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListHostsResponse { hosts, next_page_token }))
    }

    async fn create_join_token(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Result<Response<pb::CreateJoinTokenResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::CreateJoinTokenRequest { site, agent } = request.into_inner();
        let site: SiteName = parse("site", &site).map_err(status::<Invalid>)?;
        let agent: AgentName = parse("agent", &agent).map_err(status::<Invalid>)?;
        let now = self.lifecycle.clock.now();
        let (id, secret) = (TokenId::fresh(&*self.lifecycle.ids), new_secret());
        let expires_at = now.plus(JOIN_TOKEN_TTL);
        let joined = self.lifecycle.store.agent(&site, &agent).await.map_err(|e| status(of_store(e)))?;
        let tenant = caller.principal().tenant.clone();
        let kept = KeptToken {
            id,
            secret_digest: secret_digest(&secret),
            tenant: tenant.clone(),
            site: site.clone(),
            agent: agent.clone(),
            expires_at,
            spent_at: None,
            generation: joined.map_or(0, |agent| agent.generation),
        };
        let event = AuditEvent::JoinTokenIssued {
            token: id,
            site: site.clone(),
            agent: agent.clone(),
            by: caller.principal().clone(),
            expires_at,
        };
        let change = Change::new(now, event).write(Write::CreateToken(kept));
        let _recorded = self.lifecycle.store.commit(change).await.map_err(|e| status(of_store(e)))?;
        let root = self.authority.root_fingerprint();
        let token = JoinToken { id, secret, root, tenant, site, agent, address: self.enroll_address.clone() };
        let text = token.to_text().to_string();
        Ok(Response::new(pb::CreateJoinTokenResponse { token: text, expires_at: expires_at.as_micros() }))
    }

    async fn revoke_agent(
        &self,
        request: Request<pb::RevokeAgentRequest>,
    ) -> Result<Response<pb::RevokeAgentResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::RevokeAgentRequest { site, agent, reason } = request.into_inner();
        let site: SiteName = parse("site", &site).map_err(status::<Invalid>)?;
        let agent: AgentName = parse("agent", &agent).map_err(status::<Invalid>)?;
        let reason: RevocationReason = parse("reason", &reason).map_err(status::<Invalid>)?;
        let revoked = self.lifecycle.revoke_agent(site, agent, reason, caller.principal());
        let revoked = revoked.await.map_err(status)?;
        Ok(Response::new(pb::RevokeAgentResponse {
            revocation: Some((&*revoked.revocation).into()),
            already_revoked: revoked.already,
        }))
    }
}
