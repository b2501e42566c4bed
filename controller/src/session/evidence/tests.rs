//! What an agent's evidence comes to in the audit: proof, or a security event; never nothing.

use std::time::Duration;

use lictor_certs::{
    ca::Authority,
    client::LiveClientTls,
    csr,
    evidence::{Statement, verify_text},
    files::IdentityFiles,
    identity::TrustDomain,
};
use lictor_core::{
    audit::Field,
    clock::{Clock as _, Timestamp},
    outcome::Unreachable,
    principal::Identity,
    secret::Secret,
};
use lictor_runtime::clock::SystemClock;
use tokio::sync::mpsc;

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    authority: Authority,
}

fn agent(tenant: &str, site: &str, name: &str) -> Identity {
    Identity::Agent {
        tenant: tenant.parse().unwrap(),
        site: site.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn id() -> InvocationId {
    InvocationId::from_bytes([7; 16])
}

fn denied() -> Outcome {
    Outcome::Denied { code: "FLOOR_DENIED".into(), reason: "no rule allows it".into() }
}

fn statement() -> Statement {
    Statement {
        tenant: "default".parse().unwrap(),
        site: "eu".parse().unwrap(),
        agent: "a".parse().unwrap(),
        invocation: id(),
        grant: Digest::of(b"grant"),
        floor: Some(Digest::of(b"floor")),
        code: "FLOOR_DENIED".into(),
        reason: "no rule allows it".into(),
        at: Timestamp::from_micros(1),
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let passphrase = Secret::new(b"a long test passphrase".to_vec());
        let domain = TrustDomain::new("test.example").unwrap();
        Authority::create(&dir.path().join("ca"), &domain, &passphrase, SystemClock.now()).unwrap();
        let authority = Authority::load(&dir.path().join("ca"), &passphrase).unwrap();
        Self { dir, authority }
    }

    /// What the agent with this certificate sends.
    fn evidence(&self, identity: &Identity, statement: &Statement) -> pb::Evidence {
        let request = csr::new_key_request().unwrap();
        let ttl = Duration::from_secs(3600);
        let issued = self.authority.issue(&request.csr_pem, identity, ttl, SystemClock.now()).unwrap();
        let files = IdentityFiles::in_dir(self.dir.path(), "agent");
        files.write(&issued.chain_pem, &request.key_pem, self.authority.root_pem()).unwrap();
        let made = LiveClientTls::load(files).unwrap().testify(statement).unwrap();
        pb::Evidence { statement: made.statement, signature: made.signature, certificates: made.certificates }
    }

    fn session(&self) -> Session {
        let key = ("eu".parse().unwrap(), "a".parse().unwrap());
        let (sender, _) = mpsc::channel(1);
        let domain = self.authority.domain().clone();
        let signers = Signers::of(agent("default", "eu", "a"), self.authority.root_pem(), domain).unwrap();
        Session::new(key, 1, "test".into(), "1".into(), sender, Timestamp::from_micros(1)).trusting(signers)
    }
}

fn field(event: &AuditEvent, name: &str) -> String {
    match event.fields().into_iter().find(|(n, _)| *n == name).unwrap().1 {
        Field::Text(text) => text,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn evidence_that_holds_is_recorded_with_all_that_it_takes_to_verify_it_again() {
    let bench = Bench::new();
    let session = bench.session();
    let own = agent("default", "eu", "a");
    let denied_address =
        Outcome::Unreachable { reason: Unreachable::AddressDenied, detail: "192.0.2.1 is denied".into() };
    let about_address =
        Statement { code: "address_denied".into(), reason: "192.0.2.1 is denied".into(), ..statement() };
    for (outcome, said) in [(denied(), statement()), (denied_address, about_address)] {
        let evidence = bench.evidence(&own, &said);
        let event = beside(&session, id(), &outcome, Some(&evidence)).unwrap();
        assert_eq!(event.kind(), "grant_refused");
        let again = verify_text(
            &field(&event, "statement"),
            &field(&event, "signature"),
            &field(&event, "agent_key"),
        );
        assert_eq!(again, Ok(said.clone()));
        assert_eq!(field(&event, "grant_digest"), said.grant.to_string());
        assert_eq!(field(&event, "floor_digest"), said.floor.unwrap().to_string());
        assert_eq!(field(&event, "agent_certificate"), Digest::of(&evidence.certificates[0]).to_string());
    }
}

#[test]
fn evidence_that_does_not_hold_fit_or_come_is_a_security_event_with_what_came() {
    let bench = Bench::new();
    let session = bench.session();
    let own = agent("default", "eu", "a");
    let good = bench.evidence(&own, &statement());
    let mut changed = good.clone();
    *changed.statement.last_mut().unwrap() ^= 1;
    let about_another = Statement { invocation: InvocationId::from_bytes([8; 16]), ..statement() };
    let other_reason = Statement { reason: "because".into(), ..statement() };
    let cases = [
        ("changed", denied(), Some(changed)),
        ("empty", denied(), Some(pb::Evidence::default())),
        ("missing", denied(), None),
        ("another invocation", denied(), Some(bench.evidence(&own, &about_another))),
        ("another reason", denied(), Some(bench.evidence(&own, &other_reason))),
        (
            "another code",
            Outcome::Denied { code: "GRANT_SITE".into(), reason: "x".into() },
            Some(good.clone()),
        ),
        ("it ran", Outcome::Succeeded, Some(good.clone())),
        ("another agent", denied(), Some(bench.evidence(&agent("default", "eu", "b"), &statement()))),
        ("another tenant", denied(), Some(bench.evidence(&agent("other", "eu", "a"), &statement()))),
        ("another root", denied(), Some(Bench::new().evidence(&own, &statement()))),
    ];
    for (what, outcome, evidence) in cases {
        let event = beside(&session, id(), &outcome, evidence.as_ref()).unwrap();
        assert_eq!(event.kind(), "evidence_invalid", "{what}");
        assert!(!field(&event, "why").is_empty());
        if let Some(evidence) = evidence {
            assert_eq!(field(&event, "statement"), to_text(&evidence.statement), "{what}");
            assert_eq!(field(&event, "signature"), to_text(&evidence.signature), "{what}");
        }
    }
}

#[test]
fn an_end_that_needs_no_proof_and_came_without_has_nothing_beside_it() {
    let session = Bench::new().session();
    let busy = Outcome::Denied { code: "AGENT_BUSY".into(), reason: "later".into() };
    for outcome in [Outcome::Succeeded, Outcome::Cancelled, busy] {
        assert_eq!(beside(&session, id(), &outcome, None), None);
    }
}
