//! Payloads on the way through a log: each is the one that its record commits to, or the log says that it was erased.

use std::borrow::Cow;

use lictor_client::audit::AuditRecord;
use lictor_store::record::{Commitment, Missing, reveal};
use serde::{Deserialize, Serialize};

use super::{consent::name, flaw::Flaw, lines::number};

/// The kind of record that says which payloads two people had erased.
pub(super) const ERASED: &str = "payloads_erased";
/// The kind of record that says which payloads had been kept as long as said.
pub(super) const REMOVED: &str = "payloads_removed";

/// What became of the payloads that the records of a log commit to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct PayloadCounts {
    /// They are there, and are what was committed to.
    pub(crate) held: u64,
    /// They are not there, and the log says that they were erased.
    pub(crate) erased: u64,
    /// They are not there; of a part of a log, what says why may be in what was left out.
    pub(crate) left_out: u64,
}

/// Payloads on the way.
#[derive(Debug, Clone, Default)]
pub(super) struct Payloads {
    held: u64,
    left_out: u64,
    /// Ranges of records whose payload is not there, in order.
    missing: Vec<(u64, u64)>,
    /// Ranges that the log says were erased.
    erased: Vec<(u64, u64)>,
    /// Behind the last records that were left out. What says that a payload was erased comes behind its record, so that
    /// nothing that is left out before it can.
    left_out_to: u64,
}

/// What matters here of the record of an erasure.
#[derive(Debug, Deserialize)]
struct Erasure {
    by: String,
    consented_by: String,
    ranges: Vec<String>,
}

/// What matters here of the record of a removal.
#[derive(Debug, Deserialize)]
struct Removal {
    ranges: Vec<String>,
}

/// A record as it is read.
pub(crate) fn read(record: &AuditRecord) -> Cow<'_, [u8]> {
    reveal(&record.content, &record.payload, Missing::Erased)
}

// === impl Payloads ===

impl Payloads {
    /// Takes the payload of the next record; `None`: whoever made the copy left payloads out. Answers whether everything
    /// that the record says can be read.
    pub(super) fn take(&mut self, index: u64, content: &[u8], payload: Option<&[u8]>) -> Result<bool, Flaw> {
        let commitment = Commitment::of(content).map_err(|_| Flaw::NotARecord(index))?;
        match (commitment, payload) {
            (None, None | Some([])) => return Ok(true),
            (None, Some(_)) => return Err(Flaw::Payload("the record commits to none")),
            (Some(_), None) => self.left_out += 1,
            (Some(_), Some([])) => push(&mut self.missing, index),
            (Some(commitment), Some(payload)) => {
                commitment.fits(payload).map_err(Flaw::Payload)?;
                self.held += 1;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Records are left out, up to before this one.
    pub(super) const fn left_out(&mut self, to: u64) {
        self.left_out_to = to;
    }

    /// Takes the record of an erasure.
    pub(super) fn erased(&mut self, index: u64, content: &[u8]) -> Result<(), Flaw> {
        let erasure: Erasure = serde_json::from_slice(content).map_err(|_| Flaw::NotARecord(index))?;
        if name(&erasure.by) == name(&erasure.consented_by) {
            let why = format!("{} consented to their own erasure", erasure.consented_by);
            return Err(Flaw::Consent { index, why });
        }
        self.said(index, &erasure.ranges)
    }

    /// Takes the record of a removal by age, which is nobody's wish and needs no consent.
    pub(super) fn removed(&mut self, index: u64, content: &[u8]) -> Result<(), Flaw> {
        let removal: Removal = serde_json::from_slice(content).map_err(|_| Flaw::NotARecord(index))?;
        self.said(index, &removal.ranges)
    }

    /// Takes the ranges that the record `index` names.
    fn said(&mut self, index: u64, ranges: &[String]) -> Result<(), Flaw> {
        for text in ranges {
            let range = range(text).filter(|(from, to)| from < to && *to <= index);
            self.erased.push(range.ok_or(Flaw::NotARecord(index))?);
        }
        Ok(())
    }

    /// Every payload that is not there was erased, or what says so may be in what was left out behind its record.
    pub(super) fn finish(mut self) -> Result<PayloadCounts, Flaw> {
        self.erased.sort_unstable();
        let mut counts = PayloadCounts { held: self.held, erased: 0, left_out: self.left_out };
        let mut said = self.erased.iter().peekable();
        let mut until = 0;
        for index in self.missing.into_iter().flat_map(|(from, to)| from..to) {
            // As far as ranges reach that begin at or before this one.
            while let Some((_, to)) = said.next_if(|(from, _)| *from <= index) {
                until = until.max(*to);
            }
            match index < until {
                true => counts.erased += 1,
                false if index >= self.left_out_to => return Err(Flaw::PayloadMissing { index }),
                false => counts.left_out += 1,
            }
        }
        Ok(counts)
    }
}

/// Adds an index that is above all before.
fn push(ranges: &mut Vec<(u64, u64)>, index: u64) {
    match ranges.last_mut() {
        Some((_, to)) if *to == index => *to += 1,
        _ => ranges.push((index, index + 1)),
    }
}

/// `7` or `7-9`, from the first to before the second.
fn range(text: &str) -> Option<(u64, u64)> {
    let (from, last) = text.split_once('-').unwrap_or((text, text));
    Some((number(from)?, number(last)?.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use lictor_core::digest::Digest;

    use super::*;

    const PAYLOAD: &[u8] = br#"{"query":"x","salt":"000102030405060708090a0b0c0d0e0f"}"#;

    fn record() -> Vec<u8> {
        let digest = Digest::of(PAYLOAD);
        format!(r#"{{"kind":"k","payload":{{"fields":["query"],"sha256":"{digest}"}}}}"#).into_bytes()
    }

    fn erasure(ranges: &str) -> Vec<u8> {
        format!(r#"{{"kind":"payloads_erased","by":"user:a","consented_by":"user:b","ranges":[{ranges}]}}"#)
            .into_bytes()
    }

    #[test]
    fn what_is_missing_must_have_been_erased_by_a_later_record() {
        let mut payloads = Payloads::default();
        for index in 0..10 {
            let payload: &[u8] = if matches!(index, 2 | 5 | 6 | 7) { b"" } else { PAYLOAD };
            assert_eq!(payloads.take(index, &record(), Some(payload)), Ok(!payload.is_empty()));
        }
        let finish = |ranges: &[&str], left_out_to| {
            let mut payloads =
                Payloads { missing: payloads.missing.clone(), held: payloads.held, ..Payloads::default() };
            for text in ranges {
                payloads.erased(10, &erasure(text))?;
            }
            payloads.left_out(left_out_to);
            payloads.finish()
        };
        let all = PayloadCounts { held: 6, erased: 4, left_out: 0 };
        assert_eq!(finish(&[r#""2","5-7""#], 0), Ok(all));
        assert_eq!(finish(&[r#""6-7""#, r#""0-5""#], 0), Ok(all));
        assert_eq!(finish(&[r#""2","5-6""#], 0), Err(Flaw::PayloadMissing { index: 7 }));
        assert_eq!(finish(&[], 0), Err(Flaw::PayloadMissing { index: 2 }));
        assert_eq!(finish(&[], 8), Ok(PayloadCounts { held: 6, erased: 0, left_out: 4 }));
        assert_eq!(finish(&[], 7), Err(Flaw::PayloadMissing { index: 7 }), "nothing is left out behind it");
        // Nothing is erased before it is recorded, and a range is written in one form.
        for bad in [r#""2-10""#, r#""10""#, r#""02""#, r#""3-2""#, r#""""#, "7"] {
            assert_eq!(finish(&[bad], 0), Err(Flaw::NotARecord(10)), "{bad}");
        }
    }

    #[test]
    fn an_erasure_that_nobody_else_consented_to_is_found() {
        let own = br#"{"kind":"payloads_erased","by":"user:a","consented_by":"user:A","ranges":["0"]}"#;
        assert!(matches!(Payloads::default().erased(3, own), Err(Flaw::Consent { index: 3, .. })));
    }

    #[test]
    fn what_was_removed_by_age_needs_nobody_and_says_which_records_it_was() {
        let removal =
            |ranges: &str| format!(r#"{{"kind":"payloads_removed","why":"age","limit":"400d"{ranges}}}"#);
        let finish = |ranges: &str| {
            let mut payloads = Payloads { missing: vec![(2, 3), (5, 8)], ..Payloads::default() };
            payloads.removed(10, removal(ranges).as_bytes())?;
            payloads.finish()
        };
        let all = PayloadCounts { held: 0, erased: 4, left_out: 0 };
        assert_eq!(finish(r#","ranges":["2","5-7"]"#), Ok(all));
        assert_eq!(finish(r#","ranges":["2"]"#), Err(Flaw::PayloadMissing { index: 5 }));
        for bad in ["", r#","ranges":"2""#, r#","ranges":["2-10"]"#, r#","ranges":[2]"#] {
            assert_eq!(finish(bad), Err(Flaw::NotARecord(10)), "{bad}");
        }
    }

    #[test]
    fn a_payload_that_does_not_belong_to_its_record_is_named() {
        let mut payloads = Payloads::default();
        assert!(matches!(payloads.take(0, &record(), Some(b"{}")), Err(Flaw::Payload(_))));
        assert!(matches!(payloads.take(0, b"{}", Some(PAYLOAD)), Err(Flaw::Payload(_))));
        assert_eq!(payloads.take(0, b"{}", Some(b"")), Ok(true));
        assert_eq!(payloads.take(0, br#"{"payload":{}}"#, None), Err(Flaw::NotARecord(0)));
        assert_eq!(payloads.take(0, &record(), None), Ok(false));
        assert_eq!(payloads.finish(), Ok(PayloadCounts { held: 0, erased: 0, left_out: 1 }));
    }
}
