//! Going through a log from its first record: the tree is computed again, and the first promise is checked on the way.

use std::{borrow::Cow, collections::HashSet};

use lictor_certs::{checkpoint::Origin, evidence, signer::PublicKey};
use lictor_core::{
    digest::Digest,
    id::InvocationId,
    merkle::{Frontier, TreeHead, leaf_hash},
};
use lictor_store::record::{Missing, json::is_object, reveal};
use serde::Deserialize;

use super::{
    Verified,
    consent::Consents,
    flaw::Flaw,
    part::with_subtree,
    payloads::{self, Payloads},
    rotations::{ROTATED, Rotations},
    witnesses::Enrolled,
};

/// A log on its way from the first record to the last.
#[derive(Debug, Clone)]
pub(crate) struct Replay {
    frontier: Frontier,
    anchor: Option<TreeHead>,
    /// Nothing was left out so far, so that what must precede a record is there.
    is_whole: bool,
    intended: HashSet<InvocationId>,
    consents: Consents,
    payloads: Payloads,
    started: u64,
    refused: u64,
    times: Option<(String, String)>,
    enrolled: Enrolled,
    rotations: Rotations,
}

/// What matters here of a record.
#[derive(Debug, Deserialize)]
struct Record {
    at: String,
    kind: String,
    invocation: Option<String>,
    job: Option<String>,
    ran: Option<String>,
}

/// What a record says of a site's refusal, and what proves it.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    invocation: Option<String>,
    site: Option<String>,
    agent: Option<String>,
    code: Option<String>,
    grant_digest: Option<String>,
    floor_digest: Option<String>,
    statement: Option<String>,
    signature: Option<String>,
    agent_key: Option<String>,
}

// === impl Replay ===

impl Replay {
    /// Nothing yet of the log `origin`, whose keys `trusted` are. It must begin with the records under `anchor`, if there is one.
    pub(crate) fn new(origin: &Origin, trusted: Vec<PublicKey>, anchor: Option<TreeHead>) -> Self {
        Self {
            frontier: Frontier::default(),
            anchor,
            is_whole: true,
            intended: HashSet::new(),
            consents: Consents::default(),
            payloads: Payloads::default(),
            started: 0,
            refused: 0,
            times: None,
            enrolled: Enrolled::default(),
            rotations: Rotations::new(origin, trusted),
        }
    }

    /// Takes the next record with its payload, empty where there is none; `None`: payloads were left out.
    pub(crate) fn push(&mut self, index: u64, content: &[u8], payload: Option<&[u8]>) -> Result<(), Flaw> {
        let expected = self.frontier.size();
        if index != expected {
            return Err(Flaw::Order { expected, found: index });
        }
        self.frontier.push(leaf_hash(content));
        self.agrees_with_anchor()?;
        let record = Some(content).filter(|content| is_object(content));
        let record = record.and_then(|content| serde_json::from_slice::<Record>(content).ok());
        let record = record.ok_or(Flaw::NotARecord(index))?;
        let is_readable = self.payloads.take(index, content, payload)?;
        let is_about_payload = record.kind.starts_with("approval_") || record.kind == "grant_refused";
        let whole = match payload.filter(|_| is_about_payload && is_readable) {
            Some(payload) => reveal(content, payload, Missing::Erased),
            None => Cow::Borrowed(content),
        };
        self.consent_precedes(index, &record, &whole, is_readable)?;
        self.intent_precedes(index, &record)?;
        if record.kind == "grant_refused" && is_readable {
            let refusal = serde_json::from_slice(&whole).map_err(|_| Flaw::NotARecord(index))?;
            prove(&refusal).map_err(|why| Flaw::Evidence { index, why })?;
            self.refused += 1;
        }
        match record.kind.as_str() {
            payloads::ERASED => self.payloads.erased(index, content)?,
            payloads::REMOVED => self.payloads.removed(index, content)?,
            "witness_enrolled" if !self.enrolled.take(content) => return Err(Flaw::NotARecord(index)),
            ROTATED => self.rotations.take(index, content, self.is_whole)?,
            _ => {}
        }
        self.times = match self.times.take() {
            Some((first, _)) => Some((first, record.at)),
            None => Some((record.at.clone(), record.at)),
        };
        Ok(())
    }

    /// Takes the root over the next `count` records, which are left out: a power of two, from a multiple of it on.
    pub(crate) fn leave_out(&mut self, index: u64, count: u64, root: Digest) -> Result<(), Flaw> {
        let expected = self.frontier.size();
        if index != expected {
            return Err(Flaw::Order { expected, found: index });
        }
        self.frontier = with_subtree(&self.frontier, count, root)
            .ok_or(Flaw::Line("so many records from there on have no root of their own"))?;
        self.is_whole = false;
        self.payloads.left_out(self.frontier.size());
        // What lies inside of what is left out cannot be compared.
        self.anchor =
            self.anchor.filter(|anchor| anchor.size <= expected || anchor.size >= self.frontier.size());
        self.agrees_with_anchor()
    }

    /// Where the records that were verified before end, the root must be the one that was verified.
    fn agrees_with_anchor(&self) -> Result<(), Flaw> {
        let known = self.anchor.filter(|anchor| anchor.size == self.frontier.size());
        match known.filter(|anchor| anchor.root != self.frontier.head().root) {
            Some(anchor) => Err(Flaw::Forked { known: anchor.size }),
            None => Ok(()),
        }
    }

    /// How many records have come, or were left out.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Nothing that needs the consent of others is meant to start before enough of them have given it. What was left out
    /// may hold the consent, so that nothing can be said behind it.
    fn consent_precedes(
        &mut self,
        index: u64,
        record: &Record,
        content: &[u8],
        is_readable: bool,
    ) -> Result<(), Flaw> {
        if !self.is_whole {
            return Ok(());
        }
        let holds = match (record.kind.as_str(), &record.job) {
            ("invocation_intended", Some(job)) => self.consents.intended(job),
            (kind, _) if kind.starts_with("approval_") => self.consents.take(kind, content, is_readable),
            _ => Ok(()),
        };
        holds.map_err(|why| Flaw::Consent { index, why })
    }

    /// Nothing starts on a host unless a record of the intent precedes it.
    fn intent_precedes(&mut self, index: u64, record: &Record) -> Result<(), Flaw> {
        let started = matches!(record.ran.as_deref(), Some("ran" | "may_have_run"));
        let id =
            || record.invocation.as_deref().and_then(|id| id.parse().ok()).ok_or(Flaw::NotARecord(index));
        match record.kind.as_str() {
            "invocation_intended" => {
                self.intended.insert(id()?);
            }
            // An invocation ends once, so what has ended is forgotten, and memory follows what is under way: an intent
            // that was not run serves no other end.
            "invocation_ended" => {
                let id = id()?;
                let intended = self.intended.remove(&id);
                self.started += u64::from(started);
                if started && !intended && self.is_whole {
                    return Err(Flaw::RanWithoutIntent { index, invocation: id.to_string() });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The log must now be what `head` says.
    pub(crate) fn finish(self, head: TreeHead) -> Result<Verified, Flaw> {
        let found = self.frontier.size();
        if let Some(anchor) = self.anchor.filter(|anchor| anchor.size > found) {
            return Err(Flaw::Truncated { known: anchor.size, now: found });
        }
        if found < head.size {
            return Err(Flaw::Short { found, signed: head.size });
        }
        if self.frontier.head() != head {
            return Err(Flaw::Changed);
        }
        let payloads = self.payloads.finish()?;
        let Self { anchor, times, started, refused, enrolled, rotations, .. } = self;
        let (trusted, rotated_to) = rotations.finish();
        let (note, enrolled) = (String::new(), enrolled.keys());
        Ok(Verified {
            head,
            anchor,
            times,
            started,
            refused,
            payloads,
            part: None,
            note,
            enrolled,
            trusted,
            rotated_to,
        })
    }
}

/// Whether the agent's key signed what the record says of its refusal.
fn prove(refusal: &Refusal) -> Result<(), String> {
    let Refusal {
        invocation,
        site,
        agent,
        code,
        grant_digest,
        floor_digest,
        statement,
        signature,
        agent_key,
    } = refusal;
    let (Some(statement), Some(signature), Some(key)) = (statement, signature, agent_key) else {
        return Err("a part of it is missing".into());
    };
    let signed = evidence::verify_text(statement, signature, key).map_err(|e| e.to_string())?;
    let said = [
        ("invocation", invocation.as_deref(), Some(signed.invocation.to_string())),
        ("site", site.as_deref(), Some(signed.site.to_string())),
        ("agent", agent.as_deref(), Some(signed.agent.to_string())),
        ("code", code.as_deref(), Some(signed.code)),
        ("grant_digest", grant_digest.as_deref(), Some(signed.grant.to_string())),
        ("floor_digest", floor_digest.as_deref(), signed.floor.map(|digest| digest.to_string())),
    ];
    match said.iter().find(|(_, recorded, signed)| *recorded != signed.as_deref()) {
        Some((name, _, _)) => Err(format!("the agent signed another {name} than the record has")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<String> {
        let id = InvocationId::from_bytes([1; 16]);
        vec![
            r#"{"at":"1","kind":"controller_started"}"#.to_owned(),
            format!(r#"{{"at":"2","kind":"invocation_intended","invocation":"{id}"}}"#),
            format!(r#"{{"at":"3","kind":"invocation_ended","invocation":"{id}","ran":"ran"}}"#),
            r#"{"at":"4","kind":"audit_read"}"#.to_owned(),
        ]
    }

    fn head(records: &[String]) -> TreeHead {
        let mut frontier = Frontier::default();
        for record in records {
            frontier.push(leaf_hash(record.as_bytes()));
        }
        frontier.head()
    }

    fn nothing(anchor: Option<TreeHead>) -> Replay {
        Replay::new(&Origin::new("fleet.example/audit/acme").unwrap(), Vec::new(), anchor)
    }

    fn verify(records: &[String], anchor: Option<TreeHead>, signed: TreeHead) -> Result<Verified, Flaw> {
        let mut replay = nothing(anchor);
        for (index, record) in (0..).zip(records) {
            replay.push(index, record.as_bytes(), Some(b""))?;
        }
        replay.finish(signed)
    }

    #[test]
    fn an_untouched_log_verifies_against_its_head_and_its_past() {
        let all = records();
        let verified = verify(&all, Some(head(&all[..2])), head(&all)).unwrap();
        assert_eq!((verified.head.size, verified.started), (4, 1));
        assert_eq!(verified.times, Some(("1".into(), "4".into())));
        assert!(verify(&[], None, head(&[])).is_ok());
    }

    #[test]
    fn every_way_of_tampering_is_found_and_named() {
        let all = records();
        let signed = head(&all);
        let mut edited = all.clone();
        edited[3] = edited[3].replace("audit_read", "audit_reed");
        assert_eq!(verify(&edited, None, signed), Err(Flaw::Changed));
        let mut swapped = all.clone();
        swapped.swap(0, 3);
        assert_eq!(verify(&swapped, None, signed), Err(Flaw::Changed));
        assert_eq!(verify(&all[..3], None, signed), Err(Flaw::Short { found: 3, signed: 4 }));
        assert_eq!(
            verify(&all[..3], Some(signed), head(&all[..3])),
            Err(Flaw::Truncated { known: 4, now: 3 })
        );
        // A whole other history, properly signed, contradicts what was seen before.
        assert_eq!(verify(&edited, Some(signed), head(&edited)), Err(Flaw::Forked { known: 4 }));
        let mut replay = nothing(None);
        assert_eq!(replay.push(1, b"{}", None), Err(Flaw::Order { expected: 0, found: 1 }));
        for rubbish in ["rubbish", r#"["1","k",null,null,null]"#, r#"{"at":"1","kind":"k","kind":"k"}"#] {
            assert_eq!(
                nothing(None).push(0, rubbish.as_bytes(), None),
                Err(Flaw::NotARecord(0)),
                "{rubbish}"
            );
        }
    }

    #[test]
    fn what_ran_without_an_intent_before_it_is_found() {
        let all = records();
        let without = [all[0].clone(), all[2].clone()];
        assert!(matches!(
            verify(&without, None, head(&without)),
            Err(Flaw::RanWithoutIntent { index: 1, .. })
        ));
        let twice = [all[1].clone(), all[2].clone(), all[2].clone()];
        assert!(matches!(verify(&twice, None, head(&twice)), Err(Flaw::RanWithoutIntent { index: 2, .. })));
    }
}
