//! Every way of changing an exported log is found, at the same place, by two verifiers that share no code.
//!
//! 10,000 bits are flipped; `LICTOR_AUDIT_FLIPS=all` flips every one.

use std::{fs, io::Write as _, path::Path, process::Stdio, thread};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::{
    checkpoint::Origin,
    signer::{PublicKey, SigningKey},
};
use lictor_cli::verdict::{Selection, Verdict, verdict, write};
use lictor_core::{audit::query::Query, clock::Timestamp};
use lictor_store::record::{SealedEvent, seal_event};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{ask_python, python, samples::every_kind};

/// Bits that are flipped when not all are.
const FLIPS: usize = 10_000;
/// Smallest file that is tried.
const MIN_BYTES: usize = 64 * 1024;

/// Some bytes in place of others.
#[derive(Debug, Clone)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) remove: usize,
    pub(super) insert: Vec<u8>,
}

impl Splice {
    fn apply(&self, base: &[u8]) -> Vec<u8> {
        [&base[..self.at], &self.insert, &base[self.at + self.remove..]].concat()
    }
}

/// Records of every kind but those whose evidence is made up or that only make sense in their place, until a file of them is
/// large enough.
pub(super) fn records() -> Vec<SealedEvent> {
    let mut records = Vec::new();
    let mut bytes = 0;
    while bytes < MIN_BYTES {
        for event in every_kind().iter().filter(|event| !needs_its_place(event.kind())) {
            let at = Timestamp::from_micros(1_795_353_684_000_000 + records.len() as u64);
            let salt = [u8::try_from(records.len() % 251).unwrap(); 16];
            records.push(seal_event(at, event, salt));
            bytes += records.last().map_or(0, |r: &SealedEvent| r.content.len() + r.payload.len());
        }
    }
    records
}

fn needs_its_place(kind: &str) -> bool {
    kind == "grant_refused" || kind == "log_key_rotated" || kind.starts_with("approval_")
}

fn bundle(range: (u64, u64), filter: Option<&str>) -> (Vec<u8>, PublicKey) {
    bundle_of(&records(), range, filter, true)
}

/// A bundle of these records.
pub(super) fn bundle_of(
    records: &[SealedEvent],
    range: (u64, u64),
    filter: Option<&str>,
    payloads: bool,
) -> (Vec<u8>, PublicKey) {
    let key = SigningKey::generate().unwrap();
    let origin = Origin::new("fleet.example/audit/acme").unwrap();
    let filter: Option<Query> = filter.map(|text| text.parse().unwrap());
    let selection = Selection { range, filter: filter.as_ref(), payloads };
    let bytes = write(Vec::new(), records, &selection, &origin, &key).unwrap();
    (bytes, key.public_key())
}

pub(super) fn told(verdict: &Verdict) -> String {
    let place = |name: &str, at: Option<u64>| at.map(|at| format!(" {name}={at}")).unwrap_or_default();
    format!("{}{}{}", verdict.code, place("line", verdict.line), place("index", verdict.index))
}

/// What both verifiers say of each change.
pub(super) fn both(base: &[u8], key: &PublicKey, splices: &[Splice]) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log");
    fs::write(&file, base).unwrap();
    let theirs = theirs(&file, key, splices);
    let ours = splices.iter().map(|splice| told(&verdict(splice.apply(base).as_slice(), key).unwrap()));
    let ours: Vec<String> = ours.collect();
    let theirs = theirs.join().unwrap();
    assert_eq!(ours.len(), theirs.len());
    ours.into_iter().zip(theirs).collect()
}

/// Asks the Python program, in one process, beside this one.
fn theirs(file: &Path, key: &PublicKey, splices: &[Splice]) -> thread::JoinHandle<Vec<String>> {
    let lines: String = splices
        .iter()
        .map(|s| {
            json!({ "at": s.at, "remove": s.remove, "insert": STANDARD.encode(&s.insert) }).to_string() + "\n"
        })
        .collect();
    let mut command = python(&[&file.display().to_string(), "--key", &key.to_string(), "--mutations"]);
    thread::spawn(move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feeding = thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    })
}

/// The line, 1 for the first, in which this byte stands.
fn line_of(base: &[u8], at: usize) -> usize {
    base[..at].iter().filter(|b| **b == b'\n').count() + 1
}

fn assert_found(base: &[u8], splices: &[Splice], said: &[(String, String)]) {
    for (splice, (ours, theirs)) in splices.iter().zip(said) {
        assert_eq!(ours, theirs, "{splice:?}");
        assert!(!ours.starts_with("ok"), "{splice:?}");
        let place = format!(" line={}", line_of(base, splice.at));
        assert!(format!("{ours} ").contains(&(place.clone() + " ")), "{ours}: not at{place}: {splice:?}");
    }
}

#[test]
fn every_flipped_bit_is_found_in_its_line_by_both_verifiers() {
    let mut random = StdRng::seed_from_u64(7);
    for (range, filter) in [((0, u64::MAX), None), ((20, 90), Some("-kind:audit_read"))] {
        let range = (range.0, range.1.min(records().len() as u64));
        let (base, key) = bundle(range, filter);
        assert!(filter.is_some() || base.len() >= MIN_BYTES);
        let bits: Vec<usize> = if std::env::var("LICTOR_AUDIT_FLIPS").is_ok_and(|all| all == "all") {
            (0..base.len() * 8).collect()
        } else {
            (0..FLIPS / 2).map(|_| random.random_range(0..base.len() * 8)).collect()
        };
        for bits in bits.chunks(FLIPS) {
            let flip = |bit: &usize| Splice {
                at: bit / 8,
                remove: 1,
                insert: vec![base[bit / 8] ^ (1 << (bit % 8))],
            };
            let splices: Vec<Splice> = bits.iter().map(flip).collect();
            assert_found(&base, &splices, &both(&base, &key, &splices));
        }
    }
}

#[test]
fn every_line_removed_repeated_moved_added_or_cut_is_found_at_the_first_wrong_place() {
    let (base, key) = bundle((0, records().len() as u64), None);
    assert!(base.len() >= MIN_BYTES);
    let lines: Vec<(usize, &[u8])> = base
        .split_inclusive(|b| *b == b'\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
        .collect();
    let end = base.len();
    let mut splices = Vec::new();
    for pair in lines.windows(2) {
        let [(at, line), (next, other)] = pair else { unreachable!() };
        splices.push(Splice { at: *at, remove: line.len(), insert: Vec::new() });
        splices.push(Splice { at: *at, remove: line.len() + other.len(), insert: [*other, *line].concat() });
        // A line twice is wrong where it stands for the second time; a made-up one where it stands.
        splices.push(Splice { at: *next, remove: 0, insert: line.to_vec() });
        splices.push(Splice { at: *next, remove: 0, insert: b"made up\n".to_vec() });
        // Cut in the middle of a line.
        splices.push(Splice { at: *next + 1, remove: end - next - 1, insert: Vec::new() });
    }
    let (last, line) = *lines.last().unwrap();
    splices.push(Splice { at: end, remove: 0, insert: line.to_vec() });
    splices.push(Splice { at: end, remove: 0, insert: b"{}\n".to_vec() });
    splices.push(Splice { at: end - 1, remove: 1, insert: Vec::new() });
    assert_found(&base, &splices, &both(&base, &key, &splices));
    // Where the end is cut between lines, what is wrong is that it ends: the last line that is there is named.
    let cuts: Vec<Splice> =
        lines.iter().map(|(at, _)| Splice { at: *at, remove: end - at, insert: Vec::new() }).collect();
    for (number, (ours, theirs)) in both(&base, &key, &cuts).into_iter().enumerate() {
        assert_eq!(ours, theirs);
        match number {
            0 => assert_eq!(ours, "line line=1"),
            n => assert_eq!(ours, format!("short line={n} index={}", n - 1)),
        }
    }
    assert!(last > 0);
}

#[test]
fn a_record_changed_with_its_check_leads_to_another_root() {
    let mut changed = records();
    let (base, key) = bundle((0, changed.len() as u64), None);
    changed[3].content =
        String::from_utf8(changed[3].content.clone()).unwrap().replace("a-1", "a-2").into_bytes();
    let signing = SigningKey::generate().unwrap();
    let origin = Origin::new("fleet.example/audit/acme").unwrap();
    let all = Selection { range: (0, changed.len() as u64), filter: None, payloads: true };
    let forged = write(Vec::new(), &changed, &all, &origin, &signing).unwrap();
    let line_end = |bytes: &[u8]| bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    // The signed head of the true log over the lines of the forged one.
    let mixed = [&base[..line_end(&base)], &forged[line_end(&forged)..]].concat();
    let said = both(&mixed, &key, &[Splice { at: 0, remove: 0, insert: Vec::new() }]);
    assert_eq!(said, [("changed".to_owned(), "changed".to_owned())]);
    // All of the forged log is whole, and signed by nobody who is trusted.
    let said = both(&forged, &key, &[Splice { at: 0, remove: 0, insert: Vec::new() }]);
    assert_eq!(said, [("other_key line=1".to_owned(), "other_key line=1".to_owned())]);
}

#[test]
fn every_part_verifies_and_one_that_claims_more_than_it_has_does_not() {
    let size = records().len() as u64;
    for (range, filter) in
        [((0, 0), None), ((5, 6), None), ((17, size - 3), None), ((0, size), Some("kind:*ended"))]
    {
        let (bytes, key) = bundle(range, filter);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("part");
        fs::write(&file, &bytes).unwrap();
        assert_eq!(told(&verdict(bytes.as_slice(), &key).unwrap()), "ok", "{range:?} {filter:?}");
        let (code, said) = ask_python(&file, &key);
        assert_eq!(code, Some(0), "{said}");
    }
    // A writer that leaves records out and says that it has all.
    let (part, key) = bundle((5, 60), Some("-kind:audit_read"));
    let head = part.split(|b| *b == b'\n').next().unwrap();
    let claims = String::from_utf8(head[17..].to_vec()).unwrap().replace(r#""-kind:audit_read""#, "null");
    let check = &lictor_core::digest::Digest::of(claims.as_bytes()).to_string()[..16];
    let splice = Splice { at: 0, remove: head.len(), insert: format!("{check} {claims}").into_bytes() };
    let (ours, theirs) = both(&part, &key, &[splice]).remove(0);
    assert!(ours.starts_with("outside line="), "{ours}");
    assert_eq!(ours, theirs);
}
