//! Payloads of audit records: there until they are erased, and no part of what the tree is made of.

use lictor_core::{
    audit::AuditEvent,
    merkle::{Frontier, leaf_hash},
};

use super::{AT, Fixture, change, principal};
use crate::{
    Change, Write,
    record::{Commitment, Missing, reveal},
};

fn searched(text: &str) -> Change {
    let event = AuditEvent::AuditRead { by: principal(), from: 0, count: 1, query: Some(text.into()) };
    Change::new(AT, event)
}

pub async fn an_erased_payload_is_gone_and_the_log_is_what_it_was<F: Fixture>(mut fixture: F) {
    let mut store = fixture.open();
    for n in 0..6 {
        let _ = store.commit(searched(&format!("command:secret-{n}"))).await.unwrap();
    }
    let _ = store.commit(change()).await.unwrap();
    let before = store.audit(0, 99).await.unwrap();
    for entry in &before {
        let commitment = Commitment::of(&entry.content).unwrap();
        assert_eq!(commitment.is_some(), entry.index < 6, "{}", entry.index);
        assert_eq!(commitment.map_or(Ok(()), |commitment| commitment.fits(&entry.payload)), Ok(()));
    }
    // What is erased already, has no payload, or is not there at all is no error.
    for _ in 0..2 {
        let ranges = vec![(1, 3), (4, 5), (6, 7), (90, 99)];
        let _ = store.commit(change().write(Write::ErasePayloads(ranges))).await.unwrap();
    }
    for reopened in [false, true] {
        if reopened && F::DURABLE {
            drop(store);
            store = fixture.open();
        }
        let after = store.audit(0, 99).await.unwrap();
        let mut frontier = Frontier::default();
        for entry in &after {
            frontier.push(leaf_hash(&entry.content));
        }
        assert_eq!(store.audit_head().await.unwrap(), frontier.head());
        for (was, is) in before.iter().zip(&after) {
            assert_eq!(was.content, is.content);
            let erased = matches!(is.index, 1 | 2 | 4);
            assert_eq!(is.payload.is_empty(), erased || is.index == 6, "{}", is.index);
            let facts = is.facts().unwrap();
            let query = if erased { "(erased)".to_owned() } else { format!("command:secret-{}", is.index) };
            assert!(is.index == 6 || facts.text("query") == query, "{facts:?}");
            assert!(
                !String::from_utf8_lossy(&reveal(&is.content, &is.payload, Missing::Erased))
                    .contains("payload")
            );
        }
    }
}
