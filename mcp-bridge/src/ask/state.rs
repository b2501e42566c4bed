//! What a client of 2026-07-28 carries from a question to its answer: sealed, for one principal, one tool and one set of
//! arguments, for a few minutes, once.
//!
//! The client is not trusted with it. It is encrypted and authenticated with a key that this process made for itself, and what
//! was asked is looked up nowhere else. That it is used once is remembered here, not in it: only what was issued and not yet
//! redeemed is known.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lictor_core::{clock::Timestamp, digest::Digest};
use serde::{Deserialize, Serialize};

/// How long a question may be answered: as long as a person looks at it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(300);
/// Questions of one principal that wait for an answer; the oldest is given up for a new one.
const MAX_WAITING_PER_PRINCIPAL: usize = 64;
/// Principals with questions that wait; beyond, nobody further is asked.
const MAX_PRINCIPALS: usize = 4096;
/// Longest state that is looked at: some names, sealed and encoded.
const MAX_STATE_BYTES: usize = 4096;
/// Length of the name of a question.
const ID_BYTES: usize = 16;
/// Length of the key (AES-256).
const KEY_BYTES: usize = 32;

/// The states of this process.
pub struct States {
    key: RandomizedNonceKey,
    waiting: Mutex<HashMap<Arc<str>, VecDeque<Waiting>>>,
}

/// A question that was put and not answered.
struct Waiting {
    id: [u8; ID_BYTES],
    until: Timestamp,
}

/// For whom and for what a state is.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Who called.
    pub principal: Arc<str>,
    /// Which tool.
    pub tool: Cow<'static, str>,
    /// With which arguments.
    pub arguments: Digest,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Asked {
    /// Which of these hosts was meant.
    Host(Vec<String>),
    /// Whether to go on with this plan.
    GoOn(String),
}

/// Why a state is not redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRedeemed {
    /// Not made here, or for somebody else, another tool or other arguments. Which of them is not told.
    #[error("this requestState was not made for this request")]
    Foreign,
    /// Too late.
    #[error("this requestState is older than {} s", ANSWER_WITHIN.as_secs())]
    Expired,
    /// Redeemed before, or given up for newer ones.
    #[error("this requestState was used before")]
    Used,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    id: [u8; ID_BYTES],
    until: u64,
    asked: Asked,
}

// === impl States ===

impl States {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, Unspecified> {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key)?;
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key)?, waiting: Mutex::default() })
    }

    /// The state for a question, if there is room for one.
    pub fn seal(&self, binding: &Binding, asked: Asked, now: Timestamp) -> Option<String> {
        let mut id = [0; ID_BYTES];
        rand::fill(&mut id).ok()?;
        let until = now.plus(ANSWER_WITHIN);
        let mut bytes = serde_json::to_vec(&Sealed { id, until: until.as_micros(), asked }).ok()?;
        let aad = Aad::from(binding.digest());
        let nonce = self.key.seal_in_place_append_tag(aad, &mut bytes).ok()?;
        bytes.extend_from_slice(nonce.as_ref());
        let state = URL_SAFE_NO_PAD.encode(bytes);
        (state.len() <= MAX_STATE_BYTES && self.wait(binding, Waiting { id, until }, now)).then_some(state)
    }

    /// What was asked. From now on the state is of no use.
    ///
    /// # Errors
    /// [`NotRedeemed`].
    pub fn redeem(&self, binding: &Binding, state: &str, now: Timestamp) -> Result<Asked, NotRedeemed> {
        let Sealed { id, until, asked } = self.open(binding, state).ok_or(NotRedeemed::Foreign)?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = waiting.get_mut(&binding.principal).ok_or(NotRedeemed::Used)?;
        let at = mine.iter().position(|waiting| waiting.id == id);
        at.and_then(|at| mine.remove(at)).ok_or(NotRedeemed::Used)?;
        if mine.is_empty() {
            waiting.remove(&binding.principal);
        }
        if Timestamp::from_micros(until) < now { Err(NotRedeemed::Expired) } else { Ok(asked) }
    }

    fn open(&self, binding: &Binding, state: &str) -> Option<Sealed> {
        let mut bytes = URL_SAFE_NO_PAD.decode(Some(state).filter(|s| s.len() <= MAX_STATE_BYTES)?).ok()?;
        let nonce: [u8; NONCE_LEN] = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?).try_into().ok()?;
        let aad = Aad::from(binding.digest());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, aad, &mut bytes).ok()?;
        serde_json::from_slice(opened).ok()
    }

    /// Remembers a question; says whether there was room.
    fn wait(&self, binding: &Binding, question: Waiting, now: Timestamp) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.contains_key(&binding.principal) && waiting.len() >= MAX_PRINCIPALS {
            waiting.values_mut().for_each(|of_one| of_one.retain(|waiting| waiting.until >= now));
            waiting.retain(|_, of_one| !of_one.is_empty());
            if waiting.len() >= MAX_PRINCIPALS {
                return false;
            }
        }
        let mine = waiting.entry(Arc::clone(&binding.principal)).or_default();
        if mine.len() >= MAX_WAITING_PER_PRINCIPAL {
            mine.pop_front();
        }
        mine.push_back(question);
        true
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("States").finish_non_exhaustive()
    }
}

// === impl Binding ===

impl Binding {
    fn digest(&self) -> [u8; 32] {
        let builder = lictor_core::digest::Sha256Builder::new("lictor mcp request state v1");
        let builder = builder.part(self.principal.as_bytes()).part(self.tool.as_bytes());
        *builder.part(self.arguments.as_bytes()).finish().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn binding(principal: &str, tool: &'static str, arguments: &str) -> Binding {
        Binding {
            principal: principal.into(),
            tool: tool.into(),
            arguments: Digest::of(arguments.as_bytes()),
        }
    }

    fn asked() -> Asked {
        Asked::Host(vec!["web-1".into(), "web-2".into()])
    }

    #[test]
    fn a_state_is_redeemed_once_by_whom_and_for_what_it_was_made() {
        let states = States::new().unwrap();
        let mine = binding("user:alice", "ssh_run", "{}");
        let state = states.seal(&mine, asked(), NOW).unwrap();
        for other in [
            binding("user:bob", "ssh_run", "{}"),
            binding("user:alice", "ssh_upload", "{}"),
            binding("user:alice", "ssh_run", "{\"a\":1}"),
        ] {
            assert_eq!(states.redeem(&other, &state, NOW), Err(NotRedeemed::Foreign), "{other:?}");
        }
        assert_eq!(states.redeem(&mine, &state, NOW), Ok(asked()));
        assert_eq!(states.redeem(&mine, &state, NOW), Err(NotRedeemed::Used));
        assert!(states.waiting.lock().unwrap().is_empty());
        // Another process has another key.
        let state = states.seal(&mine, asked(), NOW).unwrap();
        assert_eq!(States::new().unwrap().redeem(&mine, &state, NOW), Err(NotRedeemed::Foreign));
    }

    #[test]
    fn no_changed_byte_is_taken() {
        let states = States::new().unwrap();
        let mine = binding("user:alice", "ssh_run", "{}");
        let state = states.seal(&mine, asked(), NOW).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&state).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(states.redeem(&mine, &changed, NOW), Err(NotRedeemed::Foreign), "byte {at}");
        }
        for junk in ["", "x", "AAAA", &"A".repeat(MAX_STATE_BYTES + 1), "{\"asked\":{\"go_on\":\"\"}}"] {
            assert_eq!(states.redeem(&mine, junk, NOW), Err(NotRedeemed::Foreign), "{junk:.20}");
        }
        assert_eq!(states.redeem(&mine, &state, NOW), Ok(asked()), "and what was tried uses it up no more");
    }

    #[test]
    fn a_late_answer_is_no_answer() {
        let states = States::new().unwrap();
        let mine = binding("user:alice", "ssh_run", "{}");
        let in_time = states.seal(&mine, asked(), NOW).unwrap();
        let late = states.seal(&mine, asked(), NOW).unwrap();
        let end = NOW.plus(ANSWER_WITHIN);
        assert_eq!(states.redeem(&mine, &in_time, end), Ok(asked()));
        let after = end.plus(Duration::from_micros(1));
        assert_eq!(states.redeem(&mine, &late, after), Err(NotRedeemed::Expired));
        assert_eq!(states.redeem(&mine, &late, NOW), Err(NotRedeemed::Used), "nor with a clock put back");
    }

    #[test]
    fn questions_that_wait_are_bounded_and_one_principal_cannot_take_the_room_of_others() {
        let states = States::new().unwrap();
        let (alice, bob) = (binding("user:alice", "ssh_run", "{}"), binding("user:bob", "ssh_run", "{}"));
        let bobs = states.seal(&bob, asked(), NOW).unwrap();
        let first = states.seal(&alice, asked(), NOW).unwrap();
        let last = (0..MAX_WAITING_PER_PRINCIPAL).map(|_| states.seal(&alice, asked(), NOW).unwrap()).last();
        assert_eq!(states.redeem(&alice, &first, NOW), Err(NotRedeemed::Used), "given up for newer ones");
        assert_eq!(states.redeem(&alice, &last.unwrap(), NOW), Ok(asked()));
        assert_eq!(states.redeem(&bob, &bobs, NOW), Ok(asked()));
        for n in 0..MAX_PRINCIPALS + 1 {
            states.seal(&binding(&format!("user:{n}"), "ssh_run", "{}"), asked(), NOW);
        }
        assert_eq!(states.waiting.lock().unwrap().len(), MAX_PRINCIPALS);
        let later = NOW.plus(ANSWER_WITHIN * 2);
        assert!(states.seal(&bob, asked(), later).is_some(), "those whose time is up make room");
    }
}
