//! A log with everything that verifiers look at: witnesses, rotations of its key, approvals, refusals, an erasure, redactions.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _,
    },
};
use lictor_certs::{
    checkpoint::{Origin, verifier_key},
    cosignature::{WitnessKey, cosign},
    evidence::{Statement, to_text},
    rotation::sign_rotation,
    signer::SigningKey,
};
use lictor_cli::verdict::{Selection, write};
use lictor_core::{
    audit::query::Query,
    clock::Timestamp,
    digest::Digest,
    id::InvocationId,
    merkle::{Frontier, TreeHead, leaf_hash},
};
use lictor_store::record::SealedEvent;
use serde_json::{Value, json};

use super::{
    mutations::{Trusted, records},
    payloads::with_line,
};

/// When the witnesses signed.
const SEEN_AT: u64 = 1_795_353_700;
/// How the SubjectPublicKeyInfo of each kind of key begins: ECDSA P-256, ECDSA P-384, Ed25519.
const PREFIXES: [&str; 3] = [
    "3059301306072a8648ce3d020106082a8648ce3d030107034200",
    "3076301006072a8648ce3d020106052b81040022036200",
    "302a300506032b6570032100",
];

/// A record before it is sealed.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) record: Value,
    pub(super) payload: Option<Value>,
    /// The payload is not kept.
    pub(super) is_erased: bool,
    /// Other bytes than those of this record and payload.
    pub(super) sealed: Option<SealedEvent>,
}

/// The log, and everybody's keys.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) origin: Origin,
    /// Each was replaced by the next; the last one signs.
    pub(super) keys: Vec<SigningKey>,
    /// The last one is a stranger, and the second one's key was replaced by the third.
    pub(super) witnesses: Vec<(WitnessKey, SigningKey)>,
    pub(super) leaves: Vec<Leaf>,
}

/// A record of this kind.
pub(super) fn leaf(kind: &str, record: Value, payload: Option<Value>) -> Leaf {
    let mut record = record;
    record["at"] = "2026-11-22T12:00:00.000000Z".into();
    record["kind"] = kind.into();
    record["v"] = if payload.is_some() { 2 } else { 1 }.into();
    Leaf { record, payload, is_erased: false, sealed: None }
}

pub(super) fn invocation(n: u8) -> InvocationId {
    InvocationId::from_bytes([n; 16])
}

// === impl Leaf ===

impl Leaf {
    pub(super) fn seal(&self) -> SealedEvent {
        if let Some(sealed) = &self.sealed {
            return sealed.clone();
        }
        let mut record = self.record.clone();
        let Some(mut payload) = self.payload.clone() else {
            return SealedEvent { content: record.to_string().into_bytes(), payload: Vec::new() };
        };
        let fields: Vec<String> = payload.as_object().unwrap().keys().cloned().collect();
        payload["salt"] = "000102030405060708090a0b0c0d0e0f".into();
        let payload = payload.to_string().into_bytes();
        record["payload"] = json!({"fields": fields, "sha256": Digest::of(&payload).to_string()});
        let payload = if self.is_erased { Vec::new() } else { payload };
        SealedEvent { content: record.to_string().into_bytes(), payload }
    }
}

impl From<SealedEvent> for Leaf {
    fn from(sealed: SealedEvent) -> Self {
        Self { record: Value::Null, payload: None, is_erased: false, sealed: Some(sealed) }
    }
}

// === impl Scenario ===

impl Scenario {
    /// The log as it is.
    pub(super) fn new() -> Self {
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let keys: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate().unwrap()).collect();
        let witnesses: Vec<(WitnessKey, SigningKey)> = ["a", "b", "b", "stranger"]
            .map(|agent| {
                let key = SigningKey::generate().unwrap();
                let name = Origin::new(&format!("fleet.example/witness/acme/eu/{agent}")).unwrap();
                (WitnessKey { name, key: key.public_key() }, key)
            })
            .into();
        let leaves = leaves(&origin, &keys, &witnesses);
        Self { origin, keys, witnesses, leaves }
    }

    /// With so many other records behind it that a file of it has 64 KiB.
    pub(super) fn large() -> Self {
        let mut scenario = Self::new();
        scenario.leaves.extend(records().into_iter().map(Leaf::from));
        scenario
    }

    /// The first key of the log is trusted.
    pub(super) fn trusted(&self) -> Trusted {
        self.trusted_key(0)
    }

    /// The key with this number is trusted.
    pub(super) fn trusted_key(&self, key: usize) -> Trusted {
        (&self.keys[key].public_key()).into()
    }

    /// As [`Self::trusted`], by the name of the log, with the keys of the witnesses.
    pub(super) fn all_pinned(&self) -> Trusted {
        let mut keys = format!("{}\n", verifier_key(&self.origin, &self.keys[0].public_key()));
        for (witness, _) in &self.witnesses[..3] {
            keys += &format!("{witness}\n");
        }
        Trusted { keys, known: None }
    }

    pub(super) fn head(leaves: &[Leaf]) -> TreeHead {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf.seal().content));
        }
        frontier.head()
    }

    /// The lines of the witnesses under a head of these records.
    pub(super) fn cosignatures(&self, leaves: &[Leaf]) -> Vec<String> {
        let head = Self::head(leaves);
        let cosigned = |(witness, key): &(WitnessKey, SigningKey)| {
            cosign(&self.origin, &head, &witness.name, key, SEEN_AT)
        };
        self.witnesses.iter().map(cosigned).collect()
    }

    /// A file of this log.
    pub(super) fn bundle(&self, range: (u64, u64), filter: Option<&str>, payloads: bool) -> Vec<u8> {
        self.bundle_of(&self.leaves, 2, range, filter, payloads)
    }

    /// A file of a log of these records, signed with the key `signer`, and by all the witnesses.
    pub(super) fn bundle_of(
        &self,
        leaves: &[Leaf],
        signer: usize,
        range: (u64, u64),
        filter: Option<&str>,
        payloads: bool,
    ) -> Vec<u8> {
        let sealed: Vec<SealedEvent> = leaves.iter().map(Leaf::seal).collect();
        let filter: Option<Query> = filter.map(|text| text.parse().unwrap());
        let range = (range.0, range.1.min(sealed.len() as u64));
        let selection = Selection { range, filter: filter.as_ref(), payloads };
        let bytes = write(Vec::new(), &sealed, &selection, &self.origin, &self.keys[signer]).unwrap();
        with_signatures(&bytes, &self.cosignatures(leaves))
    }

    /// A file of all of these records, signed with the newest key.
    pub(super) fn signed(&self, leaves: &[Leaf]) -> Vec<u8> {
        self.bundle_of(leaves, 2, (0, u64::MAX), None, true)
    }
}

/// A file with these lines more at the end of its checkpoint.
pub(super) fn with_signatures(bytes: &[u8], lines: &[String]) -> Vec<u8> {
    with_line(bytes, 0, |head| {
        let end = head.len() - 2;
        let lines: String = lines.iter().map(|line| format!("{line}\\n")).collect();
        format!("{}{lines}{}", &head[..end], &head[end..])
    })
}

fn rotated(origin: &Origin, old: &SigningKey, new: &SigningKey) -> Leaf {
    let (from, to) = (old.public_key(), new.public_key());
    let statement = sign_rotation(origin, old, &to);
    let fields = json!({"old_key": from.to_string(), "new_key": to.to_string(), "statement": statement});
    leaf("log_key_rotated", fields, None)
}

/// A refusal of the invocation `n` that is proved with this kind of key.
fn refused(kind: usize, n: u8) -> Leaf {
    let floor = n.is_multiple_of(2).then(|| Digest::of(b"floor"));
    let statement = Statement {
        tenant: "acme".parse().unwrap(),
        site: "eu".parse().unwrap(),
        agent: "a".parse().unwrap(),
        invocation: invocation(n),
        grant: Digest::of(b"grant"),
        floor,
        code: "FLOOR_DENIED".into(),
        reason: "no rule allows it – „hier“".into(),
        at: Timestamp::from_micros(1_795_353_684_000_000),
    };
    let raw = statement.encode().unwrap();
    let random = SystemRandom::new();
    let (key, signature) = match kind {
        0 => ecdsa(&EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(), &random, &raw),
        1 => ecdsa(&EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap(), &random, &raw),
        _ => {
            let pair = Ed25519KeyPair::generate().unwrap();
            (pair.public_key().as_ref().to_vec(), pair.sign(&raw).as_ref().to_vec())
        }
    };
    let prefix = PREFIXES[kind].as_bytes().chunks(2);
    let prefix = prefix.map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
    let key: Vec<u8> = prefix.chain(key).collect();
    let record = json!({"invocation": invocation(n).to_string(), "site": "eu", "agent": "a", "code": "FLOOR_DENIED",
        "floor_digest": floor.map(|digest| digest.to_string()), "agent_certificate": Digest::of(b"").to_string(),
        "agent_key": to_text(&key)});
    let payload = json!({"grant_digest": Digest::of(b"grant").to_string(), "statement": to_text(&raw),
        "signature": to_text(&signature)});
    leaf("grant_refused", record, Some(payload))
}

fn ecdsa(pair: &EcdsaKeyPair, random: &SystemRandom, raw: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (pair.public_key().as_ref().to_vec(), pair.sign(random, raw).unwrap().as_ref().to_vec())
}

fn leaves(origin: &Origin, keys: &[SigningKey], witnesses: &[(WitnessKey, SigningKey)]) -> Vec<Leaf> {
    let plan = || Some(json!({"plan_digest": Digest::of(b"plan").to_string()}));
    let noted = || Some(json!({"plan_digest": Digest::of(b"plan").to_string(), "note": "yes"}));
    let enrolled = |agent: &str, witness: usize| {
        let fields = json!({"site": "eu", "agent": agent, "witness_key": witnesses[witness].0.to_string(), "replaces": null});
        leaf("witness_enrolled", fields, None)
    };
    let intended = |job: &str, n: u8| {
        leaf(
            "invocation_intended",
            json!({"invocation": invocation(n).to_string(), "job": job, "host": "web-1"}),
            None,
        )
    };
    let ended = |job: &str, n: u8, ran: &str| {
        let fields = json!({"invocation": invocation(n).to_string(), "job": job, "host": "web-1", "ran": ran,
            "outcome": "SUCCEEDED", "exit_code": 0, "redactions": 3});
        let payload =
            json!({"detail": "said [redacted:credential]", "stdout_digest": Digest::of(b"x").to_string()});
        leaf("invocation_ended", fields, Some(payload))
    };
    let submitted = |job: &str| {
        let fields = json!({"job": job, "principal": "user:ada", "target": ["web-1", "web-2"], "via": "mcp"});
        leaf(
            "job_submitted",
            fields,
            Some(json!({"command": "rm -rf \"/srv data\" \u{2028}ü", "environment": ["A=b"]})),
        )
    };
    let given = |by: &str, groups: &[&str]| {
        leaf("approval_given", json!({"job": "job_a", "by": by, "groups": groups}), noted())
    };
    let asked = |job: &str| {
        let fields =
            json!({"job": job, "requester": "service:bot", "terms": ["2 of dba", "1 of leads"], "hosts": 1});
        leaf("approval_requested", fields, plan())
    };
    let consents = json!(["user:a for dba", "user:B for dba", "user:c for leads"]);
    let erased = json!({"erasure": "era_1", "scope": "user:ada", "by": "user:ada", "consented_by": "user:ann",
        "records": 3, "ranges": ["5", "12-13"]});
    let mut leaves = vec![
        leaf("controller_started", json!({"name": "c"}), None),
        enrolled("a", 0),
        enrolled("b", 1),
        enrolled("b", 2),
        rotated(origin, &keys[0], &keys[1]),
        submitted("job_a"),
        asked("job_a"),
        given("user:a", &["dba"]),
        given("user:B", &["dba", "leads"]),
        given("user:c", &["leads"]),
        leaf("approval_used", json!({"job": "job_a", "consents": consents, "policy_version": 1}), plan()),
        intended("job_a", 1),
        ended("job_a", 1, "ran"),
        submitted("job_b"),
        asked("job_b"),
        leaf("approval_denied", json!({"job": "job_b", "by": "user:a"}), noted()),
        intended("job_c", 2),
        intended("job_c", 4),
        ended("job_c", 2, "not_run"),
        ended("job_c", 4, "may_have_run"),
        refused(0, 2),
        refused(1, 3),
        refused(2, 5),
        leaf(
            "erasure_requested",
            json!({"erasure": "era_1", "scope": "user:ada", "by": "user:ada"}),
            Some(json!({"reason": "4711"})),
        ),
        leaf("payloads_erased", erased, Some(json!({"reason": "4711"}))),
        rotated(origin, &keys[1], &keys[2]),
        leaf(
            "audit_read",
            json!({"by": "user:ann", "from": 0, "count": 7}),
            Some(json!({"query": "command:\"rm -rf\""})),
        ),
    ];
    for index in [5, 12, 13] {
        leaves[index].is_erased = true;
    }
    leaves
}
