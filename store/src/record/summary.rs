//! A summary of a block of audit records: enough to say of most queries that no record of the block fits, without reading one.
//!
//! It is a Bloom filter over the texts that queries look at, whole and in pieces of three bytes, and the oldest and the newest
//! moment. It follows from the records, may say too much, and never says too little. What can be erased is not in it: the
//! summary would still know of it afterwards.

use std::collections::HashSet;

use lictor_core::audit::{
    payload,
    query::{
        Facts as _, Query, What,
        needs::{Likeness, Need},
    },
};

use super::AuditFacts;
use crate::AuditEntry;

/// Records of a block: some hundred KiB, which is read in about a millisecond when the summary cannot say no.
pub const BLOCK: u64 = 1024;

/// The form in which a summary is kept.
const VERSION: u8 = 1;
/// Bits for each text: with seven looks, one in a hundred blocks is read for nothing.
const BITS_EACH: usize = 10;
/// Looks for each text.
const LOOKS: u64 = 7;
/// Most texts of a block; one that has more is always read. Bounds a summary to 80 KiB; usual ones have some KiB.
const MAX_TEXTS: usize = 64 * 1024;
/// Bytes of a piece of a text.
const PIECE: usize = 3;
/// Texts that pieces are kept of; those of identifiers would fill the filter and are looked for as a whole.
const IN_PIECES: [What; 7] =
    [What::Kind, What::Who, What::Host, What::Site, What::Agent, What::Rule, What::Code];

/// What a block of records has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    first_at: String,
    last_at: String,
    /// Empty: it may have anything.
    bits: Vec<u8>,
}

// === impl Summary ===

impl Summary {
    /// The summary of these records.
    pub fn of(entries: &[AuditEntry]) -> Self {
        let mut texts = HashSet::new();
        let (mut first_at, mut last_at) = (None, String::new());
        for facts in entries.iter().filter_map(facts_of) {
            let at = facts.text("at");
            if first_at.as_deref().is_none_or(|first| at < first) {
                first_at = Some(at.to_owned());
            }
            if at > last_at.as_str() {
                at.clone_into(&mut last_at);
            }
            note(&facts, &mut texts);
        }
        Self { first_at: first_at.unwrap_or_default(), last_at, bits: filter(&texts) }
    }

    /// Whether a record of the block may fit. `false` is certain.
    pub fn may_match(&self, query: &Query) -> bool {
        query.needs().all(|need| match need {
            Need::NotBefore(moment) => self.last_at.as_str() >= moment,
            Need::Before(moment) => self.first_at.as_str() < moment,
            Need::Text(what, _) if !is_summarised(what) => true,
            Need::Text(what, likes) => likes.iter().any(|like| match like {
                Likeness::Is(text) => self.may_have(hash(what, Some(text.as_bytes()))),
                Likeness::Has(pieces) if IN_PIECES.contains(&what) => pieces
                    .iter()
                    .flat_map(|piece| piece.as_bytes().windows(PIECE))
                    .all(|piece| self.may_have(piece_hash(what, piece))),
                Likeness::Has(_) => true,
            }),
        })
    }

    /// As it is kept.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for at in [&self.first_at, &self.last_at] {
            // Moments have 27 bytes; what is none would be cut, and then hold for nothing.
            out.push(u8::try_from(at.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(at.as_bytes());
        }
        out.extend_from_slice(&self.bits);
        out
    }

    /// A summary that was kept; `None` if these bytes are none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (VERSION, rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let (first_at, rest) = take_text(rest)?;
        let (last_at, bits) = take_text(rest)?;
        Some(Self { first_at, last_at, bits: bits.to_vec() })
    }

    fn may_have(&self, hash: u64) -> bool {
        self.bits.is_empty()
            || places(hash, self.bits.len())
                .all(|(byte, bit)| self.bits.get(byte).is_some_and(|b| b & bit != 0))
    }
}

/// What a record says, as searches see it.
fn facts_of(entry: &AuditEntry) -> Option<AuditFacts> {
    AuditFacts::read(&entry.content)
}

/// Whether these fields stay in a record for ever.
fn is_summarised(what: What) -> bool {
    !what.fields().iter().any(|field| payload::is_payload("", field))
}

/// Notes what the record has.
fn note(facts: &AuditFacts, texts: &mut HashSet<u64>) {
    for what in What::ALL.into_iter().filter(|what| is_summarised(*what)) {
        let is_moment = matches!(what, What::Since | What::Until);
        for text in what.fields().iter().flat_map(|field| facts.texts(field)).filter(|_| !is_moment) {
            if texts.len() > MAX_TEXTS {
                return;
            }
            texts.insert(hash(what, Some(text.as_bytes())));
            if IN_PIECES.contains(&what) {
                texts.extend(text.as_bytes().windows(PIECE).map(|piece| piece_hash(what, piece)));
            }
        }
    }
}

fn filter(texts: &HashSet<u64>) -> Vec<u8> {
    if texts.len() > MAX_TEXTS {
        return Vec::new();
    }
    let mut bits = vec![0u8; (texts.len() * BITS_EACH).div_ceil(8).max(1)];
    let bytes = bits.len();
    for (byte, bit) in texts.iter().flat_map(|hash| places(*hash, bytes)) {
        if let Some(kept) = bits.get_mut(byte) {
            *kept |= bit;
        }
    }
    bits
}

/// Where a filter of so many bytes has a text: byte and bit of each look.
fn places(hash: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = bytes as u64 * 8;
    let step = hash.rotate_left(32) | 1;
    (0..LOOKS).map(move |look| {
        let place = hash.wrapping_add(look.wrapping_mul(step)) % bits;
        (usize::try_from(place / 8).unwrap_or(usize::MAX), 1 << (place % 8))
    })
}

fn piece_hash(what: What, piece: &[u8]) -> u64 {
    mix(hash(what, None), piece)
}

/// The same for ever, because it is kept: FNV-1a over the name, a mark and the text, with its bits mixed at the end.
fn hash(what: What, text: Option<&[u8]>) -> u64 {
    let named = mix(0xcbf2_9ce4_8422_2325, what.as_str().as_bytes());
    match text {
        Some(text) => mix(mix(named, b":"), text),
        None => mix(named, b"~"),
    }
}

fn mix(start: u64, bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut hash = bytes.iter().fold(start, fnv);
    // The finaliser of SplitMix64: places are taken from all the bits.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn take_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn entries(records: &[String]) -> Vec<AuditEntry> {
        let entry = |(index, record): (u64, &String)| AuditEntry {
            index,
            content: Bytes::from(record.clone()),
            payload: Bytes::new(),
        };
        (0..).zip(records).map(entry).collect()
    }

    fn record(minute: u8, kind: &str, host: &str, command: &str) -> String {
        let at = format!("2026-11-22T12:{:02}:00.000000Z", minute % 60);
        serde_json::json!({ "at": at, "kind": kind, "target": [host, "all"], "command": command, "v": 1 })
            .to_string()
    }

    proptest! {
        #[test]
        fn a_summary_never_says_no_of_a_block_in_which_a_record_fits(
            records in proptest::collection::vec((0u8..60, "[ab]{1,3}", "[a-c]{1,6}", "[a-d -]{0,12}"), 1..20),
            wanted in prop_oneof![
                "[ab]{1,3}".prop_map(|k| format!("kind:{k}")),
                "[a-c]{1,3}".prop_map(|h| format!("host:{h}*")),
                "[a-c]{1,6}".prop_map(|h| format!("host:zz|{h}")),
                "[a-d]{1,6}".prop_map(|c| format!("command:{c} -kind:a")),
                (0u8..60).prop_map(|m| format!("since:2026-11-22T12:{m:02}:00.000000Z")),
                (0u8..60).prop_map(|m| format!("until:2026-11-22T12:{m:02}:00.000000Z")),
            ],
        ) {
            let records: Vec<String> = records.iter().map(|(m, k, h, c)| record(*m, k, h, c)).collect();
            let query: Query = wanted.parse().unwrap();
            let summary = Summary::of(&entries(&records));
            let fits = records.iter().any(|r| query.matches(&AuditFacts::read(r.as_bytes()).unwrap()));
            prop_assert!(summary.may_match(&query) || !fits, "{query}");
            prop_assert_eq!(Summary::decode(&summary.encode()), Some(summary));
        }

        #[test]
        fn what_was_damaged_never_panics(bytes in any::<Vec<u8>>()) {
            if let Some(summary) = Summary::decode(&bytes) {
                let _ = summary.may_match(&"host:x".parse().unwrap());
            }
        }
    }

    #[test]
    fn a_summary_says_no_of_nearly_all_that_is_not_there() {
        let records: Vec<String> = (0..1024)
            .map(|n| record(7, "request_denied", &format!("web-{n}"), &format!("df -h /srv/{}", n % 9)))
            .collect();
        let summary = Summary::of(&entries(&records));
        assert!(summary.encode().len() < 4096, "{}", summary.encode().len());
        let may = |query: &str| summary.may_match(&query.parse().unwrap());
        assert!(
            may("host:web-1000") && may("host:web-*") && may("command:/srv/3") && may("-kind:request_denied")
        );
        assert!(may("command:\"rm -rf\""), "what can be erased is not in it");
        assert!(!may("kind:freeze_set") && !may("host:db-*"));
        assert!(!may("since:2026-11-23T00:00:00.000000Z") && !may("until:2026-11-22T12:07:00.000000Z"));
        let wrong = (2000..3000).filter(|n| may(&format!("host:web-{n}"))).count();
        assert!(wrong < 50, "{wrong} of 1,000 are said to be there");
    }

    #[test]
    fn a_block_with_too_many_texts_is_always_read() {
        let many = (0..40).map(|n| {
            let text: String = (0..6000u32)
                .filter_map(|c| char::from_u32(0x4e00 + (c * (37 + n) + n * 6007) % 20_000))
                .collect();
            record(1, &text, &text, "uptime")
        });
        let summary = Summary::of(&entries(&many.collect::<Vec<_>>()));
        assert!(summary.bits.is_empty() && summary.may_match(&"host:nowhere".parse().unwrap()));
    }
}
