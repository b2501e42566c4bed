//! The limits of retention in force: replaced by version alone, and kept with the wish for others.

use std::time::Duration;

use lictor_core::retention::{RetentionLimits, Shortening};

use super::{AT, Fixture, change, is_conflict, principal};
use crate::{KeptRetention, Write};

pub async fn the_limits_of_retention_are_kept_and_replaced_by_version<F: Fixture>(mut fixture: F) {
    let shorter = RetentionLimits {
        output_age: Duration::from_millis(90_500),
        output_bytes: 12_345,
        payload_age: Some(Duration::from_millis(86_400_500)),
        ..RetentionLimits::default()
    };
    let asked =
        Shortening { limits: shorter, by: principal(), reason: "a \"reason\"".parse().unwrap(), at: AT };
    let kept = |limits, asked: Option<&Shortening>, version| KeptRetention {
        limits,
        asked: asked.cloned(),
        version,
    };
    let all = [
        kept(RetentionLimits::default(), None, 1),
        kept(RetentionLimits::default(), Some(&asked), 2),
        kept(shorter, None, 3),
    ];
    let mut store = fixture.open();
    assert_eq!(store.retention().await.unwrap(), None);
    for retention in &all {
        let put = || change().write(Write::PutRetention(retention.clone()));
        let _ = store.commit(put()).await.unwrap();
        assert!(is_conflict(&store.commit(put()).await), "it is of this version already");
        if F::DURABLE {
            drop(store);
            store = fixture.open();
        }
        assert_eq!(store.retention().await.unwrap().as_ref(), Some(retention));
    }
    let skipped = kept(shorter, None, 5);
    assert!(is_conflict(&store.commit(change().write(Write::PutRetention(skipped))).await));
}
