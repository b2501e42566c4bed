//! Payloads in exported logs: a changed, exchanged or missing one is found by both verifiers, an erased one is told, and a log is
//! whole without any.

use std::{fs, time::Duration};

use lictor_certs::signer::PublicKey;
use lictor_core::{
    audit::{AuditEvent, ErasureEvent, RetentionEvent},
    clock::Timestamp,
    digest::Digest,
    retention::RetentionLimit,
};
use lictor_store::record::{SealedEvent, seal_event};
use serde_json::json;

use super::{
    ask_python,
    mutations::{self, bundle_of, records},
    samples::every_kind,
};

/// What both say of a log of these records, which must be the same.
fn said(records: &[SealedEvent], range: (u64, u64), filter: Option<&str>, payloads: bool) -> String {
    let (base, key) = bundle_of(records, range, filter, payloads);
    agreed(&base, &key)
}

fn agreed(base: &[u8], key: &PublicKey) -> String {
    let said = mutations::agreed(base, &key.into());
    if said.starts_with("ok ") { "ok".to_owned() } else { said }
}

/// A record of an erasure of these.
fn erasure(ranges: Vec<(u64, u64)>) -> SealedEvent {
    let event = every_kind().into_iter().find_map(|event| match event {
        AuditEvent::Erasure(event) => match *event {
            ErasureEvent::Done { erasure, consented_by, .. } => {
                Some(ErasureEvent::Done { erasure, consented_by, ranges: ranges.clone() })
            }
            _ => None,
        },
        _ => None,
    });
    seal_event(Timestamp::from_micros(1), &AuditEvent::Erasure(Box::new(event.unwrap())), [9; 16])
}

/// A record of payloads that had been kept as long as said.
fn removal(ranges: Vec<(u64, u64)>) -> SealedEvent {
    let limit = RetentionLimit::Age(Duration::from_secs(400 * 86_400));
    let event = RetentionEvent::PayloadsRemoved { ranges, limit };
    seal_event(Timestamp::from_micros(1), &AuditEvent::Retention(Box::new(event)), [9; 16])
}

/// Indices of the records that have a payload.
fn with_payload(records: &[SealedEvent]) -> Vec<usize> {
    (0..records.len()).filter(|n| !records[*n].payload.is_empty()).collect()
}

/// Likewise, of those that no sample of an erasure or of a removal names.
fn never_erased(records: &[SealedEvent]) -> Vec<usize> {
    with_payload(records).into_iter().filter(|n| ![0, 2, 3].contains(n)).collect()
}

/// `records` with other bytes in line `line` (0 for the head), whose check fits.
pub(super) fn with_line(base: &[u8], line: usize, change: impl FnOnce(String) -> String) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = base.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let content = String::from_utf8(lines[line][17..lines[line].len() - 1].to_vec()).unwrap();
    let content = change(content);
    let check = Digest::of(content.as_bytes()).to_string();
    lines[line] = format!("{} {content}\n", &check[..16]).into_bytes();
    lines.concat()
}

#[test]
fn a_payload_that_was_changed_exchanged_or_added_with_its_check_is_named() {
    let records = records();
    let some = never_erased(&records);
    let (base, key) = bundle_of(&records, (0, records.len() as u64), None, true);
    let payload = |line: &str| line.split_once('\t').unwrap().1.to_owned();
    let other = String::from_utf8(records[some[1]].payload.clone()).unwrap();
    let place = format!("payload line={} index={}", some[0] + 2, some[0]);
    let line = some[0] + 1;
    assert_eq!(agreed(&with_line(&base, line, |l| l.replace("\"salt\":\"0", "\"salt\":\"1")), &key), place);
    assert_eq!(agreed(&with_line(&base, line, |l| l.replace(&payload(&l), &other)), &key), place);
    assert_eq!(agreed(&with_line(&base, line, |l| l.replace(&payload(&l), "{}")), &key), place);
    let without = (0..records.len()).find(|n| records[*n].payload.is_empty()).unwrap();
    let added = with_line(&base, without + 1, |l| l + "\t" + &other);
    assert_eq!(agreed(&added, &key), format!("payload line={} index={without}", without + 2));
}

#[test]
fn a_payload_that_is_missing_was_erased_or_is_named() {
    let mut records = records();
    let some = never_erased(&records);
    let first = some[0] as u64;
    for n in &some[..3] {
        records[*n].payload.clear();
    }
    let size = |records: &[SealedEvent]| (0, records.len() as u64);
    assert_eq!(said(&records, size(&records), None, true), format!("payload_missing index={first}"));
    let mut wrong = records.clone();
    wrong.push(erasure(some[1..3].iter().map(|n| (*n as u64, *n as u64 + 1)).collect()));
    assert_eq!(said(&wrong, size(&wrong), None, true), format!("payload_missing index={first}"));
    records.push(erasure(some[..3].iter().map(|n| (*n as u64, *n as u64 + 1)).collect()));
    assert_eq!(said(&records, size(&records), None, true), "ok");
    // A part cannot show what stands behind it.
    assert_eq!(said(&records, (0, 20), None, true), "ok");
    // An erased text is found as that, and no record by what it said.
    assert_eq!(said(&records, size(&records), Some("command:(erased)"), true), "ok");
    let mut late = records.clone();
    let (range, last) = (late.len() as u64, late.len());
    late.push(erasure(vec![(range, range + 1)]));
    let place = format!("not_a_record line={} index={last}", last + 2);
    assert_eq!(said(&late, size(&late), None, true), place);
}

#[test]
fn a_payload_that_is_missing_may_have_been_kept_as_long_as_said() {
    let mut records = records();
    let some = never_erased(&records);
    for n in &some[..3] {
        records[*n].payload.clear();
    }
    let range = |n: &usize| (*n as u64, *n as u64 + 1);
    let with = |record: SealedEvent| {
        let all = [&*records, &[record]].concat();
        said(&all, (0, all.len() as u64), None, true)
    };
    assert_eq!(with(removal(some[..3].iter().map(range).collect())), "ok");
    let some_of_them = removal(some[1..3].iter().map(range).collect());
    assert_eq!(with(some_of_them), format!("payload_missing index={}", some[0]));
    let last = records.len();
    for ranges in
        [json!(null), json!("0"), json!([0]), json!(["02"]), json!(["3-2"]), json!([last.to_string()])]
    {
        let record = json!({"v": 1, "at": "2026-11-22T12:00:00.000000Z", "kind": "payloads_removed", "ranges": ranges});
        let wrong = SealedEvent { content: record.to_string().into_bytes(), payload: Vec::new() };
        assert_eq!(with(wrong), format!("not_a_record line={} index={last}", last + 2), "{ranges}");
    }
}

#[test]
fn a_log_without_payloads_is_whole_and_says_so() {
    let records = records();
    let (base, key) = bundle_of(&records, (0, records.len() as u64), None, false);
    assert_eq!(agreed(&base, &key), "ok");
    assert!(!String::from_utf8(base.clone()).unwrap().contains("\"salt\""));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("log"), &base).unwrap();
    let (code, told) = ask_python(&dir.path().join("log"), &key);
    assert_eq!(code, Some(0));
    let left_out = format!("0 payloads, 0 erased, {} left out", with_payload(&records).len());
    assert!(told.contains(&left_out), "{told}");
    // The same bytes in the form before, which had no word for payloads.
    let form_2 = with_line(&base, 0, |head| {
        head.replace("\"lictor_audit\":3", "\"lictor_audit\":2").replace(",\"payloads\":false", "")
    });
    assert_eq!(agreed(&form_2, &key), "ok");
    // A file that says that it has payloads has them.
    let claims = with_line(&base, 0, |head| head.replace("\"payloads\":false", "\"payloads\":true"));
    let first = never_erased(&records)[0];
    assert_eq!(agreed(&claims, &key), format!("payload_missing index={first}"));
}
