//! This agent as a witness of the audit log: it keeps the newest head that was proved to it, cosigns it, and takes no new
//! work from a controller whose history contradicts it.
//!
//! What is cosigned was synced before, so that a restart forgets nothing that others rely on. The key of the log is
//! pinned with the first head; rotations are followed. [`Kept`] and [`Refusal`] are the files.

mod files;
mod resolve;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_certs::{
    checkpoint::{MAX_CHECKPOINT_BYTES, Origin, verify_checkpoint},
    cosignature::{cosign, witness_name},
    identity::TrustDomain,
    rotation::{MAX_ROTATIONS, follow},
    signer::{PublicKey, SigningKey, SigningKeyError},
};
use lictor_core::{
    clock::Clock,
    digest::Digest,
    merkle::{
        TreeHead,
        proof::{MAX_PROOF_HASHES, verify_consistency},
    },
    outcome::Outcome,
};
use lictor_proto::pb;
use tokio::sync::watch;

pub use self::{
    files::{FileError, Kept, Refusal, Resolution},
    resolve::{Standing, accept, show},
};
use crate::admit::{Gate, denied};

/// Longest rotation that is kept with a refusal: four lines with names of the longest kind are less.
const MAX_ROTATION_BYTES: usize = 4 * 1024;
/// What could not be written is tried again this long after: often enough that a disk with room again is noticed.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Longest reason of a refusal that is told, in characters.
const MAX_REASON_CHARS: usize = 500;

/// Keeps heads and cosigns them; one per agent.
#[derive(Debug)]
pub(crate) struct LogWitness {
    dir: PathBuf,
    origin: Origin,
    name: Origin,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while files are written: what an earlier session left unfinished does not get in the way of this one.
    writing: Mutex<()>,
    answers: watch::Sender<Option<pb::Cosignature>>,
}

#[derive(Debug)]
struct State {
    kept: Option<Kept>,
    trust: Trust,
    /// Counts sessions: an answer of an earlier one is told to nobody.
    session: u64,
    /// Something is being synced; nothing else is examined meanwhile.
    busy: bool,
}

/// How the controller of this session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trust {
    /// It has shown nothing yet.
    Unproven,
    /// Its log begins with what is known, or nothing is known yet.
    Proven,
    /// Its log contradicts what is known.
    Refused(String),
}

/// What became of writing something down.
enum Settled {
    /// It is written, or its session is over.
    Done,
    /// It could not be written.
    Tried(io::Error),
}

/// A witness that cannot be one.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The key.
    #[error("the witness key cannot be used")]
    Key(#[from] SigningKeyError),
    /// What is kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name with characters that no name has.
    #[error("this agent's names cannot be those of a witness")]
    Name,
}

// === impl LogWitness ===

impl LogWitness {
    /// The witness of the log of `gate`'s tenant, with its key and what it knows in `dir`.
    pub(crate) fn open(
        dir: &Path,
        domain: &TrustDomain,
        gate: &Gate,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, WitnessError> {
        let Gate { key: _, tenant, site, agent } = gate;
        let origin = Origin::of_tenant(domain, tenant).map_err(|_| WitnessError::Name)?;
        let name = witness_name(domain, tenant, site, agent).map_err(|_| WitnessError::Name)?;
        let kept = files::load_kept(dir, &origin)?;
        Ok(Arc::new(Self {
            key: SigningKey::load_or_create(&files::key_file(dir))?,
            dir: dir.to_owned(),
            origin,
            name,
            clock,
            state: Mutex::new(State { kept, trust: Trust::Unproven, session: 0, busy: false }),
            writing: Mutex::default(),
            answers: watch::Sender::new(None),
        }))
    }

    /// What a new session's hello says. What an operator accepted meanwhile is taken over.
    pub(crate) fn begin_session(&self) -> pb::Witness {
        let mut state = self.state();
        if let Trust::Refused(_) = state.trust
            && let Ok(kept) = files::load_kept(&self.dir, &self.origin)
        {
            state.kept = kept;
        }
        state.session += 1;
        state.busy = false;
        state.trust = if state.kept.is_some() { Trust::Unproven } else { Trust::Proven };
        self.answers.send_replace(None);
        let known = state.kept.as_ref().map(Kept::head);
        let resolution = state.kept.as_ref().and_then(|kept| kept.resolution.clone());
        pb::Witness {
            size: known.map_or(0, |head| head.size),
            root: known.map_or_else(Vec::new, |head| head.root.as_bytes().to_vec()),
            public_key: self.key.public_key().as_bytes().to_vec(),
            resolution: resolution.map(|resolution| pb::WitnessResolution {
                known_size: resolution.known.size,
                known_root: resolution.known.root.as_bytes().to_vec(),
                accepted_size: resolution.accepted.size,
                accepted_root: resolution.accepted.root.as_bytes().to_vec(),
                by: resolution.by,
            }),
        }
    }

    /// The hello was taken: what it said of a resolution is recorded.
    pub(crate) fn welcomed(&self) {
        if let Some(kept) = &mut self.state().kept {
            kept.resolution = None;
        }
    }

    /// Answers of the session that was begun last.
    pub(crate) fn answers(&self) -> watch::Receiver<Option<pb::Cosignature>> {
        self.answers.subscribe()
    }

    /// Why nothing new is taken from this controller now.
    pub(crate) fn refusal(&self) -> Option<Outcome> {
        match &self.state().trust {
            Trust::Proven => None,
            Trust::Unproven => Some(denied(
                "WITNESS_UNPROVEN",
                "the controller has not shown that its audit log begins with what this agent has seen of it; use a controller of this version".to_owned(),
            )),
            Trust::Refused(why) => Some(denied(
                "WITNESS_REFUSED",
                format!("{why}; look on the agent's machine: lictor-agent witness show"),
            )),
        }
    }

    /// Whether an operator has let this agent go on from another head since it refused one.
    pub(crate) fn was_resolved(&self) -> bool {
        let state = self.state();
        let refused = matches!(state.trust, Trust::Refused(_));
        let note = |kept: &Option<Kept>| kept.as_ref().map(|kept| kept.note.clone());
        refused
            && files::load_kept(&self.dir, &self.origin).is_ok_and(|kept| note(&kept) != note(&state.kept))
    }

    /// Examines a head that the controller shows. What follows from it holds when this returns; it is synced and answered
    /// a little later.
    pub(crate) fn examine(self: &Arc<Self>, checkpoint: &pb::Checkpoint) {
        let mut state = self.state();
        if state.busy {
            tracing::warn!("the controller showed a head before the last one was answered; ignored");
            return;
        }
        state.busy = true;
        let session = state.session;
        if let Trust::Refused(why) = &state.trust {
            // It stays so for this session: what was shown before cannot be taken back. What was kept of it stays, too.
            let found = Contradiction { shown: None, why: why.clone() };
            let refusal = self.refusal_of(&state, checkpoint, &found);
            drop(state);
            return self.settle(session, move |_| Ok(told(&refusal)));
        }
        match judge(&self.origin, state.kept.as_ref(), checkpoint) {
            Ok((head, log_key)) => {
                // A resolution stays until a session began with it, and then goes.
                let resolution = state.kept.as_ref().and_then(|kept| kept.resolution.clone());
                let note = checkpoint.note.clone();
                let kept = Kept::new(&self.origin, log_key, note, head, resolution);
                state.kept = Some(kept.clone());
                state.trust = Trust::Proven;
                drop(state);
                self.settle(session, move |this| {
                    files::save_kept(&this.dir, &kept)?;
                    let seconds = this.clock.now().as_micros() / 1_000_000;
                    let line = cosign(&this.origin, &head, &this.name, &this.key, seconds);
                    Ok(answer(head.size, pb::cosignature::Answer::Line(line)))
                });
            }
            Err(contradiction) => {
                let refusal = self.refusal_of(&state, checkpoint, &contradiction);
                state.trust = Trust::Refused(contradiction.why.clone());
                drop(state);
                tracing::error!(
                    security_event = "witness_refused",
                    why = contradiction.why,
                    "the controller's audit log contradicts what this agent has seen of it; nothing new is taken from it, what runs goes on. Bring back the controller's newest state, or look here: lictor-agent witness show"
                );
                self.settle(session, move |this| {
                    files::save_refusal(&this.dir, &refusal)?;
                    Ok(told(&refusal))
                });
            }
        }
    }

    fn refusal_of(&self, state: &State, shown: &pb::Checkpoint, found: &Contradiction) -> Refusal {
        let kept = state.kept.as_ref();
        // The size that the note claims, so that the controller knows which one is answered.
        let claimed = lictor_certs::checkpoint::unverified_head(&shown.note, &self.origin).ok();
        Refusal {
            v: files::VERSION,
            origin: self.origin.to_string(),
            log_key: kept.map(|kept| kept.log_key.clone()).unwrap_or_default(),
            known_note: kept.map(|kept| kept.note.clone()).unwrap_or_default(),
            known: kept.map_or_else(TreeHead::empty, Kept::head).into(),
            // A longer one is no note, so it proves nothing.
            shown_note: Some(&shown.note)
                .filter(|note| note.len() <= MAX_CHECKPOINT_BYTES)
                .cloned()
                .unwrap_or_default(),
            shown: found.shown.or(claimed).unwrap_or_else(TreeHead::empty).into(),
            shown_key: <[u8; 32]>::try_from(shown.public_key.as_slice())
                .map(|bytes| PublicKey::from_bytes(bytes).to_string())
                .unwrap_or_default(),
            key_rotations: {
                let fits = |rotation: &&String| rotation.len() <= MAX_ROTATION_BYTES;
                shown.key_rotations.iter().filter(fits).take(MAX_ROTATIONS).cloned().collect()
            },
            proof: hashes(&shown.proof).unwrap_or_default().iter().map(ToString::to_string).collect(),
            reason: found.why.chars().take(MAX_REASON_CHARS).collect(),
            at: self.clock.now().to_string(),
        }
    }

    /// Does `work`, which syncs, apart from the session, again and again until it succeeds; tells its answer if the session
    /// is still the same.
    fn settle(
        self: &Arc<Self>,
        session: u64,
        work: impl Fn(&Self) -> io::Result<pb::Cosignature> + Send + Sync + 'static,
    ) {
        let (this, work) = (Arc::clone(self), Arc::new(work));
        tokio::spawn(async move {
            loop {
                let (writer, work) = (Arc::clone(&this), Arc::clone(&work));
                match tokio::task::spawn_blocking(move || writer.settle_once(session, &*work)).await {
                    Ok(Settled::Tried(error)) => {
                        tracing::error!(%error, "what is known of the audit log cannot be kept; nothing is cosigned until it can: free or mend the disk that holds state_dir");
                    }
                    Ok(Settled::Done) | Err(_) => return,
                }
                tokio::time::sleep(WRITE_AGAIN_AFTER).await;
            }
        });
    }

    fn settle_once(&self, session: u64, work: &dyn Fn(&Self) -> io::Result<pb::Cosignature>) -> Settled {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state().session != session {
            return Settled::Done;
        }
        let done = work(self);
        let mut state = self.state();
        if state.session != session {
            return Settled::Done;
        }
        match done {
            Ok(answer) => {
                state.busy = false;
                self.answers.send_replace(Some(answer));
                Settled::Done
            }
            Err(error) => Settled::Tried(error),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What does not fit in what was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contradiction {
    /// The head, if it was signed as it should.
    shown: Option<TreeHead>,
    why: String,
}

/// The head that `checkpoint` proves, and the key that signed it.
fn judge(
    origin: &Origin,
    kept: Option<&Kept>,
    checkpoint: &pb::Checkpoint,
) -> Result<(TreeHead, PublicKey), Contradiction> {
    let unsigned = |why: &str| Contradiction { shown: None, why: why.to_owned() };
    let key = <[u8; 32]>::try_from(checkpoint.public_key.as_slice());
    let key = PublicKey::from_bytes(key.map_err(|_| unsigned("it names no key of the audit log"))?);
    if let Some(kept) = kept {
        let known = kept.key().ok_or_else(|| unsigned("the key that is known cannot be read"))?;
        let keys = follow(&known, origin, checkpoint.key_rotations.iter().map(String::as_str));
        if keys.last() != Some(&key) {
            return Err(unsigned(
                "its audit log is signed with another key, and the known one does not name it",
            ));
        }
    }
    let head = verify_checkpoint(&checkpoint.note, origin, &key).map_err(|e| unsigned(&e.to_string()))?;
    let contradicts = |why: String| Contradiction { shown: Some(head), why };
    let Some(known) = kept.map(Kept::head) else { return Ok((head, key)) };
    if head.size < known.size {
        return Err(contradicts(format!(
            "its audit log has {} records, and had {} when this agent last saw it: it was rolled back",
            head.size, known.size
        )));
    }
    if head.size == known.size && head.root != known.root {
        return Err(contradicts(format!("its audit log of {} records was another one before", head.size)));
    }
    let proof = hashes(&checkpoint.proof).unwrap_or_default();
    match verify_consistency(&known, &head, &proof) {
        Ok(()) => Ok((head, key)),
        Err(_) => Err(contradicts(format!(
            "its audit log of {} records does not begin with the {} that this agent has seen",
            head.size, known.size
        ))),
    }
}

fn hashes(proof: &[Vec<u8>]) -> Option<Vec<Digest>> {
    if proof.len() > MAX_PROOF_HASHES {
        return None;
    }
    proof.iter().map(|hash| hash.as_slice().try_into().ok().map(Digest::from_bytes)).collect()
}

fn told(refusal: &Refusal) -> pb::Cosignature {
    let (known, shown) = (TreeHead::from(&refusal.known), TreeHead::from(&refusal.shown));
    let refused = pb::WitnessRefusal {
        known_size: known.size,
        known_root: known.root.as_bytes().to_vec(),
        shown_size: shown.size,
        shown_root: shown.root.as_bytes().to_vec(),
        reason: refusal.reason.clone(),
    };
    answer(shown.size, pb::cosignature::Answer::Refused(refused))
}

fn answer(size: u64, answer: pb::cosignature::Answer) -> pb::Cosignature {
    pb::Cosignature { answer: Some(answer), size }
}

#[cfg(test)]
mod tests;
