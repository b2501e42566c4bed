//! A witness alone: what it cosigns, what it refuses, and what undoes that.

use lictor_certs::{
    checkpoint::sign_checkpoint,
    cosignature::{WitnessKey, verify_cosignature},
    rotation::sign_rotation,
};
use lictor_core::{
    clock::Timestamp,
    merkle::{
        Frontier, leaf_hash,
        proof::{Plan, plan_consistency},
    },
};
use pb::cosignature::Answer;

use super::*;

#[derive(Debug)]
struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000)
    }
}

/// A log that a controller shows.
#[derive(Clone)]
struct Log {
    leaves: Vec<Digest>,
}

impl Log {
    fn of(name: &str, size: usize) -> Self {
        Self { leaves: (0..size).map(|n| leaf_hash(format!("{name} {n}").as_bytes())).collect() }
    }
    /// The first records, then others.
    fn branch(&self, at: usize, size: usize) -> Self {
        let other = Self::of("other", size);
        Self { leaves: [&self.leaves[..at], &other.leaves[at..]].concat() }
    }
    fn head(&self, size: usize) -> TreeHead {
        let mut frontier = Frontier::default();
        for leaf in &self.leaves[..size] {
            frontier.push(*leaf);
        }
        frontier.head()
    }
    fn proof(&self, old: usize, size: usize) -> Vec<Vec<u8>> {
        let plan: Plan = plan_consistency(old as u64, size as u64).unwrap();
        let hash = |node: &lictor_core::merkle::Node| {
            let from = usize::try_from(node.index << node.level).unwrap();
            let mut subtree = Frontier::default();
            for leaf in &self.leaves[from..from + (1 << node.level)] {
                subtree.push(*leaf);
            }
            subtree.head().root
        };
        let hashes: Vec<Digest> = plan.nodes().iter().map(hash).collect();
        plan.fold(&hashes).unwrap().iter().map(|hash| hash.as_bytes().to_vec()).collect()
    }
}

struct Setting {
    dir: tempfile::TempDir,
    log_key: SigningKey,
    rotations: Vec<String>,
}

impl Setting {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            log_key: SigningKey::generate().unwrap(),
            rotations: Vec::new(),
        }
    }
    fn origin() -> Origin {
        Origin::new("fleet.example/audit/acme").unwrap()
    }
    fn witness(&self) -> Arc<LogWitness> {
        let gate = Gate {
            key: SigningKey::generate().unwrap().public_key(),
            tenant: "acme".parse().unwrap(),
            site: "eu".parse().unwrap(),
            agent: "a1".parse().unwrap(),
        };
        let domain = TrustDomain::new("fleet.example").unwrap();
        LogWitness::open(self.dir.path(), &domain, &gate, Arc::new(Noon)).unwrap()
    }
    fn checkpoint(&self, log: &Log, from: usize, size: usize) -> pb::Checkpoint {
        pb::Checkpoint {
            note: sign_checkpoint(&Self::origin(), &log.head(size), &self.log_key),
            proof: if from <= size { log.proof(from, size) } else { Vec::new() },
            public_key: self.log_key.public_key().as_bytes().to_vec(),
            key_rotations: self.rotations.clone(),
        }
    }
}

async fn asked(witness: &Arc<LogWitness>, checkpoint: &pb::Checkpoint) -> pb::Cosignature {
    let mut answers = witness.answers();
    answers.mark_unchanged();
    witness.examine(checkpoint);
    answers.changed().await.unwrap();
    answers.borrow().clone().unwrap()
}

async fn cosigns(witness: &Arc<LogWitness>, checkpoint: &pb::Checkpoint, head: TreeHead) {
    let answer = asked(witness, checkpoint).await;
    let Some(Answer::Line(line)) = answer.answer else { panic!("{answer:?}") };
    let key = WitnessKey { name: witness.name.clone(), key: witness.key.public_key() };
    let cosigned = verify_cosignature(&line, &witness.origin, &head, &key).unwrap();
    assert_eq!((cosigned.at, answer.size), (1_000_000, head.size));
    assert_eq!(witness.refusal(), None);
}

async fn refuses(witness: &Arc<LogWitness>, checkpoint: &pb::Checkpoint, why: &str) {
    let answer = asked(witness, checkpoint).await;
    let Some(Answer::Refused(refusal)) = answer.answer else { panic!("{answer:?}") };
    assert!(refusal.reason.contains(why), "{}", refusal.reason);
    assert_eq!(witness.refusal().unwrap().reason_code(), Some("WITNESS_REFUSED"));
}

#[tokio::test]
async fn a_log_that_grows_is_cosigned_also_over_a_restart() {
    let (setting, log) = (Setting::new(), Log::of("a", 60));
    let witness = setting.witness();
    assert_eq!(witness.begin_session().size, 0);
    assert_eq!(witness.refusal(), None, "nothing is known yet");
    cosigns(&witness, &setting.checkpoint(&log, 0, 7), log.head(7)).await;
    cosigns(&witness, &setting.checkpoint(&log, 7, 8), log.head(8)).await;
    cosigns(&witness, &setting.checkpoint(&log, 8, 8), log.head(8)).await;
    let key = witness.begin_session().public_key;
    drop(witness);

    let witness = setting.witness();
    let said = witness.begin_session();
    assert_eq!((said.size, said.public_key), (8, key));
    assert_eq!(said.root, log.head(8).root.as_bytes());
    let unproven = witness.refusal().unwrap();
    assert_eq!(
        unproven.reason_code(),
        Some("WITNESS_UNPROVEN"),
        "a controller that shows nothing gets nothing"
    );
    cosigns(&witness, &setting.checkpoint(&log, 8, 60), log.head(60)).await;
}

#[tokio::test]
async fn every_history_that_contradicts_what_is_known_is_refused_for_the_whole_session() {
    let log = Log::of("a", 60);
    let forked = log.branch(20, 60);
    let stranger = Setting::new();
    for (shown, from, size, why) in [
        (&log, 30, 29, "rolled back"),
        (&forked, 30, 30, "was another one before"),
        (&forked, 30, 60, "does not begin with the 30"),
        // A proof that is true, of another beginning.
        (&log, 29, 60, "does not begin with the 30"),
    ] {
        let setting = Setting::new();
        let witness = setting.witness();
        witness.begin_session();
        cosigns(&witness, &setting.checkpoint(&log, 0, 30), log.head(30)).await;
        refuses(&witness, &setting.checkpoint(shown, from, size), why).await;
        // What is right later does not undo it, a restart does not either, and a new session has to prove itself again.
        refuses(&witness, &setting.checkpoint(&log, 30, 40), why).await;
        let witness = setting.witness();
        assert_eq!(witness.begin_session().size, 30);
        refuses(&witness, &setting.checkpoint(shown, from, size), why).await;
        witness.begin_session();
        cosigns(&witness, &setting.checkpoint(&log, 30, 40), log.head(40)).await;
    }
    let setting = Setting::new();
    let witness = setting.witness();
    witness.begin_session();
    cosigns(&witness, &setting.checkpoint(&log, 0, 30), log.head(30)).await;
    refuses(&witness, &stranger.checkpoint(&log, 30, 40), "another key").await;
}

#[tokio::test]
async fn a_rotated_key_is_followed_and_pinned_from_then_on() {
    let (mut setting, log) = (Setting::new(), Log::of("a", 60));
    let witness = setting.witness();
    witness.begin_session();
    cosigns(&witness, &setting.checkpoint(&log, 0, 30), log.head(30)).await;
    let old = setting.checkpoint(&log, 30, 50);
    let next = SigningKey::generate().unwrap();
    setting.rotations = vec![sign_rotation(&Setting::origin(), &setting.log_key, &next.public_key())];
    setting.log_key = next;
    cosigns(&witness, &setting.checkpoint(&log, 30, 40), log.head(40)).await;
    refuses(&witness, &old, "another key").await;
}

#[tokio::test]
async fn an_operator_at_the_site_resolves_a_refusal_and_the_next_hello_says_so() {
    let (setting, log) = (Setting::new(), Log::of("a", 60));
    let witness = setting.witness();
    witness.begin_session();
    cosigns(&witness, &setting.checkpoint(&log, 0, 30), log.head(30)).await;
    let shown = setting.checkpoint(&log, 30, 20);
    refuses(&witness, &shown, "rolled back").await;
    assert!(!witness.was_resolved());

    let (dir, origin) = (setting.dir.path(), Setting::origin());
    let text = show(dir, &origin).unwrap().to_string();
    for part in ["known:   30 records", "refused: 20 records", "rolled back", &log.head(20).root.to_string()]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(accept(dir, &origin, &log.head(30).root).unwrap_err().contains("not"));
    assert_eq!(accept(dir, &origin, &log.head(20).root), Ok(log.head(20)));
    assert!(accept(dir, &origin, &log.head(20).root).unwrap_err().contains("nothing to accept"));
    assert!(witness.was_resolved());

    let resolution = witness.begin_session().resolution.unwrap();
    assert_eq!((resolution.known_size, resolution.accepted_size), (30, 20));
    assert!(resolution.by.contains("uid"), "{}", resolution.by);
    witness.welcomed();
    cosigns(&witness, &setting.checkpoint(&log, 20, 25), log.head(25)).await;
    assert_eq!(setting.witness().begin_session().resolution, None, "it is told once");
}

#[tokio::test]
async fn what_cannot_be_kept_is_cosigned_once_it_can() {
    let (setting, log) = (Setting::new(), Log::of("a", 60));
    let witness = setting.witness();
    witness.begin_session();
    let in_the_way = setting.dir.path().join("witness.json.next");
    std::fs::create_dir(&in_the_way).unwrap();
    let mut answers = witness.answers();
    answers.mark_unchanged();
    witness.examine(&setting.checkpoint(&log, 0, 30));
    let head = setting.checkpoint(&log, 0, 30);
    let write = |this: &LogWitness| {
        let (head, key) = judge(&this.origin, None, &head).unwrap();
        files::save_kept(&this.dir, &Kept::new(&this.origin, key, String::new(), head, None))?;
        Ok(pb::Cosignature::default())
    };
    let session = witness.state().session;
    assert!(matches!(witness.settle_once(session, &write), Settled::Tried(_)));
    assert!(!answers.has_changed().unwrap() && witness.state().busy);

    std::fs::remove_dir(&in_the_way).unwrap();
    answers.changed().await.unwrap();
    let said = answers.borrow().clone().unwrap();
    assert!(matches!(said.answer, Some(Answer::Line(_))), "{said:?}");
    cosigns(&witness, &setting.checkpoint(&log, 30, 40), log.head(40)).await;
}
