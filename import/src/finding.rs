//! What was found in the files: how bad it is, where it stands, what becomes of it, what is left to do.

use std::{borrow::Cow, fmt};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is written unless it is accepted.
    Error,
    /// It works now, and other than before.
    Warning,
    /// Good to know.
    Info,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name, by which it is accepted.
    pub code: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it can be accepted; only errors have to be.
    pub acceptable: bool,
    /// The file.
    pub file: &'static str,
    /// The line in it, from 1; 0: the whole file.
    pub line: usize,
    /// What was found, and what it did in mcp-ssh-orchestrator.
    pub what: String,
    /// What becomes of it here; of an error: once it is accepted.
    pub done: String,
    /// What is left to do; empty: nothing.
    pub todo: String,
}

/// Where a finding stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) file: &'static str,
    pub(crate) line: usize,
}

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $severity:ident $acceptable:literal;)*) => {
        /// The findings that this crate makes; those of the policy file have names of their own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
            /// Its name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
            const fn acceptable(self) -> bool {
                match self { $(Self::$name => $acceptable,)* }
            }
        }
    };
}

codes! {
    /// The file cannot be read as YAML.
    BrokenFile = "broken-file" Error false;
    /// A file that may be missing, and is.
    FileMissing = "file-missing" Warning true;
    /// Something else than a map, list or text stands where one must.
    WrongKind = "wrong-kind" Error true;
    /// `servers: hosts:` instead of `hosts:`.
    NestedRoot = "nested-root" Error true;
    /// A key is there twice.
    DuplicateKey = "duplicate-key" Error true;
    /// A key that nobody reads.
    UnknownKey = "unknown-key" Warning true;
    /// Unquoted text that YAML 1.1 takes for a boolean.
    YamlBoolean = "yaml-boolean" Warning true;
    /// Unquoted text that YAML 1.1 takes for a number or date.
    YamlNumber = "yaml-number" Warning true;
    /// Nothing to import.
    Nothing = "nothing-there" Warning true;
    /// A host or credential without a name.
    NameMissing = "name-missing" Error true;
    /// An alias that cannot be used.
    UnusableAlias = "unusable-alias" Error true;
    /// An alias that is there twice.
    DuplicateAlias = "duplicate-alias" Error true;
    /// More hosts than one site may have.
    TooManyHosts = "too-many-hosts" Error false;
    /// No address.
    AddressMissing = "address-missing" Error true;
    /// An address that cannot be used.
    UnusableAddress = "unusable-address" Error true;
    /// Blanks around an address.
    AddressBlanks = "address-blanks" Warning true;
    /// An IPv6 address.
    Ipv6 = "ipv6-address" Info true;
    /// A port that cannot be used.
    UnusablePort = "unusable-port" Error true;
    /// A port other than 22.
    OtherPort = "other-port" Info true;
    /// Tags as text.
    TagsText = "tags-text" Warning true;
    /// A tag that cannot be used.
    UnusableTag = "unusable-tag" Error true;
    /// More tags than a host may have.
    TooManyTags = "too-many-tags" Error true;
    /// A description that does not fit.
    DescriptionCut = "description-cut" Warning true;
    /// A host without a credential, or with an unknown one.
    NoCredential = "no-credential" Error true;
    /// A credential without a user.
    NoUser = "no-user" Error true;
    /// A user name that cannot be used.
    UnusableUser = "unusable-user" Error true;
    /// A credential without key and password.
    NoLogin = "no-login" Error true;
    /// A credential that is there twice.
    DuplicateCredential = "duplicate-credential" Warning true;
    /// A credential with a name that is none here.
    CredentialRenamed = "credential-renamed" Warning true;
    /// A credential that no host uses.
    UnusedCredential = "unused-credential" Warning true;
    /// A key path that mcp-ssh-orchestrator took for none.
    UnusableKeyPath = "unusable-key-path" Error true;
    /// A key path with `~`.
    KeyPathTilde = "key-path-tilde" Warning true;
    /// A key and a password.
    KeyAndPassword = "key-and-password" Warning true;
    /// A passphrase without a key.
    PassphraseWithoutKey = "passphrase-without-key" Warning true;
    /// A password in the file.
    InlinePassword = "inline-password" Error true;
    /// A password in the file that nobody used.
    InlinePasswordUnused = "inline-password-unused" Warning true;
    /// A secret whose name mcp-ssh-orchestrator never looked up.
    SecretNeverFound = "secret-never-found" Error true;
    /// A secret whose name is no file name.
    SecretName = "secret-name" Warning true;
    /// A secret with the name of a variable that every process has.
    StandardVariable = "standard-variable" Warning true;
    /// A secret to be put into a file.
    SecretToPlace = "secret-to-place" Info true;
    /// A policy that cannot be read.
    BrokenPolicy = "broken-policy" Error false;
    /// Keys in files may be of RSA.
    RsaKeys = "rsa-keys" Info true;
}

// === impl Severity ===

impl Severity {
    /// As reports write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl Finding ===

impl Finding {
    /// Where it stands: file and line.
    pub fn place(&self) -> String {
        match self.line {
            0 => self.file.to_owned(),
            line => format!("{}:{line}", self.file),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.severity, self.code, self.place())?;
        write!(f, "  {}", self.what)?;
        if !self.done.is_empty() {
            let when = if self.severity == Severity::Error { "if accepted: " } else { "" };
            write!(f, "\n  {when}{}", self.done)?;
        }
        if !self.todo.is_empty() {
            write!(f, "\n  to do: {}", self.todo)?;
        }
        Ok(())
    }
}

// === impl Findings ===

impl Findings {
    /// Adds one of this crate's own findings.
    pub(crate) fn add(
        &mut self,
        code: Code,
        place: Place,
        what: impl Into<String>,
        done: impl Into<String>,
        todo: impl Into<String>,
    ) {
        self.0.push(Finding {
            code: Cow::Borrowed(code.name()),
            severity: code.severity(),
            acceptable: code.acceptable(),
            file: place.file,
            line: place.line,
            what: what.into(),
            done: done.into(),
            todo: todo.into(),
        });
    }

    /// Adds one that was made elsewhere.
    pub(crate) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// All of them: by severity, then file and line.
    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|f| (f.severity, file_order(f.file), f.line));
        self.0
    }
}

/// The order in which people look at the files.
fn file_order(file: &str) -> usize {
    crate::FILES.iter().position(|f| *f == file).unwrap_or(crate::FILES.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
