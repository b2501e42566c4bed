//! The literal secrets of a site: those of its credentials, and those of a file of its own; followed while files change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use lictor_core::secret::Secret;

use super::{Kind, Literal, MAX_SECRET_BYTES, MIN_SECRET_BYTES, Patterns, Redactor};
use crate::{
    config::{Problem, Problems},
    secrets::{self, CredentialSource, FileSecrets},
    site::{Stamp, stamp},
};

/// What a site wants masked beside its credentials, from `redact:` in `agent.yml`.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// Literal secrets, one a line.
    pub secrets: Option<PathBuf>,
    /// The patterns of well-known tokens, and the site's own.
    pub patterns: Arc<Patterns>,
}

/// What is masked now.
#[derive(Debug)]
pub(crate) struct Known {
    redaction: Redaction,
    current: ArcSwap<Redactor>,
    read: Mutex<Read>,
}

/// What was read, and of what.
#[derive(Debug, Default)]
struct Read {
    stamps: Vec<(PathBuf, Stamp)>,
    /// The generation of the site whose credentials were read.
    generation: u64,
    /// The newest first. What was replaced goes on to be masked: hosts may still have it.
    literals: Vec<Literal>,
    complained: Vec<String>,
}

/// What a look at the files found.
struct Look {
    literals: Vec<Literal>,
    /// What is not masked, and why.
    warnings: Vec<String>,
    /// What is wrong with the site's own file.
    problems: Option<Problems>,
}

// === impl Redaction ===

impl Redaction {
    /// The patterns of well-known tokens alone.
    ///
    /// # Errors
    /// Never: the patterns are those of this program.
    pub fn of_tokens() -> Result<Self, super::InvalidPattern> {
        Ok(Self { secrets: None, patterns: Arc::new(Patterns::new(&[])?) })
    }

    /// Reads the site's own file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read_secrets(&self) -> Result<Vec<Literal>, Problems> {
        self.secrets.as_deref().map_or(Ok(Vec::new()), read_file)
    }
}

// === impl Known ===

impl Known {
    /// Reads everything for the first time; `generation` is that of the site that has these credentials.
    ///
    /// # Errors
    /// What is wrong with the site's own file, or that there is too much.
    pub(crate) fn load(
        redaction: Redaction,
        credentials: &FileSecrets,
        generation: u64,
    ) -> Result<Self, Problems> {
        let stamps = stamps(&redaction, credentials);
        let Look { literals, warnings, problems } = look(&redaction, credentials);
        if let Some(problems) = problems {
            return Err(problems);
        }
        let redactor = Redactor::new(&literals, Arc::clone(&redaction.patterns))
            .map_err(|error| Problems(vec![Problem::new(in_question(&redaction), 0, error)]))?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let read = Mutex::new(Read { stamps, generation, literals, complained: warnings });
        Ok(Self { redaction, current: ArcSwap::from_pointee(redactor), read })
    }

    /// What is masked now.
    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        self.current.load_full()
    }

    /// Looks at the files, and reads them again if any changed. What cannot be read is logged once, and what was masked
    /// before is masked still.
    pub(crate) fn follow(&self, credentials: &FileSecrets, generation: u64) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.redaction, credentials);
        if read.generation == generation && read.stamps == stamps {
            return;
        }
        let Look { literals, mut warnings, problems } = look(&self.redaction, credentials);
        warnings.extend(
            problems.iter().flat_map(|problems| &problems.0).map(|problem| {
                format!("{problem}; until this file can be read, what it said before is masked")
            }),
        );
        let now = literals.len();
        let mut fresh = merged(literals, &read.literals);
        let mut redactor = Redactor::new(&fresh, Arc::clone(&self.redaction.patterns));
        // What a site had longest ago is forgotten before what it has now is not masked.
        while redactor.is_err() && fresh.len() > now {
            fresh.truncate(now + (fresh.len() - now) / 2);
            redactor = Redactor::new(&fresh, Arc::clone(&self.redaction.patterns));
        }
        let warnings = match redactor {
            Ok(redactor) => {
                self.current.store(Arc::new(redactor));
                read.literals = fresh;
                warnings
            }
            Err(error) => vec![format!("{error}; what changed is not masked until this agent is restarted")],
        };
        for warning in warnings.iter().filter(|warning| !read.complained.contains(warning)) {
            tracing::warn!("{warning}");
        }
        (read.stamps, read.generation, read.complained) = (stamps, generation, warnings);
    }
}

/// Those of `new`, then those of `old` that are not among them.
fn merged(new: Vec<Literal>, old: &[Literal]) -> Vec<Literal> {
    let mut all = new;
    for literal in old {
        if !all.iter().any(|known| known.bytes() == literal.bytes()) {
            all.push(literal.clone());
        }
    }
    all
}

/// The file to look at when there is too much.
fn in_question(redaction: &Redaction) -> &Path {
    redaction.secrets.as_deref().unwrap_or_else(|| Path::new("credentials.yml"))
}

/// The files with secrets, as they are now.
fn stamps(redaction: &Redaction, credentials: &FileSecrets) -> Vec<(PathBuf, Stamp)> {
    let named = credentials.0.values().flat_map(CredentialSource::files);
    named.chain(redaction.secrets.as_deref()).map(|path| (path.to_owned(), stamp(path))).collect()
}

fn look(redaction: &Redaction, credentials: &FileSecrets) -> Look {
    let (mut literals, problems) = match redaction.read_secrets() {
        Ok(literals) => (literals, None),
        Err(problems) => (Vec::new(), Some(problems)),
    };
    let mut warnings = Vec::new();
    for (name, source) in &credentials.0 {
        let values = match secrets::literals(source) {
            Ok(values) => values,
            Err(error) => {
                warnings.push(format!(
                    "the credential {name} is not masked in output, because it cannot be read: {error}"
                ));
                continue;
            }
        };
        if values.iter().any(|literal| literal.bytes().len() < MIN_SECRET_BYTES) {
            warnings.push(format!(
                "the credential {name} is not masked in output, because it has fewer than {MIN_SECRET_BYTES} bytes; use a longer one"
            ));
        }
        literals.extend(values);
    }
    Look { literals, warnings, problems }
}

/// One secret a line, exactly as it is; empty lines mean nothing.
fn read_file(path: &Path) -> Result<Vec<Literal>, Problems> {
    let wrong = |line: usize, message: String| Problem::new(path, line as u64, message);
    let text = secrets::read_file(path).map_err(|error| {
        // The path is said by the problem itself.
        let text = error.to_string();
        let said = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text);
        Problems(vec![wrong(0, said.to_owned())])
    })?;
    let (mut literals, mut problems) = (Vec::new(), Problems(Vec::new()));
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        match line.len() {
            length if length < MIN_SECRET_BYTES => problems.0.push(wrong(
                number + 1,
                format!(
                    "a secret here must have at least {MIN_SECRET_BYTES} bytes, and this line has {length}: masking it would mask \
                     ordinary output; take it out, or use a longer secret"
                ),
            )),
            length if length > MAX_SECRET_BYTES => problems.0.push(wrong(
                number + 1,
                format!("a secret here must have at most {MAX_SECRET_BYTES} bytes, and this line has {length}; its first {MAX_SECRET_BYTES} will do"),
            )),
            _ => literals.push(Literal::Text(Kind::SECRET, Secret::new(line.as_bytes().to_vec()))),
        }
    }
    problems.or(literals)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn shown(known: &Known, text: &str) -> String {
        known.redactor().text(text).0.into_owned()
    }

    #[test]
    fn a_secret_that_is_replaced_and_the_one_before_are_masked() {
        let dir = tempfile::tempdir().unwrap();
        let (password, file) = (dir.path().join("password"), dir.path().join("redact"));
        write(&password, "first-password\n");
        write(&file, "first-secret\n\n#second-secret\r\n");
        let source = CredentialSource::PasswordFile(password.clone());
        let credentials = FileSecrets(BTreeMap::from([("switch".to_owned(), source)]));
        let redaction = Redaction { secrets: Some(file.clone()), ..Redaction::of_tokens().unwrap() };
        let known = Known::load(redaction, &credentials, 1).unwrap();
        let text = "first-password, first-secret, #second-secret, next-password, next-secret";
        let at_first =
            "[redacted:credential], [redacted:secret], [redacted:secret], next-password, next-secret";
        assert_eq!(shown(&known, text), at_first);
        write(&password, "next-password\n");
        known.follow(&credentials, 1);
        write(&file, "next-secret\n");
        known.follow(&credentials, 1);
        assert_eq!(
            shown(&known, text),
            "[redacted:credential], [redacted:secret], [redacted:secret], [redacted:credential], [redacted:secret]"
        );
        // What cannot be read changes nothing.
        write(&file, "short\n");
        write(&password, "third-password\n");
        known.follow(&credentials, 1);
        assert!(!shown(&known, text).contains("next"));
        assert_eq!(shown(&known, "third-password"), "[redacted:credential]", "the rest is read all the same");
        fs::remove_file(&file).unwrap();
        known.follow(&credentials, 2);
        assert!(!shown(&known, text).contains("next"));
    }

    #[test]
    fn what_a_file_of_secrets_may_not_have_is_refused_with_its_line_and_without_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("redact");
        let redaction = Redaction { secrets: Some(file.clone()), ..Redaction::of_tokens().unwrap() };
        write(&file, &format!("good-secret\nabcde\n{}\n", "x".repeat(MAX_SECRET_BYTES + 1)));
        let error = redaction.read_secrets().unwrap_err().to_string();
        assert!(error.contains("redact:2: a secret here must have at least 6 bytes"), "{error}");
        assert!(error.contains("redact:3: a secret here must have at most"), "{error}");
        assert!(!error.contains("abcde") && !error.contains("xxx"), "{error}");
        write(&file, "good-secret\n");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = redaction.read_secrets().unwrap_err().to_string();
        assert_eq!(
            error.matches("redact").count(),
            2,
            "the path is said once, and once how to close it: {error}"
        );
        fs::remove_file(&file).unwrap();
        assert!(redaction.read_secrets().is_err());
    }

    #[test]
    fn a_short_credential_is_no_reason_not_to_start() {
        let source = CredentialSource::Password(Secret::new(b"abc".to_vec()));
        let credentials = FileSecrets(BTreeMap::from([("old".to_owned(), source)]));
        let known = Known::load(Redaction::of_tokens().unwrap(), &credentials, 1).unwrap();
        assert_eq!(shown(&known, "abcabc"), "abcabc");
        let Look { warnings, .. } = look(&known.redaction, &credentials);
        assert!(
            warnings.len() == 1 && warnings[0].contains("old") && !warnings[0].contains("abc"),
            "{warnings:?}"
        );
    }
}
