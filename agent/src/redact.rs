//! Masks secrets in what hosts say, before anything of it is kept, logged or sent: the site's own, and what looks like one.
//!
//! A [`Redactor`] is what is looked for at one moment; a [`Masker`] follows one stream with it. Every byte that is part of a
//! secret is masked, whether in clear or in one of the [`forms`] that programs print: of the literal secrets of a site
//! ([`known`]), and of the [`tokens`] that are told by their looks. How a stream is cut into pieces never matters.

use std::{borrow::Cow, fmt, sync::Arc};

use lictor_core::{
    outcome::{Exit, Outcome},
    secret::Secret,
};

mod cover;
mod forms;
mod known;
mod literals;
mod masker;
mod patterns;
mod scan;
#[cfg(test)]
mod tests;
mod tokens;

pub use known::Redaction;
pub use masker::Masker;
pub use patterns::{InvalidPattern, MAX_PATTERNS, Patterns};

use forms::Forms;
pub(crate) use known::Known;
use literals::Literals;

/// Shortest secret that is masked, in bytes: shorter ones are parts of ordinary words, and masking them would mask everything.
pub const MIN_SECRET_BYTES: usize = 6;
/// Longest literal secret that is looked for, in bytes: above a token with a few claims. Of a longer one the first so many
/// bytes are masked.
pub const MAX_SECRET_BYTES: usize = 4096;
/// All forms of all literal secrets together, of which each byte takes about 25 of memory: a password of 30 letters has 400, an
/// Ed25519 key 5,000, so this is for a thousand keys.
const MAX_FORM_BYTES: usize = 4 * 1024 * 1024;

/// What kind of secret was masked: the word in its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(&'static str);

/// A literal secret.
#[derive(Debug, Clone)]
pub enum Literal {
    /// A password, a passphrase, a token.
    Text(Kind, Secret),
    /// The text of a private key: its lines, and its body however it is wrapped.
    Key(Kind, Secret),
}

/// What is looked for.
pub struct Redactor {
    /// Forms that are printed in one piece.
    plain: Literals,
    /// Forms that programs wrap into lines.
    wrapped: Literals,
    patterns: Arc<Patterns>,
    /// Bytes with which nothing begins that is looked for.
    dull: Box<[bool; 256]>,
}

/// There is more to be looked for than an agent has memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secrets to mask are too many or too long: with their encoded forms they have more than {MAX_FORM_BYTES} bytes; take \
     out what is not used any more"
)]
pub struct TooMuch;

// === impl Kind ===

impl Kind {
    /// A credential of the site.
    pub const CREDENTIAL: Self = Self("credential");
    /// A line of the site's own file.
    pub const SECRET: Self = Self("secret");
    /// What one of the site's own patterns matches.
    pub const PATTERN: Self = Self("pattern");

    /// What stands in the place of the secret.
    pub fn mark(self) -> String {
        format!("[redacted:{}]", self.0)
    }
}

// === impl Literal ===

impl Literal {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(_, secret) | Self::Key(_, secret) => secret.expose(),
        }
    }
}

// === impl Redactor ===

impl Redactor {
    /// Looks for `literals` in all their forms, and for `patterns`. Literals below [`MIN_SECRET_BYTES`] are left out.
    ///
    /// # Errors
    /// When they are too many.
    pub fn new<'a>(
        literals: impl IntoIterator<Item = &'a Literal>,
        patterns: Arc<Patterns>,
    ) -> Result<Self, TooMuch> {
        let mut forms = Forms::default();
        for literal in literals {
            forms.add(literal);
            if forms.bytes() > MAX_FORM_BYTES {
                return Err(TooMuch);
            }
        }
        let (plain, wrapped) = (Literals::whole(forms.plain)?, Literals::wrapped(forms.wrapped)?);
        let mut dull = Box::new([false; 256]);
        for (byte, dull) in (0..=u8::MAX).zip(dull.iter_mut()) {
            *dull =
                plain.begins_nothing(byte) && wrapped.begins_nothing(byte) && patterns.begins_nothing(byte);
        }
        Ok(Self { plain, wrapped, patterns, dull })
    }

    /// Masks a text that is whole, and counts what was masked.
    pub fn text<'a>(self: &Arc<Self>, text: &'a str) -> (Cow<'a, str>, u64) {
        let mut masker = Masker::new(Arc::clone(self));
        let mut masked = masker.push(text.as_bytes()).into_owned();
        masked.extend(masker.finish());
        match masker.masked() {
            0 => (Cow::Borrowed(text), 0),
            // Whole characters may lose a byte to a pattern for bytes.
            count => (Cow::Owned(String::from_utf8_lossy(&masked).into_owned()), count),
        }
    }

    /// Masks what a host may have said of how it ended, and counts what was masked.
    pub(crate) fn outcome(self: &Arc<Self>, outcome: Outcome) -> (Outcome, u64) {
        let masked = |text: String| {
            let (masked, count) = self.text(&text);
            (masked.into_owned(), count)
        };
        match outcome {
            Outcome::Unreachable { reason, detail } => {
                let (detail, count) = masked(detail);
                (Outcome::Unreachable { reason, detail }, count)
            }
            Outcome::Denied { code, reason } => {
                let (reason, count) = masked(reason);
                (Outcome::Denied { code, reason }, count)
            }
            Outcome::Failed(Exit::Signal(signal)) => {
                let (signal, count) = masked(signal);
                (Outcome::Failed(Exit::Signal(signal)), count)
            }
            Outcome::Expired
            | Outcome::Skipped
            | Outcome::Cancelled
            | Outcome::Succeeded
            | Outcome::Failed(Exit::Code(_))
            | Outcome::TimedOut
            | Outcome::Killed
            | Outcome::Unknown(_) => (outcome, 0),
        }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}
