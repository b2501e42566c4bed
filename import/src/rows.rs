//! The table of differences that every report repeats: what the other system did, what is done here.

use crate::{
    CREDENTIALS, POLICY, SERVERS,
    finding::{Code, Finding},
};

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) file: &'static str,
    /// What it was.
    pub(crate) there: &'static str,
    /// What it is.
    pub(crate) here: &'static str,
    by: By,
}

/// How a finding belongs to a row.
#[derive(Debug)]
enum By {
    /// By one of these codes.
    Codes(&'static [Code]),
    /// By the end of its place in the policy file, which is its code.
    Ends(&'static [&'static str]),
}

// === impl Row ===

impl Row {
    /// Whether `finding`, of the same file, belongs to it.
    pub(crate) fn covers(&self, finding: &Finding) -> bool {
        match self.by {
            By::Codes(codes) => codes.iter().any(|code| code.name() == finding.code),
            By::Ends(ends) => ends.iter().any(|end| {
                let rest = finding.code.strip_suffix(end);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }),
        }
    }
}

const fn by_code(file: &'static str, there: &'static str, here: &'static str, codes: &'static [Code]) -> Row {
    Row { file, there, here, by: By::Codes(codes) }
}

const fn by_place(there: &'static str, here: &'static str, ends: &'static [&'static str]) -> Row {
    Row { file: POLICY, there, here, by: By::Ends(ends) }
}

/// The rows, in the order of the files.
pub(crate) const ROWS: &[Row] = &[
    by_code(SERVERS, "an alias twice: the first one wins", "error", &[Code::DuplicateAlias]),
    by_code(
        SERVERS,
        "an alias that no tool accepts",
        "error, with a name that is accepted",
        &[Code::UnusableAlias],
    ),
    by_code(SERVERS, "`tags:` is a text: matched by its parts", "a list of one", &[Code::TagsText]),
    by_code(SERVERS, "a tag that is no name", "error, with a name that is one", &[Code::UnusableTag]),
    by_code(
        SERVERS,
        "a port other than 22: two lines in known_hosts",
        "the key of `[host]:port` is pinned",
        &[Code::OtherPort],
    ),
    by_code(SERVERS, "a port that is none: every connection failed", "error", &[Code::UnusablePort]),
    by_code(SERVERS, "IPv6: could not be resolved", "works", &[Code::Ipv6]),
    by_code(SERVERS, "a host without a credential: refused", "error", &[Code::NoCredential]),
    by_code(
        SERVERS,
        "keys that nobody reads; unquoted booleans and numbers",
        "warning",
        &[Code::UnknownKey, Code::YamlBoolean, Code::YamlNumber],
    ),
    by_code(
        SERVERS,
        "a file that does not read: taken for empty",
        "error",
        &[Code::BrokenFile, Code::WrongKind, Code::NestedRoot],
    ),
    by_code(SERVERS, "a key twice: the last one wins", "error", &[Code::DuplicateKey]),
    by_code(
        CREDENTIALS,
        "a credential twice: the first one wins",
        "the first one is taken",
        &[Code::DuplicateCredential],
    ),
    by_code(CREDENTIALS, "a credential without a username: its hosts are refused", "error", &[Code::NoUser]),
    by_code(CREDENTIALS, "a key path that was taken for none", "error", &[Code::UnusableKeyPath]),
    by_code(CREDENTIALS, "key and password: only the key was tried", "the key only", &[Code::KeyAndPassword]),
    by_code(
        CREDENTIALS,
        "a password in the file",
        "never copied",
        &[Code::InlinePassword, Code::InlinePasswordUnused],
    ),
    by_code(
        CREDENTIALS,
        "secrets by name: variables, .env, files",
        "a file for each",
        &[Code::SecretToPlace, Code::SecretName],
    ),
    by_code(
        CREDENTIALS,
        "a secret called as a variable that everybody has: its value",
        "a file",
        &[Code::StandardVariable],
    ),
    by_code(CREDENTIALS, "keys of RSA", "only in an ssh-agent", &[Code::RsaKeys]),
    by_code(
        CREDENTIALS,
        "keys that nobody reads; unquoted booleans and numbers",
        "warning",
        &[Code::UnknownKey, Code::YamlBoolean, Code::YamlNumber],
    ),
    by_code(
        CREDENTIALS,
        "a file that does not read: taken for empty",
        "error",
        &[Code::BrokenFile, Code::WrongKind],
    ),
    by_code(CREDENTIALS, "a key twice: the last one wins", "error", &[Code::DuplicateKey]),
    by_place(
        "no `known_hosts_path`: every connection failed",
        "keys have to be pinned",
        &["known_hosts_path"],
    ),
    by_place(
        "`commands`: globs on the raw line, last match wins",
        "globs on each parsed command, last match wins",
        &["commands"],
    ),
    by_place("a rule whose `tags` or `aliases` is a text", "error", &["rules.tags", "rules.aliases"]),
    by_place("an `action` other than `allow`: denied", "deny", &["action"]),
    by_place("`simple_binaries`, `simple_max_args`", "kept", &["simple_binaries", "simple_max_args"]),
    by_place("`binary`: with a slash, or alone, never matched", "kept", &["binary", "rules"]),
    by_place("`arg_prefix` with numbers never matched", "left out, or text where it denies", &["arg_prefix"]),
    by_place(
        "`path_args`: lexical, `..` kept",
        "paths are normalised, `..` out of them is refused",
        &["patterns", "indices", "path_args"],
    ),
    by_place("`allow_extra_args` left out: true", "kept", &["allow_extra_args"]),
    by_place(
        "`deny_substrings`: 20, replaced by a list, off for an empty one",
        "kept; off is an error",
        &["deny_substrings"],
    ),
    by_place(
        "`max_seconds: 0`: no limit; `max_output_bytes`",
        "bounded",
        &["max_seconds", "max_output_bytes"],
    ),
    by_place(
        "networks that are no networks were dropped: open to all",
        "error",
        &["allow_ips", "allow_cidrs", "block_ips", "block_cidrs", "network"],
    ),
    by_place(
        "`require_known_host`, `host_key_auto_add`: ignored",
        "left out",
        &["require_known_host", "host_key_auto_add"],
    ),
    by_place(
        "`task_result_ttl`, `task_progress_interval`",
        "left out",
        &["task_result_ttl", "task_progress_interval"],
    ),
];
