//! Two verifiers that share no code say the same of a log that its own key signed, whatever is wrong with it; of whoever is
//! trusted; and of files whose lines were changed together with their checks.

use std::collections::BTreeMap;

use lictor_certs::{
    checkpoint::{Origin, sign_checkpoint, verifier_key},
    signer::SigningKey,
};
use lictor_cli::verdict::Trust;
use lictor_core::digest::Digest;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    mutations::{Splice, Trusted, agreed, both},
    payloads::with_line,
    scenario::{Leaf, Scenario, leaf, with_signatures},
};

/// Bits that are flipped, with the check of the line made again, in each file.
const FLIPS: usize = 4_000;

/// Of the ways of changing a member one in so many is tried; `LICTOR_AUDIT_FLIPS=all` tries all.
const ONE_IN: usize = 5;

/// How often each answer was given.
fn counted(base: &[u8], trusted: &Trusted, changed: &[Vec<u8>]) -> BTreeMap<String, usize> {
    let splices: Vec<Splice> = changed.iter().map(|changed| Splice::between(base, changed)).collect();
    let mut codes = BTreeMap::new();
    for ((ours, theirs), changed) in both(base, trusted, &splices).into_iter().zip(changed) {
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(changed));
        *codes.entry(ours.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    codes
}

/// The same file in another form: 2 has no payloads, 1 has no checks and is whole.
fn in_form(form: u8, bytes: &[u8]) -> Vec<u8> {
    if form == 3 {
        return bytes.to_vec();
    }
    let bytes = with_line(bytes, 0, |head| {
        head.replace("\"lictor_audit\":3", "\"lictor_audit\":2").replace(",\"payloads\":false", "")
    });
    if form == 2 {
        return bytes;
    }
    let lines = lines_of(&bytes);
    let head = String::from_utf8(lines[0].clone()).unwrap();
    let checkpoint = head.split_once("\"checkpoint\"").unwrap().1;
    let mut form_1 = format!("{{\"lictor_audit\":1,\"checkpoint\"{checkpoint}\n").into_bytes();
    for line in &lines[1..] {
        let blank = line.iter().position(|b| *b == b' ').unwrap();
        form_1.extend_from_slice(&line[blank + 1..]);
        form_1.push(b'\n');
    }
    form_1
}

/// A file of these lines, each with its check.
fn of_lines(lines: &[Vec<u8>]) -> Vec<u8> {
    let line = |content: &Vec<u8>| {
        [&Digest::of(content).to_string().as_bytes()[..16], b" ", content.as_slice(), b"\n"].concat()
    };
    lines.iter().flat_map(line).collect()
}

/// The contents of the lines of a file.
fn lines_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(|line| line[17..line.len() - 1].to_vec()).collect()
}

#[test]
fn the_same_keys_vouch_for_the_same_logs() {
    let scenario = Scenario::new();
    let base = scenario.bundle((0, u64::MAX), None, true);
    let key = |n: usize| scenario.keys[n].public_key();
    let of_this = |n: usize| verifier_key(&scenario.origin, &key(n));
    let another = Origin::new("fleet.example/audit/other").unwrap();
    let stranger = SigningKey::generate().unwrap().public_key();
    let pinned = |n: usize| scenario.witnesses[n].0.to_string();
    for (keys, expected) in [
        (key(0).to_string(), "ok 27 of 27 records, 2 started, 3 refused by sites"),
        (key(1).to_string(), "ok"),
        (key(2).to_string(), "ok"),
        (of_this(0), "ok"),
        (stranger.to_string(), "other_key line=1"),
        // A key of this log that is said to be another's, and another's that is said to be of this one.
        (verifier_key(&another, &key(0)), "other_key line=1"),
        (verifier_key(&another, &key(2)), "other_key line=1"),
        (verifier_key(&scenario.origin, &stranger), "other_key line=1"),
        (
            format!("{}\n{}", verifier_key(&another, &key(2)), verifier_key(&scenario.origin, &stranger)),
            "other_key",
        ),
        (format!("{}\n{}", verifier_key(&another, &stranger), of_this(1)), "ok"),
        // Witnesses that are known from elsewhere count instead of those that the log names.
        (format!("{}\n{}", key(0), pinned(0)), "ok"),
        (format!("{}\n{}\n{}", key(0), pinned(1), pinned(2)), "ok"),
        (format!("# ours\n \t{} # this\r\n\n{}\r\n", key(0), pinned(3)), "ok"),
    ] {
        let said = agreed(&base, &Trusted { keys: keys.clone(), known: None });
        assert!(said.starts_with(expected), "{keys}: {said}");
        let witnesses = match keys.matches("/witness/").count() {
            0 => "2 witnesses named by the log",
            _ => "1 witnesses known",
        };
        assert!(!said.starts_with("ok") || said.ends_with(witnesses), "{keys}: {said}");
    }
    // Keys that would vouch for any log.
    for wrong in
        [format!("{}\n{}", of_this(0), key(1)), format!("{}\n{stranger}", key(0)), pinned(0), String::new()]
    {
        assert!(Trust::read(&wrong).is_err(), "{wrong}");
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("keys"), &wrong).unwrap();
        std::fs::write(path("log"), &base).unwrap();
        let output = super::python(&[&path("log"), "--keys", &path("keys")]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong}");
    }
}

#[test]
fn the_same_is_said_of_who_signed_and_of_what_was_verified_before() {
    let scenario = Scenario::new();
    let all = scenario.leaves.as_slice();
    let (whole, trusted) = ((0, u64::MAX), scenario.trusted());
    // A key that was replaced signs on.
    for (signer, expected) in [(0, "retired_key line=1"), (1, "retired_key line=1"), (2, "ok")] {
        let said = agreed(&scenario.bundle_of(all, signer, whole, None, true), &trusted);
        assert!(said.starts_with(expected), "{signer}: {said}");
    }
    let before = &all[..25];
    assert!(agreed(&scenario.bundle_of(before, 1, whole, None, true), &trusted).starts_with("ok"));
    assert_eq!(agreed(&scenario.bundle_of(before, 2, whole, None, true), &trusted), "other_key line=1");
    // Both the key before and the newest sign; the line of one of them is another note's.
    let line = |leaves: &[Leaf], signer: usize| {
        let note = sign_checkpoint(&scenario.origin, &Scenario::head(leaves), &scenario.keys[signer]);
        note.lines().last().unwrap().to_owned()
    };
    let base = scenario.signed(all);
    assert!(agreed(&with_signatures(&base, &[line(all, 0), line(all, 1)]), &trusted).starts_with("ok"));
    for signer in 0..3 {
        let wrong = with_signatures(&base, &[line(before, signer)]);
        assert_eq!(agreed(&wrong, &trusted), "checkpoint line=1", "{signer}");
    }
    // What follows a rotation in a part is not in it.
    for (range, expected) in [((5, 20), "other_key line=1"), ((3, 27), "ok"), ((20, 27), "other_key line=1")]
    {
        let said = agreed(&scenario.bundle(range, None, true), &trusted);
        assert!(said.starts_with(expected), "{range:?}: {said}");
    }

    // What was verified before.
    let known = |leaves: &[Leaf], signer: usize| {
        Some(sign_checkpoint(&scenario.origin, &Scenario::head(leaves), &scenario.keys[signer]))
    };
    let mut other = all.to_vec();
    other[9].record["by"] = "user:d".into();
    let base = scenario.signed(all);
    for (known, expected) in [
        (known(&[], 0), "anchored at 0"),
        (known(&all[..4], 0), "anchored at 4"),
        (known(all, 0), "anchored at 27"),
        (known(&[all, all].concat(), 0), "unanchored"),
        (known(&other[..10], 0), "forked line=11 index=9"),
        (known(&other, 0), "forked line=28 index=26"),
    ] {
        let said = agreed(&base, &Trusted { known, ..trusted.clone() });
        assert!(said.contains(expected), "{said}: {expected}");
    }
    // In a part, with the newest key trusted: where it lies in what is left out, nothing can be compared.
    let part = scenario.bundle((17, 27), None, true);
    for (leaves, expected) in [
        (&all[..16], "anchored at 16"),
        (&all[..10], "unanchored"),
        (&other[..16], "forked"),
        (&other[..10], "unanchored"),
    ] {
        let said = agreed(&part, &Trusted { known: known(leaves, 2), ..scenario.trusted_key(2) });
        assert!(said.contains(expected), "{said}: {expected}");
    }
}

/// Other values of a member.
fn others(value: &Value) -> Vec<Value> {
    let mut others = vec![
        json!(null),
        json!(7),
        json!("x"),
        json!(""),
        json!([]),
        json!({}),
        json!(["x"]),
        json!([["x"]]),
    ];
    others.push(json!({"cut": "x", "bytes": 9, "sha256": "0"}));
    if let Some(text) = value.as_str() {
        others.extend([
            json!(text.to_uppercase()),
            json!(format!("{text} ")),
            json!([text]),
            json!(format!("{text}\n")),
        ]);
        others.push(json!(text.replacen(':', ":x", 1)));
    }
    if let Some(list) = value.as_array() {
        others.extend([
            json!([list, list]),
            json!([list.as_slice(), list.as_slice()].concat()),
            json!(list[1..]),
        ]);
        others.extend((0..list.len()).flat_map(|n| {
            [
                "0",
                "00",
                "0-0",
                "1-0",
                "5-",
                "-5",
                "+5",
                "99",
                "0-26",
                "0 of dba",
                "+2 of dba",
                "1 of ops",
                "user:a for ops",
            ]
            .map(|entry| {
                let mut other = list.clone();
                other[n] = entry.into();
                Value::Array(other)
            })
        }));
    }
    others
}

/// Every way of changing one record in its members.
fn changed_members(scenario: &Scenario) -> Vec<Vec<Leaf>> {
    let mut all = Vec::new();
    for (at, leaf) in scenario.leaves.iter().enumerate() {
        let mut put = |change: &dyn Fn(&mut Leaf)| {
            let mut leaves = scenario.leaves.clone();
            change(&mut leaves[at]);
            all.push(leaves);
        };
        for (name, value) in leaf.record.as_object().unwrap() {
            put(&|leaf| drop(leaf.record.as_object_mut().unwrap().remove(name)));
            for other in others(value) {
                put(&|leaf| leaf.record[name] = other.clone());
            }
        }
        for (name, value) in leaf.payload.iter().flat_map(|payload| payload.as_object().unwrap()) {
            put(&|leaf| drop(leaf.payload.as_mut().unwrap().as_object_mut().unwrap().remove(name)));
            for other in others(value) {
                put(&|leaf| leaf.payload.as_mut().unwrap()[name] = other.clone());
            }
        }
        put(&|leaf| leaf.is_erased = !leaf.is_erased);
        put(&|leaf| leaf.payload = None);
        put(&|leaf| leaf.payload = Some(json!({"command": "x", "kind": "y", "job": "z"})));
        // What readers of JSON take in different ways, as bytes.
        for (from, to) in [
            ("\"kind\":", "\"kind\":\"a\",\"kind\":"),
            ("\"kind\":", "\"\\u006bind\":"),
            ("\"kind\":", "\"n\":-1,\"kind\":"),
            ("\"kind\":", "\"n\":1.0,\"kind\":"),
            ("\"kind\":", "\"n\":1e999,\"kind\":"),
            ("\"kind\":", "\"n\":NaN,\"kind\":"),
            ("\"kind\":", "\"n\":18446744073709551615,\"kind\":"),
            ("\"kind\":", "\"n\":18446744073709551616,\"kind\":"),
            ("\"kind\":", "\"n\":\"\\ud800\",\"kind\":"),
            ("\"kind\":", "\"n\":\"\\ud83d\\ude00\",\"kind\":"),
            ("\"kind\":", "\"n\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]],\"kind\":"),
            ("\"kind\":", "\"n\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]],\"kind\":"),
            ("\"payload\":", "\"\\u0070ayload\":"),
            ("\"payload\":", "\"payload\":null,\"payloads\":"),
            ("\"sha256\":", "\"x\":1,\"sha256\":"),
            ("{", "\u{feff}{"),
            ("{", " {"),
            ("{", "[{"),
        ] {
            put(&|leaf| {
                let mut sealed = leaf.seal();
                sealed.content =
                    String::from_utf8(sealed.content).unwrap().replacen(from, to, 1).into_bytes();
                leaf.sealed = Some(sealed);
            });
        }
        put(&|leaf| {
            let mut sealed = leaf.seal();
            let end = sealed.content.len() - 2;
            sealed.content[end] = 0xff;
            leaf.sealed = Some(sealed);
        });
    }
    all
}

#[test]
fn whatever_the_key_of_the_log_signed_both_find_the_same_in_it() {
    let scenario = Scenario::new();
    let base = scenario.signed(&scenario.leaves);
    let size = scenario.leaves.len();
    let is_all = std::env::var("LICTOR_AUDIT_FLIPS").is_ok_and(|all| all == "all");
    let one_in = if is_all { 1 } else { ONE_IN };
    let mut logs: Vec<Vec<Leaf>> = changed_members(&scenario).into_iter().step_by(one_in).collect();
    for at in 0..size {
        for other in 0..size {
            let mut moved = scenario.leaves.clone();
            let leaf = moved.remove(at);
            moved.insert(other, leaf);
            logs.push(moved);
        }
        let mut some = scenario.leaves.clone();
        some.remove(at);
        logs.push(some);
        let mut twice = scenario.leaves.clone();
        twice.insert(at, scenario.leaves[at].clone());
        logs.push(twice);
        logs.push(scenario.leaves[..at].to_vec());
    }
    // Rotations that lead elsewhere.
    let rotation = |from: usize, to: usize| {
        let keys = [from, to].map(|n| scenario.keys[n].public_key().to_string());
        let next = &scenario.keys[to].public_key();
        let statement = lictor_certs::rotation::sign_rotation(&scenario.origin, &scenario.keys[from], next);
        leaf("log_key_rotated", json!({"old_key": keys[0], "new_key": keys[1], "statement": statement}), None)
    };
    for (from, to) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)] {
        for at in [0, 5, size - 2, size] {
            let mut more = scenario.leaves.clone();
            more.insert(at, rotation(from, to));
            logs.push(more);
        }
    }
    let changed: Vec<Vec<u8>> = logs.iter().map(|leaves| scenario.signed(leaves)).collect();
    let codes = counted(&base, &scenario.trusted(), &changed);
    println!("{} logs signed again: {codes:?}", changed.len());
    for code in [
        "ok",
        "not_a_record",
        "payload",
        "payload_missing",
        "consent",
        "ran_without_intent",
        "evidence",
        "rotation",
        "retired_key",
        "other_key",
    ] {
        assert!(codes.contains_key(code), "no {code}: {codes:?}");
    }
    // Without payloads, by other keys, and in selections, of some of them.
    let some = || logs.iter().step_by(7);
    let bare = |leaves: &Vec<Leaf>| scenario.bundle_of(leaves, 2, (0, u64::MAX), None, false);
    counted(&base, &scenario.all_pinned(), &some().map(bare).collect::<Vec<_>>());
    let form_1 = |leaves: &Vec<Leaf>| in_form(1, &bare(leaves));
    counted(&base, &scenario.trusted_key(1), &some().map(form_1).collect::<Vec<_>>());
    let part = |leaves: &Vec<Leaf>| {
        scenario.bundle_of(leaves, 2, (4, 26), Some("-command:rm -kind:audit_read"), true)
    };
    counted(&base, &scenario.trusted(), &some().map(part).collect::<Vec<_>>());
}

#[test]
fn lines_changed_together_with_their_checks_are_refused_by_both_at_the_same_place() {
    let scenario = Scenario::new();
    let (base, trusted) = (scenario.signed(&scenario.leaves), scenario.trusted());
    let lines = lines_of(&base);
    let mut changed = Vec::new();
    let renumbered = |lines: &mut Vec<Vec<u8>>| {
        for (index, line) in lines.iter_mut().skip(1).enumerate() {
            let blank = line.iter().position(|b| *b == b' ').unwrap();
            *line = [index.to_string().as_bytes(), &line[blank..]].concat();
        }
    };
    for at in 1..lines.len() {
        let half = lines[at].len() / 2;
        let mut put = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            changed.push(of_lines(&lines));
            renumbered(&mut lines);
            changed.push(of_lines(&lines));
        };
        put(&|lines| drop(lines.remove(at)));
        put(&|lines| lines.insert(at, lines[at].clone()));
        put(&|lines| lines.truncate(at));
        put(&|lines| lines[at].truncate(half));
        if at + 1 < lines.len() {
            put(&|lines| lines.swap(at, at + 1));
        }
        if let Some(tab) = lines[at].iter().position(|b| *b == b'\t') {
            put(&|lines| lines[at].truncate(tab));
            put(&|lines| lines[at].truncate(tab + 1));
            let again = lines[at][tab..].to_vec();
            put(&|lines| lines[at].extend_from_slice(&again));
            put(&|lines| lines[at].extend_from_slice(b" "));
        } else {
            put(&|lines| lines[at].extend_from_slice(b"\t{\"salt\":\"000102030405060708090a0b0c0d0e0f\"}"));
        }
    }
    // The line with which a record is erased, rotated or enrolled without a trace is one of those above, too.
    let codes = counted(&base, &trusted, &changed);
    assert!(!codes.contains_key("ok"), "{codes:?}");
    println!("{} files with other lines: {codes:?}", changed.len());

    // The checkpoint: its own lines, and those of witnesses, which anybody may take away or add.
    let note: Vec<&str> = {
        let head = std::str::from_utf8(&lines[0]).unwrap();
        let at = head.find("\"checkpoint\":\"").unwrap() + "\"checkpoint\":\"".len();
        head[at..head.len() - 2].split("\\n").collect()
    };
    let with_note = |note: &[String]| {
        with_line(&base, 0, |head| {
            let at = head.find("\"checkpoint\":\"").unwrap() + "\"checkpoint\":\"".len();
            format!("{}{}\"}}", &head[..at], note.join("\\n"))
        })
    };
    let note: Vec<String> = note.into_iter().map(str::to_owned).collect();
    assert_eq!(note.len(), 10, "{note:?}");
    let mut changed = Vec::new();
    for at in 0..note.len() {
        for other in 0..note.len() {
            let mut swapped = note.clone();
            swapped.swap(at, other);
            let mut copied = note.clone();
            copied[at].clone_from(&note[other]);
            let mut more = note.clone();
            more.insert(at, note[other].clone());
            changed.extend([swapped, copied, more]);
        }
        let mut without = note.clone();
        without.remove(at);
        changed.extend([without, note[..at].to_vec()]);
        for (from, to) in
            [("fleet", "sleet"), ("A", "B"), (" ", "  "), ("=", ""), ("\u{2014}", "-"), ("/eu/", "/us/")]
        {
            let mut other = note.clone();
            other[at] = note[at].replacen(from, to, 1);
            changed.push(other);
        }
    }
    let is_same_log = |lines: &Vec<String>| lines.len() > 4 && lines[..5].iter().eq(&note[..5]);
    let (witnesses, log): (Vec<_>, Vec<_>) = changed.into_iter().partition(is_same_log);
    for trusted in [scenario.trusted(), scenario.trusted_key(2), scenario.all_pinned()] {
        let files = |notes: &[Vec<String>]| notes.iter().map(|note| with_note(note)).collect::<Vec<_>>();
        let codes = counted(&base, &trusted, &files(&witnesses));
        assert!(codes.contains_key("ok") && codes.contains_key("checkpoint"), "{codes:?}");
        let codes = counted(&base, &trusted, &files(&log));
        assert!(codes["checkpoint"] > 50, "{codes:?}");
    }
    // Another file, no file, and one of another log.
    let mut all =
        vec![Vec::new(), b"\n".to_vec(), vec![b'x'; 300_000], Scenario::new().signed(&scenario.leaves)];
    all.push([base.as_slice(), &base].concat());
    let codes = counted(&base, &trusted, &all);
    assert!(!codes.contains_key("ok"), "{codes:?}");
}

#[test]
fn a_flipped_bit_is_refused_by_both_at_the_same_place_even_where_its_line_has_the_check_for_it() {
    let scenario = Scenario::new();
    let mut random = StdRng::seed_from_u64(11);
    let whole = (0, u64::MAX);
    for (base, form) in [
        (scenario.bundle(whole, None, true), 3),
        (scenario.bundle((4, 26), Some("-kind:audit_read"), true), 3),
        (in_form(2, &scenario.bundle(whole, None, false)), 2),
        (in_form(1, &scenario.bundle(whole, None, false)), 1),
    ] {
        let head = base.iter().position(|b| *b == b'\n').unwrap();
        let (mut flipped, mut heads) = (Vec::new(), Vec::new());
        for _ in 0..FLIPS {
            let at = random.random_range(0..base.len());
            let bit = 1 << random.random_range(0..8);
            let changed = if form == 1 {
                let mut changed = base.clone();
                changed[at] ^= bit;
                changed
            } else {
                let mut lines = lines_of(&base);
                let line = base[..at].iter().filter(|b| **b == b'\n').count();
                let begin = base[..at].iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
                // Where the check itself stands, the content is flipped instead.
                let within = (at - begin).saturating_sub(17) % lines[line].len();
                lines[line][within] ^= bit;
                of_lines(&lines)
            };
            if at <= head { heads.push(changed) } else { flipped.push(changed) }
        }
        let codes = counted(&base, &scenario.trusted(), &flipped);
        println!("form {form}: {} bits flipped in records: {codes:?}", flipped.len());
        assert!(!codes.contains_key("ok"), "{codes:?}");
        // In the head stand lines of witnesses, too: whoever changes a name there has taken a witness away.
        let codes = counted(&base, &scenario.trusted(), &heads);
        println!("form {form}: {} bits flipped in heads: {codes:?}", heads.len());
        assert!(codes.get("ok").copied().unwrap_or_default() < heads.len() / 2, "{codes:?}");
    }
}
