//! Names of secrets: where mcp-ssh-orchestrator looked them up, and the file that takes their place.

use crate::{
    SECRETS_DIR,
    finding::{Code, Findings, Place},
};

/// Longest name that was looked up, in characters.
const MAX_CHARS: usize = 100;
/// Variables that every process has, or that images of Python set: a secret of such a name was their value.
const STANDARD: [&str; 24] = [
    "DISPLAY",
    "EDITOR",
    "GPG_KEY",
    "HOME",
    "HOSTNAME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "MAIL",
    "OLDPWD",
    "PATH",
    "PWD",
    "PYTHONPATH",
    "PYTHON_SHA256",
    "PYTHON_VERSION",
    "SHELL",
    "SHLVL",
    "SSH_AUTH_SOCK",
    "SSH_CONNECTION",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "USERNAME",
];

/// A file that will hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SecretFile {
    /// From the directory of the new files on.
    pub(crate) path: String,
    /// Where the secret is now.
    pub(crate) source: Source,
}

/// Where a secret is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Under this name: a variable, a line of `.env`, or a file.
    Name(String),
    /// Under a name, in this line of the file, that is not repeated because it does not look like one.
    OddName(usize),
    /// In the file itself, in this line.
    Inline(usize),
}

/// The file for the secret `name`, the value of `key` of `credential`.
pub(crate) fn file(
    name: &str,
    key: &str,
    credential: &str,
    place: Place,
    findings: &mut Findings,
) -> Option<SecretFile> {
    let kind = if key == "password_secret" { "password" } else { "passphrase" };
    let of_credential = format!("{SECRETS_DIR}/{credential}.{kind}");
    let (path, source) = if is_file_name(name) {
        (format!("{SECRETS_DIR}/{name}"), Source::Name(name.to_owned()))
    } else {
        let what =
            format!("{key} of {credential} is no name of a file (A-Z a-z 0-9 _ -), so it is not repeated");
        let todo = "if it is the secret itself, it never worked: change the secret, and delete it there";
        if name.chars().count() > MAX_CHARS {
            let what = format!("{what}; longer than {MAX_CHARS} characters, it was never looked up");
            findings.add(
                Code::SecretNeverFound,
                place,
                what,
                format!("it is read from {of_credential}"),
                todo,
            );
        } else {
            let what = format!("{what}; it was looked up as a variable and in .env alone");
            findings.add(Code::SecretName, place, what, format!("it is read from {of_credential}"), todo);
        }
        (of_credential, Source::OddName(place.line))
    };
    if let Source::Name(name) = &source
        && STANDARD.contains(&name.to_uppercase().as_str())
    {
        let what = format!(
            "{key} of {credential} is called {name}: mcp-ssh-orchestrator took the variable {} for it",
            name.to_uppercase()
        );
        let todo = "find out which secret is meant";
        findings.add(Code::StandardVariable, place, what, format!("it is read from {path}"), todo);
    }
    Some(SecretFile { path, source })
}

fn is_file_name(name: &str) -> bool {
    name.len() <= MAX_CHARS && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

// === impl SecretFile ===

impl SecretFile {
    /// The file for a password that stands in line `line` of the credential itself.
    pub(crate) fn inline(credential: &str, line: usize) -> Self {
        Self { path: format!("{SECRETS_DIR}/{credential}.password"), source: Source::Inline(line) }
    }
}

// === impl Source ===

impl Source {
    /// Where to find it, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Name(name) => {
                let upper = name.to_uppercase();
                format!(
                    "the first of these that there is: the variable {upper}, the variable MCP_SSH_SECRET_{upper}, \
                     the line {name}= or {upper}= of secrets/.env (without quotes around it), the file secrets/{name}"
                )
            }
            Self::OddName(line) => format!("the secret that {}:{line} names", crate::CREDENTIALS),
            Self::Inline(line) => format!("the password in {}:{line}", crate::CREDENTIALS),
        }
    }
}
