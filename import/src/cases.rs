//! A case for each finding: what makes it, and that it can be accepted if it says so.

use std::collections::BTreeSet;

use crate::{CREDENTIALS, Files, Imported, Options, Refused, SERVERS, finding::Code, import};

/// The finding, its file, what came out, and the two files.
type Case = (Code, &'static str, Result<Imported, Refused>, String, Option<String>);

const CREDENTIAL: &str = "{name: c, username: u, key_path: id}";

/// `servers.yml` with one host that has these fields besides the usual ones.
fn host(fields: &str) -> String {
    format!("hosts:\n  - {{alias: a, host: h, credentials: c, {fields}}}\n")
}

/// `credentials.yml` with this entry.
fn credential(entry: &str) -> String {
    format!("entries:\n  - {entry}\n")
}

fn run(servers: &str, credentials: Option<&str>, accept: &[&str]) -> Result<Imported, Refused> {
    let accept: BTreeSet<String> = accept.iter().map(|code| (*code).to_owned()).collect();
    import(&Files { servers, credentials, policy: None }, &Options { accept, ..Options::default() })
}

/// The codes of the findings, without those that every import has.
fn codes(result: &Result<Imported, Refused>) -> BTreeSet<String> {
    let findings = match result {
        Ok(imported) => &imported.findings,
        Err(refused) => &refused.findings,
    };
    findings.iter().map(|finding| finding.code.to_string()).collect()
}

fn of_hosts() -> Vec<(Code, String)> {
    let list = |entries: &str| format!("hosts:\n{entries}");
    vec![
        (Code::BrokenFile, "hosts: [".into()),
        (Code::BrokenFile, "hosts: []\n---\nhosts: []\n".into()),
        (Code::BrokenFile, "hosts: !!python/object:x []\n".into()),
        (Code::BrokenFile, "hosts: &a [*a]\n".into()),
        (Code::BrokenFile, "? [a]\n: b\n".into()),
        (Code::BrokenFile, format!("{}{}", "[".repeat(60), "]".repeat(60))),
        (Code::WrongKind, "hosts: {a: {host: h}}".into()),
        (Code::WrongKind, "- a".into()),
        (Code::WrongKind, list("  - web-1\n")),
        (Code::WrongKind, host("tags: 7")),
        (Code::WrongKind, host("description: [x]")),
        (Code::NestedRoot, "servers:\n  hosts:\n    - {alias: a, host: h, credentials: c}\n".into()),
        (Code::DuplicateKey, host("port: 1, port: 2")),
        (Code::UnknownKey, host("user: x")),
        (Code::UnknownKey, "hosts: []\nversion: 2\n".into()),
        (Code::YamlBoolean, list("  - {alias: no, host: h, credentials: c}\n")),
        (Code::YamlBoolean, host("tags: [on]")),
        (Code::YamlNumber, list("  - {alias: 010, host: h, credentials: c}\n")),
        (Code::YamlNumber, host("tags: [10]")),
        (Code::YamlNumber, host("port: 0x16")),
        (Code::Nothing, "# nothing\n".into()),
        (Code::Nothing, "host: []\n".into()),
        (Code::NameMissing, list("  - {host: h, credentials: c}\n")),
        (Code::UnusableAlias, list("  - {alias: web 1, host: h, credentials: c}\n")),
        (Code::UnusableAlias, list("  - {alias: _x, host: h, credentials: c}\n")),
        (Code::DuplicateAlias, list(&"  - {alias: a, host: h, credentials: c}\n".repeat(2))),
        (Code::TooManyHosts, list(&"  - {alias: a}\n".repeat(10_001))),
        (Code::AddressMissing, list("  - {alias: a, credentials: c}\n")),
        (Code::UnusableAddress, list("  - {alias: a, host: 'root@h:22', credentials: c}\n")),
        (Code::UnusableAddress, list("  - {alias: a, host: -oProxyCommand, credentials: c}\n")),
        (Code::AddressBlanks, list("  - {alias: a, host: ' h ', credentials: c}\n")),
        (Code::Ipv6, list("  - {alias: a, host: '[2001:db8::1]', credentials: c}\n")),
        (Code::UnusablePort, host("port: ssh")),
        (Code::UnusablePort, host("port: 0")),
        (Code::UnusablePort, host("port: null")),
        (Code::UnusablePort, host("port: yes")),
        (Code::OtherPort, host("port: 2222")),
        (Code::TagsText, host("tags: web")),
        (Code::UnusableTag, host("tags: ['a b']")),
        (
            Code::TooManyTags,
            host(&format!("tags: [{}]", (0..33).map(|n| format!("t{n},")).collect::<String>())),
        ),
        (Code::DescriptionCut, host(&format!("description: {}", "x".repeat(300)))),
        (Code::DescriptionCut, host("description: \"a\\nb\"")),
        (Code::NoCredential, list("  - {alias: a, host: h}\n")),
        (Code::NoCredential, list("  - {alias: a, host: h, credentials: other}\n")),
    ]
}

fn of_credentials() -> Vec<(Code, String)> {
    let with = |fields: &str| credential(&format!("{{name: c, username: u, {fields}}}"));
    vec![
        (Code::BrokenFile, "entries: [\"a".into()),
        (Code::WrongKind, "entries: {c: {username: u}}".into()),
        (Code::NameMissing, credential("{username: u}")),
        (Code::NoUser, credential("{name: c, key_path: id}")),
        (Code::NoUser, credential("{name: c, key_path: id, username: ' '}")),
        (Code::UnusableUser, credential("{name: c, key_path: id, username: -l root}")),
        (Code::NoLogin, with("key_path: ''")),
        (Code::NoLogin, with("password: null")),
        (Code::DuplicateCredential, format!("entries:\n  - {CREDENTIAL}\n  - {CREDENTIAL}\n")),
        (Code::UnusedCredential, format!("entries:\n  - {CREDENTIAL}\n  - {{name: d}}\n")),
        (Code::UnusableKeyPath, with("key_path: ../id, password_secret: p")),
        (Code::UnusableKeyPath, with("key_path: /etc/id")),
        (Code::KeyPathTilde, with("key_path: ~/.ssh/id")),
        (Code::KeyAndPassword, with("key_path: id, password_secret: p")),
        (Code::PassphraseWithoutKey, with("key_passphrase_secret: p, password_secret: p")),
        (Code::InlinePassword, with("password: hunter2")),
        (Code::InlinePassword, with("password: 12345")),
        (Code::InlinePasswordUnused, with("password: hunter2, key_path: id")),
        (Code::InlinePasswordUnused, with("password: hunter2, password_secret: p")),
        (Code::SecretNeverFound, with(&format!("password_secret: {}", "x".repeat(101)))),
        (Code::SecretName, with("password_secret: a/b")),
        (Code::StandardVariable, with("password_secret: path")),
        (Code::SecretToPlace, with("password_secret: p")),
        (Code::RsaKeys, with("key_path: id")),
        (Code::UnknownKey, with("key_path: id, key: x")),
    ]
}

#[test]
fn every_finding_is_made_where_it_should_be_and_nowhere_else() {
    let plain = run(&host(""), Some(&credential(CREDENTIAL)), &[]);
    assert_eq!(codes(&plain), ["file-missing".to_owned(), "rsa-keys".to_owned()].into(), "{plain:?}");
    let mut cases: Vec<Case> = Vec::new();
    for (code, servers) in of_hosts() {
        let credentials = credential(CREDENTIAL);
        cases.push((code, SERVERS, run(&servers, Some(&credentials), &[]), servers, Some(credentials)));
    }
    for (code, credentials) in of_credentials() {
        cases.push((code, CREDENTIALS, run(&host(""), Some(&credentials), &[]), host(""), Some(credentials)));
    }
    cases.push((Code::FileMissing, CREDENTIALS, run(&host(""), None, &[]), host(""), None));
    let named = (
        "hosts: [{alias: a, host: h, credentials: 'c d'}]",
        "entries: [{name: c d, username: u, key_path: id}]",
    );
    let result = run(named.0, Some(named.1), &[]);
    cases.push((Code::CredentialRenamed, CREDENTIALS, result, named.0.into(), Some(named.1.into())));
    for (code, file, result, servers, credentials) in &cases {
        let findings = match result {
            Ok(imported) => &imported.findings,
            Err(refused) => &refused.findings,
        };
        let found = findings.iter().find(|f| f.code == code.name() && f.file == *file);
        let found =
            found.unwrap_or_else(|| panic!("{code:?} is not in {findings:#?} of {servers} {credentials:?}"));
        assert_eq!(result.is_err(), findings.iter().any(|f| f.severity == crate::Severity::Error));
        if result.is_err() && found.acceptable {
            let errors = findings.iter().filter(|f| f.severity == crate::Severity::Error);
            let accept: Vec<&str> = errors.filter(|f| f.acceptable).map(|f| f.code.as_ref()).collect();
            let accepted = run(servers, credentials.as_deref(), &accept);
            assert!(accepted.is_ok(), "{code:?} in {servers} {credentials:?}: {accepted:#?}");
        }
    }
    let tried: BTreeSet<&str> = cases.iter().map(|(code, ..)| code.name()).collect();
    let missing: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.name())
        .filter(|name| !tried.contains(name) && !name.contains("policy"))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn what_cannot_be_accepted_is_not_and_says_so() {
    let refused = run("hosts: [", None, &["broken-file", "nonsense"]).unwrap_err();
    assert_eq!(refused.not_acceptable, ["broken-file", "nonsense"]);
    let good = credential(CREDENTIAL);
    let refused = run(&host(""), Some(&good), &["duplicate-alias"]).unwrap_err();
    assert_eq!(refused.not_acceptable, ["duplicate-alias"]);
}

#[test]
fn merged_and_repeated_values_count_as_they_did() {
    let servers = "\
base: &base {credentials: c, tags: [web], port: 22}
hosts:
  - {<<: *base, alias: a, host: h}
  - {<<: [{port: 23}, *base], alias: b, host: h}
  - {alias: c, host: h, <<: *base, port: 24}
";
    let credentials = credential(CREDENTIAL);
    let imported = run(servers, Some(&credentials), &[]).unwrap();
    assert_eq!(imported.hosts, 3);
    let text = &imported.files[0].text;
    assert!(text.contains("port: 23") && text.contains("port: 24"), "{text}");
    assert_eq!(text.matches("tags: [web]").count(), 3, "{text}");
}

#[test]
fn what_explodes_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
    for n in 1..20 {
        bomb += &format!("a{n}: &a{n} [{}]\n", format!("*a{}, ", n - 1).repeat(8));
    }
    assert!(codes(&run(&bomb, None, &[])).contains("broken-file"));
    let mut tower = String::from("a0: &a0 [x]\n");
    for n in 1..5_000 {
        tower += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
    }
    assert!(codes(&run(&tower, None, &[])).contains("broken-file"));
    assert!(codes(&run(&"[".repeat(1_000_000), None, &[])).contains("broken-file"));
    assert!(codes(&run(&"- ".repeat(100_000), None, &[])).contains("broken-file"));
}
