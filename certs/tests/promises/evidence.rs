//! Statements of agents: who can make one, and what it proves to whom.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use lictor_certs::{
    client::LiveClientTls,
    evidence::{Evidence, EvidenceError, Signers, Statement, verify},
    live::Live,
};
use lictor_core::{digest::Digest, id::InvocationId};

use crate::support::{HOUR, World, domain, now, who};

const AGENT: &str = "tenant/acme/agent/berlin/a-1";

fn statement() -> Statement {
    Statement {
        tenant: "acme".parse().unwrap(),
        site: "berlin".parse().unwrap(),
        agent: "a-1".parse().unwrap(),
        invocation: InvocationId::from_bytes([7; 16]),
        grant: Digest::of(b"grant"),
        floor: Some(Digest::of(b"floor")),
        code: "FLOOR_DENIED".into(),
        reason: "no rule allows it".into(),
        at: now(),
    }
}

fn tls(world: &World, stem: &str, path: &str) -> Arc<LiveClientTls> {
    let (files, _) = world.issue(stem, &who(path));
    Arc::new(Live::load(files).unwrap())
}

fn signers(world: &World) -> Signers {
    Signers::of(who(AGENT), world.ca.root_pem(), domain()).unwrap()
}

#[test]
fn a_statement_verifies_with_the_public_key_alone_and_no_changed_byte_goes_unnoticed() {
    let world = World::new();
    let evidence = tls(&world, "agent", AGENT).testify(&statement()).unwrap();
    let attested = signers(&world).verify(&evidence).unwrap();
    assert_eq!(attested.statement, Statement { at: attested.statement.at, ..statement() });
    let key = &attested.public_key;
    assert_eq!(verify(&evidence.statement, &evidence.signature, key), Ok(attested.statement.clone()));
    for at in 0..evidence.statement.len() {
        let mut changed = evidence.statement.clone();
        changed[at] ^= 1;
        assert!(verify(&changed, &evidence.signature, key).is_err(), "byte {at} of the statement");
    }
    for at in 0..evidence.signature.len() {
        let mut changed = evidence.signature.clone();
        changed[at] ^= 1;
        assert!(verify(&evidence.statement, &changed, key).is_err(), "byte {at} of the signature");
    }
    assert_eq!(verify(&evidence.statement, &evidence.signature, b"rubbish"), Err(EvidenceError::PublicKey));
}

#[test]
fn evidence_counts_only_for_the_agent_that_the_certificate_and_the_statement_name() {
    let world = World::new();
    let signers = signers(&world);
    let own = tls(&world, "agent", AGENT);
    let neighbour = tls(&world, "neighbour", "tenant/acme/agent/berlin/a-2");
    let namesake = tls(&world, "namesake", "tenant/other/agent/berlin/a-1");
    for other in [&neighbour, &namesake] {
        let evidence = other.testify(&statement()).unwrap();
        assert!(matches!(signers.verify(&evidence), Err(EvidenceError::OtherAgent(_))));
    }
    let about_another = Statement { agent: "a-2".parse().unwrap(), ..statement() };
    let evidence = own.testify(&about_another).unwrap();
    assert!(matches!(signers.verify(&evidence), Err(EvidenceError::OtherAgent(_))));
    // Somebody else's signature under our certificate.
    let forged = Evidence {
        certificates: own.testify(&statement()).unwrap().certificates,
        ..neighbour.testify(&statement()).unwrap()
    };
    assert_eq!(signers.verify(&forged), Err(EvidenceError::Signature));
}

#[test]
fn a_certificate_of_another_root_or_none_proves_nobody() {
    let (world, stranger) = (World::new(), World::new());
    let signers = signers(&world);
    let evidence = tls(&stranger, "agent", AGENT).testify(&statement()).unwrap();
    assert!(matches!(signers.verify(&evidence), Err(EvidenceError::Certificate(_))));
    let own = tls(&world, "agent", AGENT).testify(&statement()).unwrap();
    for certificates in
        [Vec::new(), vec![Vec::new()], vec![vec![0; 100_000]], vec![own.certificates[0].clone()]]
    {
        let evidence = Evidence { certificates, ..own.clone() };
        assert!(matches!(signers.verify(&evidence), Err(EvidenceError::Certificate(_))));
    }
    assert!(signers.verify(&own).is_ok());
}

#[test]
fn evidence_outlives_the_renewal_and_the_end_of_its_certificate() {
    let world = World::new();
    let agent = who(AGENT);
    let (files, issued) = world.issue_at("agent", &agent, now().minus(HOUR + Duration::from_secs(60)));
    assert!(issued.not_after < now());
    let evidence =
        Live::load(files.clone()).map(|tls: LiveClientTls| tls.testify(&statement()).unwrap()).unwrap();
    let signers = signers(&world);
    let old = signers.verify(&evidence).unwrap();
    let renewed: LiveClientTls = Live::load(world.issue("agent", &agent).0).unwrap();
    let new = signers.verify(&renewed.testify(&statement()).unwrap()).unwrap();
    assert_ne!(old.certificate, new.certificate);
    assert_eq!(signers.verify(&evidence).unwrap(), old);
}
