//! Payloads in exported logs: a changed, exchanged or missing one is found by both verifiers, an erased one is told, and a log is
//! whole without any.

use std::fs;

use lictor_certs::signer::PublicKey;
use lictor_core::{
    audit::{AuditEvent, ErasureEvent},
    clock::Timestamp,
    digest::Digest,
};
use lictor_store::record::{SealedEvent, seal_event};

use super::{
    ask_python,
    mutations::{Splice, both, bundle_of, records},
    samples::every_kind,
};

const UNCHANGED: Splice = Splice { at: 0, remove: 0, insert: Vec::new() };

/// What both say of a log of these records, which must be the same.
fn said(records: &[SealedEvent], range: (u64, u64), filter: Option<&str>, payloads: bool) -> String {
    let (base, key) = bundle_of(records, range, filter, payloads);
    agreed(&base, &key)
}

fn agreed(base: &[u8], key: &PublicKey) -> String {
    let (ours, theirs) = both(base, key, &[UNCHANGED]).remove(0);
    assert_eq!(ours, theirs);
    ours
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

/// Indices of the records that have a payload.
fn with_payload(records: &[SealedEvent]) -> Vec<usize> {
    (0..records.len()).filter(|n| !records[*n].payload.is_empty()).collect()
}

/// Likewise, of those that no sample of an erasure names.
fn never_erased(records: &[SealedEvent]) -> Vec<usize> {
    with_payload(records).into_iter().filter(|n| ![0, 2, 3].contains(n)).collect()
}

/// `records` with other bytes in line `line` (0 for the head), whose check fits.
fn with_line(base: &[u8], line: usize, change: impl FnOnce(String) -> String) -> Vec<u8> {
    let mut lines: Vec<String> =
        String::from_utf8(base.to_vec()).unwrap().lines().map(str::to_owned).collect();
    let content = change(lines[line][17..].to_owned());
    lines[line] = format!("{} {content}", &Digest::of(content.as_bytes()).to_string()[..16]);
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
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
