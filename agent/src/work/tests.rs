//! What the shared state promises to sessions, stops and uploads.

use lictor_core::{outcome::Outcome, output::Output};

use super::*;
use crate::ended::{Kept, SpooledOutput};

fn id(n: usize) -> InvocationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
    InvocationId::from_bytes(bytes)
}

#[test]
fn neither_offers_nor_stops_make_more_known_than_a_hello_may_name() {
    let work = Work::default();
    for n in 0..BUSY_AT {
        assert!(!work.full() && work.claim(id(n)));
    }
    assert!(work.full());
    for n in BUSY_AT..MAX_KNOWN {
        assert_eq!(work.stop(id(n)), Stopping::Taken);
    }
    assert_eq!(work.stop(id(MAX_KNOWN)), Stopping::Over);
    assert!(!work.claim(id(MAX_KNOWN)));
    assert_eq!(work.begin_session().len(), MAX_IDS_PER_MESSAGE);
}

#[tokio::test]
async fn output_is_uploaded_once_at_a_time_however_often_its_end_is_asked_for() {
    let work = Work::default();
    let now = Timestamp::from_micros(1);
    let output = Kept::Spooled(SpooledOutput::of(&Output::default()));
    assert!(work.claim(id(1)));
    work.ended(Ended { output, ..Ended::not_run(id(1), Outcome::Succeeded, now) });
    let queued = || work.lock().to_upload.len();
    assert_eq!((work.stop(id(1)), queued()), (Stopping::Over, 1), "it is queued");
    assert_eq!(work.next_upload().await.invocation, id(1));
    assert_eq!(
        (work.stop(id(1)), work.claim(id(1)), queued()),
        (Stopping::Over, false, 0),
        "it is under way"
    );
    work.uploaded(id(1));
    assert_eq!((work.stop(id(1)), queued()), (Stopping::Over, 1), "the controller asks after it had all");
    // The session ends with what it has under way.
    assert_eq!(work.next_upload().await.invocation, id(1));
    assert_eq!((work.begin_session().len(), queued()), (1, 1));
    assert!(work.is_awaited(id(1)) && work.committed(id(1), now).is_some() && !work.is_awaited(id(1)));
}

#[test]
fn an_acknowledgement_waits_and_is_not_sent_for_what_has_ended_meanwhile() {
    use pb::agent_message::Message;
    let work = Work::default();
    let end = |n| Ended::not_run(id(n), Outcome::Cancelled, Timestamp::from_micros(1));
    assert!((0..3).all(|n| work.claim(id(n))));
    work.ended(end(2));
    work.acknowledge(&[], &[id(0), id(1), id(2)]);
    work.ended(end(1));
    assert!(work.next_due().is_some());
    let now = Instant::now();
    work.lock().progress_due = Some(now + Duration::from_secs(3600));
    let first = work.next_message().and_then(|m| m.message);
    assert!(matches!(first, Some(Message::Results(r)) if r.results.len() == 2), "results do not wait");
    assert!(work.next_message().is_none());
    work.lock().progress_due = Some(now);
    match work.next_message().and_then(|m| m.message) {
        Some(Message::Progress(p)) => assert_eq!(p.started, [id(0).to_string()]),
        other => panic!("{other:?}"),
    }
    assert!(work.next_message().is_none() && work.next_due().is_none());
}

#[test]
fn of_many_results_one_waits_for_others_until_they_are_enough_and_of_few_none_waits() {
    let work = Work::default();
    let end = |n| Ended::not_run(id(n), Outcome::Cancelled, Timestamp::from_micros(1));
    let sent = || match work.next_message().and_then(|m| m.message) {
        Some(pb::agent_message::Message::Results(results)) => results.results.len(),
        None => 0,
        other => panic!("{other:?}"),
    };
    let many = RESULTS_TO_GO + MANY_IN_FLIGHT as usize;
    assert!((0..many).all(|n| work.claim(id(n))));
    let before = Instant::now();
    work.ended(end(0));
    assert!(work.next_due().unwrap() >= before + RESULTS_HOLD);
    (1..RESULTS_TO_GO).for_each(|n| work.ended(end(n)));
    assert!(work.next_due().unwrap() <= Instant::now(), "they are enough");
    assert_eq!(sent(), RESULTS_TO_GO);
    assert_eq!(work.next_due(), None);
    work.ended(end(RESULTS_TO_GO));
    assert!(work.next_due().unwrap() <= Instant::now(), "few are under way");
    assert_eq!((sent(), sent(), work.next_due()), (1, 0, None));
}
