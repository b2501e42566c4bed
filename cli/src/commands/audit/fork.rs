//! What an agent's refusal proves to anyone: two heads that the log's key signed, and whether both can be true.

use std::path::Path;

use lictor_agent::witness::Refusal;
use lictor_certs::{checkpoint::Origin, signer::PublicKey};
use lictor_core::merkle::{TreeHead, proof::verify_consistency};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::verify::pinned_key;
use crate::{Done, config::Settings, context::Context, render::time::count, trouble::Trouble};

#[derive(Debug, Serialize)]
struct Document {
    log: String,
    verdict: &'static str,
    known: Option<Head>,
    shown: Option<Head>,
    found_by_witness: String,
    at: String,
}

#[derive(Debug, Serialize)]
struct Head {
    records: u64,
    root: String,
}

/// What two heads come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Both are signed and cannot both be true.
    Fork,
    /// Both are signed, and what was said to connect them does not.
    Unconnected,
    /// Both are signed, and the one that was shown later is smaller.
    RolledBack,
    /// Both are signed, and the one begins with the other.
    Consistent,
    /// One of them is not signed with the key of the log.
    Unsigned,
}

/// Reads the refusal in `file` and says what it proves under the pinned key or `key`.
pub(super) fn tell(file: &Path, key: Option<PublicKey>, context: &Context) -> Done {
    let refusal = Refusal::load(file).map_err(|e| {
        let message = anyhow::Error::from(e);
        Trouble::usage(format!("{message:#}"), "name the witness-refused.json of an agent")
    })?;
    let (origin, key) = match key {
        Some(key) => {
            let origin = Origin::new(&refusal.origin);
            let named = |e| Trouble::usage(format!("{}: {e}", file.display()), "name another file");
            (origin.map_err(named)?, key)
        }
        None => {
            let settings = Settings::load(&context.home()?)?;
            (settings.origin()?, pinned_key(&settings)?)
        }
    };
    let (known, shown) = (refusal.known_head(&origin, &key), refusal.shown_head(&origin, &key));
    let verdict = judge(known, shown, &refusal);
    let head = |head: Option<TreeHead>| head.map(|h| Head { records: h.size, root: h.root.to_string() });
    let document = Document {
        log: origin.to_string(),
        verdict: verdict.name(),
        known: head(known),
        shown: head(shown),
        found_by_witness: refusal.reason.clone(),
        at: refusal.at.clone(),
    };
    context.show(&document, |style| {
        let line = |name: &str, head: Option<TreeHead>| match head {
            Some(head) => format!("  {name}  {}, root {}\n", records(head.size), head.root),
            None => format!("  {name}  not signed with the key of the log\n"),
        };
        let state = style.paint(verdict.tone(), verdict.name());
        format!("{state}  {}\n{}{}", verdict.meaning(), line("known", known), line("shown", shown))
    })?;
    Ok(verdict.exit().into())
}

fn judge(known: Option<TreeHead>, shown: Option<TreeHead>, refusal: &Refusal) -> Verdict {
    let (Some(known), Some(shown)) = (known, shown) else { return Verdict::Unsigned };
    if known.size == shown.size {
        return if known.root == shown.root { Verdict::Consistent } else { Verdict::Fork };
    }
    if shown.size < known.size {
        return Verdict::RolledBack;
    }
    let proof: Result<Vec<_>, _> = refusal.proof.iter().map(|hash| hash.parse()).collect();
    match proof.map(|proof| verify_consistency(&known, &shown, &proof)) {
        Ok(Ok(())) => Verdict::Consistent,
        _ => Verdict::Unconnected,
    }
}

fn records(size: u64) -> String {
    count(usize::try_from(size).unwrap_or(usize::MAX), "record")
}

// === impl Verdict ===

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Fork => "FORK",
            Self::Unconnected => "UNCONNECTED",
            Self::RolledBack => "ROLLED_BACK",
            Self::Consistent => "CONSISTENT",
            Self::Unsigned => "UNSIGNED",
        }
    }
    const fn meaning(self) -> &'static str {
        match self {
            Self::Fork => {
                "the key of the log signed two different logs of the same length: this is proof by itself"
            }
            Self::Unconnected => {
                "both heads are signed, and the controller could not prove that the later one begins with the earlier: \
                 ask it for a log that has both (lictor audit export), or treat it as a fork"
            }
            Self::RolledBack => {
                "both heads are signed, and the shorter was shown after the longer: records that were signed are gone, \
                 or the witness was shown an old head; compare with exports kept elsewhere"
            }
            Self::Consistent => "the later head begins with the earlier one: nothing is wrong with these two",
            Self::Unsigned => {
                "a head is not signed with the key of the log or one that it names: it proves nothing about whoever holds that key"
            }
        }
    }
    const fn tone(self) -> crate::render::style::Tone {
        match self {
            Self::Fork | Self::Unconnected | Self::RolledBack => crate::render::style::Tone::Bad,
            Self::Unsigned => crate::render::style::Tone::Warn,
            Self::Consistent => crate::render::style::Tone::Good,
        }
    }
    const fn exit(self) -> Exit {
        match self {
            Self::Consistent => Exit::Ok,
            _ => Exit::AuditFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use lictor_certs::{checkpoint::sign_checkpoint, signer::SigningKey};
    use lictor_core::merkle::{leaf_hash, node_hash};
    use serde_json::json;

    use super::*;

    #[test]
    fn two_signed_heads_are_told_apart_by_what_they_prove() {
        let origin = Origin::new("fleet.example/audit/acme").unwrap();
        let (log, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let [a, b, c] = ["a", "b", "c"].map(|name| leaf_hash(name.as_bytes()));
        let one = TreeHead { size: 1, root: a };
        let [two, other] = [b, c].map(|second| TreeHead { size: 2, root: node_hash(&a, &second) });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("witness-refused.json");
        let verdict = |known: TreeHead, shown: TreeHead, key: &SigningKey, proof: &[String]| {
            let head = |head: TreeHead| json!({"size": head.size, "root": head.root.to_string()});
            let refusal = json!({
                "v": 1,
                "origin": origin.to_string(),
                "log_key": log.public_key().to_string(),
                "known_note": sign_checkpoint(&origin, &known, &log),
                "known": head(known),
                "shown_note": sign_checkpoint(&origin, &shown, key),
                "shown": head(shown),
                "shown_key": key.public_key().to_string(),
                "key_rotations": [],
                "proof": proof,
                "reason": "what the witness found",
                "at": "2026-11-22T12:00:00Z",
            });
            std::fs::write(&path, refusal.to_string()).unwrap();
            let refusal = Refusal::load(&path).unwrap();
            let key = log.public_key();
            judge(refusal.known_head(&origin, &key), refusal.shown_head(&origin, &key), &refusal)
        };
        assert_eq!(verdict(two, other, &log, &[]), Verdict::Fork);
        assert_eq!(verdict(two, one, &log, &[]), Verdict::RolledBack);
        assert_eq!(verdict(one, two, &log, &[c.to_string()]), Verdict::Unconnected);
        assert_eq!(verdict(one, two, &log, &[b.to_string()]), Verdict::Consistent);
        assert_eq!(verdict(two, other, &stranger, &[]), Verdict::Unsigned, "anybody can sign a note");
    }
}
