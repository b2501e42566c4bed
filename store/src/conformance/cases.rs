//! The cases of the suite, each a promise of [`Store`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "these are tests; they live in the library so that every backend can run them"
)]

use std::{sync::Arc, time::Duration};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    digest::Digest,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationState},
    job::{Counts, IdempotencyKey},
    merkle::{Frontier, leaf_hash},
    name::{AgentName, HostAlias, SiteName, TenantName},
    outcome::{Exit, Outcome},
    output::{Output, StreamName, StreamSummary},
    principal::{Principal, PrincipalKind},
    revocation::Revocation,
};

use crate::{
    Change, KeptAgent, KeptHost, KeptPolicy, KeptSettings, KeptShadow, KeptToken, Outline, Store, Write,
};

mod approvals;
mod erasures;
mod fixtures;
mod freezes;
mod limits;
mod payloads;
mod proofs;
mod retention;

use self::fixtures::{change, event, host, invocation, is_conflict, job, principal, token};
pub use self::{
    approvals::an_approval_is_kept_with_its_job_and_two_decisions_at_once_are_one,
    erasures::erasures_that_wait_and_holds_are_kept_until_each_ends_once,
    freezes::a_freeze_is_kept_until_it_is_lifted_once,
    limits::the_limits_of_retention_are_kept_and_replaced_by_version,
    payloads::an_erased_payload_is_gone_and_the_log_is_what_it_was,
    proofs::{proofs_hold_for_every_earlier_head, the_newest_checkpoint_and_the_last_of_each_hour_are_kept},
    retention::{
        a_file_is_kept_as_what_was_printed, a_key_is_removed_only_as_it_was_read,
        a_removed_job_is_gone_with_its_invocations_and_no_other_is,
        jobs_that_have_ended_are_listed_oldest_first_in_pages,
        removed_output_leaves_counts_and_digests_and_what_others_share,
    },
};

/// A backend under test.
pub trait Fixture: Send + Sync {
    /// The store, as it was left.
    fn open(&mut self) -> Arc<dyn Store>;
    /// Whether what was acknowledged outlives the store.
    const DURABLE: bool;
}

const AT: Timestamp = Timestamp::from_micros(1_000_000);

pub async fn a_change_is_visible_as_a_whole(mut fixture: impl Fixture) {
    let store = fixture.open();
    let (job, inv) = (job(1), invocation(&job(1), "web-1"));
    let recorded = store
        .commit(change().write(Write::CreateJob(job.clone())).write(Write::CreateInvocation(inv.clone())))
        .await
        .unwrap();
    assert_eq!((recorded.first_index(), recorded.events()), (0, 1));
    assert_eq!(store.job(job.id).await.unwrap().unwrap().job, job);
    assert_eq!(store.invocation(inv.id).await.unwrap(), Some(inv.clone()));
    assert_eq!(store.open_invocations().await.unwrap(), [inv.id]);
    assert_eq!(store.job(JobId::from_bytes([7; 16])).await.unwrap(), None);
}

pub async fn a_change_that_expects_what_is_not_so_does_nothing(mut fixture: impl Fixture) {
    let store = fixture.open();
    let (first, second) = (job(1), job(2));
    let inv = invocation(&first, "web-1");
    let _ = store
        .commit(change().write(Write::CreateJob(first.clone())).write(Write::CreateInvocation(inv.clone())))
        .await
        .unwrap();
    let head = store.audit_head().await.unwrap();
    for wrong in [
        Write::CreateJob(first.clone()),
        Write::CreateInvocation(inv.clone()),
        Write::UpdateInvocation(Invocation { version: 3, ..inv.clone() }.into()),
        Write::UpdateInvocation(Invocation { version: 1, ..inv.clone() }.into()),
        Write::UpdateInvocation(Invocation { version: 2, ..invocation(&second, "web-9") }.into()),
        Write::UpdateJob { job: first.clone(), counts: None, version: 3 },
    ] {
        let result = store.commit(change().write(Write::CreateJob(second.clone())).write(wrong)).await;
        assert!(is_conflict(&result), "{result:?}");
    }
    assert_eq!(store.job(second.id).await.unwrap(), None);
    assert_eq!(store.audit_head().await.unwrap(), head);
}

pub async fn an_ended_invocation_is_no_longer_open(mut fixture: impl Fixture) {
    let store = fixture.open();
    let job = job(1);
    let inv = invocation(&job, "web-1");
    let _ = store
        .commit(change().write(Write::CreateJob(job.clone())).write(Write::CreateInvocation(inv.clone())))
        .await
        .unwrap();
    let outcome = Outcome::Failed(Exit::Signal("KILL".into()));
    let ended = Invocation {
        state: InvocationState::Ended(outcome),
        version: 2,
        started_at: Some(AT),
        ended_at: Some(AT),
        last_agent: Some(AgentName::new("a").unwrap()),
        ..inv
    };
    let counts = Counts { failed: 1, ..Counts::default() };
    let _ = store
        .commit(change().write(Write::UpdateInvocation(ended.clone().into())).write(Write::UpdateJob {
            job: job.clone(),
            counts: Some(counts),
            version: 2,
        }))
        .await
        .unwrap();
    assert_eq!(store.invocation(ended.id).await.unwrap(), Some(ended));
    assert!(store.open_invocations().await.unwrap().is_empty());
    assert_eq!(store.job(job.id).await.unwrap().unwrap().counts, Some(counts));
}

pub async fn a_key_is_bound_once_until_its_time_is_over(mut fixture: impl Fixture) {
    let store = fixture.open();
    let key = IdempotencyKey::new("k-1").unwrap();
    let bind = |job: u8, at: Timestamp| {
        Change::new(at, event()).write(Write::BindKey {
            principal: principal(),
            key: key.clone(),
            job: JobId::from_bytes([job; 16]),
            request_digest: Digest::of(&[job]),
            expires_at: at.plus(Duration::from_secs(10)),
        })
    };
    let _ = store.commit(bind(1, AT)).await.unwrap();
    assert!(is_conflict(&store.commit(bind(2, AT.plus(Duration::from_secs(10)))).await));
    assert_eq!(
        store.idempotency_key(&principal(), &key).await.unwrap().unwrap().job,
        JobId::from_bytes([1; 16])
    );
    let _ = store.commit(bind(3, AT.plus(Duration::from_secs(11)))).await.unwrap();
    assert_eq!(
        store.idempotency_key(&principal(), &key).await.unwrap().unwrap().request_digest,
        Digest::of(&[3])
    );
    let other = Principal { kind: PrincipalKind::Service, ..principal() };
    assert_eq!(store.idempotency_key(&other, &key).await.unwrap(), None);
}

pub async fn a_token_is_spent_once(mut fixture: impl Fixture) {
    let store = fixture.open();
    let spent = KeptToken { spent_at: Some(AT), ..token() };
    assert!(is_conflict(&store.commit(change().write(Write::SpendToken(spent.clone()))).await));
    let _ = store.commit(change().write(Write::CreateToken(token()))).await.unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::CreateToken(token()))).await));
    assert_eq!(store.token(token().id).await.unwrap(), Some(token()));
    let _ = store.commit(change().write(Write::SpendToken(spent.clone()))).await.unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::SpendToken(spent.clone()))).await));
    assert_eq!(store.token(token().id).await.unwrap(), Some(spent));
}

pub async fn hosts_belong_to_the_site_that_reported_them_first(mut fixture: impl Fixture) {
    let store = fixture.open();
    let _ = store
        .commit(change().write(Write::PutHost(host("web-1", "eu"))).write(Write::PutHost(host("db", "eu"))))
        .await
        .unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::PutHost(host("web-1", "us")))).await));
    let changed = KeptHost { user: "ops".into(), ..host("web-1", "eu") };
    let _ = store.commit(change().write(Write::PutHost(changed.clone()))).await.unwrap();
    assert_eq!(store.hosts().await.unwrap(), [host("db", "eu"), changed]);
    let removed = change().write(Write::RemoveHost(HostAlias::new("web-1").unwrap()));
    let _ = store.commit(removed.write(Write::PutHost(host("web-1", "us")))).await.unwrap();
    assert_eq!(store.hosts().await.unwrap(), [host("db", "eu"), host("web-1", "us")]);
    let agent = KeptAgent {
        tenant: TenantName::new("default").unwrap(),
        site: SiteName::new("eu").unwrap(),
        name: AgentName::new("a").unwrap(),
        epoch: 1,
        enrolled_at: AT,
        serial: "01".into(),
        journal_id: "j".into(),
        witness_key: "k".into(),
        generation: 0,
        revoked: None,
        version: 1,
    };
    let _ = store.commit(change().write(Write::PutAgent(agent.clone()))).await.unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::PutAgent(agent.clone()))).await));
    let revoked = Revocation { by: principal(), at: AT, reason: "a \"stolen\" disk".parse().unwrap() };
    let next = KeptAgent { epoch: 2, version: 2, generation: 1, revoked: Some(revoked), ..agent };
    let _ = store.commit(change().write(Write::PutAgent(next.clone()))).await.unwrap();
    assert_eq!(store.agents().await.unwrap(), std::slice::from_ref(&next));
    assert_eq!(store.agent(&next.site, &next.name).await.unwrap(), Some(next));
}

pub async fn jobs_are_listed_newest_first_in_pages(mut fixture: impl Fixture) {
    let store = fixture.open();
    for n in [3, 1, 2] {
        let _ = store.commit(change().write(Write::CreateJob(job(n)))).await.unwrap();
    }
    let ids = |jobs: Vec<crate::KeptJob>| jobs.iter().map(|j| j.job.id.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(ids(store.jobs(None, 2).await.unwrap()), [3, 2]);
    assert_eq!(ids(store.jobs(Some(JobId::from_bytes([2; 16])), 2).await.unwrap()), [1]);
}

pub async fn invocations_are_listed_by_host_in_pages(mut fixture: impl Fixture) {
    let store = fixture.open();
    let (mine, other) = (job(1), job(2));
    let mut all = change().write(Write::CreateInvocation(invocation(&other, "b")));
    for host in ["b", "a", "b-2", "c"] {
        all = all.write(Write::CreateInvocation(invocation(&mine, host)));
    }
    let _ = store.commit(all).await.unwrap();
    let id = |host: &str| InvocationId::derive(mine.id, host, 1);
    assert_eq!(store.invocation_ids(mine.id, None, 3).await.unwrap(), [id("a"), id("b"), id("b-2")]);
    let after = HostAlias::new("b").unwrap();
    assert_eq!(store.invocation_ids(mine.id, Some(&after), 9).await.unwrap(), [id("b-2"), id("c")]);
}

pub async fn large_and_binary_output_comes_back_byte_for_byte(mut fixture: impl Fixture) {
    let store = fixture.open();
    let job = job(1);
    for (n, size) in [0usize, 1, 2047, 2048, 2049, 300_000].into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 256) as u8).collect();
        let stream = |bytes: &[u8]| StreamSummary {
            bytes_total: bytes.len() as u64 + 5,
            digest: Some(Digest::of(bytes)),
            head: bytes[..bytes.len() / 3].to_vec(),
            tail: bytes[bytes.len() / 3..].to_vec(),
        };
        let mut inv = invocation(&job, &format!("h{n}"));
        inv.state = InvocationState::Ended(Outcome::Succeeded);
        let mut timing = lictor_core::output::timing::Timing::default();
        timing.note(StreamName::Stdout, 0, 3);
        timing.note(StreamName::Stderr, 0, 70);
        inv.output = Output { stdout: stream(&bytes), stderr: stream(&bytes[bytes.len() / 2..]), timing };
        let _ = store.commit(change().write(Write::CreateInvocation(inv.clone()))).await.unwrap();
        assert_eq!(store.invocation(inv.id).await.unwrap(), Some(inv.clone()));
        let outline = store.outline(inv.id).await.unwrap().unwrap();
        assert_eq!(outline, Outline::of(inv.clone()));
        for name in [StreamName::Stdout, StreamName::Stderr] {
            let (kept, mut read, mut position) = (outline.kept.stream(name), Vec::new(), 0);
            while let Some((from, to)) = kept.next(position, 70_000) {
                read.extend_from_slice(&store.output(inv.id, name, from, to).await.unwrap().unwrap());
                position = to;
            }
            let stream = inv.output.stream(name);
            assert_eq!(read, [&stream.head[..], &stream.tail[..]].concat(), "{size} {name:?}");
        }
    }
}

pub async fn every_change_is_in_the_audit_in_order_and_in_the_tree(mut fixture: impl Fixture) {
    let store = fixture.open();
    let mut frontier = Frontier::default();
    for n in 0..20 {
        let mut all = Change::new(AT, AuditEvent::ControllerStarted { name: format!("{n}-first") });
        for more in 0..n % 3 {
            all = all.event(AuditEvent::ControllerStarted { name: format!("{n}-{more}") });
        }
        let recorded = store.commit(all).await.unwrap();
        assert_eq!(recorded.first_index(), frontier.size());
        for entry in store.audit(recorded.first_index(), 99).await.unwrap() {
            assert_eq!(entry.index, frontier.size());
            frontier.push(leaf_hash(&entry.content));
        }
    }
    assert_eq!(store.audit_head().await.unwrap(), frontier.head());
    let first: serde_json::Value =
        serde_json::from_slice(&store.audit(0, 1).await.unwrap()[0].content).unwrap();
    assert_eq!(first["kind"], "controller_started");
    assert_eq!(first["name"], "0-first");
    assert_eq!(first["v"], 1);
}

pub async fn concurrent_changes_of_one_thing_let_exactly_one_through(mut fixture: impl Fixture) {
    let store = fixture.open();
    let _ = store.commit(change().write(Write::CreateToken(token()))).await.unwrap();
    let spenders: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            let spent = KeptToken { spent_at: Some(AT), ..token() };
            tokio::spawn(async move { store.commit(change().write(Write::SpendToken(spent))).await.is_ok() })
        })
        .collect();
    let mut through = 0;
    for spender in spenders {
        through += usize::from(spender.await.unwrap());
    }
    assert_eq!(through, 1);
    assert_eq!(store.audit_head().await.unwrap().size, 2);
}

pub async fn policies_are_kept_by_version(mut fixture: impl Fixture) {
    let store = fixture.open();
    let policy = |version| KeptPolicy {
        version,
        digest: Digest::of(b"p"),
        source: "version: 1\n".into(),
        changed_by: "file".into(),
        changed_at: AT,
        note: if version == 2 { "as \"agreed\"".into() } else { String::new() },
    };
    assert_eq!(store.policy(None).await.unwrap(), None);
    for version in 1..=300 {
        let _ = store.commit(change().write(Write::PutPolicy(policy(version)))).await.unwrap();
    }
    assert!(is_conflict(&store.commit(change().write(Write::PutPolicy(policy(300)))).await));
    assert_eq!(store.policy(None).await.unwrap().unwrap().version, 300);
    assert_eq!(store.policy(Some(2)).await.unwrap(), Some(policy(2)));
}

pub async fn a_proposed_policy_is_kept_until_it_is_replaced_or_removed<F: Fixture>(mut fixture: F) {
    let proposed = |source: &str| KeptShadow {
        digest: Digest::of(source.as_bytes()),
        source: source.into(),
        put_by: "user:ops".into(),
        put_at: AT,
    };
    let mut store = fixture.open();
    assert_eq!(store.shadow_policy().await.unwrap(), None);
    for source in ["version: 1\nrules: []\n", "version: 1\n"] {
        let _ = store.commit(change().write(Write::PutShadow(proposed(source)))).await.unwrap();
        assert_eq!(store.shadow_policy().await.unwrap(), Some(proposed(source)));
    }
    assert_eq!(store.policy(None).await.unwrap(), None, "it is not in force");
    if F::DURABLE {
        drop(store);
        store = fixture.open();
        assert_eq!(store.shadow_policy().await.unwrap(), Some(proposed("version: 1\n")));
    }
    for _ in 0..2 {
        let _ = store.commit(change().write(Write::RemoveShadow)).await.unwrap();
        assert_eq!(store.shadow_policy().await.unwrap(), None);
    }
}

pub async fn the_settings_of_the_last_start_are_kept<F: Fixture>(mut fixture: F) {
    let settings = |listen: &str| KeptSettings { values: [("listen".into(), listen.into())].into() };
    let mut store = fixture.open();
    assert_eq!(store.settings().await.unwrap(), None);
    for listen in ["127.0.0.1:1", "127.0.0.1:2"] {
        let _ = store.commit(change().write(Write::PutSettings(settings(listen)))).await.unwrap();
        assert_eq!(store.settings().await.unwrap(), Some(settings(listen)));
    }
    if F::DURABLE {
        drop(store);
        store = fixture.open();
        assert_eq!(store.settings().await.unwrap(), Some(settings("127.0.0.1:2")));
    }
}

pub async fn what_was_acknowledged_is_there_after_reopening<F: Fixture>(mut fixture: F) {
    if !F::DURABLE {
        return;
    }
    let store = fixture.open();
    for n in 1..=50 {
        let job = job(n);
        let inv = invocation(&job, "web-1");
        let _ = store
            .commit(change().write(Write::CreateJob(job)).write(Write::CreateInvocation(inv)))
            .await
            .unwrap();
    }
    let head = store.audit_head().await.unwrap();
    drop(store);
    let store = fixture.open();
    assert_eq!(store.audit_head().await.unwrap(), head);
    assert_eq!(store.jobs(None, 99).await.unwrap().len(), 50);
    assert_eq!(store.open_invocations().await.unwrap().len(), 50);
    let _ = store.commit(change()).await.unwrap();
    assert_eq!(store.audit_head().await.unwrap().size, head.size + 1);
}
