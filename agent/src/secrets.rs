//! Where SSH credentials come from. They are read at the moment of a login and never leave this process.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lictor_core::secret::Secret;
use russh::keys::{self, PrivateKey};
use zeroize::Zeroizing;

use crate::redact::{Kind, Literal};

/// Largest key or password file, in bytes; an encrypted P-521 key is below 4 KiB.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Gives the credential of a name. The seam behind which a vault would sit.
#[async_trait::async_trait]
pub trait SecretSource: Send + Sync + fmt::Debug {
    /// The credential called `name`, read now.
    ///
    /// # Errors
    /// When it is unknown, missing, unreadable or of an unsupported kind; the text holds no secret.
    async fn credential(&self, name: &str) -> Result<Credential, SecretError>;
}

/// What a login is made with.
#[derive(Clone)]
pub enum Credential {
    /// A private key.
    Key(Arc<PrivateKey>),
    /// The keys of an ssh-agent behind this socket.
    SshAgent(PathBuf),
    /// A password.
    Password(Secret),
}

/// A credential as the site's file describes it.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// A private key in a file, and the file with its passphrase.
    KeyFile {
        /// The key.
        key: PathBuf,
        /// Its passphrase.
        passphrase: Option<PathBuf>,
    },
    /// An ssh-agent; `None`: the one that `SSH_AUTH_SOCK` names.
    SshAgent(Option<PathBuf>),
    /// A password in a file of its own.
    PasswordFile(PathBuf),
    /// A password.
    Password(Secret),
}

/// A credential that cannot be used; says what to do, holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretError(String);

/// The credentials of the site's file.
#[derive(Debug, Clone, Default)]
pub struct FileSecrets(pub(crate) BTreeMap<String, CredentialSource>);

#[async_trait::async_trait]
impl SecretSource for FileSecrets {
    async fn credential(&self, name: &str) -> Result<Credential, SecretError> {
        let Some(source) = self.0.get(name).cloned() else {
            return Err(SecretError(format!("there is no credential named {name}")));
        };
        // Files block, and a passphrase costs a key derivation.
        tokio::task::spawn_blocking(move || read(source))
            .await
            .unwrap_or_else(|_| Err(SecretError("reading the credential failed".into())))
    }
}

fn read(source: CredentialSource) -> Result<Credential, SecretError> {
    match source {
        CredentialSource::KeyFile { key, passphrase } => {
            let passphrase = passphrase.as_deref().map(read_line).transpose()?;
            read_key(&key, passphrase.as_ref()).map(|key| Credential::Key(Arc::new(key)))
        }
        CredentialSource::SshAgent(Some(socket)) => Ok(Credential::SshAgent(socket)),
        CredentialSource::SshAgent(None) => {
            std::env::var_os("SSH_AUTH_SOCK").map(|socket| Credential::SshAgent(socket.into())).ok_or_else(
                || SecretError("SSH_AUTH_SOCK is not set; start an ssh-agent or name its socket".into()),
            )
        }
        CredentialSource::PasswordFile(path) => read_line(&path).map(Credential::Password),
        CredentialSource::Password(password) => Ok(Credential::Password(password)),
    }
}

/// The text of a file that only its owner can read.
pub(crate) fn read_file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let wrong = |what: &dyn fmt::Display| SecretError(format!("{}: {what}", path.display()));
    let meta = fs::metadata(path).map_err(|e| wrong(&e))?;
    // Opening a pipe waits for whoever writes to it, maybe for ever.
    if !meta.is_file() {
        return Err(wrong(&"it is not a regular file"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(wrong(&format_args!("it can be read by others; run: chmod 600 {}", path.display())));
    }
    if meta.len() > MAX_SECRET_BYTES {
        return Err(wrong(&"it is too large for a key or password"));
    }
    let mut text = Zeroizing::new(String::new());
    let file = fs::File::open(path).map_err(|e| wrong(&e))?;
    // The bound holds also for a file that grew since.
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text).map_err(|e| wrong(&e))?;
    Ok(text)
}

/// What must not be seen of a credential: nothing of an ssh-agent, which keeps its keys to itself.
pub(crate) fn literals(source: &CredentialSource) -> Result<Vec<Literal>, SecretError> {
    let kind = Kind::CREDENTIAL;
    Ok(match source {
        CredentialSource::KeyFile { key, passphrase } => {
            let text = read_file(key)?;
            let mut literals = vec![Literal::Key(kind, Secret::new(text.as_bytes().to_vec()))];
            if let Some(passphrase) = passphrase {
                literals.push(Literal::Text(kind, read_line(passphrase)?));
            }
            literals
        }
        CredentialSource::SshAgent(_) => Vec::new(),
        CredentialSource::PasswordFile(path) => vec![Literal::Text(kind, read_line(path)?)],
        CredentialSource::Password(password) => vec![Literal::Text(kind, password.clone())],
    })
}

/// A file's text without the line end that editors add.
fn read_line(path: &Path) -> Result<Secret, SecretError> {
    let text = read_file(path)?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r']).as_bytes().to_vec()))
}

fn read_key(path: &Path, passphrase: Option<&Secret>) -> Result<PrivateKey, SecretError> {
    let text = read_file(path)?;
    let wrong = |what: &str| SecretError(format!("{}: {what}", path.display()));
    let rsa =
        "it is an RSA key; make an Ed25519 key (ssh-keygen -t ed25519), or load this one into an ssh-agent";
    if text.contains("BEGIN RSA PRIVATE KEY") {
        return Err(wrong(rsa));
    }
    match keys::decode_secret_key(&text, passphrase.and_then(Secret::expose_str)) {
        Ok(key) if key.algorithm().is_rsa() => Err(wrong(rsa)),
        Ok(key) => Ok(key),
        Err(keys::Error::KeyIsEncrypted) => {
            Err(wrong("it is encrypted; name its passphrase_file in credentials.yml"))
        }
        Err(_) if passphrase.is_some() => {
            Err(wrong("it cannot be decrypted with this passphrase, or is not a private key"))
        }
        Err(_) if text.contains("BEGIN OPENSSH") => {
            Err(wrong(&format!("it is damaged or of an unsupported kind (if {rsa})")))
        }
        Err(_) => Err(wrong("it is not a private key in OpenSSH or PEM form")),
    }
}

// === impl CredentialSource ===

impl CredentialSource {
    /// The files that hold it.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let (one, other) = match self {
            Self::KeyFile { key, passphrase } => (Some(key), passphrase.as_ref()),
            Self::PasswordFile(path) => (Some(path), None),
            Self::SshAgent(_) | Self::Password(_) => (None, None),
        };
        one.into_iter().chain(other).map(PathBuf::as_path)
    }
}

// === impl Credential ===

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(<secret>)",
            Self::SshAgent(_) => "SshAgent",
            Self::Password(_) => "Password(<secret>)",
        })
    }
}

// === impl SecretError ===

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn nothing_that_holds_a_secret_prints_it() {
        let secret = || Secret::new(b"hunter2-hunter2".to_vec());
        let key = PrivateKey::random(&mut rand::rng(), keys::Algorithm::Ed25519).unwrap();
        let text = key.to_openssh(keys::ssh_key::LineEnding::LF).unwrap();
        let source = CredentialSource::Password(secret());
        let literals = [
            Literal::Text(Kind::CREDENTIAL, secret()),
            Literal::Key(Kind::CREDENTIAL, Secret::new(text.as_bytes().to_vec())),
        ];
        let patterns = Arc::new(crate::redact::Patterns::new(&[]).unwrap());
        let redactor = Arc::new(crate::redact::Redactor::new(&literals, patterns).unwrap());
        let mut masker = crate::redact::Masker::new(Arc::clone(&redactor));
        masker.push(b"hunter2-hun");
        let held = FileSecrets(BTreeMap::from([("a".to_owned(), source.clone())]));
        let (password, key) = (Credential::Password(secret()), Credential::Key(Arc::new(key)));
        let printed = format!("{source:?}{held:?}{literals:?}{redactor:?}{masker:?}{password:?}{key:?}");
        let bytes = b"hunter2-hunter2";
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (upper, base64, numbers) =
            (hex.to_uppercase(), STANDARD.encode(bytes), format!("{:?}", &bytes[..7]));
        for form in ["hunter", &hex[..14], &upper[..14], &base64[..8], numbers.trim_matches(['[', ']'])] {
            assert!(!printed.contains(form), "{form}: {printed}");
        }
        for line in text.lines().filter(|line| !line.starts_with('-')) {
            assert!(!printed.contains(line), "{printed}");
        }
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_opening_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&pipe).status().unwrap();
        assert!(made.success());
        let error = read(CredentialSource::PasswordFile(pipe)).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
