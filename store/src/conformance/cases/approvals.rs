//! Approvals: kept with their job, and moved by one decision at a time.

use std::time::Duration;

use lictor_core::{
    approval::{Approval, ApprovalState, Consent, Term},
    digest::Digest,
    job::Job,
};

use super::{AT, Fixture, change, is_conflict, job, principal};
use crate::Write;

pub async fn an_approval_is_kept_with_its_job_and_two_decisions_at_once_are_one<F: Fixture>(mut fixture: F) {
    let asked = Approval {
        plan: Digest::of(b"plan"),
        terms: vec![Term { group: "dba".parse().unwrap(), approvals: 2 }],
        rules: vec!["asks".parse().unwrap()],
        reason: "rule `asks` asks for consent".into(),
        hosts: 3,
        timeout: Some(Duration::from_micros(1_500)),
        output_bytes: Some(7),
        expires_at: AT.plus(Duration::from_secs(60)),
        consents: Vec::new(),
        state: ApprovalState::Pending,
    };
    let mut store = fixture.open();
    let waiting = Job { approval: Some(asked.clone()), ..job(1) };
    let _ = store.commit(change().write(Write::CreateJob(waiting.clone()))).await.unwrap();
    let update = |approval: Approval, version| {
        let job = Job { approval: Some(approval), ..waiting.clone() };
        change().write(Write::UpdateJob { job, counts: None, version })
    };
    let consent = |note: Option<&str>| Consent {
        by: principal(),
        at: AT,
        note: note.map(|note| note.parse().unwrap()),
    };
    let given = Approval { consents: vec![consent(None), consent(Some("looks right"))], ..asked };
    let _ = store.commit(update(given.clone(), 2)).await.unwrap();
    // Whoever decided by what was there before has decided nothing.
    let used = Approval { state: ApprovalState::Used { at: AT }, ..given.clone() };
    assert!(is_conflict(&store.commit(update(used.clone(), 2)).await));
    if F::DURABLE {
        drop(store);
        store = fixture.open();
    }
    assert_eq!(store.job(waiting.id).await.unwrap().unwrap().job.approval, Some(given.clone()));
    let ends = [
        ApprovalState::Denied { by: principal(), at: AT, note: "not today".parse().unwrap() },
        ApprovalState::Expired { at: AT },
        ApprovalState::Voided { at: AT, code: "PLAN_STALE".into(), reason: "why".into() },
        ApprovalState::Used { at: AT },
    ];
    for (state, version) in ends.into_iter().zip(3..) {
        let ended = Approval { state, ..given.clone() };
        let _ = store.commit(update(ended.clone(), version)).await.unwrap();
        assert_eq!(store.job(waiting.id).await.unwrap().unwrap().job.approval, Some(ended));
    }
}
