//! Where a list goes on, in a form that tells nothing: sealed for whoever asked, because the last job that was looked at may be
//! one that they may not see.
//!
//! The key is this process's own: a cursor of another process, of another caller, or made by anybody else is none.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    error::Unspecified,
    rand,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lictor_core::{
    digest::Sha256Builder,
    error::{ErrorCode, Failure},
    id::JobId,
    principal::Principal,
};

/// Length of the key (AES-256).
const KEY_BYTES: usize = 32;
/// Longest text that is looked at: an identifier, sealed and encoded, and as much again.
const MAX_CURSOR_BYTES: usize = 128;

/// Seals and opens the cursors of this process.
pub(super) struct Cursors {
    key: RandomizedNonceKey,
}

// === impl Cursors ===

impl Cursors {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new() -> Result<Self, Unspecified> {
        let mut key = [0; KEY_BYTES];
        rand::fill(&mut key)?;
        Ok(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &key)? })
    }

    /// What stands for `job` as a place in the list of `caller`.
    ///
    /// # Errors
    /// `INTERNAL`, when the system gives no random bytes.
    pub(super) fn seal(&self, caller: &Principal, job: JobId) -> Result<String, Failure> {
        let mut bytes = job.as_bytes().to_vec();
        let nonce =
            self.key.seal_in_place_append_tag(Aad::from(binding(caller)), &mut bytes).map_err(|_| {
                let next_step = "try again in a moment; an operator has to look if it stays so";
                Failure::new(ErrorCode::Internal, "the system gives no random bytes", next_step)
            })?;
        bytes.extend_from_slice(nonce.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that `text` stands for in the list of `caller`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, the same for whatever was not sealed here for this caller.
    pub(super) fn open(&self, caller: &Principal, text: &str) -> Result<JobId, Failure> {
        self.opened(caller, text).ok_or_else(|| {
            Failure::new(
                ErrorCode::InvalidArgument,
                "page_token: not one of this list",
                "begin again without page_token; a token is good for whom it was given to, until the controller restarts",
            )
        })
    }

    fn opened(&self, caller: &Principal, text: &str) -> Option<JobId> {
        let text = Some(text).filter(|text| text.len() <= MAX_CURSOR_BYTES)?;
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let nonce: [u8; NONCE_LEN] = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?).try_into().ok()?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(binding(caller)), &mut bytes).ok()?;
        <[u8; 16]>::try_from(&*opened).ok().map(JobId::from_bytes)
    }
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursors").finish_non_exhaustive()
    }
}

fn binding(caller: &Principal) -> [u8; 32] {
    let builder = Sha256Builder::new("lictor job list v1").part(caller.tenant.as_str().as_bytes());
    *builder.part(caller.to_string().as_bytes()).finish().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lictor_core::principal::PrincipalKind;

    use super::*;

    fn principal(tenant: &str, kind: PrincipalKind, name: &str) -> Principal {
        Principal { tenant: tenant.parse().unwrap(), kind, name: name.parse().unwrap() }
    }

    #[test]
    fn a_cursor_tells_nothing_and_is_good_for_its_caller_alone() {
        let cursors = Cursors::new().unwrap();
        let ada = principal("acme", PrincipalKind::User, "ada");
        let job = JobId::from_bytes([7; 16]);
        let sealed: HashSet<String> = (0..10).map(|_| cursors.seal(&ada, job).unwrap()).collect();
        assert_eq!(sealed.len(), 10, "the same place never looks the same");
        for cursor in &sealed {
            assert!(cursor.len() <= MAX_CURSOR_BYTES);
            assert_eq!(cursors.open(&ada, cursor).unwrap(), job);
        }
        let cursor = cursors.seal(&ada, job).unwrap();
        let none = cursors.open(&ada, "nonsense").unwrap_err();
        for other in [
            principal("acme", PrincipalKind::User, "bob"),
            principal("acme", PrincipalKind::Service, "ada"),
            principal("other", PrincipalKind::User, "ada"),
        ] {
            assert_eq!(cursors.open(&other, &cursor).unwrap_err(), none, "{other}");
        }
        let (first, rest) = cursor.split_at(1);
        let changed = format!("{}{rest}", if first == "A" { "B" } else { "A" });
        for text in ["", &job.to_string(), &changed, rest, &cursor.repeat(9)] {
            assert_eq!(cursors.open(&ada, text).unwrap_err(), none, "{text}");
        }
        assert_eq!(Cursors::new().unwrap().open(&ada, &cursor).unwrap_err(), none, "of another process");
    }
}
