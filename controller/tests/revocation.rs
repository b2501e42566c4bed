//! Revoking an agent against the model store: what is recorded, what ends, what is refused, and the way back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each crate of tests needs another part of it")]
mod world;

use std::sync::{Arc, atomic::Ordering};

use futures_util::FutureExt as _;
use lictor_certs::{
    ca::Authority, csr, identity::TrustDomain, peer::Peer, signer::SigningKey, token::JoinToken,
};
use lictor_controller::{
    api::{enroll::Enroll, fleet::FleetApi, guard::Refusals},
    lifecycle::Revoked,
};
use lictor_core::{
    audit::AuditEvent,
    clock::Clock as _,
    error::{ErrorCode, Failure},
    name::{AgentName, SiteName},
    outcome::Outcome,
    revocation::{REVOKED, Revocation},
    secret::Secret,
};
use lictor_proto::{
    pb::{self, enroll_service_server::EnrollService as _, fleet_service_server::FleetService as _},
    status::from_status,
};
use lictor_store::{Change, KeptAgent, Store as _, Write};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use world::{World, call, only, operator, result, spec};

fn names() -> (SiteName, AgentName) {
    (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap())
}

fn domain() -> TrustDomain {
    TrustDomain::new("fleet.example").unwrap()
}

impl World {
    /// The agent of the sessions has joined, once, with a certificate of the first generation.
    async fn enrolled(&self) {
        let (site, name) = names();
        let agent = KeptAgent {
            tenant: "default".parse().unwrap(),
            site,
            name,
            epoch: 0,
            enrolled_at: self.clock.now(),
            serial: "40".repeat(16),
            journal_id: String::new(),
            witness_key: String::new(),
            generation: 0,
            revoked: None,
            version: 1,
        };
        let event = AuditEvent::ControllerStarted { name: "test".into() };
        let change = Change::new(self.clock.now(), event).write(Write::PutAgent(agent));
        let _recorded = self.store.commit(change).await.unwrap();
    }

    async fn revoke(&self) -> Result<Revoked, Failure> {
        let (site, name) = names();
        self.lifecycle.revoke_agent(site, name, "lost".parse().unwrap(), operator().principal()).await
    }
}

/// What gives out join tokens and certificates.
struct Office {
    fleet: FleetApi,
    enroll: Enroll,
    refusals: Arc<Refusals>,
}

impl Office {
    fn of(world: &World) -> Self {
        let dir = world.dir.path().join("pki");
        let passphrase = Secret::new(b"a long test passphrase".to_vec());
        Authority::create(&dir, &domain(), &passphrase, world.clock.now()).unwrap();
        let authority = Arc::new(Authority::load(&dir, &passphrase).unwrap());
        let address = "controller.example:7444".to_owned();
        let refusals = Arc::new(Refusals::default());
        let key = SigningKey::generate().unwrap().public_key();
        Self {
            fleet: FleetApi::new(Arc::clone(&world.lifecycle), Arc::clone(&authority), address.clone()),
            enroll: Enroll::new(Arc::clone(&world.lifecycle), authority, key, address, Arc::clone(&refusals)),
            refusals,
        }
    }

    async fn token(&self) -> JoinToken {
        let request = pb::CreateJoinTokenRequest { site: "eu".into(), agent: "a".into() };
        let answer = self.fleet.create_join_token(call(request)).await.unwrap();
        answer.into_inner().token.parse().unwrap()
    }

    async fn join(&self, token: &JoinToken) -> Result<Peer, ErrorCode> {
        let request = pb::EnrollRequest {
            token_id: token.id.to_string(),
            token_secret: token.secret.expose().to_vec(),
            csr_pem: csr::new_key_request().unwrap().csr_pem,
        };
        let answer = self.enroll.enroll(tonic::Request::new(request)).await;
        let answer = answer.map_err(|status| from_status(&status).code)?.into_inner();
        let leaf = CertificateDer::from_pem_slice(answer.chain_pem.as_bytes()).unwrap();
        Ok(Peer::from_certificate(&leaf, &domain()).unwrap())
    }

    async fn listed(&self) -> pb::Agent {
        let answer = self.fleet.list_agents(call(pb::ListAgentsRequest {})).await.unwrap();
        answer.into_inner().agents.remove(0)
    }
}

#[tokio::test]
async fn a_revocation_is_recorded_with_who_and_why_and_ends_the_session_before_it_is_acknowledged() {
    let world = World::new().await;
    world.enrolled().await;
    let agent = world.connect(&[], false).await;
    assert!(agent.session.revoked().now_or_never().is_none());
    let revoked = world.revoke().await.unwrap();
    assert!(!revoked.already);
    assert!(agent.session.revoked().now_or_never().is_some(), "its stream is told to end");
    let (site, name) = names();
    assert!(world.lifecycle.sessions.of(&site, &name).is_none(), "nothing is offered to it");
    let audit = world.audit().await;
    let last = audit.last().unwrap();
    for (field, value) in [("kind", "agent_revoked"), ("site", "eu"), ("agent", "a"), ("by", "user:ops")] {
        assert_eq!(last[field], value, "{last}");
    }
    let again = world.revoke().await.unwrap();
    assert!(again.already && again.revocation == revoked.revocation);
    assert_eq!(world.audit().await.len(), audit.len(), "nothing changed");

    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    assert_eq!(world.state(only(&job)).await, "QUEUED");
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn what_cannot_be_recorded_or_never_joined_is_not_revoked() {
    let world = World::new().await;
    assert_eq!(world.revoke().await.unwrap_err().code, ErrorCode::NotFound);
    world.enrolled().await;
    let agent = world.connect(&[], false).await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(world.revoke().await.unwrap_err().code, ErrorCode::AuditUnavailable);
    assert!(agent.session.revoked().now_or_never().is_none());
    world.store.broken.store(false, Ordering::SeqCst);
    let (site, name) = names();
    assert_eq!(world.store.agent(&site, &name).await.unwrap().unwrap().revoked, None);
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    assert_eq!(agent.offers(), [only(&job)], "it goes on");
}

#[tokio::test]
async fn certificates_and_tokens_from_before_are_refused_also_after_a_restart_and_a_new_token_is_the_way_back()
 {
    let world = World::new().await;
    let office = Office::of(&world);
    let first = office.join(&office.token().await).await.unwrap();
    let unused = office.token().await;
    let refusal = |world: &World, peer: &Peer| world.lifecycle.revocations.refusal_to(peer);
    assert!(refusal(&world, &first).is_none());
    let listed = office.listed().await;
    assert_eq!((listed.state(), listed.revocation), (pb::AgentState::Disconnected, None));

    let request = pb::RevokeAgentRequest { site: "eu".into(), agent: "a".into(), reason: "lost".into() };
    let answer = office.fleet.revoke_agent(call(request)).await.unwrap().into_inner();
    assert!(!answer.already_revoked);
    let listed = office.listed().await;
    assert_eq!((listed.state(), &listed.revocation), (pb::AgentState::Revoked, &answer.revocation));
    assert!(refusal(&world, &first).unwrap().message.contains("lost"));
    assert_eq!(office.join(&unused).await, Err(ErrorCode::Unauthenticated));
    office.refusals.record(&*world.store, &*world.clock).await;
    let refused = world.audit().await;
    assert_eq!(refused.last().unwrap()["code"], "TOKEN_REVOKED");
    drop(office);

    std::fs::remove_dir_all(world.dir.path().join("pki")).unwrap();
    let world = world.restarted().await;
    assert!(refusal(&world, &first).unwrap().message.contains("lost"));
    let office = Office::of(&world);
    assert_eq!(office.join(&unused).await, Err(ErrorCode::Unauthenticated));

    // The clock does not matter: the way back is open also when it was set back meanwhile.
    world.set_back(std::time::Duration::from_secs(60));
    let second = office.join(&office.token().await).await.unwrap();
    // The clock of this world said a thousand seconds when it was revoked.
    assert_eq!((first.generation(), second.generation()), (0, 1_000));
    assert!(refusal(&world, &second).is_none());
    assert!(refusal(&world, &first).is_some(), "it stays refused");
    assert_eq!(office.listed().await.revocation, None);
    assert!(!world.revoke().await.unwrap().already, "it can be revoked again");
    assert!(refusal(&world, &second).is_some());
    let third = office.join(&office.token().await).await.unwrap();
    assert_eq!(third.generation(), 1_001, "later than the one before, though the clock is not");
}

#[tokio::test]
async fn after_a_backup_was_restored_revoking_again_refuses_also_what_the_backup_does_not_know() {
    let world = World::new().await;
    let office = Office::of(&world);
    let first = office.join(&office.token().await).await.unwrap();
    let (site, name) = names();
    let backup = world.store.agent(&site, &name).await.unwrap().unwrap();
    let _ = world.revoke().await.unwrap();
    let second = office.join(&office.token().await).await.unwrap();
    drop(office);
    std::fs::remove_dir_all(world.dir.path().join("pki")).unwrap();
    let version = world.store.agent(&site, &name).await.unwrap().unwrap().version + 1;
    let event = AuditEvent::ControllerStarted { name: "restored".into() };
    let restored =
        Change::new(world.clock.now(), event).write(Write::PutAgent(KeptAgent { version, ..backup }));
    let _ = world.store.commit(restored).await.unwrap();
    let world = world.restarted().await;
    let office = Office::of(&world);
    let refusal = |peer: &Peer| world.lifecycle.revocations.refusal_to(peer);
    assert!(refusal(&first).is_none() && refusal(&second).is_none(), "the revocation is forgotten");

    world.set_forward(std::time::Duration::from_secs(1));
    assert!(!world.revoke().await.unwrap().already);
    for peer in [&first, &second] {
        assert!(refusal(peer).unwrap().message.contains("lost"), "{}", peer.generation());
    }
    let third = office.join(&office.token().await).await.unwrap();
    assert!(refusal(&third).is_none());
    for peer in [&first, &second] {
        assert!(refusal(peer).unwrap().message.contains("issued before"), "{}", peer.generation());
    }
}

#[tokio::test]
async fn while_a_revocation_is_being_recorded_nothing_lets_the_agent_in_and_if_it_cannot_be_it_goes_on() {
    let world = World::new().await;
    let office = Office::of(&world);
    let peer = office.join(&office.token().await).await.unwrap();
    let unused = office.token().await;
    let agent = world.connect(&[], false).await;
    let refusal = || world.lifecycle.revocations.refusal_to(&peer);
    let (site, name) = names();
    let version = async || world.store.agent(&site, &name).await.unwrap().unwrap().version;
    let before = version().await;

    let slow = world.store.gate.acquire().await.unwrap();
    world.store.broken.store(true, Ordering::SeqCst);
    let lifecycle = Arc::clone(&world.lifecycle);
    let (of, why) = (names(), "lost".parse().unwrap());
    let revoking =
        tokio::spawn(async move { lifecycle.revoke_agent(of.0, of.1, why, operator().principal()).await });
    while refusal().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(refusal().unwrap().detail(REVOKED), None, "it is not yet revoked");
    let joined = office.join(&unused).now_or_never();
    assert_eq!(joined, Some(Err(ErrorCode::Unauthenticated)), "it does not come to where it would wait");
    drop(slow);
    assert_eq!(revoking.await.unwrap().unwrap_err().code, ErrorCode::AuditUnavailable);
    assert!(refusal().is_none() && !agent.session.is_revoked(), "it goes on");
    assert_eq!(version().await, before);

    world.store.broken.store(false, Ordering::SeqCst);
    assert!(!world.revoke().await.unwrap().already);
    assert!(refusal().unwrap().detail(REVOKED).is_some() && agent.session.is_revoked());
}

#[tokio::test]
async fn results_that_come_with_a_revocation_are_not_taken_from_any_session_of_the_agent() {
    let world = World::new().await;
    world.enrolled().await;
    let older = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let id = only(&job);
    let newer = world.connect(&[(id, pb::JournalPhase::Running)], false).await;
    let succeeded = || vec![result(id, &Outcome::Succeeded)];
    let _ = world.revoke().await.unwrap();
    for agent in [&older, &newer] {
        assert!(agent.session.is_revoked(), "also the one that was replaced");
        let taken = world.lifecycle.take_results(&agent.session, succeeded()).await.unwrap();
        assert_eq!(taken, Vec::<String>::new());
    }
    assert_ne!(world.state(id).await, "SUCCEEDED", "nothing was recorded of it");
    let kinds = world.kinds().await;
    assert_eq!(kinds.last().unwrap(), "agent_revoked");
}

#[tokio::test]
async fn who_asks_a_second_time_finds_it_in_force_also_if_the_first_has_not_come_to_that() {
    let world = World::new().await;
    world.enrolled().await;
    let agent = world.connect(&[], false).await;
    // Recorded by somebody who has not gone on yet.
    let (site, name) = names();
    let kept = world.store.agent(&site, &name).await.unwrap().unwrap();
    let at = world.clock.now();
    let by = operator().principal().clone();
    let revocation = Revocation { by, at, reason: "lost".parse().unwrap() };
    let event = AuditEvent::AgentRevoked {
        site,
        agent: name,
        serial: kept.serial.clone(),
        revocation: revocation.clone(),
    };
    let version = kept.version + 1;
    let kept = KeptAgent { generation: 1_000, revoked: Some(revocation), version, ..kept };
    let _ = world.store.commit(Change::new(at, event).write(Write::PutAgent(kept))).await.unwrap();
    assert!(!agent.session.is_revoked());
    assert!(world.revoke().await.unwrap().already);
    assert!(agent.session.is_revoked(), "acknowledged, so in force");
    let (site, name) = names();
    assert!(world.lifecycle.sessions.of(&site, &name).is_none());
}

#[tokio::test]
async fn a_revocation_without_a_reason_is_refused() {
    let world = World::new().await;
    world.enrolled().await;
    let office = Office::of(&world);
    let request = pb::RevokeAgentRequest { site: "eu".into(), agent: "a".into(), reason: " ".into() };
    let refused = office.fleet.revoke_agent(call(request)).await.unwrap_err();
    assert_eq!(from_status(&refused).code, ErrorCode::InvalidArgument);
    assert_eq!(office.listed().await.revocation, None);
}
