//! Erasures that wait, and holds: kept until each ends, once.

use lictor_core::{
    erasure::{Erasure, Hold, LiftRequest, PayloadScope},
    id::{ErasureId, HoldId, JobId},
};

use super::{AT, Fixture, change, is_conflict, principal};
use crate::Write;

pub async fn erasures_that_wait_and_holds_are_kept_until_each_ends_once<F: Fixture>(mut fixture: F) {
    let scopes = [
        PayloadScope::subject("user:ada").unwrap(),
        PayloadScope::Job(JobId::from_bytes([7; 16])),
        PayloadScope::period(AT, AT.plus(std::time::Duration::from_secs(1))).unwrap(),
    ];
    let note = || "a \"reason\"".parse().unwrap();
    let erasure = |n: u8| Erasure {
        id: ErasureId::from_bytes([n; 16]),
        scope: scopes[usize::from(n)].clone(),
        reason: note(),
        by: principal(),
        at: AT,
    };
    let hold = |n: u8, version: u64| Hold {
        id: HoldId::from_bytes([n; 16]),
        scope: scopes[usize::from(n)].clone(),
        reason: note(),
        by: principal(),
        at: AT,
        lift: (version > 1).then(|| LiftRequest { by: principal(), reason: note(), at: AT }),
        version,
    };
    let mut store = fixture.open();
    let put = (0..3).fold(change(), |change, n| {
        change.write(Write::PutErasure(erasure(n))).write(Write::PutHold(hold(n, 1)))
    });
    let _ = store.commit(put).await.unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::PutErasure(erasure(1)))).await));
    assert!(is_conflict(&store.commit(change().write(Write::PutHold(hold(1, 1)))).await));
    assert!(is_conflict(&store.commit(change().write(Write::PutHold(hold(1, 3)))).await));
    let _ = store.commit(change().write(Write::PutHold(hold(1, 2)))).await.unwrap();
    if F::DURABLE {
        drop(store);
        store = fixture.open();
    }
    assert_eq!(store.erasures().await.unwrap(), [erasure(0), erasure(1), erasure(2)]);
    assert_eq!(store.holds().await.unwrap(), [hold(0, 1), hold(1, 2), hold(2, 1)]);
    let end = || change().write(Write::RemoveErasure(erasure(1).id));
    let lift = || change().write(Write::RemoveHold(hold(1, 2)));
    assert!(is_conflict(&store.commit(change().write(Write::RemoveHold(hold(1, 1)))).await));
    let _ = store.commit(end()).await.unwrap();
    let _ = store.commit(lift()).await.unwrap();
    assert!(is_conflict(&store.commit(end()).await));
    assert!(is_conflict(&store.commit(lift()).await));
    assert_eq!(store.erasures().await.unwrap(), [erasure(0), erasure(2)]);
    assert_eq!(store.holds().await.unwrap(), [hold(0, 1), hold(2, 1)]);
}
