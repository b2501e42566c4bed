//! Freezes: kept until each is lifted, once.

use lictor_core::{freeze::Freeze, id::FreezeId};

use super::{AT, Fixture, change, is_conflict, principal};
use crate::Write;

pub async fn a_freeze_is_kept_until_it_is_lifted_once<F: Fixture>(mut fixture: F) {
    let freeze = |n: u8, scope: &str| Freeze {
        id: FreezeId::from_bytes([n; 16]),
        scope: scope.parse().unwrap(),
        reason: "a \"reason\"".parse().unwrap(),
        by: principal(),
        at: AT,
    };
    let all = [freeze(1, "all"), freeze(2, "site:eu"), freeze(3, "host:web-1")];
    let mut store = fixture.open();
    assert!(store.freezes().await.unwrap().is_empty());
    let put = all.iter().fold(change(), |change, freeze| change.write(Write::PutFreeze(freeze.clone())));
    let _ = store.commit(put).await.unwrap();
    assert!(is_conflict(&store.commit(change().write(Write::PutFreeze(freeze(2, "all")))).await));
    if F::DURABLE {
        drop(store);
        store = fixture.open();
    }
    assert_eq!(store.freezes().await.unwrap(), all);
    let lift = || change().write(Write::RemoveFreeze(all[1].id));
    let _ = store.commit(lift()).await.unwrap();
    assert!(is_conflict(&store.commit(lift()).await));
    assert_eq!(store.freezes().await.unwrap(), [all[0].clone(), all[2].clone()]);
}
