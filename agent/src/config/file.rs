//! The files as they are written, and their checks. Everything that is wrong is collected, each with its line.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use lictor_core::secret::Secret;
use lictor_runtime::config::{MAX_CONFIG_BYTES, resolve};
use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::{Error, Spanned};
use zeroize::Zeroizing;

use super::{
    AgentConfig, DEFAULT_CONCURRENCY, MAX_CONCURRENCY, Problem, Problems, SiteFiles,
    limits::{ConnectionKeys, number},
    redaction::{self, RedactKeys},
};
use crate::secrets::CredentialSource;

/// Longest unknown key that an error repeats: the longest known one has 27.
const MAX_SHOWN_KEY_BYTES: usize = 30;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    controller: Spanned<String>,
    state_dir: PathBuf,
    identity_dir: PathBuf,
    hosts: PathBuf,
    credentials: PathBuf,
    known_hosts: PathBuf,
    floor: Option<PathBuf>,
    redact: Option<RedactKeys>,
    max_concurrency: Option<Spanned<usize>>,
    max_connections: Option<Spanned<usize>>,
    max_connections_per_host: Option<Spanned<usize>>,
    max_channels_per_connection: Option<Spanned<usize>>,
    max_connecting: Option<Spanned<usize>>,
    idle_close: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsFile {
    credentials: Vec<CredentialEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialEntry {
    name: Spanned<String>,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    ssh_agent: Option<AgentSocket>,
    password_file: Option<PathBuf>,
    password: Option<SecretText>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AgentSocket {
    FromEnvironment(bool),
    Path(PathBuf),
}

/// A secret in a file: it leaves the parser as a [`Secret`], which never prints.
#[derive(Debug)]
struct SecretText(Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text.into_bytes())))
    }
}

pub(super) fn text_of(path: &Path) -> Result<Zeroizing<String>, Problems> {
    let wrong = |what: &dyn std::fmt::Display| Problems(vec![Problem::new(path, 0, what)]);
    let meta = fs::metadata(path).map_err(|e| wrong(&e))?;
    if !meta.is_file() {
        return Err(wrong(&"it is not a regular file"));
    }
    if meta.len() > MAX_CONFIG_BYTES {
        return Err(wrong(&format_args!("it is larger than {MAX_CONFIG_BYTES} bytes")));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(|e| wrong(&e))
}

/// Reads the text of a file without ever showing it in an error: a password may be in the wrong place of any of them.
fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    describe: fn(&Error) -> String,
) -> Result<T, Problems> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |l| l.line());
        Problems(vec![Problem::new(path, line, describe(&error))])
    })
}

pub(super) fn read<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Problems> {
    parse(path, text, |error| match error {
        Error::SerdeUnknownField { field, expected, .. } if is_key(field) => {
            format!("there is no key {field} here; it may be {}", expected.join(", "))
        }
        Error::SerdeUnknownField { expected, .. } => {
            format!("there is no such key; it may be {}", expected.join(", "))
        }
        Error::SerdeMissingField { field, .. } => format!("the key {field} is missing"),
        Error::DuplicateMappingKey { key: Some(key), .. } if is_key(key) => {
            format!("the key {key} is there twice")
        }
        Error::DuplicateMappingKey { .. } => "a key is there twice".into(),
        _ => {
            "this is not what the example shows here: look at the value, its kind, and the indentation".into()
        }
    })
}

/// Whether a person's text looks like a key of these files, and not like a value in the place of one.
fn is_key(text: &str) -> bool {
    text.len() <= MAX_SHOWN_KEY_BYTES && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// As [`read`], for a file with secrets, where not even a key is shown.
fn read_secret<T: DeserializeOwned>(path: &Path) -> Result<T, Problems> {
    parse(path, &text_of(path)?, |_| {
        "this is not a list of credentials as the example shows it; each has a \
            name and one of key_file (with passphrase_file), ssh_agent, password_file, password"
            .into()
    })
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

pub(super) fn load_agent(path: &Path) -> Result<AgentConfig, Problems> {
    let file: AgentFile = read(path, &text_of(path)?)?;
    let mut problems = Problems(Vec::new());
    let has_port =
        file.controller.value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if !has_port {
        let message = "controller must be host:port, e.g. controller.example.com:7443";
        problems.0.push(Problem::new(path, file.controller.referenced.line(), message));
    }
    let mut wrong = |line, message: String| problems.0.push(Problem::new(path, line, message));
    let max_concurrency =
        number("max_concurrency", file.max_concurrency.as_ref(), 1..=MAX_CONCURRENCY, &mut wrong)
            .unwrap_or(DEFAULT_CONCURRENCY);
    let connections = ConnectionKeys {
        max_connections: file.max_connections,
        max_connections_per_host: file.max_connections_per_host,
        max_channels_per_connection: file.max_channels_per_connection,
        max_connecting: file.max_connecting,
        idle_close: file.idle_close,
    }
    .check(&mut wrong);
    let at = |p: &Path| resolve(directory(path), p);
    let Some(redaction) = redaction::check(file.redact, at, &mut wrong) else { return Err(problems) };
    problems.or(AgentConfig {
        controller: file.controller.value,
        state_dir: at(&file.state_dir),
        identity_dir: at(&file.identity_dir),
        site: SiteFiles {
            hosts: at(&file.hosts),
            credentials: at(&file.credentials),
            known_hosts: at(&file.known_hosts),
            floor: file.floor.as_deref().map(at),
            redaction,
        },
        max_concurrency,
        connections,
    })
}

/// Reads the credentials; secrets in files of their own are read when they are needed, but their modes are checked now.
pub(crate) fn load_credentials(path: &Path) -> Result<BTreeMap<String, CredentialSource>, Problems> {
    let mut problems = Problems(Vec::new());
    check_private(path, path, 0, &mut problems.0);
    let file: CredentialsFile = match read_secret(path) {
        Ok(file) => file,
        Err(Problems(more)) => {
            problems.0.extend(more);
            return Err(problems);
        }
    };
    let mut credentials = BTreeMap::new();
    for entry in file.credentials {
        let line = entry.name.referenced.line();
        let name = entry.name.value.clone();
        match check_credential(path, entry, &mut problems.0) {
            None => problems.0.push(Problem::new(
                path,
                line,
                format_args!(
                    "credential {name} needs exactly one of key_file, ssh_agent, password_file, password"
                ),
            )),
            Some(source) => {
                if credentials.insert(name.clone(), source).is_some() {
                    problems.0.push(Problem::new(
                        path,
                        line,
                        format_args!("the credential {name} is there twice"),
                    ));
                }
            }
        }
    }
    problems.or(credentials)
}

fn check_credential(
    path: &Path,
    entry: CredentialEntry,
    problems: &mut Vec<Problem>,
) -> Option<CredentialSource> {
    let line = entry.name.referenced.line();
    let at = |p: PathBuf| resolve(directory(path), &p);
    match (entry.key_file, entry.passphrase_file, entry.ssh_agent, entry.password_file, entry.password) {
        (Some(key), passphrase, None, None, None) => {
            let (key, passphrase) = (at(key), passphrase.map(at));
            check_private(path, &key, line, problems);
            if let Some(passphrase) = &passphrase {
                check_private(path, passphrase, line, problems);
            }
            Some(CredentialSource::KeyFile { key, passphrase })
        }
        (None, None, Some(AgentSocket::FromEnvironment(true)), None, None) => {
            Some(CredentialSource::SshAgent(None))
        }
        (None, None, Some(AgentSocket::Path(socket)), None, None) => {
            Some(CredentialSource::SshAgent(Some(at(socket))))
        }
        (None, None, None, Some(file), None) => {
            let file = at(file);
            check_private(path, &file, line, problems);
            Some(CredentialSource::PasswordFile(file))
        }
        (None, None, None, None, Some(password)) => Some(CredentialSource::Password(password.0)),
        _ => None,
    }
}

/// Notes a problem unless `secret` is a file that only its owner can read.
fn check_private(named_in: &Path, secret: &Path, line: u64, problems: &mut Vec<Problem>) {
    match fs::metadata(secret) {
        Err(error) => {
            problems.push(Problem::new(named_in, line, format_args!("{}: {error}", secret.display())))
        }
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => problems.push(Problem::new(
            named_in,
            line,
            format_args!("{0} can be read by others; run: chmod 600 {0}", secret.display()),
        )),
        Ok(_) => {}
    }
}
