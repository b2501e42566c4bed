//! What the audit log proves of itself, and the signed heads that are kept.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    merkle::{
        Frontier, TreeHead, leaf_hash,
        proof::{verify_consistency, verify_inclusion},
    },
};

use super::{AT, Fixture, change, event};
use crate::{KeptCheckpoint, Store};

/// Enough for hashes of 256 records to be kept, some of them written in one change.
const RECORDS: usize = 700;

async fn heads(store: &dyn Store) -> (Vec<TreeHead>, Vec<Digest>) {
    let leaves: Vec<Digest> =
        store.audit(0, RECORDS + 1).await.unwrap().iter().map(|entry| leaf_hash(&entry.content)).collect();
    let mut frontier = Frontier::default();
    let mut heads = vec![frontier.head()];
    for leaf in &leaves {
        frontier.push(*leaf);
        heads.push(frontier.head());
    }
    (heads, leaves)
}

pub async fn proofs_hold_for_every_earlier_head<F: Fixture>(mut fixture: F) {
    let mut store = fixture.open();
    let seen = store.audit_heads();
    for part in [1, 254, 2, RECORDS - 257] {
        let _ = store.commit((1..part).fold(change(), |change, _| change.event(event()))).await.unwrap();
    }
    if F::DURABLE {
        drop(store);
        store = fixture.open();
    } else {
        assert_eq!(seen.borrow().size, RECORDS as u64);
    }
    let (heads, leaves) = heads(&*store).await;
    let size = RECORDS as u64;
    assert_eq!(store.audit_head().await.unwrap(), heads[RECORDS]);
    assert_eq!(*store.audit_heads().borrow(), heads[RECORDS]);
    for old in [0, 1, 2, 3, 63, 128, 255, 256, 257, 300, 511, 512, 513, 640, 699, 700] {
        let head = store.audit_head_at(old).await.unwrap().unwrap();
        assert_eq!(head, heads[usize::try_from(old).unwrap()], "{old}");
        for new in [old, old.max(257), old.max(512), size] {
            let proof = store.consistency_proof(old, new).await.unwrap().unwrap();
            let new = heads[usize::try_from(new).unwrap()];
            assert_eq!(verify_consistency(&head, &new, &proof), Ok(()), "{old} to {}", new.size);
        }
    }
    for index in [0, 1, 255, 256, 511, 698, 699] {
        let proof = store.inclusion_proof(index, size).await.unwrap().unwrap();
        let leaf = leaves[usize::try_from(index).unwrap()];
        assert_eq!(verify_inclusion(&leaf, index, &heads[RECORDS], &proof), Ok(()), "{index}");
    }
    assert_eq!(store.audit_head_at(size + 1).await.unwrap(), None);
    assert_eq!(store.consistency_proof(1, size + 1).await.unwrap(), None);
    assert_eq!(store.consistency_proof(2, 1).await.unwrap(), None);
    assert_eq!(store.inclusion_proof(size, size).await.unwrap(), None);
}

pub async fn the_newest_checkpoint_and_the_last_of_each_hour_are_kept<F: Fixture>(mut fixture: F) {
    let checkpoint = |size: u64, at: Timestamp| KeptCheckpoint { size, note: format!("note {size}\n"), at };
    let (first, later) = (AT, AT.plus(Duration::from_secs(3600)));
    let mut store = fixture.open();
    assert!(store.checkpoints(10).await.unwrap().is_empty());
    let all = [checkpoint(1, first), checkpoint(9, first), checkpoint(300, later), checkpoint(301, later)];
    for one in &all {
        store.keep_checkpoint(one.clone()).await.unwrap();
    }
    let cosigned = KeptCheckpoint { note: "note 301\ncosigned\n".into(), ..all[3].clone() };
    store.keep_checkpoint(cosigned.clone()).await.unwrap();
    if F::DURABLE {
        drop(store);
        store = fixture.open();
    }
    assert_eq!(store.checkpoints(10).await.unwrap(), [cosigned.clone(), all[1].clone()]);
    assert_eq!(store.checkpoints(1).await.unwrap(), [cosigned]);
}
