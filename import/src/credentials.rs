//! `credentials.yml`: who logs in with what. Secrets stay where they are; what is written are the files they will be in.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    CREDENTIALS,
    fields::{self, Fields, Text},
    finding::{Code, Findings, Place},
    key_path, name,
    name::Taken,
    secret_name::{self, SecretFile},
    show::Shown,
    yaml::{Kind, Node, Value},
};

/// Every key of a credential.
const KEYS: [&str; 6] =
    ["name", "username", "key_path", "key_passphrase_secret", "password_secret", "password"];
/// Longest name of a credential here: as long as any name.
const MAX_NAME: usize = lictor_core::limits::MAX_NAME_BYTES;

/// A credential of `credentials.yml` that some host uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// Its name in the new file.
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) means: Means,
}

/// What a login is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Means {
    /// A private key: where it was, where it will be, and its passphrase.
    Key { old: String, new: String, passphrase: Option<SecretFile> },
    /// A password.
    Password(SecretFile),
}

/// One entry, and who uses it.
struct Entry<'a> {
    fields: &'a Fields<'a>,
    name: &'a str,
    hosts: usize,
}

/// Reads the credentials that `used` names, each with the number of its hosts; what cannot be used is `None`.
pub(crate) fn read(
    root: &Node,
    used: &BTreeMap<String, usize>,
    keys_dir: &str,
    findings: &mut Findings,
) -> BTreeMap<String, Option<Login>> {
    let list = fields::root_list(CREDENTIALS, root, "entries", findings);
    let entries: Vec<(Fields<'_>, Text)> = list.iter().filter_map(|node| named(node, findings)).collect();
    let mut taken: Taken = entries.iter().map(|(_, name)| name.written.clone()).collect();
    let mut seen = BTreeSet::new();
    let mut logins = BTreeMap::new();
    for (fields, written) in &entries {
        if !seen.insert(&written.taken) {
            let what = format!(
                "the credential {} is there twice; mcp-ssh-orchestrator used the first one",
                Shown(&written.written)
            );
            let done = "this one is left out";
            findings.add(Code::DuplicateCredential, fields.place, what, done, "remove it");
            continue;
        }
        let Some(hosts) = used.get(&written.taken).copied() else {
            let what = format!("no host uses the credential {}", Shown(&written.written));
            findings.add(Code::UnusedCredential, fields.place, what, "it is left out", "");
            continue;
        };
        let name = new_name(written, &mut taken, findings);
        let entry = Entry { fields, name: &name, hosts };
        logins.insert(written.taken.clone(), entry.login(keys_dir, findings));
    }
    logins
}

fn named<'a>(node: &'a Node, findings: &mut Findings) -> Option<(Fields<'a>, Text)> {
    let fields = Fields::read(CREDENTIALS, node, "a credential", &KEYS, findings)?;
    let name = fields.text("name", findings).filter(|text| !text.written.is_empty());
    let Some(name) = name else {
        let done = "it is left out";
        findings.add(Code::NameMissing, fields.place, "a credential has no name", done, "give it one");
        return None;
    };
    Some((fields, name))
}

fn new_name(written: &Text, taken: &mut Taken, findings: &mut Findings) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let text = &written.written;
    if text.len() <= MAX_NAME && text.bytes().all(plain) && !text.starts_with('.') {
        return text.clone();
    }
    let name = name::suggest(text, "credential", taken);
    let what =
        format!("the credential {} has a name with other characters than A-Z a-z 0-9 . _ -", Shown(text));
    let place = Place { file: CREDENTIALS, line: written.line };
    findings.add(Code::CredentialRenamed, place, what, format!("it is called {name}"), "");
    name
}

// === impl Entry ===

impl Entry<'_> {
    fn login(&self, keys_dir: &str, findings: &mut Findings) -> Option<Login> {
        let (user, means) = (self.user(findings), self.means(keys_dir, findings));
        Some(Login { name: self.name.to_owned(), user: user?, means: means? })
    }

    fn add(&self, code: Code, key: &str, what: String, done: &str, todo: &str, findings: &mut Findings) {
        findings.add(code, self.fields.place_of(key), what, done, todo);
    }

    fn left_out(&self) -> String {
        match self.hosts {
            1 => "it and the one host that uses it are left out".to_owned(),
            n => format!("it and the {n} hosts that use it are left out"),
        }
    }

    fn user(&self, findings: &mut Findings) -> Option<String> {
        let (name, done) = (self.name, self.left_out());
        let text = self.fields.text("username", findings);
        let Some(text) = text.filter(|text| !text.written.trim().is_empty()) else {
            let what =
                format!("the credential {name} has no username; mcp-ssh-orchestrator refused its hosts");
            self.add(Code::NoUser, "username", what, &done, "add it", findings);
            return None;
        };
        let user = text.written;
        if user.starts_with('-') || !user.chars().all(|c| c.is_ascii_graphic()) {
            let what = format!("the username of {name} has blanks or other characters than a user name has");
            self.add(Code::UnusableUser, "username", what, &done, "correct it", findings);
            return None;
        }
        Some(user)
    }

    fn means(&self, keys_dir: &str, findings: &mut Findings) -> Option<Means> {
        let name = self.name;
        let key = self.key(keys_dir, findings);
        let passphrase = self.secret("key_passphrase_secret");
        let password = self.secret("password_secret");
        if let Some((old, new)) = key {
            if password.is_some() {
                let what = format!("{name} has a key and a password; the password was never tried");
                let done = "the key alone is used";
                self.add(
                    Code::KeyAndPassword,
                    "password_secret",
                    what,
                    done,
                    "remove password_secret",
                    findings,
                );
            }
            self.note_unused_password(findings);
            let passphrase =
                passphrase.and_then(|text| self.secret_file(&text, "key_passphrase_secret", findings));
            return Some(Means::Key { old, new, passphrase });
        }
        if passphrase.is_some() {
            let what = format!("{name} has the passphrase of a key, and no key");
            self.add(Code::PassphraseWithoutKey, "key_passphrase_secret", what, "ignored", "", findings);
        }
        if let Some(text) = password {
            self.note_unused_password(findings);
            return self.secret_file(&text, "password_secret", findings).map(Means::Password);
        }
        if self.has_inline_password() {
            let file = SecretFile::inline(name, self.fields.place_of("password").line);
            let what = format!("the password of {name} stands in the file; it is not copied");
            let done = format!("a reference to {}, which is for you to make", file.path);
            let todo = format!(
                "put the password alone into a file of its own, {}, mode 600; then delete it here, and change it \
                 if others could read this file",
                file.path
            );
            self.add(Code::InlinePassword, "password", what, &done, &todo, findings);
            return Some(Means::Password(file));
        }
        let what = format!("{name} has neither a key nor a password that can be used");
        let todo = "add key_path or password_secret; for keys in an ssh-agent write the new file by hand: \
                    ssh_agent: true";
        self.add(Code::NoLogin, "name", what, &self.left_out(), todo, findings);
        None
    }

    /// Where the key was, and where it will be.
    fn key(&self, keys_dir: &str, findings: &mut Findings) -> Option<(String, String)> {
        let text = self.fields.text("key_path", findings).filter(|text| !text.written.is_empty())?;
        let name = self.name;
        match key_path::resolve(&text.written, keys_dir) {
            Ok(key) => {
                if text.written.starts_with('~') {
                    let what = format!("the key of {name} begins with ~, which was never expanded");
                    let done = "it is a folder of that name below the folder of keys";
                    let todo = "say which file is meant";
                    self.add(Code::KeyPathTilde, "key_path", what, done, todo, findings);
                }
                Some((key.old, format!("{}/{}", crate::KEYS_DIR, key.relative)))
            }
            Err(why) => {
                let what = format!("the key of {name} was taken for none: {why}");
                let done = "its password is used, if it has one";
                let todo = format!("move the key below {keys_dir} and write its path from there");
                self.add(Code::UnusableKeyPath, "key_path", what, done, &todo, findings);
                None
            }
        }
    }

    /// The name of a secret, where there is one; it may be the secret itself, so what is odd is not repeated.
    fn secret(&self, key: &str) -> Option<Text> {
        let node = self.fields.get(key)?;
        fields::text(CREDENTIALS, key, node, &mut Findings::default()).filter(|text| !text.written.is_empty())
    }

    fn secret_file(&self, text: &Text, key: &str, findings: &mut Findings) -> Option<SecretFile> {
        let place = self.fields.place_of(key);
        secret_name::file(&text.taken, key, self.name, place, findings)
    }

    fn has_inline_password(&self) -> bool {
        self.fields.get("password").is_some_and(|node| match &node.value {
            Value::Scalar(text, kind) => !text.is_empty() && *kind != Kind::Null,
            Value::List(_) | Value::Map(_) => true,
        })
    }

    fn note_unused_password(&self, findings: &mut Findings) {
        if self.has_inline_password() {
            let what = format!("the password of {} stands in the file, and was never used", self.name);
            let todo = "delete it, and change it if others could read this file";
            self.add(Code::InlinePasswordUnused, "password", what, "it is not copied", todo, findings);
        }
    }
}
