//! Whole reports as they are read, and that nothing in a record becomes anything but text.

use lictor_core::audit::query::{Term, What};
use lictor_store::record::AuditFacts;

use super::*;
use crate::audit::report::gather::Gatherer;

const SINCE: &str = "2026-10-01T00:00:00.000000Z";

const RECORDS: [&str; 6] = [
    r#"{"at":"2026-10-01T08:00:00.000000Z","kind":"policy_changed","policy_version":2,"policy_digest":"ab","by":"user:ops","note":null,"v":1}"#,
    r#"{"at":"2026-10-02T08:00:00.000000Z","kind":"request_denied","principal":"service:ci","command":"rm -rf /","code":"POLICY_DEFAULT_DENY","v":1}"#,
    r#"{"at":"2026-10-03T08:00:00.000000Z","kind":"job_submitted","job":"job_1","principal":"user:ops","command":"df","v":1}"#,
    r#"{"at":"2026-10-03T08:00:01.000000Z","kind":"invocation_ended","job":"job_1","invocation":"inv_1","host":"web-1","outcome":"SUCCEEDED","ran":"ran","v":1}"#,
    r#"{"at":"2026-10-04T08:00:00.000000Z","kind":"freeze_set","scope":"all","reason":"no","by":"user:ops","v":1}"#,
    r#"{"at":"2026-10-05T08:00:00.000000Z","kind":"call_refused","identity":"<script>alert('1')</script>|`x`\u001b[31m","method":"/x","count":1,"v":1}"#,
];

fn basis() -> Basis {
    Basis {
        log: "fleet.example/audit/acme".into(),
        verified: true,
        verified_what: "all 106 records".into(),
        part: None,
        size: 106,
        root: "aa55".into(),
        checkpoint: "fleet.example/audit/acme\n106\nAAAA\n\n— fleet.example/audit/acme BBBB\n".into(),
        anchored_at: Some(90),
        witnesses: vec!["fleet.example/witness/acme/eu/a".into()],
        witnesses_pinned: false,
    }
}

fn report(framework: Framework, records: &[&str]) -> Report {
    let mut gatherer = Gatherer::new(framework);
    for (index, record) in (100..).zip(records) {
        let facts = AuditFacts::read(record.as_bytes()).unwrap();
        gatherer.push(index, record.as_bytes(), &facts);
    }
    let limits = [Term::new(What::Since, SINCE).unwrap()];
    let period = Period { from: Some(SINCE.into()), ..Period::default() };
    let mut report = gatherer.finish(basis(), period, &limits, "2026-11-01T00:00:00.000000Z".into());
    // As it is written, whatever the version.
    report.made_by = "lictor 0".into();
    report
}

#[test]
fn a_report_as_people_and_programs_read_it() {
    let soc2 = report(Framework::Soc2, &RECORDS);
    insta::assert_snapshot!("soc2_markdown", markdown::text(&soc2));
    insta::assert_snapshot!("soc2_html", html::text(&soc2));
    let hipaa = report(Framework::Hipaa, &RECORDS);
    insta::assert_snapshot!("hipaa_json", serde_json::to_string_pretty(&hipaa).unwrap());
}

#[test]
fn nothing_in_a_record_becomes_anything_but_text() {
    for framework in Framework::value_variants() {
        let report = report(*framework, &RECORDS);
        let html = html::text(&report);
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
        let markdown = markdown::text(&report);
        assert!(
            !markdown.contains("<script") && markdown.contains(r"&lt;script&gt;alert\('1'\)"),
            "{markdown}"
        );
        // A pipe would end the cell, an escape would paint the terminal.
        assert!(markdown.contains(r"\|\`x\`") && !markdown.contains('\u{1b}') && !html.contains('\u{1b}'));
    }
}

#[test]
fn what_is_counted_is_what_fits_and_a_control_without_records_says_so() {
    let report = report(Framework::PciDss, &RECORDS);
    let control = |id: &str| report.controls.iter().find(|control| control.id == id).unwrap();
    let default_deny = &control("7.3.1 to 7.3.3").evidence[1];
    assert_eq!((default_deny.records, default_deny.first, default_deny.last), (1, Some(101), Some(101)));
    assert_eq!(
        default_deny.query.as_deref(),
        Some(&*format!("kind:request_denied code:POLICY_DEFAULT_DENY since:{SINCE}"))
    );
    let requests = &control("10.2.2").evidence[0];
    assert_eq!((requests.records, requests.first, requests.last), (2, Some(101), Some(102)));
    assert_eq!(control("10.2.1.3").support, Support::None);
    assert_eq!(control("10.5.1").support, Support::Log);
    assert_eq!(control("12.10").support, Support::Records);
    assert_eq!(report.period.records, 6);
    let cited: Vec<u64> = report.records.iter().map(|record| record.index).collect();
    assert_eq!(cited, [100, 101, 102, 103, 104, 105]);
}
