//! Every way of changing an exported log is found, at the same place, by two verifiers that share no code.
//!
//! 10,000 bits are flipped; `LICTOR_AUDIT_FLIPS=all` flips every one. The lines before a change are verified once for all
//! changes behind them, by both; of some changes it is held that verifying from the first line comes to the same.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path, process::Stdio, thread, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::{
    checkpoint::Origin,
    signer::{PublicKey, SigningKey},
};
use lictor_cli::verdict::{Changes, Selection, Trust, Verdict, verdict, write};
use lictor_core::{audit::query::Query, clock::Timestamp};
use lictor_store::record::{SealedEvent, seal_event};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use super::{python, samples::every_kind, scenario::Scenario};

/// Bits that are flipped when not all are.
const FLIPS: usize = 10_000;
/// Of so many changes one is verified from the first line, too; the Python program does so by itself.
const ONE_IN: usize = 64;
/// Of all of them, so many before what was said of them is looked at.
const FLIPS_AT_ONCE: usize = 50_000;
/// Smallest file that is tried.
const MIN_BYTES: usize = 64 * 1024;

/// Some bytes in place of others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Splice {
    pub(super) at: usize,
    pub(super) remove: usize,
    pub(super) insert: Vec<u8>,
}

/// Nothing in place of nothing.
pub(super) const UNCHANGED: Splice = Splice { at: 0, remove: 0, insert: Vec::new() };

/// Whose signatures count, as a file of keys; and a checkpoint that was verified before.
#[derive(Debug, Clone)]
pub(super) struct Trusted {
    pub(super) keys: String,
    pub(super) known: Option<String>,
}

impl From<&PublicKey> for Trusted {
    fn from(key: &PublicKey) -> Self {
        Self { keys: key.to_string(), known: None }
    }
}

impl Splice {
    /// All of `base` replaced by `changed`, as the bytes in which they differ.
    pub(super) fn between(base: &[u8], changed: &[u8]) -> Self {
        let common = base.iter().zip(changed).take_while(|(a, b)| a == b).count();
        let most = base.len().min(changed.len()) - common;
        let behind =
            base.iter().rev().zip(changed.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
        let insert = changed[common..changed.len() - behind].to_vec();
        Self { at: common, remove: base.len() - common - behind, insert }
    }

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
    if let Some(found) = &verdict.found {
        let (held, erased, left_out) = found.payloads;
        let anchored =
            found.anchored_at.map_or_else(|| "unanchored".to_owned(), |size| format!("anchored at {size}"));
        return format!(
            "ok {} of {} records, {} started, {} refused by sites, {held} payloads, {erased} erased, {left_out} left out, \
             {anchored}, {} witnesses {}",
            found.held,
            found.records,
            found.started,
            found.refused,
            found.witnesses.len(),
            if found.witnesses_pinned { "known" } else { "named by the log" }
        );
    }
    let place = |name: &str, at: Option<u64>| at.map(|at| format!(" {name}={at}")).unwrap_or_default();
    format!("{}{}{}", verdict.code, place("line", verdict.line), place("index", verdict.index))
}

/// What both verifiers say of each change.
pub(super) fn both(base: &[u8], trusted: &Trusted, splices: &[Splice]) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("log"), base).unwrap();
    fs::write(path("keys"), &trusted.keys).unwrap();
    let mut trust = Trust::read(&trusted.keys).unwrap();
    if let Some(known) = &trusted.known {
        fs::write(path("known"), known).unwrap();
        trust = trust.with_known(known);
    }
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let share = splices.len().div_ceil(processors).max(1);
    thread::scope(|scope| {
        let theirs: Vec<_> = splices
            .chunks(share)
            .map(|some| scope.spawn(|| theirs(dir.path(), trusted.known.is_some(), some)))
            .collect();
        let ours: Vec<_> =
            splices.chunks(share).map(|some| scope.spawn(|| ours(base, &trust, some))).collect();
        let all = |parts: Vec<thread::ScopedJoinHandle<'_, Vec<String>>>| -> Vec<String> {
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        };
        let (ours, theirs) = (all(ours), all(theirs));
        assert_eq!((ours.len(), theirs.len()), (splices.len(), splices.len()));
        ours.into_iter().zip(theirs).collect()
    })
}

/// What both say of these bytes, which must be the same.
pub(super) fn agreed(bytes: &[u8], trusted: &Trusted) -> String {
    let (ours, theirs) = both(bytes, trusted, &[UNCHANGED]).remove(0);
    assert_eq!(ours, theirs);
    ours
}

/// What our verifier says.
fn ours(base: &[u8], trust: &Trust, splices: &[Splice]) -> Vec<String> {
    let mut order: Vec<usize> = (0..splices.len()).collect();
    order.sort_unstable_by_key(|n| splices[*n].at);
    let mut said = vec![String::new(); splices.len()];
    let mut changes = Changes::of(base, trust);
    for n in order {
        let splice = &splices[n];
        said[n] = told(&changes.verdict(splice.at, splice.remove, &splice.insert).unwrap());
        if n % ONE_IN == 0 {
            let whole = told(&verdict(splice.apply(base).as_slice(), trust).unwrap());
            assert_eq!(said[n], whole, "{splice:?}");
        }
    }
    said
}

/// Asks the Python program, in one process.
fn theirs(dir: &Path, is_anchored: bool, splices: &[Splice]) -> Vec<String> {
    let lines: String = splices
        .iter()
        .map(|s| {
            json!({ "at": s.at, "remove": s.remove, "insert": STANDARD.encode(&s.insert) }).to_string() + "\n"
        })
        .collect();
    let path = |name: &str| dir.join(name).display().to_string();
    let mut command = python(&[&path("log"), "--keys", &path("keys"), "--mutations"]);
    if is_anchored {
        command.args(["--known", &path("known")]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    feeding.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn assert_found(base: &[u8], splices: &[Splice], said: &[(String, String)]) {
    let ends: Vec<usize> = (0..base.len()).filter(|at| base[*at] == b'\n').collect();
    for (splice, (ours, theirs)) in splices.iter().zip(said) {
        assert_eq!(ours, theirs, "{splice:?}");
        assert!(!ours.starts_with("ok"), "{splice:?}");
        let place = format!(" line={}", ends.partition_point(|end| *end < splice.at) + 1);
        assert!(format!("{ours} ").contains(&(place.clone() + " ")), "{ours}: not at{place}: {splice:?}");
    }
}

#[test]
fn every_flipped_bit_is_found_in_its_line_by_both_verifiers() {
    let scenario = Scenario::large();
    let mut random = StdRng::seed_from_u64(7);
    for (range, filter) in [((0, u64::MAX), None), ((5, 60), Some("-kind:audit_read"))] {
        let base = scenario.bundle(range, filter, true);
        assert!(filter.is_some() || base.len() >= MIN_BYTES);
        let is_all = std::env::var("LICTOR_AUDIT_FLIPS").is_ok_and(|all| all == "all");
        let bits: Vec<usize> = if is_all {
            (0..base.len() * 8).collect()
        } else {
            (0..FLIPS / 2).map(|_| random.random_range(0..base.len() * 8)).collect()
        };
        let (begun, mut codes) = (Instant::now(), BTreeMap::<String, usize>::new());
        for bits in bits.chunks(FLIPS_AT_ONCE) {
            let flip = |bit: &usize| Splice {
                at: bit / 8,
                remove: 1,
                insert: vec![base[bit / 8] ^ (1 << (bit % 8))],
            };
            let splices: Vec<Splice> = bits.iter().map(flip).collect();
            let said = both(&base, &scenario.trusted(), &splices);
            assert_found(&base, &splices, &said);
            for (ours, _) in said {
                *codes.entry(ours.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        println!(
            "{} bits flipped of a file of {} bytes, each found by both verifiers: {codes:?}; {:.0} s",
            bits.len(),
            base.len(),
            begun.elapsed().as_secs_f64()
        );
    }
}

#[test]
fn every_line_removed_repeated_moved_added_or_cut_is_found_at_the_first_wrong_place() {
    let scenario = Scenario::large();
    let (base, trusted) = (scenario.bundle((0, u64::MAX), None, true), scenario.trusted());
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
    assert_found(&base, &splices, &both(&base, &trusted, &splices));
    // Where the end is cut between lines, what is wrong is that it ends: the last line that is there is named.
    let cuts: Vec<Splice> =
        lines.iter().map(|(at, _)| Splice { at: *at, remove: end - at, insert: Vec::new() }).collect();
    for (number, (ours, theirs)) in both(&base, &trusted, &cuts).into_iter().enumerate() {
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
    let (base, key) = bundle_of(&changed, (0, changed.len() as u64), None, true);
    let trusted = Trusted::from(&key);
    changed[3].content =
        String::from_utf8(changed[3].content.clone()).unwrap().replace("a-1", "a-2").into_bytes();
    let signing = SigningKey::generate().unwrap();
    let origin = Origin::new("fleet.example/audit/acme").unwrap();
    let all = Selection { range: (0, changed.len() as u64), filter: None, payloads: true };
    let forged = write(Vec::new(), &changed, &all, &origin, &signing).unwrap();
    let line_end = |bytes: &[u8]| bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    // The signed head of the true log over the lines of the forged one.
    let mixed = [&base[..line_end(&base)], &forged[line_end(&forged)..]].concat();
    assert_eq!(agreed(&mixed, &trusted), "changed");
    // All of the forged log is whole, and signed by nobody who is trusted.
    assert_eq!(agreed(&forged, &trusted), "other_key line=1");
}

#[test]
fn every_part_verifies_and_one_that_claims_more_than_it_has_does_not() {
    let scenario = Scenario::large();
    let size = scenario.leaves.len() as u64;
    for (range, filter) in
        [((0, 0), None), ((5, 6), None), ((17, size - 3), None), ((0, size), Some("kind:*ended"))]
    {
        // The last key is trusted, because what leads to it may be left out.
        let said = agreed(&scenario.bundle(range, filter, true), &scenario.trusted_key(2));
        assert!(said.starts_with("ok "), "{range:?} {filter:?}: {said}");
    }
    // A writer that leaves records out and says that it has all.
    let part = scenario.bundle((5, 60), Some("-kind:audit_read"), true);
    let head = part.split(|b| *b == b'\n').next().unwrap();
    let claims = String::from_utf8(head[17..].to_vec()).unwrap().replace(r#""-kind:audit_read""#, "null");
    let check = &lictor_core::digest::Digest::of(claims.as_bytes()).to_string()[..16];
    let splice = Splice { at: 0, remove: head.len(), insert: format!("{check} {claims}").into_bytes() };
    let (ours, theirs) = both(&part, &scenario.trusted_key(2), &[splice]).remove(0);
    assert!(ours.starts_with("outside line="), "{ours}");
    assert_eq!(ours, theirs);
}
